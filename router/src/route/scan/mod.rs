//! The scanner: one pass over one record that proves it safe for COPY and finds its event type.
//!
//! Safe Rust, iterative (depth costs no stack). What it accepts is exactly what `serde_json` accepts,
//! less what Redshift refuses; `tests/oracle.rs` holds the two against each other. It knows neither lines,
//! events, files nor S3.

mod number;
mod pointers;
mod shapes;
mod string;
mod tape;

pub use pointers::Pointers;
pub use shapes::ShapeId;
pub use tape::{Tape, TapeEntry};

use common::quarantine::Reason;
use common::sketch::Types;
use common::value_type::is_timestamp;
use foldhash::fast::RandomState;
use pointers::Capture;
use shapes::{Guessed, Shapes};
use std::borrow::Cow;
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
    Found(Cow<'a, str>),
    /// No pointer leads to anything but null.
    Missing,
    /// A pointer leads to something else than a string or an integer.
    NotUsable,
}

/// Reusable state of scans; one per worker.
pub struct Scanner {
    sketched: bool,
    pointers: Pointers,
    captures: Vec<Capture>,
    frames: Vec<Frame>,
    shapes: Shapes,
    /// Objects opened so far, over all records: each has a stamp of its own.
    objects: u64,
    /// The keys of open objects that have no shape.
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
    /// Its path.
    shape: ShapeId,
    /// The path of its key that came last.
    last: ShapeId,
    /// Its stamp, and whether one of its keys had that stamp already.
    object: u64,
    key_twice: bool,
    /// Elements so far, in an array.
    index: u64,
    /// Where its keys start in `keys`.
    keys_from: usize,
}

/// What leads to the value that comes next.
#[derive(Clone, Copy)]
struct Path {
    /// Pointers whose tokens match it.
    mask: u32,
    shape: ShapeId,
}

/// A key of an open object: its hash, and where it stands in the record.
#[derive(Clone, Copy)]
struct KeyMark {
    hash: u64,
    text: Text,
}

impl Scanner {
    /// A scanner that looks for event types and watched values under `pointers`; with `sketched`, it writes the tape.
    pub fn new(pointers: Pointers, sketched: bool) -> Self {
        Self {
            sketched,
            captures: vec![Capture::Absent; pointers.len()],
            shapes: Shapes::new(pointers.all()),
            pointers,
            frames: Vec::new(),
            objects: 0,
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
        // The quick check does not say where; asked again, the other one does.
        if simdutf8::basic::from_utf8(record).is_err() {
            let at = std::str::from_utf8(record).map_or_else(|error| error.valid_up_to(), str::len);
            return Err(Fault { reason: Reason::InvalidUtf8, at, what: "bytes that are no UTF-8" });
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
        let mut path = Path { mask: self.pointers.all(), shape: ShapeId::ROOT };
        loop {
            at = skip_space(record, at);
            let mask = path.mask;
            match record.get(at) {
                Some(b'"') => {
                    let text = string::scan(record, at + 1)?;
                    at = text.end as usize + 1;
                    let types = if is_timestamp(text.raw(record)) { Types::TIMESTAMP } else { Types::STRING };
                    self.note(types, text.decoded_bytes, mask, Capture::String(text));
                }
                Some(b'-' | b'0'..=b'9') => {
                    let (types, end) = number::scan(record, at)?;
                    let is_integer = types.within(Types::INTEGER | Types::BIGINT | Types::HUGE_INTEGER);
                    let capture = if is_integer { Capture::Integer(at, end) } else { Capture::Other };
                    self.note(types, 0, mask, capture);
                    at = end;
                }
                Some(b'{') => {
                    self.open(true, path, at)?;
                    at = skip_space(record, at + 1);
                    if record.get(at) == Some(&b'}') {
                        at += 1;
                        self.close(record, at)?;
                    } else {
                        (at, path) = self.key(record, at)?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.open(false, path, at)?;
                    at = skip_space(record, at + 1);
                    if record.get(at) == Some(&b']') {
                        at += 1;
                        self.close(record, at)?;
                    } else {
                        path = self.element();
                        continue;
                    }
                }
                Some(b't') => at = self.literal(record, at, b"true", Types::BOOLEAN, mask)?,
                Some(b'f') => at = self.literal(record, at, b"false", Types::BOOLEAN, mask)?,
                Some(b'n') => at = self.literal(record, at, b"null", Types::NULL, mask)?,
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
                        (at, path) = self.key(record, at)?;
                        break;
                    }
                    (Some(b','), false) => {
                        frame.index += 1;
                        path = self.element();
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

    fn open(&mut self, is_object: bool, path: Path, at: usize) -> Result<(), Fault> {
        if self.frames.len() == DEPTH_MAX {
            return Err(Fault { reason: Reason::TooDeep, at, what: "nested deeper than 1,000 levels" });
        }
        let types = if is_object { Types::OBJECT } else { Types::ARRAY };
        let in_sketch = self.frames.last().map_or(self.sketched, |frame| frame.sketched);
        let sketched = is_object && in_sketch;
        self.note(types, 0, path.mask, Capture::Other);
        if sketched && !self.frames.is_empty() {
            self.tape.open();
        }
        self.objects += 1;
        self.frames.push(Frame {
            is_object,
            sketched,
            mask: path.mask,
            shape: path.shape,
            last: ShapeId::NONE,
            object: self.objects,
            key_twice: false,
            index: 0,
            keys_from: self.keys.len(),
        });
        Ok(())
    }

    fn close(&mut self, record: &[u8], at: usize) -> Result<(), Fault> {
        let frame = self.frames.pop().expect("only called with a frame open");
        if frame.is_object {
            if frame.key_twice || self.has_key_twice(record, frame.keys_from) {
                let what = "an object that ends here has a key twice";
                return Err(Fault { reason: Reason::DuplicateKey, at, what });
            }
            self.keys.truncate(frame.keys_from);
            if frame.sketched && !self.frames.is_empty() {
                self.tape.close();
            }
        }
        Ok(())
    }

    /// Reads `"key" :`. Returns where the value starts and which path leads there.
    #[inline]
    fn key(&mut self, record: &[u8], at: usize) -> Result<(usize, Path), Fault> {
        let frame = self.frames.last_mut().expect("keys are read inside an object");
        let (end, path) = match self.shapes.guess(frame.shape, frame.last, record, at, frame.object) {
            Some(Guessed { shape, bytes, mask, is_second }) => {
                frame.key_twice |= is_second;
                frame.last = shape;
                if frame.sketched {
                    self.tape.key(Text::plain(at + 1, at + bytes - 1), &[], shape);
                }
                (at + bytes, Path { mask, shape })
            }
            None => self.unexpected_key(record, at)?,
        };
        let at = skip_space(record, end);
        if record.get(at) != Some(&b':') {
            return Err(Fault::grammar(at, "expected ':' after a key"));
        }
        Ok((at + 1, path))
    }

    /// Reads a key that was not guessed. Returns where it ends.
    #[inline(never)]
    fn unexpected_key(&mut self, record: &[u8], at: usize) -> Result<(usize, Path), Fault> {
        if record.get(at) != Some(&b'"') {
            return Err(Fault::grammar(at, "expected a key in double quotes"));
        }
        let text = string::scan(record, at + 1)?;
        let end = text.end as usize + 1;
        self.scratch.clear();
        let key: &[u8] = if text.escaped {
            string::decode(text.raw(record), &mut self.scratch);
            &self.scratch
        } else {
            text.raw(record)
        };
        let depth = self.frames.len();
        if depth == 1 && key == LINEAGE_KEY {
            return Err(Fault { reason: Reason::ReservedKey, at, what: "the root key _lr is reserved for lineage" });
        }
        let frame = self.frames.last_mut().expect("keys are read inside an object");
        let mask = if frame.mask == 0 { 0 } else { self.pointers.step(frame.mask, depth - 1, key) };
        let hash = self.hasher.hash_one(key);
        let shape = self.shapes.find(frame.shape, frame.last, key, hash, mask);
        if frame.sketched {
            self.tape.key(text, key, shape);
        }
        frame.key_twice |= self.shapes.stamp(shape, frame.object);
        frame.last = shape;
        if shape == ShapeId::NONE {
            self.keys.push(KeyMark { hash, text });
        }
        Ok((end, Path { mask, shape }))
    }

    /// The path of the element that comes next.
    fn element(&mut self) -> Path {
        let depth = self.frames.len();
        let frame = self.frames.last().expect("elements are read inside an array");
        if frame.mask == 0 {
            return Path { mask: 0, shape: self.shapes.element(frame.shape) };
        }
        // Pointers count elements, shapes do not.
        let mask = self.pointers.step(frame.mask, depth - 1, frame.index.to_string().as_bytes());
        Path { mask, shape: ShapeId::NONE }
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

    /// Whether the keys without a shape, from `from` on, have one twice.
    fn has_key_twice(&mut self, record: &[u8], from: usize) -> bool {
        let keys = &mut self.keys[from..];
        if keys.len() <= 16 {
            keys.iter()
                .enumerate()
                .any(|(n, a)| keys[..n].iter().any(|b| a.hash == b.hash && same_key(record, a.text, b.text)))
        } else {
            // Sorted, equal hashes are neighbours: an object of a million keys must not cost its square.
            keys.sort_unstable_by_key(|key| key.hash);
            keys.chunk_by(|a, b| a.hash == b.hash).any(|alike| {
                alike.iter().enumerate().any(|(n, a)| alike[..n].iter().any(|b| same_key(record, a.text, b.text)))
            })
        }
    }

    /// What the n-th watched pointer leads to in `record`, the one scanned last: a string, or an integer's digits.
    pub fn watched<'a>(&self, n: usize, record: &'a [u8]) -> Option<Cow<'a, str>> {
        match self.captures[self.pointers.event_types() + n] {
            Capture::String(text) => Some(text.decoded(record)),
            Capture::Integer(from, to) => Some(String::from_utf8_lossy(&record[from..to])),
            Capture::Absent | Capture::Other => None,
        }
    }

    fn event_type<'a>(&self, record: &'a [u8]) -> EventType<'a> {
        let mut outcome = EventType::Missing;
        for capture in &self.captures[..self.pointers.event_types()] {
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

/// Mostly there is none.
#[inline]
fn skip_space(record: &[u8], at: usize) -> usize {
    match record.get(at) {
        Some(b' ' | b'\t' | b'\n' | b'\r') => skip_more_space(record, at + 1),
        _ => at,
    }
}

#[cold]
fn skip_more_space(record: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = record.get(at) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests;
