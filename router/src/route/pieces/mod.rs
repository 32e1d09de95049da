//! Writes many streams of records into pieces (parts and quarantine objects) in bounded memory.
//!
//! Records gather raw per stream; when a stream has enough, or all together too much, they are
//! compressed by the one encoder and appended to the one spool file. A piece is a list of extents in
//! it. Memory per worker: `buffer_bytes` + one block in and out + 16 bytes per extent, whatever
//! the number of streams. Only the decompressed size ends a piece; memory pressure never does.

mod arena;
mod encoder;
mod gzip;
mod spool;

pub use spool::{Extent, ExtentReader, Spool};

use arena::{Arena, Raw};
use common::keys::PartCodec;
use common::settings::RouterSettings;
use crc32fast::Hasher;
use encoder::Encoder;
use std::io;

/// What a worker reuses from object to object.
pub struct Workbench {
    encoder: Encoder,
    spool: Spool,
}

impl Workbench {
    /// A workbench with its spool file and its encoder as the settings have them.
    pub fn new(settings: &RouterSettings) -> io::Result<Self> {
        let encoder = Encoder::new(settings.gzip_level, settings.zstd_level)?;
        Ok(Self { encoder, spool: Spool::create(&settings.spool_dir)? })
    }

    /// Gives the disk space of the last object back.
    pub fn clear(&mut self) -> io::Result<()> {
        self.spool.restart()
    }

    /// The file in which the extents of finished pieces are.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }
}

/// A finished piece: one gzip member, or Zstandard frames.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The piece's place in its stream, from 0.
    pub sequence: u32,
    /// Records in it.
    pub records: u64,
    /// Decompressed bytes.
    pub bytes: u64,
    /// CRC-32 of the decompressed bytes.
    pub crc32: u32,
    /// Where the compressed bytes are.
    pub extents: Vec<Extent>,
}

/// The streams of one source object.
pub struct Pieces<'a> {
    bench: &'a mut Workbench,
    streams: Vec<Stream>,
    arena: Arena,
    /// The block being compressed.
    block: Vec<u8>,
    piece_max: u64,
    budget: usize,
}

struct Stream {
    codec: PartCodec,
    /// Raw records that are not compressed yet.
    raw: Raw,
    crc: Hasher,
    bytes: u64,
    records: u64,
    extents: Vec<Extent>,
    finished: Vec<Piece>,
}

impl Stream {
    fn new(codec: PartCodec) -> Self {
        Self {
            codec,
            raw: Raw::default(),
            crc: Hasher::new(),
            bytes: 0,
            records: 0,
            extents: Vec::new(),
            finished: Vec::new(),
        }
    }
}

impl<'a> Pieces<'a> {
    /// Empty streams. A piece ends once it has `piece_max` decompressed bytes; raw records of all
    /// streams together take at most `budget` bytes and one record.
    pub fn new(bench: &'a mut Workbench, piece_max: u64, budget: usize) -> io::Result<Self> {
        bench.spool.restart()?;
        let (arena, block) = (Arena::default(), Vec::new());
        Ok(Self { bench, streams: Vec::new(), arena, block, piece_max, budget })
    }

    /// Appends one record, newline included and in any number of pieces, to a stream: the next new one or a known one,
    /// always with the same codec.
    pub fn append(&mut self, stream: usize, codec: PartCodec, record: &[&[u8]]) -> io::Result<()> {
        if self.streams.len() == stream {
            self.streams.push(Stream::new(codec));
        }
        let s = &mut self.streams[stream];
        for bytes in record {
            self.arena.append(&mut s.raw, bytes);
            s.bytes += bytes.len() as u64;
        }
        s.records += 1;
        if s.bytes >= self.piece_max {
            self.finish_piece(stream)?;
        } else if s.raw.len() >= encoder::block_bytes(s.codec) {
            self.compress(stream)?;
        }
        if self.arena.used_bytes() > self.budget {
            self.relieve()?;
        }
        Ok(())
    }

    /// Ends all pieces. Returns them by stream.
    pub fn finish(mut self) -> io::Result<Vec<Vec<Piece>>> {
        for stream in 0..self.streams.len() {
            if self.streams[stream].records > 0 {
                self.finish_piece(stream)?;
            }
        }
        Ok(self.streams.into_iter().map(|s| s.finished).collect())
    }

    fn compress(&mut self, stream: usize) -> io::Result<()> {
        let s = &mut self.streams[stream];
        if s.raw.len() == 0 {
            return Ok(());
        }
        self.arena.drain(&mut s.raw, &mut self.block);
        s.crc.update(&self.block);
        let compressed = self.bench.encoder.block(s.codec, &self.block, s.extents.is_empty())?;
        self.bench.spool.append(compressed, &mut s.extents)
    }

    fn finish_piece(&mut self, stream: usize) -> io::Result<()> {
        self.compress(stream)?;
        let s = &mut self.streams[stream];
        let crc32 = std::mem::take(&mut s.crc).finalize();
        if s.codec == PartCodec::Gzip {
            self.bench.spool.append(&gzip::trailer(crc32, s.bytes), &mut s.extents)?;
        }
        s.finished.push(Piece {
            sequence: s.finished.len() as u32,
            records: std::mem::take(&mut s.records),
            bytes: std::mem::take(&mut s.bytes),
            crc32,
            extents: std::mem::take(&mut s.extents),
        });
        Ok(())
    }

    /// Compresses the largest streams until half of the budget is free again.
    fn relieve(&mut self) -> io::Result<()> {
        let mut by_size: Vec<usize> = (0..self.streams.len()).collect();
        by_size.sort_by_key(|stream| std::cmp::Reverse(self.streams[*stream].raw.pages()));
        for stream in by_size {
            if self.arena.used_bytes() <= self.budget / 2 {
                break;
            }
            self.compress(stream)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
