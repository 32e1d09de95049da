//! Whatever comes, fails and is given back: nothing is lost or doubled, and nobody starves.

use super::waiting::{BATCH_MAX, TABLE_MAX};
use super::*;
use crate::batch::tests::held;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn settings(_: &EventName) -> TableSettings {
    TableSettings { flush_age: MINUTE, flush_bytes: 2_000, flush_parts: 8, ..TableSettings::default() }
}

#[derive(Clone, Debug)]
enum Step {
    Arrive {
        table: usize,
        backfill: bool,
        replace: bool,
    },
    Pass {
        seconds: u64,
    },
    /// Starts a load if there is one.
    Load {
        backfill: bool,
    },
    /// Ends the n-th load in work, with something left or not.
    End {
        load: usize,
        again: usize,
        alone: usize,
        waits: bool,
        may_share: bool,
    },
    Flush,
    Drain {
        table: usize,
    },
    GiveUpOld {
        seconds: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..5usize, any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(table, backfill, replace)| Step::Arrive { table, backfill, replace }),
        2 => (0..90u64).prop_map(|seconds| Step::Pass { seconds }),
        4 => any::<bool>().prop_map(|backfill| Step::Load { backfill }),
        4 => (0..8usize, 0..4usize, 0..3usize, any::<bool>(), any::<bool>())
            .prop_map(|(load, again, alone, waits, may_share)| Step::End { load, again, alone, waits, may_share }),
        1 => Just(Step::Flush),
        1 => (0..5usize).prop_map(|table| Step::Drain { table }),
        1 => (0..300u64).prop_map(|seconds| Step::GiveUpOld { seconds }),
    ]
}

/// Everybody who has a request has it alone; the model knows who that is.
struct World {
    pending: Pending<u32>,
    budget: Budget,
    now: Instant,
    waiting: BTreeSet<u32>,
    loading: Vec<(EventName, Vec<Held<u32>>)>,
    begun: Vec<Instant>,
    next: u32,
}

impl World {
    fn leave(&mut self, gone: &[Held<u32>]) {
        for one in gone {
            assert!(self.waiting.remove(&one.delivery), "{} is held by nobody else", one.delivery);
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Arrive { table, backfill, replace } => {
                let (source, generation) = (self.next.to_string(), u32::from(replace));
                let mut one = Held { received: self.now, ..held(&source, generation, self.next) };
                one.request.event = EventName::of_type(&format!("t{table}"));
                let lane = if backfill { Lane::Backfill } else { Lane::Live };
                match self.pending.accept(one, lane, settings) {
                    Ok(()) => assert!(self.waiting.insert(self.next)),
                    Err(back) => assert_eq!(back.delivery, self.next),
                }
                self.next += 1;
            }
            Step::Pass { seconds } => self.now += Duration::from_secs(seconds),
            Step::Load { backfill } => {
                let wakes_at = self.pending.next_due(self.now, &self.budget, backfill);
                let load = self.pending.take_due(self.now, &mut self.budget, backfill);
                assert_eq!(
                    load.is_some(),
                    wakes_at.is_some_and(|at| at <= self.now),
                    "woken when there is work, and only then"
                );
                let Some(load) = load else { return };
                assert!(backfill || load.lane == Lane::Live);
                assert!((1..=SHARING_MAX).contains(&load.tables.len()));
                self.begun.push(self.now);
                for (event, held) in load.tables {
                    assert!(!held.is_empty() && held.len() <= BATCH_MAX);
                    assert!(held.iter().all(|one| one.request.event == event));
                    assert!(self.loading.iter().all(|(other, _)| *other != event), "{event} loads once at a time");
                    self.leave(&held);
                    self.loading.push((event, held));
                }
            }
            Step::End { load, again, alone, waits, may_share } => {
                if self.loading.is_empty() {
                    return;
                }
                let (event, mut again_held) = self.loading.remove(load % self.loading.len());
                let alone_held = again_held.split_off(again_held.len().saturating_sub(alone));
                again_held.truncate(again);
                self.waiting.extend(again_held.iter().chain(&alone_held).map(|one| one.delivery));
                let from = self.now + Duration::from_secs(5);
                let alone = alone_held.into_iter().map(|one| (from, vec![one])).collect();
                let not_before = waits.then_some(from);
                self.pending.put_back(&event, Left { again: again_held, alone, not_before, may_share });
            }
            Step::Flush => self.pending.flush(Lane::Live, self.now),
            Step::Drain { table } => {
                let gone = self.pending.drain(&EventName::of_type(&format!("t{table}")));
                self.leave(&gone);
            }
            Step::GiveUpOld { seconds } => {
                let Some(limit) = self.now.checked_sub(Duration::from_secs(seconds)) else { return };
                let gone = self.pending.drain_received_before(limit);
                assert!(gone.iter().all(|one| one.received < limit));
                self.leave(&gone);
            }
        }
        assert_eq!(self.pending.held(), self.waiting.len());
    }
}

proptest! {
    #[test]
    fn nothing_held_is_lost_or_doubled_and_the_budget_is_kept(
        per_minute in 1..20usize,
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let mut world = World {
            pending: Pending::new(),
            budget: Budget::new(per_minute),
            now: Instant::now(),
            waiting: BTreeSet::new(),
            loading: Vec::new(),
            begun: Vec::new(),
            next: 0,
        };
        for step in steps {
            world.take(step);
        }
        for at in &world.begun {
            let minute = world.begun.iter().filter(|other| *other >= at && **other < *at + MINUTE).count();
            prop_assert!(minute <= per_minute);
        }
        let left = world.pending.drain_all();
        world.leave(&left);
        prop_assert!(world.waiting.is_empty(), "never came out: {:?}", world.waiting);
        prop_assert_eq!(world.pending.held.get(Lane::Live), &Size::default());
        prop_assert_eq!(world.pending.held.get(Lane::Backfill), &Size::default());
    }

    /// However hot the others are and however small the budget: of all that waited for `flush_age` since their request
    /// or their last load, none is passed by the same table again before it has waited a third longer.
    #[test]
    fn a_hot_table_passes_a_waiting_one_again_only_when_that_has_waited_a_third_longer(
        arrivals in prop::collection::vec((0..6usize, 1..12usize), 20..200),
        seconds in 1..30u64,
        lane in prop_oneof![Just(Lane::Live), Just(Lane::Backfill)],
    ) {
        let mut pending: Pending<u32> = Pending::new();
        let mut now = Instant::now();
        // Since when each table waits, and how long it had waited when another one last passed it.
        let mut since: BTreeMap<EventName, Instant> = BTreeMap::new();
        let mut passed_by: BTreeMap<EventName, BTreeMap<EventName, Duration>> = BTreeMap::new();
        let mut next = 0;
        for (table, requests) in arrivals {
            now += Duration::from_secs(seconds);
            let event = EventName::of_type(&format!("t{table}"));
            for _ in 0..requests {
                next += 1;
                // A generation above 0: nobody shares, so every load is one table's.
                let mut one = Held { received: now, ..held(&next.to_string(), 1, next) };
                one.request.event = event.clone();
                if pending.accept(one, lane, settings).is_ok() {
                    since.entry(event.clone()).or_insert(now);
                }
            }
            let Some(load) = pending.take_due(now, &mut Budget::new(6_000), true) else { continue };
            let (loaded, _) = load.tables.first().expect("one table");
            for (event, since) in &since {
                if event != loaded && now - *since >= MINUTE {
                    let waited = now - *since;
                    let before = passed_by.entry(event.clone()).or_default().insert(loaded.clone(), waited);
                    let before = before.unwrap_or_default();
                    prop_assert!(3 * waited >= 4 * before, "{loaded} passed {event} at {before:?} and at {waited:?}");
                }
            }
            passed_by.remove(loaded);
            since.remove(loaded);
            pending.put_back(loaded, Left::nothing());
            if pending.tables.get(loaded).is_some_and(|table| table.lanes.get(lane).next_due(&settings(loaded)).is_some()) {
                since.insert(loaded.clone(), now);
            }
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn a_table_never_holds_more_than_its_bound(flush_parts in 1..10_000usize) {
        let mut pending: Pending<u32> = Pending::new();
        let settings = |_: &EventName| TableSettings { flush_age: MINUTE, flush_bytes: 1 << 40, flush_parts, ..TableSettings::default() };
        let start = Instant::now();
        let one = held("a", 0, 1).request;
        let accepted = (0..TABLE_MAX as u32 + 10).filter(|n| {
            let held = Held { request: one.clone(), delivery: *n, received: start, text_bytes: 10 };
            pending.accept(held, Lane::Live, settings).is_ok()
        });
        prop_assert_eq!(accepted.count(), (2 * flush_parts).clamp(100, TABLE_MAX));
    }
}
