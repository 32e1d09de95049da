//! What the router's sweep leaves for others to read: the marks of hours that are sealed, and the raw objects that are not.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use time::OffsetDateTime;

/// The format of both documents.
pub const SWEPT_VERSION: u32 = 1;

/// How long after its end an hour may still grow: an object's time is when its upload began (S3 user guide, multipart
/// uploads), and it is seen when that ends.
pub const LATE: Duration = Duration::from_secs(2 * 3600);

/// An hour (by the time of its raw objects) as a sweep found it. Says nothing of what came after [`Mark::listed_at`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// [`SWEPT_VERSION`] at writing.
    pub version: u32,
    /// When the listing of raw objects began.
    #[serde(with = "crate::timestamp")]
    pub listed_at: OffsetDateTime,
    /// Raw objects of the hour.
    pub objects: u64,
    /// Of them, those without a seal: the hour is marked only while there is none.
    pub unsealed: u64,
}

impl Mark {
    /// Reads what lies under a mark's key. What nobody can read vouches for nothing.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mark: Self = serde_json::from_slice(bytes).ok()?;
        (mark.version <= SWEPT_VERSION).then_some(mark)
    }

    /// The document.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a mark has string keys only, so it always serialises")
    }

    /// Whether every raw object that was visible then is sealed.
    pub fn is_swept(&self) -> bool {
        self.unsealed == 0
    }

    /// Whether it was made when the hour, which ended then, had stopped growing.
    pub fn is_final(&self, end_of_hour: OffsetDateTime) -> bool {
        self.listed_at >= end_of_hour.saturating_add(time::Duration::try_from(LATE).unwrap_or(time::Duration::MAX))
    }
}

/// The raw objects of an hour that sweeps found without a seal; none once all of them have theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenHour {
    /// [`SWEPT_VERSION`] at writing.
    pub version: u32,
    /// When the listing of raw objects began.
    #[serde(with = "crate::timestamp")]
    pub listed_at: OffsetDateTime,
    /// Each of them.
    pub unsealed: Vec<Unsealed>,
}

impl OpenHour {
    /// Reads what lies under its key.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let open: Self = serde_json::from_slice(bytes).ok()?;
        (open.version <= SWEPT_VERSION).then_some(open)
    }

    /// The document.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("an open hour has string keys only, so it always serialises")
    }
}

/// A raw object without a seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsealed {
    /// Its key in the raw bucket.
    pub key: String,
    /// Its ETag, without quotes.
    pub etag: String,
    /// Stored bytes.
    pub bytes: u64,
    /// Its Last-Modified.
    #[serde(with = "crate::timestamp")]
    pub time: OffsetDateTime,
    /// How often sweeps asked for it.
    pub tries: u32,
    /// When last.
    #[serde(with = "crate::timestamp::option", skip_serializing_if = "Option::is_none", default)]
    pub last_try_at: Option<OffsetDateTime>,
    /// Whether sweeps do not ask for it any more.
    pub given_up: bool,
}
