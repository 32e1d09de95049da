//! One root value after another from a byte stream: separated by any white space or none, at most 4 MB each.

use std::io::{self, Read};

use super::log::LoadError;
use super::shred::{ShredError, Shredder};
use crate::redshift::values::json;

/// Largest single JSON object or array (Developer Guide: `copy-parameters-data-format`).
const MAX_RECORD: usize = 4 * 1024 * 1024;
const READ_SIZE: usize = 256 * 1024;
/// A token cut in half by the end of what was read so far is at most this long (`\u` and its digits).
const LONGEST_TOKEN: usize = 8;

pub(super) struct Record<'b> {
    pub(super) values: Vec<Option<&'b [u8]>>,
    /// The line it ends on.
    pub(super) line: i64,
}

pub(super) struct Records {
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// Where the next record may start.
    at: usize,
    /// Line of `at`, from 1.
    line: i64,
    ended: bool,
    bytes_read: i64,
    /// Where in the buffer the values of the record just found are: one walk over it is enough.
    found: Vec<Option<(usize, usize)>>,
}

/// Why there is no next record.
pub(super) enum RecordError {
    /// It is no record, or none that loads.
    Wrong(LoadError),
    /// The file ends here for whoever reads it.
    Unreadable(io::Error),
}

/// What was found at the start of a record, before it is taken.
enum Found {
    End,
    Junk,
    Record { end: usize },
    NoElement,
    Malformed(String),
    TooLarge,
}

impl Records {
    pub(super) fn new(reader: Box<dyn Read + Send>) -> Records {
        Records { reader, buffer: Vec::new(), at: 0, line: 1, ended: false, bytes_read: 0, found: Vec::new() }
    }

    pub(super) fn bytes_read(&self) -> i64 {
        self.bytes_read
    }

    /// The next record's values, or why there are none; after an error reading goes on behind it.
    pub(super) fn next<'b>(&'b mut self, shredder: &Shredder) -> Result<Option<Record<'b>>, RecordError> {
        let found = self.find(shredder)?;
        let start = self.at;
        match found {
            Found::End => Ok(None),
            Found::Record { end } => {
                self.advance(end);
                let values = self.found.iter().map(|place| place.map(|(start, end)| &self.buffer[start..end]));
                Ok(Some(Record { values: values.collect(), line: self.line }))
            }
            Found::NoElement => {
                let end = json::skip_value(&self.buffer, start).unwrap_or(self.buffer.len());
                self.advance(end);
                let message = "Invalid JSONPath format: Not an array or index out of range.";
                Err(RecordError::Wrong(LoadError::in_record(self.line, 1216, message)))
            }
            Found::Junk => {
                let end = self.buffer[start..].iter().position(|b| matches!(b, b'{' | b'[' | b'\n'));
                self.advance(end.map_or(self.buffer.len(), |offset| start + offset.max(1)));
                let message = "Invalid JSON: only white space may stand between objects";
                Err(RecordError::Wrong(LoadError::in_record(self.line, 1216, message)))
            }
            Found::Malformed(reason) => {
                // What follows the error may belong to it up to the end of its line.
                let end =
                    memchr::memchr(b'\n', &self.buffer[start..]).map_or(self.buffer.len(), |offset| start + offset);
                self.advance(end);
                let message = format!("Invalid JSON: {reason}");
                Err(RecordError::Wrong(LoadError::in_record(self.line, 1216, message)))
            }
            Found::TooLarge => {
                let message = "Input line is not valid: a JSON object or array is larger than 4 MB";
                let failure = LoadError { fatal: true, ..LoadError::in_record(self.line, 1216, message) };
                Err(RecordError::Wrong(failure))
            }
        }
    }

    fn find(&mut self, shredder: &Shredder) -> Result<Found, RecordError> {
        loop {
            let start = json::skip_space(&self.buffer, self.at);
            self.advance(start);
            let Some(first) = self.buffer.get(start).copied() else {
                if self.ended {
                    return Ok(Found::End);
                }
                self.read_more()?;
                continue;
            };
            if first != b'{' && (first != b'[' || !shredder.takes_arrays()) {
                if first == b'[' {
                    return Ok(Found::Malformed("an array needs a JSONPaths file".to_owned()));
                }
                return Ok(Found::Junk);
            }
            match shredder.shred(&self.buffer, start) {
                Ok((_, end)) if end - start > MAX_RECORD => return Ok(Found::TooLarge),
                Ok((values, end)) => {
                    let origin = self.buffer.as_ptr().addr();
                    let place = |value: &[u8]| {
                        let start = value.as_ptr().addr() - origin;
                        (start, start + value.len())
                    };
                    self.found = values.into_iter().map(|value| value.map(place)).collect();
                    return Ok(Found::Record { end });
                }
                Err(ShredError::NoElement) => return Ok(Found::NoElement),
                Err(ShredError::Malformed(error)) => {
                    if self.ended || error.at + LONGEST_TOKEN < self.buffer.len() {
                        return Ok(Found::Malformed(error.reason.to_owned()));
                    }
                    if self.buffer.len() - start > MAX_RECORD + READ_SIZE {
                        return Ok(Found::TooLarge);
                    }
                    self.read_more()?;
                }
            }
        }
    }

    /// Moves on to `end`, counting lines.
    fn advance(&mut self, end: usize) {
        self.line += memchr::memchr_iter(b'\n', &self.buffer[self.at..end]).count() as i64;
        self.at = end;
    }

    fn read_more(&mut self) -> Result<(), RecordError> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let before = self.buffer.len();
        // Larger steps for larger records: each one starts over at the record's first byte.
        let wanted = READ_SIZE.max(before);
        let mut limited = (&mut self.reader).take(wanted as u64);
        match limited.read_to_end(&mut self.buffer) {
            Ok(read) => {
                self.ended = read < wanted;
                self.bytes_read += read as i64;
                Ok(())
            }
            Err(error) => {
                self.ended = true;
                Err(RecordError::Unreadable(error))
            }
        }
    }
}
