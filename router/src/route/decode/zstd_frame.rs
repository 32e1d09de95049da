//! A Zstandard frame, or one to be skipped.

use super::Stopped;
use super::streams::{Progress, Stream};
use std::io::{self, BufRead};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// Largest window, as a power of two: 128 MiB, which is what the zstd tool takes without being told to take more.
const WINDOW_LOG_MAX: u32 = 27;

/// The library's words for a frame that asks for a larger one.
const WINDOW_TOO_LARGE: &str = "Frame requires too much memory for decoding";

pub(super) struct ZstdFrame(Decoder<'static>);

impl ZstdFrame {
    pub(super) fn new() -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
        Ok(Self(decoder))
    }
}

impl Stream for ZstdFrame {
    fn begin(&mut self, _: &mut impl BufRead) -> io::Result<()> {
        self.0.reinit()
    }

    fn step(&mut self, input: &[u8], out: &mut [u8]) -> io::Result<Progress> {
        let (mut from, mut to) = (InBuffer::around(input), OutBuffer::around(out));
        let left = self.0.run(&mut from, &mut to).map_err(|error| match error.to_string().as_str() {
            // Nothing of the frame was decoded.
            WINDOW_TOO_LARGE => io::Error::other(Stopped("a zstd frame asks for a window of more than 128 MiB")),
            _ => error,
        })?;
        Ok(Progress { read: from.pos(), written: to.pos(), ended: left == 0 })
    }
}
