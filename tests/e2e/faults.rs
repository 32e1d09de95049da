//! The sandbox's bad days, asked for by tests (docs/sandbox-faults.md), and what can be counted of them.

use crate::stack::Stack;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

impl Stack {
    /// Asks for a fault.
    pub(crate) async fn fault(&self, fault: Value) {
        self.own_page("POST", "/_sandbox/faults", &fault.to_string()).await;
    }

    pub(crate) async fn clear_faults(&self) {
        self.own_page("DELETE", "/_sandbox/faults", "").await;
    }

    /// How often all faults have struck, in the order they were asked for.
    pub(crate) async fn struck(&self) -> Vec<u64> {
        let listed = self.own_page("GET", "/_sandbox/faults", "").await;
        listed.as_array().expect("a list").iter().map(|fault| fault["struck"].as_u64().expect("a number")).collect()
    }

    /// Requests of one operation since the sandbox started.
    pub(crate) async fn requests(&self, service: &str, operation: &str) -> u64 {
        self.own_page("GET", "/_sandbox/requests", "").await[service][operation].as_u64().unwrap_or(0)
    }

    async fn own_page(&self, method: &str, path: &str, body: &str) -> Value {
        let address = self.endpoint().replace("http://", "");
        let mut stream = TcpStream::connect(&address).await.expect("connected");
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}");
        stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
        assert!(head.starts_with("HTTP/1.1 20"), "{method} {path} {body}: {answer}");
        serde_json::from_str(body).expect("JSON")
    }
}
