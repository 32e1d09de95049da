//! What is still to be listed, and who lists it: folders first, until there is enough to do; then whoever has nothing to
//! do takes half of what somebody else has left.

use super::Order;
use super::choice::{Choice, LOOKS_MAX};
use super::dates::{KeyDate, date_in};
use super::midpoint::between;
use super::pages::{Ask, Page};
use super::range::Range;
use common::source::hex16;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use time::Date;
use tokio::sync::Notify;

/// Folders without a date that a range may show: names of people or machines, of which there is no end. What is left of
/// it is listed as it comes.
const UNDATED_MAX: usize = 1_000;

/// Folders that wait, from which on none is looked for: all are held in memory.
const WAITING_MAX: usize = 10_000;

/// Characters remembered of a range's keys.
const SEEN_MAX: usize = 256;

pub(super) struct Frontier {
    order: Order,
    /// Once there are this many ranges, folders are not looked for any more.
    enough: usize,
    /// Folders of days before it are left aside.
    from: Option<Date>,
    state: Mutex<State>,
    pub(super) changed: Notify,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<Place, Range>,
    active: BTreeMap<u64, Active>,
    next_id: u64,
    has_enough: bool,
    /// Folders looked into for the dates in them.
    looks: usize,
    is_stopped: bool,
}

/// Where a range stands in the order of work.
type Place = (String, Option<KeyDate>, String);

/// A range that somebody lists.
struct Active {
    range: Range,
    /// Characters of its keys.
    seen: BTreeSet<char>,
    /// Whether it is known to go on, beyond what was last given away of it.
    may_split: bool,
    /// Whose part this was, until it has shown something.
    taken_from: Option<u64>,
    /// Whether it is listed for the dates of its folders.
    for_dates: bool,
    /// Folders without a date that it has shown.
    undated: usize,
}

pub(super) enum Next {
    List(u64, Ask),
    /// Others may have something later.
    Wait,
    Done,
}

impl Frontier {
    pub(super) fn new(prefix: &str, order: Order, enough: usize) -> Self {
        let frontier = Self { order, enough, from: None, state: Mutex::default(), changed: Notify::new() };
        frontier.lock().waiting.insert(order.place(prefix), Range::all(prefix.to_owned()));
        frontier
    }

    /// Leaves folders aside that say they are of days before this one.
    pub(super) fn without_folders_before(self, from: Date) -> Self {
        Self { from: Some(from), ..self }
    }

    fn choice(&self, folder: &str) -> Choice {
        self.from.map_or(Choice::Whole, |from| Choice::of(folder, from))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to list now.
    pub(super) fn next(&self) -> Next {
        let mut state = self.lock();
        if state.is_stopped {
            return Next::Done;
        }
        if let Some((_, range)) = state.waiting.pop_first() {
            let has_looks = state.looks < LOOKS_MAX && state.waiting.len() < WAITING_MAX;
            let for_dates = has_looks && self.choice(&range.prefix) == Choice::Within;
            state.looks += usize::from(for_dates);
            let by_folder = for_dates || !state.has_enough;
            return state.begin(range, None, by_folder, for_dates);
        }
        if let Some((victim, range)) = state.split() {
            return state.begin(range, Some(victim), false, false);
        }
        match state.active.is_empty() {
            true => Next::Done,
            false => Next::Wait,
        }
    }

    /// Takes in a page of a range: leaves in it what is the range's. Gives the next one to ask for, if there is any.
    pub(super) fn took(&self, id: u64, page: &mut Page) -> Option<Ask> {
        let mut state = self.lock();
        let has_many = state.waiting.len() >= WAITING_MAX;
        let active = state.active.get_mut(&id)?;
        let goes_on = active.range.advance(page);
        for object in [page.objects.first(), page.objects.last()].into_iter().flatten() {
            let own = object.key.strip_prefix(&active.range.prefix).unwrap_or_default();
            active.seen.extend(own.chars().take(SEEN_MAX.saturating_sub(active.seen.len())));
        }
        active.undated += page.folders.iter().filter(|folder| date_in(folder).is_none()).count();
        active.for_dates &= active.undated < UNDATED_MAX && !has_many;
        active.may_split = goes_on && !active.for_dates;
        let next = goes_on.then(|| active.range.ask(active.for_dates));
        let taken_from = active.taken_from.take().filter(|_| page.objects.is_empty() && !goes_on);
        if !goes_on {
            state.active.remove(&id);
        }
        // What was taken was empty: what is left there may be divided again at once.
        if let Some(victim) = taken_from.and_then(|victim| state.active.get_mut(&victim)) {
            victim.may_split = true;
        }
        for folder in page.folders.drain(..).filter(|folder| self.choice(folder) != Choice::Aside) {
            state.waiting.insert(self.order.place(&folder), Range::all(folder));
        }
        state.has_enough |= state.waiting.len() >= self.enough;
        drop(state);
        self.changed.notify_waiters();
        next
    }

    /// Ends the listing for everybody.
    pub(super) fn stop(&self) {
        self.lock().is_stopped = true;
        self.changed.notify_waiters();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().is_stopped
    }
}

impl State {
    fn begin(&mut self, range: Range, taken_from: Option<u64>, by_folder: bool, for_dates: bool) -> Next {
        let id = self.next_id;
        self.next_id += 1;
        let seen = taken_from.and_then(|victim| self.active.get(&victim)).map(|active| active.seen.clone());
        let ask = range.ask(by_folder);
        let seen = seen.unwrap_or_default();
        self.active.insert(id, Active { range, seen, may_split: false, taken_from, for_dates, undated: 0 });
        Next::List(id, ask)
    }

    /// The second half of what somebody has left. Beyond the page that he is waiting for: what that shows of it is dropped.
    fn split(&mut self) -> Option<(u64, Range)> {
        self.active.iter_mut().find_map(|(id, active)| {
            if !std::mem::take(&mut active.may_split) {
                return None;
            }
            let range = &mut active.range;
            let own = |key: &str| key.strip_prefix(&range.prefix).map(str::to_owned);
            let lo = own(range.position())?;
            let hi = match &range.until {
                Some(until) => Some(own(until)?),
                None => None,
            };
            let middle = between(&lo, hi.as_deref(), &active.seen)?;
            let middle = format!("{}{middle}", range.prefix);
            Some((*id, range.split_off(middle)))
        })
    }
}

impl Order {
    fn place(self, prefix: &str) -> Place {
        let date = date_in(prefix);
        // What a folder does not say stays 0: it comes before what is in it, in any order of time.
        let until = |most: u16, number: u16| if number == 0 { 0 } else { most - number };
        let backwards = |(year, month, day, hour): KeyDate| {
            let small = |number: u8| until(255, number.into()) as u8;
            (until(u16::MAX, year), small(month), small(day), small(hour))
        };
        let mixed = hex16(&[prefix.as_bytes()]);
        match self {
            Self::OldestFirst => (String::new(), date, prefix.to_owned()),
            Self::NewestFirst => (String::new(), date.map(backwards), mixed + prefix),
            Self::Scattered => (mixed, None, prefix.to_owned()),
        }
    }
}
