//! A bzip2 stream. Every block of it is proven before it is given.

use super::streams::{Progress, Stream};
use bzip2::{Decompress, Status};
use std::io::{self, BufRead};

pub(super) struct Bzip2Stream(Decompress);

impl Bzip2Stream {
    pub(super) fn new() -> Self {
        Self(Decompress::new(false))
    }
}

impl Stream for Bzip2Stream {
    fn begin(&mut self, _: &mut impl BufRead) -> io::Result<()> {
        *self = Self::new();
        Ok(())
    }

    fn step(&mut self, input: &[u8], out: &mut [u8]) -> io::Result<Progress> {
        let (read, written) = (self.0.total_in(), self.0.total_out());
        let status =
            self.0.decompress(input, out).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let (read, written) = (self.0.total_in() - read, self.0.total_out() - written);
        // No more than the slices hold.
        Ok(Progress { read: read as usize, written: written as usize, ended: status == Status::StreamEnd })
    }
}
