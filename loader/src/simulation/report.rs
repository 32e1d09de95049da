//! What is measured of a day, as a line of the table in docs/performance.md.

use super::warehouse::Warehouse;
use super::{Arrived, Scenario};
use crate::pending::Load;
use common::load_request::Lane;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// What one waking of a serverless warehouse is taken to cost at least.
const AWAKE_MIN: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Report {
    name: &'static str,
    start: Instant,
    length: Duration,
    commits: usize,
    tables: usize,
    /// From arrival to commit, of live requests.
    freshness: Vec<Duration>,
    /// The latest commit of backfill.
    backfilled: Option<Instant>,
    committing: Duration,
    awake: Duration,
    /// The waking that lasts: from when, and until when by what is known.
    awake_since: Option<(Instant, Instant)>,
    running: usize,
    left: usize,
}

impl Report {
    pub(super) const HEAD: &'static str = "\
| settings | commits an hour | tables a commit | COPYs an hour | freshness p50 | p99 | longest | commit path busy | warehouse awake |
|---|---|---|---|---|---|---|---|---|";

    pub(super) fn new(scenario: &Scenario, start: Instant) -> Self {
        Self {
            name: scenario.name,
            start,
            length: scenario.length,
            commits: 0,
            tables: 0,
            freshness: Vec::new(),
            backfilled: None,
            committing: Duration::ZERO,
            awake: Duration::ZERO,
            awake_since: None,
            running: 0,
            left: 0,
        }
    }

    pub(super) fn begins<D>(&mut self, now: Instant, load: &Load<D>) {
        self.tables += load.tables.len();
        self.running += 1;
        self.awake_since = match self.awake_since {
            Some((since, until)) if self.running > 1 || now <= until => Some((since, until.max(now))),
            other => {
                self.awake += other.map_or(Duration::ZERO, |(since, until)| until - since);
                Some((now, now + AWAKE_MIN))
            }
        };
    }

    pub(super) fn commits(&mut self, now: Instant, load: &Load<Arrived>) {
        self.commits += 1;
        self.running -= 1;
        self.awake_since = self.awake_since.map(|(since, until)| (since, until.max(now)));
        let requests = load.tables.iter().flat_map(|(_, held)| held);
        match load.lane {
            Lane::Live => self.freshness.extend(requests.map(|one| now - one.delivery)),
            Lane::Backfill => self.backfilled = Some(now),
        }
    }

    pub(super) fn ends(&mut self, now: Instant, warehouse: &Warehouse, left: usize) {
        let still = if self.running > 0 { Some(now) } else { None };
        self.awake += self.awake_since.map_or(Duration::ZERO, |(since, until)| still.unwrap_or(until.min(now)) - since);
        self.committing = warehouse.committing;
        self.left = left;
        self.freshness.sort_unstable();
    }

    pub(super) fn commits_an_hour(&self) -> f64 {
        self.commits as f64 / self.hours()
    }

    pub(super) fn tables_a_commit(&self) -> f64 {
        self.tables as f64 / self.commits as f64
    }

    /// The longest of this share of the shortest.
    pub(super) fn freshness(&self, share: f64) -> Duration {
        let last = self.freshness.len().saturating_sub(1);
        self.freshness.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }

    /// The share of time in which a statement of ours runs, each waking a minute at least.
    pub(super) fn awake(&self) -> f64 {
        self.awake.as_secs_f64() / self.length.as_secs_f64()
    }

    /// Requests without a load at the end.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    fn hours(&self) -> f64 {
        self.length.as_secs_f64() / 3600.0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |share| self.freshness(share).as_secs_f64();
        write!(
            f,
            "| {} | {:.0} | {:.1} | {:.0} | {:.0} s | {:.0} s | {:.0} s | {:.0} % | {:.0} % |",
            self.name,
            self.commits_an_hour(),
            self.tables_a_commit(),
            self.tables as f64 / self.hours(),
            seconds(0.5),
            seconds(0.99),
            seconds(1.0),
            100.0 * self.committing.as_secs_f64() / self.length.as_secs_f64(),
            100.0 * self.awake(),
        )?;
        match self.backfilled {
            Some(at) => write!(f, " backfilled after {:.1} h", (at - self.start).as_secs_f64() / 3600.0),
            None => Ok(()),
        }
    }
}
