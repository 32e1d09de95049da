//! Files of several members, streams or frames, one per piece of text.

use std::io::Write;

pub(super) fn gzip(pieces: &[&str]) -> Vec<u8> {
    let piece = |text: &&str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    pieces.iter().flat_map(piece).collect()
}

pub(super) fn bzip2(pieces: &[&str]) -> Vec<u8> {
    let piece = |text: &&str| {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    pieces.iter().flat_map(piece).collect()
}

pub(super) fn zstd(pieces: &[&str]) -> Vec<u8> {
    pieces.iter().flat_map(|text| zstd::encode_all(text.as_bytes(), 1).unwrap()).collect()
}
