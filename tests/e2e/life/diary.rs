//! What is logged: an object an hour for months, and what every line of it must become under either set of rules.
//!
//! Knows nothing of the router: what belongs in which table is worked out here from the values that the lines are made of.

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use time::{Duration, OffsetDateTime};

/// Records of users who asked to be deleted later.
pub(crate) const DELETED_USER: u64 = 7;
const USERS: u64 = 40;
/// Live objects are numbered from here, so that no record of theirs has a number of an old one.
const LIVE_FROM: u64 = 1_000_000;
/// More lines than any object has.
const LINES_MAX: u64 = 1_000_000;
/// The least number of a live record.
pub(crate) const LIVE_NUMBERS: u64 = LIVE_FROM * LINES_MAX;

/// The settings a table is made under.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    First,
    /// `click` is named `tap`, and [`DELETED_USER`] is dropped.
    Changed,
}

impl Rules {
    /// As lines at the end of the settings.
    pub(crate) fn settings(self) -> String {
        match self {
            Self::First => String::new(),
            Self::Changed => format!(
                "[router.rename]\nclick = \"tap\"\n[[router.drop]]\npointer = \"/user\"\nvalues = [{DELETED_USER}]\n"
            ),
        }
    }
}

/// What tells one table's rows from others: how many, and the sum of their numbers, each of which is there once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) count: u64,
    pub(crate) sum: u64,
}

/// What all objects together must become.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) tables: BTreeMap<String, Rows>,
    pub(crate) quarantined: u64,
    pub(crate) dropped: u64,
}

impl Expected {
    pub(crate) fn of<'a>(objects: impl Iterator<Item = (&'a Object, Rules)>) -> Self {
        let mut expected = Self::default();
        objects.for_each(|(object, rules)| object.expect(rules, &mut expected));
        expected
    }
}

pub(crate) struct Object {
    number: u64,
    lines: u64,
    pub(crate) at: OffsetDateTime,
}

enum Line {
    Record { event: &'static str, user: u64, number: u64 },
    Dirty(Vec<u8>),
}

/// An object for each hour of `days` from `from`.
pub(crate) fn hourly(from: OffsetDateTime, days: u32, lines: u64) -> Vec<Object> {
    let hours = 0..u64::from(days) * 24;
    hours.map(|hour| Object { number: hour, lines, at: from + Duration::HOUR * hour as u32 }).collect()
}

/// The `n`th object of today.
pub(crate) fn live(n: u64, at: OffsetDateTime, lines: u64) -> Object {
    Object { number: LIVE_FROM + n, lines, at }
}

impl Object {
    pub(crate) fn key(&self) -> String {
        let at = self.at;
        let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
        format!("app/{year}/{month:02}/{day:02}/{:02}-{}.json.gz", at.hour(), self.number)
    }

    pub(crate) fn gzip(&self) -> Vec<u8> {
        let at = common::timestamp::format(self.at);
        let mut file = GzEncoder::new(Vec::new(), Compression::fast());
        for line in self.records() {
            let line = match line {
                Line::Record { event, user, number } => {
                    json!({"event": event, "user": user, "n": number, "at": at}).to_string().into_bytes()
                }
                Line::Dirty(bytes) => bytes,
            };
            file.write_all(&line).and_then(|()| file.write_all(b"\n")).expect("in memory");
        }
        file.finish().expect("in memory")
    }

    /// Adds what becomes of this object's lines.
    fn expect(&self, rules: Rules, expected: &mut Expected) {
        for line in self.records() {
            match line {
                Line::Dirty(_) => expected.quarantined += 1,
                Line::Record { user: DELETED_USER, .. } if rules == Rules::Changed => expected.dropped += 1,
                Line::Record { event, number, .. } => {
                    let table = if rules == Rules::Changed && event == "click" { "tap" } else { event };
                    let rows = expected.tables.entry(table.to_owned()).or_default();
                    rows.count += 1;
                    rows.sum += number;
                }
            }
        }
    }

    fn records(&self) -> impl Iterator<Item = Line> {
        (0..self.lines).map(|line| {
            let number = self.number * LINES_MAX + line;
            let chance = mixed(number);
            if chance.is_multiple_of(100) {
                return Line::Dirty(dirty(chance / 100, number));
            }
            let event = match chance / 100 % 10 {
                0 => "buy",
                1..=3 => "click",
                _ => "view",
            };
            Line::Record { event, user: chance / 1_000 % USERS, number }
        })
    }
}

/// A line that nobody can route.
fn dirty(which: u64, number: u64) -> Vec<u8> {
    match which % 4 {
        0 => format!(r#"{{"event":"view","n":{number}"#).into_bytes(),
        1 => format!(r#"{{"n":{number}}}"#).into_bytes(),
        2 => format!(r#"{{"event":"view","n":{number},"n":0}}"#).into_bytes(),
        _ => [&br#"{"event":"view","name":""#[..], &[0xff], br#""}"#].concat(),
    }
}

/// A number that looks like chance and is the same on every machine.
fn mixed(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
