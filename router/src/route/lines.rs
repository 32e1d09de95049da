//! Frames JSON lines: LF or CRLF, blank lines, a byte order mark, no final newline. One record per line.

use memchr::memchr;
use std::io::Read;

/// Bytes asked of the reader at a time.
const BLOCK_BYTES: usize = 256 << 10;

/// Of a record that is too large to keep, this many bytes go to quarantine; the raw object has the rest.
pub const OVERSIZE_KEPT_BYTES: usize = 64 << 10;

/// One record as it stands in its object.
#[derive(Debug, PartialEq, Eq)]
pub struct Framed<'a> {
    /// Physical line, from 1.
    pub line: u64,
    /// Offset of `bytes` in the decompressed object.
    pub offset: u64,
    /// The record without surrounding white space; its beginning, when it is `oversize`.
    pub bytes: &'a [u8],
    /// Its whole length, when it is longer than the limit.
    pub oversize: Option<u64>,
}

/// Splits a byte stream into records.
pub struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Unread bytes are `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Offset of `buffer[start]` in the stream.
    offset: u64,
    line: u64,
    record_max: usize,
    ended: bool,
    /// An error that came behind bytes: those are framed first.
    failed: Option<std::io::Error>,
    oversize: Vec<u8>,
}

impl<R: Read> Lines<R> {
    /// Frames of `reader`; a line longer than `record_max` bytes costs no more memory than that.
    pub fn new(reader: R, record_max: usize) -> Self {
        let buffer = vec![0; BLOCK_BYTES];
        Self {
            reader,
            buffer,
            start: 0,
            end: 0,
            offset: 0,
            line: 0,
            record_max,
            ended: false,
            failed: None,
            oversize: Vec::new(),
        }
    }

    /// Decompressed bytes consumed so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The line on which reading stands.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The next record; blank lines are passed over. After an error, [`Lines::rest`] has the broken line.
    pub fn next_record(&mut self) -> std::io::Result<Option<Framed<'_>>> {
        loop {
            let Some(length) = self.find_line()? else { return Ok(None) };
            if length > self.record_max {
                return self.skip_oversize().map(Some);
            }
            self.line += 1;
            let from = self.start;
            let offset = self.offset;
            self.consume(length);
            let line = &self.buffer[from..from + length];
            let bom = if offset == 0 && line.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
            let before = bom + line[bom..].iter().take_while(|b| is_space(**b)).count();
            if before == length {
                continue;
            }
            let after = line.iter().rev().take_while(|b| is_space(**b)).count();
            let (from, to) = (from + before, from + length - after);
            let bytes = &self.buffer[from..to];
            return Ok(Some(Framed { line: self.line, offset: offset + before as u64, bytes, oversize: None }));
        }
    }

    /// What was read of a line that an error cut short: its number, offset and bytes.
    pub fn rest(&self) -> Framed<'_> {
        let bytes = &self.buffer[self.start..self.end];
        Framed {
            line: self.line + 1,
            offset: self.offset,
            bytes: &bytes[..bytes.len().min(OVERSIZE_KEPT_BYTES)],
            oversize: None,
        }
    }

    /// Length of the next line with its newline; one byte more than the limit when it is longer.
    fn find_line(&mut self) -> std::io::Result<Option<usize>> {
        let mut looked = 0;
        loop {
            if let Some(at) = memchr(b'\n', &self.buffer[self.start + looked..self.end]) {
                return Ok(Some(looked + at + 1));
            }
            looked = self.end - self.start;
            if looked > self.record_max {
                return Ok(Some(looked));
            }
            if self.ended {
                return Ok((looked > 0).then_some(looked));
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> std::io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            let larger = (self.buffer.len() * 2).min(self.record_max + 1 + BLOCK_BYTES);
            self.buffer.resize(larger, 0);
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        // The whole buffer, so that what is framed before an error does not depend on the reader's pace.
        let before = self.end;
        while self.end < self.buffer.len() {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(read) => self.end += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if self.end == before => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok(())
    }

    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Keeps the beginning of a line over the limit and passes over the rest of it.
    fn skip_oversize(&mut self) -> std::io::Result<Framed<'_>> {
        let offset = self.offset;
        let unread = &self.buffer[self.start..self.end];
        self.oversize.clear();
        self.oversize.extend_from_slice(&unread[..unread.len().min(OVERSIZE_KEPT_BYTES)]);
        loop {
            let found = memchr(b'\n', &self.buffer[self.start..self.end]);
            let length = found.map_or(self.end - self.start, |at| at + 1);
            self.consume(length);
            if found.is_some() || (self.ended && self.start == self.end) {
                break;
            }
            self.fill()?;
        }
        self.line += 1;
        let length = self.offset - offset;
        Ok(Framed { line: self.line, offset, bytes: &self.oversize, oversize: Some(length) })
    }
}

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A reader that gives at most `step` bytes at a time.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let n = self.0.len().min(self.1).min(out.len());
            out[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn frames(bytes: &[u8], step: usize, record_max: usize) -> Vec<(u64, u64, Vec<u8>, Option<u64>)> {
        let mut lines = Lines::new(Dribble(bytes, step), record_max);
        let mut found = Vec::new();
        while let Some(f) = lines.next_record().expect("no error") {
            found.push((f.line, f.offset, f.bytes.to_vec(), f.oversize));
        }
        assert_eq!(lines.offset(), bytes.len() as u64);
        found
    }

    #[test]
    fn physical_lines_and_offsets_are_kept_through_every_kind_of_line_end() {
        let text = b"\xef\xbb\xbf{\"a\":1}\r\n\n  {\"b\":2}\t\n \r\n{\"c\":3}";
        let expected = vec![
            (1, 3, b"{\"a\":1}".to_vec(), None),
            (3, 15, b"{\"b\":2}".to_vec(), None),
            (5, 27, b"{\"c\":3}".to_vec(), None),
        ];
        assert_eq!(frames(text, 1, 100), expected);
        assert_eq!(frames(text, 1_000, 100), expected);
    }

    #[test]
    fn an_oversize_line_costs_its_own_record_only() {
        let mut text = b"{\"a\":1}\n".to_vec();
        text.extend(std::iter::repeat_n(b'x', 1_000_000));
        text.extend(b"\n{\"c\":3}");
        let found = frames(&text, 70_000, 300_000);
        assert_eq!(found.len(), 3);
        assert_eq!((found[1].0, found[1].1, found[1].3), (2, 8, Some(1_000_001)));
        assert_eq!(found[1].2, vec![b'x'; OVERSIZE_KEPT_BYTES]);
        assert_eq!(found[2], (3, 1_000_009, b"{\"c\":3}".to_vec(), None));
    }

    proptest! {
        #[test]
        fn any_chunking_frames_the_same_records(
            lines in prop::collection::vec("[ {}a\r]{0,12}", 0..30), last_newline: bool, step in 1usize..40,
        ) {
            let mut text = lines.join("\n").into_bytes();
            if last_newline {
                text.push(b'\n');
            }
            prop_assert_eq!(frames(&text, step, 1_000), frames(&text, usize::MAX, 1_000));
        }
    }
}
