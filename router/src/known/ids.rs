//! The sealed sources of an hour, as small as they can be kept.

use common::source::SourceId;
use std::collections::HashMap;

/// Sixteen bytes for a source; more only for those that were replaced.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// In order, each once.
    all: Vec<u128>,
    /// Generations above 0.
    higher: HashMap<u128, u32>,
}

/// A source id as a number: it is 32 hex digits.
pub(super) fn number(id: &SourceId) -> u128 {
    u128::from_str_radix(id.as_str(), 16).unwrap_or_default()
}

impl Ids {
    /// Each id, with the generations that were found of it.
    pub(super) fn of(mut all: Vec<u128>, higher: HashMap<u128, u32>) -> Self {
        all.sort_unstable();
        all.dedup();
        all.shrink_to_fit();
        Self { all, higher }
    }

    /// The highest generation.
    pub(super) fn generation(&self, id: u128) -> Option<u32> {
        self.all.binary_search(&id).ok().map(|_| self.higher.get(&id).copied().unwrap_or(0))
    }

    pub(super) fn bytes(&self) -> usize {
        // A map's entry takes its room twice at worst.
        self.all.len() * size_of::<u128>() + self.higher.len() * 2 * size_of::<(u128, u32)>() + 64
    }
}
