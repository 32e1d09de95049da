//! What the router's sweep leaves for others to read: the marks of hours that are sealed, and the raw objects that are not.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The format of both documents.
pub const SWEPT_VERSION: u32 = 1;

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
    /// Whether every raw object that was visible then is sealed.
    pub fn is_swept(&self) -> bool {
        self.unsealed == 0
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
