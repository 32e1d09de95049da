//! The streams of one codec, one behind the other, as one run of bytes. Zeros between and behind them are padding:
//! tapes and block stores write them.

use super::SomethingElse;
use super::codec::{Codec, Likeness};
use super::stored::Stored;
use std::io::{self, BufRead, Read};

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// Input bytes used.
    pub(super) read: usize,
    /// Output bytes written.
    pub(super) written: usize,
    /// The stream ended and is what its checksum says, if it has one.
    pub(super) ended: bool,
}

/// The decoder of one stream after the other.
pub(super) trait Stream {
    /// Begins the stream whose first byte comes next; may read its header.
    fn begin(&mut self, stored: &mut impl BufRead) -> io::Result<()>;

    /// Decodes until the input is used up, the output is full, or the stream ends. No input: there is none any more.
    fn step(&mut self, input: &[u8], out: &mut [u8]) -> io::Result<Progress>;

    /// What it means that the object ends inside the stream.
    fn ends_early(&self) -> io::Error {
        io::ErrorKind::UnexpectedEof.into()
    }
}

pub(super) struct Streams<R, S> {
    stored: Stored<R>,
    codec: Codec,
    stream: S,
    /// Whether the stream has begun and not ended.
    is_open: bool,
}

impl<R: Read, S: Stream> Streams<R, S> {
    pub(super) fn new(stored: Stored<R>, codec: Codec, stream: S) -> Self {
        Self { stored, codec, stream, is_open: false }
    }

    /// Begins the next stream, if there is one.
    fn next(&mut self) -> io::Result<bool> {
        self.stored.skip_zeros()?;
        let beginning = self.stored.look(Codec::BEGINNING_BYTES)?;
        if beginning.is_empty() {
            return Ok(false);
        }
        match self.codec.likeness(beginning) {
            Likeness::Whole => self.stream.begin(&mut self.stored).map(|()| true),
            Likeness::Partly => Err(io::ErrorKind::UnexpectedEof.into()),
            Likeness::None => Err(io::Error::other(SomethingElse)),
        }
    }
}

impl<R: Read, S: Stream> Read for Streams<R, S> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.is_open {
                self.is_open = self.next()?;
                if !self.is_open {
                    return Ok(0);
                }
            }
            let input = self.stored.fill_buf()?;
            let (is_end, step) = (input.is_empty(), self.stream.step(input, out)?);
            self.stored.consume(step.read);
            self.is_open = !step.ended;
            if step.written > 0 {
                return Ok(step.written);
            }
            if is_end && self.is_open {
                return Err(self.stream.ends_early());
            }
            if step.read == 0 && self.is_open {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the compressed data lead nowhere"));
            }
        }
    }
}
