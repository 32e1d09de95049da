//! Shapes: a dictionary of the paths that earlier records had, with a guess which key comes next.
//!
//! Records of one source mostly repeat their keys in their order. Where the guess holds, a key costs one comparison:
//! it is neither scanned nor hashed, its pointers are known, and a key that an object has twice shows by its stamp.
//! Only speed depends on what is in here, never a verdict: a path that found no room takes the long way.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Paths held; each some 100 bytes with its key.
const SHAPES_MAX: usize = 16_384;

/// Longest key held.
const KEY_MAX_BYTES: usize = 128;

/// What stands for "the elements of this array" among the children of a path. It may be guessed where a key is due, so
/// it is a byte that UTF-8 never has: no record can match it.
const ELEMENT: &[u8] = b"\xff";

/// A path, or `NONE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShapeId(u32);

impl ShapeId {
    /// A path that is not held.
    pub const NONE: Self = Self(u32::MAX);
    /// The record itself.
    pub(super) const ROOT: Self = Self(0);
}

struct Shape {
    /// The beginning of the key as written, padded with zeros: most keys are compared as these two words.
    head: [u64; 2],
    parent: ShapeId,
    /// The key as written, quotes included: where it is in `text`, and its length.
    from: u32,
    bytes: u32,
    /// Pointers whose tokens match the path up to here.
    mask: u32,
    /// The two keys that came first in the object at this path, the newer one first.
    first: [ShapeId; 2],
    /// The two keys that followed this one, the newer one first.
    next: [ShapeId; 2],
    /// The last object that had this key.
    seen_in: u64,
}

/// A key that was where it was expected.
pub(super) struct Guessed {
    pub(super) shape: ShapeId,
    /// What it takes in the record, quotes included.
    pub(super) bytes: usize,
    /// Pointers whose tokens match the path.
    pub(super) mask: u32,
    /// Whether its object had it before.
    pub(super) is_second: bool,
}

pub(super) struct Shapes {
    shapes: Vec<Shape>,
    text: Vec<u8>,
    /// By hash of parent and key; what collides is not held.
    by_hash: HashMap<u64, ShapeId, BuildHasherDefault<AsIs>>,
}

/// Bytes of a key in its head.
const HEAD_BYTES: usize = 16;

/// By length of the key: which bits of the head it has.
const HEAD_MASKS: [[u64; 2]; HEAD_BYTES + 1] = {
    let mut masks = [[0; 2]; HEAD_BYTES + 1];
    let mut length = 0;
    while length < HEAD_BYTES {
        masks[length + 1] = masks[length];
        masks[length + 1][length / 8] |= 0xFF << (length % 8 * 8);
        length += 1;
    }
    masks
};

fn words(bytes: &[u8; HEAD_BYTES]) -> [u64; 2] {
    let both = u128::from_le_bytes(*bytes);
    [both as u64, (both >> 64) as u64]
}

/// The keys of `by_hash` are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 are hashed");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Shapes {
    pub(super) fn new(mask_of_root: u32) -> Self {
        let mut shapes = Self { shapes: Vec::new(), text: Vec::new(), by_hash: HashMap::default() };
        shapes.push(ShapeId::NONE, b"", mask_of_root);
        shapes
    }

    /// One of the keys expected behind `last` (`NONE`: as the first one) in the object at `parent`, if `record` has it at
    /// `at`: then `object` is noted to have it.
    #[inline(always)]
    pub(super) fn guess(
        &mut self,
        parent: ShapeId,
        last: ShapeId,
        record: &[u8],
        at: usize,
        object: u64,
    ) -> Option<Guessed> {
        let guesses = match self.get(last) {
            Some(last) => last.next,
            None => self.get(parent)?.first,
        };
        let guess = match self.is_there(guesses[0], record, at) {
            true => guesses[0],
            false if self.is_there(guesses[1], record, at) => guesses[1],
            false => return None,
        };
        let shape = self.get_mut(guess)?;
        let is_second = std::mem::replace(&mut shape.seen_in, object) == object;
        Some(Guessed { shape: guess, bytes: shape.bytes as usize, mask: shape.mask, is_second })
    }

    /// Whether `record` has the key at `at`.
    #[inline(always)]
    fn is_there(&self, guess: ShapeId, record: &[u8], at: usize) -> bool {
        let Some(shape) = self.get(guess) else { return false };
        let bytes = shape.bytes as usize;
        match record.get(at..at + HEAD_BYTES) {
            Some(there) if bytes <= HEAD_BYTES => {
                let there = words(there.try_into().expect("it has this length"));
                let mask = HEAD_MASKS[bytes];
                (((there[0] & mask[0]) ^ shape.head[0]) | ((there[1] & mask[1]) ^ shape.head[1])) == 0
            }
            _ => record.get(at..at + bytes) == Some(self.text_of(shape)),
        }
    }

    /// The path of a key that was no guess, made when it is new: `key` is decoded, `mask` says which pointers lead there.
    /// It becomes the next guess behind `last`. A key gets the same answer however it is written, `NONE` too.
    pub(super) fn find(&mut self, parent: ShapeId, last: ShapeId, key: &[u8], hash: u64, mask: u32) -> ShapeId {
        // What can only be written with escapes must never be compared with a record's bytes.
        if key.len() > KEY_MAX_BYTES || key.iter().any(|b| matches!(b, b'"' | b'\\' | 0..0x20)) {
            return ShapeId::NONE;
        }
        let mut written = [b'"'; KEY_MAX_BYTES + 2];
        written[1..=key.len()].copy_from_slice(key);
        self.find_written(parent, last, &written[..key.len() + 2], hash, mask)
    }

    fn find_written(&mut self, parent: ShapeId, last: ShapeId, written: &[u8], hash: u64, mask: u32) -> ShapeId {
        if parent == ShapeId::NONE {
            return ShapeId::NONE;
        }
        let hash = hash ^ u64::from(parent.0).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let found = match self.by_hash.get(&hash) {
            Some(&id) => match self.get(id) {
                Some(shape) if shape.parent == parent && self.text_of(shape) == written => id,
                _ => ShapeId::NONE,
            },
            None if self.shapes.len() < SHAPES_MAX => {
                let id = self.push(parent, written, mask);
                self.by_hash.insert(hash, id);
                id
            }
            None => ShapeId::NONE,
        };
        match self.get_mut(last) {
            Some(last) => last.next = [found, last.next[0]],
            None => {
                if let Some(parent) = self.get_mut(parent) {
                    parent.first = [found, parent.first[0]];
                }
            }
        }
        found
    }

    /// The path of the elements of the array at `parent`. No pointer may lead into that array.
    pub(super) fn element(&mut self, parent: ShapeId) -> ShapeId {
        let first = self.get(parent).map_or(ShapeId::NONE, |parent| parent.first[0]);
        match self.get(first) {
            Some(first_shape) if self.text_of(first_shape) == ELEMENT => first,
            _ => self.find_written(parent, ShapeId::NONE, ELEMENT, u64::MAX, 0),
        }
    }

    /// Notes that `object` has this key. Returns whether it had it before.
    #[inline]
    pub(super) fn stamp(&mut self, id: ShapeId, object: u64) -> bool {
        self.get_mut(id).is_some_and(|shape| std::mem::replace(&mut shape.seen_in, object) == object)
    }

    fn push(&mut self, parent: ShapeId, written: &[u8], mask: u32) -> ShapeId {
        let from = self.text.len() as u32;
        self.text.extend_from_slice(written);
        let mut head = [0; HEAD_BYTES];
        let head_length = written.len().min(HEAD_BYTES);
        head[..head_length].copy_from_slice(&written[..head_length]);
        let (first, next) = ([ShapeId::NONE; 2], [ShapeId::NONE; 2]);
        let (head, bytes) = (words(&head), written.len() as u32);
        self.shapes.push(Shape { head, parent, from, bytes, mask, first, next, seen_in: 0 });
        ShapeId(self.shapes.len() as u32 - 1)
    }

    #[inline]
    fn get(&self, id: ShapeId) -> Option<&Shape> {
        self.shapes.get(id.0 as usize)
    }

    #[inline]
    fn get_mut(&mut self, id: ShapeId) -> Option<&mut Shape> {
        self.shapes.get_mut(id.0 as usize)
    }

    #[inline]
    fn text_of(&self, shape: &Shape) -> &[u8] {
        &self.text[shape.from as usize..(shape.from + shape.bytes) as usize]
    }
}
