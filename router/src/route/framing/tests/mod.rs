//! What every framing promises, on texts that people can read.

mod endurance;
mod properties;
mod rules;

use super::*;

/// A reader that gives at most `step` bytes at a time.
pub(super) struct Dribble<'a>(pub(super) &'a [u8], pub(super) usize);

impl Read for Dribble<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.0.len().min(self.1).min(out.len());
        out[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

/// One record, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) line: u64,
    pub(super) offset: u64,
    pub(super) text: String,
    /// How many bytes `text` had.
    pub(super) bytes: usize,
    pub(super) oversize: Option<u64>,
    pub(super) fault: Option<Fault>,
}

pub(super) fn frames_of(reader: impl Read, record_max: usize, unwrap: Option<&str>) -> (Vec<Found>, u64) {
    let mut frames = Frames::new(reader, record_max, unwrap);
    let mut found = Vec::new();
    while let Some(Framed { line, offset, bytes, oversize, fault }) = frames.next_record().expect("no error") {
        let text = String::from_utf8_lossy(bytes).into_owned();
        found.push(Found { line, offset, text, bytes: bytes.len(), oversize, fault });
    }
    (found, frames.offset())
}

/// The records of a text, the same whatever the chunks.
pub(super) fn frames(text: &[u8], unwrap: Option<&str>) -> Vec<Found> {
    let (whole, offset) = frames_of(text, 1_000_000, unwrap);
    assert_eq!(offset, text.len() as u64);
    assert_eq!(frames_of(Dribble(text, 1), 1_000_000, unwrap).0, whole, "byte by byte");
    for found in &whole {
        assert!(text[found.offset as usize..].starts_with(found.text.as_bytes()) || found.text.contains('\u{fffd}'));
    }
    whole
}

/// Only the texts.
pub(super) fn texts(text: &str) -> Vec<String> {
    frames(text.as_bytes(), None).into_iter().map(|found| found.text).collect()
}

/// Line and text.
pub(super) fn lines(text: &str, unwrap: Option<&str>) -> Vec<(u64, String)> {
    frames(text.as_bytes(), unwrap).into_iter().map(|found| (found.line, found.text)).collect()
}
