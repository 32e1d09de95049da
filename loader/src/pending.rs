//! Requests that wait for their table's next load, and which table is due. Pure: time is passed in.
//!
//! Bounds: at most [`HELD_MAX`] requests and [`HELD_MAX_BYTES`] of message text over all tables, at most
//! twice `flush_parts` requests of one table. What is handed out is at most `workers` times
//! [`BATCH_MAX_BYTES`] of text.

mod aged;

use crate::batch::Held;
use common::event_name::EventName;
use common::settings::TableSettings;
use std::collections::{BTreeMap, VecDeque};
use tokio::time::Instant;

/// Requests held over all tables.
const HELD_MAX: usize = 20_000;

/// Message text held over all tables. A parsed sketch takes several times its text.
const HELD_MAX_BYTES: usize = 64 << 20;

/// Requests of one load: keeps its guards and ledger rows within one transaction.
const BATCH_MAX: usize = 2_000;

/// Message text of one load: with the settings' `workers`, what is in work is bounded too.
const BATCH_MAX_BYTES: usize = 16 << 20;

/// Requests a table may always hold, however small its `flush_parts`.
const TABLE_MIN: usize = 100;

/// All waiting requests. `D` is a delivery.
#[derive(Debug)]
pub(crate) struct Pending<D> {
    tables: BTreeMap<EventName, Queue<D>>,
    held: usize,
    held_bytes: usize,
    /// Whatever was received until then is due, young or not.
    flushed: Option<Instant>,
}

#[derive(Debug)]
struct Queue<D> {
    settings: TableSettings,
    waiting: VecDeque<Held<D>>,
    /// Requests that failed alone: each is tried alone again.
    suspects: VecDeque<(Instant, Vec<Held<D>>)>,
    /// Innocents get their turn between two suspects.
    innocents_first: bool,
    /// One load per table at a time.
    is_loading: bool,
    /// Nothing before then: the last load had to wait.
    not_before: Option<Instant>,
}

impl<D> Pending<D> {
    pub(crate) fn new() -> Self {
        Self { tables: BTreeMap::new(), held: 0, held_bytes: 0, flushed: None }
    }

    /// Whether another receive may be started.
    pub(crate) fn has_room(&self) -> bool {
        self.held < HELD_MAX && self.held_bytes < HELD_MAX_BYTES
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Takes a request in, or gives it back where its table holds enough already.
    pub(crate) fn accept(
        &mut self,
        one: Held<D>,
        settings: impl Fn(&EventName) -> TableSettings,
    ) -> Result<(), Held<D>> {
        let queue = self.queue(&one.request.event, settings);
        if queue.waiting.len() >= (2 * queue.settings.flush_parts).max(TABLE_MIN) {
            return Err(one);
        }
        let text_bytes = one.text_bytes;
        queue.waiting.push_back(one);
        self.held += 1;
        self.held_bytes += text_bytes;
        Ok(())
    }

    /// Everything received until `now` is due.
    pub(crate) fn flush(&mut self, now: Instant) {
        self.flushed = Some(now);
    }

    /// The next load: of all due tables the one that waits longest. Its requests leave, its table is loading.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(EventName, Vec<Held<D>>)> {
        let flushed = self.flushed;
        let due = self.tables.iter().filter_map(|(event, queue)| Some((queue.due_since(now, flushed)?, event)));
        let event = due.min()?.1.clone();
        let taken = self.tables.get_mut(&event)?.take(now);
        self.held -= taken.len();
        self.held_bytes -= text_bytes(&taken);
        Some((event, taken))
    }

    /// When the next table becomes due, if nothing else happens.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.tables.values().filter_map(Queue::next_due).min()
    }

    /// The table's load is over. What is left waits again: `again` together, each of `alone` from its time on.
    pub(crate) fn put_back(
        &mut self,
        event: &EventName,
        again: Vec<Held<D>>,
        alone: Vec<(Instant, Vec<Held<D>>)>,
        not_before: Option<Instant>,
    ) {
        let Some(queue) = self.tables.get_mut(event) else { return };
        queue.is_loading = false;
        queue.not_before = not_before;
        for held in std::iter::once(&again).chain(alone.iter().map(|(_, held)| held)) {
            self.held += held.len();
            self.held_bytes += text_bytes(held);
        }
        for one in again.into_iter().rev() {
            queue.waiting.push_front(one);
        }
        for one in alone {
            queue.suspects.push_back(one);
            queue.innocents_first = true;
        }
    }

    /// Gives up everything of one table.
    pub(crate) fn drain(&mut self, event: &EventName) -> Vec<Held<D>> {
        let Some(queue) = self.tables.get_mut(event) else { return Vec::new() };
        let all: Vec<_> = queue.waiting.drain(..).chain(queue.suspects.drain(..).flat_map(|(_, held)| held)).collect();
        self.held -= all.len();
        self.held_bytes -= text_bytes(&all);
        all
    }

    /// Gives up everything.
    pub(crate) fn drain_all(&mut self) -> Vec<Held<D>> {
        let events: Vec<EventName> = self.tables.keys().cloned().collect();
        events.iter().flat_map(|event| self.drain(event)).collect()
    }

    fn queue(&mut self, event: &EventName, settings: impl Fn(&EventName) -> TableSettings) -> &mut Queue<D> {
        self.tables.entry(event.clone()).or_insert_with(|| Queue {
            settings: settings(event),
            waiting: VecDeque::new(),
            suspects: VecDeque::new(),
            innocents_first: false,
            is_loading: false,
            not_before: None,
        })
    }
}

impl<D> Queue<D> {
    /// Since when the table could have been loaded, if it is due.
    fn due_since(&self, now: Instant, flushed: Option<Instant>) -> Option<Instant> {
        if self.is_loading || self.not_before.is_some_and(|from| from > now) {
            return None;
        }
        let suspect = self.suspects.front().map(|(from, _)| *from).filter(|from| *from <= now);
        let oldest = self.waiting.front().map(|one| one.received);
        let due = oldest.filter(|oldest| {
            // A suspect hurries the innocents: they load before it is tried again.
            suspect.is_some()
                || flushed.is_some_and(|until| *oldest <= until)
                || now.duration_since(*oldest) >= self.settings.flush_age
                || self.is_full()
        });
        due.into_iter().chain(suspect).min()
    }

    fn is_full(&self) -> bool {
        let parts: usize = self.waiting.iter().map(|one| one.request.part_count()).sum();
        let bytes: u64 = self.waiting.iter().map(|one| one.request.bytes()).sum();
        let text: usize = self.waiting.iter().map(|one| one.text_bytes).sum();
        parts >= self.settings.flush_parts || bytes >= self.settings.flush_bytes || text >= BATCH_MAX_BYTES
    }

    fn next_due(&self) -> Option<Instant> {
        if self.is_loading {
            return None;
        }
        let flush = self.waiting.front().map(|one| one.received + self.settings.flush_age);
        let suspect = self.suspects.front().map(|(from, _)| *from);
        let first = flush.into_iter().chain(suspect).min()?;
        Some(self.not_before.map_or(first, |from| from.max(first)))
    }

    fn take(&mut self, now: Instant) -> Vec<Held<D>> {
        self.is_loading = true;
        let suspect_is_ready = self.suspects.front().is_some_and(|(from, _)| *from <= now);
        if suspect_is_ready && (!self.innocents_first || self.waiting.is_empty()) {
            self.innocents_first = true;
            return self.suspects.pop_front().map(|(_, held)| held).unwrap_or_default();
        }
        self.innocents_first = false;
        let (mut parts, mut bytes, mut text) = (0, 0, 0);
        let fitting = self.waiting.iter().take(BATCH_MAX).take_while(|one| {
            let fits = parts < self.settings.flush_parts && bytes < self.settings.flush_bytes && text < BATCH_MAX_BYTES;
            parts += one.request.part_count();
            bytes += one.request.bytes();
            text += one.text_bytes;
            fits
        });
        let count = fitting.count();
        self.waiting.drain(..count).collect()
    }
}

fn text_bytes<D>(held: &[Held<D>]) -> usize {
    held.iter().map(|one| one.text_bytes).sum()
}

#[cfg(test)]
mod tests;
