//! A way to the sandbox on which chosen requests wait until the test lets them through.

use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Ends with the test's runtime.
pub(crate) struct Held {
    pub(crate) endpoint: String,
    release: CancellationToken,
}

impl Held {
    /// Requests whose first line begins with one of these wait, and with them their connections.
    pub(crate) async fn requests(endpoint: &str, lines: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let release = CancellationToken::new();
        let held = Self { endpoint: format!("http://{}", listener.local_addr().expect("bound")), release };
        let (released, target) = (held.release.clone(), endpoint.replace("http://", ""));
        let lines: Arc<[Vec<u8>]> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, target.clone(), lines.clone(), released.clone()));
            }
        });
        held
    }

    pub(crate) fn release(&self) {
        self.release.cancel();
    }
}

/// Whatever fails here fails for the client as a broken connection.
async fn carry(client: TcpStream, target: String, lines: Arc<[Vec<u8>]>, released: CancellationToken) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async {
        let mut chunk = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from_client.read(&mut chunk).await {
            // A client sends the head of a request in one piece, and the next one only after the answer.
            if lines.iter().any(|line| chunk[..n].starts_with(line)) {
                released.cancelled().await;
            }
            if to_server.write_all(&chunk[..n]).await.is_err() {
                return;
            }
        }
    };
    let answers = tokio::io::copy(&mut from_server, &mut to_client);
    tokio::select! {
        () = requests => {}
        _ = answers => {}
    }
}
