//! Blocks of one type's lines to compressed bytes, in the router's shape: gzip is one member of raw
//! deflate blocks, each ended by a sync flush and independent of the one before; zstd is a frame per block.

use crate::decode::Decoder;
use flate2::{Compress, Compression, FlushCompress};
use std::error::Error;
use std::str::FromStr;

/// RFC 1952: deflate, no flags, no time, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// RFC 1951: an empty final block with fixed codes.
const LAST_BLOCK: [u8; 2] = [3, 0];

#[derive(Clone, Copy)]
pub enum Codec {
    Gzip(u32),
    Zstd(i32),
    #[cfg(feature = "isal")]
    Isal(u32),
}

impl FromStr for Codec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let level = text.split_once(':').and_then(|(name, level)| Some((name, level.parse::<u8>().ok()?)));
        match level {
            Some(("gzip", level)) => Ok(Self::Gzip(level.into())),
            Some(("zstd", level)) => Ok(Self::Zstd(level.into())),
            #[cfg(feature = "isal")]
            Some(("isal", level)) => Ok(Self::Isal(level.into())),
            _ => {
                Err(format!("codec {text:?} is not known: write it like gzip:2, zstd:1 or, with feature isal, isal:1"))
            }
        }
    }
}

impl Codec {
    /// The decoder of the same library.
    pub fn own_decoder(self) -> Decoder {
        match self {
            Self::Gzip(_) | Self::Zstd(_) => Decoder::ZlibRs,
            #[cfg(feature = "isal")]
            Self::Isal(_) => Decoder::Isal,
        }
    }

    /// Raw bytes that the router compresses at a time with this codec.
    pub fn own_block(self) -> usize {
        if matches!(self, Self::Zstd(_)) { 1 << 20 } else { 256 << 10 }
    }

    pub fn extension(self) -> &'static str {
        if matches!(self, Self::Zstd(_)) { "zst" } else { "gz" }
    }

    /// Whether the file ends with a checksum of all of it.
    pub fn has_crc(self) -> bool {
        !matches!(self, Self::Zstd(_))
    }

    /// What ends a file of so many bytes.
    pub fn end(self, crc: u32, bytes: u64) -> Vec<u8> {
        if !self.has_crc() {
            return Vec::new();
        }
        [&LAST_BLOCK[..], &crc.to_le_bytes(), &(bytes as u32).to_le_bytes()].concat()
    }
}

enum Library {
    ZlibRs(Compress),
    Zstd(zstd::bulk::Compressor<'static>),
    #[cfg(feature = "isal")]
    Isal(crate::isal::Deflate),
}

pub struct Encoder {
    library: Library,
    out: Vec<u8>,
}

impl Encoder {
    pub fn new(codec: Codec) -> Result<Self, Box<dyn Error>> {
        let library = match codec {
            Codec::Gzip(level) => Library::ZlibRs(Compress::new(Compression::new(level), false)),
            Codec::Zstd(level) => {
                let mut compressor = zstd::bulk::Compressor::new(level)?;
                compressor.include_checksum(true)?;
                Library::Zstd(compressor)
            }
            #[cfg(feature = "isal")]
            Codec::Isal(level) => Library::Isal(crate::isal::Deflate::new(level)?),
        };
        Ok(Self { library, out: Vec::new() })
    }

    /// Compresses one block; the first of a file brings the file's header.
    pub fn block(&mut self, raw: &[u8], first: bool) -> Result<&[u8], Box<dyn Error>> {
        self.out.clear();
        if first && !matches!(self.library, Library::Zstd(_)) {
            self.out.extend_from_slice(&GZIP_HEADER);
        }
        match &mut self.library {
            Library::ZlibRs(compress) => {
                compress.reset();
                while (compress.total_in() as usize) < raw.len() || self.out.len() == self.out.capacity() {
                    // A sync flush is whole when room is left over.
                    self.out.reserve(raw.len() / 2 + 1024);
                    let taken = compress.total_in() as usize;
                    compress.compress_vec(&raw[taken..], &mut self.out, FlushCompress::Sync)?;
                }
            }
            Library::Zstd(compressor) => {
                self.out.reserve(zstd::zstd_safe::compress_bound(raw.len()));
                compressor.compress_to_buffer(raw, &mut self.out)?;
            }
            #[cfg(feature = "isal")]
            Library::Isal(deflate) => deflate.block(raw, &mut self.out)?,
        }
        Ok(&self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// Several blocks of text that compresses, and one that does not.
    fn blocks() -> Vec<Vec<u8>> {
        let noise = (0_u32..50_000).flat_map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 31).to_le_bytes());
        vec![b"{\"event\":\"a\"}\n".repeat(20_000), noise.collect(), b"{\"event\":\"b\"}\n".repeat(3)]
    }

    fn file(codec: Codec) -> Vec<u8> {
        let mut encoder = Encoder::new(codec).unwrap();
        let (mut file, mut crc, mut bytes) = (Vec::new(), crc32fast::Hasher::new(), 0);
        for block in blocks() {
            file.extend_from_slice(encoder.block(&block, bytes == 0).unwrap());
            crc.update(&block);
            bytes += block.len() as u64;
        }
        file.extend(codec.end(crc.finalize(), bytes));
        file
    }

    fn read_as_one_member(file: &[u8]) -> Vec<u8> {
        let mut decoder = flate2::bufread::GzDecoder::new(file);
        let mut text = Vec::new();
        decoder.read_to_end(&mut text).unwrap();
        assert!(decoder.into_inner().is_empty(), "nothing follows the member");
        text
    }

    #[test]
    fn gzip_files_are_one_member_of_all_blocks() {
        for level in 1..=9 {
            assert_eq!(read_as_one_member(&file(Codec::Gzip(level))), blocks().concat(), "level {level}");
        }
    }

    #[test]
    fn zstd_files_are_frames_that_read_as_one_text() {
        assert_eq!(zstd::stream::decode_all(&file(Codec::Zstd(1))[..]).unwrap(), blocks().concat());
    }

    #[cfg(feature = "isal")]
    #[test]
    fn isal_files_are_one_member_of_all_blocks() {
        for level in 0..=3 {
            assert_eq!(read_as_one_member(&file(Codec::Isal(level))), blocks().concat(), "level {level}");
        }
    }
}
