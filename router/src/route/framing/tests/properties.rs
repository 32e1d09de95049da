//! What holds for any records in any framing, whole or damaged.

use super::*;
use crate::route::decode::decode;
use proptest::prelude::*;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// Strings full of what framing looks for.
fn text() -> impl Strategy<Value = String> {
    "[a{}\\[\\],:\"\\\\\n \u{e9}]{0,8}"
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((text(), inner), 0..3).prop_map(object),
        ]
    })
}

fn object(members: Vec<(String, Value)>) -> Value {
    Value::Object(members.into_iter().collect::<Map<_, _>>())
}

/// A record: an object with an event type. So is anything nested in it that could be taken for one.
fn records() -> impl Strategy<Value = Vec<Value>> {
    let nested = (text(), prop::collection::vec(value().prop_map(with_event), 0..3));
    let record = (prop::collection::vec((text(), value()), 0..3), nested).prop_map(|(mut members, (key, nested))| {
        members.push((key, Value::from(nested)));
        with_event(object(members))
    });
    prop::collection::vec(record, 2..8)
}

fn with_event(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.insert("event".to_owned(), "e".into());
    }
    value
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Lines,
    Concatenated,
    Pretty,
    Array,
    ArrayOfLines,
    PrettyArray,
    Envelope,
}

const WAYS: [Way; 7] =
    [Way::Lines, Way::Concatenated, Way::Pretty, Way::Array, Way::ArrayOfLines, Way::PrettyArray, Way::Envelope];

impl Way {
    fn unwrap(self) -> Option<&'static str> {
        matches!(self, Way::Envelope).then_some("/a/Records")
    }

    /// The object, and each record as it stands in it.
    fn write(self, records: &[Value]) -> (String, Vec<String>) {
        let compact: Vec<String> = records.iter().map(Value::to_string).collect();
        let pretty: Vec<String> = records.iter().map(|r| serde_json::to_string_pretty(r).unwrap()).collect();
        let deeper: Vec<String> = pretty.iter().map(|r| r.replace('\n', "\n  ")).collect();
        match self {
            Way::Lines => (compact.join("\n"), compact),
            Way::Concatenated => (compact.concat(), compact),
            Way::Pretty => (pretty.join("\n"), pretty),
            Way::Array => (format!("[{}]", compact.join(",")), compact),
            Way::ArrayOfLines => (format!("[\n{}\n]\n", compact.join(",\n")), compact),
            Way::PrettyArray => (format!("[\n  {}\n]", deeper.join(",\n  ")), deeper),
            Way::Envelope => {
                let (first, second) = compact.split_at(compact.len() / 2);
                let envelope =
                    |part: &[String]| format!(r#"{{"b":[1],"a":{{"Records":[{}],"x":"]"}}}}"#, part.join(","));
                (format!("{}\n{}", envelope(first), envelope(second)), compact)
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Codec {
    Plain,
    Gzip,
    Zstd,
    Bzip2,
}

impl Codec {
    /// Two streams, cut anywhere.
    fn write(self, text: &[u8], cut: usize) -> Vec<u8> {
        let (a, b) = text.split_at(cut.min(text.len()));
        [self.stream(a), self.stream(b)].concat()
    }

    fn stream(self, text: &[u8]) -> Vec<u8> {
        match self {
            Codec::Plain => text.to_vec(),
            Codec::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            Codec::Zstd => zstd::encode_all(text, 1).unwrap(),
            Codec::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
        }
    }
}

/// Texts of what would be routed: valid objects with an event type.
fn routed(found: &[Found]) -> Vec<&str> {
    let is_record = |text: &str| serde_json::from_str::<Value>(text).is_ok_and(|v| v.get("event").is_some());
    found.iter().filter(|f| f.fault.is_none() && is_record(&f.text)).map(|f| f.text.as_str()).collect()
}

/// Root values, and elements of a root array, that stand in the text before anything is wrong with it.
fn whole_values(text: &[u8], way: Way) -> BTreeSet<String> {
    let is_array = matches!(way, Way::Array | Way::ArrayOfLines | Way::PrettyArray);
    let mut found = BTreeSet::new();
    let mut from = if is_array { text.iter().position(|b| *b == b'[').map_or(0, |at| at + 1) } else { 0 };
    while from < text.len() {
        let mut stream = serde_json::Deserializer::from_slice(&text[from..]).into_iter::<serde::de::IgnoredAny>();
        if let Some(Ok(_)) = stream.next() {
            let end = from + stream.byte_offset();
            found.insert(String::from_utf8_lossy(&text[from..end]).trim().to_owned());
            from = end;
        } else if is_array && matches!(text[from], b',' | b' ' | b'\n') {
            from += 1;
        } else {
            break;
        }
    }
    found
}

proptest! {
    #[test]
    fn records_are_found_unchanged_in_every_framing_codec_and_chunk(
        records in records(), way in prop::sample::select(&WAYS[..]), cut in 0usize..2_000, step in 1usize..200,
        codec in prop::sample::select(&[Codec::Plain, Codec::Gzip, Codec::Zstd, Codec::Bzip2][..]),
    ) {
        let (text, expected) = way.write(&records);
        let stored = codec.write(text.as_bytes(), cut);
        let deadline = Instant::now() + Duration::from_secs(60);
        let decoded = decode(Dribble(&stored, step), u64::MAX, deadline).unwrap();
        let (found, offset) = frames_of(decoded, 100_000, way.unwrap());
        prop_assert_eq!(offset, text.len() as u64);
        let texts: Vec<(u64, String)> = found.into_iter().map(|f| (f.line, f.text)).collect();
        let expected: Vec<(u64, String)> = (1..).zip(expected).collect();
        prop_assert_eq!(texts, expected);
    }

    #[test]
    fn damage_costs_no_bytes_and_makes_no_records(
        records in records(), way in prop::sample::select(&WAYS[..]), step in 1usize..50,
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(any::<u8>())), 1..6),
    ) {
        let (text, expected) = way.write(&records);
        let mut text = text.into_bytes();
        let is_single = damage.len() == 1;
        for (at, byte) in damage {
            let at = at.index(text.len());
            match byte {
                Some(byte) => text[at] = byte,
                None => drop(text.remove(at)),
            }
        }
        let (found, offset) = frames_of(&text[..], 100_000, way.unwrap());
        prop_assert_eq!(offset, text.len() as u64);
        prop_assert_eq!(&frames_of(Dribble(&text, step), 100_000, way.unwrap()).0, &found);
        // Records are in order and share no byte; what is between them is punctuation of the framing.
        let mut end = 0;
        for (n, one) in found.iter().enumerate() {
            prop_assert!(one.offset as usize >= end, "{:?} overlaps", one);
            let gap = &text[end..one.offset as usize];
            let is_framing = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b',' | b'[' | b']');
            let mark = n == 0 && gap.starts_with(BYTE_ORDER_MARK);
            prop_assert!(way.unwrap().is_some() || mark || gap.iter().all(is_framing), "{:?} is lost", gap);
            end = one.offset as usize + one.bytes;
        }
        if is_single {
            let whole = whole_values(&text, way);
            for record in routed(&found) {
                let is_whole = whole.contains(record) || way.unwrap().is_some();
                prop_assert!(expected.iter().any(|e| e == record) || is_whole, "{} is made up", record);
            }
        }
    }
}
