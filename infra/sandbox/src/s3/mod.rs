//! S3: an own backend (files and a SQLite index) behind `s3s`, which speaks the protocol.
//!
//! Unversioned buckets of one account. What is not implemented here answers `NotImplemented` by `s3s`'s default.

mod aws_chunked;
mod buckets;
mod checksum;
mod conditions;
mod content;
mod copy;
mod index;
mod listing;
mod listing_operations;
mod modified;
mod multipart;
mod notifications;
mod objects;
mod operations;
mod request;
mod storage;
mod uploads;

#[cfg(test)]
mod notification_tests;
#[cfg(test)]
mod old_objects_tests;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use http::Extensions;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{HttpResponse, StdError};

use content::ContentFiles;
use index::{BucketRow, Committed, Index};
use notifications::ObjectEvent;
pub(crate) use request::Caller;

use crate::faults::{Faults, Kind, Place, ReplyLost};
use crate::redshift::{ObjectSource, ObjectSourceError};
use crate::request_counts::RequestCounts;
use crate::sqs;

/// The object store, shared by the S3 endpoint and by COPY.
pub(crate) struct Store {
    index: Index,
    content: ContentFiles,
    queues: Arc<sqs::Service>,
    faults: Arc<Faults>,
}

pub(crate) struct Service {
    s3s: S3Service,
}

impl Store {
    pub(crate) fn open(dir: &Path, queues: Arc<sqs::Service>, faults: Arc<Faults>) -> anyhow::Result<Arc<Self>> {
        let index = Index::open(dir)?;
        let content =
            ContentFiles::open(dir).with_context(|| format!("could not create {}/s3/content", dir.display()))?;
        let named = index.contents().map_err(|e| anyhow::anyhow!("could not read the object index: {e}"))?;
        content.sweep(&named).context("could not sweep unused content files")?;
        Ok(Arc::new(Self { index, content, queues, faults }))
    }

    /// Tells every queue that wants to know, once the write is visible. A queue deleted meanwhile loses its message, as in S3.
    fn notify(&self, bucket: &BucketRow, event: &ObjectEvent<'_>, caller: &Caller) {
        if self.is_struck(Kind::DroppedNotification, &bucket.name, event.key).is_some() {
            return;
        }
        // Only `PutBucketNotificationConfiguration` writes the column.
        let targets: Vec<notifications::QueueTarget> = serde_json::from_str(&bucket.notifications).unwrap_or_default();
        for target in targets.iter().filter(|target| target.wants(event)) {
            if let Err(error) = self.queues.deliver(&target.queue_arn, target.message(event, bucket, caller)) {
                tracing::warn!(queue = target.queue_arn, key = event.key, %error, "could not deliver an S3 notification");
            }
        }
    }

    /// A fault of objects goes by bucket and key.
    fn is_struck(&self, kind: Kind, bucket: &str, key: &str) -> Option<crate::faults::Fault> {
        if self.faults.is_empty() {
            return None;
        }
        let text = format!("{bucket}/{key}");
        self.faults.strike(&[kind], &Place { service: "s3", operation: "", text: &text })
    }

    fn drop_replaced(&self, committed: &Committed) {
        if let Some(content) = &committed.replaced {
            self.content.remove(content);
        }
    }
}

impl Service {
    pub(crate) fn new(store: Arc<Store>, requests: Arc<RequestCounts>) -> Self {
        Self { s3s: S3ServiceBuilder::new(operations::Operations { store, requests }).build() }
    }

    pub(crate) async fn handle<B>(&self, request: http::Request<B>, caller: Caller) -> Result<HttpResponse, StdError>
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError>,
    {
        let (request_id, lost_reply) = (caller.request_id.clone(), caller.lost_reply.clone());
        let mut response = self.s3s.call(request::prepare(request, caller)).await.map_err(StdError::from)?;
        if lost_reply.get() {
            return Err(ReplyLost.into());
        }
        if let Ok(value) = http::HeaderValue::from_str(&request_id) {
            response.headers_mut().insert("x-amz-request-id", value.clone());
            response.headers_mut().insert("x-amz-id-2", value);
        }
        Ok(response)
    }
}

impl ObjectSource for Store {
    fn open(&self, bucket: &str, key: &str) -> Result<Box<dyn std::io::Read + Send>, ObjectSourceError> {
        if let Some(fault) = self.is_struck(Kind::ObjectRefused, bucket, key) {
            return Err(ObjectSourceError::Refused { status: fault.status.unwrap_or(403) });
        }
        // A replaced object's file goes at once; the second look then finds the new one.
        for last_try in [false, true] {
            let row = self.index.object(bucket, key).map_err(|error| match error.code() {
                s3s::S3ErrorCode::NoSuchBucket => ObjectSourceError::NoSuchBucket,
                s3s::S3ErrorCode::NoSuchKey => ObjectSourceError::NoSuchKey,
                _ => ObjectSourceError::Io(std::io::Error::other(error.to_string())),
            })?;
            if !row.storage.is_readable() {
                return Err(ObjectSourceError::Archived);
            }
            match self.content.reader(&row.content) {
                Ok(file) => return Ok(Box::new(file)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && !last_try => {}
                Err(error) => return Err(ObjectSourceError::Io(error)),
            }
        }
        Err(ObjectSourceError::NoSuchKey)
    }
}

/// Every request gets its [`Caller`] in `request::prepare`.
fn caller_of(extensions: &Extensions) -> Caller {
    extensions.get::<Caller>().cloned().unwrap_or_else(|| Caller::new(crate::DEFAULT_REGION.to_owned(), String::new()))
}

fn timestamp(ms: i64) -> s3s::dto::Timestamp {
    time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
        .into()
}

fn etag(hex: &str) -> s3s::dto::ETag {
    s3s::dto::ETag::Strong(hex.to_owned())
}
