//! JSON pointers (RFC 6901) to the event type, followed while the record is scanned.

use super::string::Text;

/// Pointers in the order they are tried; at most 32.
#[derive(Clone, Debug)]
pub struct Pointers(Vec<Vec<Vec<u8>>>);

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
    /// Compiles pointers, each starting with `/` (settings validate that).
    pub fn new(pointers: &[String]) -> Self {
        debug_assert!(pointers.len() <= 32, "settings allow 32");
        let token = |t: &str| t.replace("~1", "/").replace("~0", "~").into_bytes();
        Self(pointers.iter().map(|p| p.split('/').skip(1).map(token).collect()).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The mask of the root: every pointer leads through it.
    pub(super) fn all(&self) -> u32 {
        (1u64 << self.0.len()).wrapping_sub(1) as u32
    }

    /// Which pointers of `mask` have `key` as their token number `depth`.
    pub(super) fn step(&self, mask: u32, depth: usize, key: &[u8]) -> u32 {
        let leads = |n: &usize| mask & (1 << n) != 0 && self.0[*n].get(depth).is_some_and(|token| token == key);
        (0..self.0.len()).filter(leads).fold(0, |found, n| found | (1 << n))
    }

    /// Keeps the value for every pointer of `mask` that ends here, `depth` tokens deep.
    pub(super) fn capture(&self, mask: u32, depth: usize, capture: Capture, captures: &mut [Capture]) {
        for (n, pointer) in self.0.iter().enumerate() {
            if mask & (1 << n) != 0 && pointer.len() == depth {
                captures[n] = capture;
            }
        }
    }
}
