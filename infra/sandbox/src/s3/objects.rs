//! Objects: put, get, head, delete.

use http::HeaderMap;
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::checksum::{self, Algorithm};
use super::conditions::ReadConditions;
use super::index::{ObjectRow, StoredHeaders};
use super::modified::modified_ms;
use super::notifications::ObjectEvent;
use super::request::Trailers;
use super::storage::{self, Storage};
use super::{Store, caller_of, content, etag, index, timestamp};

/// What every bucket of the sandbox can do with an object is store it: asking for more is refused, not forgotten.
const UNSUPPORTED_HEADERS: [&str; 6] = [
    "x-amz-tagging",
    "x-amz-write-offset-bytes",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-legal-hold",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-website-redirect-location",
];

impl Store {
    pub(super) async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<PutObjectOutput> {
        refuse_unsupported(&request.headers)?;
        let caller = caller_of(&request.extensions);
        let input = request.input;
        let headers = StoredHeaders {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            content_language: input.content_language,
            content_disposition: input.content_disposition,
            cache_control: input.cache_control,
            metadata: input.metadata.unwrap_or_default().into_iter().collect(),
        };
        let storage = Storage::of(input.storage_class.as_ref())?;
        let modified_ms = modified_ms(&headers.metadata)?;
        // Before the body is read: nobody wants to upload a gigabyte to a bucket that is not there.
        self.index.transaction(|tx| index::bucket(tx, &input.bucket))?;
        let written = self.content.write(input.body, Algorithm::of_request(&request.headers)).await?;
        content::check_content_md5(&written, input.content_md5.as_deref())?;
        checksum::check(written.checksum.as_ref(), &request.headers, request.extensions.get::<Trailers>())?;
        let row = ObjectRow {
            content: written.id.clone(),
            size: written.size,
            etag: written.etag(),
            modified_ms,
            headers,
            checksum: written.checksum.clone(),
            storage,
        };
        let conditions = (input.if_match.as_ref(), input.if_none_match.as_ref());
        let committed = self.index.commit_object((&input.bucket, &input.key), &row, conditions, |_| Ok(()))?;
        written.keep();
        self.drop_replaced(&committed);
        let event = ObjectEvent {
            name: "ObjectCreated:Put",
            key: &input.key,
            object: Some((row.size, &row.etag)),
            sequencer: &committed.sequencer,
        };
        self.notify(&committed.bucket, &event, &caller);
        let sums = row.checksum.map(|checksum| checksum.to_dto()).unwrap_or_default();
        Ok(PutObjectOutput {
            e_tag: Some(etag(&row.etag)),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            ..Default::default()
        })
    }

    pub(super) async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<GetObjectOutput> {
        let input = request.input;
        refuse_versions(input.version_id.as_deref(), input.part_number)?;
        let conditions = ReadConditions {
            if_match: input.if_match.as_ref(),
            if_none_match: input.if_none_match.as_ref(),
            if_modified_since: input.if_modified_since.as_ref(),
            if_unmodified_since: input.if_unmodified_since.as_ref(),
        };
        // A replaced object's file goes at once; the second look then finds the new one.
        let mut row = self.index.object(&input.bucket, &input.key)?;
        let mut retried = false;
        let (range, body) = loop {
            conditions.allow(&row.etag, row.modified_ms)?;
            if !row.storage.is_readable() {
                return Err(storage::not_readable());
            }
            let range = part_of(&row, input.range.as_ref())?;
            match self.content.stream(&row.content, range.clone()) {
                Ok(body) => break (range, body),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && !retried => {
                    row = self.index.object(&input.bucket, &input.key)?;
                    retried = true;
                }
                Err(error) => return Err(S3Error::internal_error(error)),
            }
        };
        let is_whole = input.range.is_none();
        let wants_checksum = input.checksum_mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED) && is_whole;
        let sums = row.checksum.filter(|_| wants_checksum).map(|checksum| checksum.to_dto()).unwrap_or_default();
        Ok(GetObjectOutput {
            body: Some(body),
            content_length: Some(length(&range)),
            content_range: (!is_whole).then(|| content_range(&range, row.size)),
            accept_ranges: Some("bytes".to_owned()),
            e_tag: Some(etag(&row.etag)),
            last_modified: Some(timestamp(row.modified_ms)),
            content_type: Some(content_type(row.headers.content_type)),
            content_encoding: row.headers.content_encoding,
            content_language: row.headers.content_language,
            content_disposition: row.headers.content_disposition,
            cache_control: row.headers.cache_control,
            metadata: Some(row.headers.metadata.into_iter().collect()),
            storage_class: row.storage.header(),
            restore: row.storage.restore_header(),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            ..Default::default()
        })
    }

    pub(super) async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<HeadObjectOutput> {
        let input = request.input;
        refuse_versions(input.version_id.as_deref(), input.part_number)?;
        let row = self.index.object(&input.bucket, &input.key)?;
        let conditions = ReadConditions {
            if_match: input.if_match.as_ref(),
            if_none_match: input.if_none_match.as_ref(),
            if_modified_since: input.if_modified_since.as_ref(),
            if_unmodified_since: input.if_unmodified_since.as_ref(),
        };
        conditions.allow(&row.etag, row.modified_ms)?;
        let range = part_of(&row, input.range.as_ref())?;
        let is_whole = input.range.is_none();
        let wants_checksum = input.checksum_mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED) && is_whole;
        let sums = row.checksum.filter(|_| wants_checksum).map(|checksum| checksum.to_dto()).unwrap_or_default();
        Ok(HeadObjectOutput {
            content_length: Some(length(&range)),
            content_range: (!is_whole).then(|| content_range(&range, row.size)),
            accept_ranges: Some("bytes".to_owned()),
            e_tag: Some(etag(&row.etag)),
            last_modified: Some(timestamp(row.modified_ms)),
            content_type: Some(content_type(row.headers.content_type)),
            content_encoding: row.headers.content_encoding,
            content_language: row.headers.content_language,
            content_disposition: row.headers.content_disposition,
            cache_control: row.headers.cache_control,
            metadata: Some(row.headers.metadata.into_iter().collect()),
            storage_class: row.storage.header(),
            restore: row.storage.restore_header(),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            ..Default::default()
        })
    }

    pub(super) async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<DeleteObjectOutput> {
        refuse_versions(request.input.version_id.as_deref(), None)?;
        let caller = caller_of(&request.extensions);
        let input = request.input;
        self.delete_one(&input.bucket, &input.key, input.if_match.as_ref(), &caller)?;
        Ok(DeleteObjectOutput::default())
    }

    pub(super) async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> S3Result<DeleteObjectsOutput> {
        let caller = caller_of(&request.extensions);
        let input = request.input;
        if input.delete.objects.len() > 1_000 {
            return Err(s3_error!(
                MalformedXML,
                "The XML you provided was not well-formed or did not validate against our published schema"
            ));
        }
        self.index.transaction(|tx| index::bucket(tx, &input.bucket))?;
        let quiet = input.delete.quiet.unwrap_or(false);
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for object in input.delete.objects {
            let condition = object.e_tag.map(ETagCondition::ETag);
            let result = refuse_versions(object.version_id.as_deref(), None)
                .and_then(|()| self.delete_one(&input.bucket, &object.key, condition.as_ref(), &caller));
            match result {
                // A key that was not there counts as deleted ("DeleteObjects" page).
                Ok(()) if quiet => {}
                Ok(()) => deleted.push(DeletedObject { key: Some(object.key), ..Default::default() }),
                Err(error) => errors.push(Error {
                    code: Some(error.code().as_str().to_owned()),
                    key: Some(object.key),
                    message: error.message().map(str::to_owned),
                    version_id: object.version_id,
                }),
            }
        }
        Ok(DeleteObjectsOutput {
            deleted: (!deleted.is_empty()).then_some(deleted),
            errors: (!errors.is_empty()).then_some(errors),
            ..Default::default()
        })
    }

    fn delete_one(
        &self,
        bucket: &str,
        key: &str,
        if_match: Option<&ETagCondition>,
        caller: &super::Caller,
    ) -> S3Result<()> {
        let Some(committed) = self.index.delete_object(bucket, key, if_match)? else { return Ok(()) };
        self.drop_replaced(&committed);
        let event = ObjectEvent { name: "ObjectRemoved:Delete", key, object: None, sequencer: &committed.sequencer };
        self.notify(&committed.bucket, &event, caller);
        Ok(())
    }
}

pub(super) fn refuse_unsupported(headers: &HeaderMap) -> S3Result<()> {
    match UNSUPPORTED_HEADERS.iter().find(|name| headers.contains_key(**name)) {
        Some(name) => Err(s3_error!(NotImplemented, "the sandbox does not support the header {name}; leave it out")),
        None => Ok(()),
    }
}

/// Objects of an unversioned bucket have the version `null`.
pub(super) fn refuse_versions(version_id: Option<&str>, part_number: Option<i32>) -> S3Result<()> {
    if version_id.is_some_and(|id| id != "null") {
        return Err(s3_error!(NoSuchVersion, "The specified version does not exist."));
    }
    if part_number.is_some_and(|n| n != 1) {
        return Err(s3_error!(NotImplemented, "the sandbox does not read single parts; use a Range"));
    }
    Ok(())
}

fn part_of(row: &ObjectRow, range: Option<&Range>) -> S3Result<std::ops::Range<u64>> {
    match range {
        Some(range) => Ok(range.check(row.size)?),
        None => Ok(0..row.size),
    }
}

fn length(range: &std::ops::Range<u64>) -> i64 {
    i64::try_from(range.end - range.start).unwrap_or(i64::MAX)
}

fn content_range(range: &std::ops::Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1))
}

fn content_type(stored: Option<String>) -> String {
    stored.unwrap_or_else(|| "binary/octet-stream".to_owned())
}
