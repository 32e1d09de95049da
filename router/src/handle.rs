//! One delivery of the raw queue: every object it names is routed, sealed and announced, or it comes back.

use crate::fetch::{FetchError, fetch};
use crate::notification::{self, CreatedObject, Notification};
use crate::route::object::{RoutedObject, Rules};
use crate::route::pieces::Workbench;
use crate::sealing::{Sealer, SealingError, seal_of};
use crate::turns::{Turn, TurnError, Turns};
use crate::upload::upload;
use common::aws_error::AwsError;
use common::consumer::{Handled, Handler};
use common::load_request::Lane;
use common::objects::Written;
use common::queue::{Delivery, Fate};
use common::seal::Seal;
use common::settings::{Overwrite, Settings};
use common::source::SourceId;
use common::telemetry::chain;
use std::sync::Arc;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

/// Routes what deliveries name. Stateless but for its workbenches.
pub(crate) struct Router {
    s3: aws_sdk_s3::Client,
    routing_id: String,
    turns: Turns,
    sealer: Sealer,
    raw_bucket: String,
    raw_prefix: String,
    overwrite: Overwrite,
    routed_bucket: String,
    quarantine_bucket: String,
    upload_concurrency: usize,
    /// From then on no object is begun.
    stopping: CancellationToken,
}

/// What became of one object.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Routed now, and sealed.
    Routed,
    /// Sealed before; announced again.
    Announced,
    /// Not there any more, and never sealed.
    Gone,
    /// Overwritten before it was read; the new contents have their own notification.
    Superseded,
    /// Other contents of its key were first, and later ones are ignored.
    Ignored,
}

/// How far an object came before its routing.
enum Begun {
    /// There is nothing to route.
    Over(Outcome),
    Turn(Box<Turn>),
}

#[derive(Debug, thiserror::Error)]
enum HandleError {
    #[error("could not fetch s3://{bucket}/{key}")]
    Fetch { bucket: String, key: String, source: FetchError },
    #[error("could not route {uri}")]
    Route { uri: String, source: TurnError },
    #[error("could not write what was routed from {uri}")]
    Upload { uri: String, source: AwsError },
    #[error("could not seal {uri}")]
    Seal { uri: String, source: SealingError },
    #[error("the router is stopping, or has lost the message")]
    LeftToOthers,
}

/// Pause before a failed delivery is tried again; grows with each receive.
const RETRY_MIN: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(900);

impl Router {
    /// A router of these settings.
    pub(crate) fn new(
        settings: &Settings,
        s3: aws_sdk_s3::Client,
        sealer: Sealer,
        stopping: CancellationToken,
    ) -> Self {
        let rules = Rules::new(&settings.router, &settings.keys);
        Self {
            s3,
            routing_id: rules.routing_id.clone(),
            turns: Turns::new(Arc::new(rules), settings.router.workers),
            sealer,
            raw_bucket: settings.raw.bucket.clone(),
            raw_prefix: settings.raw.prefix.clone(),
            overwrite: settings.raw.overwrite,
            routed_bucket: settings.routed.bucket.clone(),
            quarantine_bucket: settings.quarantine_bucket.clone(),
            upload_concurrency: settings.router.upload_concurrency,
            stopping,
        }
    }

    async fn object(&self, object: &CreatedObject, delivery: &Delivery) -> Result<Outcome, HandleError> {
        // Until its turn has come nothing is lost by leaving it to others.
        let begun = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return Err(HandleError::LeftToOthers),
            begun = self.begin(object, delivery.receive_count) => begun?,
        };
        match begun {
            Begun::Over(outcome) => Ok(outcome),
            // Somebody else has the message by now, or will.
            Begun::Turn(_) if delivery.is_lost() => Err(HandleError::LeftToOthers),
            Begun::Turn(turn) => self.route(*turn).await,
        }
    }

    /// Everything up to the object's turn to be routed; for many a redelivery, that is all.
    async fn begin(&self, object: &CreatedObject, receive_count: u32) -> Result<Begun, HandleError> {
        // A redelivery mostly means that the work was done and only the delete was lost.
        if receive_count > 1
            && let Some(outcome) = self.announce_again(object).await?
        {
            return Ok(Begun::Over(outcome));
        }
        if self.overwrite == Overwrite::Ignore
            && let Some(outcome) = self.claimed(object).await?
        {
            return Ok(Begun::Over(outcome));
        }
        let CreatedObject { bucket, key, etag, version_id } = object;
        let fetched = match fetch(&self.s3, bucket, key, etag.as_deref(), version_id.as_deref()).await {
            Ok(fetched) => fetched,
            Err(source @ FetchError::Aws(_)) => {
                return Err(HandleError::Fetch { bucket: bucket.clone(), key: key.clone(), source });
            }
            Err(missing) => {
                let outcome = match missing {
                    FetchError::Superseded => Outcome::Superseded,
                    _ => Outcome::Gone,
                };
                // What the notification spoke of may be sealed: its load requests must not be lost with it.
                return Ok(Begun::Over(self.announce_again(object).await?.unwrap_or(outcome)));
            }
        };
        let uri = fetched.source.uri();
        let turn = self.turns.wait(fetched, self.s3.clone()).await;
        turn.map(|turn| Begun::Turn(Box::new(turn))).map_err(|source| HandleError::Route { uri, source })
    }

    /// The object's turn: routed, written, sealed, announced.
    async fn route(&self, turn: Turn) -> Result<Outcome, HandleError> {
        let started = Instant::now();
        let source = turn.source.clone();
        let uri = source.uri();
        let routed = self.turns.route(turn).await;
        let (bench, mut routed) = routed.map_err(|source| HandleError::Route { uri: uri.clone(), source })?;
        let part_count = routed.parts.len();
        self.write(&bench, &mut routed, &uri).await?;
        self.turns.put_back(bench);

        let sealed_at = OffsetDateTime::now_utc();
        let seal = seal_of(&source, &self.routing_id, &routed, sealed_at);
        match self.seal_and_announce(seal, &uri).await? {
            Some(Written::Created) => {}
            Some(Written::Existed) => {
                // Without counts: whoever sums them up must not meet an object twice.
                tracing::info!(source.key, "routed {uri} once more; its earlier seal stands and is announced again");
                return Ok(Outcome::Announced);
            }
            None => return Ok(Outcome::Ignored),
        }
        let counts = &routed.counts;
        let by_reason: Vec<String> = counts.by_reason.iter().map(|(reason, n)| format!("{reason}={n}")).collect();
        let by_reason = by_reason.join(" ");
        tracing::info!(
            source.key,
            source.bytes,
            records = counts.read,
            routed = counts.routed,
            quarantined = counts.quarantined,
            dropped = counts.dropped,
            by_reason,
            parts = part_count,
            bytes = counts.bytes,
            duration_ms = started.elapsed().as_millis() as u64,
            "routed {uri}"
        );
        Ok(Outcome::Routed)
    }

    /// Writes parts, then quarantine objects.
    async fn write(&self, bench: &Workbench, routed: &mut RoutedObject, uri: &str) -> Result<(), HandleError> {
        let failed = |source| HandleError::Upload { uri: uri.to_owned(), source };
        let parts = std::mem::take(&mut routed.parts);
        let quarantine = std::mem::take(&mut routed.quarantine_pieces);
        let concurrency = self.upload_concurrency;
        upload(&self.s3, &self.routed_bucket, bench.spool(), parts, concurrency).await.map_err(failed)?;
        upload(&self.s3, &self.quarantine_bucket, bench.spool(), quarantine, concurrency).await.map_err(failed)
    }

    /// Seals and announces what was routed; tells whether the seal is new. `None`: the key is other contents'.
    async fn seal_and_announce(&self, seal: Seal, uri: &str) -> Result<Option<Written>, HandleError> {
        let failed = |source| HandleError::Seal { uri: uri.to_owned(), source };
        let source_id = seal.source_id.clone();
        let seal = match self.overwrite {
            // What gives no row must not keep rows out: a broken upload is often followed by a sound one.
            Overwrite::Ignore if !seal.events.is_empty() => self.sealer.claim(seal).await.map_err(failed)?,
            Overwrite::Ignore | Overwrite::Add => seal,
        };
        if seal.source_id != source_id {
            self.sealer.make_good(&seal).await.map_err(failed)?;
            return Ok(None);
        }
        let (seal, written) = self.sealer.write(seal).await.map_err(failed)?;
        let announced = self.sealer.announce(&seal, Lane::Live);
        let announced = if self.overwrite == Overwrite::Add && written == Written::Created {
            // Beside the index writes, so that looking costs a request and no time.
            tokio::join!(announced, self.sealer.warn_if_overwritten(&seal)).0
        } else {
            announced.await
        };
        announced.map_err(failed)?;
        Ok(Some(written))
    }

    /// What the claim on the object's key says about it, where there is one and the notification tells the contents.
    async fn claimed(&self, object: &CreatedObject) -> Result<Option<Outcome>, HandleError> {
        let CreatedObject { bucket, key, etag: Some(etag), .. } = object else { return Ok(None) };
        let uri = format!("s3://{bucket}/{key}");
        let failed = |source| HandleError::Seal { uri: uri.clone(), source };
        let Some(seal) = self.sealer.claim_on(bucket, key).await.map_err(failed)? else { return Ok(None) };
        if seal.source_id != SourceId::new(bucket, key, etag) {
            self.sealer.make_good(&seal).await.map_err(failed)?;
            return Ok(Some(Outcome::Ignored));
        }
        // Claimed for these very contents: all that is left to do is what follows a claim.
        self.seal_and_announce(seal, &uri).await?;
        Ok(Some(Outcome::Announced))
    }

    /// Announces the highest seal of the contents that the notification names, if there is one.
    async fn announce_again(&self, object: &CreatedObject) -> Result<Option<Outcome>, HandleError> {
        let Some(etag) = &object.etag else { return Ok(None) };
        let uri = || format!("s3://{}/{}", object.bucket, object.key);
        let failed = |source| HandleError::Seal { uri: uri(), source };
        let source_id = SourceId::new(&object.bucket, &object.key, etag);
        let Some(seal) = self.sealer.highest(&source_id).await.map_err(failed)? else { return Ok(None) };
        self.sealer.announce(&seal, Lane::Live).await.map_err(failed)?;
        tracing::info!(
            source.key = object.key,
            generation = seal.generation,
            "announced {} again: it is sealed",
            uri()
        );
        Ok(Some(Outcome::Announced))
    }

    /// Whether the object is one that this deployment reads.
    fn is_ours(&self, object: &CreatedObject) -> bool {
        object.bucket == self.raw_bucket && object.key.starts_with(&self.raw_prefix)
    }
}

impl Handler for Router {
    async fn handle(&self, delivery: &Delivery) -> Handled {
        let objects = match notification::parse(&delivery.body) {
            Notification::Created(objects) => objects,
            Notification::Ignored(what) => {
                tracing::info!(message_id = delivery.message_id, "deleted {what}");
                return Handled::done(Fate::Delete);
            }
            Notification::Unknown(why) => return dead_letter(delivery, why),
        };
        // Every object is tried, so that one bad object holds nothing up but this message.
        let mut failures = Vec::new();
        let (ours, foreign): (Vec<_>, Vec<_>) = objects.iter().partition(|object| self.is_ours(object));
        for object in ours {
            match self.object(object, delivery).await {
                Ok(outcome) => warn_if_not_routed(&outcome, object),
                Err(HandleError::LeftToOthers) => return Handled::interrupted(),
                Err(error) => {
                    let why = chain(&error);
                    tracing::error!(source.key = object.key, receive_count = delivery.receive_count, "{why}");
                    failures.push(why);
                }
            }
        }
        if !failures.is_empty() {
            let fate = Fate::Return { after: retry_pause(delivery.receive_count) };
            return Handled { fate, failure: Some(failures.join("; ")) };
        }
        let Some(CreatedObject { bucket, key, .. }) = foreign.first() else { return Handled::done(Fate::Delete) };
        dead_letter(
            delivery,
            format!("s3://{bucket}/{key} is outside raw.bucket and raw.prefix: correct the bucket's notification"),
        )
    }
}

fn dead_letter(delivery: &Delivery, why: String) -> Handled {
    tracing::error!(message_id = delivery.message_id, "sent a message to the dead-letter queue: {why}");
    Handled::done(Fate::DeadLetter { why })
}

fn warn_if_not_routed(outcome: &Outcome, object: &CreatedObject) {
    let uri = format!("s3://{}/{}", object.bucket, object.key);
    let what = match outcome {
        Outcome::Routed | Outcome::Announced => return,
        Outcome::Gone => format!("gone: {uri} was deleted before it was routed"),
        Outcome::Superseded => format!("superseded: {uri} was overwritten before it was routed"),
        Outcome::Ignored => {
            format!("overwritten: ignored the new contents of {uri} (raw.overwrite = \"ignore\")")
        }
    };
    tracing::warn!(source.key = object.key, "{what}");
}

/// The pause before a delivery that failed is tried again.
fn retry_pause(receive_count: u32) -> Duration {
    let doublings = receive_count.saturating_sub(1).min(10);
    (RETRY_MIN * 2u32.pow(doublings)).min(RETRY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_that_keeps_failing_is_tried_for_most_of_a_day_before_its_queue_gives_up() {
        assert_eq!([1, 2, 3, 8, 9, 1_000].map(|n| retry_pause(n).as_secs()), [5, 10, 20, 640, 900, 900]);
        let waited: Duration = (1..100).map(retry_pause).sum();
        assert!(waited > Duration::from_secs(20 * 3600), "{waited:?}");
    }
}
