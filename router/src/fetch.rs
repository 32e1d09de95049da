//! Fetches a raw object's bytes for a blocking reader, ahead of it, resuming where a connection broke off.

use crate::route::object::FetchFailed;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use bytes::{Buf, Bytes};
use common::aws_error::AwsError;
use common::source::SourceObject;
use common::telemetry::chain;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Bytes fetched ahead of the reader, per object: enough to begin at once when an object's turn to be routed comes.
const READ_AHEAD_BYTES: usize = 4 << 20;

/// Bounds the bookkeeping where chunks are small; S3's have some 10 to 400 KiB.
const READ_AHEAD_CHUNKS: usize = 512;

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
                e if e.is_no_such_object() => FetchError::Gone,
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

/// A piece of the body, and the room that it takes of what may be read ahead.
type Chunk = (Bytes, OwnedSemaphorePermit);

impl Fetched {
    /// Begins to read the body ahead of a reader on another thread. It goes on for as long as the guard lives.
    pub(crate) fn into_reader(self, s3: Client) -> (ChunkReader, DropGuard) {
        let (sender, receiver) = mpsc::channel(READ_AHEAD_CHUNKS);
        let missing = self.source.bytes;
        let abandoned = CancellationToken::new();
        let pump = pump(s3, self.source, self.response, sender);
        tokio::spawn(abandoned.clone().run_until_cancelled_owned(pump));
        let reader = ChunkReader { receiver, chunk: None, missing, abandoned: abandoned.clone() };
        (reader, abandoned.drop_guard())
    }
}

async fn pump(s3: Client, source: SourceObject, first: GetObjectOutput, sender: mpsc::Sender<io::Result<Chunk>>) {
    let room = Arc::new(Semaphore::new(READ_AHEAD_BYTES));
    let mut body = first.body;
    let mut done = 0u64;
    let mut resumes = 0;
    loop {
        let broken = match body.next().await {
            Some(Ok(chunk)) => {
                (done, resumes) = (done + chunk.len() as u64, 0);
                let wanted = chunk.len().min(READ_AHEAD_BYTES) as u32;
                let taken = room.clone().acquire_many_owned(wanted).await.expect("the semaphore is never closed");
                if sender.send(Ok((chunk, taken))).await.is_err() {
                    return;
                }
                continue;
            }
            None if done >= source.bytes => return,
            None => "the body ended early".to_owned(),
            Some(Err(error)) if done >= source.bytes => {
                // All bytes came, and then the checksum does not match: there is nothing to resume.
                return give_up(&sender, format!("after its last byte: {}", chain(&error))).await;
            }
            Some(Err(error)) => chain(&error),
        };
        body = loop {
            resumes += 1;
            if resumes > RESUMES {
                return give_up(&sender, format!("{broken}, and resuming failed {RESUMES} times")).await;
            }
            tokio::time::sleep(Duration::from_millis(100 << resumes)).await;
            // If-Match: bytes of two versions must never be joined.
            let get = s3.get_object().bucket(&source.bucket).key(&source.key).if_match(format!("\"{}\"", source.etag));
            let get = get.set_version_id(source.version_id.clone()).range(format!("bytes={done}-"));
            match get.send().await {
                Ok(response) if begins_at(response.content_range(), done) => break response.body,
                Ok(response) => {
                    let range = response.content_range().unwrap_or("the whole object");
                    return give_up(&sender, format!("asked for the bytes from {done} on, and got {range}")).await;
                }
                Err(error) => {
                    let error = AwsError::new("GetObject", source.uri(), error);
                    if !error.is_transient() {
                        return give_up(&sender, error.to_string()).await;
                    }
                    tracing::debug!(source.key, %error, "could not resume");
                }
            }
        };
    }
}

/// A reader that is gone needs no error.
async fn give_up(sender: &mpsc::Sender<io::Result<Chunk>>, why: String) {
    drop(sender.send(Err(io::Error::other(FetchFailed(why)))).await);
}

/// Whether the answer to a ranged GET goes on where the bytes at hand end. One without a range is the whole object
/// (RFC 9110, 14.2: a server may ignore `Range`), and appended it would be read twice.
fn begins_at(content_range: Option<&str>, done: u64) -> bool {
    let range = content_range.and_then(|range| range.strip_prefix("bytes "));
    range.and_then(|range| range.split_once('-')).and_then(|(first, _)| first.parse().ok()) == Some(done)
}

/// The body, for a thread that may block.
pub(crate) struct ChunkReader {
    receiver: mpsc::Receiver<io::Result<Chunk>>,
    chunk: Option<Chunk>,
    /// Bytes of the object that have not come yet.
    missing: u64,
    /// Cancelled when nobody wants to know any more what is in the object.
    abandoned: CancellationToken,
}

impl ChunkReader {
    /// Waits for the first bytes, or for the end of an empty object, without taking a thread.
    pub(crate) async fn first_bytes(&mut self) -> io::Result<()> {
        // What it means that none come is told by the first read.
        if let Some(chunk) = self.receiver.recv().await {
            self.take_in(chunk?);
        }
        Ok(())
    }

    fn take_in(&mut self, chunk: Chunk) {
        self.missing = self.missing.saturating_sub(chunk.0.len() as u64);
        self.chunk = Some(chunk);
    }
}

impl Read for ChunkReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.abandoned.is_cancelled() {
                return Err(io::Error::other(FetchFailed("fetching was abandoned".to_owned())));
            }
            if let Some((bytes, _)) = &mut self.chunk
                && !bytes.is_empty()
            {
                let n = out.len().min(bytes.len());
                bytes.copy_to_slice(&mut out[..n]);
                return Ok(n);
            }
            // Its room is free before the next one is waited for.
            self.chunk = None;
            match self.receiver.blocking_recv() {
                Some(chunk) => self.take_in(chunk?),
                None if self.missing == 0 => return Ok(0),
                // The sender is gone with the runtime: half an object must never look like a whole one.
                None => return Err(io::Error::other(FetchFailed("fetching was abandoned".to_owned()))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(bytes: &'static [u8]) -> io::Result<Chunk> {
        let room = Arc::new(Semaphore::new(bytes.len()));
        Ok((Bytes::from_static(bytes), room.try_acquire_many_owned(bytes.len() as u32).expect("there is room")))
    }

    fn reader(missing: u64, chunks: &[&'static [u8]]) -> ChunkReader {
        let (sender, receiver) = mpsc::channel(8);
        for bytes in chunks {
            sender.try_send(chunk(bytes)).expect("there is room");
        }
        ChunkReader { receiver, chunk: None, missing, abandoned: CancellationToken::new() }
    }

    fn is_failed_fetch(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<FetchFailed>())
    }

    #[test]
    fn a_body_that_stops_early_is_an_error_and_never_an_end() {
        let mut out = Vec::new();
        let error = reader(8, &[b"half"]).read_to_end(&mut out).expect_err("four bytes are missing");
        assert!(is_failed_fetch(&error));
        assert_eq!(out, b"half");
    }

    #[tokio::test]
    async fn the_bytes_that_were_waited_for_are_read_first() {
        let mut reader = reader(8, &[b"one ", b"two!"]);
        reader.first_bytes().await.expect("they came");
        let mut text = String::new();
        let read = tokio::task::spawn_blocking(move || reader.read_to_string(&mut text).map(|_| text));
        assert_eq!(read.await.expect("no panic").expect("whole"), "one two!");
    }

    #[test]
    fn a_resumed_body_is_taken_only_from_the_byte_that_is_missing() {
        assert!(begins_at(Some("bytes 5-9/10"), 5));
        for other in [None, Some("bytes 0-9/10"), Some("bytes 50-59/60"), Some("bytes */10"), Some("items 5-9/10")] {
            assert!(!begins_at(other, 5), "{other:?}");
        }
    }

    #[test]
    fn an_abandoned_object_is_an_error_although_more_was_read_ahead() {
        let mut reader = reader(8, &[b"one ", b"two!"]);
        let mut out = [0; 4];
        reader.read_exact(&mut out).expect("the first four");
        reader.abandoned.cancel();
        assert!(is_failed_fetch(&reader.read(&mut out).expect_err("nobody wants it")));
    }
}
