//! One delivery of a raw queue: every object it names is routed, sealed and announced, or it comes back.

mod outcome;
mod request;
mod sealed;

pub(crate) use outcome::Outcome;

use crate::fetch::{FetchError, fetch};
use crate::notification::{self, CreatedObject, Notification};
use crate::route::object::{RoutedObject, Rules};
use crate::route::pieces::Workbench;
use crate::sealing::{Sealer, SealingError, next_generation, seal_of};
use crate::turns::{Turn, TurnError, Turns};
use crate::upload::upload;
use common::aws_error::AwsError;
use common::consumer::{Handled, Handler};
use common::event_name::EventName;
use common::load_request::Lane;
use common::queue::{Delivery, Fate};
use common::route_request::{Replace, RouteRequest};
use common::seal::Seal;
use common::settings::{Overwrite, Settings};
use common::telemetry::chain;
use outcome::Tally;
use sealed::Sealed;
use std::sync::Arc;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

/// Routes what deliveries name. Stateless but for its workbenches.
pub(crate) struct Router {
    s3: aws_sdk_s3::Client,
    routing_id: String,
    lineage: bool,
    turns: Turns,
    sealer: Sealer,
    raw_bucket: String,
    raw_prefix: String,
    raw_lag: Duration,
    overwrite: Overwrite,
    routed_bucket: String,
    quarantine_bucket: String,
    upload_concurrency: usize,
    /// From then on no object is begun.
    stopping: CancellationToken,
}

/// How an object was asked for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    lane: Lane,
    /// Whether somebody may have had it before.
    redelivered: bool,
    /// The message that asks, if it is one.
    delivery: Option<&'a Delivery>,
}

impl<'a> Asked<'a> {
    fn by(delivery: &'a Delivery, lane: Lane) -> Self {
        Self { lane, redelivered: delivery.receive_count > 1, delivery: Some(delivery) }
    }
}

/// What is to be made of an object.
#[derive(Default)]
struct Next {
    generation: u32,
    replace: Option<Replace>,
    /// The generation before.
    earlier: Option<Seal>,
    /// Events announced at once; `None`: all.
    announced: Option<Vec<EventName>>,
}

/// How far an object came before its routing.
enum Begun {
    /// There is nothing to route.
    Over(Outcome),
    Turn(Box<Turn>, Box<Next>),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum HandleError {
    #[error("could not fetch s3://{bucket}/{key}")]
    Fetch { bucket: String, key: String, source: FetchError },
    #[error("could not route {uri}")]
    Route { uri: String, source: TurnError },
    #[error("could not write what was routed from {uri}")]
    Upload { uri: String, source: AwsError },
    #[error("could not seal {uri}")]
    Seal { uri: String, source: SealingError },
    #[error(
        "replace {id} wants {uri} routed by the rules {wanted}, and this router has the rules {own}: give all routers the settings that the replace was started with, or start another"
    )]
    OtherRules { uri: String, id: String, wanted: String, own: String },
    #[error(
        "replace {id} of {uri} needs router.lineage = true: without it nobody can tell which rows are to be replaced"
    )]
    NoLineage { uri: String, id: String },
    #[error("generation {generation} of {uri} cannot be made: its highest one is {}", shown(.highest))]
    Gap { uri: String, generation: u32, highest: Option<u32> },
    #[error("{uri} is outside raw.bucket and raw.prefix: correct the bucket's notification, or these settings")]
    Foreign { uri: String },
    #[error("the router is stopping, or has lost the message")]
    LeftToOthers,
}

impl HandleError {
    /// Whether no later try can do better: an operator has to look.
    fn is_lasting(&self) -> bool {
        matches!(self, Self::NoLineage { .. } | Self::Gap { .. } | Self::Foreign { .. })
    }
}

fn shown(generation: &Option<u32>) -> String {
    generation.map_or("none at all".to_owned(), |generation| generation.to_string())
}

/// When a request that a newer release wrote is looked at again: it needs a newer router.
const TOO_NEW_PAUSE: Duration = Duration::from_secs(300);

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
            lineage: settings.router.lineage,
            turns: Turns::new(Arc::new(rules), settings.router.workers),
            sealer,
            raw_bucket: settings.raw.bucket.clone(),
            raw_prefix: settings.raw.prefix.clone(),
            raw_lag: settings.sweep.raw_lag,
            overwrite: settings.raw.overwrite,
            routed_bucket: settings.routed.bucket.clone(),
            quarantine_bucket: settings.quarantine_bucket.clone(),
            upload_concurrency: settings.router.upload_concurrency,
            stopping,
        }
    }

    /// Waits for the object's turn, and routes it.
    async fn turned(
        &self,
        begin: impl Future<Output = Result<Begun, HandleError>>,
        asked: Asked<'_>,
    ) -> Result<Outcome, HandleError> {
        // Until its turn has come nothing is lost by leaving it to others.
        let begun = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return Err(HandleError::LeftToOthers),
            begun = begin => begun?,
        };
        match begun {
            Begun::Over(outcome) => Ok(outcome),
            // Somebody else has the message by now, or will.
            Begun::Turn(..) if asked.delivery.is_some_and(Delivery::is_lost) => Err(HandleError::LeftToOthers),
            Begun::Turn(turn, next) => self.route(*turn, *next, asked.lane).await,
        }
    }

    /// Everything up to the turn of an object that was created; for many a redelivery, that is all.
    async fn begin_created(&self, object: &CreatedObject, asked: Asked<'_>) -> Result<Begun, HandleError> {
        // A redelivery mostly means that the work was done and only the delete was lost.
        if asked.redelivered
            && let Some(outcome) = self.announce_again(object, asked.lane).await?
        {
            return Ok(Begun::Over(outcome));
        }
        // A sweep may have got what is told of so late sealed meanwhile.
        let is_late = object.at.is_some_and(|at| OffsetDateTime::now_utc() - at >= self.raw_lag);
        if is_late
            && !asked.redelivered
            && let Some(seal) = self.sealed(object).await?
        {
            return self.see_to(&seal, None, asked).await.map(Begun::Over);
        }
        if self.overwrite == Overwrite::Ignore
            && let Some(outcome) = self.claimed(object, asked.lane).await?
        {
            return Ok(Begun::Over(outcome));
        }
        self.fetch_and_wait(object, Next::default(), asked.lane).await
    }

    async fn fetch_and_wait(&self, object: &CreatedObject, next: Next, lane: Lane) -> Result<Begun, HandleError> {
        let CreatedObject { bucket, key, etag, version_id, .. } = object;
        let mut fetched = match fetch(&self.s3, bucket, key, etag.as_deref(), version_id.as_deref()).await {
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
                let sealed = if next.replace.is_none() { self.announce_again(object, lane).await? } else { None };
                return Ok(Begun::Over(sealed.unwrap_or(outcome)));
            }
        };
        if let Some(earlier) = &next.earlier {
            // The same contents put once more have a later time; the source stays where its first seal has it.
            fetched.source.time = earlier.source.time;
        }
        let uri = fetched.source.uri();
        let turn = self.turns.wait(fetched, lane, self.s3.clone()).await;
        let turn = turn.map_err(|source| HandleError::Route { uri, source })?;
        Ok(Begun::Turn(Box::new(turn), Box::new(next)))
    }

    /// The object's turn: routed, written, sealed, announced.
    async fn route(&self, turn: Turn, next: Next, lane: Lane) -> Result<Outcome, HandleError> {
        let started = Instant::now();
        let source = turn.source.clone();
        let uri = source.uri();
        let routed = self.turns.route(turn, next.generation).await;
        let (bench, mut routed) = routed.map_err(|source| HandleError::Route { uri: uri.clone(), source })?;
        let part_count = routed.parts.len();
        self.write(&bench, &mut routed, &uri).await?;
        self.turns.put_back(bench);

        let sealed_at = OffsetDateTime::now_utc();
        let replace_id = next.replace.as_ref().map(|replace| replace.id.clone());
        let seal = seal_of(&source, &self.routing_id, &routed, sealed_at);
        let seal = match &next.earlier {
            Some(earlier) => next_generation(seal, earlier, replace_id.clone()),
            None => Seal { replace_id: replace_id.clone(), ..seal },
        };
        match self.seal_and_announce(seal, &next, lane, &uri).await? {
            Sealed::New => {}
            Sealed::Before => {
                // Without counts: whoever sums them up must not meet an object twice.
                tracing::info!(source.key, "routed {uri} once more; its earlier seal stands and is announced again");
                return Ok(Outcome::Announced);
            }
            Sealed::OtherContents => return Ok(Outcome::Ignored),
            Sealed::OtherReplace(lost) => return Ok(Outcome::LostClaim(lost)),
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
            generation = next.generation,
            replace = replace_id,
            duration_ms = started.elapsed().as_millis() as u64,
            "routed {uri}"
        );
        Ok(Outcome::Routed(Tally::of(&routed)))
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

    /// Whether the object is one that this deployment reads.
    fn is_ours(&self, object: &CreatedObject) -> bool {
        object.bucket == self.raw_bucket && object.key.starts_with(&self.raw_prefix)
    }
}

impl Handler for Router {
    async fn handle(&self, delivery: &Delivery, lane: Lane) -> Handled {
        match notification::parse(&delivery.body) {
            Notification::Created(objects) => self.handle_created(&objects, delivery, lane).await,
            Notification::Requested(request) => self.handle_request(&request, delivery, lane).await,
            Notification::Ignored(what) => {
                tracing::info!(message_id = delivery.message_id, "deleted {what}");
                Handled::done(Fate::Delete)
            }
            Notification::TooNew(why) => {
                tracing::error!(message_id = delivery.message_id, "{why}");
                Handled { fate: Fate::Return { after: TOO_NEW_PAUSE }, failure: Some(why) }
            }
            Notification::Unknown(why) => dead_letter(delivery, why),
        }
    }
}

impl Router {
    async fn handle_created(&self, objects: &[CreatedObject], delivery: &Delivery, lane: Lane) -> Handled {
        let asked = Asked::by(delivery, lane);
        // Every object is tried, so that one bad object holds nothing up but this message.
        let mut failures = Vec::new();
        let (ours, foreign): (Vec<_>, Vec<_>) = objects.iter().partition(|object| self.is_ours(object));
        for object in ours {
            match self.turned(self.begin_created(object, asked), asked).await {
                Ok(outcome) => outcome.warn_if_not_done(object, false),
                Err(HandleError::LeftToOthers) => return Handled::interrupted(),
                Err(error) => failures.push(told(&error, object, delivery)),
            }
        }
        if !failures.is_empty() {
            return again(delivery, failures.join("; "));
        }
        match foreign.first() {
            Some(object) => dead_letter(delivery, HandleError::Foreign { uri: object.uri() }.to_string()),
            None => Handled::done(Fate::Delete),
        }
    }

    async fn handle_request(&self, request: &RouteRequest, delivery: &Delivery, lane: Lane) -> Handled {
        let object = CreatedObject::of_request(request);
        match self.carry_out(request, Asked::by(delivery, lane)).await {
            Ok(outcome) => {
                outcome.warn_if_not_done(&object, request.replace.is_some());
                Handled::done(Fate::Delete)
            }
            Err(HandleError::LeftToOthers) => Handled::interrupted(),
            Err(error) if error.is_lasting() => dead_letter(delivery, error.to_string()),
            Err(error) => again(delivery, told(&error, &object, delivery)),
        }
    }
}

/// Logs a failure, and returns its text.
fn told(error: &HandleError, object: &CreatedObject, delivery: &Delivery) -> String {
    let why = chain(error);
    tracing::error!(source.key = object.key, receive_count = delivery.receive_count, "{why}");
    why
}

/// Tried again after a pause.
fn again(delivery: &Delivery, why: String) -> Handled {
    Handled { fate: Fate::Return { after: retry_pause(delivery.receive_count) }, failure: Some(why) }
}

fn dead_letter(delivery: &Delivery, why: String) -> Handled {
    tracing::error!(message_id = delivery.message_id, "sent a message to the dead-letter queue: {why}");
    Handled::done(Fate::DeadLetter { why })
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
