//! Where one JSON value ends, and where its structure breaks: brackets and strings only.
//!
//! A state machine that takes bytes in any chunks, without recursion and with one bit per open bracket. It is no
//! validator: literals, numbers, duplicate keys and UTF-8 are the scanner's verdicts on the one record.

use memchr::memchr3;

/// Brackets counted; what opens more is broken. Far above what the scanner accepts, so that depth costs its record only.
const DEPTH_COUNTED: usize = 1 << 20;

/// Bytes looked at in one go, in a register.
const WORD: usize = 8;

/// Bytes of a string looked at that way first: most strings are shorter than a call of memchr is worth.
const SHORT_STRING: usize = 4 * WORD;

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
        if self.place != Place::Between {
            match self.string(bytes, 0) {
                Ok(end) if self.depth == 0 => return Step::Ended { at: end, clean: true },
                Ok(end) => at = end,
                Err(step) => return step,
            }
        }
        // In registers: they change with every token.
        let (mut last, mut in_object) = (self.last, self.in_object);
        let step = loop {
            let Some(&byte) = bytes.get(at) else { break Step::More };
            match byte {
                b'"' => {
                    last = match last {
                        Token::Open | Token::Comma if in_object => Token::Key,
                        Token::Nothing | Token::Colon | Token::Open | Token::Comma => Token::Text,
                        _ => break self.stop(at, last),
                    };
                    match self.string(bytes, at + 1) {
                        Ok(end) if self.depth == 0 => break Step::Ended { at: end, clean: true },
                        Ok(end) => at = end,
                        Err(step) => break step,
                    }
                }
                b',' | b':' => {
                    if self.depth == 0 {
                        break self.stop(at, last);
                    }
                    last = if byte == b',' { Token::Comma } else { Token::Colon };
                    at += 1;
                }
                b'{' | b'[' => {
                    let is_allowed = match last {
                        Token::Nothing | Token::Colon => true,
                        Token::Open | Token::Comma => !in_object,
                        _ => false,
                    };
                    if !is_allowed || self.depth == DEPTH_COUNTED {
                        break self.stop(at, last);
                    }
                    in_object = byte == b'{';
                    self.push(in_object);
                    last = Token::Open;
                    at += 1;
                }
                b'}' | b']' => {
                    if self.depth == 0 || in_object != (byte == b'}') {
                        break self.stop(at, last);
                    }
                    let clean = !matches!(last, Token::Key | Token::Colon);
                    in_object = self.pop();
                    last = Token::Close;
                    at += 1;
                    if self.depth == 0 {
                        break Step::Ended { at, clean };
                    }
                }
                b' ' | b'\t' | b'\r' | b'\n' => {
                    if self.depth == 0 && last == Token::Scalar {
                        break self.stop(at, last);
                    }
                    at += 1;
                }
                _ => {
                    last = Token::Scalar;
                    at += 1;
                    at += bytes[at..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'.').count();
                }
            }
        };
        (self.last, self.in_object) = (last, in_object);
        step
    }

    /// Goes on in a string at `at`: to behind its end, or as far as the bytes reach.
    fn string(&mut self, bytes: &[u8], mut at: usize) -> Result<usize, Step> {
        if self.place == Place::BehindBackslash {
            match bytes.get(at) {
                None => return Err(Step::More),
                Some(b'\n') => return Err(Step::Broken { at }),
                Some(_) => at += 1,
            }
        }
        loop {
            let Some(special) = string_special(bytes, at) else {
                self.place = Place::InString;
                return Err(Step::More);
            };
            match (bytes[special], bytes.get(special + 1)) {
                (b'"', _) => {
                    self.place = Place::Between;
                    return Ok(special + 1);
                }
                (b'\\', None) => {
                    self.place = Place::BehindBackslash;
                    return Err(Step::More);
                }
                (b'\\', Some(b'\n')) => return Err(Step::Broken { at: special + 1 }),
                (b'\\', Some(_)) => at = special + 2,
                // JSON has no raw line break in a string: a record was cut here.
                _ => return Err(Step::Broken { at: special }),
            }
        }
    }

    /// What cannot go on at `at`: a number or word ends there, anything else is broken.
    fn stop(&self, at: usize, last: Token) -> Step {
        match self.depth == 0 && last == Token::Scalar {
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
    }

    /// Whether the bracket that is open now opens an object.
    fn pop(&mut self) -> bool {
        self.depth -= 1;
        let above = self.depth.wrapping_sub(1);
        self.depth > 0 && self.open[above / 64] >> (above % 64) & 1 == 1
    }
}

/// The next byte of a string that is not simply part of it.
fn string_special(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    for _ in 0..SHORT_STRING / WORD {
        let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<WORD>()) else { break };
        let word = u64::from_le_bytes(*word);
        let found = zero_bytes(word ^ every(b'"')) | zero_bytes(word ^ every(b'\\')) | zero_bytes(word ^ every(b'\n'));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += WORD;
    }
    memchr3(b'"', b'\\', b'\n', &bytes[at..]).map(|n| at + n)
}

const fn every(byte: u8) -> u64 {
    u64::from_le_bytes([byte; WORD])
}

/// The high bit of each zero byte, and perhaps of bytes above the lowest one: the first is always right.
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(every(0x01)) & !word & every(0x80)
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
