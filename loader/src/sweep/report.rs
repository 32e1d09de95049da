//! What a sweep found and did, for people, logs and `--json`.

use common::event_name::EventName;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// What a sweep found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether it looked at every day that may owe something, and not only at the window's.
    pub all_days: bool,
    /// The oldest day on which anything is owed.
    pub low_water: Option<String>,
    /// Days looked at.
    pub days: u64,
    /// Seals read.
    pub seals: u64,
    /// Seals that could not be read: their days stay open.
    pub unreadable: u64,
    /// Requests owed, by event; events without any are left out.
    pub events: BTreeMap<EventName, Owed>,
    /// Whether a queue had enough to do, so that not all was announced that could be.
    pub has_more: bool,
    /// Rows added to the table `complete`.
    pub complete_rows: u64,
}

/// Requests of one event that are owed: sealed, and not in its ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Owed {
    /// All of them.
    pub owed: u64,
    /// Announced again by this sweep.
    pub announced: u64,
    /// Set aside: left alone until redriven.
    pub failed: u64,
    /// Left for a later sweep: the table is stopped, the queue has enough to do, or the ledger cannot be read.
    pub left: u64,
}

impl Report {
    /// The sums over all events.
    pub fn total(&self) -> Owed {
        self.events.values().fold(Owed::default(), |sum, one| Owed {
            owed: sum.owed + one.owed,
            announced: sum.announced + one.announced,
            failed: sum.failed + one.failed,
            left: sum.left + one.left,
        })
    }

    pub(super) fn event(&mut self, event: &EventName) -> &mut Owed {
        self.events.entry(event.clone()).or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = if self.all_days { "all open days" } else { "the window's days" };
        writeln!(f, "looked at {} ({days}), read {}", count(self.days, "day"), count(self.seals, "seal"))?;
        if self.unreadable > 0 {
            writeln!(f, "{} could not be read: see the log", count(self.unreadable, "seal"))?;
        }
        if self.events.is_empty() {
            writeln!(f, "nothing is owed")?;
        } else {
            writeln!(f, "{:40} {:>10} {:>10} {:>10} {:>10}", "event", "owed", "announced", "failed", "left")?;
            for (event, Owed { owed, announced, failed, left }) in &self.events {
                writeln!(f, "{:40} {owed:>10} {announced:>10} {failed:>10} {left:>10}", event.as_str())?;
            }
        }
        if self.has_more {
            writeln!(f, "the queue has enough to do: the rest is announced by a later sweep")?;
        }
        if let Some(day) = &self.low_water {
            writeln!(f, "the oldest open day is {day}")?;
        }
        writeln!(f, "{} added to the table complete", count(self.complete_rows, "row"))
    }
}

fn count(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
