//! Makes any client's S3 request one that `s3s` takes without a key: signatures off, `aws-chunked` bodies decoded.
//!
//! `s3s` can only check a signature against a secret it knows; here any key pair is welcome, so it sees anonymous requests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use http::{HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt, StreamBody};
use s3s::{Body, StdError};

use super::aws_chunked::{ChunkError, Decoder};

/// Who asks, as far as the sandbox knows; travels as a request extension.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) region: String,
    pub(crate) request_id: String,
    pub(super) lost_reply: LostReply,
}

impl Caller {
    pub(crate) fn new(region: String, request_id: String) -> Self {
        Self { region, request_id, lost_reply: LostReply::default() }
    }
}

/// Whether the caller is never to hear of the answer; told by the operation, which alone knows its name.
#[derive(Debug, Clone, Default)]
pub(super) struct LostReply(Arc<AtomicBool>);

impl LostReply {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Filled once the body is read to its end; travels as a request extension.
#[derive(Debug, Clone, Default)]
pub(super) struct Trailers(Arc<Mutex<Vec<(String, String)>>>);

impl Trailers {
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let trailers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        trailers.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    }

    fn fill(&self, trailers: Vec<(String, String)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = trailers;
    }
}

/// The query parameters of presigned URLs, signature versions 4 and 2 (which the AWS CLI still writes for a custom endpoint);
/// whatever else is there belongs to the operation.
const SIGNATURE_PARAMETERS: [&str; 10] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
    "AWSAccessKeyId",
    "Signature",
    "Expires",
];

pub(super) fn prepare<B>(request: Request<B>, caller: Caller) -> Request<Body>
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError>,
{
    let (mut parts, body) = request.into_parts();
    parts.headers.remove(header::AUTHORIZATION);
    parts.uri = without_signature(&parts.uri);
    parts.extensions.insert(caller);
    let body = body.map_err(Into::into);
    let is_chunked = parts
        .headers
        .get("x-amz-content-sha256")
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("STREAMING-"));
    if !is_chunked {
        return Request::from_parts(parts, Body::http_body_unsync(body));
    }
    // It would promise a decoder that the body is still encoded, and a length that it no longer has.
    parts.headers.remove("x-amz-content-sha256");
    parts.headers.remove(header::CONTENT_LENGTH);
    let decoded_length = parts.headers.remove("x-amz-decoded-content-length");
    let expected = decoded_length.as_ref().and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let Some(length) = decoded_length {
        parts.headers.insert(header::CONTENT_LENGTH, length);
    }
    keep_other_encodings(&mut parts.headers);
    let trailers = Trailers::default();
    parts.extensions.insert(trailers.clone());
    let decoded = decode(body.into_data_stream(), trailers, expected);
    Request::from_parts(parts, Body::http_body_unsync(StreamBody::new(decoded.map_ok(hyper::body::Frame::data))))
}

fn without_signature(uri: &Uri) -> Uri {
    let Some(query) = uri.query().filter(|query| query.contains("Signature=")) else { return uri.clone() };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !SIGNATURE_PARAMETERS.contains(&pair.split('=').next().unwrap_or_default()))
        .collect();
    let text = if kept.is_empty() { uri.path().to_owned() } else { format!("{}?{}", uri.path(), kept.join("&")) };
    // A part of a valid path and query is valid.
    text.parse().unwrap_or_else(|_| uri.clone())
}

/// `aws-chunked` is about the transfer: S3 stores `gzip` for `aws-chunked,gzip`.
fn keep_other_encodings(headers: &mut http::HeaderMap) {
    let Some(value) = headers.remove(header::CONTENT_ENCODING) else { return };
    let text = value.to_str().unwrap_or_default();
    let kept: Vec<&str> = text.split(',').map(str::trim).filter(|e| !e.is_empty() && *e != "aws-chunked").collect();
    if !kept.is_empty()
        && let Ok(value) = HeaderValue::from_str(&kept.join(","))
    {
        headers.insert(header::CONTENT_ENCODING, value);
    }
}

fn decode<S>(input: S, trailers: Trailers, expected: Option<u64>) -> impl Stream<Item = Result<Bytes, StdError>> + Send
where
    S: Stream<Item = Result<Bytes, StdError>> + Send + 'static,
{
    struct Progress<S> {
        input: S,
        decoder: Decoder,
        seen: u64,
    }
    let start = Progress { input: Box::pin(input), decoder: Decoder::new(), seen: 0 };
    futures::stream::try_unfold(Some(start), move |progress| {
        let trailers = trailers.clone();
        async move {
            let Some(mut progress) = progress else { return Ok(None) };
            loop {
                if let Some(piece) = progress.decoder.next()? {
                    progress.seen += piece.len() as u64;
                    return Ok(Some((piece, Some(progress))));
                }
                match progress.input.next().await {
                    Some(bytes) => progress.decoder.push(&bytes?),
                    None => break,
                }
            }
            trailers.fill(progress.decoder.finish()?);
            if expected.is_some_and(|expected| expected != progress.seen) {
                return Err(ChunkError::Truncated.into());
            }
            Ok(None)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> Caller {
        Caller::new("us-east-1".to_owned(), "R".to_owned())
    }

    #[tokio::test]
    async fn a_chunked_request_becomes_a_plain_one_with_its_trailers_aside() {
        let body = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
        let request = Request::put("/b/k")
            .header("authorization", "AWS4-HMAC-SHA256 …")
            .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            .header("x-amz-decoded-content-length", "5")
            .header("content-length", body.len())
            .header("content-encoding", "aws-chunked, gzip")
            .body(http_body_util::Full::new(Bytes::from(body)))
            .unwrap();
        let request = prepare(request, caller());
        assert!(!request.headers().contains_key("authorization"));
        assert_eq!(request.headers()["content-length"], "5");
        assert_eq!(request.headers()["content-encoding"], "gzip");
        let trailers = request.extensions().get::<Trailers>().unwrap().clone();
        assert_eq!(BodyExt::collect(request.into_body()).await.unwrap().to_bytes(), "hello");
        assert_eq!(trailers.get("x-amz-checksum-crc32").as_deref(), Some("NhCmhg=="));
    }

    #[tokio::test]
    async fn a_body_shorter_than_announced_is_an_error() {
        let request = Request::put("/b/k")
            .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            .header("x-amz-decoded-content-length", "6")
            .body(http_body_util::Full::new(Bytes::from("5\r\nhello\r\n0\r\n\r\n")))
            .unwrap();
        assert!(BodyExt::collect(prepare(request, caller()).into_body()).await.is_err());
    }

    #[test]
    fn a_presigned_url_keeps_its_other_parameters() {
        let uri: Uri =
            "/b/k?X-Amz-Algorithm=A&X-Amz-Signature=0&x-amz-checksum-mode=ENABLED&partNumber=1".parse().unwrap();
        assert_eq!(without_signature(&uri).to_string(), "/b/k?x-amz-checksum-mode=ENABLED&partNumber=1");
        let version_2: Uri = "/b/k?AWSAccessKeyId=any&Signature=0%3D&Expires=1".parse().unwrap();
        assert_eq!(without_signature(&version_2).to_string(), "/b/k");
    }
}
