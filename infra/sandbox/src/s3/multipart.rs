//! Multipart uploads; parts that are copied come from `copy`.

use std::sync::Arc;

use md5::{Digest, Md5};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::checksum::{self, Algorithm};
use super::content::{self, Written};
use super::index::{ObjectRow, StoredHeaders};
use super::modified::{modified_ms, now_in_seconds};
use super::notifications::ObjectEvent;
use super::request::Trailers;
use super::storage::Storage;
use super::uploads::{self, PartRow, Upload};
use super::{Store, caller_of, etag, index, objects, timestamp};
use crate::clock::now_ms;
use crate::digest::hex;

/// Every part but the last ("Amazon S3 multipart upload limits").
const MIN_PART_BYTES: u64 = 5 * 1024 * 1024;
const MAX_PART_NUMBER: i32 = 10_000;

impl Store {
    pub(super) async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<CreateMultipartUploadOutput> {
        objects::refuse_unsupported(&request.headers)?;
        let input = request.input;
        let upload = Upload {
            id: uuid::Uuid::new_v4().simple().to_string(),
            key: input.key,
            initiated_ms: now_ms(),
            headers: StoredHeaders {
                content_type: input.content_type,
                content_encoding: input.content_encoding,
                content_language: input.content_language,
                content_disposition: input.content_disposition,
                cache_control: input.cache_control,
                metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            },
            storage: Storage::of(input.storage_class.as_ref())?,
        };
        // Refused now rather than after every part was uploaded.
        modified_ms(&upload.headers.metadata)?;
        self.index.transaction(|tx| {
            index::bucket(tx, &input.bucket)?;
            uploads::insert(tx, &input.bucket, &upload)
        })?;
        Ok(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(upload.key),
            upload_id: Some(upload.id),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: input.checksum_type,
            ..Default::default()
        })
    }

    pub(super) async fn upload_part(&self, request: S3Request<UploadPartInput>) -> S3Result<UploadPartOutput> {
        let input = request.input;
        self.index.transaction(|tx| uploads::find(tx, (&input.bucket, &input.key), &input.upload_id))?;
        let written = self.content.write(input.body, Algorithm::of_request(&request.headers)).await?;
        content::check_content_md5(&written, input.content_md5.as_deref())?;
        checksum::check(written.checksum.as_ref(), &request.headers, request.extensions.get::<Trailers>())?;
        let part = self.put_part((&input.bucket, &input.key), &input.upload_id, input.part_number, written)?;
        let sums = part.checksum.map(|checksum| checksum.to_dto()).unwrap_or_default();
        Ok(UploadPartOutput {
            e_tag: Some(etag(&part.etag)),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            ..Default::default()
        })
    }

    /// Makes a body on disk the upload's part of that number.
    pub(super) fn put_part(
        &self,
        at: (&str, &str),
        upload_id: &str,
        number: i32,
        written: Written,
    ) -> S3Result<PartRow> {
        if !(1..=MAX_PART_NUMBER).contains(&number) {
            return Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"));
        }
        let part = PartRow {
            number,
            content: written.id.clone(),
            size: written.size,
            etag: written.etag(),
            modified_ms: now_in_seconds(),
            checksum: written.checksum.clone(),
        };
        let replaced = self.index.transaction(|tx| {
            // Asked only now: the upload may have been completed or aborted while the body came in.
            uploads::find(tx, at, upload_id)?;
            uploads::put_part(tx, upload_id, &part)
        })?;
        written.keep();
        if let Some(replaced) = replaced {
            self.content.remove(&replaced);
        }
        Ok(part)
    }

    pub(super) async fn complete_multipart_upload(
        self: &Arc<Self>,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        let caller = caller_of(&request.extensions);
        let input = request.input;
        let asked = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let at = (input.bucket.as_str(), input.key.as_str());
        let (upload, stored) = self.index.transaction(|tx| {
            let upload = uploads::find(tx, at, &input.upload_id)?;
            Ok((upload, uploads::parts(tx, &input.upload_id, 0)?))
        })?;
        let chosen = choose(&asked, &stored)?;
        let etag_hex = composite_etag(&chosen);
        let contents: Vec<String> = chosen.iter().map(|part| part.content.clone()).collect();
        let store = Arc::clone(self);
        // Copies every byte of the object: minutes for a large one, so not on a thread that serves requests.
        let written = tokio::task::spawn_blocking(move || store.content.concatenate(&contents))
            .await
            .map_err(S3Error::internal_error)?
            .map_err(S3Error::internal_error)?;
        let row = ObjectRow {
            content: written.id.clone(),
            size: written.size,
            etag: etag_hex,
            modified_ms: modified_ms(&upload.headers.metadata)?,
            headers: upload.headers,
            checksum: None,
            storage: upload.storage,
        };
        let conditions = (input.if_match.as_ref(), input.if_none_match.as_ref());
        let mut parts_to_remove = Vec::new();
        let committed = self.index.commit_object(at, &row, conditions, |tx| {
            // Asked again: of two completions at once, one is too late.
            uploads::find(tx, at, &input.upload_id)?;
            parts_to_remove = uploads::remove(tx, &input.upload_id)?;
            Ok(())
        })?;
        written.keep();
        self.drop_replaced(&committed);
        parts_to_remove.iter().for_each(|content| self.content.remove(content));
        let event = ObjectEvent {
            name: "ObjectCreated:CompleteMultipartUpload",
            key: &input.key,
            object: Some((row.size, &row.etag)),
            sequencer: &committed.sequencer,
        };
        self.notify(&committed.bucket, &event, &caller);
        Ok(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(etag(&row.etag)),
            ..Default::default()
        })
    }

    pub(super) async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<AbortMultipartUploadOutput> {
        let input = request.input;
        let contents = self.index.transaction(|tx| {
            uploads::find(tx, (&input.bucket, &input.key), &input.upload_id)?;
            uploads::remove(tx, &input.upload_id)
        })?;
        contents.iter().for_each(|content| self.content.remove(content));
        Ok(AbortMultipartUploadOutput::default())
    }

    pub(super) async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<ListPartsOutput> {
        let input = request.input;
        let after = input.part_number_marker.unwrap_or(0);
        let limit = usize::try_from(input.max_parts.unwrap_or(1_000)).unwrap_or(0).min(1_000);
        let mut parts = self.index.transaction(|tx| {
            uploads::find(tx, (&input.bucket, &input.key), &input.upload_id)?;
            uploads::parts(tx, &input.upload_id, after)
        })?;
        let more = parts.len() > limit;
        parts.truncate(limit);
        Ok(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            part_number_marker: Some(after),
            next_part_number_marker: parts.last().map(|part| part.number),
            max_parts: i32::try_from(limit).ok(),
            is_truncated: Some(more),
            parts: (!parts.is_empty()).then(|| parts.into_iter().map(to_dto).collect()),
            ..Default::default()
        })
    }

    pub(super) async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<ListMultipartUploadsOutput> {
        let input = request.input;
        if input.delimiter.is_some() || input.key_marker.is_some() || input.max_uploads.is_some_and(|n| n < 1_000) {
            return Err(s3_error!(
                NotImplemented,
                "the sandbox lists all uploads of a prefix at once; leave out paging and delimiter"
            ));
        }
        let prefix = input.prefix.unwrap_or_default();
        let mut found = self.index.transaction(|tx| {
            index::bucket(tx, &input.bucket)?;
            uploads::list(tx, &input.bucket)
        })?;
        found.retain(|upload| upload.key.starts_with(&prefix));
        let uploads = found.into_iter().map(|upload| MultipartUpload {
            key: Some(upload.key),
            upload_id: Some(upload.id),
            initiated: Some(timestamp(upload.initiated_ms)),
            ..Default::default()
        });
        Ok(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: Some(prefix),
            is_truncated: Some(false),
            uploads: Some(uploads.collect()),
            ..Default::default()
        })
    }
}

/// The parts a completion names, if it names them rightly.
fn choose<'a>(asked: &[CompletedPart], stored: &'a [PartRow]) -> S3Result<Vec<&'a PartRow>> {
    if asked.is_empty() {
        return Err(s3_error!(MalformedXML, "You must specify at least one part"));
    }
    let mut chosen: Vec<&PartRow> = Vec::with_capacity(asked.len());
    for part in asked {
        let number = part.part_number.unwrap_or_default();
        if chosen.last().is_some_and(|last| last.number >= number) {
            return Err(s3_error!(
                InvalidPartOrder,
                "The list of parts was not in ascending order. Parts must be ordered by part number."
            ));
        }
        let found = stored.binary_search_by_key(&number, |row| row.number).ok().and_then(|n| stored.get(n));
        let found = found.filter(|row| part.e_tag.as_ref().is_some_and(|given| given.value() == row.etag));
        chosen.push(found.ok_or_else(|| {
            s3_error!(
                InvalidPart,
                "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."
            )
        })?);
    }
    if chosen.iter().rev().skip(1).any(|part| part.size < MIN_PART_BYTES) {
        return Err(s3_error!(EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size"));
    }
    Ok(chosen)
}

/// MD5 over the parts' MD5s, and how many they are.
fn composite_etag(parts: &[&PartRow]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        let digest: Vec<u8> = (0..part.etag.len() / 2)
            .filter_map(|n| part.etag.get(2 * n..2 * n + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
            .collect();
        md5.update(digest);
    }
    format!("{}-{}", hex(&md5.finalize()), parts.len())
}

fn to_dto(part: PartRow) -> Part {
    let sums = part.checksum.map(|checksum| checksum.to_dto()).unwrap_or_default();
    Part {
        part_number: Some(part.number),
        size: i64::try_from(part.size).ok(),
        e_tag: Some(etag(&part.etag)),
        last_modified: Some(timestamp(part.modified_ms)),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
    }
}
