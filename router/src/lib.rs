//! Splits raw JSON log files into per-event parts, and accounts for every record of them.
//!
//! Data flows one way: `handle` (a delivery) → `fetch` (its objects' bytes) → `turns` (threads) → `route` (the pure core)
//! → `upload` (parts, quarantine) → `sealing` (seal, index, load requests).

pub mod backfill;
mod fetch;
mod handle;
mod known;
mod listing;
pub mod notification;
mod patience;
pub mod quarantine;
pub mod route;
mod sealing;
pub mod split;
mod sweep;
mod turns;
mod upload;

pub use sweep::{Asked, GivenUp, Report, SweepCommandError, SweepOptions, Swept, sweep};

use common::clients::Clients;
use common::consumer::{self, ConsumeError, Inlet, Pace};
use common::load_request::{LOAD_REQUEST_MAX_BYTES, Lane};
use common::objects::{BucketError, check_bucket};
use common::queue::{LaneQueues, QueueError};
use common::settings::{RouterSettings, Settings};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use sweep::Sweeper;
use sweep::schedule::{BesideSweeps, Schedule};
use tokio_util::sync::CancellationToken;

/// Why the router does not start, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A bucket.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// A queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// What a run with `--until-idle` could not do.
    #[error("raw.queue, raw.backfill_queue")]
    Consume(#[source] ConsumeError),
    /// The spool.
    #[error("router.spool_dir: could not create a file in {dir}: name a folder that exists and may be written")]
    Spool {
        /// The folder.
        dir: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Consumes both lanes of the raw queue until `shutdown`, or until they are idle for `until_idle`.
pub async fn run(
    settings: &Settings,
    clients: &Clients,
    until_idle: Option<Duration>,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    check_bucket(&clients.s3, &settings.raw.bucket, "raw.bucket").await?;
    check_bucket(&clients.s3, &settings.routed.bucket, "routed.bucket").await?;
    check_bucket(&clients.s3, &settings.quarantine_bucket, "quarantine.bucket").await?;
    let raw = LaneQueues::open(&clients.sqs, &settings.raw.queues, "raw").await?;
    if raw.get(Lane::Backfill).is_none() {
        let queue = &settings.raw.queues.backfill;
        tracing::info!(queue, "there is no backfill lane: create the queue before old logs are routed again");
    }
    let routed = open_routed(settings, clients).await?;
    routed.check_differ("routed", &raw, "raw")?;
    check_spool(settings)?;

    let sweeper = Sweeper::new(settings, clients, raw.clone());
    let mut sweeps = Schedule::start(sweeper, settings.sweep.every, &shutdown);
    let router = router(settings, clients, routed, shutdown.clone());
    let router = Arc::new(BesideSweeps::new(router, &sweeps));
    let RouterSettings { workers, objects_in_flight: in_flight, drain_timeout, .. } = settings.router;
    tracing::info!(queue = raw.live().name(), workers, in_flight, "router is ready");
    let inlets = raw.each().map(|(lane, queue)| {
        let in_flight = if lane == Lane::Backfill { backfill_share(in_flight) } else { in_flight };
        Inlet { queue: queue.clone(), lane, in_flight }
    });
    let pace = Pace { in_flight, until_idle, drain_timeout };
    let consumed = consumer::run(inlets.collect(), pace, router, shutdown.clone()).await;
    // Also without a shutdown, when it is idle or failed: its claim on the sweep must not outlive the run.
    sweeps.end().await;
    consumed.map_err(RunError::Consume)?;
    tracing::info!("router has stopped");
    Ok(())
}

fn check_spool(settings: &Settings) -> Result<(), RunError> {
    let dir = &settings.router.spool_dir;
    tempfile::tempfile_in(dir).map(drop).map_err(|source| RunError::Spool { dir: dir.clone(), source })
}

/// A router for whoever routes without the raw queues.
async fn direct_router(
    settings: &Settings,
    clients: &Clients,
    stopping: CancellationToken,
) -> Result<handle::Router, RunError> {
    check_bucket(&clients.s3, &settings.quarantine_bucket, "quarantine.bucket").await?;
    check_spool(settings)?;
    Ok(router(settings, clients, open_routed(settings, clients).await?, stopping))
}

/// The queues of load requests.
async fn open_routed(settings: &Settings, clients: &Clients) -> Result<LaneQueues, QueueError> {
    let routed = LaneQueues::open(&clients.sqs, &settings.routed.queues, "routed").await?;
    routed.check_take(LOAD_REQUEST_MAX_BYTES, "routed")?;
    Ok(routed)
}

/// A router that announces on these queues.
fn router(
    settings: &Settings,
    clients: &Clients,
    load_requests: LaneQueues,
    stopping: CancellationToken,
) -> handle::Router {
    let bucket = settings.routed.bucket.clone();
    let sealer = sealing::Sealer::new(clients.s3.clone(), bucket, settings.keys.clone(), load_requests);
    handle::Router::new(settings, clients.s3.clone(), sealer, stopping)
}

/// Of so many objects in flight, those that backfill may be at most: what is new never waits for all of it.
fn backfill_share(in_flight: usize) -> usize {
    (in_flight * 3 / 4).max(1)
}
