//! The one encoder of a worker: compresses blocks of any stream, each without memory of the one before.

use super::gzip;
use common::keys::PartCodec;
use std::io;
use zstd::bulk::Compressor;

/// Raw bytes of a stream that are compressed together. gzip looks back 32 KiB only: larger blocks would but leave the
/// cache. Zstandard looks back further, and each block is a frame of its own.
pub(super) fn block_bytes(codec: PartCodec) -> usize {
    match codec {
        PartCodec::Gzip => 256 << 10,
        PartCodec::Zstd => 1 << 20,
    }
}

pub(super) struct Encoder {
    gzip: gzip::Encoder,
    zstd: Compressor<'static>,
    zstd_out: Vec<u8>,
}

impl Encoder {
    pub(super) fn new(gzip_level: u32, zstd_level: u32) -> io::Result<Self> {
        let mut zstd = Compressor::new(zstd_level as i32)?;
        // What a broken disk or wire did must show when the part is read.
        zstd.include_checksum(true)?;
        Ok(Self { gzip: gzip::Encoder::new(gzip_level), zstd, zstd_out: Vec::new() })
    }

    /// Compresses one block; `first` says that it begins a piece.
    pub(super) fn block(&mut self, codec: PartCodec, raw: &[u8], first: bool) -> io::Result<&[u8]> {
        match codec {
            PartCodec::Gzip => Ok(self.gzip.block(raw, first)),
            PartCodec::Zstd => {
                self.zstd_out.resize(zstd::zstd_safe::compress_bound(raw.len()), 0);
                let length = self.zstd.compress_to_buffer(raw, &mut self.zstd_out[..])?;
                Ok(&self.zstd_out[..length])
            }
        }
    }
}
