//! JSON pointers (RFC 6901) to the event type and to other watched values, followed while the record is scanned.

use super::string::Text;

/// Pointers to event types in the order they are tried, then those to other watched values; at most 32.
#[derive(Clone, Debug)]
pub struct Pointers {
    /// The decoded tokens of each.
    all: Vec<Vec<Vec<u8>>>,
    /// So many of them lead to event types.
    event_types: usize,
}

/// What stands where a pointer ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Capture {
    /// Nothing, or null.
    Absent,
    String(Text),
    /// From and to which byte.
    Integer(usize, usize),
    Other,
}

impl Pointers {
    /// Compiles pointers to event types, each starting with `/` (settings validate that).
    pub fn new(event_types: &[String]) -> Self {
        Self { all: Vec::new(), event_types: event_types.len() }.with(event_types.iter().map(String::as_str))
    }

    /// Also follows these: their values are [`super::Scanner::watched`], and never an event type.
    pub fn watching<'a>(self, pointers: impl IntoIterator<Item = &'a str>) -> Self {
        self.with(pointers)
    }

    fn with<'a>(mut self, pointers: impl IntoIterator<Item = &'a str>) -> Self {
        let token = |t: &str| t.replace("~1", "/").replace("~0", "~").into_bytes();
        self.all.extend(pointers.into_iter().map(|p| p.split('/').skip(1).map(token).collect::<Vec<_>>()));
        debug_assert!(self.all.len() <= 32, "settings allow 32");
        self
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// How many of the pointers, the first ones, lead to event types.
    pub(super) fn event_types(&self) -> usize {
        self.event_types
    }

    /// The mask of the root: every pointer leads through it.
    pub(super) fn all(&self) -> u32 {
        (1u64 << self.all.len()).wrapping_sub(1) as u32
    }

    /// Which pointers of `mask` have `key` as their token number `depth`.
    pub(super) fn step(&self, mask: u32, depth: usize, key: &[u8]) -> u32 {
        let leads = |n: &usize| mask & (1 << n) != 0 && self.all[*n].get(depth).is_some_and(|token| token == key);
        (0..self.all.len()).filter(leads).fold(0, |found, n| found | (1 << n))
    }

    /// Keeps the value for every pointer of `mask` that ends here, `depth` tokens deep.
    pub(super) fn capture(&self, mask: u32, depth: usize, capture: Capture, captures: &mut [Capture]) {
        for (n, pointer) in self.all.iter().enumerate() {
            if mask & (1 << n) != 0 && pointer.len() == depth {
                captures[n] = capture;
            }
        }
    }
}
