//! A clock of its own: minutes that pass as soon as nothing is left to do before their end.
//!
//! The sandbox runs in real time beside it. A call to it is over before the clock is looked at again; what AWS would let
//! a call wait for, the simulated clock waits for.

use crate::stack::Stack;
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use common::clients::Clients;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Runs on a clock that jumps, one thread.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime")
}

/// Clients whose calls take no time.
pub(crate) async fn clients(stack: &Stack) -> Clients {
    let connector = SharedHttpConnector::new(Prompt { address: stack.endpoint().replace("http://", "") });
    let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .endpoint_url(stack.endpoint())
        .region(aws_config::Region::from_static("us-east-1"))
        .credentials_provider(aws_sdk_s3::config::Credentials::new("sandbox", "sandbox", None, None, "sandbox"))
        .http_client(http_client_fn(move |_, _| connector.clone()));
    Clients::new(&config.load().await, true)
}

#[derive(Clone, Debug)]
struct Prompt {
    address: String,
}

impl HttpConnector for Prompt {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let wait = without_waiting(&mut request);
        let answer = self.exchange(&request).map_err(|error| ConnectorError::io(error.into()));
        let is_empty = answer.as_ref().is_ok_and(|response| response.body().bytes() == Some(b"{}"));
        HttpConnectorFuture::new(async move {
            if is_empty {
                tokio::time::sleep(wait).await;
            }
            answer
        })
    }
}

/// Takes the long poll out of a receive, and tells how long it was to be.
fn without_waiting(request: &mut HttpRequest) -> Duration {
    if request.headers().get("x-amz-target") != Some("AmazonSQS.ReceiveMessage") {
        return Duration::ZERO;
    }
    let mut body: Value = serde_json::from_slice(request.body().bytes().expect("in memory")).expect("JSON");
    let seconds = body["WaitTimeSeconds"].take().as_u64().unwrap_or(0);
    body["WaitTimeSeconds"] = 0.into();
    let text = body.to_string();
    request.headers_mut().insert("content-length", text.len().to_string());
    *request.body_mut() = SdkBody::from(text);
    Duration::from_secs(seconds)
}

impl Prompt {
    /// In the old protocol, in which an answer ends with its connection.
    fn exchange(&self, request: &HttpRequest) -> std::io::Result<HttpResponse> {
        let uri = request.uri();
        let path = uri.split_once("://").map_or(uri, |(_, rest)| rest);
        let path = path.find('/').map_or("/", |at| &path[at..]);
        let mut head = format!("{} {path} HTTP/1.0\r\nHost: {}\r\n", request.method(), self.address);
        for (name, value) in request.headers() {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let body = request.body().bytes().expect("the loader's bodies are in memory");
        if request.headers().get("content-length").is_none() {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        let mut stream = TcpStream::connect(&self.address)?;
        stream.write_all(&[head.as_bytes(), b"\r\n", body].concat())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.ok_or_else(|| std::io::Error::other("connection closed without an answer"))?;
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse::<u16>().ok()).expect("a status line");
        let body = SdkBody::from(answer[end + 4..].to_vec());
        let mut response = HttpResponse::new(status.try_into().expect("a status"), body);
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            response.headers_mut().append(name.to_owned(), value.to_owned());
        }
        Ok(response)
    }
}
