//! Finds the records in the decompressed bytes of one object, however they stand in it.
//!
//! The framing is decided once per object from its first bytes (`detect`): JSON lines, values one behind the
//! other, or a root array; with `router.unwrap`, every root value is an envelope around an array of records. What is
//! framed depends only on the bytes and the settings, never on how they arrive. Whether a record is any good is the
//! scanner's verdict: here only its boundaries count.

mod boundary;
mod detect;
mod envelope;
mod layout;
mod lines;
mod resync;
mod values;
mod window;

use detect::Framing;
use std::io::{self, Read};
use values::Values;
use window::Window;

/// Of a record that is too large to keep, this many bytes go to quarantine; the raw object has the rest.
pub const OVERSIZE_KEPT_BYTES: usize = 64 << 10;

/// What UTF-8 text may start with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One record as it stands in its object.
#[derive(Debug, PartialEq, Eq)]
pub struct Framed<'a> {
    /// Physical line in JSON lines, the record's ordinal in every other framing; from 1.
    pub line: u64,
    /// Offset of `bytes` in the decompressed object.
    pub offset: u64,
    /// The record without surrounding white space; its beginning, when it is `oversize`.
    pub bytes: &'a [u8],
    /// Its whole length, when it is longer than the limit.
    pub oversize: Option<u64>,
    /// Why it is no record, when framing knows already.
    pub fault: Option<Fault>,
}

/// What framing knows to be wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its brackets or strings do not match, so what follows could not be told from it.
    Broken,
    /// The object ends inside the array or envelope of its records; this is what is there of the last one.
    EndsEarly,
    /// A root value without an array where `router.unwrap` points.
    NoArray,
}

/// Splits a byte stream into records.
pub struct Frames<R> {
    window: Window<R>,
    mode: Mode,
    unwrap: Option<String>,
    line: u64,
}

enum Mode {
    Undecided,
    Lines,
    Values(Box<Values>),
}

impl<R: Read> Frames<R> {
    /// Frames of `reader`; a record longer than `record_max` bytes costs no more memory than that. `unwrap` is the
    /// JSON pointer to the array of records in every root value.
    pub fn new(reader: R, record_max: usize, unwrap: Option<&str>) -> Self {
        let window = Window::new(reader, record_max);
        Self { window, mode: Mode::Undecided, unwrap: unwrap.map(str::to_owned), line: 0 }
    }

    /// Decompressed bytes consumed so far.
    pub fn offset(&self) -> u64 {
        self.window.offset()
    }

    /// The next record; white space is passed over. After an error, [`Frames::rest`] has the record it cut short.
    pub fn next_record(&mut self) -> io::Result<Option<Framed<'_>>> {
        let cut = match &mut self.mode {
            Mode::Lines => lines::next(&mut self.window, &mut self.line)?,
            Mode::Values(values) => values.next(&mut self.window, &mut self.line)?,
            Mode::Undecided => {
                self.mode = match detect::framing(&mut self.window, self.unwrap.as_deref())? {
                    Framing::Lines => Mode::Lines,
                    Framing::Values => Mode::Values(Box::new(Values::new())),
                    Framing::Array => Mode::Values(Box::new(Values::in_array())),
                    Framing::Envelopes(pointer) => Mode::Values(Box::new(Values::in_envelopes(pointer))),
                };
                return self.next_record();
            }
        };
        match cut {
            Some(cut) => Ok(Some(self.window.framed(cut))),
            None => self.window.behind_all().map_or(Ok(None), Err),
        }
    }

    /// What was read of a record that an error cut short: its number, offset and bytes.
    pub fn rest(&self) -> Framed<'_> {
        let (offset, bytes) = self.window.rest();
        Framed { line: self.line + 1, offset, bytes, oversize: None, fault: None }
    }
}

#[cfg(test)]
mod tests;
