//! The tape: the paths and types of one record, in reading order, before its event is known.
//!
//! A record's event type may stand behind everything else, and a record may fail at its last byte;
//! so a scan only writes this list, and the sketch of its event takes it in afterwards.

use super::shapes::ShapeId;
use super::string::Text;
use common::sketch::Types;

/// One step through the record's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TapeEntry {
    /// A key and its value. An object's keys follow between `Open` and `Close`.
    Value {
        /// Where the key is: in the record, or among the decoded keys.
        key: KeyRef,
        /// The path, if it is held: equal ones are equal paths.
        shape: ShapeId,
        /// The value's type.
        types: Types,
        /// A string's decoded length.
        bytes: u32,
    },
    /// The object just named begins.
    Open,
    /// It ends.
    Close,
}

/// Where a key's decoded bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRef {
    /// As written in the record.
    Record(u32, u32),
    /// Decoded, in the tape.
    Decoded(u32, u32),
}

/// Reusable list of a record's steps.
#[derive(Default)]
pub struct Tape {
    entries: Vec<TapeEntry>,
    decoded: Vec<u8>,
}

impl Tape {
    /// The steps.
    pub fn entries(&self) -> &[TapeEntry] {
        &self.entries
    }

    /// A key's decoded bytes; `record` is the record that was scanned.
    pub fn key_of<'a>(&'a self, key: KeyRef, record: &'a [u8]) -> &'a [u8] {
        match key {
            KeyRef::Record(from, to) => &record[from as usize..to as usize],
            KeyRef::Decoded(from, to) => &self.decoded[from as usize..to as usize],
        }
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.decoded.clear();
    }

    pub(super) fn key(&mut self, text: Text, decoded: &[u8], shape: ShapeId) {
        let key = if text.escaped {
            let from = self.decoded.len() as u32;
            self.decoded.extend_from_slice(decoded);
            KeyRef::Decoded(from, self.decoded.len() as u32)
        } else {
            KeyRef::Record(text.start, text.end)
        };
        self.entries.push(TapeEntry::Value { key, shape, types: Types::NONE, bytes: 0 });
    }

    /// The value of the key that came last.
    pub(super) fn value(&mut self, seen: Types, length: u32) {
        if let Some(TapeEntry::Value { types, bytes, .. }) = self.entries.last_mut() {
            *types = seen;
            *bytes = length;
        }
    }

    pub(super) fn open(&mut self) {
        self.entries.push(TapeEntry::Open);
    }

    pub(super) fn close(&mut self) {
        self.entries.push(TapeEntry::Close);
    }
}
