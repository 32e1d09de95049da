//! Codec by content, never by name: gzip with any number of members, or plain. And how far an object is read.

use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Read};
use std::time::Instant;

/// Compressed bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// Reading stopped at a limit of the settings; what came before is whole.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LimitReached(pub &'static str);

/// The decompressed bytes of a source object, at most `max_bytes` of them and none after `deadline`.
pub fn decode<'a>(
    stored: impl Read + Send + 'a,
    max_bytes: u64,
    deadline: Instant,
) -> io::Result<impl Read + Send + 'a> {
    let mut stored = BufReader::with_capacity(READ_BYTES, Filling(stored));
    // RFC 1952: a gzip member starts with 1f 8b. JSON never does.
    let decoded: Box<dyn Read + Send + 'a> = match stored.fill_buf()? {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(stored)),
        _ => Box::new(stored),
    };
    Ok(Limited { decoded, left: max_bytes, deadline })
}

/// Whether an error of the decoder means that bytes before it may be wrong, too: a gzip member is proven by
/// the checksum at its end. A stream that merely ends, or has something else behind its last member, is not damaged.
pub fn is_damage(error: &io::Error) -> bool {
    let is_limit = error.get_ref().is_some_and(|inner| inner.is::<LimitReached>());
    let after_a_member = error.to_string() == "invalid gzip header";
    error.kind() != io::ErrorKind::UnexpectedEof && !is_limit && !after_a_member
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
        let stop = |why| Err(io::Error::other(LimitReached(why)));
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
