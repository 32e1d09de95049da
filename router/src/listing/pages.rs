//! One page of a listing: what is asked, what is answered, and S3 answering it.

use super::raw_object::RawObject;
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{EncodingType, OptionalObjectAttributes};
use common::aws_error::AwsError;
use percent_encoding::percent_decode_str;

/// What a page is to show.
#[derive(Clone, Debug, Default)]
pub(super) struct Ask {
    pub(super) prefix: String,
    /// Only what comes after it; empty: everything.
    pub(super) after: String,
    /// Goes on behind a page that showed nothing at all and was not the last.
    pub(super) token: Option<String>,
    /// Shows what lies in a folder below as that folder.
    pub(super) by_folder: bool,
}

#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) objects: Vec<RawObject>,
    /// Each with its whole path, and `/` at its end.
    pub(super) folders: Vec<String>,
    /// The last key or folder shown.
    pub(super) last: Option<String>,
    /// Where a page without anything is followed by another.
    pub(super) token: Option<String>,
    pub(super) is_truncated: bool,
}

/// Who answers.
pub(super) trait Pages: Send + Sync + 'static {
    fn page(&self, ask: &Ask) -> impl Future<Output = Result<Page, AwsError>> + Send;
}

/// A bucket.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    pub(super) s3: Client,
    pub(super) name: String,
}

impl Pages for Bucket {
    async fn page(&self, ask: &Ask) -> Result<Page, AwsError> {
        let list = self.s3.list_objects_v2().bucket(&self.name).prefix(&ask.prefix);
        let list = list.optional_object_attributes(OptionalObjectAttributes::RestoreStatus);
        // Keys may hold characters that XML cannot (S3 API, `ListObjectsV2`: encoding-type).
        let list = list.encoding_type(EncodingType::Url);
        let list = list.set_start_after(Some(ask.after.clone()).filter(|after| !after.is_empty()));
        let list = list.set_continuation_token(ask.token.clone());
        let list = list.set_delimiter(ask.by_folder.then(|| "/".to_owned()));
        let failed = |error| AwsError::new("ListObjectsV2", format!("s3://{}/{}", self.name, ask.prefix), error);
        let answer = list.send().await.map_err(failed)?;
        let is_encoded = answer.encoding_type == Some(EncodingType::Url);
        let text = |shown: &str| if is_encoded { decoded(shown) } else { shown.to_owned() };
        let mut page = Page { is_truncated: answer.is_truncated.unwrap_or(false), ..Default::default() };
        for object in answer.contents() {
            let Some(key) = object.key().map(text) else { continue };
            page.last = Some(key.clone());
            page.objects.extend(RawObject::of(object, key));
        }
        page.folders = answer.common_prefixes().iter().filter_map(|folder| folder.prefix().map(text)).collect();
        page.last = page.last.max(page.folders.last().cloned());
        page.token = answer.next_continuation_token;
        Ok(page)
    }
}

/// S3 writes a space as `+`, as its own SDKs expect it.
fn decoded(shown: &str) -> String {
    let shown = shown.replace('+', " ");
    percent_decode_str(&shown).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_as_s3_encodes_them() {
        assert_eq!(decoded("a+b%2Bc%25/%C3%BC%00%01.gz"), "a b+c%/ü\0\u{1}.gz");
    }
}
