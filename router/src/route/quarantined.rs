//! Quarantine lines: a record's bytes with where it came from and why it could not be routed.

use common::quarantine::{QuarantinedRecord, Reason, kept_bytes};
use common::source::SourceObject;

/// One quarantine line.
pub fn line(place: Place<'_>, reason: Reason, detail: String, raw: &[u8]) -> Vec<u8> {
    let (raw, raw_base64) = kept_bytes(raw);
    let record = QuarantinedRecord {
        source: place.source.uri(),
        source_id: place.source.id(),
        generation: place.generation,
        line: place.line,
        offset: Some(place.offset),
        reason,
        detail,
        raw,
        raw_base64,
    };
    let mut line = serde_json::to_vec(&record).expect("a Vec takes every write, and the keys are strings");
    line.push(b'\n');
    line
}

/// Where a quarantined record stands.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Its object.
    pub source: &'a SourceObject,
    /// The generation being routed.
    pub generation: u32,
    /// Its line, from 1.
    pub line: u64,
    /// Its offset in the decompressed object, from 0.
    pub offset: u64,
}
