//! The load request: router → loader, "this event of this source object is ready, with all its parts".
//!
//! A hint that makes loading quick. What it says is also in the seal, so losing one loses nothing.

use crate::event_name::EventName;
use crate::seal::{Part, Seal, SealedEvent};
use crate::sketch::Sketch;
use crate::source::SourceId;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The highest request format that this code understands. It writes the lowest that can say the request: 1, or 2 where
/// the parts stay in the seal.
pub const LOAD_REQUEST_VERSION: u32 = 2;

/// Largest request body in bytes; above it first the sketch stays in the seal, then the parts. SQS takes 1 MiB for a
/// message and for a whole batch call (SQS developer guide, quotas-messages); older queues are set to 256 KiB.
pub const LOAD_REQUEST_MAX_BYTES: usize = 200 * 1024;

/// Which of the two queues a request travels on: backfill never delays live data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Log arrival.
    Live,
    /// Replays of old logs.
    Backfill,
}

/// One event of one source object, with all its parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadRequest {
    /// At most [`LOAD_REQUEST_VERSION`] at writing.
    pub version: u32,
    /// Whose records.
    pub source_id: SourceId,
    /// The source's time.
    #[serde(with = "crate::timestamp")]
    pub source_time: OffsetDateTime,
    /// The generation of the parts.
    pub generation: u32,
    /// Names the table.
    pub event: EventName,
    /// How it travels.
    pub lane: Lane,
    /// May be none: a replace that left nothing.
    pub parts: PartsSource,
    /// Where the sketch is.
    pub sketch: SketchSource,
}

/// The parts themselves or, when they would not fit the message, the seal that names them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PartsSource {
    /// The parts.
    Inline(Vec<Part>),
    /// Where they are named.
    Seal(SealedParts),
}

/// The parts of one event as its seal names them: where, and how much that is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SealedParts {
    /// Key of the seal in the routed bucket.
    pub seal: String,
    /// How many parts.
    pub count: usize,
    /// Records over all parts.
    pub records: u64,
    /// Decompressed bytes over all parts.
    pub bytes: u64,
}

impl SealedParts {
    /// The parts of an event of the seal under `seal_key`.
    pub fn new(seal_key: &str, event: &SealedEvent) -> Self {
        Self {
            seal: seal_key.to_owned(),
            count: event.parts.len(),
            records: event.parts.iter().map(|part| part.records).sum(),
            bytes: event.parts.iter().map(|part| part.bytes).sum(),
        }
    }
}

/// The sketch itself or, when it would not fit the message, the seal that holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SketchSource {
    /// The sketch.
    Inline(Sketch),
    /// Key of the seal in the routed bucket.
    Seal(String),
}

/// A body that is no load request this release can carry out.
#[derive(Debug, thiserror::Error)]
pub enum LoadRequestError {
    /// Not the JSON of a load request.
    #[error("the message is not a load request")]
    Malformed(#[source] serde_json::Error),
    /// Written by a newer release: to be returned for later, never poison.
    #[error("load request version {0} is newer than {LOAD_REQUEST_VERSION}, the newest this release knows: upgrade it")]
    TooNew(u32),
}

impl LoadRequest {
    /// The request for one event of a seal. `seal_key` stands in for what would not fit a message, so there is none
    /// that cannot be sent.
    pub fn new(seal: &Seal, event: &SealedEvent, seal_key: &str, lane: Lane) -> Self {
        let mut request = LoadRequest {
            version: 1,
            source_id: seal.source_id.clone(),
            source_time: seal.source.time,
            generation: event.since,
            event: event.event.clone(),
            lane,
            parts: PartsSource::Inline(event.parts.clone()),
            sketch: SketchSource::Inline(event.sketch.clone()),
        };
        if request.to_json().len() > LOAD_REQUEST_MAX_BYTES {
            request.sketch = SketchSource::Seal(seal_key.to_owned());
        }
        if request.to_json().len() > LOAD_REQUEST_MAX_BYTES {
            request.version = 2;
            request.parts = PartsSource::Seal(SealedParts::new(seal_key, event));
        }
        request
    }

    /// Reads a message body.
    pub fn parse(body: &str) -> Result<Self, LoadRequestError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_str(body).map_err(LoadRequestError::Malformed)?;
        if version > LOAD_REQUEST_VERSION {
            return Err(LoadRequestError::TooNew(version));
        }
        serde_json::from_str(body).map_err(LoadRequestError::Malformed)
    }

    /// The message body, in characters that SQS takes: of those that JSON leaves unescaped it refuses two (SQS API,
    /// `SendMessage`), which keys of records may hold.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string(self).expect("a load request has string keys only, so it always serialises");
        match json.contains(['\u{fffe}', '\u{ffff}']) {
            false => json,
            true => json.replace('\u{fffe}', r"\ufffe").replace('\u{ffff}', r"\uffff"),
        }
    }

    /// Key of the seal to be read for what the message does not hold, if there is any such thing.
    pub fn seal_key(&self) -> Option<&str> {
        match (&self.parts, &self.sketch) {
            (PartsSource::Seal(SealedParts { seal, .. }), _) | (_, SketchSource::Seal(seal)) => Some(seal),
            (PartsSource::Inline(_), SketchSource::Inline(_)) => None,
        }
    }

    /// How many parts.
    pub fn part_count(&self) -> usize {
        match &self.parts {
            PartsSource::Inline(parts) => parts.len(),
            PartsSource::Seal(sealed) => sealed.count,
        }
    }

    /// Records over all parts.
    pub fn records(&self) -> u64 {
        match &self.parts {
            PartsSource::Inline(parts) => parts.iter().map(|part| part.records).sum(),
            PartsSource::Seal(sealed) => sealed.records,
        }
    }

    /// Decompressed bytes over all parts.
    pub fn bytes(&self) -> u64 {
        match &self.parts {
            PartsSource::Inline(parts) => parts.iter().map(|part| part.bytes).sum(),
            PartsSource::Seal(sealed) => sealed.bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::Counts;
    use crate::sketch::{SketchNode, Types};
    use crate::source::SourceObject;
    use time::macros::datetime;

    fn seal_with(sketch: Sketch) -> Seal {
        let source = SourceObject {
            bucket: "raw".into(),
            key: "k".into(),
            etag: "e".into(),
            version_id: None,
            time: datetime!(2025-06-01 00:00 UTC),
            bytes: 1,
        };
        let event = SealedEvent {
            event: EventName::of_type("a"),
            since: 0,
            records: 1,
            parts: vec![Part { key: "routed/a/p".into(), records: 1, bytes: 10 }],
            sketch,
        };
        Seal {
            version: 1,
            source_id: source.id(),
            source,
            generation: 0,
            routing_id: "00000000".into(),
            sealed_at: datetime!(2025-06-01 00:00 UTC),
            counts: Counts::default(),
            events: vec![event],
            quarantine: vec![],
            replace_id: None,
        }
    }

    #[test]
    fn a_request_survives_its_message() {
        let seal = seal_with(SketchNode { types: Types::OBJECT, ..Default::default() });
        let request = LoadRequest::new(&seal, &seal.events[0], "seals/id/x.g0.json", Lane::Live);
        assert_eq!(LoadRequest::parse(&request.to_json()).expect("parses"), request);
        assert_eq!(Seal::parse("k", &seal.to_json()).expect("parses"), seal);
    }

    #[test]
    fn a_request_holds_only_characters_that_sqs_takes() {
        let mut sketch = SketchNode { types: Types::OBJECT, ..Default::default() };
        for unsendable in (0..0x20).chain([0xfffe, 0xffff]) {
            let key = format!("key{}", char::from_u32(unsendable).expect("a character"));
            sketch.keys.insert(key, SketchNode { types: Types::STRING, ..Default::default() });
        }
        let seal = seal_with(sketch);
        let request = LoadRequest::new(&seal, &seal.events[0], "seals/id/x.g0.json", Lane::Live);
        let body = request.to_json();
        assert!(body.chars().all(|c| c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}')), "{body:?}");
        assert_eq!(LoadRequest::parse(&body).expect("parses"), request);
    }

    #[test]
    fn a_sketch_that_would_not_fit_is_left_in_the_seal() {
        let mut sketch = SketchNode { types: Types::OBJECT, ..Default::default() };
        for n in 0..20_000 {
            sketch.keys.insert(format!("key_{n}"), SketchNode { types: Types::STRING, ..Default::default() });
        }
        let seal = seal_with(sketch);
        let request = LoadRequest::new(&seal, &seal.events[0], "seals/id/x.g0.json", Lane::Live);
        assert_eq!(request.sketch, SketchSource::Seal("seals/id/x.g0.json".into()));
        assert_eq!((request.version, request.part_count()), (1, 1), "whom the parts suffice reads it still");
        assert!(request.to_json().len() < LOAD_REQUEST_MAX_BYTES);
    }

    #[test]
    fn parts_that_would_not_fit_are_left_in_the_seal_and_counted_in_the_request() {
        let mut seal = seal_with(SketchNode { types: Types::OBJECT, ..Default::default() });
        let mut versions = Vec::new();
        for parts in [1_000, 3_000, 50_000] {
            let part = |n| Part { key: format!("routed/a/{:0100}.json.gz", n), records: 2, bytes: 10 };
            seal.events[0].parts = (0..parts).map(part).collect();
            let request = LoadRequest::new(&seal, &seal.events[0], "seals/id/x.g0.json", Lane::Live);
            assert!(request.to_json().len() <= LOAD_REQUEST_MAX_BYTES);
            assert_eq!(LoadRequest::parse(&request.to_json()).expect("parses"), request);
            let (count, records, bytes) = (request.part_count(), request.records(), request.bytes());
            assert_eq!((count, records, bytes), (parts, 2 * parts as u64, 10 * parts as u64));
            versions.push((request.version, request.seal_key().map(str::to_owned)));
        }
        let key = Some("seals/id/x.g0.json".to_owned());
        assert_eq!(versions, [(1, None), (2, key.clone()), (2, key)], "older loaders wait for what they cannot read");
    }

    #[test]
    fn requests_of_the_first_version_are_read_as_they_were_written() {
        let seal = seal_with(SketchNode::default());
        let request = LoadRequest::new(&seal, &seal.events[0], "seals/id/x.g0.json", Lane::Live);
        let body = request.to_json();
        assert!(body.starts_with(r#"{"version":1,"#), "{body}");
        assert!(
            body.contains(r#""parts":[{"key":"routed/a/p","records":1,"bytes":10}],"sketch":{"inline":"#),
            "{body}"
        );
    }

    #[test]
    fn newer_versions_are_told_apart_from_garbage() {
        assert!(matches!(LoadRequest::parse(r#"{"version":3,"shape":"new"}"#), Err(LoadRequestError::TooNew(3))));
        assert!(matches!(LoadRequest::parse("hello"), Err(LoadRequestError::Malformed(_))));
    }
}
