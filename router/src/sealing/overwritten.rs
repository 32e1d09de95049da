//! Keys whose contents change: claimed by their first contents (`raw.overwrite = "ignore"`), or warned of (`"add"`).
//!
//! A claim holds the whole seal it is made for, and everything that the seal names is written before. So the claim
//! decides, and whoever finds one whose seal is missing can write it: a crash between the two loses nothing, even if
//! the raw object has other contents by then.

use super::{Sealer, SealingError};
use common::aws_error::AwsError;
use common::objects::{self, Written};
use common::seal::Seal;
use common::source::SourceId;
use common::telemetry::chain;

impl Sealer {
    /// The seal with which the key of a source is claimed, if it is.
    pub(crate) async fn claim_on(&self, source_id: &SourceId) -> Result<Option<Seal>, SealingError> {
        let key = self.keys.claim(source_id);
        match objects::get(&self.s3, &self.bucket, &key).await {
            Ok(bytes) => Ok(Some(Seal::parse(&key, &bytes)?)),
            Err(error) if error.is_not_found() && error.code.as_deref() != Some("NoSuchBucket") => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Claims the key for this seal, unless it is claimed: then the claim's seal is returned, maybe of other contents.
    pub(crate) async fn claim(&self, seal: Seal) -> Result<Seal, SealingError> {
        let key = self.keys.claim(&seal.source_id);
        match objects::put_bytes_if_absent(&self.s3, &self.bucket, &key, seal.to_json()).await? {
            Written::Created => Ok(seal),
            Written::Existed => {
                let first = self.claim_on(&seal.source_id).await?;
                first.ok_or(SealingError::ClaimVanished(seal.source_id))
            }
        }
    }

    /// Warns if other contents were sealed under the key of a seal just written. Only a warning hangs on it, so it
    /// never fails.
    pub(crate) async fn warn_if_overwritten(&self, seal: &Seal) {
        let uri = seal.source.uri();
        match self.other_contents(&seal.source_id).await {
            Ok(false) => {}
            Ok(true) => tracing::warn!(
                source.key = seal.source.key,
                "overwritten: {uri} has new contents, which are routed beside the old ones (raw.overwrite = \"add\")"
            ),
            Err(error) => tracing::warn!(
                source.key = seal.source.key,
                "could not see whether {uri} had other contents before: {}",
                chain(&error)
            ),
        }
    }

    /// Two keys are enough to tell: a source just sealed has one seal.
    async fn other_contents(&self, source_id: &SourceId) -> Result<bool, AwsError> {
        let prefix = self.keys.seals_of_key(source_id);
        let list = self.s3.list_objects_v2().bucket(&self.bucket).prefix(&prefix).max_keys(2).send().await;
        let list = list.map_err(|e| AwsError::new("ListObjectsV2", format!("s3://{}/{prefix}", self.bucket), e))?;
        let own = self.keys.seals_of(source_id);
        Ok(list.contents().iter().filter_map(|object| object.key()).any(|key| !key.starts_with(&own)))
    }
}
