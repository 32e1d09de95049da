//! Made-up records of a few shapes with small variations, some of them damaged.

use super::Choices;

/// Keys as they decode. Some are prefixes of others, some have 14 to 17 bytes with their quotes (the scanner compares
/// the first 16 at once), some can only be written with escapes, and one is longer than the scanner remembers.
const KEYS: [&str; 26] = [
    "event",
    "meta",
    "type",
    "list",
    "user",
    "a",
    "ab",
    "abc",
    "",
    "_lr",
    "_l",
    "0",
    "1",
    "abcdefghijkl",
    "abcdefghijklm",
    "abcdefghijklmn",
    "abcdefghijklmo",
    "abcdefghijklmno",
    "abcdefghijklmnx",
    "\u{e9}v\u{e9}nement",
    "\u{1f600}",
    "a/b",
    "q\"q",
    "tab\t",
    "7777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777x",
    "88888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888x",
];

const EVENT_TYPES: [&str; 7] = ["\"view\"", "\"View\"", "\"se\\u0061rch\"", "42", "null", "\"\"", "true"];

const LEAVES: [&str; 34] = [
    "1",
    "null",
    "true",
    "false",
    "\"\"",
    "\"text\"",
    "\"{[,:]}\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u00e9\u{e9}\\uD83D\\ude00\u{1f600}\"",
    "\"2025-06-01T09:00:00Z\"",
    "\"2025-06-01T09:00:00\\u005a\"",
    "\"2024-02-29T23:59:59.123456+05:30\"",
    "\"2025-02-29T09:00:00Z\"",
    "\"2025-06-01T09:00:00.1234567Z\"",
    "\"2025-06-01 09:00:00Z\"",
    "-0",
    "-0.0",
    "0e999",
    "9007199254740992",
    "9007199254740993",
    "-9223372036854775808",
    "9223372036854775808",
    "999999999999999",
    "1000000000000000",
    "123456789012345678901234567890",
    "1.10",
    "0.30000000000000004",
    "0.30000000000000005",
    "3.141592653589793238462643383279",
    "1E+2",
    "1e400",
    "5e-324",
    "2.2250738585072014e-308",
    "123456789.123456789",
];

/// What damage puts in the place of something else.
const DAMAGE: [&[u8]; 24] = [
    b"[",
    b"",
    b"{",
    b"]",
    b"}",
    b":",
    b",",
    b"\"",
    b"\\",
    b"1",
    b"01",
    b"null",
    b"nul",
    b"\"a\":",
    b"\"a\":1,",
    b"\"_lr\":1,",
    b"\"\\u0000\"",
    b"\"\\ud800\"",
    b"\"\\x\"",
    b"\x00",
    b"\x1f",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
];

/// What records of one shape have in common.
enum Shape {
    Leaf,
    Array(Box<Shape>),
    Object(Vec<(&'static str, Shape)>),
}

/// Records of up to three shapes, none of them blank, without white space around them. As long as `choices` last.
pub(in crate::route) fn sequence(choices: &mut Choices<'_>) -> Vec<Vec<u8>> {
    let shapes: Vec<Shape> = (0..=choices.below(3)).map(|_| object(choices, 0)).collect();
    let mut records = Vec::new();
    while choices.are_left() && records.len() < 40 {
        let mut record = Vec::new();
        match choices.below(20) {
            19 => value(&Shape::Array(Box::new(Shape::Leaf)), choices, &mut record),
            n => value(&shapes[n % shapes.len()], choices, &mut record),
        }
        if choices.below(5) == 4 {
            damage(choices, &mut record);
        }
        let record = record.trim_ascii();
        if !record.is_empty() {
            records.push(record.to_vec());
        }
    }
    records
}

fn shape(choices: &mut Choices<'_>, depth: usize) -> Shape {
    match choices.below(8) {
        5 if depth < 4 => Shape::Array(Box::new(shape(choices, depth + 1))),
        6 | 7 if depth < 4 => object(choices, depth + 1),
        _ => Shape::Leaf,
    }
}

fn object(choices: &mut Choices<'_>, depth: usize) -> Shape {
    let mut members: Vec<(&str, Shape)> = Vec::new();
    for _ in 0..choices.below(6) {
        let key = choices.of(&KEYS);
        if members.iter().all(|(known, _)| *known != key) && (depth > 0 || key != "_lr") {
            members.push((key, shape(choices, depth)));
        }
    }
    Shape::Object(members)
}

fn value(shape: &Shape, choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    // Now and then a value is another kind of value than the last time.
    let other = choices.below(24);
    match (shape, other) {
        (_, 21) => out.extend_from_slice(b"{\"a\":1,\"ab\":{}}"),
        (_, 22) => out.extend_from_slice(b"[{\"a\":{\"a\":1}},{\"a\":2},[{\"ab\":[]}]]"),
        (_, 23) | (Shape::Leaf, _) => out.extend_from_slice(choices.of(&LEAVES).as_bytes()),
        (Shape::Array(inner), _) => {
            out.push(b'[');
            for n in 0..choices.below(4) {
                out.extend_from_slice(if n > 0 { b"," } else { b"" });
                value(inner, choices, out);
                space(choices, out);
            }
            out.push(b']');
        }
        (Shape::Object(shapes), _) => members(shapes, choices, out),
    }
}

fn members(shapes: &[(&'static str, Shape)], choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    let mut order: Vec<usize> = (0..shapes.len()).collect();
    if !order.is_empty() && choices.one_in(6) {
        order.rotate_left(choices.below(shapes.len()));
    }
    out.push(b'{');
    let mut first = true;
    let mut begin = |choices: &mut Choices<'_>, out: &mut Vec<u8>, name: &str| {
        out.extend_from_slice(if std::mem::take(&mut first) { b"" } else { b"," });
        space(choices, out);
        key(name, choices, out);
        space(choices, out);
        out.push(b':');
        space(choices, out);
    };
    for (name, shape) in order.into_iter().map(|at| &shapes[at]) {
        let times = match choices.below(40) {
            36..=38 => 0,
            39 => 2,
            _ => 1,
        };
        for _ in 0..times {
            begin(choices, out, name);
            match *name {
                "event" | "type" if !choices.one_in(8) => out.extend_from_slice(choices.of(&EVENT_TYPES).as_bytes()),
                _ => value(shape, choices, out),
            }
        }
        if choices.one_in(40) {
            begin(choices, out, choices_key(shapes.len()));
            out.extend_from_slice(choices.of(&LEAVES).as_bytes());
        }
    }
    out.push(b'}');
}

/// A key for one more member: seldom one that the object has.
fn choices_key(n: usize) -> &'static str {
    KEYS[(n * 7 + 10) % KEYS.len()]
}

/// Writes a key, sometimes with an escape that it does not need.
fn key(name: &str, choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    let escaped = if choices.one_in(10) { choices.below(4) } else { usize::MAX };
    out.push(b'"');
    for (at, c) in name.chars().enumerate() {
        let needed = matches!(c, '"' | '\\' | '\0'..='\u{1f}');
        if at == escaped && c == '/' {
            out.extend_from_slice(b"\\/");
        } else if at == escaped || needed {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            }
        } else {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    out.push(b'"');
}

fn space(choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    if choices.one_in(16) {
        out.extend_from_slice(choices.of(&[" ", "\t", "\n", "\r\n", "                    "]).as_bytes());
    }
}

/// Replaces a byte, a mark of the grammar, a whole string or the end.
fn damage(choices: &mut Choices<'_>, record: &mut Vec<u8>) {
    if record.is_empty() {
        return;
    }
    let new = choices.of(&DAMAGE);
    let is_mark = |at: &usize| matches!(record[*at], b'{' | b'}' | b'[' | b']' | b':' | b',' | b'"');
    let marks: Vec<usize> = (0..record.len()).filter(is_mark).collect();
    let at = if marks.is_empty() || choices.one_in(4) { choices.below(record.len()) } else { choices.of(&marks) };
    let to_quote = |from: usize| record[from..].iter().position(|b| *b == b'"').map_or(record.len(), |n| from + n + 1);
    let range = match choices.below(4) {
        0 => at..to_quote(at + 1),
        1 => at..at + 1,
        2 => at..at,
        _ => at..record.len(),
    };
    record.splice(range, new.iter().copied());
}
