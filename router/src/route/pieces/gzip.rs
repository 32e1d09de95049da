//! One gzip member made of separately compressed blocks.
//!
//! Each block is raw deflate ended by a sync flush (byte-aligned, not final) with nothing kept from the
//! block before, so one encoder serves every stream. Header, an empty final block and the checksum
//! make an ordinary member of it (RFC 1951, RFC 1952), which readers of the first member only read whole.

use flate2::{Compress, Compression, FlushCompress, Status};

/// Deflate, no flags, no time, no extra flags, unknown operating system: the same bytes everywhere.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// A final block with fixed codes and nothing in it.
const FINAL_BLOCK: [u8; 2] = [0x03, 0x00];

pub(super) struct Encoder {
    deflate: Deflate,
    out: Vec<u8>,
}

/// Who compresses. The bytes differ, what they decompress to does not.
enum Deflate {
    Zlib(Compress),
    #[cfg(feature = "isal")]
    Isal(router_isal::Deflate),
}

impl Deflate {
    /// ISA-L has one good level, about as small as zlib's 2; whoever wants it smaller still gets zlib.
    #[cfg(feature = "isal")]
    fn new(level: u32) -> Self {
        if level <= 2 { Self::Isal(router_isal::Deflate::default()) } else { Self::zlib(level) }
    }

    #[cfg(not(feature = "isal"))]
    fn new(level: u32) -> Self {
        Self::zlib(level)
    }

    fn zlib(level: u32) -> Self {
        Self::Zlib(Compress::new(Compression::new(level), false))
    }
}

impl Encoder {
    pub(super) fn new(level: u32) -> Self {
        Self { deflate: Deflate::new(level), out: Vec::new() }
    }

    /// Compresses one block; `first` puts the member's header in front.
    pub(super) fn block(&mut self, raw: &[u8], first: bool) -> &[u8] {
        self.out.clear();
        if first {
            self.out.extend_from_slice(&HEADER);
        }
        match &mut self.deflate {
            Deflate::Zlib(compress) => zlib_block(compress, raw, &mut self.out),
            #[cfg(feature = "isal")]
            Deflate::Isal(deflate) => deflate.block(raw, &mut self.out),
        }
        &self.out
    }
}

fn zlib_block(compress: &mut Compress, raw: &[u8], out: &mut Vec<u8>) {
    compress.reset();
    loop {
        // Room to spare, so that a block with space left over is known to be flushed whole.
        out.reserve(raw.len() / 4 + 4096);
        let taken = compress.total_in() as usize;
        let status = compress.compress_vec(&raw[taken..], out, FlushCompress::Sync);
        debug_assert!(matches!(status, Ok(Status::Ok | Status::BufError)), "deflate takes any bytes");
        if compress.total_in() as usize == raw.len() && out.len() < out.capacity() {
            return;
        }
    }
}

/// What ends a member of `bytes` decompressed bytes.
pub(super) fn trailer(crc32: u32, bytes: u64) -> [u8; 10] {
    let mut trailer = [0; 10];
    trailer[..2].copy_from_slice(&FINAL_BLOCK);
    trailer[2..6].copy_from_slice(&crc32.to_le_bytes());
    // RFC 1952: the size modulo 2^32.
    trailer[6..].copy_from_slice(&(bytes as u32).to_le_bytes());
    trailer
}
