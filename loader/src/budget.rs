//! How many load transactions are begun in a minute, and when the next one may be. Pure: time is passed in.
//!
//! Redshift commits one transaction after the other, over the whole warehouse (database developer guide,
//! `STL_COMMIT_STATS`): commits of ours that come too fast make everybody wait.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// After a quiet minute this part of the budget is there at once; the rest is spread.
const AT_ONCE: usize = 4;

/// At most so many in any minute, evenly spread as long as there is much to do.
#[derive(Debug)]
pub(crate) struct Budget {
    per_minute: usize,
    /// When the latest ones were begun, in order; at most `per_minute`.
    begun: VecDeque<Instant>,
}

impl Budget {
    pub(crate) fn new(per_minute: usize) -> Self {
        Self { per_minute: per_minute.max(1), begun: VecDeque::new() }
    }

    /// The earliest time at which another one may begin; not after `now` if it may at once.
    pub(crate) fn next(&self, now: Instant) -> Instant {
        let whole = self.within_a_minute(self.per_minute);
        let spread = self.within_a_minute((self.per_minute / AT_ONCE).max(1)).zip(self.begun.back());
        let spread = spread.map(|(at, latest)| at.min(*latest + MINUTE / self.per_minute as u32));
        [whole, spread].into_iter().flatten().fold(now, Instant::max)
    }

    /// When fewer than `n` are left in the minute before, if there are that many.
    fn within_a_minute(&self, n: usize) -> Option<Instant> {
        let nth_latest = self.begun.len().checked_sub(n)?;
        self.begun.get(nth_latest).map(|at| *at + MINUTE)
    }

    /// Begins one if it may begin now.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if self.next(now) > now {
            return false;
        }
        if self.begun.len() >= self.per_minute {
            self.begun.pop_front();
        }
        self.begun.push_back(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_quarter_goes_at_once_and_the_rest_is_spread() {
        let start = Instant::now();
        let mut budget = Budget::new(20);
        let mut begun = Vec::new();
        let mut now = start;
        while now < start + MINUTE * 3 {
            assert!(budget.take(now));
            begun.push((now - start).as_secs());
            now = budget.next(now);
        }
        assert_eq!(begun[..8], [0, 0, 0, 0, 0, 3, 6, 9]);
        assert_eq!(begun.iter().filter(|at| **at < 60).count(), 20);
        assert_eq!(begun.iter().filter(|at| (60..120).contains(*at)).count(), 20, "nothing of the budget is left over");
        assert!(budget.take(now + MINUTE), "and it is there again later");
    }

    #[test]
    fn the_smallest_budget_is_one_a_minute() {
        let start = Instant::now();
        let mut budget = Budget::new(1);
        assert!(budget.take(start) && !budget.take(start + Duration::from_secs(59)));
        assert_eq!(budget.next(start), start + MINUTE);
        assert!(budget.take(start + MINUTE));
    }

    proptest! {
        #[test]
        fn no_minute_ever_sees_more_than_the_budget(
            per_minute in 1usize..50,
            pauses in prop::collection::vec(prop_oneof![Just(0u64), 0u64..3_000, 0u64..90_000], 1..400),
        ) {
            let mut now = Instant::now();
            let mut budget = Budget::new(per_minute);
            let mut begun: Vec<Instant> = Vec::new();
            for pause in pauses {
                now += Duration::from_millis(pause);
                let next = budget.next(now);
                prop_assert_eq!(budget.take(now), next <= now);
                if next <= now {
                    begun.push(now);
                } else {
                    prop_assert!(next - now <= MINUTE, "it never waits for longer than a minute");
                    // Exactly then it may go on.
                    now = next;
                    prop_assert!(budget.take(now));
                    begun.push(now);
                }
                let minute = begun.iter().filter(|at| **at + MINUTE > now).count();
                prop_assert!(minute <= per_minute);
            }
        }
    }
}
