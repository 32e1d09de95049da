//! Where one JSON value ends, and where its structure breaks: brackets and strings only.
//!
//! A state machine that takes bytes in any chunks, without recursion and with one bit per open bracket. It is no
//! validator: literals, numbers, duplicate keys and UTF-8 are the scanner's verdicts on the one record.

use memchr::memchr3;

/// Brackets counted; what opens more is broken. Far above what the scanner accepts, so that depth costs its record only.
const DEPTH_COUNTED: usize = 1 << 20;

/// Bytes of a string looked at one by one: most strings are shorter than a call of memchr is worth.
const SHORT_STRING: usize = 16;

/// How far a value reaches into the bytes given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// All of them belong to it, and more may.
    More,
    /// It ends before byte `at`. Not `clean`: its last bracket closes where a value or a colon was due.
    Ended { at: usize, clean: bool },
    /// Byte `at` cannot stand where it does.
    Broken { at: usize },
}

/// What the last token was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Nothing,
    Open,
    Close,
    Comma,
    Colon,
    Key,
    Text,
    Scalar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Between,
    InString,
    BehindBackslash,
}

/// The finder, reusable.
#[derive(Debug)]
pub(super) struct Boundary {
    /// One bit for each open bracket, set for objects.
    open: Vec<u64>,
    depth: usize,
    in_object: bool,
    last: Token,
    place: Place,
}

impl Boundary {
    pub(super) fn new() -> Self {
        Self { open: Vec::new(), depth: 0, in_object: false, last: Token::Nothing, place: Place::Between }
    }

    /// Starts anew: the next byte fed is the first one of a value, or white space before it.
    pub(super) fn begin(&mut self) {
        self.open.clear();
        self.depth = 0;
        self.in_object = false;
        self.last = Token::Nothing;
        self.place = Place::Between;
    }

    /// Takes the next bytes of the value.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Step {
        let mut at = 0;
        while at < bytes.len() {
            match self.place {
                Place::Between => {
                    if let Some(step) = self.between(bytes, &mut at) {
                        return step;
                    }
                }
                Place::BehindBackslash => {
                    if bytes[at] == b'\n' {
                        return Step::Broken { at };
                    }
                    self.place = Place::InString;
                    at += 1;
                }
                Place::InString => {
                    let Some(special) = string_special(bytes, at) else { return Step::More };
                    at = special + 1;
                    match bytes[special] {
                        b'"' => {
                            self.place = Place::Between;
                            if self.depth == 0 {
                                return Step::Ended { at, clean: true };
                            }
                        }
                        b'\\' => self.place = Place::BehindBackslash,
                        // JSON has no raw line break in a string: a record was cut here.
                        _ => return Step::Broken { at: special },
                    }
                }
            }
        }
        Step::More
    }

    /// Goes on outside strings, up to the next string.
    fn between(&mut self, bytes: &[u8], at: &mut usize) -> Option<Step> {
        while let Some(&byte) = bytes.get(*at) {
            let here = *at;
            match byte {
                b'"' => {
                    self.last = match self.last {
                        Token::Open | Token::Comma if self.in_object => Token::Key,
                        Token::Nothing | Token::Colon | Token::Open | Token::Comma => Token::Text,
                        _ => return Some(self.stop(here)),
                    };
                    self.place = Place::InString;
                    *at += 1;
                    return None;
                }
                b'{' | b'[' => {
                    let allowed = match self.last {
                        Token::Nothing | Token::Colon => true,
                        Token::Open | Token::Comma => !self.in_object,
                        _ => false,
                    };
                    if !allowed || self.depth == DEPTH_COUNTED {
                        return Some(self.stop(here));
                    }
                    self.push(byte == b'{');
                }
                b'}' | b']' => {
                    if self.depth == 0 || self.in_object != (byte == b'}') {
                        return Some(self.stop(here));
                    }
                    let clean = !matches!(self.last, Token::Key | Token::Colon);
                    self.pop();
                    if self.depth == 0 {
                        return Some(Step::Ended { at: here + 1, clean });
                    }
                }
                b',' | b':' => {
                    if self.depth == 0 {
                        return Some(self.stop(here));
                    }
                    self.last = if byte == b',' { Token::Comma } else { Token::Colon };
                }
                b' ' | b'\t' | b'\r' | b'\n' => {
                    if self.depth == 0 && self.last == Token::Scalar {
                        return Some(self.stop(here));
                    }
                }
                _ => self.last = Token::Scalar,
            }
            *at += 1;
        }
        None
    }

    /// What cannot go on at `at`: a number or word ends there, anything else is broken.
    fn stop(&self, at: usize) -> Step {
        match self.depth == 0 && self.last == Token::Scalar {
            true => Step::Ended { at, clean: true },
            false => Step::Broken { at },
        }
    }

    fn push(&mut self, is_object: bool) {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if word == self.open.len() {
            self.open.push(0);
        }
        self.open[word] = self.open[word] & !(1 << bit) | (u64::from(is_object) << bit);
        self.depth += 1;
        self.in_object = is_object;
        self.last = Token::Open;
    }

    fn pop(&mut self) {
        self.depth -= 1;
        let above = self.depth.wrapping_sub(1);
        self.in_object = self.depth > 0 && self.open[above / 64] >> (above % 64) & 1 == 1;
        self.last = Token::Close;
    }
}

/// The next byte of a string that is not simply part of it.
fn string_special(bytes: &[u8], from: usize) -> Option<usize> {
    let near = bytes.len().min(from + SHORT_STRING);
    let is_special = |b: &u8| matches!(b, b'"' | b'\\' | b'\n');
    let found = bytes[from..near].iter().position(is_special).map(|n| from + n);
    found.or_else(|| memchr3(b'"', b'\\', b'\n', &bytes[near..]).map(|n| near + n))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(text: &str) -> Step {
        let whole = Boundary::new().feed(text.as_bytes());
        let mut bytewise = Boundary::new();
        for (n, byte) in text.bytes().enumerate() {
            let found = match bytewise.feed(&[byte]) {
                Step::More => continue,
                Step::Ended { at, clean } => Step::Ended { at: at + n, clean },
                Step::Broken { at } => Step::Broken { at: at + n },
            };
            assert_eq!(found, whole, "{text}");
            return whole;
        }
        assert_eq!(whole, Step::More, "{text}");
        whole
    }

    #[test]
    fn a_value_ends_where_its_brackets_and_strings_say_whatever_else_is_wrong_with_it() {
        for value in [
            r#"{"a":[1,{"b":"}]"}],"c":"\"}\\"}"#,
            "{}",
            "[[],[{}]]",
            r#""a{""#,
            r#"{"a":tru,"a":1,}"#,
            "{\"a\":\n\"x\"}",
            r#"{a:1 2}"#,
            "{\"a\": \"\u{fc}\u{1}\"}",
        ] {
            let expected = Step::Ended { at: value.len(), clean: true };
            assert_eq!(step(&format!("{value}{{")), expected, "{value}");
        }
        assert_eq!(step("  12.5e3,"), Step::Ended { at: 8, clean: true });
        assert_eq!(step("null\n"), Step::Ended { at: 4, clean: true });
    }

    #[test]
    fn broken_structure_is_seen_at_the_byte_that_cannot_stand_there() {
        for text in [
            r#"{"a":1|{"b":2}}"#,
            r#"{"a":{"b":1}|{"c""#,
            r#"{"a":1|]"#,
            r#"["a"|}"#,
            "{\"a\":\"x|\n\"}",
            "{\"a\":\"x\\|\n\"}",
            r#"{"a":{|{"#,
            r#"{"a":1,|{"#,
            r#"{"a"|[1]}"#,
            r#"{"a":1|"b":2}"#,
            r#"{"a":[{}|{}]}"#,
            "|}",
            "|,",
        ] {
            let at = text.find('|').expect("marked");
            assert_eq!(step(&text.replace('|', "")), Step::Broken { at }, "{text}");
        }
    }

    #[test]
    fn a_bracket_that_closes_where_a_value_is_due_is_not_clean() {
        assert_eq!(step(r#"{"a"}"#), Step::Ended { at: 5, clean: false });
        assert_eq!(step(r#"{"a":}"#), Step::Ended { at: 6, clean: false });
        assert_eq!(step(r#"{"a":1,}"#), Step::Ended { at: 8, clean: true });
    }

    #[test]
    fn depth_is_counted_without_recursion_and_ends_somewhere() {
        let deep = |n: usize| [b"[".repeat(n), b"]".repeat(n)].concat();
        assert_eq!(Boundary::new().feed(&deep(100_000)), Step::Ended { at: 200_000, clean: true });
        assert_eq!(Boundary::new().feed(&deep(2_000_000)), Step::Broken { at: DEPTH_COUNTED });
    }
}
