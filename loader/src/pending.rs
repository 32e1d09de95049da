//! Requests that wait for their table's next load, and what is loaded next. Pure: time is passed in.
//!
//! One table loads once at a time, and each load is of one lane. Within a lane the most urgent table goes first
//! (`waiting.rs`), between lanes live data, with a share kept for backfill ([`common::lanes`]). Quiet tables that are due
//! at about the same time share a load.
//!
//! Bounds: [`HELD_MAX`] requests and [`HELD_MAX_BYTES`] of message text per lane over all tables; of one table and
//! lane twice `flush_parts` requests and an eighth of the lane's text, and [`waiting::TABLE_MIN`] requests while it has to
//! wait. What is handed out is at most `workers` times 16 MiB of text.

mod table;
mod waiting;

use crate::batch::Held;
use crate::budget::Budget;
use common::event_name::EventName;
use common::lanes::{PerLane, Turns};
use common::load_request::Lane;
use common::settings::TableSettings;
use std::collections::BTreeMap;
use table::{Table, Turn};
use tokio::time::Instant;
use waiting::Waiting;

/// Requests held over all tables, live and backfill: together with what was returned for later they stay below the
/// 120,000 messages that SQS lets a queue have in flight (SQS developer guide, quotas-messages).
const HELD_MAX: PerLane<usize> = PerLane::new(20_000, 5_000);

/// Message text held over all tables. A parsed sketch takes several times its text.
const HELD_MAX_BYTES: PerLane<usize> = PerLane::new(64 << 20, 16 << 20);

/// Most tables in one transaction: six statements for each and four for all are the 40 that one batch of the Data API
/// may have.
pub(crate) const SHARING_MAX: usize = 6;

/// All waiting requests. `D` is a delivery.
#[derive(Debug)]
pub(crate) struct Pending<D> {
    tables: BTreeMap<EventName, Table<D>>,
    held: PerLane<Size>,
    /// Whatever was received until then is due, young or not.
    flushed: PerLane<Option<Instant>>,
    turns: Turns,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    requests: usize,
    text_bytes: usize,
}

/// What goes into one load transaction.
#[derive(Debug)]
pub(crate) struct Load<D> {
    pub(crate) lane: Lane,
    /// One table, or several quiet ones; never none.
    pub(crate) tables: Vec<(EventName, Vec<Held<D>>)>,
}

/// What a load left of one table.
#[derive(Debug)]
pub(crate) struct Left<D> {
    /// To wait again, all together.
    pub(crate) again: Vec<Held<D>>,
    /// Each to be tried alone, from its time on.
    pub(crate) alone: Vec<(Instant, Vec<Held<D>>)>,
    /// Nothing of the table before then: the load had to wait.
    pub(crate) not_before: Option<Instant>,
    /// Whether its next load may be shared with other tables.
    pub(crate) may_share: bool,
}

impl<D> Load<D> {
    /// Names of its tables.
    pub(crate) fn events(&self) -> Vec<EventName> {
        self.tables.iter().map(|(event, _)| event.clone()).collect()
    }
}

impl<D> Left<D> {
    pub(crate) fn nothing() -> Self {
        Self { again: Vec::new(), alone: Vec::new(), not_before: None, may_share: true }
    }
}

impl<D> Pending<D> {
    pub(crate) fn new() -> Self {
        Self { tables: BTreeMap::new(), held: PerLane::default(), flushed: PerLane::default(), turns: Turns::default() }
    }

    /// Whether another receive may be started.
    pub(crate) fn has_room(&self, lane: Lane) -> bool {
        let held = self.held.get(lane);
        held.requests < *HELD_MAX.get(lane) && held.text_bytes < *HELD_MAX_BYTES.get(lane)
    }

    /// Requests that wait.
    pub(crate) fn held(&self) -> usize {
        self.held.get(Lane::Live).requests + self.held.get(Lane::Backfill).requests
    }

    /// Takes a request in, or gives it back where its table holds enough already.
    pub(crate) fn accept(
        &mut self,
        one: Held<D>,
        lane: Lane,
        settings: impl Fn(&EventName) -> TableSettings,
    ) -> Result<(), Held<D>> {
        let (event, size) = (&one.request.event, Size { requests: 1, text_bytes: one.text_bytes });
        if !self.tables.contains_key(event) {
            self.tables.insert(event.clone(), Table::new(settings(event)));
        }
        let Some(table) = self.tables.get_mut(event) else { return Err(one) };
        table.accept(one, lane)?;
        self.held.get_mut(lane).add(size);
        Ok(())
    }

    /// Everything of this lane received until `now` is due.
    pub(crate) fn flush(&mut self, lane: Lane, now: Instant) {
        *self.flushed.get_mut(lane) = Some(now);
    }

    /// The next load, if something is due and the budget has a commit for it. Its requests leave, its tables are
    /// loading. `backfill`: whether it may be a load of backfill.
    pub(crate) fn take_due(&mut self, now: Instant, budget: &mut Budget, backfill: bool) -> Option<Load<D>> {
        if budget.next(now) > now {
            return None;
        }
        let (event, turn) = self.next_turn(now, backfill)?;
        budget.take(now);
        let lane = turn.lane;
        let may_share = self.tables.get(&event).is_some_and(|table| table.may_share(lane));
        let others = if may_share { self.others(&event, lane, now) } else { Vec::new() };
        let mut tables = Vec::with_capacity(1 + others.len());
        for (event, is_contested) in
            std::iter::once((event, turn.is_contested)).chain(others.into_iter().map(|event| (event, false)))
        {
            let Some(table) = self.tables.get_mut(&event) else { continue };
            let taken = table.take(lane, is_contested, now);
            self.held.get_mut(lane).subtract(Size::of(&taken));
            tables.push((event, taken));
        }
        Some(Load { lane, tables })
    }

    /// When there may be something to load, if nothing else happens.
    pub(crate) fn next_due(&self, now: Instant, budget: &Budget, backfill: bool) -> Option<Instant> {
        let due = self.tables.values().filter_map(|table| table.next_due(now, &self.flushed, backfill)).min()?;
        Some(due.max(budget.next(now)))
    }

    /// The table's load is over.
    pub(crate) fn put_back(&mut self, event: &EventName, left: Left<D>) {
        let Some(table) = self.tables.get_mut(event) else { return };
        let mut size = Size::of(&left.again);
        for (_, held) in &left.alone {
            size.add(Size::of(held));
        }
        if let Some(lane) = table.put_back(left) {
            self.held.get_mut(lane).add(size);
        }
    }

    /// Gives up everything of one table.
    pub(crate) fn drain(&mut self, event: &EventName) -> Vec<Held<D>> {
        let Some(table) = self.tables.get_mut(event) else { return Vec::new() };
        give_up(table, &mut self.held, Waiting::drain)
    }

    /// Gives up everything.
    pub(crate) fn drain_all(&mut self) -> Vec<Held<D>> {
        let Self { tables, held, .. } = self;
        tables.values_mut().flat_map(|table| give_up(table, held, Waiting::drain)).collect()
    }

    /// Gives up what was received before then.
    pub(crate) fn drain_received_before(&mut self, limit: Instant) -> Vec<Held<D>> {
        let Self { tables, held, .. } = self;
        let old = |waiting: &mut Waiting<D>| waiting.drain_received_before(limit);
        tables.values_mut().flat_map(|table| give_up(table, held, old)).collect()
    }

    fn next_turn(&mut self, now: Instant, backfill: bool) -> Option<(EventName, Turn)> {
        let mut best: PerLane<Option<(&EventName, Turn)>> = PerLane::default();
        for (event, table) in &self.tables {
            let Some(turn) = table.turn(now, &self.flushed, backfill) else { continue };
            let best = best.get_mut(turn.rank);
            if best.is_none_or(|(_, other)| turn.urgency > other.urgency) {
                *best = Some((event, turn));
            }
        }
        let wants = |lane| best.get(lane).is_some();
        let rank = match (wants(Lane::Live), wants(Lane::Backfill)) {
            (true, true) => self.turns.next(),
            (true, false) => Lane::Live,
            (false, _) => Lane::Backfill,
        };
        let (event, turn) = (*best.get(rank))?;
        let event = event.clone();
        self.turns.went(rank, wants(Lane::Live) && wants(Lane::Backfill));
        Some((event, turn))
    }

    /// Other quiet tables that go along, the most urgent ones.
    fn others(&self, first: &EventName, lane: Lane, now: Instant) -> Vec<EventName> {
        let flushed = *self.flushed.get(lane);
        let quiet = self.tables.iter().filter(|(event, _)| *event != first);
        let quiet = quiet.filter_map(|(event, table)| Some((event, table.goes_along(lane, now, flushed)?)));
        let mut quiet: Vec<(&EventName, f64)> = quiet.collect();
        quiet.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        quiet.into_iter().take(SHARING_MAX - 1).map(|(event, _)| event.clone()).collect()
    }
}

fn give_up<D>(
    table: &mut Table<D>,
    held: &mut PerLane<Size>,
    mut what: impl FnMut(&mut Waiting<D>) -> Vec<Held<D>>,
) -> Vec<Held<D>> {
    let mut all = Vec::new();
    for lane in [Lane::Live, Lane::Backfill] {
        let given_up = what(table.lanes.get_mut(lane));
        held.get_mut(lane).subtract(Size::of(&given_up));
        all.extend(given_up);
    }
    all
}

impl Size {
    fn of<D>(held: &[Held<D>]) -> Self {
        Self { requests: held.len(), text_bytes: held.iter().map(|one| one.text_bytes).sum() }
    }

    fn add(&mut self, other: Size) {
        self.requests += other.requests;
        self.text_bytes += other.text_bytes;
    }

    fn subtract(&mut self, other: Size) {
        self.requests -= other.requests;
        self.text_bytes -= other.text_bytes;
    }
}

#[cfg(test)]
pub(crate) use waiting::{BATCH_MAX, QUIET_REQUESTS};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
