//! A source object, one raw log object, and its identity.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use time::OffsetDateTime;

/// One version of one raw log object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceObject {
    /// Bucket name; `local` for files that `router split` read.
    pub bucket: String,
    /// The decoded key.
    pub key: String,
    /// The ETag of the GET response, without quotes. Opaque: not always an MD5.
    pub etag: String,
    /// The version that was read, in a versioned bucket.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version_id: Option<String>,
    /// Last-Modified of the raw object: *the* time of a source, everywhere.
    #[serde(with = "crate::timestamp")]
    pub time: OffsetDateTime,
    /// Stored (compressed) size in bytes.
    pub bytes: u64,
}

impl SourceObject {
    /// The identity of these contents under this key.
    pub fn id(&self) -> SourceId {
        SourceId::new(&self.bucket, &self.key, &self.etag)
    }

    /// `s3://bucket/key`.
    pub fn uri(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

/// 32 hex digits: 16 of hash(bucket, key), then 16 of hash(ETag). No identity holds a date.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceId(String);

/// The text is not a source id.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a source id: expected 32 lower-case hex digits")]
pub struct InvalidSourceId(String);

impl SourceId {
    /// The id of the object version with this ETag (quotes are ignored).
    pub fn new(bucket: &str, key: &str, etag: &str) -> Self {
        let content = hex16(&[etag.trim_matches('"').as_bytes()]);
        Self(format!("{}{content}", &key_hash(bucket, key)[..16]))
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The half that all contents of one bucket and key share.
    pub fn key_half(&self) -> &str {
        &self.0[..16]
    }
}

/// The 64 hex digits of a SHA-256 over bucket and key, of which source ids hold the first 16.
pub(crate) fn key_hash(bucket: &str, key: &str) -> String {
    // A bucket name never holds a NUL, so the pair is unambiguous.
    hex(&[bucket.as_bytes(), b"\0", key.as_bytes()])
}

/// The first 16 hex digits of a SHA-256 over the concatenated pieces.
pub fn hex16(pieces: &[&[u8]]) -> String {
    hex(pieces)[..16].to_owned()
}

fn hex(pieces: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for piece in pieces {
        hasher.update(piece);
    }
    hasher.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for SourceId {
    type Error = InvalidSourceId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let valid = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if valid { Ok(Self(text)) } else { Err(InvalidSourceId(text)) }
    }
}

impl From<SourceId> for String {
    fn from(id: SourceId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_keeps_its_first_half_and_new_content_changes_the_second() {
        let (a, b) = (SourceId::new("raw", "k", "\"e1\""), SourceId::new("raw", "k", "e2"));
        assert_eq!(a.as_str()[..16], b.as_str()[..16]);
        assert_ne!(a.as_str()[16..], b.as_str()[16..]);
        assert_eq!(a, SourceId::new("raw", "k", "e1"), "quotes around an ETag do not matter");
        assert_ne!(SourceId::new("ra", "wk", "e1"), a);
    }

    #[test]
    fn the_hash_is_pinned_because_rows_and_seals_hold_it() {
        assert_eq!(SourceId::new("raw-logs", "a/b.json.gz", "abc").as_str(), "5c4228050321fa0aba7816bf8f01cfea");
    }
}
