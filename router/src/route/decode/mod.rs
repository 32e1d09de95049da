//! Codec by content, never by name: gzip, zstd, bzip2, each of any number of streams, or plain. And how far an object
//! is read.

mod bzip2_stream;
mod codec;
mod gzip_member;
mod stored;
mod streams;
mod zstd_frame;

use bzip2_stream::Bzip2Stream;
use codec::Codec;
use gzip_member::{GzipMember, OfBuild};
use std::io::{self, Read};
use std::time::Instant;
use stored::Stored;
use streams::Streams;
use zstd_frame::ZstdFrame;

const TOO_SLOW: &str = "reading the object took longer than router.max_object_time";

/// Reading stopped for a reason that says nothing against what came before: that is whole.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Stopped(pub &'static str);

/// Behind the last stream stands something that is none: what came before is whole, and all there is.
#[derive(Debug, thiserror::Error)]
#[error("behind the last compressed stream stands something else")]
pub struct SomethingElse;

/// The decompressed bytes of a source object, at most `max_bytes` of them and none after `deadline`.
pub fn decode<'a>(
    stored: impl Read + Send + 'a,
    max_bytes: u64,
    deadline: Instant,
) -> io::Result<impl Read + Send + 'a> {
    let mut stored = Stored::new(stored, deadline);
    let codec = Codec::of(stored.look(Codec::BEGINNING_BYTES)?);
    let decoded: Box<dyn Read + Send + 'a> = match codec {
        Codec::Gzip => Box::new(Streams::new(stored, codec, GzipMember::<OfBuild>::default())),
        Codec::Zstd => Box::new(Streams::new(stored, codec, ZstdFrame::new()?)),
        Codec::Bzip2 => Box::new(Streams::new(stored, codec, Bzip2Stream::new())),
        Codec::Plain => Box::new(stored),
    };
    Ok(Limited { decoded, left: max_bytes, deadline })
}

/// Whether an error of the decoder means that bytes before it may be wrong, too: a stream is proven by the checksum
/// at its end. A stream that merely ends, or has something else behind it, is not damaged.
pub fn is_damage(error: &io::Error) -> bool {
    let is_stop = error.get_ref().is_some_and(|inner| inner.is::<Stopped>());
    error.kind() != io::ErrorKind::UnexpectedEof && !is_stop && !is_something_else(error)
}

/// Whether the error stands behind bytes that are whole, the last one included.
pub fn is_something_else(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<SomethingElse>())
}

struct Limited<R> {
    decoded: R,
    left: u64,
    deadline: Instant,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let stop = |why| Err(io::Error::other(Stopped(why)));
        if Instant::now() > self.deadline {
            return stop(TOO_SLOW);
        }
        if self.left == 0 {
            return match self.decoded.read(&mut [0])? {
                0 => Ok(0),
                _ => stop("the object has more bytes than router.max_object_bytes"),
            };
        }
        let most = out.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.decoded.read(&mut out[..most])?;
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
