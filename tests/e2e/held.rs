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

/// Whether a request that begins or goes on with these bytes waits.
type IsHeld = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

impl Held {
    /// Requests whose first line begins with one of these wait, and with them their connections.
    pub(crate) async fn requests(endpoint: &str, lines: &[&str]) -> Self {
        let lines: Vec<Vec<u8>> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
        Self::when(endpoint, Arc::new(move |bytes| lines.iter().any(|line| bytes.starts_with(line)))).await
    }

    /// Calls of SQS and the Data API wait whose body says this.
    pub(crate) async fn calls_saying(endpoint: &str, text: &str) -> Self {
        let text = text.as_bytes().to_vec();
        let says = move |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        Self::when(endpoint, Arc::new(move |bytes| !bytes.starts_with(b"PUT ") && says(bytes))).await
    }

    async fn when(endpoint: &str, is_held: IsHeld) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let release = CancellationToken::new();
        let held = Self { endpoint: format!("http://{}", listener.local_addr().expect("bound")), release };
        let (released, target) = (held.release.clone(), endpoint.replace("http://", ""));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, target.clone(), is_held.clone(), released.clone()));
            }
        });
        held
    }

    pub(crate) fn release(&self) {
        self.release.cancel();
    }
}

/// Whatever fails here fails for the client as a broken connection.
async fn carry(client: TcpStream, target: String, is_held: IsHeld, released: CancellationToken) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async {
        let mut chunk = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from_client.read(&mut chunk).await {
            // A client sends the head of a request in one piece, and the next one only after the answer.
            if is_held(&chunk[..n]) {
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
