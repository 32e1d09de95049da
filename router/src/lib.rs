//! Splits raw JSON log files into per-event parts, and accounts for every record of them.
//!
//! Data flows one way: `handle` (a delivery) → `fetch` (its objects' bytes) → `turns` (threads) → `route` (the pure core)
//! → `upload` (parts, quarantine) → `sealing` (seal, index, load requests).

mod fetch;
mod handle;
mod known;
mod listing;
pub mod notification;
pub mod route;
mod sealing;
pub mod split;
mod turns;
mod upload;

use common::clients::Clients;
use common::consumer::{self, ConsumeError, Pace};
use common::load_request::LOAD_REQUEST_MAX_BYTES;
use common::objects::{BucketError, check_bucket};
use common::queue::{Queue, QueueError};
use common::settings::{RouterSettings, Settings};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
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
    #[error("raw.queue {queue:?}")]
    Consume {
        /// The queue.
        queue: String,
        /// What.
        #[source]
        source: ConsumeError,
    },
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

/// Consumes notifications until `shutdown`, or until the queue is idle for `until_idle`.
pub async fn run(
    settings: &Settings,
    clients: &Clients,
    until_idle: Option<Duration>,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    check_bucket(&clients.s3, &settings.raw.bucket, "raw.bucket").await?;
    check_bucket(&clients.s3, &settings.routed.bucket, "routed.bucket").await?;
    check_bucket(&clients.s3, &settings.quarantine_bucket, "quarantine.bucket").await?;
    let notifications = Queue::open(&clients.sqs, &settings.raw.queues.live, "raw.queue").await?;
    let load_requests = Queue::open(&clients.sqs, &settings.routed.queues.live, "routed.queue").await?;
    load_requests.check_takes(LOAD_REQUEST_MAX_BYTES, "routed.queue")?;
    load_requests.check_differs("routed.queue", &notifications, "raw.queue")?;
    let dir = &settings.router.spool_dir;
    tempfile::tempfile_in(dir).map_err(|source| RunError::Spool { dir: dir.clone(), source })?;

    let bucket = settings.routed.bucket.clone();
    let sealer = sealing::Sealer::new(clients.s3.clone(), bucket, settings.keys.clone(), load_requests);
    let router = Arc::new(handle::Router::new(settings, clients.s3.clone(), sealer, shutdown.clone()));
    let RouterSettings { workers, objects_in_flight: in_flight, drain_timeout, .. } = settings.router;
    let queue = notifications.name().to_owned();
    tracing::info!(queue, workers, in_flight, "router is ready");
    let consumed = consumer::run(notifications, Pace { in_flight, until_idle, drain_timeout }, router, shutdown).await;
    consumed.map_err(|source| RunError::Consume { queue, source })?;
    tracing::info!("router has stopped");
    Ok(())
}
