//! The audit: every record that was read, accounted for. Seals say what exists, ledgers what is loaded, tables what is
//! there; whatever does not agree and is not explained by what is on its way is a difference.
//!
//! Reads seals of a range of source time through the index of hours, and asks ledger and table of an event in one statement, so
//! in one snapshot. What is not plainly loaded is read a second time after a pause, so that a load that commits in
//! between is never taken for a difference. Never reads raw objects. Changes nothing: that is for `repair` and `rebuild`.
//!
//! Memory: the seals of an hour reduced to counts and, beyond that, [`walk::PAIRS_MAX`] pairs of source and event; what the warehouse
//! says of them; and [`KEPT_MAX`] differences.

mod adopt;
mod clear;
mod counts;
pub(crate) mod difference;
mod judge;
mod looked;
mod rebuild;
mod rejected;
mod repair;
mod seals;
mod second;
mod staged;
mod strays;
mod tally;
mod walk;
mod window;

pub use difference::{Difference, Kind};
pub use rebuild::{Rebuilt, rebuild_ledger};
pub use repair::{Repaired, repair};
pub use tally::{Balance, ReadTally, Tally};

use crate::start;
use crate::warehouse::WarehouseError;
use common::aws_error::AwsError;
use common::clients::Clients;
use common::event_name::EventName;
use common::queue::{LaneQueues, QueueError};
use common::replace::ReplaceError;
use common::seals::SealReadError;
use common::settings::Settings;
use common::source::SourceId;
use counts::Tables;
use seals::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use time::{Date, OffsetDateTime};

/// Differences that are kept for a repair; the others are counted, told as they are found, and left to the next one.
const KEPT_MAX: usize = 100_000;

/// SQS counts its messages about a minute late (SQS API, `GetQueueAttributes`): what was sealed in the last two is on its way
/// although the queues may seem empty.
const COUNTED_LATE: Duration = Duration::from_secs(120);

/// What is to be audited.
#[derive(Clone, Debug)]
pub struct Ask {
    /// From this source time on.
    pub from: OffsetDateTime,
    /// Before this source time.
    pub to: OffsetDateTime,
    /// Only this event.
    pub event: Option<EventName>,
}

impl Ask {
    fn wants(&self, event: &EventName) -> bool {
        self.event.as_ref().is_none_or(|only| only == event)
    }

    fn is_of(&self, time: OffsetDateTime) -> bool {
        self.from <= time && time < self.to
    }
}

/// What is told while an audit runs.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// What was read of a day's raw objects.
    Objects(Date, &'a ReadTally),
    /// A table's records of a day.
    Table(Date, &'a EventName, &'a Tally),
    /// A difference.
    Difference(&'a Difference),
}

/// What an audit came to.
#[derive(Clone, Debug, Default)]
pub struct Audited {
    /// All sums.
    pub balance: Balance,
    /// What nothing explains: as much as is kept of it.
    pub differences: Vec<Difference>,
}

impl Audited {
    /// Whether everything is accounted for.
    pub fn is_clean(&self) -> bool {
        self.balance.differences == 0 && self.balance.balances()
    }
}

/// An audit, repair or rebuild that did not come to its end. Asked again it starts anew, and what was done is found done.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Rows do not say where they come from.
    #[error(
        "router.lineage is false: rows do not say which raw object they come from, so nothing can be audited or repaired"
    )]
    NoLineage,
    /// As for every command.
    #[error("the loader cannot start")]
    Start(#[from] start::StartError),
    /// S3 or SQS.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// A seal that must be read.
    #[error(transparent)]
    Seal(#[from] SealReadError),
    /// A seal without which nobody can tell what the rows of its source are.
    #[error(
        "the seal of source {source_id}, which has rows in the table, cannot be used, so its ledger is not made anew \
         ({why}): upgrade the loader, or see the runbook: A seal cannot be used"
    )]
    UnusableSeal {
        /// Whose.
        source_id: SourceId,
        /// What is wrong with it.
        why: String,
    },
    /// The raw queue, which a repair writes to.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The document of the repair.
    #[error(transparent)]
    Replace(#[from] ReplaceError),
    /// What the router's sweep left of an hour.
    #[error("{key} is no list of unsealed objects, or one of a newer release: upgrade")]
    OpenHour {
        /// Where it lies.
        key: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// What was set aside could not be tried again.
    #[error(transparent)]
    Redrive(#[from] crate::UpkeepError),
    /// Redshift.
    #[error(transparent)]
    Warehouse(Box<dyn std::error::Error + Send + Sync>),
}

impl From<WarehouseError> for AuditError {
    fn from(error: WarehouseError) -> Self {
        Self::Warehouse(Box::new(error))
    }
}

/// Audits. `tell` hears of days as they are done, and of differences as they are found.
pub async fn audit(
    settings: &Settings,
    clients: &Clients,
    ask: &Ask,
    tell: &mut (dyn FnMut(Told<'_>) + Send),
) -> Result<Audited, AuditError> {
    let mut audit = Audit::open(settings, clients, ask, tell).await?;
    audit.look_for_lost_ledgers().await?;
    audit.look_for_strays().await?;
    audit.walk().await?;
    audit.tell_strays();
    let mut audited = audit.audited;
    if ask.event.is_none() {
        audited.balance.objects = Some(audit.objects);
    }
    Ok(audited)
}

/// An audit under way.
struct Audit<'a> {
    settings: &'a Settings,
    ask: &'a Ask,
    tell: &'a mut (dyn FnMut(Told<'_>) + Send),
    store: Arc<Store>,
    tables: Tables,
    queues: LaneQueues,
    started_at: OffsetDateTime,
    /// The most that both queues held since it started: each request that is owed by then, and announced, is one of them.
    messages: u64,
    /// What is owed, so far: explained as long as there is a message for each.
    owed: u64,
    /// Tables told of as a whole.
    no_ledger: BTreeSet<EventName>,
    unreadable: BTreeSet<EventName>,
    objects: ReadTally,
    /// Rows without ledger row of sources of the range: told, unless the walk comes by them.
    strays: BTreeMap<SourceId, Vec<Difference>>,
    /// Of days that are not told yet.
    days: BTreeMap<Date, (ReadTally, BTreeMap<EventName, Tally>)>,
    audited: Audited,
}

impl<'a> Audit<'a> {
    async fn open(
        settings: &'a Settings,
        clients: &Clients,
        ask: &'a Ask,
        tell: &'a mut (dyn FnMut(Told<'_>) + Send),
    ) -> Result<Self, AuditError> {
        if !settings.router.lineage {
            return Err(AuditError::NoLineage);
        }
        let (queues, warehouse, names) = start::open(settings, clients).await?;
        let started_at = OffsetDateTime::now_utc();
        // Before any ledger is read: whatever is owed then was in these messages now, unless it was sealed since.
        let messages = total(queues.depth().await?);
        let store = store(settings, clients);
        let tables = Tables::open(&warehouse, &names).await?;
        Ok(Self {
            settings,
            ask,
            tell,
            store,
            tables,
            queues,
            started_at,
            messages,
            owed: 0,
            no_ledger: BTreeSet::new(),
            unreadable: BTreeSet::new(),
            objects: ReadTally::default(),
            strays: BTreeMap::new(),
            days: BTreeMap::new(),
            audited: Audited::default(),
        })
    }

    fn difference(&mut self, difference: Difference) {
        (self.tell)(Told::Difference(&difference));
        self.audited.balance.differences += 1;
        if self.audited.differences.len() < KEPT_MAX {
            self.audited.differences.push(difference);
        }
    }

    fn add(&mut self, at: OffsetDateTime, event: &EventName, tally: Tally) {
        self.audited.balance.tables += tally;
        let tables = &mut self.days.entry(utc_date(at)).or_default().1;
        *tables.entry(event.clone()).or_default() += tally;
    }

    /// Tells of the days before this one, to which nothing is added any more.
    fn tell_days(&mut self, before: Option<Date>) {
        let later = before.map_or_else(BTreeMap::new, |date| self.days.split_off(&date));
        for (date, (read, tables)) in std::mem::replace(&mut self.days, later) {
            if self.ask.event.is_none() {
                (self.tell)(Told::Objects(date, &read));
            }
            for (event, tally) in &tables {
                (self.tell)(Told::Table(date, event, tally));
            }
        }
    }
}

fn store(settings: &Settings, clients: &Clients) -> Arc<Store> {
    let (bucket, keys) = (settings.routed.bucket.clone(), settings.keys.clone());
    Arc::new(Store { s3: clients.s3.clone(), bucket, keys })
}

fn total(depth: common::queue::Depth) -> u64 {
    depth.visible + depth.in_flight + depth.delayed
}

fn utc_date(at: OffsetDateTime) -> Date {
    at.to_offset(time::UtcOffset::UTC).date()
}
