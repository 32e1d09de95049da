//! Receives from one queue: slots first, so that what is received is worked on at once, never queued behind other work.
//!
//! Queues share the run's slots, and a receive that waits holds some. So only a queue that just gave something is
//! asked for many messages, and not for long; one that is quiet waits with a single slot, and takes no room from the
//! others. Slots that become free go to the live queue first.

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

/// How long a queue that just gave something is asked for more, with the slots for it in hand.
const BUSY_POLL: Duration = Duration::from_secs(1);

pub(super) struct Receiving<'a, H> {
    inlet: &'a Inlet,
    run: &'a Arc<Run<H>>,
    /// One per delivery of this queue in work.
    own: Arc<Semaphore>,
    /// Whether the last receive gave something.
    is_busy: bool,
    /// When it was last told that receives fail; `None` while they work.
    told_at: Option<Instant>,
}

/// Room for deliveries: a permit of the queue's own and a slot of the run for each.
pub(super) struct InFlight {
    own: OwnedSemaphorePermit,
    slots: Vec<Slot>,
}

impl InFlight {
    /// The room of one delivery. There are never more deliveries than slots.
    pub(super) fn split_one(&mut self) -> (Option<OwnedSemaphorePermit>, Option<Slot>) {
        (self.own.split(1), self.slots.pop())
    }
}

impl<'a, H: Handler> Receiving<'a, H> {
    pub(super) fn new(inlet: &'a Inlet, run: &'a Arc<Run<H>>) -> Self {
        let own = Arc::new(Semaphore::new(inlet.in_flight.max(1)));
        Self { inlet, run, own, is_busy: false, told_at: None }
    }

    pub(super) async fn until_ended(mut self) -> Result<(), ConsumeError> {
        while let Some(room) = self.room().await {
            match self.receive(room.slots.len()).await {
                Ok(deliveries) => {
                    self.told_at = None;
                    self.is_busy = !deliveries.is_empty();
                    self.run.took_in(deliveries, self.inlet.lane, room);
                }
                Err(error) => self.failed(error).await?,
            }
        }
        Ok(())
    }

    /// Room for one receive: for one delivery, which may have to be waited for, and for more if the queue is busy and
    /// nobody waits for it. `None` when the run ends.
    async fn room(&self) -> Option<InFlight> {
        let first = async {
            let own = self.own.clone().acquire_owned().await.expect("the semaphore is never closed");
            InFlight { own, slots: vec![self.run.slots.wait(self.inlet.lane).await] }
        };
        let mut room = tokio::select! {
            biased;
            () = self.run.ending.cancelled() => return None,
            first = first => first,
        };
        while self.is_busy && room.slots.len() < RECEIVE_MAX {
            let Ok(own) = self.own.clone().try_acquire_owned() else { break };
            let Some(slot) = self.run.slots.take_free() else { break };
            room.own.merge(own);
            room.slots.push(slot);
        }
        Some(room)
    }

    async fn receive(&self, max: usize) -> Result<Vec<Delivery>, AwsError> {
        let wait = match self.run.pace.until_idle {
            Some(_) => IdleClock::POLL,
            None if self.is_busy => BUSY_POLL,
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
