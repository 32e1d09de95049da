//! Exactly once, on a real database: the loader's own statement list in two sessions at once, in every order that
//! their statements can have.
//!
//! PostgreSQL stands in for Redshift, whose transactions descend from it: REPEATABLE READ for SNAPSHOT, SERIALIZABLE for
//! itself. Not proven here: COPY, and that Redshift's LOCK and UPDATE do as PostgreSQL's; therefore each of the two must
//! be enough where the other did nothing.

mod postgres;
mod race;
mod session;
mod statements;

use super::Role;
use super::tests::row;
use crate::sql::load::LedgerRow;
use crate::sql::tests::names;
use crate::verdict::{Class, classify};
use common::event_name::EventName;
use postgres::Postgres;
use race::{Choices, Ending, Isolation, Race, Step};
use statements::{EVENTS, Variant, count, count_of, event, load, load_shared, prepare};

/// Rows of each source.
const ROWS: u64 = 3;

/// How all orders of one race ended.
#[derive(Debug, Default)]
struct Tally {
    orders: u64,
    /// Both committed, and every row is there twice.
    doubled: u64,
    /// Losers by the role that refused them.
    refused_by: Vec<Option<Role>>,
}

/// Two loads of the same new source, in every order, each order with a source of its own.
fn race(race: &mut Race, isolation: Isolation, variant: Variant) -> Tally {
    let (mut choices, mut tally) = (Choices::default(), Tally::default());
    loop {
        let rows = [row(&format!("{isolation:?} {variant:?} {}", tally.orders), 0, ROWS)];
        let lists = ["b-1", "b-2"].map(|batch| load(batch, &rows, variant));
        let endings = race.run(isolation, [&lists[0], &lists[1]], &mut choices);
        let counted = count(&mut race.observer, &rows);
        tally.orders += 1;
        let losers: Vec<_> = endings.iter().filter(|ending| **ending != Ending::Committed).collect();
        match losers[..] {
            [] => {
                assert_eq!(counted, (2 * ROWS, 2), "{isolation:?} {variant:?} {choices:?}");
                tally.doubled += 1;
            }
            [Ending::Failed(role, message)] => {
                assert_eq!(counted, (ROWS, 1), "{isolation:?} {variant:?} {choices:?}");
                // The loser is told to ask the ledger, or to try again; then the guard ends it.
                let class = classify(*role, message);
                assert!(matches!(class, Class::AlreadyLoaded | Class::Transient), "{role:?} {message}: {class:?}");
                tally.refused_by.push(*role);
            }
            _ => panic!("nobody committed: {endings:?} {isolation:?} {variant:?} {choices:?}"),
        }
        if !choices.go_on() {
            return tally;
        }
    }
}

fn started() -> Option<(Postgres, Race)> {
    let postgres = Postgres::start()?;
    let mut race = Race::new(&postgres);
    prepare(&mut race.observer);
    Some((postgres, race))
}

#[test]
fn of_two_loads_of_one_source_exactly_one_commits_in_every_order_of_their_statements() {
    let Some((_postgres, mut both)) = started() else { return };
    for isolation in Isolation::BOTH {
        let tally = race(&mut both, isolation, Variant::WHOLE);
        assert_eq!(tally.doubled, 0, "{isolation:?}");
        assert!(tally.orders >= 20, "{isolation:?}: only {} orders", tally.orders);
        assert!(tally.refused_by.iter().all(|role| *role == Some(Role::Guard)), "every snapshot is young: {tally:?}");
    }
}

#[test]
fn with_a_snapshot_from_before_the_lock_the_update_of_the_gate_keeps_it_so() {
    let Some((_postgres, mut both)) = started() else { return };
    for isolation in Isolation::BOTH {
        let tally = race(&mut both, isolation, Variant { early_snapshot: true, ..Variant::WHOLE });
        assert_eq!(tally.doubled, 0, "{isolation:?}");
        assert!(tally.orders >= 100, "{isolation:?}: only {} orders", tally.orders);
        assert!(tally.refused_by.contains(&Some(Role::Hold)), "{isolation:?}: the UPDATE had nothing to do");
    }
}

#[test]
fn without_the_lock_the_update_of_the_gate_is_enough() {
    let Some((_postgres, mut both)) = started() else { return };
    for isolation in Isolation::BOTH {
        for early_snapshot in [false, true] {
            let tally = race(&mut both, isolation, Variant { lock: false, early_snapshot, ..Variant::WHOLE });
            assert_eq!(tally.doubled, 0, "{isolation:?} {early_snapshot}");
            assert!(tally.refused_by.contains(&Some(Role::Hold)), "{isolation:?}: the UPDATE had nothing to do");
        }
    }
}

#[test]
fn without_the_update_the_lock_is_enough_only_while_no_snapshot_is_older() {
    let Some((_postgres, mut both)) = started() else { return };
    let alone = |early_snapshot| Variant { hold: false, early_snapshot, ..Variant::WHOLE };
    for isolation in Isolation::BOTH {
        assert_eq!(race(&mut both, isolation, alone(false)).doubled, 0, "{isolation:?}");
    }
    let doubled = Isolation::BOTH.map(|isolation| race(&mut both, isolation, alone(true)).doubled);
    assert!(doubled[0] > 0, "REPEATABLE READ doubles: this is what the UPDATE is for");
    assert_eq!(doubled[1], 0, "SERIALIZABLE refuses by itself");
}

#[test]
fn without_both_only_serializable_keeps_rows_from_doubling() {
    let Some((_postgres, mut both)) = started() else { return };
    // Nothing ever waits here, so the orders are all there are of two lists: kept short.
    let neither = Variant { lock: false, hold: false, session_local: false, ..Variant::WHOLE };
    let [repeatable_read, serializable] = Isolation::BOTH.map(|isolation| race(&mut both, isolation, neither));
    assert!(repeatable_read.doubled > 0 && repeatable_read.orders == 252, "{}", repeatable_read.orders);
    assert_eq!(serializable.doubled, 0);
}

/// Two lists over sources of this order's own, and what must hold however they ended.
fn every_order(
    both: &mut Race,
    isolation: Isolation,
    lists: impl Fn(&mut Race, u64) -> [Vec<Step>; 2],
    mut check: impl FnMut(&mut Race, u64, [Ending; 2]),
) -> u64 {
    let (mut choices, mut orders) = (Choices::default(), 0);
    loop {
        let [first, second] = lists(both, orders);
        let endings = both.run(isolation, [&first, &second], &mut choices);
        check(both, orders, endings);
        orders += 1;
        if !choices.go_on() {
            return orders;
        }
    }
}

fn loaded_before(both: &mut Race, isolation: Isolation, rows: &[LedgerRow]) {
    assert_eq!(both.run_alone(isolation, &load("b-0", rows, Variant::WHOLE)), Ending::Committed);
}

#[test]
fn a_source_that_two_different_batches_share_is_loaded_once() {
    let Some((_postgres, mut both)) = started() else { return };
    for isolation in Isolation::BOTH {
        let rows = |order: u64| {
            let [left, shared, right] =
                ["l", "s", "r"].map(|who| row(&format!("{isolation:?} {who} {order}"), 0, ROWS));
            [vec![left, shared.clone()], vec![shared, right]]
        };
        let lists = |_: &mut Race, order| {
            let [first, second] = rows(order);
            [load("b-1", &first, Variant::WHOLE), load("b-2", &second, Variant::WHOLE)]
        };
        every_order(&mut both, isolation, lists, |both, order, endings| {
            let [first, second] = rows(order);
            let all = [first, second].concat();
            let failed = endings.iter().filter(|ending| matches!(ending, Ending::Failed(Some(Role::Guard), _))).count();
            assert_eq!(failed, 1, "{endings:?}");
            assert_eq!(count(&mut both.observer, &all), (2 * ROWS, 2), "one batch as a whole, the other not at all");
        });
    }
}

#[test]
fn of_two_replaces_at_once_the_rows_of_the_highest_generation_stay() {
    let Some((_postgres, mut both)) = started() else { return };
    for isolation in Isolation::BOTH {
        for (first, second) in [(1, 1), (1, 2)] {
            let rows = |order: u64, generation: u32| {
                let rows = ROWS + u64::from(generation);
                [row(&format!("{isolation:?} {first} {second} {order}"), generation, rows)]
            };
            let lists = |both: &mut Race, order| {
                loaded_before(both, isolation, &rows(order, 0));
                [("b-1", first), ("b-2", second)].map(|(batch, n)| load(batch, &rows(order, n), Variant::WHOLE))
            };
            every_order(&mut both, isolation, lists, |both, order, endings| {
                assert!(endings.contains(&Ending::Committed), "{endings:?}");
                assert!(endings[1] == Ending::Committed || first == second, "nothing refuses the higher: {endings:?}");
                let commits = endings.iter().filter(|ending| **ending == Ending::Committed).count() as u64;
                let counted = count(&mut both.observer, &rows(order, second));
                assert_eq!(counted, (ROWS + u64::from(second), 1 + commits), "{endings:?}");
            });
        }
    }
}

#[test]
fn a_replace_that_knows_of_no_table_never_commits_beside_rows_that_it_should_have_removed() {
    let Some((_postgres, mut both)) = started() else { return };
    for isolation in Isolation::BOTH {
        let row = |order: u64, generation, rows| [row(&format!("{isolation:?} absent {order}"), generation, rows)];
        let lists = |_: &mut Race, order| {
            let emptied = Variant { has_table: false, ..Variant::WHOLE };
            [load("b-1", &row(order, 0, ROWS), Variant::WHOLE), load("b-2", &row(order, 1, 0), emptied)]
        };
        let mut refused_by = Vec::new();
        every_order(&mut both, isolation, lists, |both, order, endings| {
            let rows = if endings[0] == Ending::Committed { ROWS } else { 0 };
            assert_eq!(count(&mut both.observer, &row(order, 1, 0)), (rows, 1), "one of them: {endings:?}");
            refused_by.extend(endings.into_iter().filter_map(|ending| match ending {
                Ending::Failed(role, _) => role,
                Ending::Committed => None,
            }));
        });
        assert!(refused_by.contains(&Role::Guard) && refused_by.contains(&Role::Absent), "{refused_by:?}");
    }
}

#[test]
fn of_two_batches_that_replace_several_sources_each_leaves_its_own_rows_and_no_others() {
    let Some((_postgres, mut both)) = started() else { return };
    for isolation in Isolation::BOTH {
        // The second replaces a source that the first leaves alone, and both replace `b`.
        let rows = |order: u64, keys: &[&str], generation: u32| -> Vec<LedgerRow> {
            let key = |key: &&str| format!("several {isolation:?} {key} {order}");
            keys.iter().map(|name| row(&key(name), generation, ROWS + u64::from(generation))).collect()
        };
        let lists = |both: &mut Race, order| {
            loaded_before(both, isolation, &rows(order, &["a", "b", "c", "d"], 0));
            [("b-1", rows(order, &["a", "b"], 1)), ("b-2", rows(order, &["b", "c"], 2))]
                .map(|(batch, rows)| load(batch, &rows, Variant::WHOLE))
        };
        every_order(&mut both, isolation, lists, |both, order, endings| {
            assert!(endings[1] == Ending::Committed, "nothing refuses the higher: {endings:?}");
            let first = u64::from(endings[0] == Ending::Committed);
            for (key, expected) in [("a", ROWS + first), ("b", ROWS + 2), ("c", ROWS + 2), ("d", ROWS)] {
                let counted = count(&mut both.observer, &rows(order, &[key], 0)).0;
                assert_eq!(counted, expected, "{key}: {endings:?}");
            }
        });
    }
}

#[test]
fn of_two_batches_of_several_tables_that_share_a_source_one_commits_in_all_of_them() {
    let Some((_postgres, mut both)) = started() else { return };
    let [a, b, c] = EVENTS.map(EventName::of_type);
    // With an early snapshot the orders are many: what only its own session can notice is left out.
    let variants = [Variant::WHOLE, Variant { early_snapshot: true, session_local: false, ..Variant::WHOLE }];
    for isolation in Isolation::BOTH {
        for (at, variant) in variants.into_iter().enumerate() {
            // Both load the same source of `b`; each has a table that the other has not.
            let tables = |order: u64| {
                let [left, shared, right] =
                    ["l", "s", "r"].map(|who| vec![row(&format!("tables {isolation:?} {at} {who} {order}"), 0, 1)]);
                [[(a.clone(), left), (b.clone(), shared.clone())], [(b.clone(), shared), (c.clone(), right)]]
            };
            let lists = |_: &mut Race, order| {
                let [first, second] = tables(order);
                [load_shared("b-1", &first, variant), load_shared("b-2", &second, variant)]
            };
            every_order(&mut both, isolation, lists, |both, order, endings| {
                let [first, second] = tables(order);
                assert_eq!(endings.iter().filter(|one| **one == Ending::Committed).count(), 1, "{endings:?}");
                let mut loaded = |(event, rows): &(EventName, Vec<LedgerRow>)| {
                    let (in_table, in_ledger) = count_of(&mut both.observer, event, rows);
                    assert_eq!(in_table, in_ledger, "{event}");
                    in_table
                };
                let counted = [loaded(&first[0]), loaded(&first[1]), loaded(&second[1])];
                let expected = if endings[0] == Ending::Committed { [1, 1, 0] } else { [0, 1, 1] };
                assert_eq!(counted, expected, "{endings:?}");
            });
        }
    }
}

#[test]
fn an_empty_gate_and_one_of_two_rows_fail_the_load() {
    let Some((_postgres, mut both)) = started() else { return };
    let gate = names().gate(&event());
    for (change, found) in [
        (format!("INSERT INTO {gate} (\"holder\", \"version\") VALUES ('nobody', 0)"), "gate rows: 2"),
        (format!("DELETE FROM {gate}"), "gate rows: 0"),
    ] {
        both.observer.run(&change).expect("changed by a person");
        for isolation in Isolation::BOTH {
            let rows = [row(found, 0, ROWS)];
            let ending = both.run_alone(isolation, &load("b-1", &rows, Variant::WHOLE));
            let Ending::Failed(Some(Role::GateCheck), message) = ending else { panic!("{ending:?}") };
            assert!(message.contains(found), "{message}");
            assert_eq!(count(&mut both.observer, &rows), (0, 0));
        }
    }
}
