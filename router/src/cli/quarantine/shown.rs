//! A quarantined record as a person sees it. Its bytes are shown because somebody asked; they are never logged.

use common::quarantine::QuarantinedRecord;
use std::fmt::Write;

/// Characters of a record shown to a person; `--json` has all.
const SHOWN_MAX: usize = 2_000;

/// The record as it is kept: one line of JSON.
pub(super) fn line(record: &QuarantinedRecord) -> String {
    let json = serde_json::to_string(record).expect("a record has string keys only, so it always serialises");
    json + "\n"
}

/// Where it stood and why it is there, and below that its bytes.
pub(super) fn for_people(record: &QuarantinedRecord) -> String {
    let QuarantinedRecord { source, line, offset, reason, detail, .. } = record;
    let mut text = plain(source);
    if *line > 0 {
        text.push_str(&format!(" line {line}"));
    }
    if let Some(offset) = offset {
        text.push_str(&format!(" offset {offset}"));
    }
    text.push_str(&format!(": {reason}: {}\n    ", plain(detail)));
    let bytes = record.bytes().unwrap_or_default();
    if bytes.is_empty() {
        text.push_str("(no bytes were kept)");
    } else {
        let whole = String::from_utf8_lossy(&bytes);
        let shown: String = whole.chars().take(SHOWN_MAX).collect();
        text.push_str(&plain(&shown));
        if shown.len() < whole.len() {
            text.push_str(&format!("… ({} bytes, --json shows all)", bytes.len()));
        }
    }
    text.push('\n');
    text
}

/// Without characters that do something to a terminal: a record may say anything.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || is_invisible(character) {
            write!(plain, "{}", character.escape_unicode()).expect("a String takes every write");
        } else {
            plain.push(character);
        }
    }
    plain
}

/// Marks that turn the direction of text around (Unicode Standard Annex 9), and line separators.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::quarantine::{Reason, kept_bytes};
    use common::source::SourceId;

    fn record(bytes: &[u8]) -> QuarantinedRecord {
        let (raw, raw_base64) = kept_bytes(bytes);
        QuarantinedRecord {
            source: "s3://raw/k".into(),
            source_id: SourceId::new("raw", "k", "e"),
            generation: 0,
            line: 7,
            offset: Some(120),
            reason: Reason::NotJson,
            detail: "expected a value at byte 3".into(),
            raw,
            raw_base64,
        }
    }

    #[test]
    fn a_record_is_shown_with_its_place_and_reason() {
        let expected = "s3://raw/k line 7 offset 120: not_json: expected a value at byte 3\n    {\"a\":é\n";
        assert_eq!(for_people(&record("{\"a\":é".as_bytes())), expected);
        assert!(for_people(&record(b"")).ends_with("    (no bytes were kept)\n"));
        let long = for_people(&record("é".repeat(3_000).as_bytes()));
        assert!(long.ends_with("é… (6000 bytes, --json shows all)\n") && long.matches('é').count() == SHOWN_MAX);
    }

    #[test]
    fn what_a_record_says_does_nothing_to_the_terminal() {
        for hostile in [&b"\x1b[2J\x07\r"[..], b"a\xffb\x9b", "\u{202e}x\u{2028}".as_bytes()] {
            let shown = for_people(&record(hostile));
            assert_eq!(shown.lines().count(), 2, "{shown:?}");
            assert!(!shown.chars().any(|c| (c.is_control() && c != '\n') || is_invisible(c)), "{shown:?}");
        }
    }

    #[test]
    fn as_json_a_record_is_what_is_kept() {
        let kept = record(b"{\xff");
        assert_eq!(serde_json::from_str::<QuarantinedRecord>(&line(&kept)).expect("JSON"), kept);
    }
}
