//! RFC 3339 text for instants, as seals and load requests carry them.
//!
//! Kept here, and not taken from `time`'s serde feature, because that feature would give the
//! whole AWS SDK a second build.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// `2025-06-01T09:00:00Z`; always UTC.
pub fn format(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC).format(&Rfc3339).expect("years 0..=9999 always format as RFC 3339")
}

/// The inverse of [`format()`]; any RFC 3339 offset is accepted.
pub fn parse(text: &str) -> Result<OffsetDateTime, time::error::Parse> {
    OffsetDateTime::parse(text, &Rfc3339)
}

/// For `#[serde(with = "timestamp")]`.
pub fn serialize<S: Serializer>(at: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*at))
}

/// For `#[serde(with = "timestamp")]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(|error| D::Error::custom(format!("{text:?} is not an RFC 3339 time: {error}")))
}

/// For `#[serde(with = "timestamp::option")]`, with a default where it may be missing.
pub mod option {
    use serde::{Deserializer, Serializer};
    use time::OffsetDateTime;

    /// As the time, if there is one.
    pub fn serialize<S: Serializer>(at: &Option<OffsetDateTime>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::serialize(at, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// What is there must be a time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OffsetDateTime>, D::Error> {
        super::deserialize(deserializer).map(Some)
    }
}
