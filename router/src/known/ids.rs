//! The sealed sources of an hour, as small as they can be kept.

use common::source::SourceId;
use std::collections::{HashMap, HashSet};

/// What an index shows of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// The highest.
    pub(crate) generation: u32,
    /// Whether any generation's index object is as young as was asked.
    pub(crate) is_recent: bool,
}

/// Sixteen bytes for a source; more only for those that were replaced, or sealed lately.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// In order, each once, after [`Ids::finish`].
    all: Vec<u128>,
    /// Generations above 0.
    higher: HashMap<u128, u32>,
    recent: HashSet<u128>,
}

/// A source id as a number: it is 32 hex digits.
pub(crate) fn number(id: &SourceId) -> u128 {
    u128::from_str_radix(id.as_str(), 16).unwrap_or_default()
}

impl Ids {
    pub(super) fn add(&mut self, id: u128, generation: u32, is_recent: bool) {
        self.all.push(id);
        if generation > 0 {
            let highest = self.higher.entry(id).or_insert(generation);
            *highest = generation.max(*highest);
        }
        if is_recent {
            self.recent.insert(id);
        }
    }

    /// What another part of the same hour shows.
    pub(super) fn extend(&mut self, part: Self) {
        self.all.extend(part.all);
        // Parts are divided by id: none is in two.
        self.higher.extend(part.higher);
        self.recent.extend(part.recent);
    }

    pub(super) fn finish(mut self) -> Self {
        self.all.sort_unstable();
        self.all.dedup();
        self.all.shrink_to_fit();
        self
    }

    pub(super) fn sealed(&self, id: u128) -> Option<Sealed> {
        self.all.binary_search(&id).ok()?;
        Some(Sealed { generation: self.higher.get(&id).copied().unwrap_or(0), is_recent: self.recent.contains(&id) })
    }

    pub(super) fn bytes(&self) -> usize {
        // A map's entry takes its room twice at worst.
        let maps = self.higher.len() * size_of::<(u128, u32)>() + self.recent.len() * size_of::<u128>();
        self.all.len() * size_of::<u128>() + 2 * maps + 128
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_generation_counts_wherever_it_is_shown() {
        let mut ids = Ids::default();
        for (id, generation, is_recent) in [(7, 0, false), (9, 2, true), (9, 0, false), (9, 1, false), (3, 0, true)] {
            ids.add(id, generation, is_recent);
        }
        let mut other = Ids::default();
        other.add(20, 1, false);
        ids.extend(other);
        let ids = ids.finish();
        let sealed = |generation, is_recent| Some(Sealed { generation, is_recent });
        assert_eq!(
            [7, 9, 3, 20].map(|id| ids.sealed(id)),
            [sealed(0, false), sealed(2, true), sealed(0, true), sealed(1, false)]
        );
        assert_eq!(ids.sealed(8), None);
        assert_eq!(ids.all.len(), 4);
    }
}
