use super::waiting::{BATCH_MAX_BYTES, TABLE_MIN};
use super::*;
use crate::batch::tests::held;
use common::load_request::{PartsSource, SealedParts};
use std::time::Duration;

fn settings(_: &EventName) -> TableSettings {
    TableSettings { flush_age: Duration::from_secs(60), flush_bytes: 1_000, flush_parts: 5, ..TableSettings::default() }
}

fn at(source: &str, received: Instant) -> Held<u32> {
    Held { received, ..held(source, 0, 0) }
}

fn of(event: &str, source: &str, received: Instant) -> Held<u32> {
    let mut one = at(source, received);
    one.request.event = EventName::of_type(event);
    one
}

fn pending(held: Vec<Held<u32>>) -> Pending<u32> {
    let mut pending = Pending::new();
    for one in held {
        pending.accept(one, Lane::Live, settings).expect("room");
    }
    pending
}

impl Pending<u32> {
    /// The next load, with a budget for all that a test can do.
    fn take(&mut self, now: Instant) -> Option<Load<u32>> {
        self.take_due(now, &mut Budget::new(6_000), true)
    }

    /// The next load, where it is of one table.
    fn take_one(&mut self, now: Instant) -> Option<(EventName, Vec<Held<u32>>)> {
        let mut load = self.take(now)?;
        assert_eq!(load.tables.len(), 1, "{load:?}");
        load.tables.pop()
    }
}

fn taken(pending: &mut Pending<u32>, now: Instant) -> usize {
    pending.take_one(now).map_or(0, |(_, held)| held.len())
}

/// A table whose loads are shared with nobody.
fn alone() -> Left<u32> {
    Left { may_share: false, ..Left::nothing() }
}

/// Waits for its table alone: a request of a later generation.
fn unshared(event: &str, source: &str, received: Instant) -> Held<u32> {
    let mut one = of(event, source, received);
    one.request.generation = 1;
    one
}

fn events(load: &Load<u32>) -> Vec<&str> {
    load.tables.iter().map(|(event, _)| event.as_str()).collect()
}

#[test]
fn a_table_is_due_when_its_oldest_request_is_old_enough() {
    let start = Instant::now();
    let mut pending = pending(vec![at("a", start), at("b", start + Duration::from_secs(50))]);
    let next_due = pending.next_due(start, &Budget::new(1), true);
    assert_eq!(next_due, Some(start + Duration::from_secs(60)));
    assert_eq!(taken(&mut pending, start + Duration::from_secs(59)), 0);
    assert_eq!(taken(&mut pending, start + Duration::from_secs(60)), 2, "younger ones go along");
    assert_eq!(pending.held(), 0);
}

#[test]
fn enough_parts_or_bytes_make_a_table_due_at_once() {
    let start = Instant::now();
    let mut parts = pending((0..7).map(|n| at(&n.to_string(), start)).collect());
    assert_eq!(taken(&mut parts, start), 5, "and no more than enough are taken");
    let mut large = at("large", start);
    let sealed = |count, bytes| PartsSource::Seal(SealedParts { seal: "seals/a".into(), count, records: 9, bytes });
    large.request.parts = sealed(1, 1_000);
    assert_eq!(taken(&mut pending(vec![large, at("b", start)]), start), 1);
    let mut many = at("many", start);
    many.request.parts = sealed(3_000, 10);
    assert_eq!(taken(&mut pending(vec![many, at("b", start)]), start), 1, "also where the message only counts them");
}

#[test]
fn an_empty_queue_flushes_what_is_here_and_not_what_comes_later() {
    let start = Instant::now();
    let mut pending = pending(vec![at("a", start)]);
    pending.flush(Lane::Live, start);
    assert_eq!(taken(&mut pending, start), 1);
    pending.put_back(&EventName::of_type("x"), Left::nothing());
    pending.accept(at("b", start + Duration::from_secs(1)), Lane::Live, settings).expect("room");
    assert_eq!(taken(&mut pending, start + Duration::from_secs(2)), 0);
}

#[test]
fn one_table_loads_once_at_a_time_and_the_longest_wait_goes_first() {
    let start = Instant::now();
    let later = start + Duration::from_secs(1);
    let mut pending = pending(vec![unshared("a", "1", later), unshared("b", "2", start)]);
    pending.flush(Lane::Live, later);
    assert_eq!(pending.take_one(later).unwrap().0.as_str(), "b");
    pending.accept(unshared("b", "3", start), Lane::Live, settings).expect("room");
    assert_eq!(pending.take_one(later).unwrap().0.as_str(), "a", "b is loading");
    assert!(pending.take(later).is_none());
    pending.put_back(&EventName::of_type("b"), Left::nothing());
    assert_eq!(pending.take_one(later).unwrap().0.as_str(), "b");
}

#[test]
fn what_has_to_wait_goes_back_to_the_front_and_waits() {
    let (start, event) = (Instant::now(), EventName::of_type("x"));
    let mut pending = pending(vec![at("a", start), at("b", start)]);
    pending.flush(Lane::Live, start);
    let (_, held) = pending.take_one(start).unwrap();
    let from = start + Duration::from_secs(4);
    pending.put_back(&event, Left { again: held, not_before: Some(from), ..Left::nothing() });
    assert_eq!(taken(&mut pending, start), 0);
    assert_eq!(pending.held(), 2, "they are still held");
    assert_eq!(taken(&mut pending, from), 2);
}

#[test]
fn suspects_are_tried_alone_after_the_innocents_and_never_starve() {
    let (start, event) = (Instant::now(), EventName::of_type("x"));
    let mut pending = pending(vec![at("bad", start)]);
    pending.flush(Lane::Live, start);
    let (_, bad) = pending.take_one(start).unwrap();
    let from = start + Duration::from_secs(5);
    pending.put_back(&event, Left { alone: vec![(from, bad)], ..Left::nothing() });
    for name in ["a", "b"] {
        pending.accept(at(name, from), Lane::Live, settings).expect("room");
    }
    assert_eq!(taken(&mut pending, from), 2, "the innocents, young as they are");
    pending.accept(at("c", from), Lane::Live, settings).expect("room");
    pending.put_back(&event, Left::nothing());
    assert_eq!(taken(&mut pending, from), 1, "then the suspect, although there are innocents again");
    assert_eq!(pending.held(), 1);
}

#[test]
fn a_table_that_holds_enough_gives_further_requests_back() {
    let start = Instant::now();
    let mut pending = pending((0..TABLE_MIN).map(|n| at(&n.to_string(), start)).collect());
    assert!(pending.accept(at("more", start), Lane::Live, settings).is_err());
    assert!(pending.accept(of("other", "1", start), Lane::Live, settings).is_ok(), "other tables are not concerned");
    assert_eq!(pending.drain(&EventName::of_type("x")).len(), TABLE_MIN);
    assert!(pending.accept(at("more", start), Lane::Live, settings).is_ok());
    assert_eq!(pending.drain_all().len(), 2);
    assert_eq!(*pending.held.get(Lane::Live), Size::default());
}

#[test]
fn too_much_text_stops_receiving_until_it_is_handed_out() {
    let (start, most) = (Instant::now(), *HELD_MAX_BYTES.get(Lane::Live));
    let mut pending = pending(vec![]);
    pending.accept(Held { text_bytes: most, ..at("huge", start) }, Lane::Live, settings).expect("room");
    assert!(pending.accept(at("other", start), Lane::Live, settings).is_err(), "its table holds enough for a load");
    assert!(!pending.has_room(Lane::Live) && pending.has_room(Lane::Backfill));
    let (event, held) = pending.take_one(start).expect("due at once");
    assert_eq!(held.len(), 1);
    assert!(pending.has_room(Lane::Live));
    pending.put_back(&event, Left { again: held, ..Left::nothing() });
    assert!(!pending.has_room(Lane::Live), "what comes back counts as before");
    let (_, held) = pending.take_one(start).expect("still due");
    pending.put_back(&event, Left { alone: vec![(start, held)], ..Left::nothing() });
    assert!(!pending.has_room(Lane::Live), "alone or not");
}

#[test]
fn a_batch_takes_no_more_text_than_its_bound() {
    let start = Instant::now();
    let mut pending = pending(vec![]);
    let one = |source| Held { text_bytes: BATCH_MAX_BYTES / 2 - 1, ..at(source, start) };
    for source in ["a", "b"] {
        pending.accept(one(source), Lane::Live, settings).expect("room");
    }
    let (event, again) = pending.take_one(start).expect("full");
    for source in ["c", "d"] {
        pending.accept(one(source), Lane::Live, settings).expect("room");
    }
    pending.put_back(&event, Left { again, ..Left::nothing() });
    assert_eq!(taken(&mut pending, start), 3, "of four that wait together: over the bound by one at most");
}

#[test]
fn quiet_tables_share_a_load_also_those_that_would_be_due_soon() {
    let start = Instant::now();
    let (due, soon, young) = (start, start + Duration::from_secs(29), start + Duration::from_secs(31));
    let mut pending = pending(vec![
        of("due", "1", due),
        of("soon", "2", soon),
        of("young", "3", young),
        unshared("replace", "4", due),
    ]);
    let large = PartsSource::Seal(SealedParts { seal: "seals/a".into(), count: 4, records: 9, bytes: 257 << 20 });
    let mut one = of("large", "5", due);
    one.request.parts = large;
    let roomy = |_: &EventName| TableSettings { flush_bytes: 1 << 30, ..settings(&EventName::of_type("x")) };
    pending.accept(one, Lane::Live, roomy).expect("room");
    let now = start + Duration::from_secs(60);
    let mut loads: Vec<Vec<String>> = Vec::new();
    while let Some(load) = pending.take(now) {
        loads.push(events(&load).into_iter().map(str::to_owned).collect());
    }
    loads.sort();
    assert_eq!(loads, [vec!["due".to_owned(), "soon".into()], vec!["large".into()], vec!["replace".into()]]);
    assert_eq!(pending.held(), 1, "what is young stays");
}

#[test]
fn six_tables_share_at_most_and_one_that_failed_is_tried_alone_before_it_shares_again() {
    let start = Instant::now();
    let names: Vec<String> = (0..8).map(|n| format!("t{n}")).collect();
    let mut pending = pending(names.iter().map(|name| of(name, name, start)).collect());
    pending.flush(Lane::Live, start);
    let mut load = pending.take(start).expect("due");
    assert_eq!(events(&load), ["t0", "t1", "t2", "t3", "t4", "t5"]);
    assert_eq!(events(&pending.take(start).expect("due")), ["t6", "t7"]);
    for (event, held) in load.tables.drain(..) {
        pending.put_back(&event, Left { again: held, ..alone() });
    }
    for name in &names[..6] {
        assert_eq!(pending.take_one(start).expect("alone").0.as_str(), name);
    }
    for name in ["t0", "t1"] {
        pending.put_back(&EventName::of_type(name), Left::nothing());
        pending.accept(of(name, "more", start), Lane::Live, settings).expect("room");
    }
    assert_eq!(events(&pending.take(start).expect("due")), ["t0", "t1"]);
}

#[test]
fn nothing_is_taken_that_the_budget_has_no_commit_for() {
    let start = Instant::now();
    let mut pending = pending(vec![unshared("a", "1", start), unshared("b", "2", start)]);
    pending.flush(Lane::Live, start);
    let mut budget = Budget::new(1);
    assert!(pending.take_due(start, &mut budget, true).is_some());
    assert!(pending.take_due(start, &mut budget, true).is_none());
    let minute = start + Duration::from_secs(60);
    assert_eq!((pending.held(), pending.next_due(start, &budget, true)), (1, Some(minute)));
    assert!(pending.take_due(minute, &mut budget, true).is_some());
}

/// Loads of one table that always has something, and of others that hardly ever do.
#[test]
fn a_hot_table_goes_first_and_then_only_after_those_who_waited() {
    let start = Instant::now();
    let due = start + Duration::from_secs(60);
    let mut pending = pending((0..5).map(|n| unshared("hot", &n.to_string(), start)).collect());
    for name in ["a", "b", "c"] {
        pending.accept(unshared(name, name, start), Lane::Live, settings).expect("room");
    }
    let mut order = Vec::new();
    for n in 0..8u64 {
        let now = due + Duration::from_secs(n);
        let (event, _) = pending.take_one(now).expect("somebody is due");
        order.push(event.to_string());
        pending.put_back(&event, alone());
        for more in 0..5 {
            pending.accept(unshared("hot", &format!("{n} {more}"), start), Lane::Live, settings).expect("room");
        }
    }
    assert_eq!(order[..5], ["hot", "a", "b", "c", "hot"], "the largest first, and then again only after the others");
}

#[test]
fn live_data_goes_first_and_backfill_has_a_tenth() {
    let start = Instant::now();
    let mut pending = pending(vec![]);
    for (lane, name) in [(Lane::Live, "l"), (Lane::Backfill, "b"), (Lane::Live, "both"), (Lane::Backfill, "both")] {
        pending.accept(unshared(name, "0", start), lane, settings).expect("room");
        pending.flush(lane, start + Duration::from_secs(1_000));
    }
    let mut lanes = BTreeMap::new();
    for n in 0..200u64 {
        let now = start + Duration::from_secs(n);
        let load = pending.take(now).expect("everybody always has something");
        let (event, _) = &load.tables[0];
        *lanes.entry((event.to_string(), load.lane == Lane::Live)).or_insert(0) += 1;
        pending.put_back(event, alone());
        pending.accept(unshared(event.as_str(), &n.to_string(), now), load.lane, settings).expect("room");
    }
    assert_eq!(lanes[&("b".into(), false)], 20, "a tenth of all turns, also beside a table that has both");
    assert_eq!(lanes[&("both".into(), false)], 9, "and a tenth of that table's own");
    assert!(lanes[&("both".into(), true)] + lanes[&("l".into(), true)] == 171, "{lanes:?}");
    assert!(pending.take_due(start, &mut Budget::new(1), false).is_some_and(|load| load.lane == Lane::Live));
}

#[test]
fn backfill_waits_where_no_worker_is_left_for_it() {
    let start = Instant::now();
    let mut pending = pending(vec![]);
    pending.accept(at("old", start), Lane::Backfill, settings).expect("room");
    pending.flush(Lane::Backfill, start);
    let mut budget = Budget::new(1);
    assert!(pending.take_due(start, &mut budget, false).is_none());
    assert_eq!(pending.next_due(start, &budget, false), None, "and the loop is not woken for it");
    assert_eq!(pending.take_due(start, &mut budget, true).expect("due").lane, Lane::Backfill);
}

#[test]
fn what_is_held_too_long_is_given_up_suspects_included() {
    let (start, event) = (Instant::now(), EventName::of_type("x"));
    let late = start + Duration::from_secs(5);
    let mut pending = pending(vec![at("bad", start)]);
    pending.flush(Lane::Live, start);
    let (_, bad) = pending.take_one(start).unwrap();
    pending.put_back(&event, Left { alone: vec![(late, bad)], ..Left::nothing() });
    for (source, received) in [("a", start), ("b", late)] {
        pending.accept(at(source, received), Lane::Live, settings).expect("room");
    }
    assert_eq!(pending.drain_received_before(start).len(), 0);
    assert_eq!(pending.drain_received_before(late).len(), 2);
    assert_eq!(pending.held(), 1);
}

#[test]
fn a_table_that_has_to_wait_leaves_the_room_to_others() {
    let (start, event) = (Instant::now(), EventName::of_type("x"));
    let roomy = |event: &EventName| TableSettings { flush_parts: 1_000, flush_bytes: 1 << 40, ..settings(event) };
    let mut pending: Pending<u32> = Pending::new();
    pending.accept(at("first", start), Lane::Live, roomy).expect("room");
    pending.flush(Lane::Live, start);
    let (_, held) = pending.take_one(start).expect("due");
    let until = start + Duration::from_secs(60);
    pending.put_back(&event, Left { again: held, not_before: Some(until), ..Left::nothing() });
    let accepted = |pending: &mut Pending<u32>, now| {
        (0..2 * TABLE_MIN).filter(|n| pending.accept(at(&n.to_string(), now), Lane::Live, roomy).is_ok()).count()
    };
    assert_eq!(accepted(&mut pending, start), TABLE_MIN - 1);
    assert!(pending.accept(of("y", "0", start), Lane::Live, roomy).is_ok(), "another table");
    assert_eq!(accepted(&mut pending, until), 2 * TABLE_MIN, "the wait is over");
}

#[test]
fn one_table_holds_no_more_than_an_eighth_of_its_lanes_text() {
    let start = Instant::now();
    for lane in [Lane::Live, Lane::Backfill] {
        let mut pending: Pending<u32> = Pending::new();
        let roomy = |event: &EventName| TableSettings { flush_parts: 5_000, flush_bytes: 1 << 40, ..settings(event) };
        let text_bytes = HELD_MAX_BYTES.get(lane) / 80;
        let accepted = (0..80)
            .filter(|n: &u32| pending.accept(Held { text_bytes, ..at(&n.to_string(), start) }, lane, roomy).is_ok());
        assert_eq!(accepted.count(), 11, "{lane:?}: as much as is over the bound by one at most");
        assert!(pending.take(start).is_some(), "full, so it is due at once");
    }
}

#[test]
fn replaces_are_batched_like_other_loads() {
    let start = Instant::now();
    let roomy = |event: &EventName| TableSettings { flush_parts: 500, flush_bytes: 1 << 40, ..settings(event) };
    let mut pending: Pending<u32> = Pending::new();
    for n in 0..200 {
        pending.accept(unshared("x", &n.to_string(), start), Lane::Live, roomy).expect("room");
    }
    pending.accept(of("x", "plain", start), Lane::Live, roomy).expect("room");
    pending.flush(Lane::Live, start);
    assert_eq!(taken(&mut pending, start), 201);
}
