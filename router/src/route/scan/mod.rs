//! The scanner: one pass over one record that proves it safe for COPY and finds its event type.
//!
//! Safe Rust, iterative (depth costs no stack). What it accepts is exactly what `serde_json` accepts,
//! less what Redshift refuses; `tests.rs` holds the two against each other. It knows neither lines,
//! events, files nor S3.

mod number;
mod pointers;
mod string;
mod tape;
mod timestamp;

pub use pointers::Pointers;
pub use tape::{Tape, TapeEntry};

use common::quarantine::Reason;
use common::sketch::Types;
use foldhash::fast::RandomState;
use pointers::Capture;
use std::hash::BuildHasher;
use string::Text;

/// SUPER's nesting limit (Redshift database guide, limitations-super).
pub const DEPTH_MAX: usize = 1_000;

/// Longest string in decoded bytes: VARCHAR's limit, and SUPER's by default (limitations-super).
pub const STRING_MAX_BYTES: usize = 65_535;

/// Root key of the lineage member, which no record may bring along.
pub const LINEAGE_KEY: &[u8] = b"_lr";

/// Why a record cannot be routed, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The reason's word.
    pub reason: Reason,
    /// Byte offset within the record.
    pub at: usize,
    /// What was wrong there.
    pub what: &'static str,
}

impl Fault {
    fn grammar(at: usize, what: &'static str) -> Self {
        Self { reason: Reason::NotJson, at, what }
    }
}

/// What a valid record says about its event type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventType<'a> {
    /// A string with something in it, or an integer's digits.
    Found(std::borrow::Cow<'a, str>),
    /// No pointer leads to anything but null.
    Missing,
    /// A pointer leads to something else than a string or an integer.
    NotUsable,
}

/// Reusable state of scans; one per worker.
pub struct Scanner {
    pointers: Pointers,
    captures: Vec<Capture>,
    frames: Vec<Frame>,
    keys: Vec<KeyMark>,
    tape: Tape,
    /// Seeded anew in each process: crafted keys must not collide. Never part of the output.
    hasher: RandomState,
    scratch: Vec<u8>,
}

/// One open object or array.
struct Frame {
    is_object: bool,
    /// All its ancestors are objects, so its keys are part of the sketch.
    sketched: bool,
    /// Pointers whose tokens match the path to it.
    mask: u32,
    /// Elements so far, in an array.
    index: u64,
    /// Where its keys start in `keys`.
    keys_from: usize,
}

/// A key of an open object: its hash, and where it stands in the record.
#[derive(Clone, Copy)]
struct KeyMark {
    hash: u64,
    text: Text,
}

impl Scanner {
    /// A scanner that looks for event types under `pointers`.
    pub fn new(pointers: Pointers) -> Self {
        Self {
            captures: vec![Capture::Absent; pointers.len()],
            pointers,
            frames: Vec::new(),
            keys: Vec::new(),
            tape: Tape::default(),
            hasher: RandomState::default(),
            scratch: Vec::new(),
        }
    }

    /// The paths and types of the record scanned last.
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// Scans one record: JSON text without surrounding white space.
    pub fn scan<'a>(&mut self, record: &'a [u8]) -> Result<EventType<'a>, Fault> {
        if let Err(error) = simdutf8::compat::from_utf8(record) {
            return Err(Fault {
                reason: Reason::InvalidUtf8,
                at: error.valid_up_to(),
                what: "bytes that are no UTF-8",
            });
        }
        self.frames.clear();
        self.keys.clear();
        self.tape.clear();
        self.captures.fill(Capture::Absent);
        let end = self.values(record)?;
        if end != record.len() {
            return Err(Fault::grammar(end, "something follows the JSON value"));
        }
        if record.first() != Some(&b'{') {
            return Err(Fault { reason: Reason::NotAnObject, at: 0, what: "the record is no JSON object" });
        }
        Ok(self.event_type(record))
    }

    /// The whole value tree. Returns where it ends.
    fn values(&mut self, record: &[u8]) -> Result<usize, Fault> {
        let mut at = 0;
        // Pointers whose tokens match the path to the value that comes next.
        let mut mask = self.pointers.all();
        loop {
            at = skip_space(record, at);
            match record.get(at) {
                Some(b'{') => {
                    self.open(true, mask, at)?;
                    at = skip_space(record, at + 1);
                    if record.get(at) == Some(&b'}') {
                        at += 1;
                        self.close(record, at)?;
                    } else {
                        (at, mask) = self.key(record, at)?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.open(false, mask, at)?;
                    at = skip_space(record, at + 1);
                    if record.get(at) == Some(&b']') {
                        at += 1;
                        self.close(record, at)?;
                    } else {
                        mask = self.element_mask();
                        continue;
                    }
                }
                Some(b'"') => {
                    let text = string::scan(record, at + 1)?;
                    at = text.end as usize + 1;
                    let types =
                        if timestamp::is_timestamp(text.raw(record)) { Types::TIMESTAMP } else { Types::STRING };
                    self.note(types, text.decoded_bytes, mask, Capture::String(text));
                }
                Some(b't') => at = self.literal(record, at, b"true", Types::BOOLEAN, mask)?,
                Some(b'f') => at = self.literal(record, at, b"false", Types::BOOLEAN, mask)?,
                Some(b'n') => at = self.literal(record, at, b"null", Types::NULL, mask)?,
                Some(b'-' | b'0'..=b'9') => {
                    let (types, end) = number::scan(record, at)?;
                    let is_integer = types.within(Types::INTEGER | Types::BIGINT | Types::HUGE_INTEGER);
                    let capture = if is_integer { Capture::Integer(at, end) } else { Capture::Other };
                    self.note(types, 0, mask, capture);
                    at = end;
                }
                Some(_) => return Err(Fault::grammar(at, "expected a JSON value")),
                None => return Err(Fault::grammar(at, "the record ends where a JSON value should be")),
            }
            // A value ended: close what it closes, until another value is due.
            loop {
                let Some(frame) = self.frames.last_mut() else { return Ok(at) };
                at = skip_space(record, at);
                match (record.get(at), frame.is_object) {
                    (Some(b','), true) => {
                        at = skip_space(record, at + 1);
                        (at, mask) = self.key(record, at)?;
                        break;
                    }
                    (Some(b','), false) => {
                        frame.index += 1;
                        mask = self.element_mask();
                        at += 1;
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        at += 1;
                        self.close(record, at)?;
                    }
                    (Some(_), true) => return Err(Fault::grammar(at, "expected ',' or '}'")),
                    (Some(_), false) => return Err(Fault::grammar(at, "expected ',' or ']'")),
                    (None, _) => return Err(Fault::grammar(at, "the record ends inside an object or array")),
                }
            }
        }
    }

    fn open(&mut self, is_object: bool, mask: u32, at: usize) -> Result<(), Fault> {
        if self.frames.len() == DEPTH_MAX {
            return Err(Fault { reason: Reason::TooDeep, at, what: "nested deeper than 1,000 levels" });
        }
        let types = if is_object { Types::OBJECT } else { Types::ARRAY };
        let in_sketch = self.frames.last().is_none_or(|frame| frame.sketched);
        let sketched = is_object && in_sketch;
        self.note(types, 0, mask, Capture::Other);
        if sketched && !self.frames.is_empty() {
            self.tape.open();
        }
        let keys_from = self.keys.len();
        self.frames.push(Frame { is_object, sketched, mask, index: 0, keys_from });
        Ok(())
    }

    fn close(&mut self, record: &[u8], at: usize) -> Result<(), Fault> {
        let frame = self.frames.pop().expect("only called with a frame open");
        if frame.is_object {
            self.refuse_duplicates(record, frame.keys_from, at)?;
            self.keys.truncate(frame.keys_from);
            if frame.sketched && !self.frames.is_empty() {
                self.tape.close();
            }
        }
        Ok(())
    }

    /// Reads `"key" :`. Returns where the value starts and which pointers lead there.
    fn key(&mut self, record: &[u8], at: usize) -> Result<(usize, u32), Fault> {
        if record.get(at) != Some(&b'"') {
            return Err(Fault::grammar(at, "expected a key in double quotes"));
        }
        let text = string::scan(record, at + 1)?;
        let depth = self.frames.len();
        let frame = self.frames.last().expect("keys are read inside an object");
        let (sketched, parent_mask) = (frame.sketched, frame.mask);
        self.scratch.clear();
        let key: &[u8] = if text.escaped {
            string::decode(text.raw(record), &mut self.scratch);
            &self.scratch
        } else {
            text.raw(record)
        };
        if depth == 1 && key == LINEAGE_KEY {
            return Err(Fault { reason: Reason::ReservedKey, at, what: "the root key _lr is reserved for lineage" });
        }
        self.keys.push(KeyMark { hash: self.hasher.hash_one(key), text });
        let mask = if parent_mask == 0 { 0 } else { self.pointers.step(parent_mask, depth - 1, key) };
        if sketched {
            self.tape.key(text, key);
        }
        let at = skip_space(record, text.end as usize + 1);
        if record.get(at) != Some(&b':') {
            return Err(Fault::grammar(at, "expected ':' after a key"));
        }
        Ok((at + 1, mask))
    }

    fn element_mask(&self) -> u32 {
        let depth = self.frames.len();
        let frame = self.frames.last().expect("elements are read inside an array");
        if frame.mask == 0 { 0 } else { self.pointers.step(frame.mask, depth - 1, frame.index.to_string().as_bytes()) }
    }

    fn literal(&mut self, record: &[u8], at: usize, word: &[u8], types: Types, mask: u32) -> Result<usize, Fault> {
        if !record[at..].starts_with(word) {
            return Err(Fault::grammar(at, "expected a JSON value"));
        }
        let capture = if types == Types::NULL { Capture::Absent } else { Capture::Other };
        self.note(types, 0, mask, capture);
        Ok(at + word.len())
    }

    /// Notes a value's type in the sketch and, where a pointer ends here, as a candidate event type.
    fn note(&mut self, types: Types, bytes: u32, mask: u32, capture: Capture) {
        if self.frames.last().is_some_and(|frame| frame.sketched) {
            self.tape.value(types, bytes);
        }
        if mask != 0 {
            self.pointers.capture(mask, self.frames.len(), capture, &mut self.captures);
        }
    }

    fn refuse_duplicates(&mut self, record: &[u8], from: usize, at: usize) -> Result<(), Fault> {
        let keys = &mut self.keys[from..];
        let twice = if keys.len() <= 16 {
            keys.iter()
                .enumerate()
                .any(|(n, a)| keys[..n].iter().any(|b| a.hash == b.hash && same_key(record, a.text, b.text)))
        } else {
            // Sorted, equal hashes are neighbours: an object of a million keys must not cost its square.
            keys.sort_unstable_by_key(|key| key.hash);
            keys.chunk_by(|a, b| a.hash == b.hash).any(|alike| {
                alike.iter().enumerate().any(|(n, a)| alike[..n].iter().any(|b| same_key(record, a.text, b.text)))
            })
        };
        match twice {
            true => Err(Fault { reason: Reason::DuplicateKey, at, what: "an object that ends here has a key twice" }),
            false => Ok(()),
        }
    }

    fn event_type<'a>(&self, record: &'a [u8]) -> EventType<'a> {
        let mut outcome = EventType::Missing;
        for capture in &self.captures {
            match capture {
                Capture::Absent => {}
                Capture::String(text) if text.decoded_bytes > 0 => return EventType::Found(text.decoded(record)),
                Capture::Integer(from, to) => {
                    return EventType::Found(String::from_utf8_lossy(&record[*from..*to]));
                }
                Capture::String(_) | Capture::Other => outcome = EventType::NotUsable,
            }
        }
        outcome
    }
}

fn same_key(record: &[u8], a: Text, b: Text) -> bool {
    match a.escaped || b.escaped {
        true => a.decoded(record) == b.decoded(record),
        false => a.raw(record) == b.raw(record),
    }
}

fn skip_space(record: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = record.get(at) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests;
