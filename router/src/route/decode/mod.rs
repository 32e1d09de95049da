//! Codec by content, never by name: gzip, zstd, bzip2, each of any number of streams, or plain. And how far an object
//! is read.

mod gzip;

use bzip2::bufread::MultiBzDecoder;
use gzip::Members;
use std::io::{self, BufRead, BufReader, Read};
use std::time::Instant;

/// Compressed bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// Largest zstd window, as a power of two: 128 MiB, which is what the zstd tool takes without being told to take more.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Bytes that tell every codec.
const MAGIC_BYTES: usize = 10;

/// Reading stopped for a reason that says nothing against what came before: that is whole.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Stopped(pub &'static str);

/// How the bytes of an object are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Codec {
    Gzip,
    Zstd,
    Bzip2,
    Plain,
}

impl Codec {
    /// No JSON text starts like any of them.
    fn of(beginning: &[u8]) -> Self {
        match beginning {
            // RFC 1952, 2.3.1.
            [0x1f, 0x8b, ..] => Self::Gzip,
            // RFC 8878, 3.1: a frame, or a skippable one.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            // A stream's header, then its first block (pi) or its end (square root of pi).
            [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', b'&', b'S', b'Y', ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => Self::Bzip2,
            _ => Self::Plain,
        }
    }
}

/// The decompressed bytes of a source object, at most `max_bytes` of them and none after `deadline`.
pub fn decode<'a>(
    stored: impl Read + Send + 'a,
    max_bytes: u64,
    deadline: Instant,
) -> io::Result<impl Read + Send + 'a> {
    let mut stored = BufReader::with_capacity(READ_BYTES, Filling(stored));
    let beginning = stored.fill_buf()?;
    let decoded: Box<dyn Read + Send + 'a> = match Codec::of(&beginning[..beginning.len().min(MAGIC_BYTES)]) {
        Codec::Gzip => Box::new(Members::new(stored)),
        Codec::Zstd => {
            let mut frames = zstd::stream::read::Decoder::with_buffer(stored)?;
            frames.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(frames)
        }
        Codec::Bzip2 => Box::new(MultiBzDecoder::new(stored)),
        Codec::Plain => Box::new(stored),
    };
    Ok(Limited { decoded, left: max_bytes, deadline })
}

/// What the decoders say of the first bytes of a stream that they cannot begin. Before it every stream was proven whole.
const NOT_BEGUN: [&str; 4] = [
    "invalid gzip header",
    "Unknown frame descriptor",
    "Frame requires too much memory for decoding",
    "bzip2: bz2 header missing",
];

/// Whether an error of the decoder means that bytes before it may be wrong, too: a stream is proven by the checksum
/// at its end. A stream that merely ends, or has something else behind it, is not damaged.
pub fn is_damage(error: &io::Error) -> bool {
    let is_stop = error.get_ref().is_some_and(|inner| inner.is::<Stopped>());
    let is_behind_a_stream = NOT_BEGUN.contains(&error.to_string().as_str());
    error.kind() != io::ErrorKind::UnexpectedEof && !is_stop && !is_behind_a_stream
}

/// Fills the whole buffer or meets the end: what is decoded before damage must not depend on how the network
/// cut the bytes.
struct Filling<R>(R);

impl<R: Read> Read for Filling<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < out.len() {
            match self.0.read(&mut out[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
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
            return stop("reading the object took longer than router.max_object_time");
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
