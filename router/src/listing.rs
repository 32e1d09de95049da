//! What lies in the raw bucket: its objects, a page at a time.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{Object, ObjectStorageClass, OptionalObjectAttributes};
use common::aws_error::AwsError;
use common::source::SourceId;
use time::OffsetDateTime;
use tokio::sync::mpsc;

/// Pages listed ahead of whoever reads them.
const PAGES_AHEAD: usize = 8;

/// A raw object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawObject {
    pub(crate) key: String,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) bytes: u64,
    /// S3's Last-Modified: the time of the source.
    pub(crate) modified: OffsetDateTime,
    /// Whether it has to be restored before anybody can read it.
    pub(crate) is_archived: bool,
}

impl RawObject {
    /// Its identity.
    pub(crate) fn source_id(&self, bucket: &str) -> SourceId {
        SourceId::new(bucket, &self.key, &self.etag)
    }

    fn of(object: Object) -> Option<Self> {
        let archived = [ObjectStorageClass::Glacier, ObjectStorageClass::DeepArchive];
        let is_archived = object.storage_class().is_some_and(|class| archived.contains(class));
        // A restored copy has a day on which it goes; one under way has none yet (S3 API, `RestoreStatus`).
        let is_restored = object.restore_status().is_some_and(|status| status.restore_expiry_date().is_some());
        let modified = object.last_modified.and_then(|at| OffsetDateTime::from_unix_timestamp(at.secs()).ok())?;
        Some(Self {
            etag: object.e_tag?.trim_matches('"').to_owned(),
            key: object.key?,
            bytes: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            modified,
            is_archived: is_archived && !is_restored,
        })
    }
}

/// The objects under a prefix, some hundred to a thousand at a time, in no order. The listing ends when the receiver is
/// dropped; an error is the last thing received.
pub(crate) fn list(s3: &Client, bucket: &str, prefix: &str) -> mpsc::Receiver<Result<Vec<RawObject>, AwsError>> {
    let (sender, receiver) = mpsc::channel(PAGES_AHEAD);
    let (s3, bucket, prefix) = (s3.clone(), bucket.to_owned(), prefix.to_owned());
    tokio::spawn(async move {
        let list = s3.list_objects_v2().bucket(&bucket).prefix(&prefix);
        let list = list.optional_object_attributes(OptionalObjectAttributes::RestoreStatus);
        let mut pages = list.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => Ok(page.contents.unwrap_or_default().into_iter().filter_map(RawObject::of).collect()),
                Err(error) => Err(AwsError::new("ListObjectsV2", format!("s3://{bucket}/{prefix}"), error)),
            };
            if sender.send(page).await.is_err() {
                return;
            }
        }
    });
    receiver
}
