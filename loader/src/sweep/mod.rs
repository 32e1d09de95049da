//! The loader's half of the sweep: what is sealed and in no ledger is announced again, and hours that are complete are
//! written down.
//!
//! Goes by the index of days on which seals were made: each seal is read, the ledgers are asked, and what they do not have
//! goes to a queue as the router would send it. Days on which nothing is owed are not looked at again; the oldest
//! other one is the low-water mark. Safe at any time, any number of times, by anybody: loading is what the ledger guards.
//!
//! Memory: [`reading::READS`] seals in hand, [`owed::PAIRS_MAX`] pairs of source and event (exceeded by at most one
//! seal), a page of a listing, and the source ids of one hour.

mod announce;
mod claim;
mod days;
mod hours;
mod lane;
mod owed;
mod reading;
mod report;
pub(crate) mod schedule;

pub(crate) use announce::of_seal;
pub(crate) use claim::ClaimError;
pub(crate) use owed::{Ledgers, Loaded};
pub use report::{Owed, Report};

use crate::sql::{Names, sweep as sql};
use crate::warehouse::{Warehouse, WarehouseError, required};
use announce::{Announcement, announcements};
use claim::{Claimed, Place, Progress};
use common::aws_error::AwsError;
use common::clients::Clients;
use common::event_name::EventName;
use common::load_request::Lane as LaneName;
use common::objects;
use common::queue::{Queue, QueueError};
use common::seals::SealReadError;
use common::settings::Settings;
use days::{Day, Settled};
use hours::{Hours, hour_of};
use lane::Lane;
use owed::{Owing, PAIRS_MAX};
use reading::{READS, Reading, Sealed, Store};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// S3's clock and ours may differ by this much: what a sweep takes for settled ends that much earlier.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5 * 60);

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
    /// As last read and written here. Grows only, so an old one costs some reading and no row.
    settled: Option<Settled>,
    /// Whether hours were incomplete when they were last looked at.
    hours_wait: bool,
}

/// One sweep under way.
struct Sweep<'a> {
    sweeper: &'a Sweeper,
    mode: Mode,
    started_at: OffsetDateTime,
    /// What is younger is on its way.
    until: OffsetDateTime,
    /// Asked for when the first seal is looked at: a sweep that finds nothing new wakes no warehouse.
    ledgers: Option<Ledgers>,
    live: Lane,
    backfill: Option<Lane>,
    /// Stopped tables that got their one request.
    probed: BTreeSet<EventName>,
    /// Hours of seals that are new since hours were last looked at.
    touched: BTreeSet<OffsetDateTime>,
    progress: &'a Progress,
    report: Report,
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
        let place = Place { s3: self.store.s3.clone(), bucket: self.store.bucket.clone(), key };
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
        let swept = Sweep::new(self, mode, progress).run(&mut settled).await;
        self.settled = Some(settled);
        let (report, hours_wait) = swept?;
        self.hours_wait = hours_wait;
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

impl<'a> Sweep<'a> {
    fn new(sweeper: &'a Sweeper, mode: Mode, progress: &'a Progress) -> Self {
        let now = OffsetDateTime::now_utc();
        let lane = |queue: &Queue| Lane::new(queue.clone(), mode.patience);
        Self {
            sweeper,
            mode,
            started_at: now,
            until: now - sweeper.lag,
            ledgers: None,
            live: lane(&sweeper.live),
            backfill: sweeper.backfill.as_ref().map(lane),
            probed: BTreeSet::new(),
            touched: BTreeSet::new(),
            progress,
            report: Report::default(),
        }
    }

    /// The report, and whether hours are left that wait to be complete.
    async fn run(mut self, settled: &mut Settled) -> Result<(Report, bool), SweepError> {
        self.report.all_days = self.mode.all_days || days::is_deep_due(settled, self.started_at);
        let days = if self.report.all_days {
            days::all(&self.sweeper.store, settled, self.started_at).await?
        } else {
            days::of_window(settled, self.started_at, self.sweeper.window)
        };
        let hours_from = settled.get(hours::MARKS).copied();
        let settled_before = self.until - CLOCKS_DIFFER;
        let mut news = Vec::new();
        for day in days {
            self.report.days += 1;
            let (looked_at, is_settled) = self.day(day, hours_from).await?;
            if !is_settled {
                self.report.low_water.get_or_insert_with(|| day.date.to_string());
            } else if looked_at && (!day.is_closed() || day.from.is_none_or(|from| from < settled_before)) {
                news.push((days::prefix(day.date), settled_before));
            }
        }
        self.live.flush().await?;
        if let Some(backfill) = &mut self.backfill {
            backfill.flush().await?;
        }
        let hours_wait = self.hours(settled).await?;
        if self.mode.dry_run {
            return Ok((self.report, hours_wait));
        }
        if self.report.all_days {
            news.push((days::ALL_DAYS.to_owned(), self.started_at));
        }
        if self.ledgers.is_some() {
            news.push((hours::MARKS.to_owned(), settled_before));
        }
        news.retain(|(prefix, at)| settled.get(prefix).is_none_or(|known| known < at));
        // Where the warehouse was not asked anything, what is new can be found out again for nothing.
        let statements =
            if self.ledgers.is_some() { sql::insert_settled(&self.sweeper.names, &news) } else { Vec::new() };
        for statement in statements {
            self.sweeper.warehouse.execute("sweep", &statement).await?;
        }
        settled.extend(news);
        Ok((self.report, hours_wait))
    }

    /// Whether anything of the day was looked at, and whether nothing of it is owed.
    async fn day(&mut self, day: Day, hours_from: Option<OffsetDateTime>) -> Result<(bool, bool), SweepError> {
        let sweeper = self.sweeper;
        let Store { s3, bucket, keys } = &*sweeper.store;
        let mut pages = objects::pages(s3, bucket, &keys.day_prefix(day.date));
        let (mut looked_at, mut is_settled) = (false, true);
        let (mut chunk, mut pairs) = (Vec::new(), 0);
        while let Some(page) = pages.next().await? {
            let mut reading = Reading::new(sweeper.store.clone());
            let mut is_new = BTreeSet::new();
            let due = page
                .iter()
                .filter(|entry| entry.modified < self.until && day.from.is_none_or(|from| entry.modified >= from));
            for entry in due {
                let Some((source_id, generation)) = keys.index_entry(&entry.key) else { continue };
                if hours_from.is_none_or(|from| entry.modified >= from) {
                    is_new.insert(source_id.clone());
                }
                reading.push(source_id, generation);
            }
            while let Some(sealed) = reading.next().await {
                looked_at = true;
                let sealed = match sealed {
                    Ok(sealed) => sealed,
                    Err(SealReadError::Aws(error)) if !error.is_not_found() => return Err(error.into()),
                    Err(error) => {
                        tracing::error!(%error, "a seal cannot be used: what it names cannot be loaded");
                        self.report.unreadable += 1;
                        is_settled = false;
                        continue;
                    }
                };
                self.report.seals += 1;
                self.progress.seals.fetch_add(1, Ordering::Relaxed);
                if is_new.contains(&sealed.source_id) {
                    self.touched.insert(hour_of(sealed.source_time));
                }
                pairs += sealed.events.len();
                chunk.push(sealed);
                if pairs >= PAIRS_MAX {
                    pairs = 0;
                    is_settled &= self.settle(std::mem::take(&mut chunk)).await?;
                }
            }
        }
        is_settled &= self.settle(chunk).await?;
        Ok((looked_at, is_settled))
    }

    /// Announces what of these seals is owed. Tells whether nothing is.
    async fn settle(&mut self, chunk: Vec<Sealed>) -> Result<bool, SweepError> {
        if chunk.is_empty() {
            return Ok(true);
        }
        let ledgers = self.ledgers().await?;
        let owing = ledgers.owing(chunk).await?;
        let is_settled = owing.is_empty();
        let mut tasks = JoinSet::new();
        for mut one in owing {
            for event in &one.failed {
                let count = self.report.event(event);
                count.owed += 1;
                count.failed += 1;
            }
            for event in &one.unknown {
                self.report.event(event).left += 1;
            }
            for (event, _) in &one.owed {
                self.report.event(event).owed += 1;
            }
            self.progress.owed.fetch_add((one.owed.len() + one.failed.len()) as u64, Ordering::Relaxed);
            self.hold_back(&mut one);
            if one.owed.is_empty() || self.mode.dry_run {
                continue;
            }
            if tasks.len() >= READS {
                self.send(tasks.join_next().await).await?;
            }
            let (store, ledgers, now) = (self.sweeper.store.clone(), ledgers.clone(), self.started_at);
            tasks.spawn(async move { announcements(&store, &ledgers, one, now).await });
        }
        while let Some(made) = tasks.join_next().await {
            self.send(Some(made)).await?;
        }
        Ok(is_settled)
    }

    /// Of a stopped table one request is enough to find out whether it still is.
    fn hold_back(&mut self, owing: &mut Owing) {
        let (sweeper, probed, report) = (self.sweeper, &mut self.probed, &mut self.report);
        owing.owed.retain(|(event, _)| {
            let goes = !sweeper.is_stopped(event) || probed.insert(event.clone());
            if !goes {
                report.event(event).left += 1;
            }
            goes
        });
    }

    async fn send(
        &mut self,
        made: Option<Result<Result<Vec<Announcement>, SweepError>, JoinError>>,
    ) -> Result<(), SweepError> {
        let Some(made) = made else { return Ok(()) };
        let announcements = made.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        for Announcement { event, lane, body } in announcements {
            let lane = match (&mut self.backfill, lane) {
                (Some(backfill), LaneName::Backfill) => backfill,
                _ => &mut self.live,
            };
            let count = self.report.event(&event);
            if lane.take(body).await? {
                count.announced += 1;
                self.progress.announced.fetch_add(1, Ordering::Relaxed);
            } else {
                count.left += 1;
                self.report.has_more = true;
            }
        }
        Ok(())
    }

    /// Looks at hours that may have become complete or incomplete. Tells whether some still wait.
    async fn hours(&mut self, settled: &Settled) -> Result<bool, SweepError> {
        let mut hours = hours::newly_marked(&self.sweeper.store, settled).await?;
        hours.append(&mut self.touched);
        if self.mode.dry_run || (hours.is_empty() && !self.sweeper.hours_wait) {
            return Ok(self.sweeper.hours_wait);
        }
        let ledgers = self.ledgers().await?;
        let Sweeper { store, warehouse, names, .. } = self.sweeper;
        let (added, waits) = Hours { store, warehouse, names, ledgers: &ledgers }.check(hours).await?;
        self.report.complete_rows = added;
        Ok(waits)
    }

    async fn ledgers(&mut self) -> Result<Ledgers, WarehouseError> {
        if self.ledgers.is_none() {
            self.ledgers = Some(Ledgers::open(&self.sweeper.warehouse, &self.sweeper.names).await?);
        }
        Ok(self.ledgers.clone().expect("opened just above"))
    }
}
