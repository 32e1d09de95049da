//! A day of 500 tables in a second: the loader's own batching ([`Pending`], [`Budget`], [`Ticks`]) under a simulated
//! clock, against a simple model of a warehouse. `tests/bench/batching` prints the table of docs/performance.md.
//!
//! What is modelled and not real: arrivals, and how long Redshift takes (`warehouse.rs`). Failures, SQS and S3 are not
//! modelled at all.

mod arrivals;
mod report;
mod warehouse;

use crate::batch::Held;
use crate::budget::Budget;
use crate::pending::{Left, Pending};
use crate::ticks::Ticks;
use arrivals::Arrivals;
use common::event_name::EventName;
use common::load_request::Lane;
use common::settings::TableSettings;
use report::Report;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;
use warehouse::Warehouse;

/// What is played through.
#[derive(Clone, Debug)]
struct Scenario {
    name: &'static str,
    tables: usize,
    requests_per_second: f64,
    /// Requests of backfill that are all there at the beginning.
    backfill: usize,
    length: Duration,
    workers: usize,
    settings: TableSettings,
    load_every: Option<Duration>,
    max_commits_per_minute: usize,
    /// Where not, every request is a replace, which never shares.
    may_share: bool,
}

/// What a table holds too much of comes back after this time (`receive.rs`; there it grows).
const CROWDED_PAUSE: Duration = Duration::from_secs(30);

/// What a request carries through: when it arrived.
type Arrived = Instant;

enum Ends {
    /// The COPYs of a load; its commit comes next.
    Copies,
    /// The commit, and with it the load.
    Load,
}

impl Scenario {
    fn run(&self) -> Report {
        let start = Instant::now();
        let end = start + self.length;
        let mut arrivals = Arrivals::new(self, start);
        let (mut pending, mut budget) = (Pending::<Arrived>::new(), Budget::new(self.max_commits_per_minute));
        let mut ticks = self.load_every.map(|every| Ticks::new(every, start, Duration::ZERO));
        let mut warehouse = Warehouse::default();
        let mut report = Report::new(self, start);
        // Backfill and live: what is receivable, and what was returned because its table holds enough.
        let mut receivable: [VecDeque<Held<Arrived>>; 2] = [arrivals.backfill(self.backfill).into(), VecDeque::new()];
        let mut returned: [VecDeque<Held<Arrived>>; 2] = Default::default();
        let mut ends: BinaryHeap<Reverse<(Instant, usize)>> = BinaryHeap::new();
        let mut loads = Vec::new();
        let (mut in_work, mut backfill_in_work, mut now) = (0, 0, start);
        loop {
            for (at, lane) in [Lane::Backfill, Lane::Live].into_iter().enumerate() {
                let is_back = |one: &mut Held<Arrived>| one.received + CROWDED_PAUSE <= now;
                while let Some(back) = returned[at].pop_front_if(is_back) {
                    receivable[at].push_back(back);
                }
                while pending.has_room(lane)
                    && let Some(mut one) = receivable[at].pop_front()
                {
                    one.received = now;
                    returned[at].extend(pending.accept(one, lane, |_| self.settings.clone()).err());
                }
            }
            if ticks.as_mut().is_some_and(|ticks| ticks.has_come(now)) {
                pending.flush(Lane::Live, now);
                pending.flush(Lane::Backfill, now);
            }
            let may_backfill = |in_work| in_work < (self.workers / 2).max(1);
            while in_work < self.workers
                && let Some(load) = pending.take_due(now, &mut budget, may_backfill(backfill_in_work))
            {
                in_work += 1;
                backfill_in_work += usize::from(load.lane == Lane::Backfill);
                ends.push(Reverse((warehouse.begin(now, &load), loads.len())));
                report.begins(now, &load);
                loads.push(Some((load, Ends::Copies)));
            }
            let wakes_at =
                pending.next_due(now, &budget, may_backfill(backfill_in_work)).filter(|_| in_work < self.workers);
            let load_ends = ends.peek().map(|Reverse((at, _))| *at);
            let arrival = received_at(start, arrivals.next_at());
            let tick = ticks.as_ref().map(Ticks::next);
            let next = [wakes_at, load_ends, Some(arrival), tick].into_iter().flatten().min().expect("an arrival");
            if next >= end {
                let queued: usize = receivable.iter().chain(&returned).map(VecDeque::len).sum();
                report.ends(end, &warehouse, pending.held() + queued);
                return report;
            }
            now = next.max(now);
            while received_at(start, arrivals.next_at()) <= now {
                receivable[1].push_back(arrivals.take());
            }
            while let Some(Reverse((at, load))) = ends.peek().copied()
                && at <= now
            {
                ends.pop();
                match loads[load].take() {
                    Some((running, Ends::Copies)) => {
                        ends.push(Reverse((warehouse.commit(at), load)));
                        loads[load] = Some((running, Ends::Load));
                    }
                    Some((done, Ends::Load)) => {
                        in_work -= 1;
                        backfill_in_work -= usize::from(done.lane == Lane::Backfill);
                        report.commits(at, &done);
                        for event in done.events() {
                            pending.put_back(&event, Left::nothing());
                        }
                    }
                    None => {}
                }
            }
        }
    }

    /// Default settings, on a medium deployment.
    fn default_settings() -> Self {
        Self {
            name: "default settings",
            tables: 500,
            requests_per_second: 10.0,
            backfill: 0,
            length: Duration::from_secs(24 * 3600),
            workers: 4,
            settings: TableSettings {
                flush_age: Duration::from_secs(60),
                flush_bytes: 4 << 30,
                flush_parts: 1_000,
                ..TableSettings::default()
            },
            load_every: None,
            max_commits_per_minute: 30,
            may_share: true,
        }
    }

    /// The rows of docs/performance.md.
    fn all() -> Vec<Self> {
        let default = Self::default_settings();
        let budget = |name, max_commits_per_minute| Self { name, max_commits_per_minute, ..default.clone() };
        let age = |seconds| TableSettings { flush_age: Duration::from_secs(seconds), ..default.settings.clone() };
        let quarter = Duration::from_secs(900);
        vec![
            default.clone(),
            budget("`max_commits_per_minute = 6`", 6),
            budget("`max_commits_per_minute = 15`", 15),
            budget("`max_commits_per_minute = 120`", 120),
            Self { name: "`workers = 8`", workers: 8, ..default.clone() },
            Self { name: "30, nothing shared", may_share: false, ..default.clone() },
            Self { name: "120, nothing shared", may_share: false, max_commits_per_minute: 120, ..default.clone() },
            Self { name: "default, with 200,000 requests of backfill", backfill: 200_000, ..default.clone() },
            Self { name: "`flush_age = \"15m\"`", settings: age(900), ..default.clone() },
            Self { name: "`load_every = \"15m\"`", settings: age(1_800), load_every: Some(quarter), ..default.clone() },
        ]
    }
}

/// A receive brings what came in two seconds: the loop does not turn for each message.
fn received_at(start: Instant, arrived: Instant) -> Instant {
    let steps = (arrived - start).as_secs() / 2 + 1;
    start + Duration::from_secs(2 * steps)
}

fn table_name(table: usize) -> EventName {
    EventName::of_type(&format!("table_{table:03}"))
}

#[test]
#[ignore = "takes minutes: tests/bench/batching runs it and shows what it prints"]
fn the_table_of_the_documentation() {
    println!("{}", Report::HEAD);
    for scenario in Scenario::all() {
        println!("{}", scenario.run());
    }
}

#[test]
fn a_small_day_keeps_its_budget_and_its_freshness() {
    let small = Scenario {
        tables: 60,
        requests_per_second: 2.0,
        length: Duration::from_secs(3_600),
        ..Scenario::default_settings()
    };
    let report = small.run();
    assert!(report.commits_an_hour() <= 30.0 * 60.0);
    assert!(report.freshness(0.99) < Duration::from_secs(90), "{report}");
    assert!(report.tables_a_commit() > 2.0, "quiet tables share: {report}");

    let unshared = Scenario { may_share: false, ..small.clone() }.run();
    assert!(unshared.commits_an_hour() > 1.5 * report.commits_an_hour(), "{unshared}\n{report}");

    let scarce = Scenario { max_commits_per_minute: 2, ..small.clone() }.run();
    assert!(scarce.commits_an_hour() <= 120.0, "{scarce}");
    assert!(scarce.left() < 2_000, "a batch grows as its table waits, so nothing piles up: {scarce}");

    let age = TableSettings { flush_age: Duration::from_secs(1_800), ..small.settings.clone() };
    let together = Scenario { load_every: Some(Duration::from_secs(900)), settings: age, ..small.clone() }.run();
    assert!(
        together.awake() < 0.25 && report.awake() > 0.6,
        "only who loads together lets it sleep: {together}\n{report}"
    );
    assert!(together.freshness(1.0) < Duration::from_secs(900 + 120), "{together}");

    let filled = Scenario { backfill: 20_000, ..small }.run();
    assert!(filled.left() < 1_000, "backfill ends: {filled}");
    assert!(filled.freshness(0.99) < Duration::from_secs(120), "and live data hardly waits for it: {filled}");
}
