//! Finds where records go on behind broken structure. What is passed over is one bad record.
//!
//! A candidate is an opening brace where a record may start: behind a closing brace, at the start of a line indented
//! like the first record, or the very byte that broke the structure. An object nested in the broken record can stand
//! there, too, and must never be routed as if it were a record: outside arrays a candidate counts only if nothing
//! follows it that stands inside values alone. In arrays `},{` separates nested objects as well as records, so only
//! lines count there.

use super::boundary::{Boundary, Step};
use super::layout::{Layout, is_behind_brace};
use super::window::{Window, is_space};
use memchr::memchr;
use std::io::{self, Read};

/// Where reading goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resumed {
    /// At a root value.
    Root,
    /// At an element of the array that is being read.
    Element,
    /// Nowhere: the object has ended.
    End,
}

/// What counts as a candidate.
pub(super) struct Candidates<'a> {
    /// How root values stand, where they can be found again.
    pub(super) root: Option<&'a Layout>,
    /// How elements stand, inside an array.
    pub(super) element: Option<&'a Layout>,
}

impl Candidates<'_> {
    /// Moves the cursor to where records go on.
    pub(super) fn find<R: Read>(&self, window: &mut Window<R>, probe: &mut Boundary) -> io::Result<Resumed> {
        let has_any = self.root.is_some() || self.element.is_some_and(Layout::is_known);
        let mut is_break = self.element.is_none();
        loop {
            let brace = if has_any { memchr(b'{', window.ahead()) } else { None };
            let Some(brace) = brace else {
                window.advance(window.ahead().len());
                is_break = false;
                match window.fill()? {
                    true => continue,
                    false => return Ok(Resumed::End),
                }
            };
            window.advance(brace);
            is_break &= brace == 0;
            if self.element.is_some_and(|element| element.fits(window)) {
                return Ok(Resumed::Element);
            }
            let mut passed = 1;
            if self.is_root_candidate(window, is_break) {
                match nested_length(window, probe) {
                    None => return Ok(Resumed::Root),
                    Some(length) => passed = length,
                }
            }
            window.advance(passed);
            is_break = false;
        }
    }

    fn is_root_candidate<R: Read>(&self, window: &Window<R>, is_break: bool) -> bool {
        let Some(root) = self.root else { return false };
        let is_ambiguous = self.element.is_some_and(|element| element.is_like(root));
        is_break || is_behind_brace(window) || (!is_ambiguous && root.fits(window))
    }
}

/// Length of the value at the cursor if it is a piece of something larger: what follows it says so. Where that is
/// further away than a record may be long, it is none.
fn nested_length<R: Read>(window: &mut Window<R>, probe: &mut Boundary) -> Option<usize> {
    let most = window.record_max();
    probe.begin();
    let mut looked = 0;
    let length = loop {
        let ahead = window.ahead();
        let near = &ahead[..ahead.len().min(most)];
        match probe.feed(&near[looked..]) {
            Step::Ended { at, .. } => break looked + at,
            Step::Broken { .. } => return None,
            Step::More => looked = near.len(),
        }
        if looked == most || !window.more() {
            return None;
        }
    };
    let mut looked = length;
    loop {
        let ahead = window.ahead();
        let near = &ahead[..ahead.len().min(most)];
        looked += near[looked..].iter().take_while(|b| is_space(**b)).count();
        if let Some(follows) = near.get(looked) {
            return matches!(follows, b',' | b':' | b']' | b'}').then_some(length);
        }
        if looked == most || !window.more() {
            return None;
        }
    }
}
