//! Gzip files, block by block.

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::str::FromStr;

/// Read at a time, compressed and decompressed.
pub const BLOCK: usize = 256 << 10;

#[derive(Clone, Copy)]
pub enum Decoder {
    ZlibRs,
    #[cfg(feature = "isal")]
    Isal,
}

impl FromStr for Decoder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "zlib-rs" => Ok(Self::ZlibRs),
            #[cfg(feature = "isal")]
            "isal" => Ok(Self::Isal),
            _ => Err(format!("decoder {text:?} is not known: zlib-rs or, with feature isal, isal")),
        }
    }
}

/// Hands the decompressed bytes to `sink`, all members of the file.
pub fn each_block(
    decoder: Decoder,
    file: &Path,
    sink: impl FnMut(&[u8]) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let file = File::open(file).map_err(|error| format!("could not open {}: {error}", file.display()))?;
    match decoder {
        Decoder::ZlibRs => zlib_rs(file, sink),
        #[cfg(feature = "isal")]
        Decoder::Isal => crate::isal::each_block(file, sink),
    }
}

fn zlib_rs(file: File, mut sink: impl FnMut(&[u8]) -> Result<(), Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
    let mut decoder = flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(BLOCK, file));
    let mut block = vec![0; BLOCK];
    loop {
        match decoder.read(&mut block)? {
            0 => return Ok(()),
            length => sink(&block[..length])?,
        }
    }
}
