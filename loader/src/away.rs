//! How many messages are away: returned to their queue with a pause that is not over. Pure: time is passed in.
//!
//! SQS counts them as in flight, and gives nothing more to anybody once a queue has 120,000 of those (SQS developer
//! guide, quotas-messages): one table with a long backlog must not come to that.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Away {
    until: BinaryHeap<Reverse<(Instant, usize)>>,
    messages: usize,
}

impl Away {
    pub(crate) fn add(&mut self, messages: usize, until: Instant) {
        self.until.push(Reverse((until, messages)));
        self.messages += messages;
    }

    /// Messages that are away.
    pub(crate) fn count(&mut self, now: Instant) -> usize {
        while self.next_back().is_some_and(|until| until <= now) {
            self.messages -= self.until.pop().map_or(0, |Reverse((_, messages))| messages);
        }
        self.messages
    }

    /// When the next ones are back.
    pub(crate) fn next_back(&self) -> Option<Instant> {
        self.until.peek().map(|Reverse((until, _))| *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn messages_are_away_until_their_pause_is_over() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut away = Away::default();
        away.add(5, start + 2 * second);
        away.add(1, start + second);
        assert_eq!((away.count(start), away.next_back()), (6, Some(start + second)));
        assert_eq!((away.count(start + second), away.next_back()), (5, Some(start + 2 * second)));
        assert_eq!((away.count(start + 2 * second), away.next_back()), (0, None));
    }
}
