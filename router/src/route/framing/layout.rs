//! How records stand on their lines: what a person sees, and what reading can hold on to when brackets lie.

use super::BYTE_ORDER_MARK;
use super::window::{BEHIND_BYTES, Window, is_space};
use std::io::Read;

/// The indentation of the first record, where its own content is indented deeper.
#[derive(Debug, Default)]
pub(super) struct Layout {
    learned: bool,
    indentation: Option<Vec<u8>>,
}

impl Layout {
    /// Learns from the record at the cursor, if it is the first.
    pub(super) fn learn<R: Read>(&mut self, window: &mut Window<R>) {
        if self.learned {
            return;
        }
        self.learned = true;
        while window.ahead().len() <= BEHIND_BYTES && window.more() {}
        let Some(indentation) = indentation(window) else { return };
        let ahead = window.ahead();
        let near = &ahead[..ahead.len().min(BEHIND_BYTES)];
        let inside = near.get(1..).unwrap_or_default();
        let gap = &inside[..inside.iter().take_while(|b| is_space(**b)).count()];
        // Objects nested without indentation would look like records.
        let is_flat = memchr::memrchr(b'\n', gap).is_some_and(|at| gap.len() - at - 1 <= indentation.len());
        self.indentation = (!is_flat).then(|| indentation.to_vec());
    }

    /// Whether the cursor stands where a line starts that is indented like the first record.
    pub(super) fn fits<R: Read>(&self, window: &Window<R>) -> bool {
        self.indentation.is_some() && self.indentation.as_deref() == indentation(window)
    }

    /// Whether records of the two layouts start alike.
    pub(super) fn is_like(&self, other: &Layout) -> bool {
        self.indentation == other.indentation
    }

    /// Whether lines say anything about where records start.
    pub(super) fn is_known(&self) -> bool {
        self.indentation.is_some()
    }
}

/// The white space before the cursor, where nothing else stands before it on its line.
fn indentation<R: Read>(window: &Window<R>) -> Option<&[u8]> {
    let (behind, is_all) = window.behind();
    let (text, gap) = behind.split_at(behind.len() - spaces_before(behind));
    match memchr::memrchr(b'\n', gap) {
        Some(at) => Some(&gap[at + 1..]),
        None => (is_all && (text.is_empty() || text == BYTE_ORDER_MARK)).then_some(gap),
    }
}

/// Whether a closing brace stands before the cursor, with nothing but white space between them.
pub(super) fn is_behind_brace<R: Read>(window: &Window<R>) -> bool {
    let (behind, _) = window.behind();
    behind[..behind.len() - spaces_before(behind)].last() == Some(&b'}')
}

fn spaces_before(behind: &[u8]) -> usize {
    behind.iter().rev().take_while(|b| is_space(**b)).count()
}
