//! Keys whose contents change: claimed by their first contents (`raw.overwrite = "ignore"`), or warned of (`"add"`).
//!
//! A claim holds the whole seal it is made for, and everything that the seal names is written before. So the claim
//! decides, and whoever finds one whose seal is missing writes it: a crash between the two loses nothing, even if
//! the raw object has other contents by then and nobody ever asks for the first ones again.

use super::{Sealer, SealingError};
use common::aws_error::AwsError;
use common::load_request::Lane;
use common::objects::{self, Written};
use common::seal::Seal;
use common::source::SourceId;
use common::telemetry::chain;

impl Sealer {
    /// The seal with which a key is claimed, if it is.
    pub(crate) async fn claim_on(&self, bucket: &str, key: &str) -> Result<Option<Seal>, SealingError> {
        for claim in self.keys.claims(bucket, key) {
            match self.read_claim(&claim).await? {
                Some(seal) if !seal.is_of_key(bucket, key) => {}
                found => return Ok(found),
            }
        }
        Ok(None)
    }

    /// Claims the key for this seal, unless it is claimed: then the claim's seal is returned, of these contents or of
    /// others.
    pub(crate) async fn claim(&self, seal: &Seal) -> Result<Option<Seal>, SealingError> {
        let (bucket, key) = (&seal.source.bucket, &seal.source.key);
        for claim in self.keys.claims(bucket, key) {
            let written = objects::put_bytes_if_absent(&self.s3, &self.bucket, &claim, seal.to_json()).await?;
            if written == Written::Created {
                return Ok(None);
            }
            let first = self.read_claim(&claim).await?;
            let first = first.ok_or_else(|| SealingError::ClaimVanished(seal.source_id.clone()))?;
            if first.is_of_key(bucket, key) {
                return Ok(Some(first));
            }
        }
        // Two keys share a whole SHA-256. Both are routed: nothing may be lost.
        Ok(None)
    }

    async fn read_claim(&self, claim: &str) -> Result<Option<Seal>, SealingError> {
        match objects::get(&self.s3, &self.bucket, claim).await {
            Ok(bytes) => Ok(Some(Seal::parse(claim, &bytes)?)),
            Err(error) if error.is_no_such_object() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Seals and announces what a key is claimed for, if who claimed it did not come to that. Nobody else might: the
    /// raw object has other contents by now.
    pub(crate) async fn make_good(&self, claimed: &Seal, lane: Lane) -> Result<(), SealingError> {
        let key = self.keys.seal(&claimed.source_id, claimed.generation);
        match objects::put_bytes_if_absent(&self.s3, &self.bucket, &key, claimed.to_json()).await? {
            Written::Created => {
                tracing::warn!(
                    source.key = claimed.source.key,
                    "sealed the first contents of {}, which a router had claimed and not sealed",
                    claimed.source.uri()
                );
                self.announce(claimed, lane, None).await
            }
            Written::Existed => Ok(()),
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
