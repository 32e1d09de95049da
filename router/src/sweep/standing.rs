//! Whether an object that the index of hours does not show really has no seal, before anybody is troubled for it.

use super::SweepError;
use crate::known::{Known, hour_of};
use common::aws_error::AwsError;
use common::objects;
use common::seal::Seal;
use common::seals::{self, SealReadError};
use common::settings::Overwrite;
use common::source::SourceId;
use common::swept::Unsealed;

/// Where an object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has no seal, or its seal is not in the index: both are a router's work.
    Unsealed,
    /// Nothing is to be done for it.
    Settled,
    /// It is not there any more, or has other contents, and was never routed.
    Lost,
}

/// Of an object that is to be asked for.
pub(super) async fn of_due(
    known: &Known,
    overwrite: Overwrite,
    object: Unsealed,
) -> Result<(Unsealed, Standing), SweepError> {
    let source_id = SourceId::new(&known.raw_bucket, &object.key, &object.etag);
    if let Some(seal) = first_seal(known, &source_id).await? {
        // The same contents put there again have the time that they had first, and are in that hour.
        let is_elsewhere = hour_of(seal.source.time) != hour_of(object.time);
        let standing = if is_elsewhere { Standing::Settled } else { Standing::Unsealed };
        return Ok((object, standing));
    }
    let is_ignored = overwrite == Overwrite::Ignore && is_claimed_by_others(known, &object, &source_id).await?;
    let standing = if is_ignored { Standing::Settled } else { Standing::Unsealed };
    Ok((object, standing))
}

/// Of an object that was not listed.
pub(super) async fn of_remembered(known: &Known, object: Unsealed) -> Result<(Unsealed, Standing), AwsError> {
    let Known { s3, raw_bucket, .. } = known;
    // Of all keys that begin like this one, it is the first.
    let found = s3.list_objects_v2().bucket(raw_bucket).prefix(&object.key).max_keys(1).send().await;
    let found =
        found.map_err(|error| AwsError::new("ListObjectsV2", format!("s3://{raw_bucket}/{}", object.key), error))?;
    let is_same = found.contents().iter().any(|found| {
        let etag = found.e_tag().map(|etag| etag.trim_matches('"'));
        found.key() == Some(&object.key) && etag == Some(&object.etag)
    });
    Ok((object, if is_same { Standing::Unsealed } else { Standing::Lost }))
}

/// The seal of the first generation: every sealed source has one.
async fn first_seal(known: &Known, source_id: &SourceId) -> Result<Option<Seal>, SweepError> {
    match seals::read(&known.s3, &known.routed_bucket, &known.keys.seal(source_id, 0)).await {
        Ok(seal) => Ok(Some(seal)),
        Err(SealReadError::Aws(error)) if error.is_no_such_object() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether the key belongs to other contents for good (`raw.overwrite = "ignore"`).
async fn is_claimed_by_others(known: &Known, object: &Unsealed, source_id: &SourceId) -> Result<bool, SweepError> {
    for key in known.keys.claims(&known.raw_bucket, &object.key) {
        let bytes = match objects::get(&known.s3, &known.routed_bucket, &key).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_no_such_object() => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let seal = Seal::parse(&key, &bytes).map_err(SealReadError::from)?;
        if seal.is_of_key(&known.raw_bucket, &object.key) {
            return Ok(seal.source_id != *source_id);
        }
    }
    Ok(false)
}
