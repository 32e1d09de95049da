//! The lines of a part, one after the other, decompressed as they are asked for.

use crate::sql::load::Codec;
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, BufReader};

/// Gives each line with its number.
pub(crate) struct Lines<'b> {
    decoder: Box<dyn BufRead + 'b>,
    line: Vec<u8>,
    number: u64,
    expected: u64,
}

impl<'b> Lines<'b> {
    /// The lines of a part of this many records, stored in these bytes.
    pub(crate) fn new(codec: Codec, stored: &'b [u8], expected: u64) -> io::Result<Self> {
        let decoder: Box<dyn BufRead + 'b> = match codec {
            Codec::Gzip => Box::new(BufReader::new(MultiGzDecoder::new(stored))),
            Codec::Zstd => Box::new(BufReader::new(zstd::stream::read::Decoder::with_buffer(stored)?)),
        };
        Ok(Self { decoder, line: Vec::new(), number: 0, expected })
    }

    /// The next line without its line break. Fails at the end of a part that does not have the expected number of them:
    /// what is written of it would not add up.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        self.line.clear();
        if self.decoder.read_until(b'\n', &mut self.line)? == 0 {
            if self.number != self.expected {
                let what = format!("it has {} lines where its seal says {}", self.number, self.expected);
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            return Ok(None);
        }
        if self.line.ends_with(b"\n") {
            self.line.pop();
        }
        self.number += 1;
        Ok(Some((self.number, &self.line)))
    }
}
