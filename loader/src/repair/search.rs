//! Finding the bad ones among many by asking about ranges of them. Pure.

use std::ops::Range;

/// Into how many ranges one that holds something bad is cut: more make fewer rounds, fewer make fewer questions.
const WAYS: u64 = 8;

/// A search among things numbered from 0.
#[derive(Debug)]
pub(super) struct Search {
    /// Ranges known or feared to hold something bad.
    open: Vec<Range<u64>>,
    found: Vec<u64>,
}

impl Search {
    pub(super) fn among(count: u64) -> Self {
        Self { open: (count > 0).then_some(0..count).into_iter().collect(), found: Vec::new() }
    }

    /// The ranges to ask about next, in order; none when the search is over.
    pub(super) fn questions(&self) -> Vec<Range<u64>> {
        self.open.iter().flat_map(cut).collect()
    }

    /// Takes the answers to [`Self::questions`]: which ranges hold something bad.
    pub(super) fn answer(&mut self, is_bad: &[bool]) {
        let questions = self.questions();
        let bad = questions.into_iter().zip(is_bad).filter(|(_, is_bad)| **is_bad).map(|(range, _)| range);
        let (single, open): (Vec<_>, Vec<_>) = bad.partition(|range| range.end - range.start == 1);
        self.found.extend(single.into_iter().map(|range| range.start));
        self.open = open;
    }

    /// At least this many are bad.
    pub(super) fn least(&self) -> usize {
        self.open.len() + self.found.len()
    }

    /// What was bad alone, in order.
    pub(super) fn found(mut self) -> Vec<u64> {
        self.found.sort_unstable();
        self.found
    }
}

fn cut(range: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
    let (start, length) = (range.start, range.end - range.start);
    let ways = WAYS.min(length);
    (0..ways).map(move |n| start + n * length / ways..start + (n + 1) * length / ways)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The bad ones that a search finds, and how many questions it asked.
    fn search(count: u64, bad: &BTreeSet<u64>) -> (Vec<u64>, usize) {
        let (mut search, mut asked) = (Search::among(count), 0);
        loop {
            let questions = search.questions();
            if questions.is_empty() {
                return (search.found(), asked);
            }
            asked += questions.len();
            let answers: Vec<bool> = questions.iter().map(|range| bad.range(range.clone()).next().is_some()).collect();
            search.answer(&answers);
            assert!(search.least() <= bad.len());
        }
    }

    #[test]
    fn every_bad_one_is_found_and_nothing_else() {
        for count in [0, 1, 2, 7, 8, 9, 64, 1_000, 99_991] {
            for step in [1, 3, 500, 100_000] {
                let bad: BTreeSet<u64> = (0..count).rev().step_by(step).take(200).collect();
                let (found, _) = search(count, &bad);
                assert_eq!(found, bad.into_iter().collect::<Vec<_>>(), "{count} {step}");
            }
        }
    }

    #[test]
    fn one_among_a_million_takes_few_questions_and_none_takes_one_round() {
        let (found, asked) = search(1_000_000, &BTreeSet::from([123_456]));
        assert_eq!(found, [123_456]);
        assert!(asked <= 7 * WAYS as usize, "{asked}");
        assert_eq!(search(1_000_000, &BTreeSet::new()), (vec![], WAYS as usize));
    }
}
