//! Receives from one queue: slots first, so that what is received is worked on at once, never queued behind other work.
//!
//! Queues share the run's slots, and a receive holds those that it is for. So a queue that is quiet waits with a single
//! one, and takes no room from the others; only one that is known to hold more is asked for many messages, and answers at
//! once. While it does, slots for the next time are waited for: else a live queue would be out of the line at just the
//! moments when backfill is in it.

use super::{ConsumeError, Handler, IdleClock, Inlet, Run};
use crate::aws_error::AwsError;
use crate::queue::Delivery;
use crate::slots::Slot;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// SQS gives at most this many messages to one receive.
const RECEIVE_MAX: usize = 10;

/// SQS's longest long poll.
const LONG_POLL: Duration = Duration::from_secs(20);

/// Receives that fail are told of again after this time.
const RECEIVE_WARN_AGAIN: Duration = Duration::from_secs(300);

/// Pause after a failed receive.
const RECEIVE_BACKOFF: Duration = Duration::from_secs(2);

/// How long shutdown waits for the answer of a receive under way: messages in an answer that nobody reads would stay
/// away until their visibility ends. A queue that holds messages answers at once; only an empty one takes longer.
const RECEIVE_GRACE: Duration = Duration::from_millis(500);

pub(super) struct Receiving<'a, H> {
    inlet: &'a Inlet,
    run: &'a Arc<Run<H>>,
    /// One per delivery of this queue in work.
    own: Arc<Semaphore>,
    /// Whether the last receive gave so much that there should be more.
    is_busy: bool,
    /// When it was last told that receives fail; `None` while they work.
    told_at: Option<Instant>,
}

/// Room for one delivery: a permit of the queue's own, and a slot of the run.
pub(super) struct Room(
    #[expect(dead_code, reason = "held")] OwnedSemaphorePermit,
    #[expect(dead_code, reason = "held")] Slot,
);

impl<'a, H: Handler> Receiving<'a, H> {
    pub(super) fn new(inlet: &'a Inlet, run: &'a Arc<Run<H>>) -> Self {
        let own = Arc::new(Semaphore::new(inlet.in_flight.max(1)));
        Self { inlet, run, own, is_busy: false, told_at: None }
    }

    pub(super) async fn until_ended(mut self) -> Result<(), ConsumeError> {
        let mut rooms = Vec::new();
        loop {
            if rooms.is_empty() {
                let Some(room) = self.run.ending.run_until_cancelled(self.room()).await else { return Ok(()) };
                rooms.push(room);
            }
            if self.run.ending.is_cancelled() {
                return Ok(());
            }
            let asked = rooms.len();
            let (received, next) = self.receive_and_reserve(asked).await;
            match received {
                Ok(deliveries) => {
                    self.told_at = None;
                    // SQS gives fewer than there are, now and then (SQS API, `ReceiveMessage`).
                    self.is_busy = deliveries.len() * 4 >= asked;
                    self.run.took_in(deliveries, self.inlet.lane, rooms);
                }
                Err(error) => {
                    self.is_busy = false;
                    drop(rooms);
                    self.failed(error).await?;
                }
            }
            rooms = next;
            if !self.is_busy {
                rooms.truncate(1);
            }
        }
    }

    /// Receives, and meanwhile gathers room for the next time if that will be asked for much.
    async fn receive_and_reserve(&self, asked: usize) -> (Result<Vec<Delivery>, AwsError>, Vec<Room>) {
        let mut next = Vec::new();
        let mut receive = std::pin::pin!(self.receive(asked));
        loop {
            tokio::select! {
                biased;
                received = &mut receive => return (received, next),
                room = self.room(), if self.is_busy && next.len() < RECEIVE_MAX => next.push(room),
            }
        }
    }

    async fn room(&self) -> Room {
        let own = self.own.clone().acquire_owned().await.expect("the semaphore is never closed");
        Room(own, self.run.slots.wait(self.inlet.lane).await)
    }

    async fn receive(&self, max: usize) -> Result<Vec<Delivery>, AwsError> {
        let wait = match self.run.pace.until_idle {
            _ if self.is_busy => Duration::ZERO,
            Some(_) => IdleClock::POLL,
            None => LONG_POLL,
        };
        let mut receive = std::pin::pin!(self.inlet.queue.receive(max, wait));
        tokio::select! {
            received = &mut receive => return received,
            () = self.run.ending.cancelled() => {}
        }
        tokio::time::timeout(RECEIVE_GRACE, receive).await.unwrap_or_else(|_| Ok(Vec::new()))
    }

    /// A failure that passes by itself is told of and waited out; any other ends a run that may end by itself.
    async fn failed(&mut self, error: AwsError) -> Result<(), ConsumeError> {
        let queue = self.inlet.queue.name();
        if self.run.pace.until_idle.is_some() && !error.is_transient() {
            return Err(ConsumeError::Receive { queue: queue.to_owned(), source: error });
        }
        if self.told_at.is_none_or(|at| at.elapsed() >= RECEIVE_WARN_AGAIN) {
            self.told_at = Some(Instant::now());
            tracing::warn!(queue, %error, "could not receive; retrying until it works");
        }
        // Whether it ended is looked at before the next receive.
        self.run.ending.run_until_cancelled(tokio::time::sleep(RECEIVE_BACKOFF)).await;
        Ok(())
    }
}
