//! A sweep as a person asks for it.

use super::{Mode, Outcome, Report, SweepError, Sweeper};
use common::clients::Clients;
use common::objects::{BucketError, check_bucket};
use common::queue::{LaneQueues, QueueError};
use common::settings::Settings;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a queue that has enough to do is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a person may want of a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepOptions {
    /// Look only.
    pub dry_run: bool,
    /// Ask anew for what was given up.
    pub again: bool,
}

/// What asking for a sweep came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swept {
    /// It was done.
    Done(Report),
    /// Another router sweeps at this moment: who it is.
    Held(String),
    /// It was interrupted.
    Interrupted,
}

/// What was asked could not be done.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SweepCommandError(#[from] Cause);

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("the sweep did not come to its end; the next one finds everything again")]
    Sweep(#[from] SweepError),
}

/// Looks for raw objects without a seal and asks for them; with `dry_run` it only looks.
pub async fn sweep(
    settings: &Settings,
    clients: &Clients,
    options: SweepOptions,
    shutdown: &CancellationToken,
) -> Result<Swept, SweepCommandError> {
    Ok(sweep_now(settings, clients, options, shutdown).await?)
}

async fn sweep_now(
    settings: &Settings,
    clients: &Clients,
    options: SweepOptions,
    shutdown: &CancellationToken,
) -> Result<Swept, Cause> {
    check_bucket(&clients.s3, &settings.raw.bucket, "raw.bucket").await?;
    check_bucket(&clients.s3, &settings.routed.bucket, "routed.bucket").await?;
    let queues = LaneQueues::open(&clients.sqs, &settings.raw.queues, "raw").await?;
    let SweepOptions { dry_run, again } = options;
    let mode = Mode { dry_run, again, every: None, patience: PATIENCE };
    Ok(match Sweeper::new(settings, clients, queues).sweep(mode, shutdown).await? {
        Outcome::Swept(report) => Swept::Done(report),
        Outcome::Held(by) => Swept::Held(by),
        // Nobody asked whether it is due.
        Outcome::Interrupted | Outcome::NotDue(_) => Swept::Interrupted,
    })
}
