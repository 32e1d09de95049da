//! Which event a record would have been, had it not been kept back.

use crate::route::classify::TypeRules;
use crate::route::fixed::{FixedPrefixes, FixedType};
use common::event_name::EventName;
use common::quarantine::QuarantinedRecord;
use common::settings::RouterSettings;
use common::source::SourceObject;
use serde_json::Value;

/// What names events, of one deployment's settings. Rules that keep types out do not count here: that is what records are
/// in quarantine for.
#[derive(Clone, Debug)]
pub(super) struct Events {
    pointers: Vec<String>,
    types: TypeRules,
    fixed: FixedPrefixes,
}

impl Events {
    pub(super) fn new(settings: &RouterSettings) -> Self {
        Self {
            pointers: settings.event_type.clone(),
            types: TypeRules::new(&settings.rules),
            fixed: FixedPrefixes::new(&settings.rules.fixed),
        }
    }

    /// The event that the record's bytes name, or its key; none where neither does, as in what is no JSON.
    pub(super) fn of(&self, source: &SourceObject, record: &QuarantinedRecord) -> Option<EventName> {
        match self.fixed.of_key(&source.key) {
            FixedType::Named(event_type) => return Some(self.types.renamed(event_type)),
            FixedType::Unnamed(_) => return None,
            FixedType::InRecords => {}
        }
        let bytes = record.bytes()?;
        let value: Value = serde_json::from_slice(&bytes).ok()?;
        let found = self.pointers.iter().filter_map(|pointer| value.pointer(pointer)).find(|value| !value.is_null())?;
        match found {
            Value::String(event_type) if !event_type.is_empty() => Some(self.types.renamed(event_type)),
            Value::Number(number) if number.is_i64() || number.is_u64() => {
                Some(self.types.renamed(&number.to_string()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::quarantine::{Reason, kept_bytes};
    use common::settings::EventRules;
    use time::OffsetDateTime;

    fn record(bytes: &[u8]) -> QuarantinedRecord {
        let (raw, raw_base64) = kept_bytes(bytes);
        QuarantinedRecord {
            source: "s3://raw/k".into(),
            source_id: common::source::SourceId::new("raw", "k", "e"),
            generation: 0,
            line: 1,
            offset: Some(0),
            reason: Reason::EventTypeDenied,
            detail: String::new(),
            raw,
            raw_base64,
        }
    }

    #[test]
    fn a_record_is_of_the_event_that_its_bytes_or_its_key_name() {
        let rules = EventRules {
            deny: vec!["spam*".to_owned()],
            rename: [("Seen".to_owned(), EventName::of_type("view"))].into(),
            fixed: vec!["drop/".to_owned()],
            ..EventRules::default()
        };
        let event_type = vec!["/type".to_owned(), "/meta/event".to_owned()];
        let events = Events::new(&RouterSettings { event_type, rules, ..RouterSettings::default() });
        let of = |key: &str, bytes: &[u8]| {
            let (bucket, etag, time) = ("raw".to_owned(), "e".to_owned(), OffsetDateTime::UNIX_EPOCH);
            let source = SourceObject { bucket, key: key.to_owned(), etag, version_id: None, time, bytes: 1 };
            events.of(&source, &record(bytes)).map(String::from)
        };
        assert_eq!(of("k", br#"{"type":"spamOne"}"#).as_deref(), Some(EventName::of_type("spamOne").as_str()));
        assert_eq!(of("k", br#"{"type":null,"meta":{"event":"Seen"}}"#).as_deref(), Some("view"));
        assert_eq!(of("k", b"{\"type\":7,\"\\u0001\":\"\x7f\"}").as_deref(), Some(EventName::of_type("7").as_str()));
        for nameless in [&b"{\"type\":\"a\""[..], b"{\"type\":[]}", b"{\"type\":1.5}", b"{}", b"\xff"] {
            assert_eq!(of("k", nameless), None);
        }
        assert_eq!(of("drop/Seen/k", b"no JSON").as_deref(), Some("view"));
        assert_eq!(of("drop/k", br#"{"type":"a"}"#), None);
    }
}
