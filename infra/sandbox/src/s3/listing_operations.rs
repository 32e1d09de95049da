//! `ListObjectsV2` and its older form: one page, two answers.

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::index;
use super::listing::{self, Page, PageRequest};
use super::{Store, etag, timestamp};
use crate::form_encoding::form_encode;

const MAX_KEYS: i32 = 1_000;

impl Store {
    pub(super) async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<ListObjectsV2Output> {
        let input = request.input;
        let after = match &input.continuation_token {
            Some(token) => decode_token(token)?,
            None => input.start_after.clone().unwrap_or_default(),
        };
        let max_keys = clamp_max_keys(input.max_keys)?;
        let (prefix, delimiter) = (input.prefix.unwrap_or_default(), input.delimiter.unwrap_or_default());
        let page = self.page(&PageRequest {
            bucket: &input.bucket,
            prefix: &prefix,
            delimiter: &delimiter,
            after: &after,
            limit: usize::try_from(max_keys).unwrap_or_default(),
        })?;
        let spelling = Spelling::of(input.encoding_type.as_ref());
        let key_count = i32::try_from(page.objects.len() + page.common_prefixes.len()).unwrap_or(i32::MAX);
        let next = page.next.as_ref().map(aws_smithy_types::base64::encode);
        let show = Show {
            owner: input.fetch_owner.unwrap_or(false),
            restore_status: wants_restore_status(input.optional_object_attributes.as_ref()),
        };
        let (contents, common_prefixes) = spelling.page(page, show);
        Ok(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(spelling.of_text(prefix)),
            delimiter: Some(delimiter).filter(|d| !d.is_empty()).map(|d| spelling.of_text(d)),
            max_keys: Some(max_keys),
            key_count: Some(key_count),
            continuation_token: input.continuation_token,
            is_truncated: Some(next.is_some()),
            next_continuation_token: next,
            contents,
            common_prefixes,
            encoding_type: input.encoding_type,
            start_after: input.start_after.map(|key| spelling.of_text(key)),
            ..Default::default()
        })
    }

    pub(super) async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> S3Result<ListObjectsOutput> {
        let input = request.input;
        let max_keys = clamp_max_keys(input.max_keys)?;
        let (prefix, delimiter) = (input.prefix.unwrap_or_default(), input.delimiter.unwrap_or_default());
        let page = self.page(&PageRequest {
            bucket: &input.bucket,
            prefix: &prefix,
            delimiter: &delimiter,
            after: input.marker.as_deref().unwrap_or_default(),
            limit: usize::try_from(max_keys).unwrap_or_default(),
        })?;
        let spelling = Spelling::of(input.encoding_type.as_ref());
        // Given only with a delimiter; others use the last key ("ListObjects" page).
        let next_marker = page.next.clone().filter(|_| !delimiter.is_empty()).map(|next| spelling.of_text(next));
        let is_truncated = page.next.is_some();
        let restore_status = wants_restore_status(input.optional_object_attributes.as_ref());
        let (contents, common_prefixes) = spelling.page(page, Show { owner: true, restore_status });
        Ok(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(spelling.of_text(prefix)),
            marker: Some(spelling.of_text(input.marker.unwrap_or_default())),
            delimiter: Some(delimiter).filter(|d| !d.is_empty()).map(|d| spelling.of_text(d)),
            max_keys: Some(max_keys),
            is_truncated: Some(is_truncated),
            next_marker,
            contents,
            common_prefixes,
            encoding_type: input.encoding_type,
            ..Default::default()
        })
    }

    fn page(&self, request: &PageRequest<'_>) -> S3Result<Page> {
        self.index.transaction(|tx| {
            index::bucket(tx, request.bucket)?;
            listing::page(tx, request)
        })
    }
}

/// What is told of each object only when asked for.
#[derive(Clone, Copy)]
struct Show {
    owner: bool,
    restore_status: bool,
}

fn wants_restore_status(asked: Option<&OptionalObjectAttributesList>) -> bool {
    asked.is_some_and(|all| all.iter().any(|name| name.as_str() == OptionalObjectAttributes::RESTORE_STATUS))
}

/// How keys are written in the answer.
#[derive(Clone, Copy)]
enum Spelling {
    Plain,
    Url,
}

impl Spelling {
    fn of(encoding: Option<&EncodingType>) -> Self {
        if encoding.is_some_and(|e| e.as_str() == EncodingType::URL) { Self::Url } else { Self::Plain }
    }

    fn of_text(self, text: String) -> String {
        match self {
            Self::Plain => text,
            Self::Url => form_encode(&text),
        }
    }

    fn page(self, page: Page, show: Show) -> (Option<ObjectList>, Option<CommonPrefixList>) {
        let owner = show.owner.then(|| Owner { id: Some(crate::ACCOUNT_ID.to_owned()), ..Default::default() });
        let objects: Vec<Object> = page
            .objects
            .into_iter()
            .map(|listed| Object {
                key: Some(self.of_text(listed.key)),
                size: Some(listed.size),
                e_tag: Some(etag(&listed.etag)),
                last_modified: Some(timestamp(listed.modified_ms)),
                restore_status: show.restore_status.then(|| listed.storage.restore_status()).flatten(),
                storage_class: Some(ObjectStorageClass::from(listed.storage.class)),
                owner: owner.clone(),
                ..Default::default()
            })
            .collect();
        let prefixes: Vec<CommonPrefix> = page
            .common_prefixes
            .into_iter()
            .map(|prefix| CommonPrefix { prefix: Some(self.of_text(prefix)) })
            .collect();
        ((!objects.is_empty()).then_some(objects), (!prefixes.is_empty()).then_some(prefixes))
    }
}

fn clamp_max_keys(max_keys: Option<i32>) -> S3Result<i32> {
    match max_keys {
        Some(n) if n < 0 => Err(s3_error!(InvalidArgument, "max-keys must be 0 or more")),
        Some(n) => Ok(n.min(MAX_KEYS)),
        None => Ok(MAX_KEYS),
    }
}

fn decode_token(token: &str) -> S3Result<String> {
    aws_smithy_types::base64::decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}
