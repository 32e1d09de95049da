use super::*;
use crate::batch::tests::held;
use common::load_request::{PartsSource, SealedParts};
use std::time::Duration;

fn settings(_: &EventName) -> TableSettings {
    TableSettings { flush_age: Duration::from_secs(60), flush_bytes: 1_000, flush_parts: 5 }
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
        pending.accept(one, settings).expect("room");
    }
    pending
}

fn taken(pending: &mut Pending<u32>, now: Instant) -> usize {
    pending.take_due(now).map_or(0, |(_, held)| held.len())
}

#[test]
fn a_table_is_due_when_its_oldest_request_is_old_enough() {
    let start = Instant::now();
    let mut pending = pending(vec![at("a", start), at("b", start + Duration::from_secs(50))]);
    assert_eq!(pending.next_due(), Some(start + Duration::from_secs(60)));
    assert_eq!(taken(&mut pending, start + Duration::from_secs(59)), 0);
    assert_eq!(taken(&mut pending, start + Duration::from_secs(60)), 2, "younger ones go along");
    assert!(pending.is_empty());
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
    pending.flush(start);
    assert_eq!(taken(&mut pending, start), 1);
    pending.put_back(&EventName::of_type("x"), vec![], vec![], None);
    pending.accept(at("b", start + Duration::from_secs(1)), settings).expect("room");
    assert_eq!(taken(&mut pending, start + Duration::from_secs(2)), 0);
}

#[test]
fn one_table_loads_once_at_a_time_and_the_longest_wait_goes_first() {
    let start = Instant::now();
    let later = start + Duration::from_secs(1);
    let mut pending = pending(vec![of("a", "1", later), of("b", "2", start)]);
    pending.flush(later);
    assert_eq!(pending.take_due(later).unwrap().0.as_str(), "b");
    pending.accept(of("b", "3", start), settings).expect("room");
    assert_eq!(pending.take_due(later).unwrap().0.as_str(), "a", "b is loading");
    assert!(pending.take_due(later).is_none());
    pending.put_back(&EventName::of_type("b"), vec![], vec![], None);
    assert_eq!(pending.take_due(later).unwrap().0.as_str(), "b");
}

#[test]
fn what_has_to_wait_goes_back_to_the_front_and_waits() {
    let (start, event) = (Instant::now(), EventName::of_type("x"));
    let mut pending = pending(vec![at("a", start), at("b", start)]);
    pending.flush(start);
    let (_, held) = pending.take_due(start).unwrap();
    let from = start + Duration::from_secs(4);
    pending.put_back(&event, held, vec![], Some(from));
    assert_eq!(taken(&mut pending, start), 0);
    assert!(!pending.is_empty(), "it is still held");
    assert_eq!(taken(&mut pending, from), 2);
}

#[test]
fn suspects_are_tried_alone_after_the_innocents_and_never_starve() {
    let (start, event) = (Instant::now(), EventName::of_type("x"));
    let mut pending = pending(vec![at("bad", start)]);
    pending.flush(start);
    let (_, bad) = pending.take_due(start).unwrap();
    let from = start + Duration::from_secs(5);
    pending.put_back(&event, vec![], vec![(from, bad)], None);
    for name in ["a", "b"] {
        pending.accept(at(name, from), settings).expect("room");
    }
    assert_eq!(taken(&mut pending, from), 2, "the innocents, young as they are");
    pending.accept(at("c", from), settings).expect("room");
    pending.put_back(&event, vec![], vec![], None);
    assert_eq!(taken(&mut pending, from), 1, "then the suspect, although there are innocents again");
    assert_eq!(pending.held, 1);
}

#[test]
fn a_table_that_holds_enough_gives_further_requests_back() {
    let start = Instant::now();
    let mut pending = pending((0..TABLE_MIN).map(|n| at(&n.to_string(), start)).collect());
    assert!(pending.accept(at("more", start), settings).is_err());
    assert!(pending.accept(of("other", "1", start), settings).is_ok(), "other tables are not concerned");
    assert_eq!(pending.drain(&EventName::of_type("x")).len(), TABLE_MIN);
    assert!(pending.accept(at("more", start), settings).is_ok());
    assert_eq!(pending.drain_all().len(), 2);
    assert!(pending.is_empty() && pending.held_bytes == 0);
}

#[test]
fn too_much_text_stops_receiving_until_it_is_handed_out() {
    let start = Instant::now();
    let mut pending = pending(vec![]);
    pending.accept(Held { text_bytes: HELD_MAX_BYTES, ..at("huge", start) }, settings).expect("room");
    pending.accept(at("other", start), settings).expect("room");
    assert!(!pending.has_room());
    let (event, held) = pending.take_due(start).expect("due at once");
    assert_eq!(held.len(), 1, "nothing goes along with so much text");
    assert!(pending.has_room());
    pending.put_back(&event, held, vec![], None);
    assert!(!pending.has_room(), "what comes back counts as before");
    let (_, held) = pending.take_due(start).expect("still due");
    pending.put_back(&event, vec![], vec![(start, held)], None);
    assert!(!pending.has_room(), "alone or not");
}
