//! Which files a COPY reads: one exact key, or what a manifest lists, in its order, twice if listed twice (Developer
//! Guide: `loading-data-files-using-manifest`).

use std::sync::Arc;

use serde::Deserialize;

use super::read_all;
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::parse::CopyStatement;
use crate::redshift::{ObjectSource, ObjectSourceError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceFile {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) mandatory: bool,
}

impl SourceFile {
    pub(super) fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

/// Other members, `meta` for one, are tolerated.
#[derive(Deserialize)]
struct Manifest {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    url: String,
    #[serde(default)]
    mandatory: bool,
}

pub(super) fn source_files(objects: &Arc<dyn ObjectSource>, copy: &CopyStatement) -> SqlResult<Vec<SourceFile>> {
    let (bucket, key) = parse_url(&copy.source)?;
    if !copy.manifest {
        return Ok(vec![SourceFile { bucket, key, mandatory: true }]);
    }
    let text = read_all(objects, &bucket, &key).map_err(|error| {
        let reason = match error {
            ObjectSourceError::NoSuchBucket => {
                "S3ServiceException:The specified bucket does not exist,Status 404,Error NoSuchBucket".to_owned()
            }
            ObjectSourceError::NoSuchKey => {
                "S3ServiceException:The specified key does not exist.,Status 404,Error NoSuchKey".to_owned()
            }
            refused @ (ObjectSourceError::Refused { .. } | ObjectSourceError::Archived) => refused.to_string(),
            ObjectSourceError::Io(error) => error.to_string(),
        };
        SqlError::new(format!("Problem reading manifest file - {reason}"))
    })?;
    files(&text)
}

fn files(text: &[u8]) -> SqlResult<Vec<SourceFile>> {
    let manifest: Manifest = serde_json::from_slice(text)
        .map_err(|error| SqlError::new(format!("Problem reading manifest file - malformed manifest: {error}")))?;
    if manifest.entries.is_empty() {
        return Err(SqlError::new("Problem reading manifest file - the manifest has no entries"));
    }
    let files = manifest.entries.into_iter().map(|entry| {
        let (bucket, key) = parse_url(&entry.url)?;
        Ok(SourceFile { bucket, key, mandatory: entry.mandatory })
    });
    files.collect()
}

pub(super) fn parse_url(url: &str) -> SqlResult<(String, String)> {
    let parts = url.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
    match parts {
        Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => Ok((bucket.to_owned(), key.to_owned())),
        _ => Err(SqlError::new(format!("'{url}' is not the full path of an Amazon S3 object: s3://bucket/key"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mandatory_is_false_unless_said_and_other_members_are_tolerated() {
        let text =
            br#"{"entries":[{"url":"s3://a/x/1","mandatory":true},{"url":"s3://b/2","meta":{"content_length":9}}]}"#;
        let files = files(text).unwrap();
        assert_eq!(files[0].url(), "s3://a/x/1");
        assert_eq!(files.iter().map(|file| file.mandatory).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn a_malformed_manifest_fails() {
        for wrong in [
            "",
            "[]",
            "{}",
            "{\"entries\":[]}",
            "{\"entries\":[{\"mandatory\":true}]}",
            "{\"entries\":[{\"url\":\"x\"}]}",
        ] {
            assert!(files(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
