//! Objects on S3 as this product uses them: written once under a name that says their content, and read whole.

use crate::aws_error::AwsError;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Error;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use std::time::Duration;
use time::OffsetDateTime;

/// What a conditional write found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The object is new.
    Created,
    /// An object of this name was there already: the first writer won.
    Existed,
}

/// Writers racing for one name get 409 until one of them is done (S3 API, `PutObject` If-None-Match).
const CONFLICT_TRIES: u32 = 8;

/// Writes an object if its name is free. `body` is called once per try and must give the same bytes.
pub async fn put_if_absent(
    s3: &Client,
    bucket: &str,
    key: &str,
    body: impl Fn() -> SdkBody,
) -> Result<Written, AwsError> {
    let mut tries = 0;
    loop {
        let sent = s3.put_object().bucket(bucket).key(key).if_none_match("*").body(ByteStream::new(body())).send();
        let error = match sent.await {
            Ok(_) => return Ok(Written::Created),
            Err(error) => AwsError::new("PutObject", format!("s3://{bucket}/{key}"), error),
        };
        tries += 1;
        match error.status {
            _ if error.is_precondition_failed() => return Ok(Written::Existed),
            Some(409) if tries < CONFLICT_TRIES => tokio::time::sleep(Duration::from_millis(50 << tries)).await,
            _ => return Err(error),
        }
    }
}

/// [`put_if_absent`] for bytes at hand.
pub async fn put_bytes_if_absent(
    s3: &Client,
    bucket: &str,
    key: &str,
    bytes: impl Into<Bytes>,
) -> Result<Written, AwsError> {
    let bytes = bytes.into();
    put_if_absent(s3, bucket, key, || SdkBody::from(bytes.clone())).await
}

/// Reads a small object whole.
pub async fn get(s3: &Client, bucket: &str, key: &str) -> Result<Bytes, AwsError> {
    let on = || format!("s3://{bucket}/{key}");
    let response =
        s3.get_object().bucket(bucket).key(key).send().await.map_err(|e| AwsError::new("GetObject", on(), e))?;
    let body = response.body.collect().await.map_err(|error| AwsError::interrupted("GetObject", on(), &error))?;
    Ok(body.into_bytes())
}

/// Every key under a prefix, in order.
pub async fn list(s3: &Client, bucket: &str, prefix: &str) -> Result<Vec<String>, AwsError> {
    let mut pages = s3.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| listing_failed(bucket, prefix, e))?;
        keys.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
    }
    Ok(keys)
}

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// S3's Last-Modified, in whole seconds.
    pub modified: OffsetDateTime,
}

/// One page of a listing at a time, so that memory does not grow with what is listed.
#[derive(Debug)]
pub struct Pages {
    s3: Client,
    bucket: String,
    prefix: String,
    after: Option<String>,
    next: Option<Option<String>>,
}

/// The objects under a prefix, page by page, in order.
pub fn pages(s3: &Client, bucket: &str, prefix: &str) -> Pages {
    Pages { s3: s3.clone(), bucket: bucket.to_owned(), prefix: prefix.to_owned(), after: None, next: Some(None) }
}

/// Of those, the ones behind `after` in S3's order of keys.
pub fn pages_after(s3: &Client, bucket: &str, prefix: &str, after: &str) -> Pages {
    Pages { after: Some(after.to_owned()), ..pages(s3, bucket, prefix) }
}

impl Pages {
    /// At most 1,000 objects; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<Listed>>, AwsError> {
        let Some(token) = self.next.take() else { return Ok(None) };
        let list = self.s3.list_objects_v2().bucket(&self.bucket).prefix(&self.prefix);
        let page = list.set_start_after(self.after.clone()).set_continuation_token(token).send().await;
        let page = page.map_err(|e| listing_failed(&self.bucket, &self.prefix, e))?;
        self.next = page.next_continuation_token.map(Some);
        let listed = page.contents.unwrap_or_default().into_iter().filter_map(|object| {
            let modified = object.last_modified.map_or(0, |at| at.secs());
            let modified = OffsetDateTime::from_unix_timestamp(modified).unwrap_or(OffsetDateTime::UNIX_EPOCH);
            Some(Listed { key: object.key?, modified })
        });
        Ok(Some(listed.collect()))
    }

    /// Whether another page follows.
    pub fn has_more(&self) -> bool {
        self.next.is_some()
    }
}

/// The folders right below a prefix that ends in `/`, each with its whole path, in order.
pub async fn folders(s3: &Client, bucket: &str, prefix: &str) -> Result<Vec<String>, AwsError> {
    let list = s3.list_objects_v2().bucket(bucket).prefix(prefix).delimiter("/");
    let mut pages = list.into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| listing_failed(bucket, prefix, e))?;
        found.extend(page.common_prefixes.unwrap_or_default().into_iter().filter_map(|folder| folder.prefix));
    }
    Ok(found)
}

fn listing_failed(bucket: &str, prefix: &str, error: SdkError<ListObjectsV2Error, HttpResponse>) -> AwsError {
    AwsError::new("ListObjectsV2", format!("s3://{bucket}/{prefix}"), error)
}

/// Whether there is an object of this key. HEAD's answers have no body, so "no" may be a proxy's word: it must not cost
/// anything.
pub async fn exists(s3: &Client, bucket: &str, key: &str) -> Result<bool, AwsError> {
    match s3.head_object().bucket(bucket).key(key).send().await {
        Ok(_) => Ok(true),
        Err(error) => {
            let error = AwsError::new("HeadObject", format!("s3://{bucket}/{key}"), error);
            if error.is_not_found() { Ok(false) } else { Err(error) }
        }
    }
}

/// An object that may change: its bytes, and the ETag that [`put_if_unchanged`] asks for.
pub async fn get_with_etag(s3: &Client, bucket: &str, key: &str) -> Result<Option<(Bytes, String)>, AwsError> {
    let on = || format!("s3://{bucket}/{key}");
    let response = match s3.get_object().bucket(bucket).key(key).send().await {
        Ok(response) => response,
        Err(error) => {
            let error = AwsError::new("GetObject", on(), error);
            return if error.is_no_such_object() { Ok(None) } else { Err(error) };
        }
    };
    let etag = response.e_tag.unwrap_or_default();
    let body = response.body.collect().await.map_err(|error| AwsError::interrupted("GetObject", on(), &error))?;
    Ok(Some((body.into_bytes(), etag)))
}

/// Overwrites an object if it still has this ETag; `None` asks that there is no object. Gives the new ETag, or `None`
/// where somebody else was faster.
pub async fn put_if_unchanged(
    s3: &Client,
    bucket: &str,
    key: &str,
    etag: Option<&str>,
    bytes: impl Into<Bytes>,
) -> Result<Option<String>, AwsError> {
    let put = s3.put_object().bucket(bucket).key(key).body(ByteStream::from(bytes.into()));
    let put = match etag {
        Some(etag) => put.if_match(etag),
        None => put.if_none_match("*"),
    };
    match put.send().await {
        Ok(written) => Ok(Some(written.e_tag.unwrap_or_default())),
        Err(error) => {
            let error = AwsError::new("PutObject", format!("s3://{bucket}/{key}"), error);
            // It changed, it is gone, or it is being written (S3 user guide, conditional-writes).
            if error.is_precondition_failed() || error.is_no_such_object() || error.status == Some(409) {
                return Ok(None);
            }
            Err(error)
        }
    }
}

/// Fails unless the bucket is there and may be used; `setting` names where it was configured.
pub async fn check_bucket(s3: &Client, bucket: &str, setting: &str) -> Result<(), BucketError> {
    match s3.head_bucket().bucket(bucket).send().await {
        Ok(_) => Ok(()),
        Err(error) => {
            let cause = AwsError::new("HeadBucket", format!("s3://{bucket}"), error);
            let (bucket, setting) = (bucket.to_owned(), setting.to_owned());
            Err(if cause.is_not_found() {
                BucketError::Missing { bucket, setting }
            } else {
                BucketError::Unusable { bucket, setting, cause }
            })
        }
    }
}

/// A configured bucket that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// It does not exist.
    #[error("{setting}: bucket {bucket:?} does not exist: create it or correct the setting")]
    Missing {
        /// The bucket.
        bucket: String,
        /// The setting.
        setting: String,
    },
    /// It may not be used, or S3 could not be asked.
    #[error("{setting}: bucket {bucket:?} cannot be used: check permissions, region and endpoint")]
    Unusable {
        /// The bucket.
        bucket: String,
        /// The setting.
        setting: String,
        /// What S3 said.
        #[source]
        cause: AwsError,
    },
}
