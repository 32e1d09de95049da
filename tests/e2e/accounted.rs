//! Reads every row back and holds it against the record it came from: each value of the record is in exactly one column of
//! its path, or inside a SUPER, unchanged; and nothing is in the row that the record does not have.
//!
//! Knows of the loader what everybody may know: the table `log_router.columns`. Records are read with `serde_json` alone.

use crate::stack::Stack;
use aws_sdk_redshiftdata::types::Field;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A row of `log_router.columns`.
struct Column {
    name: String,
    path: Vec<String>,
    kind: String,
    variant_of: Option<String>,
}

/// Numbers become texts that start with this: `serde_json` would round them.
const NUMBER: &str = "\u{1}number ";

/// Fails unless every routed record has its row, and every row is its record.
pub(crate) async fn assert_every_value(stack: &Stack) {
    let mut routed: BTreeMap<String, u64> = BTreeMap::new();
    let mut sources: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for seal in stack.seals().await {
        for event in &seal.events {
            *routed.entry(event.event.to_string()).or_default() += event.records;
        }
        let stored = common::objects::get(&stack.clients.s3, &seal.source.bucket, &seal.source.key).await.expect("raw");
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&stored[..]), &mut text).expect("gzip");
        sources.insert(seal.source_id.to_string(), text.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect());
    }
    assert_eq!(stack.table_counts().await, routed, "rows are routed records");
    for event in routed.keys() {
        let columns = columns(stack, event).await;
        let rows = rows(stack, event, &columns).await;
        let mut seen = BTreeSet::new();
        for row in rows {
            let (source, line) = (text(&row["_source"]), number(&row["_line"]) as usize);
            assert!(seen.insert((source.clone(), line)), "{event}: {source} line {line} is there twice");
            let record = std::str::from_utf8(&sources[&source][line - 1]).expect("a routed record is UTF-8");
            if levels(record) > LEVELS_MAX {
                continue;
            }
            let record = parsed(record);
            let mut check = Check { columns: &columns, row: &row, found: BTreeSet::new() };
            check.record(&record);
            let unfound: Vec<_> = columns
                .iter()
                .filter(|c| row.contains_key(&c.name) && !check.found.contains(c.name.as_str()))
                .collect();
            let names: Vec<&str> = unfound.iter().map(|column| column.name.as_str()).collect();
            assert!(names.is_empty(), "{event} line {line}: {names:?} hold what the record does not have: {record}");
        }
    }
}

async fn columns(stack: &Stack, event: &str) -> Vec<Column> {
    let sql = format!(
        "SELECT DISTINCT column_name, path, kind, variant_of FROM log_router.columns WHERE event = '{event}' ORDER BY 1"
    );
    let rows = stack.try_fields(&sql).await.expect("the mapping");
    let column = |row: Vec<Field>| Column {
        name: text(&row[0]),
        path: serde_json::from_str(&text(&row[1])).expect("a path"),
        kind: text(&row[2]),
        variant_of: (!is_null(&row[3])).then(|| text(&row[3])),
    };
    rows.into_iter().map(column).collect()
}

/// What is not NULL of each row, by column.
async fn rows(stack: &Stack, event: &str, columns: &[Column]) -> Vec<BTreeMap<String, Field>> {
    let list = columns.iter().map(|column| match column.kind.as_str() {
        "super" => format!("JSON_SERIALIZE(\"{}\")", column.name),
        _ => format!("\"{}\"", column.name),
    });
    let names: Vec<String> = ["_source".to_owned(), "_line".to_owned()]
        .into_iter()
        .chain(columns.iter().map(|column| column.name.clone()))
        .collect();
    let list: Vec<String> = ["_source".to_owned(), "_line".to_owned()].into_iter().chain(list).collect();
    let sql = format!("SELECT {} FROM events.\"{event}\"", list.join(", "));
    let rows = stack.try_fields(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let row = |row: Vec<Field>| names.iter().cloned().zip(row).filter(|(_, field)| !is_null(field)).collect();
    rows.into_iter().map(row).collect()
}

struct Check<'a> {
    columns: &'a [Column],
    row: &'a BTreeMap<String, Field>,
    found: BTreeSet<&'a str>,
}

impl Check<'_> {
    fn record(&mut self, record: &Value) {
        let mut covered = false;
        if let Some(whole) = self.row.get("_record") {
            let mut whole = parsed(&text(whole));
            whole.as_object_mut().expect("an object").remove("_lr");
            assert!(same(&whole, record), "_record is {whole} and was {record}");
            self.found.insert("_record");
            covered = true;
        }
        for (key, value) in record.as_object().expect("an object") {
            self.value(&mut vec![key.clone()], value, covered);
        }
    }

    fn value(&mut self, path: &mut Vec<String>, value: &Value, covered: bool) {
        let columns: Vec<&Column> = self.columns.iter().filter(|column| column.path == *path).collect();
        let mut holders = columns.iter().filter(|column| self.row.contains_key(&column.name));
        let holder = holders.next();
        assert!(holders.next().is_none(), "{path:?} {value} is in two columns");
        if let Some(holder) = holder {
            let held = &self.row[&holder.name];
            assert!(holds(&holder.kind, held, value), "{path:?}: column {} holds {held:?} for {value}", holder.name);
            self.found.insert(&holder.name);
            // A variant holds only what does not fit.
            let base = columns.iter().find(|column| column.variant_of.is_none());
            if let (Some(base), Some(_)) = (base, &holder.variant_of) {
                assert!(!would_fit(&base.kind, value), "{path:?}: {value} would have fitted {}", base.name);
            }
        }
        match value {
            Value::Object(keys) => {
                for (key, below) in keys {
                    path.push(key.clone());
                    self.value(path, below, covered || holder.is_some());
                    path.pop();
                }
            }
            Value::Null => {}
            value => assert!(holder.is_some() || covered, "{path:?}: {value} is nowhere in {:?}", self.row),
        }
    }
}

/// Whether the column's field is the record's value.
fn holds(kind: &str, field: &Field, value: &Value) -> bool {
    match (kind, value) {
        ("super", value) => same(&parsed(&text(field)), value),
        ("boolean", Value::Bool(value)) => matches!(field, Field::BooleanValue(held) if held == value),
        ("varchar", Value::String(value)) => !value.starts_with(NUMBER) && text(field) == *value,
        ("timestamp", Value::String(value)) => {
            let held = text(field).replacen(' ', "T", 1).replacen("+00", "Z", 1);
            OffsetDateTime::parse(&held, &Rfc3339).expect("a time")
                == OffsetDateTime::parse(value, &Rfc3339).expect("a time")
        }
        ("number", value) => number_text(value) == Some(text(field)),
        ("date", Value::String(value)) => text(field) == *value,
        (kind, value) if kind.starts_with("decimal") => same_number(&text(field), value),
        ("bigint" | "integer" | "smallint", value) => {
            matches!(field, Field::LongValue(held) if same_number(&held.to_string(), value))
        }
        ("double", value) => matches!(field, Field::DoubleValue(held) if same_number(&held.to_string(), value)),
        _ => false,
    }
}

fn would_fit(kind: &str, value: &Value) -> bool {
    let Some(number) = number_text(value) else { return kind == "boolean" && value.is_boolean() };
    match kind {
        "bigint" => number.parse::<i64>().is_ok(),
        "integer" => number.parse::<i32>().is_ok(),
        "smallint" => number.parse::<i16>().is_ok(),
        "decimal(8,2)" => {
            let (_, digits, exponent) = decimal(&number);
            exponent >= -2 && digits.len() as i64 + exponent <= 6 && !number.contains(['e', 'E'])
        }
        "double" => match number.parse::<i128>() {
            Ok(integer) => integer.unsigned_abs() <= 1 << 53,
            Err(_) => {
                number.parse().is_ok_and(|n: f64| (n.is_normal() || n == 0.0) && same_number(&n.to_string(), value))
            }
        },
        "number" => true,
        _ => false,
    }
}

/// `serde_json` reads no deeper; of what is deeper only the rows are counted.
const LEVELS_MAX: i32 = 120;

/// At least as many as there are: brackets in strings count too.
fn levels(json: &str) -> i32 {
    let step = |b| i32::from(matches!(b, b'{' | b'[')) - i32::from(matches!(b, b'}' | b']'));
    json.bytes()
        .scan(0, |open, b| {
            *open += step(b);
            Some(*open)
        })
        .max()
        .unwrap_or(0)
}

/// JSON with all digits of its numbers.
fn parsed(json: &str) -> Value {
    let (mut out, mut rest) = (String::new(), json);
    let number = |b: char| b.is_ascii_digit() || matches!(b, '-' | '+' | '.' | 'e' | 'E');
    while let Some(first) = rest.chars().next() {
        let length = if first == '"' {
            let mut escaped = false;
            let end = rest[1..].char_indices().find(|(_, c)| {
                let ends = *c == '"' && !escaped;
                escaped = *c == '\\' && !escaped;
                ends
            });
            end.expect("a string ends").0 + 2
        } else if first == '-' || first.is_ascii_digit() {
            let end = rest.find(|c| !number(c)).unwrap_or(rest.len());
            out.push_str(&serde_json::to_string(&format!("{NUMBER}{}", &rest[..end])).expect("a text"));
            rest = &rest[end..];
            continue;
        } else {
            first.len_utf8()
        };
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn number_text(value: &Value) -> Option<String> {
    value.as_str()?.strip_prefix(NUMBER).map(str::to_owned)
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b || number_text(a).is_some_and(|a| same_number(&a, b)),
    }
}

fn same_number(text: &str, value: &Value) -> bool {
    number_text(value).is_some_and(|other| decimal(text) == decimal(&other))
}

/// Sign, digits without zeros at either end, and the power of ten of the last one.
fn decimal(text: &str) -> (bool, String, i64) {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let mut exponent: i64 = exponent.trim_start_matches('+').parse().expect("an exponent");
    let negative = mantissa.starts_with('-');
    let (whole, fraction) =
        mantissa.trim_start_matches('-').split_once('.').unwrap_or((mantissa.trim_start_matches('-'), ""));
    exponent -= fraction.len() as i64;
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let kept = digits.trim_end_matches('0');
    if kept.is_empty() {
        return (false, String::new(), 0);
    }
    (negative, kept.to_owned(), exponent + (digits.len() - kept.len()) as i64)
}

fn is_null(field: &Field) -> bool {
    matches!(field, Field::IsNull(_))
}

fn text(field: &Field) -> String {
    field.as_string_value().unwrap_or_else(|_| panic!("{field:?} is no text")).clone()
}

fn number(field: &Field) -> i64 {
    *field.as_long_value().unwrap_or_else(|_| panic!("{field:?} is no number"))
}

#[test]
fn the_check_itself_tells_values_apart() {
    let value = |json: &str| parsed(json);
    assert!(same(&value("[1.10, \"a\\\"1\"]"), &value("[1.1,\"a\\\"1\"]")));
    assert!(!same(&value("9007199254740993"), &value("9007199254740992")));
    assert!(!same(&value("1"), &value("\"1\"")) && !same(&value("{\"a\":1}"), &value("{\"a\":1,\"b\":null}")));
    assert!(holds("double", &Field::DoubleValue(0.1), &value("1e-1")));
    assert!(!holds("double", &Field::DoubleValue(9_007_199_254_740_993.0), &value("9007199254740993")));
    let at = Field::StringValue("2025-06-01 07:30:00.5+00".to_owned());
    assert!(holds("timestamp", &at, &value("\"2025-06-01T09:30:00.500+02:00\"")));
    assert!(!holds("timestamp", &at, &value("\"2025-06-01T09:30:00.501+02:00\"")));
    assert!(would_fit("double", &value("0.5")) && !would_fit("double", &value("0.30000000000000005")));
    assert!(!would_fit("bigint", &value("0.5")) && !would_fit("bigint", &value("\"1\"")));
}
