//! An envelope: a root value that keeps its records in an array, found by a JSON pointer (RFC 6901).
//!
//! The way to the array is walked token by token and everything beside it is passed over. What was walked is held
//! until the array is found, because a root value without one is a record that nobody can route.

use super::boundary::{Boundary, Step};
use super::values::{Passed, pass_value};
use super::window::Window;
use std::io::{self, Read};

/// Keys longer than this are no token of a pointer that anybody writes.
const KEY_MAX_BYTES: usize = 64 << 10;

pub(super) struct Envelope {
    tokens: Vec<String>,
    /// Open brackets on the way.
    levels: Vec<Level>,
    is_member_due: bool,
    has_array: bool,
}

struct Level {
    is_object: bool,
    /// Element that comes next, in an array.
    index: usize,
}

/// How far the walk came.
pub(super) enum Walked {
    /// Into the array: its first element comes next.
    Array,
    /// To the end of an envelope that had an array.
    Closed,
    /// To the end of a value without one.
    NoArray,
    /// To a byte that breaks the structure.
    Broken,
    /// To the end of the object, inside the envelope.
    EndsEarly,
}

impl Envelope {
    /// `pointer` starts with `/` (settings validate that).
    pub(super) fn new(pointer: &str) -> Self {
        let tokens = pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
        Self { tokens, levels: Vec::new(), is_member_due: false, has_array: false }
    }

    /// Enters the root value at the cursor.
    pub(super) fn open<R: Read>(&mut self, window: &mut Window<R>) {
        self.levels.clear();
        self.has_array = false;
        self.enter(window);
    }

    /// Goes on from where the walk stands.
    pub(super) fn walk<R: Read>(&mut self, window: &mut Window<R>, boundary: &mut Boundary) -> io::Result<Walked> {
        loop {
            window.skip_space()?;
            if self.has_array {
                window.begin();
            }
            let Some(next) = window.peek()? else { return Ok(Walked::EndsEarly) };
            let token = self.levels.len().wrapping_sub(1);
            let level = self.levels.last_mut().expect("the walk ends with the last level");
            match next {
                b'}' | b']' if level.is_object == (next == b'}') => {
                    window.advance(1);
                    self.levels.pop();
                    self.is_member_due = false;
                    if self.levels.is_empty() {
                        return Ok(if self.has_array { Walked::Closed } else { Walked::NoArray });
                    }
                }
                b',' if !self.is_member_due => {
                    window.advance(1);
                    level.index += 1;
                    self.is_member_due = true;
                }
                _ if !self.is_member_due => return Ok(Walked::Broken),
                _ => {
                    let is_on_the_way = match (level.is_object, next) {
                        (true, b'"') => {
                            let is_token = is_key(window, boundary, &self.tokens[token])?;
                            if !pass_key(window, boundary)? {
                                return Ok(Walked::Broken);
                            }
                            is_token
                        }
                        (true, _) => return Ok(Walked::Broken),
                        (false, _) => level.index.to_string() == self.tokens[token],
                    };
                    if let Some(walked) = self.member(window, boundary, is_on_the_way)? {
                        return Ok(walked);
                    }
                }
            }
        }
    }

    /// Enters the value at the cursor, or passes over it.
    fn member<R: Read>(
        &mut self,
        window: &mut Window<R>,
        boundary: &mut Boundary,
        is_on_the_way: bool,
    ) -> io::Result<Option<Walked>> {
        let is_last = self.levels.len() == self.tokens.len();
        match window.peek()? {
            Some(b'[') if is_on_the_way && is_last => {
                window.advance(1);
                window.begin();
                self.has_array = true;
                self.is_member_due = false;
                return Ok(Some(Walked::Array));
            }
            Some(b'{' | b'[') if is_on_the_way && !is_last => {
                self.enter(window);
                return Ok(None);
            }
            _ => {}
        }
        boundary.begin();
        self.is_member_due = false;
        Ok(match pass_value(window, boundary)? {
            Passed::Whole { .. } => None,
            Passed::Broken => Some(Walked::Broken),
            Passed::EndsEarly => Some(Walked::EndsEarly),
        })
    }

    fn enter<R: Read>(&mut self, window: &mut Window<R>) {
        let is_object = window.ahead().first() == Some(&b'{');
        window.advance(1);
        self.levels.push(Level { is_object, index: 0 });
        self.is_member_due = true;
    }
}

/// Whether the key at the cursor is `token`.
fn is_key<R: Read>(window: &mut Window<R>, boundary: &mut Boundary, token: &str) -> io::Result<bool> {
    boundary.begin();
    let mut looked = 0;
    let length = loop {
        let ahead = window.ahead();
        let near = &ahead[..ahead.len().min(KEY_MAX_BYTES)];
        match boundary.feed(&near[looked..]) {
            Step::Ended { at, .. } => break looked + at,
            Step::Broken { .. } => return Ok(false),
            Step::More => looked = near.len(),
        }
        if looked == KEY_MAX_BYTES || !window.fill()? {
            return Ok(false);
        }
    };
    let key = &window.ahead()[..length];
    Ok(match memchr::memchr(b'\\', key) {
        None => &key[1..length - 1] == token.as_bytes(),
        Some(_) => serde_json::from_slice::<String>(key).is_ok_and(|key| key == token),
    })
}

/// Moves behind a key and its colon, to the value; whether there is a colon.
fn pass_key<R: Read>(window: &mut Window<R>, boundary: &mut Boundary) -> io::Result<bool> {
    boundary.begin();
    if !matches!(pass_value(window, boundary)?, Passed::Whole { .. }) {
        return Ok(false);
    }
    window.skip_space()?;
    if window.peek()? != Some(b':') {
        return Ok(false);
    }
    window.advance(1);
    window.skip_space()?;
    Ok(true)
}
