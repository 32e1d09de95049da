//! One record as its line in a part has it: which key leads to which value, of which type, and where its text stands. Pure.
//!
//! Reads what the router wrote, one JSON object in a line; anything else is an error, never a guess. Objects are taken
//! apart as far as sketches go, arrays and what is deeper stay text.

use common::sketch::{SKETCH_DEPTH_MAX, SketchNode, Types};
use common::value_type::{is_timestamp, of_number};
use std::borrow::Cow;
use std::ops::Range;

/// A value in its record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Value<'r> {
    /// Exactly one.
    pub(crate) types: Types,
    /// A string's decoded length.
    pub(crate) max_bytes: u32,
    /// As it is written.
    pub(crate) text: &'r [u8],
    /// Where its text stands in the record.
    pub(crate) place: Range<usize>,
    /// An object's keys, in the record's order.
    pub(crate) keys: Vec<(Cow<'r, str>, Value<'r>)>,
    /// An object that too many keys lead to: it is one value, its keys are not told.
    pub(crate) is_whole: bool,
}

/// A record, and how deep its values are nested.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record<'r> {
    pub(crate) root: Value<'r>,
    pub(crate) levels: usize,
}

/// A line that is no record of the router's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line of it is no record: {what} at byte {at}")]
pub(crate) struct NotARecord {
    at: usize,
    what: &'static str,
}

impl From<NotARecord> for std::io::Error {
    fn from(error: NotARecord) -> Self {
        std::io::Error::new(std::io::ErrorKind::InvalidData, error)
    }
}

impl<'r> Record<'r> {
    /// Reads a line.
    pub(crate) fn read(line: &'r [u8]) -> Result<Self, NotARecord> {
        let mut reader = Reader { line, at: 0, levels: 0 };
        reader.skip_space();
        if line.get(reader.at) != Some(&b'{') {
            return Err(reader.wrong("expected an object"));
        }
        let root = reader.value(0)?;
        reader.skip_space();
        match reader.at == line.len() {
            true => Ok(Self { root, levels: reader.levels }),
            false => Err(reader.wrong("something follows the object")),
        }
    }
}

impl Value<'_> {
    /// The sketch of a part that holds this one value.
    pub(crate) fn sketch(&self) -> SketchNode {
        SketchNode {
            types: self.types,
            max_bytes: self.max_bytes,
            keys: self.keys.iter().map(|(key, value)| (key.to_string(), value.sketch())).collect(),
            collapsed: self.is_whole,
        }
    }
}

struct Reader<'r> {
    line: &'r [u8],
    at: usize,
    levels: usize,
}

impl<'r> Reader<'r> {
    fn wrong(&self, what: &'static str) -> NotARecord {
        NotARecord { at: self.at, what }
    }

    fn skip_space(&mut self) {
        let space = self.line[self.at..].iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += space;
    }

    /// The value that starts here; `depth` keys lead to it.
    fn value(&mut self, depth: usize) -> Result<Value<'r>, NotARecord> {
        let from = self.at;
        let mut value =
            Value { types: Types::NULL, max_bytes: 0, text: b"", place: from..from, keys: Vec::new(), is_whole: false };
        match self.line.get(from) {
            Some(b'"') => {
                let (text, is_escaped) = self.string()?;
                value.types = if is_timestamp(text) { Types::TIMESTAMP } else { Types::STRING };
                value.max_bytes = if is_escaped { self.decoded(from)?.len() as u32 } else { text.len() as u32 };
            }
            Some(b'{') if depth < SKETCH_DEPTH_MAX => {
                value.types = Types::OBJECT;
                value.keys = self.members(depth)?;
            }
            Some(b @ (b'{' | b'[')) => {
                value.types = if *b == b'{' { Types::OBJECT } else { Types::ARRAY };
                value.is_whole = *b == b'{';
                self.skip_nested(depth)?;
            }
            Some(b'-' | b'0'..=b'9') => {
                let digits = |b: &&u8| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                self.at += self.line[from..].iter().take_while(digits).count();
                value.types = of_number(&self.line[from..self.at]);
            }
            Some(b't') => value.types = self.word(b"true", Types::BOOLEAN)?,
            Some(b'f') => value.types = self.word(b"false", Types::BOOLEAN)?,
            Some(b'n') => value.types = self.word(b"null", Types::NULL)?,
            _ => return Err(self.wrong("expected a value")),
        }
        value.place.end = self.at;
        value.text = &self.line[value.place.clone()];
        Ok(value)
    }

    fn word(&mut self, word: &[u8], types: Types) -> Result<Types, NotARecord> {
        if !self.line[self.at..].starts_with(word) {
            return Err(self.wrong("expected a value"));
        }
        self.at += word.len();
        Ok(types)
    }

    /// The text between the quotes, as written, and whether there are escapes in it.
    fn string(&mut self) -> Result<(&'r [u8], bool), NotARecord> {
        let from = self.at + 1;
        let (mut at, mut is_escaped) = (from, false);
        loop {
            match self.line.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    is_escaped = true;
                    at += 2;
                }
                Some(_) => at += 1,
                None => return Err(self.wrong("a string without an end")),
            }
        }
        self.at = at + 1;
        Ok((&self.line[from..at], is_escaped))
    }

    /// What the string just read, which started at `from`, stands for.
    fn decoded(&self, from: usize) -> Result<String, NotARecord> {
        let what = "a string with a wrong escape";
        serde_json::from_slice(&self.line[from..self.at]).map_err(|_| NotARecord { at: from, what })
    }

    fn members(&mut self, depth: usize) -> Result<Vec<(Cow<'r, str>, Value<'r>)>, NotARecord> {
        let mut members = Vec::new();
        self.levels = self.levels.max(depth + 1);
        self.at += 1;
        self.skip_space();
        if self.line.get(self.at) == Some(&b'}') {
            self.at += 1;
            return Ok(members);
        }
        loop {
            if self.line.get(self.at) != Some(&b'"') {
                return Err(self.wrong("expected a key"));
            }
            let from = self.at;
            let (text, is_escaped) = self.string()?;
            let key = match is_escaped {
                true => Cow::Owned(self.decoded(from)?),
                false => Cow::Borrowed(std::str::from_utf8(text).map_err(|_| self.wrong("a key that is no UTF-8"))?),
            };
            self.skip_space();
            if self.line.get(self.at) != Some(&b':') {
                return Err(self.wrong("expected ':'"));
            }
            self.at += 1;
            self.skip_space();
            members.push((key, self.value(depth + 1)?));
            self.skip_space();
            self.at += 1;
            match self.line.get(self.at - 1) {
                Some(b',') => self.skip_space(),
                Some(b'}') => return Ok(members),
                _ => return Err(self.wrong("expected ',' or '}'")),
            }
        }
    }

    /// Over an array or object, however deep, without looking into it.
    fn skip_nested(&mut self, depth: usize) -> Result<(), NotARecord> {
        let mut open = 0;
        loop {
            match self.line.get(self.at) {
                Some(b'"') => {
                    self.string()?;
                    continue;
                }
                Some(b'{' | b'[') => open += 1,
                Some(b'}' | b']') => open -= 1,
                Some(_) => {}
                None => return Err(self.wrong("an array or object without an end")),
            }
            self.at += 1;
            self.levels = self.levels.max(depth + open);
            if open == 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'r>(line: &'r str, value: &Value<'_>) -> &'r str {
        &line[value.place.clone()]
    }

    #[test]
    fn every_value_is_found_with_its_type_and_text() {
        let line = r#" { "a" : 1 ,"b":{"c":[{"x":"]"}], "d":"2025-06-01T09:00:00Z"},"e\u0301":"\u00e9\"","f":null,"g":-1.5e3}"#;
        let record = Record::read(line.as_bytes()).unwrap();
        let [a, b, e, f, g] = &record.root.keys[..] else { panic!("five keys") };
        assert_eq!((&*a.0, a.1.types, text(line, &a.1)), ("a", Types::INTEGER, "1"));
        let [c, d] = &b.1.keys[..] else { panic!("two keys") };
        assert_eq!((&*c.0, c.1.types, text(line, &c.1)), ("c", Types::ARRAY, r#"[{"x":"]"}]"#));
        assert_eq!((d.1.types, d.1.max_bytes), (Types::TIMESTAMP, 20));
        assert_eq!(
            (&*e.0, e.1.types, e.1.max_bytes, text(line, &e.1)),
            ("e\u{301}", Types::STRING, 3, r#""\u00e9\"""#)
        );
        assert_eq!((f.1.types, g.1.types, text(line, &g.1)), (Types::NULL, Types::DECIMAL, "-1.5e3"));
        assert_eq!(record.levels, 4, "the record, b, c, and the object in it");
    }

    #[test]
    fn what_sketches_do_not_look_into_stays_whole() {
        let nested = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        let line = nested(900);
        let record = Record::read(line.as_bytes()).unwrap();
        assert_eq!(record.levels, 900);
        let deepest = (0..SKETCH_DEPTH_MAX).fold(&record.root, |value, _| &value.keys[0].1);
        assert!(deepest.is_whole && deepest.keys.is_empty() && deepest.types == Types::OBJECT);
        assert_eq!(text(&line, deepest), nested(900 - SKETCH_DEPTH_MAX));
    }

    #[test]
    fn a_line_that_is_no_record_is_refused() {
        for line in ["", "[]", "{", r#"{"a"}"#, r#"{"a":1"#, r#"{"a":1}{"#, r#"{"a":x}"#, r#"{"a":"x}"#, r#"{"a":[1}"#]
        {
            assert!(Record::read(line.as_bytes()).is_err(), "{line}");
        }
    }
}
