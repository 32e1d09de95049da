//! A gzip member: a header, a deflate body, and the checksum and length that prove it.
//!
//! Which library inflates the body is the build's choice. What is said of a file must not depend on it (docs/adr/0010):
//! both inflate behind the same few lines, and damage has one sentence, whoever notices it first.

#[cfg(any(test, not(feature = "isal")))]
mod zlib;

use super::Stopped;
use super::streams::{Progress, Stream};
use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, Read};

/// A member's body and what stands behind it, for one member after the other.
pub(super) trait Inflate: Default {
    /// Begins the next member, behind its header.
    fn restart(&mut self);

    /// Decodes until the input is used up, the output is full, or the member ends and is proven. None: damage.
    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Option<Progress>;

    /// How much of checksum and length was read so far, and whether it is right. None: the body goes on.
    fn trailer(&self) -> Option<(usize, bool)>;
}

#[cfg(not(feature = "isal"))]
pub(super) type OfBuild = zlib::Zlib;
#[cfg(feature = "isal")]
pub(super) type OfBuild = router_isal::Inflate;

#[cfg(feature = "isal")]
impl Inflate for router_isal::Inflate {
    fn restart(&mut self) {
        router_isal::Inflate::restart(self);
    }

    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Option<Progress> {
        let step = router_isal::Inflate::step(self, input, out).ok()?;
        Some(Progress { read: step.read, written: step.written, ended: step.ended })
    }

    fn trailer(&self) -> Option<(usize, bool)> {
        router_isal::Inflate::trailer(self)
    }
}

/// How far the length that a body decodes to can be from the true one when a changed bit hid its end: as much as one
/// block of any usual encoder holds.
const ASTRAY_BYTES: u32 = 8 << 20;

/// The first part of a member's trailer (RFC 1952, 2.3.1).
const CHECKSUM_BYTES: usize = 4;

#[derive(Default)]
pub(super) struct GzipMember<I> {
    inflate: I,
    /// Decoded bytes, as the trailer counts them.
    length: u32,
    /// The last four bytes read: a member's length, if it ends there.
    last: [u8; 4],
}

impl<I: Inflate> Stream for GzipMember<I> {
    fn begin(&mut self, stored: &mut impl BufRead) -> io::Result<()> {
        let mut header = GzDecoder::new(stored);
        if header.header().is_none() {
            return match header.read(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    Err(io::Error::other(Stopped("the header of a gzip member is invalid")))
                }
                Err(error) => Err(error),
                Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        self.inflate.restart();
        (self.length, self.last) = (0, [0; 4]);
        Ok(())
    }

    fn step(&mut self, input: &[u8], out: &mut [u8]) -> io::Result<Progress> {
        let progress = self.inflate.step(input, out).ok_or_else(damage)?;
        self.length = self.length.wrapping_add(progress.written as u32);
        let read = &input[..progress.read];
        match read.last_chunk() {
            Some(last) => self.last = *last,
            None => {
                self.last.rotate_left(read.len());
                self.last[4 - read.len()..].copy_from_slice(read);
            }
        }
        Ok(progress)
    }

    /// A member that was cut short, or one whose end was not recognised because a bit of it is wrong: then the body goes
    /// on into its own trailer, and what it gave is not what was written.
    fn ends_early(&self) -> io::Error {
        let astray = u32::from_le_bytes(self.last).wrapping_sub(self.length);
        let is_length = self.length > 0 && astray.min(astray.wrapping_neg()) <= ASTRAY_BYTES;
        let is_damaged = match self.inflate.trailer() {
            Some((_, false)) => true,
            // The checksum is there and right: only the length is not.
            Some((CHECKSUM_BYTES.., true)) => false,
            Some((_, true)) | None => is_length,
        };
        if is_damaged { damage() } else { io::ErrorKind::UnexpectedEof.into() }
    }
}

fn damage() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "gzip data do not decode to what their checksum says")
}

#[cfg(test)]
mod tests;
