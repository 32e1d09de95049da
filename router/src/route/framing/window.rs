//! The bytes of an object that are held at the moment, and the record that is being read in them.
//!
//! The record reaches from the mark to the cursor. Past the record limit its beginning is kept and the rest passed
//! over, so a record of any length costs bounded memory.

use super::{Fault, Framed, OVERSIZE_KEPT_BYTES};
use crate::route::decode::is_something_else;
use std::io::{self, Read};

/// Bytes asked of the reader at a time.
pub(super) const BLOCK_BYTES: usize = 256 << 10;

/// Bytes before the record that stay readable: enough to see how a line is indented.
pub(super) const BEHIND_BYTES: usize = 512;

/// One record cut out of the window; valid until the window is filled again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) line: u64,
    pub(super) offset: u64,
    /// Where it stands in the buffer; nowhere when it is `oversize`.
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) oversize: Option<u64>,
    pub(super) fault: Option<Fault>,
}

pub(super) struct Window<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Unread bytes are `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Offset of `buffer[start]` in the stream.
    offset: u64,
    /// The cursor, counted from `start`.
    at: usize,
    /// Offset where the record starts; before that of `start` once its beginning went to `kept`.
    mark: u64,
    kept: Vec<u8>,
    record_max: usize,
    ended: bool,
    /// An error that came behind bytes: those are framed first.
    failed: Option<io::Error>,
}

impl<R: Read> Window<R> {
    pub(super) fn new(reader: R, record_max: usize) -> Self {
        Self {
            reader,
            buffer: vec![0; BLOCK_BYTES],
            start: 0,
            end: 0,
            offset: 0,
            at: 0,
            mark: 0,
            kept: Vec::new(),
            record_max,
            ended: false,
            failed: None,
        }
    }

    pub(super) fn record_max(&self) -> usize {
        self.record_max
    }

    /// Offset of the cursor in the stream.
    pub(super) fn offset(&self) -> u64 {
        self.offset + self.at as u64
    }

    /// Bytes from the cursor on that are here already.
    pub(super) fn ahead(&self) -> &[u8] {
        &self.buffer[self.start + self.at..self.end]
    }

    /// Bytes before the cursor, as far as they are kept, and whether those are all there were.
    pub(super) fn behind(&self) -> (&[u8], bool) {
        let cursor = self.start + self.at;
        let from = cursor.saturating_sub(BEHIND_BYTES);
        (&self.buffer[from..cursor], self.offset() == (cursor - from) as u64)
    }

    /// Reads on into the buffer; whether anything came.
    pub(super) fn more(&mut self) -> bool {
        if self.ended || self.failed.is_some() {
            return false;
        }
        self.make_room();
        // The whole buffer, so that what is framed before an error does not depend on the reader's pace.
        let before = self.end;
        while self.end < self.buffer.len() {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        self.end > before
    }

    /// As [`Window::more`], and the error, if it is one that nothing more comes. What only stands behind whole bytes
    /// is no error until the last record was read.
    pub(super) fn fill(&mut self) -> io::Result<bool> {
        match self.more() {
            true => Ok(true),
            false => self.failed.take_if(|error| !is_something_else(error)).map_or(Ok(false), Err),
        }
    }

    /// What stands behind the last record, if it is not the end.
    pub(super) fn behind_all(&mut self) -> Option<io::Error> {
        self.failed.take()
    }

    /// Grows only as far as a record and a look behind it need.
    fn make_room(&mut self) {
        let behind = self.start.min(BEHIND_BYTES);
        if self.start > behind {
            self.buffer.copy_within(self.start - behind..self.end, 0);
            self.end -= self.start - behind;
            self.start = behind;
        }
        if self.end == self.buffer.len() {
            let unread = self.end - self.start;
            let most = if unread <= self.record_max { self.record_max } else { unread };
            let larger = (self.buffer.len() * 2).min(most + BEHIND_BYTES + BLOCK_BYTES);
            self.buffer.resize(larger, 0);
        }
    }

    /// The next byte; none at the end of the object.
    pub(super) fn peek(&mut self) -> io::Result<Option<u8>> {
        while self.ahead().is_empty() {
            if !self.fill()? {
                return Ok(None);
            }
        }
        Ok(self.ahead().first().copied())
    }

    /// Moves the cursor; the record goes on.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
        if self.at > self.record_max || self.is_cut_short() {
            if !self.is_cut_short() {
                let beginning = self.at.min(OVERSIZE_KEPT_BYTES);
                self.kept.clear();
                self.kept.extend_from_slice(&self.buffer[self.start..self.start + beginning]);
            }
            self.start += self.at;
            self.offset += self.at as u64;
            self.at = 0;
        }
    }

    /// Forgets what is before the cursor: the next record starts there.
    pub(super) fn begin(&mut self) {
        self.start += self.at;
        self.offset += self.at as u64;
        self.at = 0;
        self.mark = self.offset;
    }

    /// Passes over white space.
    pub(super) fn skip_space(&mut self) -> io::Result<()> {
        loop {
            let ahead = self.ahead();
            let spaces = ahead.iter().take_while(|b| is_space(**b)).count();
            let done = spaces < ahead.len();
            self.advance(spaces);
            if done || !self.fill()? {
                return Ok(());
            }
        }
    }

    /// Cuts out a record of so many bytes that starts at the cursor: what [`Window::advance`] and [`Window::cut`] do,
    /// for what is here as a whole.
    pub(super) fn take(&mut self, bytes: usize, line: u64) -> Cut {
        let (offset, from) = (self.offset, self.start);
        let spaces = self.buffer[from..from + bytes].iter().rev().take_while(|b| is_space(**b)).count();
        self.start += bytes;
        self.offset += bytes as u64;
        self.mark = self.offset;
        Cut { line, offset, from, to: from + bytes - spaces, oversize: None, fault: None }
    }

    /// Cuts out the record that ends at the cursor, less white space at its end; the next one starts there.
    pub(super) fn cut(&mut self, line: u64, fault: Option<Fault>) -> Cut {
        let oversize = self.is_cut_short().then(|| self.offset() - self.mark);
        let (offset, from) = (self.mark, self.start);
        let spaces = self.buffer[from..from + self.at].iter().rev().take_while(|b| is_space(**b)).count();
        let to = from + self.at - spaces;
        self.begin();
        Cut { line, offset, from, to, oversize, fault }
    }

    /// A cut's bytes are still in the buffer.
    pub(super) fn framed(&self, cut: Cut) -> Framed<'_> {
        let bytes = if cut.oversize.is_some() { &self.kept[..] } else { &self.buffer[cut.from..cut.to] };
        Framed { line: cut.line, offset: cut.offset, bytes, oversize: cut.oversize, fault: cut.fault }
    }

    /// What is here of the record that is being read.
    pub(super) fn rest(&self) -> (u64, &[u8]) {
        let here = &self.buffer[self.start..self.end];
        let bytes = if self.is_cut_short() { &self.kept[..] } else { here };
        (self.mark, &bytes[..bytes.len().min(OVERSIZE_KEPT_BYTES)])
    }

    fn is_cut_short(&self) -> bool {
        self.mark < self.offset
    }
}

pub(super) fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
impl<R> Window<R> {
    /// Bytes of memory held for the text.
    pub(super) fn capacity(&self) -> usize {
        self.buffer.capacity() + self.kept.capacity()
    }
}
