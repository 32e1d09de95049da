//! The bytes of a file that a COPY reads, decompressed as its statement says: never by the file's name or contents
//! (Developer Guide: `copy-parameters-file-compression`). Frames, members and streams of one file follow one another.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use crate::redshift::parse::Compression;

const READ_SIZE: usize = 256 * 1024;

pub(super) type Bytes = Box<dyn Read + Send>;

/// The decompressed bytes. What is wrong with them says which decompressor met it, in the words that are public of
/// Redshift ("failed to inflate with lzop: unexpected end of file.", snowplow/snowplow pull request 1265).
pub(super) fn decompressed(compression: Option<Compression>, file: Bytes) -> io::Result<Bytes> {
    let Some(compression) = compression else { return Ok(file) };
    let file = BufReader::with_capacity(READ_SIZE, file);
    let decoder: Bytes = match compression {
        Compression::Gzip => Box::new(MultiGzDecoder::new(file)),
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(file)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(file)?),
    };
    Ok(Box::new(Inflating { decoder, compression }))
}

/// A decompressor that names itself in its errors.
struct Inflating {
    decoder: Bytes,
    compression: Compression,
}

impl Read for Inflating {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(buffer).map_err(|error| match error.kind() {
            // Not an error, but a call to be made again.
            io::ErrorKind::Interrupted => error,
            kind => io::Error::new(kind, format!("failed to inflate with {}: {error}", self.compression.as_str())),
        })
    }
}
