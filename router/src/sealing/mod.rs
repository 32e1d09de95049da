//! Seals: makes them, writes them first-writer-wins, finds the highest, and announces what they name.

mod overwritten;

use crate::route::object::RoutedObject;
use aws_sdk_s3::Client;
use common::aws_error::AwsError;
use common::keys::KeyLayout;
use common::load_request::{Lane, LoadRequest};
use common::objects::{self, Written};
use common::queue::Queue;
use common::seal::{SEAL_VERSION, Seal, SealError};
use common::seals::{self, SealReadError};
use common::source::{SourceId, SourceObject};
use time::OffsetDateTime;

/// Seals of one routed bucket, and the queue on which they are announced.
#[derive(Clone, Debug)]
pub(crate) struct Sealer {
    s3: Client,
    bucket: String,
    keys: KeyLayout,
    load_requests: Queue,
}

/// A seal could not be written, read or announced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealingError {
    /// S3 or SQS refused or did not answer.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// A seal that is there cannot be read.
    #[error(transparent)]
    Unreadable(#[from] SealReadError),
    /// The seal that is there cannot be used.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// LIST shows no seal although one was just there.
    #[error("the seal of {0} was written by another router and then disappeared: seals must never be deleted")]
    Vanished(SourceId),
    /// A claim that was just there is not there any more.
    #[error("the claim on the key of {0} disappeared: nothing under seals.prefix may ever be deleted")]
    ClaimVanished(SourceId),
}

/// The seal of what was routed.
pub(crate) fn seal_of(
    source: &SourceObject,
    routing_id: &str,
    routed: &RoutedObject,
    sealed_at: OffsetDateTime,
) -> Seal {
    Seal {
        version: SEAL_VERSION,
        source: source.clone(),
        source_id: source.id(),
        generation: 0,
        routing_id: routing_id.to_owned(),
        sealed_at,
        counts: routed.counts.clone(),
        events: routed.events.clone(),
        quarantine: routed.quarantine.clone(),
        replace_id: None,
    }
}

impl Sealer {
    /// Seals go to `bucket`, load requests to `load_requests`.
    pub(crate) fn new(s3: Client, bucket: String, keys: KeyLayout, load_requests: Queue) -> Self {
        Self { s3, bucket, keys, load_requests }
    }

    /// The highest generation's seal of a source, if it has any.
    pub(crate) async fn highest(&self, source_id: &SourceId) -> Result<Option<Seal>, SealingError> {
        Ok(seals::highest(&self.s3, &self.bucket, &self.keys, source_id).await?)
    }

    /// Writes a seal, unless there is one: then the earlier one is returned, to be used instead.
    pub(crate) async fn write(&self, seal: Seal) -> Result<(Seal, Written), SealingError> {
        let key = self.keys.seal(&seal.source_id, seal.generation);
        match objects::put_bytes_if_absent(&self.s3, &self.bucket, &key, seal.to_json()).await? {
            Written::Created => Ok((seal, Written::Created)),
            Written::Existed => {
                let winner = self.highest(&seal.source_id).await?;
                Ok((winner.ok_or(SealingError::Vanished(seal.source_id))?, Written::Existed))
            }
        }
    }

    /// What follows a seal, again and again if need be: the index objects, then the load requests.
    pub(crate) async fn announce(&self, seal: &Seal, lane: Lane) -> Result<(), SealingError> {
        let hour = self.keys.hour_index(seal.source.time, &seal.source_id, seal.generation);
        let day = self.keys.day_index(seal.sealed_at, &seal.source_id, seal.generation);
        let index =
            |key: String| async move { objects::put_bytes_if_absent(&self.s3, &self.bucket, &key, Vec::new()).await };
        futures::try_join!(index(hour), index(day))?;
        let seal_key = self.keys.seal(&seal.source_id, seal.generation);
        Ok(self.load_requests.send_all(requests(seal, &seal_key, lane)).await?)
    }
}

/// The load requests that a seal asks for. Each is made when it is sent: all bodies of a seal can be far larger than it.
fn requests<'s>(seal: &'s Seal, seal_key: &'s str, lane: Lane) -> Box<dyn Iterator<Item = String> + Send + 's> {
    let due = seal.events.iter().filter(|event| event.since == seal.generation);
    Box::new(due.map(move |event| LoadRequest::new(seal, event, seal_key, lane).to_json()))
}
