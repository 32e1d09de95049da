//! A way to the sandbox on which requests say one word for another, as if the sandbox did not know the first.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Gives the endpoint. Both words are of one length, so that nothing else of a request changes; ends with the test's runtime.
pub(crate) async fn reworded(endpoint: &str, word: &'static str, other: &'static str) -> String {
    assert_eq!(word.len(), other.len());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let own = format!("http://{}", listener.local_addr().expect("bound"));
    let target = endpoint.replace("http://", "");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(carry(client, target.clone(), word.as_bytes(), other.as_bytes()));
        }
    });
    own
}

/// Whatever fails here fails for the client as a broken connection.
async fn carry(client: TcpStream, target: String, word: &'static [u8], other: &'static [u8]) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async {
        let mut chunk = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from_client.read(&mut chunk).await {
            let places: Vec<usize> = (0..n).filter(|at| chunk[*at..n].starts_with(word)).collect();
            for at in places {
                chunk[at..at + other.len()].copy_from_slice(other);
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
