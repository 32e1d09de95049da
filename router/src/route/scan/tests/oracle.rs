//! One scanner over many records, against fresh scanners and against `route::oracle`: what it remembers of earlier
//! records may make it faster, never change a verdict.

use super::super::*;
use crate::route::oracle::{Choices, Node, for_a_while, read, sequence};
use crate::route::sketching::Sketches;
use common::sketch::Sketch;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use std::collections::HashMap;

const EVENT_TYPES: [&str; 5] = ["/event", "/meta/type", "/list/1", "/user/a~1b", "/_l"];
const WATCHED: [&str; 3] = ["/user/1", "/event", "/abcdefghijklmno"];

/// With pointers into arrays and objects, or with one that leads nowhere, so that no path is held back for pointers.
fn scanner(pointers: &[&str]) -> Scanner {
    let pointers: Vec<String> = pointers.iter().map(|p| (*p).to_owned()).collect();
    Scanner::new(Pointers::new(&pointers).watching(WATCHED), true)
}

fn owned(outcome: Result<EventType<'_>, Fault>) -> Result<EventType<'static>, Fault> {
    outcome.map(|event_type| match event_type {
        EventType::Found(text) => EventType::Found(text.into_owned().into()),
        EventType::Missing => EventType::Missing,
        EventType::NotUsable => EventType::NotUsable,
    })
}

/// One key of a tape: the path to it, and what its value was like.
type Step = (Vec<Vec<u8>>, Types, u32);

fn steps(tape: &Tape, record: &[u8]) -> Vec<(Step, ShapeId)> {
    let (mut steps, mut path) = (Vec::new(), vec![Vec::new()]);
    for entry in tape.entries() {
        match *entry {
            TapeEntry::Value { key, shape, types, bytes } => {
                *path.last_mut().expect("Close only follows Open") = tape.key_of(key, record).to_vec();
                steps.push(((path.clone(), types, bytes), shape));
            }
            TapeEntry::Open => path.push(Vec::new()),
            TapeEntry::Close => drop(path.pop()),
        }
    }
    steps
}

/// Holds one scanner's verdict on each record against a fresh one's and the reference's, and the sketch of them all.
fn check(records: &[Vec<u8>], pointers: &[&str]) -> TestCaseResult {
    let mut warm = scanner(pointers);
    let mut sketches = Sketches::new(usize::MAX);
    let mut expected = Sketch { types: Types::OBJECT, ..Sketch::default() };
    let mut paths: HashMap<String, Vec<Vec<u8>>> = HashMap::new();
    for record in records {
        let text = String::from_utf8_lossy(record);
        let found = owned(warm.scan(record));
        let mut fresh = scanner(pointers);
        prop_assert_eq!(&found, &owned(fresh.scan(record)), "warm and fresh scanner differ: {}", text);
        let root = match (read(record), &found) {
            (Ok(root), Ok(_)) => root,
            (Err(reasons), Err(fault)) if reasons.contains(&fault.reason) => continue,
            (read, _) => {
                let read = read.map(|_| "sound");
                return Err(TestCaseError::fail(format!("the reference says {read:?}, the scanner {found:?}: {text}")));
            }
        };
        check_words(&warm, &root, found, record, pointers)?;
        let (steps, fresh_steps) = (steps(warm.tape(), record), steps(fresh.tape(), record));
        let plain = |steps: &[(Step, ShapeId)]| steps.iter().map(|(step, _)| step.clone()).collect::<Vec<_>>();
        prop_assert_eq!(plain(&steps), plain(&fresh_steps), "{}", text);
        for ((path, ..), shape) in steps.into_iter().filter(|(_, shape)| *shape != ShapeId::NONE) {
            let known = paths.entry(format!("{shape:?}")).or_insert_with(|| path.clone());
            prop_assert_eq!(known, &path, "one shape, two paths: {}", text);
        }
        sketches.fold(0, warm.tape(), record);
        expected.merge(&root.sketch());
    }
    prop_assert_eq!(sketches.sketch(0), expected);
    Ok(())
}

fn check_words(
    scanner: &Scanner,
    root: &Node,
    found: Result<EventType<'_>, Fault>,
    record: &[u8],
    pointers: &[&str],
) -> TestCaseResult {
    let expected = match root.event_type(pointers) {
        Ok(text) => EventType::Found(text.into()),
        Err(true) => EventType::NotUsable,
        Err(false) => EventType::Missing,
    };
    prop_assert_eq!(found, Ok(expected), "{}", String::from_utf8_lossy(record));
    for (n, pointer) in WATCHED.iter().enumerate() {
        prop_assert_eq!(scanner.watched(n, record).map(Cow::into_owned), root.word(pointer), "{}", pointer);
    }
    Ok(())
}

fn check_texts(records: &[&str]) {
    let records: Vec<Vec<u8>> = records.iter().map(|record| record.as_bytes().to_vec()).collect();
    for pointers in [&EVENT_TYPES[..], &["/event"]] {
        check(&records, pointers).expect("the oracle agrees");
    }
}

#[test]
fn a_warm_scanner_and_the_oracle_agree_on_any_sequence_of_records() {
    for_a_while(4.0, 1_200, |choices: &mut Choices<'_>| {
        let pointers = if choices.one_in(2) { &["/event"][..] } else { &EVENT_TYPES };
        check(&sequence(choices), pointers)
    });
}

#[test]
fn a_bracket_where_a_key_is_expected_is_no_key() {
    check_texts(&[r#"{"x":[{"a":1}]}"#, r#"{"x":{[:1}}"#, r#"{"x":{"a":1}}"#, r#"{"x":{[:1,"a":2}}"#]);
}

#[test]
fn keys_are_told_apart_to_the_byte_however_long_and_however_written() {
    for length in (10..20).chain(126..132) {
        let (key, other, longer) = ("k".repeat(length), format!("{}x", "k".repeat(length - 1)), "k".repeat(length + 1));
        let records = [
            format!(r#"{{"{key}":1}}"#),
            format!(r#"{{"{other}":1}}"#),
            format!(r#"{{"{key}":1}}"#),
            format!(r#"{{"{longer}":1}}"#),
            format!(r#"{{"{key}":1,"{other}":2,"{longer}":3}}"#),
            format!(r#"{{"\u006b{}":1}}"#, &key[1..]),
            format!(r#"{{"{key}":1,"\u006b{}":2}}"#, &key[1..]),
            format!(r#"{{"{key}"}}"#),
            format!(r#"{{"{key}"#),
            format!(r#"{{"{key}":{{"{key}":1}}}}"#),
            format!(r#"{{"{key}":[{{"{key}":1}},{{"{key}":1,"{other}":1,"{key}":1}}]}}"#),
        ];
        check_texts(&records.each_ref().map(String::as_str));
    }
}

#[test]
fn a_refused_record_leaves_no_trace_in_later_verdicts() {
    check_texts(&[
        r#"{"a":1,"b":{"c":1}}"#,
        r#"{"a":1,"b":{"c":1,"c":2}}"#,
        r#"{"a":1,"b":{"c":1}}"#,
        r#"{"a":1,"b":{"c":1"#,
        r#"{"b":{"c":1},"a":1}"#,
        r#"{"a":1,"event":"x","a":2}"#,
        r#"{"a":1}"#,
        r#"{"_lr":1}"#,
        r#"{"x":{"_lr":1}}"#,
        r#"{"_lr":{"_lr":1}}"#,
        r#"{"x":{"_lr":1,"_lr":2}}"#,
    ]);
}

#[test]
fn more_paths_than_are_held_change_no_verdict() {
    let keys = |from: usize| (from..from + 900).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>().join(",");
    let mut records: Vec<Vec<u8>> = Vec::new();
    for n in 0..24 {
        // Objects below the first and the last records' new keys, so that some children are held and some are not.
        records.push(format!("{{{},\"o{n}\":{{\"a\":1,\"b\":{{}}}}}}", keys(n * 900)).into_bytes());
        records.push(format!("{{\"o{n}\":{{\"a\":1,\"b\":1,\"a\":2}}}}").into_bytes());
        records.push(format!("{{\"k{}\":1,\"k5\":2,\"k{0}\":3}}", n * 900 + 7).into_bytes());
        records.push(format!("{{\"k{}\":1,\"k5\":2,\"event\":\"e{n}\"}}", n * 900 + 7).into_bytes());
    }
    check(&records, &["/event"]).expect("the oracle agrees");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// `serde_json` reads no tree as deep as that, so here the brackets are counted.
    #[test]
    fn depth_counts_brackets_of_either_kind(kinds in prop::collection::vec(any::<bool>(), 985..1_015), sound in any::<bool>()) {
        let open: String = kinds.iter().map(|object| if *object { "{\"a\":" } else { "[" }).collect();
        let close: String = kinds.iter().rev().map(|object| if *object { '}' } else { ']' }).collect();
        let record = format!("{open}{}{close}", if sound { "1" } else { "}" });
        let expected = match (kinds.len() > DEPTH_MAX, sound, kinds[0]) {
            (true, ..) => Some(Reason::TooDeep),
            (false, false, _) => Some(Reason::NotJson),
            (false, true, false) => Some(Reason::NotAnObject),
            (false, true, true) => None,
        };
        let mut scanner = scanner(&["/event"]);
        for _ in 0..2 {
            prop_assert_eq!(scanner.scan(record.as_bytes()).err().map(|fault| fault.reason), expected);
        }
    }
}
