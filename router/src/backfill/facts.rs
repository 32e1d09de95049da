//! What a backfill wants to know of a seal. Sketches, which most of a seal is, are passed over.

use aws_sdk_s3::Client;
use common::aws_error::AwsError;
use common::objects;
use serde::Deserialize;
use time::OffsetDateTime;

/// A seal in few words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Facts {
    #[serde(default)]
    pub(super) replace_id: Option<String>,
    pub(super) routing_id: String,
    #[serde(with = "common::timestamp")]
    pub(super) sealed_at: OffsetDateTime,
    pub(super) counts: Counted,
    pub(super) source: SourceTime,
}

/// Of its source, what nothing else tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct SourceTime {
    /// The time that it was first sealed with: a raw object that is copied onto itself has a later one.
    #[serde(with = "common::timestamp")]
    pub(super) time: OffsetDateTime,
}

/// Its counts, as far as progress tells them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Counted {
    /// Records.
    pub(super) read: u64,
    pub(super) quarantined: u64,
    /// Decompressed.
    pub(super) bytes: u64,
}

/// Reads a seal, if there is one that can be used: what to do about another is for the router that meets it.
pub(super) async fn read_facts(s3: &Client, bucket: &str, key: &str) -> Result<Option<Facts>, AwsError> {
    let bytes = match objects::get(s3, bucket, key).await {
        Ok(bytes) => bytes,
        Err(error) if error.is_no_such_object() => return Ok(None),
        Err(error) => return Err(error),
    };
    let facts = serde_json::from_slice(&bytes);
    if let Err(error) = &facts {
        tracing::warn!(key, %error, "a seal cannot be used: it is damaged, or was written by a newer router");
    }
    Ok(facts.ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::seal::{Counts, Seal};
    use common::source::SourceObject;
    use time::macros::datetime;

    #[test]
    fn the_facts_of_a_seal_are_the_seals() {
        let source = SourceObject {
            bucket: "raw".into(),
            key: "k".into(),
            etag: "e".into(),
            version_id: None,
            time: datetime!(2025-06-01 00:00 UTC),
            bytes: 1,
        };
        let counts = Counts { read: 3, routed: 1, quarantined: 2, bytes: 9, ..Default::default() };
        let seal = Seal {
            version: 1,
            source_id: source.id(),
            source,
            generation: 1,
            routing_id: "01234567".into(),
            sealed_at: datetime!(2025-06-02 00:00 UTC),
            counts,
            events: vec![],
            quarantine: vec![],
            replace_id: Some("r".into()),
        };
        let time = seal.source.time;
        let facts: Facts = serde_json::from_slice(&seal.to_json()).expect("the seal's own members");
        assert_eq!((facts.replace_id, facts.routing_id), (seal.replace_id, seal.routing_id));
        assert_eq!(facts.source, SourceTime { time });
        assert_eq!((facts.sealed_at, facts.counts), (seal.sealed_at, Counted { read: 3, quarantined: 2, bytes: 9 }));
    }
}
