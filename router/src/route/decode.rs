//! Codec by content, never by name: gzip with any number of members, or plain.

use flate2::bufread::MultiGzDecoder;
use std::io::{BufRead, BufReader, Read};

/// Compressed bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// The decompressed bytes of a source object.
pub fn decode<'a>(stored: impl Read + Send + 'a) -> std::io::Result<Box<dyn Read + Send + 'a>> {
    let mut stored = BufReader::with_capacity(READ_BYTES, stored);
    // RFC 1952: a gzip member starts with 1f 8b. JSON never does.
    match stored.fill_buf()? {
        [0x1f, 0x8b, ..] => Ok(Box::new(MultiGzDecoder::new(stored))),
        _ => Ok(Box::new(stored)),
    }
}
