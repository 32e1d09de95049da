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
    /// The key as written, quotes included, in `text`.
    from: u32,
    to: u32,
    /// Pointers whose tokens match the path up to here.
    mask: u32,
    /// The key that came first in the object at this path, the last time.
    first: ShapeId,
    /// The key that followed this one, the last time.
    next: ShapeId,
    /// The last object that had this key.
    seen_in: u64,
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

    /// The key expected behind `last` (`NONE`: as the first one) in the object at `parent`, if `record` has it at `at`.
    /// Returns its path and how many bytes it takes there, quotes included.
    #[inline]
    pub(super) fn guess(&self, parent: ShapeId, last: ShapeId, record: &[u8], at: usize) -> Option<(ShapeId, usize)> {
        let guess = match self.get(last) {
            Some(last) => last.next,
            None => self.get(parent)?.first,
        };
        let expected = self.get(guess)?;
        let length = (expected.to - expected.from) as usize;
        let is_there = match record.get(at..at + HEAD_BYTES) {
            Some(there) if length <= HEAD_BYTES => {
                let there = words(there.try_into().expect("it has this length"));
                let masks = HEAD_MASKS[length];
                (there[0] & masks[0], there[1] & masks[1]) == (expected.head[0], expected.head[1])
            }
            _ => record.get(at..at + length)? == self.text_of(expected),
        };
        is_there.then_some((guess, length))
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
            Some(last) => last.next = found,
            None => {
                if let Some(parent) = self.get_mut(parent) {
                    parent.first = found;
                }
            }
        }
        found
    }

    /// The path of the elements of the array at `parent`. No pointer may lead into that array.
    pub(super) fn element(&mut self, parent: ShapeId) -> ShapeId {
        let first = self.get(parent).map_or(ShapeId::NONE, |parent| parent.first);
        match self.get(first) {
            Some(first_shape) if self.text_of(first_shape) == ELEMENT => first,
            _ => self.find_written(parent, ShapeId::NONE, ELEMENT, u64::MAX, 0),
        }
    }

    /// Which pointers lead to the path.
    #[inline]
    pub(super) fn mask(&self, id: ShapeId) -> u32 {
        self.get(id).map_or(0, |shape| shape.mask)
    }

    /// Notes that `object` has this key. Returns whether it had it before.
    #[inline]
    pub(super) fn stamp(&mut self, id: ShapeId, object: u64) -> bool {
        self.get_mut(id).is_some_and(|shape| std::mem::replace(&mut shape.seen_in, object) == object)
    }

    fn push(&mut self, parent: ShapeId, written: &[u8], mask: u32) -> ShapeId {
        let from = self.text.len() as u32;
        self.text.extend_from_slice(written);
        let to = self.text.len() as u32;
        let mut head = [0; HEAD_BYTES];
        let head_length = written.len().min(HEAD_BYTES);
        head[..head_length].copy_from_slice(&written[..head_length]);
        let (first, next) = (ShapeId::NONE, ShapeId::NONE);
        self.shapes.push(Shape { head: words(&head), parent, from, to, mask, first, next, seen_in: 0 });
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
        &self.text[shape.from as usize..shape.to as usize]
    }
}
