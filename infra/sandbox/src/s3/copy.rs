//! `CopyObject` (the same content file under another name, or new headers for the same object) and `UploadPartCopy`.

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, s3_error};

use super::conditions::ReadConditions;
use super::index::{ObjectRow, StoredHeaders};
use super::modified::modified_ms;
use super::notifications::ObjectEvent;
use super::storage::Storage;
use super::{Store, caller_of, etag, index, objects, timestamp};

impl Store {
    pub(super) async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> S3Result<CopyObjectOutput> {
        objects::refuse_unsupported(&request.headers)?;
        let caller = caller_of(&request.extensions);
        let input = request.input;
        let (from_bucket, from_key) = source_of(&input.copy_source)?;
        let replaces_headers =
            input.metadata_directive.as_ref().is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
        let storage = Storage::of(input.storage_class.as_ref())?;
        self.index.transaction(|tx| index::bucket(tx, &input.bucket))?;
        let source = self.index.object(from_bucket, from_key)?;
        let changes = replaces_headers || storage.class != source.storage.class;
        if (from_bucket, from_key) == (input.bucket.as_str(), input.key.as_str()) && !changes {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
            ));
        }
        allow(
            &source,
            &ReadConditions {
                if_match: input.copy_source_if_match.as_ref(),
                if_none_match: input.copy_source_if_none_match.as_ref(),
                if_modified_since: input.copy_source_if_modified_since.as_ref(),
                if_unmodified_since: input.copy_source_if_unmodified_since.as_ref(),
            },
        )?;
        // Deleted in this instant: as if it had been deleted a moment earlier.
        let linked = self.content.link(&source.content).map_err(gone_is_missing)?;
        let headers = if replaces_headers {
            StoredHeaders {
                content_type: input.content_type,
                content_encoding: input.content_encoding,
                content_language: input.content_language,
                content_disposition: input.content_disposition,
                cache_control: input.cache_control,
                metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            }
        } else {
            source.headers
        };
        let modified_ms = modified_ms(&headers.metadata)?;
        let row = ObjectRow { content: linked.id.clone(), modified_ms, headers, storage, ..source };
        let condition = |name: &str| -> S3Result<Option<ETagCondition>> {
            let Some(value) = request.headers.get(name) else { return Ok(None) };
            ETagCondition::parse_http_header(value.as_bytes())
                .map(Some)
                .map_err(|_| s3_error!(InvalidArgument, "the header {name} is not an ETag or *"))
        };
        // s3s 0.14 has no fields for the destination's own conditions.
        let (if_match, if_none_match) = (condition("if-match")?, condition("if-none-match")?);
        let conditions = (if_match.as_ref(), if_none_match.as_ref());
        let committed = self.index.commit_object((&input.bucket, &input.key), &row, conditions, |_| Ok(()))?;
        linked.keep();
        self.drop_replaced(&committed);
        let event = ObjectEvent {
            name: "ObjectCreated:Copy",
            key: &input.key,
            object: Some((row.size, &row.etag)),
            sequencer: &committed.sequencer,
        };
        self.notify(&committed.bucket, &event, &caller);
        let result = CopyObjectResult {
            e_tag: Some(etag(&row.etag)),
            last_modified: Some(timestamp(row.modified_ms)),
            ..Default::default()
        };
        Ok(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() })
    }

    pub(super) async fn upload_part_copy(
        self: &Arc<Self>,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<UploadPartCopyOutput> {
        let input = request.input;
        let (from_bucket, from_key) = source_of(&input.copy_source)?;
        let source = self.index.object(from_bucket, from_key)?;
        allow(
            &source,
            &ReadConditions {
                if_match: input.copy_source_if_match.as_ref(),
                if_none_match: input.copy_source_if_none_match.as_ref(),
                if_modified_since: input.copy_source_if_modified_since.as_ref(),
                if_unmodified_since: input.copy_source_if_unmodified_since.as_ref(),
            },
        )?;
        let range = match &input.copy_source_range {
            // Only `bytes=first-last` within the object ("UploadPartCopy" page); `Range` would also cut at the end.
            Some(text) => first_to_last(text, source.size).ok_or_else(|| {
                s3_error!(InvalidArgument, "Range specified is not valid for source object of size: {}", source.size)
            })?,
            None => 0..source.size,
        };
        let store = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || store.content.copy_range(&source.content, &range))
            .await
            .map_err(S3Error::internal_error)?
            .map_err(gone_is_missing)?;
        let part = self.put_part((&input.bucket, &input.key), &input.upload_id, input.part_number, written)?;
        let result = CopyPartResult {
            e_tag: Some(etag(&part.etag)),
            last_modified: Some(timestamp(part.modified_ms)),
            ..Default::default()
        };
        Ok(UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() })
    }
}

fn source_of(source: &CopySource) -> S3Result<(&str, &str)> {
    match source {
        CopySource::Bucket { bucket, key, version_id } if version_id.as_deref().is_none_or(|id| id == "null") => {
            Ok((bucket, key))
        }
        CopySource::Bucket { .. } => Err(s3_error!(NoSuchVersion, "The specified version does not exist.")),
        _ => Err(s3_error!(NotImplemented, "the sandbox copies from /bucket/key only")),
    }
}

/// For a copy every condition that does not hold is 412, also those that are 304 for a read (`CopyObject` page).
fn allow(source: &ObjectRow, conditions: &ReadConditions<'_>) -> S3Result<()> {
    conditions
        .allow(&source.etag, source.modified_ms)
        .map_err(|_| s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold"))?;
    if source.storage.is_readable() {
        return Ok(());
    }
    let mut error = S3Error::with_message(
        S3ErrorCode::Custom("ObjectNotInActiveTierError".into()),
        "The source object of the COPY operation is not in the active tier and is only stored in Amazon Glacier.",
    );
    error.set_status_code(http::StatusCode::FORBIDDEN);
    Err(error)
}

/// Deleted between the look and the copy: as if it had been deleted a moment earlier.
fn gone_is_missing(error: std::io::Error) -> S3Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => s3_error!(NoSuchKey, "The specified key does not exist."),
        _ => S3Error::internal_error(error),
    }
}

fn first_to_last(text: &str, size: u64) -> Option<std::ops::Range<u64>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last < size).then_some(first..last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_range_lies_within_the_source() {
        assert_eq!(first_to_last("bytes=0-4", 5), Some(0..5));
        for wrong in ["bytes=0-5", "bytes=3-2", "bytes=-2", "bytes=2-", "0-4"] {
            assert_eq!(first_to_last(wrong, 5), None, "{wrong}");
        }
    }
}
