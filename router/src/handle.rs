//! One delivery of the raw queue: every object it names is routed, sealed and announced, or it comes back.

use crate::fetch::{FetchError, fetch};
use crate::notification::{self, CreatedObject, Notification};
use crate::route::object::{RouteError, Rules, route_object};
use crate::route::pieces::Workbench;
use crate::sealing::{Sealer, SealingError, seal_of};
use crate::upload::upload;
use common::aws_error::AwsError;
use common::consumer::Handler;
use common::load_request::Lane;
use common::objects::Written;
use common::queue::{Delivery, Fate};
use common::seal::Seal;
use common::settings::{Overwrite, Settings};
use common::source::SourceId;
use common::telemetry::chain;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use time::OffsetDateTime;

/// Routes what deliveries name. Stateless but for its workbenches.
pub(crate) struct Router {
    s3: aws_sdk_s3::Client,
    rules: Arc<Rules>,
    sealer: Sealer,
    raw_bucket: String,
    raw_prefix: String,
    overwrite: Overwrite,
    routed_bucket: String,
    quarantine_bucket: String,
    upload_concurrency: usize,
    /// Workbenches not in use; never more than there are workers.
    benches: Mutex<Vec<Workbench>>,
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

#[derive(Debug, thiserror::Error)]
enum HandleError {
    #[error("could not fetch s3://{bucket}/{key}")]
    Fetch { bucket: String, key: String, source: FetchError },
    #[error("could not route {uri}")]
    Route { uri: String, source: RouteError },
    #[error("routing {uri} hit a bug of the router: please report it with the object")]
    Panicked { uri: String, source: tokio::task::JoinError },
    #[error("could not prepare a workbench: check the space left under router.spool_dir")]
    Workbench(#[source] std::io::Error),
    #[error("could not write what was routed from {uri}")]
    Upload { uri: String, source: AwsError },
    #[error("could not seal {uri}")]
    Seal { uri: String, source: SealingError },
}

/// Pause before a failed delivery is tried again; grows with each receive.
const RETRY_MIN: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(900);

impl Router {
    /// A router of these settings.
    pub(crate) fn new(settings: &Settings, s3: aws_sdk_s3::Client, sealer: Sealer) -> Self {
        Self {
            s3,
            rules: Arc::new(Rules::new(&settings.router, &settings.keys)),
            sealer,
            raw_bucket: settings.raw.bucket.clone(),
            raw_prefix: settings.raw.prefix.clone(),
            overwrite: settings.raw.overwrite,
            routed_bucket: settings.routed.bucket.clone(),
            quarantine_bucket: settings.quarantine_bucket.clone(),
            upload_concurrency: settings.router.upload_concurrency,
            benches: Mutex::new(Vec::new()),
        }
    }

    async fn object(&self, object: &CreatedObject, receive_count: u32) -> Result<Outcome, HandleError> {
        // A redelivery mostly means that the work was done and only the delete was lost.
        if receive_count > 1
            && let Some(outcome) = self.announce_again(object).await?
        {
            return Ok(outcome);
        }
        if self.overwrite == Overwrite::Ignore
            && let Some(outcome) = self.claimed(object).await?
        {
            return Ok(outcome);
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
                return Ok(self.announce_again(object).await?.unwrap_or(outcome));
            }
        };
        let started = Instant::now();
        let source = fetched.source.clone();
        let uri = source.uri();
        let bench = self.take_bench()?;
        let reader = fetched.into_reader(self.s3.clone());
        let (rules, for_route) = (self.rules.clone(), source.clone());
        let routing = tokio::task::spawn_blocking(move || {
            let mut bench = bench;
            let routed = route_object(&rules, &for_route, 0, reader, &mut bench);
            (bench, routed)
        });
        let (bench, routed) = routing.await.map_err(|source| HandleError::Panicked { uri: uri.clone(), source })?;
        let mut routed = routed.map_err(|source| HandleError::Route { uri: uri.clone(), source })?;
        let parts = std::mem::take(&mut routed.parts);
        let quarantine = std::mem::take(&mut routed.quarantine_pieces);
        let part_count = parts.len();
        let failed = |source| HandleError::Upload { uri: uri.clone(), source };
        let concurrency = self.upload_concurrency;
        upload(&self.s3, &self.routed_bucket, bench.spool(), parts, concurrency).await.map_err(failed)?;
        upload(&self.s3, &self.quarantine_bucket, bench.spool(), quarantine, concurrency).await.map_err(failed)?;
        self.benches.lock().unwrap_or_else(PoisonError::into_inner).push(bench);

        let sealed_at = OffsetDateTime::now_utc();
        let seal = seal_of(&source, &self.rules.routing_id, &routed, sealed_at);
        if self.seal_and_announce(seal, &uri).await? == Outcome::Ignored {
            return Ok(Outcome::Ignored);
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

    async fn seal_and_announce(&self, seal: Seal, uri: &str) -> Result<Outcome, HandleError> {
        let failed = |source| HandleError::Seal { uri: uri.to_owned(), source };
        self.sealer.check(&seal).map_err(failed)?;
        let source_id = seal.source_id.clone();
        let seal = match self.overwrite {
            Overwrite::Add => seal,
            Overwrite::Ignore => self.sealer.claim(seal).await.map_err(failed)?,
        };
        if seal.source_id != source_id {
            return Ok(Outcome::Ignored);
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
        Ok(Outcome::Routed)
    }

    /// What the claim on the object's key says about it, where there is one and the notification tells the contents.
    async fn claimed(&self, object: &CreatedObject) -> Result<Option<Outcome>, HandleError> {
        let CreatedObject { bucket, key, etag: Some(etag), .. } = object else { return Ok(None) };
        let uri = format!("s3://{bucket}/{key}");
        let source_id = SourceId::new(bucket, key, etag);
        let claim = self.sealer.claim_on(&source_id).await;
        let Some(seal) = claim.map_err(|source| HandleError::Seal { uri: uri.clone(), source })? else {
            return Ok(None);
        };
        if seal.source_id != source_id {
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

    fn take_bench(&self) -> Result<Workbench, HandleError> {
        let free = self.benches.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.map_or_else(|| self.rules.workbench().map_err(HandleError::Workbench), Ok)
    }

    /// Whether the object is one that this deployment reads.
    fn is_ours(&self, object: &CreatedObject) -> bool {
        object.bucket == self.raw_bucket && object.key.starts_with(&self.raw_prefix)
    }
}

impl Handler for Router {
    async fn handle(&self, delivery: &Delivery) -> Fate {
        let objects = match notification::parse(&delivery.body) {
            Notification::Created(objects) => objects,
            Notification::Ignored(what) => {
                tracing::info!(message_id = delivery.message_id, "deleted {what}");
                return Fate::Delete;
            }
            Notification::Unknown(why) => {
                tracing::error!(message_id = delivery.message_id, "sent a message to the dead-letter queue: {why}");
                return Fate::DeadLetter { why };
            }
        };
        // Every object is tried, so that one bad object holds nothing up but this message.
        let mut failed = false;
        let (ours, foreign): (Vec<_>, Vec<_>) = objects.iter().partition(|object| self.is_ours(object));
        for object in ours {
            match self.object(object, delivery.receive_count).await {
                Ok(Outcome::Gone) => tracing::warn!(
                    source.key = object.key,
                    "gone: s3://{}/{} was deleted before it was routed",
                    object.bucket,
                    object.key
                ),
                Ok(Outcome::Superseded) => tracing::warn!(
                    source.key = object.key,
                    "superseded: s3://{}/{} was overwritten before it was routed",
                    object.bucket,
                    object.key
                ),
                Ok(Outcome::Ignored) => tracing::warn!(
                    source.key = object.key,
                    "overwritten: ignored the new contents of s3://{}/{} (raw.overwrite = \"ignore\")",
                    object.bucket,
                    object.key
                ),
                Ok(Outcome::Routed | Outcome::Announced) => {}
                Err(error) => {
                    failed = true;
                    tracing::error!(
                        source.key = object.key,
                        receive_count = delivery.receive_count,
                        "{}",
                        chain(&error)
                    );
                }
            }
        }
        if failed {
            let doubled = RETRY_MIN * 2u32.saturating_pow(delivery.receive_count.saturating_sub(1).min(10));
            return Fate::Return { after: doubled.min(RETRY_MAX) };
        }
        let Some(CreatedObject { bucket, key, .. }) = foreign.first() else { return Fate::Delete };
        let why =
            format!("s3://{bucket}/{key} is outside raw.bucket and raw.prefix: correct the bucket's notification");
        tracing::error!(message_id = delivery.message_id, "sent a message to the dead-letter queue: {why}");
        Fate::DeadLetter { why }
    }
}
