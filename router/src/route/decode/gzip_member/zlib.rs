//! The body of a gzip member through zlib-rs.

use super::Inflate;
use crate::route::decode::streams::Progress;
use crc32fast::Hasher;
use flate2::{Decompress, FlushDecompress, Status};

/// CRC-32 and length, four bytes each (RFC 1952, 2.3.1).
const TRAILER_BYTES: usize = 8;

pub(in crate::route::decode) struct Zlib {
    body: Decompress,
    crc: Hasher,
    is_behind_body: bool,
    trailer: Vec<u8>,
}

impl Default for Zlib {
    fn default() -> Self {
        let (body, crc) = (Decompress::new(false), Hasher::new());
        Self { body, crc, is_behind_body: false, trailer: Vec::with_capacity(TRAILER_BYTES) }
    }
}

impl Inflate for Zlib {
    fn restart(&mut self) {
        self.body.reset(false);
        self.crc.reset();
        self.is_behind_body = false;
        self.trailer.clear();
    }

    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Option<Progress> {
        if self.is_behind_body {
            return self.read_trailer(input);
        }
        let (read, written) = (self.body.total_in(), self.body.total_out());
        let status = self.body.decompress(input, out, FlushDecompress::None).ok()?;
        // No more than the slices hold.
        let read = (self.body.total_in() - read) as usize;
        let written = (self.body.total_out() - written) as usize;
        self.crc.update(&out[..written]);
        self.is_behind_body = status == Status::StreamEnd;
        if !self.is_behind_body {
            return Some(Progress { read, written, ended: false });
        }
        // At once, because what ended the body may have been read before: that alone would be no progress.
        let trailer = self.read_trailer(&input[read..])?;
        Some(Progress { read: read + trailer.read, written, ended: trailer.ended })
    }

    fn trailer(&self) -> Option<(usize, bool)> {
        let is_right = self.expected_trailer().starts_with(&self.trailer);
        self.is_behind_body.then_some((self.trailer.len(), is_right))
    }
}

impl Zlib {
    /// Takes what there is of the trailer; none: it does not speak of this body.
    fn read_trailer(&mut self, input: &[u8]) -> Option<Progress> {
        let missing = TRAILER_BYTES - self.trailer.len();
        let read = missing.min(input.len());
        self.trailer.extend_from_slice(&input[..read]);
        let ended = read == missing;
        let is_proven = !ended || self.trailer == self.expected_trailer();
        is_proven.then_some(Progress { read, written: 0, ended })
    }

    fn expected_trailer(&self) -> [u8; TRAILER_BYTES] {
        let mut trailer = [0; TRAILER_BYTES];
        trailer[..4].copy_from_slice(&self.crc.clone().finalize().to_le_bytes());
        // The length modulo 2^32.
        trailer[4..].copy_from_slice(&(self.body.total_out() as u32).to_le_bytes());
        trailer
    }
}
