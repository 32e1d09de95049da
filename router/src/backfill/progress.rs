//! How far a backfill is, and what it leaves.

use super::facts::Counted;
use super::plan::Amount;
use crate::known::number;
use common::source::SourceId;
use serde::{Deserialize, Serialize};
use std::collections::{HashSet, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Rates are taken over this long.
const WINDOW: Duration = Duration::from_secs(60);

/// Objects named of those that are left.
const EXAMPLES: usize = 20;

/// How far a backfill is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Progress {
    /// What the plan found to do.
    pub to_route: Amount,
    /// Done of it by now, by whomever.
    pub done: u64,
    /// Of these, seen sealed by this process, with what their seals say.
    pub sealed: Amount,
    /// Records of them.
    pub records: u64,
    /// Records of them that are in quarantine.
    pub quarantined: u64,
    /// Decompressed bytes of them.
    pub decompressed: u64,
    /// Sent or begun, and not sealed yet.
    pub in_work: u64,
    /// Objects a second, over the last minute.
    pub objects_per_second: f64,
    /// Stored bytes a second.
    pub bytes_per_second: f64,
    /// Seconds since the work began.
    pub seconds: f64,
    /// Seconds that are left at this rate, if there is any.
    pub eta_seconds: Option<f64>,
    /// Seconds since anything was sealed or begun.
    pub idle_seconds: f64,
}

/// What is left undone, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Deleted before they were read.
    pub gone: u64,
    /// Overwritten before they were read: the new contents are another object.
    pub superseded: u64,
    /// Other contents of their keys were first (`raw.overwrite = "ignore"`): nothing is missing.
    pub ignored: u64,
    /// Replaced by others since this replace began.
    pub lost_claims: u64,
    /// To be restored first.
    pub archived: u64,
    /// Without a seal, although they were sent and are there.
    pub stuck: u64,
    /// Not begun when the work ended, as far as the plan knew of them.
    #[serde(default)]
    pub not_begun: u64,
    /// Some of them, with the reason.
    pub examples: Vec<String>,
}

impl Left {
    /// Whether nothing is missing.
    pub fn is_nothing(&self) -> bool {
        let Self { gone, superseded, lost_claims, archived, stuck, not_begun, .. } = self;
        gone + superseded + lost_claims + archived + stuck + not_begun == 0
    }

    pub(super) fn name(&mut self, why: &str, key: &str) {
        let example = format!("{why}: {key}");
        // Each walk meets again what the one before has left.
        if self.examples.len() < EXAMPLES && !self.examples.contains(&example) {
            self.examples.push(example);
        }
    }
}

/// Sources remembered, some 32 bytes each. Where more are ignored, the last walks ask for the rest again.
const IGNORED_MAX: usize = 2_000_000;

/// Why an object will not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Gone,
    Superseded,
    Ignored,
}

/// Counts while the work goes on.
pub(super) struct Tracker {
    progress: Progress,
    pub(super) left: Left,
    /// Sources that are left without a seal, as the settings want it. Every walk meets them again.
    ignored: HashSet<u128>,
    began: Instant,
    /// When anything was sealed or begun last, or found sealed.
    moved: Instant,
    /// How much was done when, over the last minute.
    window: VecDeque<(Instant, u64, u64)>,
    /// How long an object takes from its request to its seal, about.
    pub(super) typical: Duration,
}

impl Tracker {
    pub(super) fn new(to_route: Amount) -> Self {
        let now = Instant::now();
        Self {
            progress: Progress { to_route, ..Progress::default() },
            left: Left::default(),
            ignored: HashSet::new(),
            began: now,
            moved: now,
            window: VecDeque::from([(now, 0, 0)]),
            typical: Duration::from_secs(1),
        }
    }

    pub(super) fn sealed(&mut self, bytes: u64, counts: Counted, took: Duration) {
        self.progress.sealed.add(bytes);
        self.progress.done += 1;
        self.progress.records += counts.read;
        self.progress.quarantined += counts.quarantined;
        self.progress.decompressed += counts.bytes;
        self.typical = (self.typical * 15 + took) / 16;
        self.moved = Instant::now();
    }

    /// Somebody else sealed so many of those that were to be routed.
    pub(super) fn by_others(&mut self, objects: u64) {
        self.progress.done += objects;
    }

    /// The work goes on, whatever is sealed of it.
    pub(super) fn moves(&mut self) {
        self.moved = Instant::now();
    }

    /// Another walk begins, and meets again what the one before has left where it is.
    pub(super) fn walks_again(&mut self) {
        (self.left.archived, self.left.lost_claims) = (0, 0);
    }

    pub(super) fn missing(&mut self, source_id: &SourceId, key: &str, missing: Missing) {
        let (count, why) = match missing {
            Missing::Gone => (&mut self.left.gone, "gone"),
            Missing::Superseded => (&mut self.left.superseded, "superseded"),
            Missing::Ignored => (&mut self.left.ignored, "ignored"),
        };
        *count += 1;
        if missing == Missing::Ignored && self.ignored.len() < IGNORED_MAX {
            self.ignored.insert(number(source_id));
        }
        self.left.name(why, key);
        self.progress.done += 1;
    }

    /// Whether this source is known to be left as it is.
    pub(super) fn is_ignored(&self, source_id: &SourceId) -> bool {
        self.ignored.contains(&number(source_id))
    }

    pub(super) fn lost_claim(&mut self, key: &str) {
        self.left.lost_claims += 1;
        self.left.name("replaced by others", key);
    }

    /// How long nothing has been sealed or begun.
    pub(super) fn idle(&self) -> Duration {
        self.moved.elapsed()
    }

    pub(super) fn progress(&mut self, in_work: u64) -> Progress {
        let now = Instant::now();
        let Progress { done, sealed, to_route, .. } = self.progress;
        self.window.push_back((now, done, sealed.bytes));
        while self.window.len() > 2 && self.window.get(1).is_some_and(|(at, ..)| now - *at >= WINDOW) {
            self.window.pop_front();
        }
        let (since, done_then, bytes_then) = self.window.front().copied().unwrap_or((now, done, sealed.bytes));
        let seconds = (now - since).as_secs_f64().max(0.001);
        let rate = done.saturating_sub(done_then) as f64 / seconds;
        let left = to_route.objects.saturating_sub(done) as f64;
        Progress {
            in_work,
            objects_per_second: rate,
            bytes_per_second: sealed.bytes.saturating_sub(bytes_then) as f64 / seconds,
            seconds: self.began.elapsed().as_secs_f64(),
            eta_seconds: (rate > 0.0).then(|| left / rate),
            idle_seconds: self.moved.elapsed().as_secs_f64(),
            ..self.progress.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rate_and_eta_follow_the_last_minute() {
        let mut tracker = Tracker::new(Amount { objects: 1_000, bytes: 10_000 });
        assert_eq!(tracker.progress(0).eta_seconds, None, "nothing is known yet");
        for _ in 0..300 {
            tokio::time::advance(Duration::from_secs(1)).await;
            tracker.sealed(10, Counted { read: 5, quarantined: 1, bytes: 70 }, Duration::from_secs(2));
            tracker.progress(0);
        }
        let progress = tracker.progress(7);
        assert_eq!((progress.done, progress.records, progress.quarantined, progress.in_work), (300, 1_500, 300, 7));
        assert!((progress.objects_per_second - 1.0).abs() < 0.05, "{progress:?}");
        assert!((progress.eta_seconds.expect("a rate") - 700.0).abs() < 40.0, "{progress:?}");
        assert!(tracker.window.len() < 70);
        assert!(tracker.typical > Duration::from_millis(1_900));
    }

    #[tokio::test]
    async fn what_each_walk_meets_again_is_counted_once() {
        let mut tracker = Tracker::new(Amount::default());
        let id = SourceId::new("raw", "k", "e");
        tracker.missing(&id, "k", Missing::Ignored);
        for _ in 0..2 {
            tracker.walks_again();
            tracker.lost_claim("k");
        }
        assert!(tracker.is_ignored(&id) && !tracker.is_ignored(&SourceId::new("raw", "l", "e")));
        assert_eq!((tracker.left.lost_claims, tracker.left.examples.len()), (1, 2));
        tracker.walks_again();
        assert!(tracker.left.is_nothing() && tracker.left.ignored == 1, "ignored contents are as the settings want it");
        tracker.missing(&id, "k", Missing::Gone);
        assert!(!tracker.left.is_nothing());
    }
}
