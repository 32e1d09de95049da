//! The reference: what a record is and holds, read by `serde_json` and without a care for speed.
//!
//! It asks `serde_json` twice. `IgnoredAny` decides the grammar, numbers beyond any f64 included; the tree comes from a
//! visitor that keeps members in their order, doubled keys too.

use crate::route::scan::STRING_MAX_BYTES;
use common::quarantine::Reason;
use common::sketch::{Sketch, SketchNode, Types};
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A JSON value.
#[derive(Debug)]
pub(in crate::route) enum Node {
    Null,
    Boolean,
    /// As written.
    Number(String),
    /// Decoded, and whether it was written with escapes.
    Text(String, bool),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// Reads a record, or says for which reasons it may be refused: more than one only where `serde_json` does not say
/// which fault of one string comes first.
pub(in crate::route) fn read(record: &[u8]) -> Result<Node, Vec<Reason>> {
    let Ok(text) = std::str::from_utf8(record) else { return Err(vec![Reason::InvalidUtf8]) };
    let is_json = serde_json::from_slice::<IgnoredAny>(record).is_ok();
    let (text, numbers) = if is_json { without_numbers(text) } else { (text.to_owned(), VecDeque::new()) };
    let seen = Seen { numbers: RefCell::new(numbers), fault: RefCell::new(None) };
    let mut deserializer = serde_json::Deserializer::from_str(&text);
    let tree = Value { seen: &seen, depth: 0 }.deserialize(&mut deserializer);
    let tree = tree.and_then(|tree| deserializer.end().map(|()| tree));
    if let Some(fault) = seen.fault.into_inner() {
        return Err(vec![fault]);
    }
    match tree {
        Ok(Node::Object(members)) => Ok(Node::Object(members)),
        Ok(_) => Err(vec![Reason::NotAnObject]),
        Err(error) => Err(reasons(&error.to_string(), &text, is_json)),
    }
}

fn reasons(error: &str, text: &str, is_json: bool) -> Vec<Reason> {
    assert!(!error.contains("recursion"), "made-up records are not that deep");
    if !is_json && error.contains("out of range") {
        return Reason::ALL.to_vec();
    }
    let is_surrogate = error.contains("surrogate") || error.contains("hex escape");
    let mut reasons = vec![if is_surrogate { Reason::InvalidUtf8 } else { Reason::NotJson }];
    let lower = text.to_lowercase();
    let possible = [("\\u0000", Reason::NulCharacter), ("\\ud", Reason::InvalidUtf8)];
    reasons.extend(possible.iter().filter(|(mark, _)| lower.contains(mark)).map(|(_, reason)| reason));
    assert!(is_surrogate || !is_json, "serde_json contradicts itself: {error}");
    reasons
}

/// The text of a valid document with 0 for every number, and the numbers in their order.
fn without_numbers(text: &str) -> (String, VecDeque<String>) {
    let (mut out, mut numbers) = (String::new(), VecDeque::new());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_length(rest),
            '-' | '0'..='9' => {
                rest.find(|c| !matches!(c, '+' | '-' | '.' | 'e' | 'E' | '0'..='9')).unwrap_or(rest.len())
            }
            _ => first.len_utf8(),
        };
        let (token, behind) = rest.split_at(length);
        if matches!(first, '-' | '0'..='9') {
            numbers.push_back(token.to_owned());
            out.push('0');
        } else {
            out.push_str(token);
        }
        rest = behind;
    }
    (out, numbers)
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let is_end = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        is_end
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

struct Seen {
    numbers: RefCell<VecDeque<String>>,
    /// The first one; a key that comes twice counts where its object ends.
    fault: RefCell<Option<Reason>>,
}

impl Seen {
    fn fault(&self, is_fault: bool, reason: Reason) {
        if is_fault {
            self.fault.borrow_mut().get_or_insert(reason);
        }
    }

    fn number(&self) -> Node {
        let number = self.numbers.borrow_mut().pop_front().unwrap_or_default();
        self.fault(number.len() > STRING_MAX_BYTES, Reason::StringTooLong);
        Node::Number(number)
    }

    fn text(&self, text: &str, escaped: bool) -> Node {
        self.fault(text.contains('\0'), Reason::NulCharacter);
        self.fault(text.len() > STRING_MAX_BYTES, Reason::StringTooLong);
        Node::Text(text.to_owned(), escaped)
    }
}

#[derive(Clone, Copy)]
struct Value<'a> {
    seen: &'a Seen,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Node;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Boolean)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Node, E> {
        Ok(self.seen.number())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Node, E> {
        Ok(self.seen.number())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Node, E> {
        Ok(self.seen.number())
    }

    /// `serde_json` borrows what has no escapes.
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Node, E> {
        Ok(self.seen.text(text, false))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(self.seen.text(text, true))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Node, A::Error> {
        let inner = Value { depth: self.depth + 1, ..self };
        let mut all = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            all.push(element);
        }
        Ok(Node::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let inner = Value { depth: self.depth + 1, ..self };
        let mut all: Vec<(String, Node)> = Vec::new();
        let mut keys = BTreeSet::new();
        let mut twice = false;
        while let Some(key) = members.next_key::<String>()? {
            self.seen.text(&key, false);
            self.seen.fault(self.depth == 0 && key == "_lr", Reason::ReservedKey);
            twice |= !keys.insert(key.clone());
            all.push((key, members.next_value_seed(inner)?));
        }
        self.seen.fault(twice, Reason::DuplicateKey);
        Ok(Node::Object(all))
    }
}

impl Node {
    fn at(&self, pointer: &str) -> Option<&Node> {
        pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).try_fold(
            self,
            |node, token| match node {
                Node::Object(members) => members.iter().find(|(key, _)| *key == token).map(|(_, value)| value),
                Node::Array(elements) => {
                    elements.iter().enumerate().find(|(n, _)| n.to_string() == token).map(|(_, value)| value)
                }
                _ => None,
            },
        )
    }

    /// What a pointer leads to: a string, or an integer's digits.
    pub(in crate::route) fn word(&self, pointer: &str) -> Option<String> {
        match self.at(pointer)? {
            Node::Text(text, _) => Some(text.clone()),
            Node::Number(number) if is_integer(number) => Some(number.clone()),
            _ => None,
        }
    }

    /// The event type; without one, whether a pointer leads to anything but null.
    pub(in crate::route) fn event_type(&self, pointers: &[&str]) -> Result<String, bool> {
        let words = pointers.iter().filter_map(|pointer| self.word(pointer));
        let is_there = |pointer: &&str| self.at(pointer).is_some_and(|node| !matches!(node, Node::Null));
        words.into_iter().find(|word| !word.is_empty()).ok_or_else(|| pointers.iter().any(is_there))
    }

    pub(in crate::route) fn sketch(&self) -> Sketch {
        let (types, max_bytes) = match self {
            Node::Null => (Types::NULL, 0),
            Node::Boolean => (Types::BOOLEAN, 0),
            Node::Number(number) => (types_of_number(number), 0),
            Node::Text(text, escaped) => {
                let is_timestamp = !escaped && is_timestamp(text);
                (if is_timestamp { Types::TIMESTAMP } else { Types::STRING }, text.len() as u32)
            }
            Node::Array(_) => (Types::ARRAY, 0),
            Node::Object(_) => (Types::OBJECT, 0),
        };
        let mut sketch = SketchNode { types, max_bytes, ..SketchNode::default() };
        if let Node::Object(members) = self {
            sketch.keys = members.iter().map(|(key, value)| (key.clone(), value.sketch())).collect();
        }
        sketch
    }
}

fn is_integer(number: &str) -> bool {
    !number.contains(['.', 'e', 'E'])
}

fn types_of_number(number: &str) -> Types {
    if is_integer(number) {
        return match number.parse::<i128>() {
            Ok(n) if n.abs() <= 1 << 53 => Types::INTEGER,
            Ok(n) if i64::try_from(n).is_ok() => Types::BIGINT,
            _ => Types::HUGE_INTEGER,
        };
    }
    let written = digits_and_exponent(number);
    let kept = number.parse::<f64>().ok().filter(|n| n.is_normal()).map(|n| digits_and_exponent(&format!("{n:e}")));
    if written.0.is_empty() || kept == Some(written) { Types::DECIMAL } else { Types::LONG_DECIMAL }
}

/// A number without its sign: the digits from the first that is not 0 to the last, and the power of ten of the last.
fn digits_and_exponent(number: &str) -> (String, i64) {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
    let kept = digits.trim_end_matches('0');
    let exponent = exponent.parse::<i64>().expect("exponents here are short");
    (kept.trim_start_matches('0').to_owned(), exponent - fraction.len() as i64 + (digits.len() - kept.len()) as i64)
}

/// The `time` crate knows the calendar; the rest is what TIMESTAMPTZ keeps.
fn is_timestamp(text: &str) -> bool {
    let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) else { return false };
    let fraction =
        text.split_once('.').map_or(0, |(_, behind)| behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(0));
    let is_leap_second = text.get(17..19) == Some("60");
    let is_upper = text.contains('T') && !text.contains(['t', 'z']);
    let offset = at.offset().whole_minutes().abs();
    is_upper && !is_leap_second && fraction <= 6 && offset < 15 * 60 && !text.starts_with("0000")
}
