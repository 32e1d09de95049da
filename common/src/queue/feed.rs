//! Sends what a sweep finds, while a queue is nearly empty: what already waits in it must not be sent again and again.

use super::{Depth, Queue};
use crate::aws_error::AwsError;
use std::time::Duration;
use tokio::time::Instant;

/// A queue that holds this many messages has enough to do.
const NEARLY_EMPTY: u64 = 1_000;

/// So does one of which its readers hold this many: SQS allows 120,000 in flight (SQS developer guide, quotas-messages).
const HELD_MAX: u64 = 20_000;

/// Messages gathered for a call.
const GATHERED: usize = 10;

/// Pause between two looks at a queue that has enough.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Looks at a queue, and pauses between them, before it is taken for one in which something waits.
const IDLE_LOOKS: u32 = 3;
const IDLE_PAUSE: Duration = Duration::from_secs(1);

/// One queue as a sweep writes to it. Holds at most ten messages.
#[derive(Debug)]
pub struct Feed {
    queue: Queue,
    /// Where there is enough to do, nothing is sent either.
    beside: Option<Queue>,
    gathered: Vec<String>,
    /// Messages that may still be sent before the queue is looked at again.
    room: u64,
    /// How long a queue that has enough is waited for.
    patience: Duration,
    is_full: bool,
}

impl Feed {
    /// Of this queue; one that has enough to do is waited for this long.
    pub fn new(queue: Queue, patience: Duration) -> Self {
        Self { queue, beside: None, gathered: Vec::new(), room: 0, patience, is_full: false }
    }

    /// The same, and only while this other queue is nearly empty as well.
    pub fn beside(self, other: Queue) -> Self {
        Self { beside: Some(other), ..self }
    }

    /// Takes the message, unless the queue has enough: then nothing more is taken during this sweep.
    pub async fn take(&mut self, body: String) -> Result<bool, AwsError> {
        if self.is_full || (self.room == 0 && !self.has_room().await?) {
            return Ok(false);
        }
        self.room -= 1;
        self.gathered.push(body);
        if self.gathered.len() >= GATHERED {
            self.flush().await?;
        }
        Ok(true)
    }

    /// Sends what is gathered. What could not be sent is found by the next sweep.
    pub async fn flush(&mut self) -> Result<(), AwsError> {
        self.queue.send_all(std::mem::take(&mut self.gathered)).await
    }

    /// Whether what was sent before was taken by a reader. Looks a few times: a busy queue is empty every now and then.
    pub async fn idle(&self) -> Result<Idle, AwsError> {
        let mut least = Idle::No;
        for look in 0..IDLE_LOOKS {
            if look > 0 {
                tokio::time::sleep(IDLE_PAUSE).await;
            }
            least = least.max(Idle::of(self.depths().await?));
            if least == Idle::Empty {
                break;
            }
        }
        Ok(least)
    }

    /// Of both queues.
    async fn depths(&self) -> Result<Depth, AwsError> {
        let mut depth = self.queue.depth().await?;
        if let Some(beside) = &self.beside {
            depth += beside.depth().await?;
        }
        Ok(depth)
    }

    async fn has_room(&mut self) -> Result<bool, AwsError> {
        // What is gathered must not wait with us.
        self.flush().await?;
        let since = Instant::now();
        loop {
            let depth = self.queue.depth().await?;
            self.room = match &self.beside {
                Some(beside) if room(beside.depth().await?) == 0 => 0,
                _ => room(depth),
            };
            if self.room > 0 {
                return Ok(true);
            }
            if since.elapsed() >= self.patience {
                tracing::info!(
                    queue = self.queue.name(),
                    visible = depth.visible,
                    in_flight = depth.in_flight,
                    "the queue has enough to do; the next sweep sends what is still left then"
                );
                self.is_full = true;
                return Ok(false);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// How far what was sent before is behind its readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Idle {
    /// Something waits.
    No,
    /// Nothing waits; something is held by a reader, or until it is tried again.
    Taken,
    /// Nothing is left.
    Empty,
}

impl Idle {
    fn of(depth: Depth) -> Self {
        match depth {
            _ if depth.is_empty() => Self::Empty,
            Depth { visible: 0, .. } => Self::Taken,
            _ => Self::No,
        }
    }
}

/// How many messages may be sent to a queue of this depth.
fn room(depth: Depth) -> u64 {
    if depth.in_flight > HELD_MAX { 0 } else { NEARLY_EMPTY.saturating_sub(depth.visible) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_has_enough_with_what_waits_or_with_what_is_held() {
        let of = |visible, in_flight| room(Depth { visible, in_flight, delayed: 0 });
        assert_eq!((of(0, 20_000), of(400, 0), of(1_500, 0), of(0, 20_001)), (1_000, 600, 0, 0));
    }

    #[test]
    fn what_a_reader_holds_or_somebody_delays_is_not_done() {
        let of = |visible, in_flight, delayed| Idle::of(Depth { visible, in_flight, delayed });
        let found = [of(0, 0, 0), of(0, 1, 0), of(0, 0, 1), of(1, 0, 0), of(1, 9, 0)];
        assert_eq!(found, [Idle::Empty, Idle::Taken, Idle::Taken, Idle::No, Idle::No]);
    }
}
