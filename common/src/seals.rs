//! Seals as they lie in the routed bucket: finding and reading them.

use crate::aws_error::AwsError;
use crate::keys::KeyLayout;
use crate::objects;
use crate::seal::{Seal, SealError};
use crate::source::SourceId;
use aws_sdk_s3::Client;

/// A seal that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SealReadError {
    /// S3 refused or did not answer.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// What lies there cannot be used.
    #[error(transparent)]
    Unusable(#[from] SealError),
}

/// Reads the seal under a key.
pub async fn read(s3: &Client, bucket: &str, key: &str) -> Result<Seal, SealReadError> {
    let bytes = objects::get(s3, bucket, key).await?;
    Ok(Seal::parse(key, &bytes)?)
}

/// The highest generation's seal of a source, if it has any: the only one that says what is owed.
pub async fn highest(
    s3: &Client,
    bucket: &str,
    keys: &KeyLayout,
    source_id: &SourceId,
) -> Result<Option<Seal>, SealReadError> {
    let found = objects::list(s3, bucket, &keys.seals_of(source_id)).await?;
    let highest = found.iter().filter_map(|key| keys.generation_of_seal(key)).max();
    match highest {
        Some(generation) => Ok(Some(read(s3, bucket, &keys.seal(source_id, generation)).await?)),
        None => Ok(None),
    }
}
