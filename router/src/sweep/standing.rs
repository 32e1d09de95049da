//! Whether an object that the index of hours does not show really has no seal, before anybody is troubled for it.

use super::SweepError;
use crate::known::Known;
use crate::listing::RawObject;
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

/// Of an object that was listed.
pub(super) async fn of_listed(
    known: &Known,
    overwrite: Overwrite,
    object: RawObject,
) -> Result<(RawObject, Standing), SweepError> {
    let is_settled = is_settled(known, overwrite, &object.key, &object.etag).await?;
    Ok((object, if is_settled { Standing::Settled } else { Standing::Unsealed }))
}

/// Of an object that was not listed.
pub(super) async fn of_remembered(
    known: &Known,
    overwrite: Overwrite,
    object: Unsealed,
) -> Result<(Unsealed, Standing), SweepError> {
    if is_settled(known, overwrite, &object.key, &object.etag).await? {
        return Ok((object, Standing::Settled));
    }
    let is_there = is_there(known, &object).await?;
    Ok((object, if is_there { Standing::Unsealed } else { Standing::Lost }))
}

/// Whether these contents are sealed under an hour that the index of this one does not show, or are none of ours.
async fn is_settled(known: &Known, overwrite: Overwrite, key: &str, etag: &str) -> Result<bool, SweepError> {
    let source_id = SourceId::new(&known.raw_bucket, key, etag);
    if let Some(seal) = first_seal(known, &source_id).await? {
        // The same contents put there again have the time that they had first, and are in that hour. Where not even that
        // shows them, a router has to see to it.
        let index = known.keys.hour_index(seal.source.time, &source_id, 0);
        return Ok(objects::exists(&known.s3, &known.routed_bucket, &index).await?);
    }
    Ok(overwrite == Overwrite::Ignore && is_claimed_by_others(known, key, &source_id).await?)
}

async fn is_there(known: &Known, object: &Unsealed) -> Result<bool, AwsError> {
    let Known { s3, raw_bucket, .. } = known;
    // Of all keys that begin like this one, it is the first.
    let found = s3.list_objects_v2().bucket(raw_bucket).prefix(&object.key).max_keys(1).send().await;
    let found =
        found.map_err(|error| AwsError::new("ListObjectsV2", format!("s3://{raw_bucket}/{}", object.key), error))?;
    Ok(found.contents().iter().any(|found| {
        let etag = found.e_tag().map(|etag| etag.trim_matches('"'));
        found.key() == Some(&object.key) && etag == Some(&object.etag)
    }))
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
async fn is_claimed_by_others(known: &Known, key: &str, source_id: &SourceId) -> Result<bool, SweepError> {
    for claim in known.keys.claims(&known.raw_bucket, key) {
        let bytes = match objects::get(&known.s3, &known.routed_bucket, &claim).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_no_such_object() => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let seal = Seal::parse(&claim, &bytes).map_err(SealReadError::from)?;
        if seal.is_of_key(&known.raw_bucket, key) {
            return Ok(seal.source_id != *source_id);
        }
    }
    Ok(false)
}
