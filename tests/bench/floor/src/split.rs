//! Lines to their type's file.

use crate::args::Args;
use crate::decode;
use crate::encode::Encoder;
use crate::lines::Lines;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// Where lines go in which the type was not found.
const NO_TYPE: &[u8] = b"\"\"";

struct Stream {
    file: File,
    raw: Vec<u8>,
    crc: crc32fast::Hasher,
    bytes: u64,
}

struct Splitter<'a> {
    args: &'a Args,
    key: Vec<&'a str>,
    encoder: Encoder,
    by_type: HashMap<Vec<u8>, usize, RandomState>,
    /// All of them keep their buffer: a floor has no limit on memory.
    streams: Vec<Stream>,
    lines: u64,
    written: u64,
}

/// Splits the file. The answer is a line of JSON.
pub fn split(args: &Args) -> Result<String, Box<dyn Error>> {
    fs::create_dir_all(&args.out)?;
    let mut splitter = Splitter {
        args,
        key: args.key.iter().map(String::as_str).collect(),
        encoder: Encoder::new(args.codec)?,
        by_type: HashMap::default(),
        streams: Vec::new(),
        lines: 0,
        written: 0,
    };
    let mut lines = Lines::default();
    decode::each_block(args.decoder, &args.file, |block| lines.feed(block, |line| splitter.add(line)))?;
    if let Some(line) = lines.rest() {
        splitter.add(&line)?;
    }
    splitter.finish()
}

impl Splitter<'_> {
    fn add(&mut self, line: &[u8]) -> Result<(), Box<dyn Error>> {
        // SAFETY: sonic-rs asks for well-formed JSON here and looks for the type without checking any. The sets
        // that the floor is run on are made by generators; on other input it may answer with nonsense.
        let found = unsafe { sonic_rs::get_unchecked(line, &self.key) };
        let event_type = found.as_ref().map_or(NO_TYPE, |value| value.as_raw_str().as_bytes());
        let stream = match self.by_type.get(event_type) {
            Some(stream) => *stream,
            None => {
                let event_type = event_type.to_vec();
                self.open(event_type)?
            }
        };
        self.lines += 1;
        let raw = &mut self.streams[stream].raw;
        raw.extend_from_slice(line);
        if raw.len() >= self.args.block {
            self.compress(stream)?;
        }
        Ok(())
    }

    fn open(&mut self, event_type: Vec<u8>) -> Result<usize, Box<dyn Error>> {
        let name: String =
            event_type.iter().map(|byte| if byte.is_ascii_alphanumeric() { *byte as char } else { '_' }).collect();
        let path = Path::new(&self.args.out).join(format!("{name}.{}", self.args.codec.extension()));
        let stream = self.streams.len();
        self.streams.push(Stream {
            file: File::create(path)?,
            raw: Vec::with_capacity(self.args.block + (64 << 10)),
            crc: crc32fast::Hasher::new(),
            bytes: 0,
        });
        self.by_type.insert(event_type, stream);
        Ok(stream)
    }

    fn compress(&mut self, stream: usize) -> Result<(), Box<dyn Error>> {
        let stream = &mut self.streams[stream];
        if self.args.codec.has_crc() {
            stream.crc.update(&stream.raw);
        }
        let compressed = self.encoder.block(&stream.raw, stream.bytes == 0)?;
        stream.file.write_all(compressed)?;
        stream.bytes += stream.raw.len() as u64;
        self.written += compressed.len() as u64;
        stream.raw.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<String, Box<dyn Error>> {
        for stream in 0..self.streams.len() {
            if !self.streams[stream].raw.is_empty() {
                self.compress(stream)?;
            }
            let stream = &mut self.streams[stream];
            let end = self.args.codec.end(std::mem::take(&mut stream.crc).finalize(), stream.bytes);
            stream.file.write_all(&end)?;
            self.written += end.len() as u64;
        }
        Ok(format!(r#"{{"lines":{},"types":{},"compressed":{}}}"#, self.lines, self.streams.len(), self.written))
    }
}
