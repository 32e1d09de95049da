//! Quarantine: the closed list of reasons, and the line that keeps a record with its reason.

use crate::source::SourceId;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// Why a record (or the rest of an object) could not be routed or loaded. The list is closed:
        /// each reason has its heading in the runbook.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Reason] = &[$(Reason::$variant,)*];

            /// The reason's word, as keys, seals and metrics spell it.
            pub fn as_str(self) -> &'static str {
                match self { $(Reason::$variant => $text,)* }
            }
        }
    };
}

reasons! {
    /// The record breaks JSON's grammar.
    NotJson = "not_json",
    /// Valid JSON, but a scalar or an array.
    NotAnObject = "not_an_object",
    /// Bytes that are no UTF-8, or an unpaired surrogate escape.
    InvalidUtf8 = "invalid_utf8",
    /// None of the configured pointers leads to a value.
    EventTypeMissing = "event_type_missing",
    /// The event type is neither an integer nor a string with something in it.
    EventTypeNotUsable = "event_type_not_usable",
    /// The event type is excluded by settings.
    EventTypeDenied = "event_type_denied",
    /// The source object held more event types than `max_event_types`.
    TooManyEventTypes = "too_many_event_types",
    /// Longer than Redshift's 4 MB for one JSON object.
    RecordTooLarge = "record_too_large",
    /// One string over 65,535 bytes, Redshift's limit in VARCHAR and SUPER alike.
    StringTooLong = "string_too_long",
    /// A `\u0000`, which Redshift cannot keep.
    NulCharacter = "nul_character",
    /// A key twice in one object: what COPY would keep is undocumented.
    DuplicateKey = "duplicate_key",
    /// Nested deeper than SUPER's 1,000 levels.
    TooDeep = "too_deep",
    /// A root key that decodes to `_lr`, the lineage member's name.
    ReservedKey = "reserved_key",
    /// The object could not be read to its end. What came before is routed, unless the object is damaged.
    UnreadableObject = "unreadable_object",
    /// COPY refused the record (the loader's only reason).
    RejectedByCopy = "rejected_by_copy",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One line of a quarantine object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedRecord {
    /// `s3://bucket/key` of the source object.
    pub source: String,
    /// Its identity.
    pub source_id: SourceId,
    /// The generation that quarantined it.
    pub generation: u32,
    /// Physical line where the record starts, from 1; 0 where that is not known, because parts are without lineage.
    pub line: u64,
    /// Byte offset of the record in the decompressed object, from 0; only the router knows it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub offset: Option<u64>,
    /// Why.
    pub reason: Reason,
    /// What exactly, for a person.
    pub detail: String,
    /// The record's bytes, as a rule.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub raw: Option<String>,
    /// The record's bytes in Base64, when they are not UTF-8 or would more than double as a JSON string.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub raw_base64: Option<String>,
}

impl QuarantinedRecord {
    /// The record's bytes as its source has them; none where they were not kept.
    pub fn bytes(&self) -> Option<Cow<'_, [u8]>> {
        match (&self.raw, &self.raw_base64) {
            (Some(text), _) => Some(Cow::Borrowed(text.as_bytes())),
            (None, Some(encoded)) => BASE64_STANDARD.decode(encoded).ok().map(Cow::Owned),
            (None, None) => None,
        }
    }
}

/// A record's bytes as `raw` and `raw_base64` keep them: at most twice as long in JSON as they are, because text that
/// escapes would stretch further is kept like what is no text.
pub fn kept_bytes(raw: &[u8]) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(raw) {
        Ok(text) if escaped_bytes(raw) <= 2 * raw.len() => (Some(text.to_owned()), None),
        _ => (None, Some(BASE64_STANDARD.encode(raw))),
    }
}

/// Bytes of the text as a JSON string has them, without quotes.
fn escaped_bytes(text: &[u8]) -> usize {
    let escaped = |byte: &u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.iter().map(escaped).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_where_they_can_be() {
        assert_eq!(kept_bytes("é".as_bytes()), (Some("é".into()), None));
        assert_eq!(kept_bytes(b"\xff"), (None, Some("/w==".into())));
    }

    #[test]
    fn every_reason_is_spelled_alike_in_keys_and_in_json() {
        for &reason in Reason::ALL {
            assert_eq!(serde_json::to_string(&reason).expect("serialises"), format!("\"{reason}\""));
        }
    }

    #[test]
    fn every_reason_has_its_heading_in_the_runbook() {
        let runbook = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/runbook.md");
        let text = std::fs::read_to_string(runbook).expect("the runbook is there");
        for reason in Reason::ALL {
            assert!(text.contains(&format!("\n### {reason}\n")), "{reason}");
        }
    }
}
