//! The seal: the object, written after the parts, that says what was routed from a source object.
//!
//! Seals are one of the two truths (the ledger is the other): what a seal names exists, what no seal
//! names does not count. The highest generation's seal alone is ever read, so it names every event of
//! every earlier generation too.

use crate::event_name::EventName;
use crate::quarantine::Reason;
use crate::sketch::Sketch;
use crate::source::{SourceId, SourceObject};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// The seal format this code writes.
pub const SEAL_VERSION: u32 = 1;

/// What was routed from one source object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seal {
    /// [`SEAL_VERSION`] at writing.
    pub version: u32,
    /// The raw object.
    pub source: SourceObject,
    /// Its identity.
    pub source_id: SourceId,
    /// 0, or higher after a replace.
    pub generation: u32,
    /// Hash over the settings and code version that decided the routed bytes.
    pub routing_id: String,
    /// When this seal was written; names its day index object.
    #[serde(with = "crate::timestamp")]
    pub sealed_at: OffsetDateTime,
    /// Where every record went.
    pub counts: Counts,
    /// Every event of this and every earlier generation, by name.
    pub events: Vec<SealedEvent>,
    /// Quarantine objects of this generation.
    pub quarantine: Vec<SealedQuarantine>,
    /// The replace or repair that made this generation.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replace_id: Option<String>,
}

/// Counts of records; `read = routed + quarantined + dropped` always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records found in the source object, and one for an unreadable rest.
    pub read: u64,
    /// In parts.
    pub routed: u64,
    /// In quarantine objects.
    pub quarantined: u64,
    /// Removed by a drop rule, without a trace of their bytes.
    pub dropped: u64,
    /// Decompressed bytes read.
    pub bytes: u64,
    /// Quarantined records by reason.
    pub by_reason: BTreeMap<Reason, u64>,
    /// Routed records by event type, as found in the records; of a long type its beginning and a hash.
    pub by_type: BTreeMap<String, u64>,
    /// Dropped records by the pointer of their rule: never by the value, which tends to name a person.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub by_rule: BTreeMap<String, u64>,
}

impl Counts {
    /// Whether every record read is accounted for.
    pub fn balance(&self) -> bool {
        self.read == self.routed + self.quarantined + self.dropped
            && self.quarantined == self.by_reason.values().sum::<u64>()
            && self.routed == self.by_type.values().sum::<u64>()
            && self.dropped == self.by_rule.values().sum::<u64>()
    }
}

/// One event of a source object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SealedEvent {
    /// Its name.
    pub event: EventName,
    /// The generation that its parts belong to: the event is owed while its ledger generation is below it.
    pub since: u32,
    /// Records over all parts.
    pub records: u64,
    /// Empty where a replace left nothing.
    pub parts: Vec<Part>,
    /// What the parts' records look like.
    pub sketch: Sketch,
}

/// One object of one event name from one source object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Full key in the routed bucket.
    pub key: String,
    /// Records (lines) in it, never 0.
    pub records: u64,
    /// Decompressed bytes.
    pub bytes: u64,
}

/// One quarantine object of a source object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedQuarantine {
    /// Full key in the quarantine bucket.
    pub key: String,
    /// The reason all its records share.
    pub reason: Reason,
    /// Records in it.
    pub records: u64,
}

/// A seal that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Not the JSON of a seal.
    #[error("{key} is not a seal")]
    Malformed {
        /// The object's key.
        key: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// Written by a newer release.
    #[error("{key} has seal version {version}, and this release knows up to {SEAL_VERSION}: upgrade it")]
    TooNew {
        /// The object's key.
        key: String,
        /// Its version.
        version: u32,
    },
}

impl Seal {
    /// Reads the seal found under `key`.
    pub fn parse(key: &str, bytes: &[u8]) -> Result<Self, SealError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let malformed = |source| SealError::Malformed { key: key.to_owned(), source };
        let Version { version } = serde_json::from_slice(bytes).map_err(malformed)?;
        if version > SEAL_VERSION {
            return Err(SealError::TooNew { key: key.to_owned(), version });
        }
        serde_json::from_slice(bytes).map_err(malformed)
    }

    /// Whether it is of contents of this key.
    pub fn is_of_key(&self, bucket: &str, key: &str) -> bool {
        self.source.bucket == bucket && self.source.key == key
    }

    /// The seal's JSON.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a seal has string keys only, so it always serialises")
    }
}
