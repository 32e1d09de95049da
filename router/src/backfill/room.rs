//! When the next object may be begun: while the queue is nearly empty, so that two who do the same double little, and
//! never faster than asked.

use common::aws_error::AwsError;
use common::queue::{Depth, Queue};
use std::time::Duration;
use tokio::time::Instant;

/// A queue that holds this many messages has enough to do.
const NEARLY_EMPTY: u64 = 1_000;

/// So does one of which routers hold this many: SQS allows 120,000 in flight (SQS developer guide, quotas-messages).
const HELD_MAX: u64 = 20_000;

/// Pause between two looks at the queue.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Room in the raw backfill queue.
pub(super) struct Room {
    queue: Queue,
    left: u64,
    looked_at: Option<Instant>,
}

impl Room {
    pub(super) fn new(queue: Queue) -> Self {
        Self { queue, left: 0, looked_at: None }
    }

    /// Whether one more message may be sent now. A queue that cannot be asked has no room for the moment.
    pub(super) async fn is_there(&mut self) -> Result<bool, AwsError> {
        if self.left == 0 && self.looked_at.is_none_or(|at| at.elapsed() >= LOOK_AGAIN) {
            self.looked_at = Some(Instant::now());
            self.left = match self.queue.depth().await {
                Ok(depth) => room(depth),
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "could not see how full the queue is; it is looked at again");
                    0
                }
                Err(error) => return Err(error),
            };
        }
        Ok(self.left > 0)
    }

    /// Counts a message.
    pub(super) fn take(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

/// How many messages may be sent to a queue of this depth.
fn room(depth: Depth) -> u64 {
    if depth.in_flight > HELD_MAX { 0 } else { NEARLY_EMPTY.saturating_sub(depth.visible) }
}

/// What was not begun in time is made up for, of this long at most: sleeping and sending take time too.
const MADE_UP: Duration = Duration::from_secs(1);

/// So many a second, and few more at once after a pause.
pub(super) struct Rate {
    every: Option<Duration>,
    next_at: Instant,
}

impl Rate {
    pub(super) fn new(each_second: Option<f64>) -> Self {
        Self { every: each_second.map(|rate| Duration::from_secs_f64(1.0 / rate)), next_at: Instant::now() }
    }

    /// How long the next one has to wait; if not at all, it is counted.
    pub(super) fn take(&mut self) -> Duration {
        let (Some(every), now) = (self.every, Instant::now()) else { return Duration::ZERO };
        let wait = self.next_at.saturating_duration_since(now);
        if wait.is_zero() {
            let earliest = now.checked_sub(MADE_UP.saturating_sub(every)).unwrap_or(now);
            self.next_at = self.next_at.max(earliest) + every;
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_has_enough_with_what_waits_or_with_what_is_held() {
        let of = |visible, in_flight| room(Depth { visible, in_flight, delayed: 0 });
        assert_eq!((of(0, 20_000), of(400, 0), of(1_500, 0), of(0, 20_001)), (1_000, 600, 0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_and_a_pause_is_made_up_for_by_a_second_at_most() {
        let mut rate = Rate::new(Some(4.0));
        assert!(rate.take().is_zero());
        assert_eq!(rate.take(), Duration::from_millis(250));
        tokio::time::advance(Duration::from_secs(60)).await;
        let at_once = (0..1_000).take_while(|_| rate.take().is_zero()).count();
        assert_eq!((at_once, rate.take()), (4, Duration::from_millis(250)), "and not 240");
        let mut slow = Rate::new(Some(0.5));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(slow.take().is_zero());
        assert_eq!(slow.take(), Duration::from_secs(2));
        assert!(Rate::new(None).take().is_zero());
    }
}
