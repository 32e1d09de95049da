//! The times at which everything that waits is loaded together (`loader.load_every`). Pure: time is passed in.
//!
//! Multiples of the interval since 1970, so that several loaders, and the same one after a restart, agree on them: a
//! serverless warehouse sleeps only while nobody loads.

use std::time::Duration;
use tokio::time::Instant;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticks {
    every: Duration,
    next: Instant,
}

impl Ticks {
    /// `since_1970`: the wall clock's time at `now`.
    pub(crate) fn new(every: Duration, now: Instant, since_1970: Duration) -> Self {
        let every = every.max(Duration::from_secs(1));
        let passed = since_1970.as_nanos() % every.as_nanos();
        let passed = Duration::new((passed / 1_000_000_000) as u64, (passed % 1_000_000_000) as u32);
        Self { every, next: now + (every - passed) }
    }

    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// Whether a tick has come since it was last asked.
    pub(crate) fn has_come(&mut self, now: Instant) -> bool {
        let has_come = self.next <= now;
        while self.next <= now {
            self.next += self.every;
        }
        has_come
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_at_multiples_of_their_interval() {
        let (start, minute) = (Instant::now(), Duration::from_secs(60));
        let mut ticks = Ticks::new(15 * minute, start, 100 * 15 * minute + 14 * minute);
        assert_eq!(ticks.next(), start + minute);
        assert!(!ticks.has_come(start));
        assert!(ticks.has_come(start + minute) && !ticks.has_come(start + minute));
        assert_eq!(ticks.next(), start + 16 * minute);
        assert!(ticks.has_come(start + 90 * minute), "once for all that were slept through");
        assert_eq!(ticks.next(), start + 91 * minute);
    }
}
