//! Objects on S3 as this product uses them: written once under a name that says their content, and read whole.

use crate::aws_error::AwsError;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use std::time::Duration;

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
        let page = page.map_err(|e| AwsError::new("ListObjectsV2", format!("s3://{bucket}/{prefix}"), e))?;
        keys.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
    }
    Ok(keys)
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
