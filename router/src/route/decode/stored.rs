//! The stored bytes of an object, buffered, with a look ahead.

use super::{Stopped, TOO_SLOW};
use std::io::{self, BufRead, Read};
use std::time::Instant;

/// Bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// The bytes, buffered.
pub(super) struct Stored<R> {
    source: Source<R>,
    buffer: Box<[u8]>,
    /// Unread bytes are `buffer[start..end]`.
    start: usize,
    end: usize,
}

/// Where they come from.
struct Source<R> {
    reader: R,
    deadline: Instant,
    has_begun: bool,
}

impl<R: Read> Source<R> {
    /// Fills the whole buffer or meets the end: what is decoded before damage must not depend on how the network cut
    /// the bytes. Only the deadline stops it before; a slow source may not outlast it.
    fn fill(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < out.len() {
            if self.has_begun && Instant::now() > self.deadline {
                match filled {
                    0 => return Err(io::Error::other(Stopped(TOO_SLOW))),
                    _ => break,
                }
            }
            match self.reader.read(&mut out[filled..]) {
                Ok(0) => break,
                Ok(n) => (filled, self.has_begun) = (filled + n, true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl<R: Read> Stored<R> {
    pub(super) fn new(reader: R, deadline: Instant) -> Self {
        let source = Source { reader, deadline, has_begun: false };
        Self { source, buffer: vec![0; READ_BYTES].into_boxed_slice(), start: 0, end: 0 }
    }

    /// The next bytes, which stay unread: `bytes` of them, unless the object ends before.
    pub(super) fn look(&mut self, bytes: usize) -> io::Result<&[u8]> {
        if self.end - self.start < bytes {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            self.end += self.source.fill(&mut self.buffer[self.end..])?;
        }
        Ok(&self.buffer[self.start..self.end.min(self.start + bytes)])
    }

    /// Moves behind padding.
    pub(super) fn skip_zeros(&mut self) -> io::Result<()> {
        loop {
            let here = self.fill_buf()?;
            let zeros = here.iter().take_while(|b| **b == 0).count();
            let done = zeros < here.len() || here.is_empty();
            self.consume(zeros);
            if done {
                return Ok(());
            }
        }
    }
}

impl<R: Read> Read for Stored<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end && out.len() >= self.buffer.len() {
            return self.source.fill(out);
        }
        let here = self.fill_buf()?;
        let n = here.len().min(out.len());
        out[..n].copy_from_slice(&here[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl<R: Read> BufRead for Stored<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.start = 0;
            self.end = self.source.fill(&mut self.buffer)?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
    }
}
