//! What waits of one table in one lane: when it is due, how urgent it is, what goes into its next batch. Pure.

use crate::batch::Held;
use common::settings::TableSettings;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Requests of one load: keeps its guards, deletes and ledger rows within one transaction.
pub(crate) const BATCH_MAX: usize = 2_000;

/// Message text of one load: with the settings' `workers`, what is in work is bounded too.
pub(super) const BATCH_MAX_BYTES: usize = 16 << 20;

/// Requests that may always be held, however small `flush_parts` is, and those that never are more.
pub(super) const TABLE_MIN: usize = 100;
pub(super) const TABLE_MAX: usize = 5_000;

/// The most that a quiet table brings into a transaction that it shares: one guard and one ledger statement each, and
/// COPYs short enough that nobody minds waiting for the others'.
pub(crate) const QUIET_REQUESTS: usize = 500;
const QUIET_PARTS: usize = 500;
const QUIET_BYTES: u64 = 256 << 20;
const QUIET_TEXT: usize = 2 << 20;

/// How much more the wait of a full batch counts than that of hardly anything.
const FULL_WEIGHT: f64 = 4.0;

/// Below this `flush_age` all tables are as urgent as one another.
const FLUSH_AGE_MIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Waiting<D> {
    /// Message text that makes it full, and that it holds no more of.
    text_max: usize,
    requests: VecDeque<Held<D>>,
    size: Size,
    /// Requests that failed alone: each is tried alone again.
    suspects: VecDeque<(Instant, Vec<Held<D>>)>,
    /// Innocents get their turn between two suspects.
    innocents_first: bool,
    /// When something of this was handed out last.
    last_turn: Option<Instant>,
}

/// Sums over requests.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    parts: usize,
    bytes: u64,
    text: usize,
    /// Requests of a generation above 0.
    replaces: usize,
}

impl Size {
    fn of<D>(one: &Held<D>) -> Self {
        let Held { request, text_bytes, .. } = one;
        let replaces = usize::from(request.generation > 0);
        Self { parts: request.part_count(), bytes: request.bytes(), text: *text_bytes, replaces }
    }

    fn add(&mut self, other: Size) {
        self.parts += other.parts;
        self.bytes += other.bytes;
        self.text += other.text;
        self.replaces += other.replaces;
    }

    fn subtract(&mut self, other: Size) {
        self.parts -= other.parts;
        self.bytes -= other.bytes;
        self.text -= other.text;
        self.replaces -= other.replaces;
    }
}

impl<D> Waiting<D> {
    pub(super) fn new(text_max: usize) -> Self {
        Self {
            text_max,
            requests: VecDeque::new(),
            size: Size::default(),
            suspects: VecDeque::new(),
            innocents_first: false,
            last_turn: None,
        }
    }

    pub(super) fn push(&mut self, one: Held<D>) {
        self.size.add(Size::of(&one));
        self.requests.push_back(one);
    }

    /// Whether further requests had better wait in their queue.
    pub(super) fn is_crowded(&self, settings: &TableSettings) -> bool {
        let most = settings.flush_parts.saturating_mul(2).clamp(TABLE_MIN, TABLE_MAX);
        self.requests.len() >= most || self.size.text >= self.text_max
    }

    /// Whether it holds enough of a table that cannot load now: others' requests need the room.
    pub(super) fn has_enough_to_wait_with(&self) -> bool {
        self.requests.len() >= TABLE_MIN
    }

    pub(super) fn is_due(&self, now: Instant, flushed: Option<Instant>, settings: &TableSettings) -> bool {
        let Some(oldest) = self.requests.front().map(|one| one.received) else { return self.suspect_is_ready(now) };
        // A suspect hurries the innocents: they load before it is tried again.
        self.suspect_is_ready(now)
            || flushed.is_some_and(|until| oldest <= until)
            || now.duration_since(oldest) >= settings.flush_age
            || self.is_full(settings)
    }

    /// When it becomes due if nothing else happens.
    pub(super) fn next_due(&self, settings: &TableSettings) -> Option<Instant> {
        let flush = self.requests.front().map(|one| one.received + settings.flush_age);
        let suspect = self.suspects.front().map(|(from, _)| *from);
        flush.into_iter().chain(suspect).min()
    }

    /// What goes first of all that is due: the longest wait, in units of `flush_age`, where a full batch's wait counts
    /// up to [`FULL_WEIGHT`] times. The wait begins anew with each turn, so a hot table has more turns than a quiet
    /// one, and passes it again only when that has waited a third longer.
    pub(super) fn urgency(&self, now: Instant, settings: &TableSettings) -> f64 {
        let waited = |since: Instant| {
            let since = self.last_turn.map_or(since, |turn| turn.max(since));
            now.duration_since(since).as_secs_f64() / settings.flush_age.max(FLUSH_AGE_MIN).as_secs_f64()
        };
        let weight = 1.0 + (FULL_WEIGHT - 1.0) * self.fullness(settings);
        let requests = self.requests.front().map(|one| weight * waited(one.received));
        let suspect = self.suspects.front().filter(|(from, _)| *from <= now).map(|(from, _)| waited(*from));
        requests.unwrap_or(0.0).max(suspect.unwrap_or(0.0))
    }

    fn fullness(&self, settings: &TableSettings) -> f64 {
        let parts = self.size.parts as f64 / settings.flush_parts as f64;
        let bytes = self.size.bytes as f64 / settings.flush_bytes as f64;
        let text = self.size.text as f64 / self.text_max as f64;
        parts.max(bytes).max(text).min(1.0)
    }

    fn is_full(&self, settings: &TableSettings) -> bool {
        self.size.parts >= settings.flush_parts
            || self.size.bytes >= settings.flush_bytes
            || self.size.text >= self.text_max
    }

    /// Whether all that waits is little enough to share a transaction with other tables.
    pub(super) fn is_quiet(&self) -> bool {
        let Size { parts, bytes, text, replaces } = self.size;
        let is_little = self.requests.len() <= QUIET_REQUESTS
            && parts <= QUIET_PARTS
            && bytes <= QUIET_BYTES
            && text <= QUIET_TEXT
            && replaces == 0;
        is_little && !self.requests.is_empty() && self.suspects.is_empty()
    }

    /// Whether it would be due soon anyway: going along with others spares it a commit of its own.
    pub(super) fn may_go_along(&self, now: Instant, settings: &TableSettings) -> bool {
        self.requests.front().is_some_and(|one| now.duration_since(one.received) >= settings.flush_age / 2)
    }

    /// The next batch, which leaves.
    pub(super) fn take(&mut self, now: Instant, settings: &TableSettings) -> Vec<Held<D>> {
        self.last_turn = Some(now);
        if self.suspect_is_ready(now) && (!self.innocents_first || self.requests.is_empty()) {
            self.innocents_first = true;
            return self.suspects.pop_front().map(|(_, held)| held).unwrap_or_default();
        }
        self.innocents_first = false;
        let mut batch = Size::default();
        let fitting = self.requests.iter().take(BATCH_MAX).take_while(|one| {
            let size = Size::of(one);
            let fits = batch.parts < settings.flush_parts
                && batch.bytes < settings.flush_bytes
                && batch.text < BATCH_MAX_BYTES;
            batch.add(size);
            fits
        });
        let count = fitting.count();
        let taken: Vec<Held<D>> = self.requests.drain(..count).collect();
        for one in &taken {
            self.size.subtract(Size::of(one));
        }
        taken
    }

    /// Takes back what was not loaded: `again` together, each of `alone` from its time on.
    pub(super) fn put_back(&mut self, again: Vec<Held<D>>, alone: Vec<(Instant, Vec<Held<D>>)>) {
        for one in again.into_iter().rev() {
            self.size.add(Size::of(&one));
            self.requests.push_front(one);
        }
        for one in alone {
            self.suspects.push_back(one);
            self.innocents_first = true;
        }
    }

    /// Gives up what was received before then, suspects included.
    pub(super) fn drain_received_before(&mut self, limit: Instant) -> Vec<Held<D>> {
        let is_old = |one: &Held<D>| one.received < limit;
        let mut old = Vec::new();
        if self.requests.iter().any(is_old) {
            let (gone, kept): (Vec<_>, Vec<_>) = self.requests.drain(..).partition(is_old);
            for one in &gone {
                self.size.subtract(Size::of(one));
            }
            self.requests = kept.into();
            old.extend(gone);
        }
        if self.suspects.iter().any(|(_, held)| held.iter().any(is_old)) {
            let (gone, kept): (Vec<_>, Vec<_>) = self.suspects.drain(..).partition(|(_, held)| held.iter().any(is_old));
            self.suspects = kept.into();
            old.extend(gone.into_iter().flat_map(|(_, held)| held));
        }
        old
    }

    /// Gives up everything.
    pub(super) fn drain(&mut self) -> Vec<Held<D>> {
        self.size = Size::default();
        self.requests.drain(..).chain(self.suspects.drain(..).flat_map(|(_, held)| held)).collect()
    }

    fn suspect_is_ready(&self, now: Instant) -> bool {
        self.suspects.front().is_some_and(|(from, _)| *from <= now)
    }
}
