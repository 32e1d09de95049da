//! Quarantine lines: a record's bytes with where it came from and why it could not be routed.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use common::quarantine::{QuarantinedRecord, Reason};
use common::source::SourceObject;

/// One quarantine line.
pub fn line(place: Place<'_>, reason: Reason, detail: String, raw: &[u8]) -> Vec<u8> {
    let (text, encoded) = match std::str::from_utf8(raw) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(BASE64_STANDARD.encode(raw))),
    };
    let record = QuarantinedRecord {
        source: place.source.uri(),
        source_id: place.source.id(),
        generation: place.generation,
        line: place.line,
        offset: place.offset,
        reason,
        detail,
        raw: text,
        raw_base64: encoded,
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
