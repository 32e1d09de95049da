//! The load request: router → loader, "this event of this source object is ready, with all its parts".
//!
//! A hint that makes loading quick. What it says is also in the seal, so losing one loses nothing.

use crate::event_name::EventName;
use crate::seal::{Part, Seal, SealedEvent};
use crate::sketch::Sketch;
use crate::source::SourceId;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The request format this code writes, and the highest it understands.
pub const LOAD_REQUEST_VERSION: u32 = 1;

/// Largest request body with its sketch in bytes; above it the sketch stays in the seal. SQS takes 1 MiB for a
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
    /// [`LOAD_REQUEST_VERSION`] at writing.
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
    /// May be empty: a replace that left nothing.
    pub parts: Vec<Part>,
    /// Where the sketch is.
    pub sketch: SketchSource,
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
    /// The request for one event of a seal. `seal_key` stands in for a sketch that is too large.
    pub fn new(seal: &Seal, event: &SealedEvent, seal_key: &str, lane: Lane) -> Self {
        let mut request = LoadRequest {
            version: LOAD_REQUEST_VERSION,
            source_id: seal.source_id.clone(),
            source_time: seal.source.time,
            generation: event.since,
            event: event.event.clone(),
            lane,
            parts: event.parts.clone(),
            sketch: SketchSource::Inline(event.sketch.clone()),
        };
        if request.to_json().len() > LOAD_REQUEST_MAX_BYTES {
            request.sketch = SketchSource::Seal(seal_key.to_owned());
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

    /// The message body.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a load request has string keys only, so it always serialises")
    }

    /// Records over all parts.
    pub fn records(&self) -> u64 {
        self.parts.iter().map(|part| part.records).sum()
    }

    /// Decompressed bytes over all parts.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
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
    fn a_sketch_that_would_not_fit_is_left_in_the_seal() {
        let mut sketch = SketchNode { types: Types::OBJECT, ..Default::default() };
        for n in 0..20_000 {
            sketch.keys.insert(format!("key_{n}"), SketchNode { types: Types::STRING, ..Default::default() });
        }
        let seal = seal_with(sketch);
        let request = LoadRequest::new(&seal, &seal.events[0], "seals/id/x.g0.json", Lane::Live);
        assert_eq!(request.sketch, SketchSource::Seal("seals/id/x.g0.json".into()));
        assert!(request.to_json().len() < LOAD_REQUEST_MAX_BYTES);
    }

    #[test]
    fn newer_versions_are_told_apart_from_garbage() {
        assert!(matches!(LoadRequest::parse(r#"{"version":2,"shape":"new"}"#), Err(LoadRequestError::TooNew(2))));
        assert!(matches!(LoadRequest::parse("hello"), Err(LoadRequestError::Malformed(_))));
    }
}
