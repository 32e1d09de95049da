//! Fetches a raw object's bytes for a blocking reader, resuming where a connection broke off.

use crate::route::object::FetchFailed;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use bytes::{Buf, Bytes};
use common::aws_error::AwsError;
use common::source::SourceObject;
use std::io::{self, Read};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::mpsc;

/// Chunks on their way to the reader: with chunks of some 64 KiB, half a megabyte an object.
const CHUNKS_IN_FLIGHT: usize = 8;

/// Broken connections in a row, without a byte between them, after which the delivery is given back.
const RESUMES: u32 = 5;

/// An object whose GET was answered.
pub(crate) struct Fetched {
    /// What it is: identity, time and size as the answer says.
    pub source: SourceObject,
    response: GetObjectOutput,
}

/// Why there is nothing to fetch.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// The object is not there any more.
    #[error("the object does not exist any more")]
    Gone,
    /// The object has other contents by now, which have their own notification.
    #[error("the object was overwritten")]
    Superseded,
    /// S3 refused or did not answer.
    #[error(transparent)]
    Aws(AwsError),
}

/// Asks for an object: the version and ETag that the notification named, where it did.
pub(crate) async fn fetch(
    s3: &Client,
    bucket: &str,
    key: &str,
    etag: Option<&str>,
    version_id: Option<&str>,
) -> Result<Fetched, FetchError> {
    let get = s3.get_object().bucket(bucket).key(key).set_version_id(version_id.map(str::to_owned));
    let response = match get.set_if_match(etag.map(|etag| format!("\"{etag}\""))).send().await {
        Ok(response) => response,
        Err(error) => {
            let error = AwsError::new("GetObject", format!("s3://{bucket}/{key}"), error);
            return Err(match error {
                e if e.is_precondition_failed() => FetchError::Superseded,
                e if e.is_not_found() && e.code.as_deref() != Some("NoSuchBucket") => FetchError::Gone,
                e => FetchError::Aws(e),
            });
        }
    };
    let modified = response.last_modified.and_then(|at| OffsetDateTime::from_unix_timestamp(at.secs()).ok());
    let source = SourceObject {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        etag: response.e_tag.as_deref().unwrap_or_default().trim_matches('"').to_owned(),
        version_id: version_id.map(str::to_owned),
        time: modified.unwrap_or(OffsetDateTime::UNIX_EPOCH),
        bytes: response.content_length.and_then(|n| n.try_into().ok()).unwrap_or(0),
    };
    Ok(Fetched { source, response })
}

impl Fetched {
    /// Streams the body to a reader on another thread. Bytes flow as long as the reader lives.
    pub(crate) fn into_reader(self, s3: Client) -> ChunkReader {
        let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
        let missing = self.source.bytes;
        tokio::spawn(pump(s3, self.source, self.response, sender));
        ChunkReader { receiver, chunk: Bytes::new(), missing }
    }
}

async fn pump(s3: Client, source: SourceObject, first: GetObjectOutput, sender: mpsc::Sender<io::Result<Bytes>>) {
    let mut body = first.body;
    let mut done = 0u64;
    let mut resumes = 0;
    loop {
        let broken = match body.next().await {
            Some(Ok(chunk)) => {
                (done, resumes) = (done + chunk.len() as u64, 0);
                if sender.send(Ok(chunk)).await.is_err() {
                    return;
                }
                continue;
            }
            None if done >= source.bytes => return,
            None => "the body ended early".to_owned(),
            Some(Err(error)) => error.to_string(),
        };
        body = loop {
            resumes += 1;
            if resumes > RESUMES {
                let why = FetchFailed(format!("{broken}, and resuming failed {RESUMES} times"));
                // A reader that is gone needs no error.
                drop(sender.send(Err(io::Error::other(why))).await);
                return;
            }
            tokio::time::sleep(Duration::from_millis(100 << resumes)).await;
            // If-Match: bytes of two versions must never be joined.
            let get = s3.get_object().bucket(&source.bucket).key(&source.key).if_match(format!("\"{}\"", source.etag));
            let get = get.set_version_id(source.version_id.clone()).range(format!("bytes={done}-"));
            match get.send().await {
                Ok(response) => break response.body,
                Err(error) => {
                    let error = AwsError::new("GetObject", source.uri(), error);
                    if !error.is_transient() {
                        drop(sender.send(Err(io::Error::other(FetchFailed(error.to_string())))).await);
                        return;
                    }
                    tracing::debug!(source.key, %error, "could not resume");
                }
            }
        };
    }
}

/// The body, for a thread that may block.
pub(crate) struct ChunkReader {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    chunk: Bytes,
    /// Bytes of the object that have not come yet.
    missing: u64,
}

impl Read for ChunkReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.receiver.blocking_recv() {
                Some(chunk) => {
                    self.chunk = chunk?;
                    self.missing = self.missing.saturating_sub(self.chunk.len() as u64);
                }
                None if self.missing == 0 => return Ok(0),
                // The sender is gone with the runtime: half an object must never look like a whole one.
                None => return Err(io::Error::other(FetchFailed("fetching was abandoned".to_owned()))),
            }
        }
        let n = out.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut out[..n]);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_stops_early_is_an_error_and_never_an_end() {
        let (sender, receiver) = mpsc::channel(2);
        sender.try_send(Ok(Bytes::from_static(b"half"))).expect("there is room");
        drop(sender);
        let mut reader = ChunkReader { receiver, chunk: Bytes::new(), missing: 8 };
        let mut out = Vec::new();
        let error = reader.read_to_end(&mut out).expect_err("four bytes are missing");
        assert!(error.get_ref().is_some_and(|inner| inner.is::<FetchFailed>()));
        assert_eq!(out, b"half");
    }
}
