//! Quarantine lines: a record's bytes with where it came from and why it could not be routed.

use common::quarantine::{QuarantinedRecord, Reason, kept_bytes};
use common::source::SourceObject;

/// One quarantine line, no longer than twice its record and a little.
pub fn line(place: Place<'_>, reason: Reason, detail: String, bytes: &[u8]) -> Vec<u8> {
    let (raw, raw_base64) = kept_bytes(bytes);
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
    // Nearly all lines fit, so that large ones do not grow by copying.
    let mut line = Vec::with_capacity(2 * bytes.len() + 1_024);
    serde_json::to_writer(&mut line, &record).expect("a Vec takes every write, and the keys are strings");
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

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use time::OffsetDateTime;

    #[test]
    fn a_line_is_no_longer_than_twice_its_record_and_keeps_every_byte() {
        let (bucket, key, etag) = ("raw".to_owned(), "k".to_owned(), "e".to_owned());
        let source = SourceObject { bucket, key, etag, version_id: None, time: OffsetDateTime::UNIX_EPOCH, bytes: 0 };
        let place = Place { source: &source, generation: 0, line: 1, offset: 0 };
        for (raw, is_text) in [
            (&b"{\"a\":\"b\",\"c\":\"d\t\"}"[..], true),
            (&b"\\\"".repeat(50_000), true),
            (&b"{\"event\":\"a\"}\n\x01".repeat(50_000), true),
            (&b"\x01".repeat(100_000), false),
            (&b"\xff{".repeat(50_000), false),
        ] {
            let line = line(place, Reason::NotJson, "why".to_owned(), raw);
            assert!(line.len() <= 2 * raw.len() + 1_024, "{} of {}", line.len(), raw.len());
            let record: QuarantinedRecord = serde_json::from_slice(&line).expect("JSON");
            assert_eq!(record.raw.is_some(), is_text);
            let kept = record.raw.map(String::into_bytes);
            let decoded = record.raw_base64.map(|encoded| BASE64_STANDARD.decode(encoded).expect("base64"));
            assert_eq!(kept.or(decoded).expect("one of both"), raw);
        }
    }
}
