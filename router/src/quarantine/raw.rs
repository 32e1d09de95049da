//! Whether a source can be routed again: its raw object is still there, with the contents that were sealed.

use super::{Quarantine, QuarantineError};
use common::aws_error::AwsError;
use common::seal::Seal;
use std::fmt;

/// Why a source cannot be routed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such object any more.
    Gone,
    /// Its key has other contents, which are a source of their own.
    Superseded,
    /// It has to be restored first.
    Archived,
    /// It is not in this deployment's raw bucket and prefix.
    Elsewhere,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "the raw object is gone",
            Self::Superseded => "the raw object was overwritten",
            Self::Archived => "the raw object is archived: restore it first",
            Self::Elsewhere => "the raw object is outside raw.bucket and raw.prefix",
        })
    }
}

/// The contents of a source, as they are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contents<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) etag: &'a str,
    /// The version that was read, in a versioned bucket.
    pub(super) version_id: Option<&'a str>,
}

impl<'a> Contents<'a> {
    pub(super) fn of_seal(seal: &'a Seal) -> Self {
        let source = &seal.source;
        let version_id = source.version_id.as_deref();
        Self { bucket: &source.bucket, key: &source.key, etag: &source.etag, version_id }
    }
}

/// Where the contents of a source lie now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    /// Under its key.
    Current,
    /// In this version of its key, which is not the current one.
    Version(String),
    Refused(Refusal),
}

impl Quarantine {
    /// Looks for the contents of a source: under its key and, where that has others by now, in the version that was read.
    pub(super) async fn find_raw(&self, contents: Contents<'_>) -> Result<Raw, QuarantineError> {
        if contents.bucket != self.raw_bucket || !contents.key.starts_with(&self.raw_prefix) {
            return Ok(Raw::Refused(Refusal::Elsewhere));
        }
        let refusal = match self.look(contents, None).await? {
            None => return Ok(Raw::Current),
            Some(refusal) => refusal,
        };
        let version = contents.version_id.filter(|_| refusal != Refusal::Archived);
        match version {
            None => Ok(Raw::Refused(refusal)),
            Some(version) => Ok(match self.look(contents, Some(version)).await? {
                None => Raw::Version(version.to_owned()),
                Some(Refusal::Archived) => Raw::Refused(Refusal::Archived),
                Some(_) => Raw::Refused(refusal),
            }),
        }
    }

    async fn look(&self, contents: Contents<'_>, version: Option<&str>) -> Result<Option<Refusal>, AwsError> {
        let head = self.s3.head_object().bucket(contents.bucket).key(contents.key);
        let head = match head.set_version_id(version.map(str::to_owned)).send().await {
            Ok(head) => head,
            Err(error) => {
                let error = AwsError::new("HeadObject", format!("s3://{}/{}", contents.bucket, contents.key), error);
                // A delete marker answers 405 where it is asked for by its version (S3 API, HeadObject).
                return if error.is_not_found() || error.status == Some(405) {
                    Ok(Some(Refusal::Gone))
                } else {
                    Err(error)
                };
            }
        };
        if head.e_tag().unwrap_or_default().trim_matches('"') != contents.etag {
            return Ok(Some(Refusal::Superseded));
        }
        let class = head.storage_class().map_or("", |class| class.as_str());
        // A restored copy says so (S3 API, HeadObject: x-amz-restore).
        let is_restored = head.restore().is_some_and(|restore| restore.contains("ongoing-request=\"false\""));
        // Objects in `INTELLIGENT_TIERING` say by their archive status where they sleep.
        let is_asleep = matches!(class, "GLACIER" | "DEEP_ARCHIVE") || head.archive_status().is_some();
        let is_archived = is_asleep && !is_restored;
        Ok(is_archived.then_some(Refusal::Archived))
    }
}
