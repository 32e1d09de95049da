//! One table: what waits in its two lanes, and which of them loads next. Pure.

use super::waiting::Waiting;
use super::{HELD_MAX_BYTES, Left};
use crate::batch::Held;
use common::lanes::{PerLane, Turns};
use common::load_request::Lane;
use common::settings::TableSettings;
use tokio::time::Instant;

/// One table holds at most this part of its lane's message text: so many may wait for something at once, and the others
/// still have room.
const TEXT_SHARE: usize = 8;

#[derive(Debug)]
pub(super) struct Table<D> {
    settings: TableSettings,
    pub(super) lanes: PerLane<Waiting<D>>,
    turns: Turns,
    /// One load per table at a time.
    loading: Option<Lane>,
    /// Nothing before then: the last load had to wait.
    not_before: Option<Instant>,
    /// Until it fails in a shared transaction, and again after it loaded alone.
    may_share: bool,
}

/// What a table would load now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) lane: Lane,
    /// Live wherever live data waits, also where it is the table's turn to load backfill.
    pub(super) rank: Lane,
    /// Whether both of its lanes are due.
    pub(super) is_contested: bool,
    pub(super) urgency: f64,
}

impl<D> Table<D> {
    pub(super) fn new(settings: TableSettings) -> Self {
        let waiting = |lane| Waiting::new(HELD_MAX_BYTES.get(lane) / TEXT_SHARE);
        Self {
            settings,
            lanes: PerLane::new(waiting(Lane::Live), waiting(Lane::Backfill)),
            turns: Turns::default(),
            loading: None,
            not_before: None,
            may_share: true,
        }
    }

    pub(super) fn accept(&mut self, one: Held<D>, lane: Lane) -> Result<(), Held<D>> {
        let must_wait = self.not_before.is_some_and(|from| from > one.received);
        let waiting = self.lanes.get_mut(lane);
        if waiting.is_crowded(&self.settings) || (must_wait && waiting.has_enough_to_wait_with()) {
            return Err(one);
        }
        waiting.push(one);
        Ok(())
    }

    /// What it would load now, if it is due.
    pub(super) fn turn(&self, now: Instant, flushed: &PerLane<Option<Instant>>, backfill: bool) -> Option<Turn> {
        if self.is_held_up(now) {
            return None;
        }
        let is_due = |lane| self.lanes.get(lane).is_due(now, *flushed.get(lane), &self.settings);
        let (live, backfill) = (is_due(Lane::Live), backfill && is_due(Lane::Backfill));
        let (lane, rank) = match (live, backfill) {
            (true, true) => (self.turns.next(), Lane::Live),
            (true, false) => (Lane::Live, Lane::Live),
            (false, true) => (Lane::Backfill, Lane::Backfill),
            (false, false) => return None,
        };
        let urgency = self.lanes.get(rank).urgency(now, &self.settings);
        Some(Turn { lane, rank, is_contested: live && backfill, urgency })
    }

    /// How urgently it would go along with other quiet tables, if it may.
    pub(super) fn goes_along(&self, lane: Lane, now: Instant, flushed: Option<Instant>) -> Option<f64> {
        let waiting = self.lanes.get(lane);
        let may = !self.is_held_up(now)
            && self.may_share(lane)
            && (waiting.may_go_along(now, &self.settings) || waiting.is_due(now, flushed, &self.settings));
        may.then(|| waiting.urgency(now, &self.settings))
    }

    pub(super) fn may_share(&self, lane: Lane) -> bool {
        self.may_share && self.lanes.get(lane).is_quiet()
    }

    /// When it next becomes due; now, if it is.
    pub(super) fn next_due(&self, now: Instant, flushed: &PerLane<Option<Instant>>, backfill: bool) -> Option<Instant> {
        if self.loading.is_some() {
            return None;
        }
        let next_due = |lane| {
            let waiting = self.lanes.get(lane);
            if waiting.is_due(now, *flushed.get(lane), &self.settings) {
                return Some(now);
            }
            waiting.next_due(&self.settings)
        };
        let first = next_due(Lane::Live).into_iter().chain(next_due(Lane::Backfill).filter(|_| backfill)).min()?;
        Some(self.not_before.map_or(first, |from| from.max(first)))
    }

    /// Its next batch of this lane, which leaves.
    pub(super) fn take(&mut self, lane: Lane, contested: bool, now: Instant) -> Vec<Held<D>> {
        self.loading = Some(lane);
        self.turns.went(lane, contested);
        self.lanes.get_mut(lane).take(now, &self.settings)
    }

    /// The load is over; tells which lane it was of.
    pub(super) fn put_back(&mut self, left: Left<D>) -> Option<Lane> {
        let lane = self.loading.take()?;
        self.not_before = left.not_before;
        self.may_share = left.may_share;
        self.lanes.get_mut(lane).put_back(left.again, left.alone);
        Some(lane)
    }

    fn is_held_up(&self, now: Instant) -> bool {
        self.loading.is_some() || self.not_before.is_some_and(|from| from > now)
    }
}
