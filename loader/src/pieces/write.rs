//! Writes lines into a piece: compressed like the part they come from, named by what they say.

use crate::sql::load::Codec;
use common::keys::PartCodec;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::io::{self, Write};

/// Pieces are read once: quickly made counts more than small.
const ZSTD_LEVEL: i32 = 1;

/// Bytes of a hash that stand in a key: enough that two contents never share one.
const HASH_BYTES: usize = 8;

/// Lines on their way into a piece.
pub(crate) struct PieceWriter {
    encoder: Encoder,
    codec: Codec,
    hash: Sha256,
    records: u64,
    bytes: u64,
}

enum Encoder {
    /// One member, as the router's parts are.
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

/// A part to be, of at least one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(super) codec: Codec,
    pub(crate) records: u64,
    /// Decompressed.
    pub(crate) bytes: u64,
    /// Of the decompressed bytes.
    pub(crate) hash: String,
    pub(crate) stored: Vec<u8>,
}

impl PieceWriter {
    pub(crate) fn new(codec: Codec) -> io::Result<Self> {
        let encoder = match codec {
            Codec::Gzip => Encoder::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Codec::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                // What a broken disk or wire did must show when the piece is read.
                encoder.include_checksum(true)?;
                Encoder::Zstd(encoder)
            }
        };
        Ok(Self { encoder, codec, hash: Sha256::new(), records: 0, bytes: 0 })
    }

    /// Takes one record, given without its line break.
    pub(crate) fn line(&mut self, line: &[u8]) -> io::Result<()> {
        for bytes in [line, &b"\n"[..]] {
            self.hash.update(bytes);
            match &mut self.encoder {
                Encoder::Gzip(encoder) => encoder.write_all(bytes)?,
                Encoder::Zstd(encoder) => encoder.write_all(bytes)?,
            }
        }
        self.records += 1;
        self.bytes += line.len() as u64 + 1;
        Ok(())
    }

    /// What was written; nothing where no line was, because a part is never empty.
    pub(crate) fn finish(self) -> io::Result<Option<Piece>> {
        if self.records == 0 {
            return Ok(None);
        }
        let Self { encoder, codec, hash, records, bytes } = self;
        let stored = match encoder {
            Encoder::Gzip(encoder) => encoder.finish()?,
            Encoder::Zstd(encoder) => encoder.finish()?,
        };
        Ok(Some(Piece { codec, records, bytes, hash: hex(&hash.finalize()), stored }))
    }
}

/// As it stands in keys.
pub(super) fn hash_of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(digest: &[u8]) -> String {
    digest[..HASH_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl From<Codec> for PartCodec {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::Gzip => PartCodec::Gzip,
            Codec::Zstd => PartCodec::Zstd,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pieces::Lines;

    const RECORDS: [&str; 3] = [r#"{"n":1}"#, r#"{"n":1.10e+02,"u":"\u00e9|é"}"#, "{}"];

    fn written(codec: Codec, lines: &[&str]) -> Option<Piece> {
        let mut writer = PieceWriter::new(codec).expect("in memory");
        for line in lines {
            writer.line(line.as_bytes()).expect("in memory");
        }
        writer.finish().expect("in memory")
    }

    fn read(piece: &Piece, expected: u64) -> io::Result<Vec<(u64, String)>> {
        let mut lines = Lines::new(piece.codec, &piece.stored, expected)?;
        let mut found = Vec::new();
        while let Some((number, line)) = lines.next_line()? {
            found.push((number, String::from_utf8(line.to_vec()).expect("UTF-8")));
        }
        Ok(found)
    }

    #[test]
    fn lines_come_back_verbatim_and_numbered_in_every_codec() {
        for codec in [Codec::Gzip, Codec::Zstd] {
            let piece = written(codec, &RECORDS).expect("has lines");
            assert_eq!((piece.records, piece.bytes), (3, RECORDS.iter().map(|r| r.len() as u64 + 1).sum()));
            let expected: Vec<_> = (1..).zip(RECORDS.map(str::to_owned)).collect();
            assert_eq!(read(&piece, 3).expect("reads"), expected);
        }
    }

    #[test]
    fn a_pieces_name_is_its_content() {
        let [one, same, other] =
            [&RECORDS[..], &RECORDS[..], &RECORDS[1..]].map(|r| written(Codec::Gzip, r).expect("has"));
        assert_eq!(one, same);
        assert_ne!(one.hash, other.hash);
        assert_eq!(one.hash, written(Codec::Zstd, &RECORDS).expect("has").hash, "of what is decompressed");
        assert_eq!(written(Codec::Gzip, &[]), None, "no part is empty");
    }

    #[test]
    fn a_part_that_is_short_or_damaged_is_not_taken_for_a_whole_one() {
        for codec in [Codec::Gzip, Codec::Zstd] {
            let mut piece = written(codec, &RECORDS).expect("has lines");
            let error = read(&piece, 4).expect_err("a line is missing").to_string();
            assert_eq!(error, "it has 3 lines where its seal says 4");
            piece.stored.truncate(piece.stored.len() - 3);
            assert!(read(&piece, 3).is_err(), "cut short");
        }
    }

    #[test]
    fn a_piece_of_a_part_is_one_ordinary_gzip_member() {
        let piece = written(Codec::Gzip, &RECORDS).expect("has lines");
        let mut text = String::new();
        io::Read::read_to_string(&mut flate2::bufread::GzDecoder::new(&piece.stored[..]), &mut text).expect("reads");
        assert_eq!(text.lines().collect::<Vec<_>>(), RECORDS);
    }
}
