//! The loader's half of the sweep: what is sealed and in no ledger is announced again, and hours that are complete are
//! written down.
//!
//! Goes by the index of days on which seals were made: each seal is read, the ledgers are asked, and what they do not have
//! goes to a queue as the router would send it. Days on which nothing is owed are not looked at again; the oldest
//! other one is the low-water mark. Safe at any time, any number of times, by anybody: loading is what the ledger guards.
//!
//! Memory: [`reading::READS`] seals in hand, [`owed::PAIRS_MAX`] pairs of source and event (exceeded by at most one
//! seal), a page of a listing, and the source ids of one hour.

mod again;
mod announce;
mod days;
mod hours;
mod owed;
mod reading;
mod report;
mod round;
pub(crate) mod schedule;

pub(crate) use again::{Days, look_again};
pub(crate) use announce::of_seal;
pub(crate) use hours::time_of;
pub(crate) use owed::{Ledgers, Loaded};
pub use report::{Owed, Report};

use crate::sql::{Names, sweep as sql};
use crate::warehouse::{Warehouse, WarehouseError, required};
use common::aws_error::AwsError;
use common::claim::{ClaimError, Claimed, Place, Progress};
use common::clients::Clients;
use common::event_name::EventName;
use common::queue::{Queue, QueueError};
use common::seals::SealReadError;
use common::settings::Settings;
use days::Settled;
use reading::Store;
use round::Round;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A sweep that did not come to its end. The next one starts where this one did.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SweepError {
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error(transparent)]
    Warehouse(#[from] WarehouseError),
    #[error(transparent)]
    Seal(#[from] SealReadError),
    #[error(transparent)]
    Claim(#[from] ClaimError),
}

/// How a sweep is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    /// Look only: no claim, nothing announced, nothing written.
    pub(crate) dry_run: bool,
    /// Every open day, not only the window's.
    pub(crate) all_days: bool,
    /// Not if the last one ended less than this ago.
    pub(crate) every: Option<Duration>,
    /// How long a queue that has enough to do is waited for.
    pub(crate) patience: Duration,
}

/// What asking for a sweep came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    Swept(Report),
    /// Ended before its end, because this process ends.
    Interrupted,
    /// Somebody else sweeps; who.
    Held(String),
    /// The last one is not long ago.
    NotDue(Duration),
}

/// Tables that nothing is announced for but one request to try them with: those that are stopped in this process.
pub(crate) type StoppedEvents = Arc<Mutex<BTreeSet<EventName>>>;

/// Sweeps of one deployment.
#[derive(Debug)]
pub(crate) struct Sweeper {
    store: Arc<Store>,
    warehouse: Warehouse,
    names: Names,
    live: Queue,
    /// None where there is no such queue: then everything is announced on the live one.
    backfill: Option<Queue>,
    window: Duration,
    lag: Duration,
    pub(crate) stopped: StoppedEvents,
    /// As last read and written here. Grows but for what is to be looked at again, so an old one costs some reading and no row.
    settled: Option<Settled>,
    /// Whether hours were incomplete when they were last looked at.
    hours_wait: bool,
}

impl Sweeper {
    pub(crate) async fn open(
        settings: &Settings,
        clients: &Clients,
        live: Queue,
        warehouse: Warehouse,
        names: Names,
    ) -> Result<Self, QueueError> {
        let name = &settings.routed.queues.backfill;
        let backfill = match Queue::open(&clients.sqs, name, "routed.backfill_queue").await {
            Ok(queue) => Some(queue),
            Err(QueueError::Missing { .. }) => {
                tracing::info!(
                    queue = name,
                    "there is no backfill queue; what is announced again goes to the live one"
                );
                None
            }
            Err(error) => return Err(error),
        };
        let (bucket, keys) = (settings.routed.bucket.clone(), settings.keys.clone());
        let store = Arc::new(Store { s3: clients.s3.clone(), bucket, keys });
        let (window, lag) = (settings.sweep.window, settings.sweep.lag);
        let stopped = StoppedEvents::default();
        Ok(Self { store, warehouse, names, live, backfill, window, lag, stopped, settled: None, hours_wait: true })
    }

    /// Sweeps, if nobody else does. May be dropped at any point.
    pub(crate) async fn sweep(&mut self, mode: Mode, shutdown: &CancellationToken) -> Result<Outcome, SweepError> {
        let progress = Progress::default();
        if mode.dry_run {
            return Ok(Outcome::Swept(self.sweep_claimed(mode, &progress).await?));
        }
        let key = self.store.keys.sweep_claim();
        let place = Place { s3: self.store.s3.clone(), bucket: self.store.bucket.clone(), key, process: "loader" };
        let mut claim = match place.claim(mode.every).await? {
            Claimed::Ours(claim) => claim,
            Claimed::Held(by) => return Ok(Outcome::Held(by)),
            Claimed::NotDue(wait) => return Ok(Outcome::NotDue(wait)),
        };
        let swept = tokio::select! {
            swept = self.sweep_claimed(mode, &progress) => swept,
            lost = claim.keep(&progress) => return Err(lost.into()),
            () = shutdown.cancelled() => {
                claim.release(false, &progress).await?;
                return Ok(Outcome::Interrupted);
            }
        };
        match swept {
            Ok(report) => {
                claim.release(true, &progress).await?;
                Ok(Outcome::Swept(report))
            }
            Err(error) => {
                if let Err(error) = claim.release(false, &progress).await {
                    tracing::debug!(%error, "could not give up the claim on the sweep");
                }
                Err(error)
            }
        }
    }

    async fn sweep_claimed(&mut self, mode: Mode, progress: &Progress) -> Result<Report, SweepError> {
        let mut settled = match self.settled.take() {
            Some(settled) => settled,
            None => self.read_settled().await?,
        };
        again::take_back(&self.store, &mut settled).await?;
        let swept = Round::new(self, mode, progress).run(&mut settled).await;
        self.settled = Some(settled);
        let (report, hours_wait) = swept?;
        self.hours_wait = hours_wait || mode.dry_run;
        Ok(report)
    }

    async fn read_settled(&self) -> Result<Settled, WarehouseError> {
        let rows = self.warehouse.query("sweep", &sql::settled(&self.names)).await?;
        rows.iter().map(|row| Ok((required(row, 0)?.to_owned(), hours::time_of(row, 1)?))).collect()
    }

    fn is_stopped(&self, event: &EventName) -> bool {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).contains(event)
    }
}
