//! Decides how records are framed, from the first bytes of an object alone.
//!
//! A first line may be dirty: log rotation cuts it, a program writes a banner. So a value that spans lines counts
//! only if it is valid JSON as a whole, and where the first line settles nothing the next ones are asked.

use super::BYTE_ORDER_MARK;
use super::boundary::{Boundary, Step};
use super::envelope::Envelope;
use super::window::{Window, is_space};
use crate::route::decode::Stopped;
use memchr::memchr;
use serde::de::IgnoredAny;
use std::io::{self, Read};

/// Bytes that all looks together may cost, in multiples of the record limit: hostile lines must not cost its square.
const LOOKS: usize = 4;

/// How records are framed in one object.
pub(super) enum Framing {
    Lines,
    Values,
    Array,
    Envelopes(Envelope),
}

/// Looks at the beginning of the object. In other framings than lines, the byte order mark is consumed.
pub(super) fn framing<R: Read>(window: &mut Window<R>, unwrap: Option<&str>) -> io::Result<Framing> {
    if is_utf_16(window) {
        return Err(io::Error::other(Stopped("the text is UTF-16: it must be written as UTF-8")));
    }
    let mark = starts_with(window, BYTE_ORDER_MARK);
    let framing = match unwrap {
        Some(pointer) => Framing::Envelopes(Envelope::new(pointer)),
        None => Look::new(window).framing(if mark { BYTE_ORDER_MARK.len() } else { 0 }),
    };
    if mark && !matches!(framing, Framing::Lines) {
        window.advance(BYTE_ORDER_MARK.len());
        window.begin();
    }
    Ok(framing)
}

/// UTF-16 or UTF-32 with its byte order mark and an ASCII character behind it, as all such JSON starts.
fn is_utf_16<R: Read>(window: &mut Window<R>) -> bool {
    while window.ahead().len() < 4 && window.more() {}
    matches!(window.ahead(), [0xff, 0xfe, _, 0, ..] | [0xfe, 0xff, 0, _, ..])
}

fn starts_with<R: Read>(window: &Window<R>, text: &[u8]) -> bool {
    window.ahead().starts_with(text)
}

/// One look at the beginning: at most the record limit of it.
struct Look<'a, R> {
    window: &'a mut Window<R>,
    boundary: Boundary,
    cost: usize,
}

/// How far the value at some byte reaches.
enum Reach {
    Ended(usize),
    Broken,
    /// To the end of the object, or further than one look.
    Open,
}

/// The line behind a value, or the lines behind a line.
enum Behind {
    Nothing,
    Text(u8),
}

impl<'a, R: Read> Look<'a, R> {
    fn new(window: &'a mut Window<R>) -> Self {
        Self { window, boundary: Boundary::new(), cost: 0 }
    }

    fn framing(&mut self, mark: usize) -> Framing {
        let Some(first) = self.next_text(mark) else { return Framing::Lines };
        let before = &self.window.ahead()[mark..first];
        let indentation = before[memchr::memrchr(b'\n', before).map_or(0, |at| at + 1)..].to_vec();
        match self.window.ahead()[first] {
            b'{' => self.by_objects(first, &indentation),
            b'[' => self.by_array(first, &indentation),
            _ => Framing::Lines,
        }
    }

    /// The object starts with a brace: is it a line, or what?
    fn by_objects(&mut self, first: usize, indentation: &[u8]) -> Framing {
        let mut from = first;
        loop {
            if let Reach::Ended(end) = self.reach(from) {
                let value = &self.window.ahead()[from..end];
                if memchr(b'\n', value).is_none() {
                    return match self.on_the_line(end) {
                        Behind::Text(b'{') => Framing::Values,
                        Behind::Text(_) | Behind::Nothing => Framing::Lines,
                    };
                }
                if is_json(value) {
                    return Framing::Values;
                }
            }
            match self.next_line(from, indentation) {
                Some(next) => from = next,
                None => return Framing::Lines,
            }
        }
    }

    /// The object starts with a bracket: is it the array of all records, or only the first line?
    fn by_array(&mut self, first: usize, indentation: &[u8]) -> Framing {
        match self.reach(first) {
            Reach::Open => return Framing::Array,
            Reach::Ended(end) => {
                let is_line = memchr(b'\n', &self.window.ahead()[first..end]).is_none();
                let is_more = self.line_end(end).is_some_and(|end| self.next_text(end).is_some());
                return if is_line && is_more { Framing::Lines } else { Framing::Array };
            }
            Reach::Broken => {}
        }
        let mut from = first;
        while let Some(next) = self.next_line(from, indentation) {
            from = next;
            let end = self.line_end(from).unwrap_or(self.window.ahead().len());
            let line = self.window.ahead()[from..end].trim_ascii_end();
            match line.split_last() {
                _ if is_json(line) => return Framing::Lines,
                Some((b',' | b']', element)) if is_json(element.trim_ascii_end()) => return Framing::Array,
                _ => {}
            }
        }
        Framing::Array
    }

    /// Where the value at `from` ends.
    fn reach(&mut self, from: usize) -> Reach {
        self.boundary.begin();
        let mut looked = from;
        loop {
            if self.cost > LOOKS * self.window.record_max() {
                return Reach::Open;
            }
            let near = &self.window.ahead()[..self.window.ahead().len().min(self.window.record_max())];
            let step = self.boundary.feed(&near[looked..]);
            match step {
                Step::Ended { at, .. } => {
                    self.cost += at;
                    return Reach::Ended(looked + at);
                }
                Step::Broken { at } => {
                    self.cost += at;
                    return Reach::Broken;
                }
                Step::More => {
                    self.cost += near.len() - looked;
                    looked = near.len();
                }
            }
            if !self.see_more(looked) {
                return Reach::Open;
            }
        }
    }

    /// What stands between `from` and the end of its line.
    fn on_the_line(&mut self, from: usize) -> Behind {
        let end = self.line_end(from);
        match self.next_text(from) {
            Some(at) if end.is_none_or(|end| at < end) => Behind::Text(self.window.ahead()[at]),
            _ => Behind::Nothing,
        }
    }

    /// The next line that starts with this indentation and a brace.
    fn next_line(&mut self, from: usize, indentation: &[u8]) -> Option<usize> {
        let mut line = from;
        loop {
            line = self.line_end(line)? + 1;
            let at = line + indentation.len();
            while self.window.ahead().len() <= at && self.see_more(self.window.ahead().len()) {}
            let ahead = self.window.ahead();
            if ahead[line..].starts_with(indentation) && ahead.get(at) == Some(&b'{') {
                return Some(at);
            }
        }
    }

    /// The newline at or behind `from`, if there is one within the look.
    fn line_end(&mut self, from: usize) -> Option<usize> {
        self.find(from, |text| memchr(b'\n', text))
    }

    /// The next byte at or behind `from` that is not white space, if there is one within the look.
    fn next_text(&mut self, from: usize) -> Option<usize> {
        self.find(from, |text| text.iter().position(|b| !is_space(*b)))
    }

    fn find(&mut self, from: usize, find: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
        let mut looked = from;
        loop {
            let ahead = self.window.ahead();
            if let Some(at) = find(ahead.get(looked..).unwrap_or_default()) {
                return Some(looked + at);
            }
            looked = ahead.len().max(from);
            if !self.see_more(looked) {
                return None;
            }
        }
    }

    /// Reads on, unless the look is over.
    fn see_more(&mut self, looked: usize) -> bool {
        looked < self.window.record_max() && self.window.more()
    }
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}
