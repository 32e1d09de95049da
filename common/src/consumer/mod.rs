//! The consumer loop: permit → receive → handle under heartbeat → settle; drains on shutdown.
//!
//! For consumers whose deliveries are independent of one another. The loader, which gathers
//! deliveries into batches, has its own loop over the same [`Queue`].

mod idle;
mod unfinished;

pub use idle::IdleClock;

use crate::aws_error::AwsError;
use crate::queue::{Delivery, Depth, Fate, Queue};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use unfinished::Unfinished;

/// How a consumer runs.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Deliveries in work at once.
    pub in_flight: usize,
    /// End once the queue has been empty for this long; `None`: never.
    pub until_idle: Option<Duration>,
    /// How long shutdown waits for deliveries in work.
    pub drain_timeout: Duration,
}

/// How work on a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handled {
    /// What becomes of the delivery.
    pub fate: Fate,
    /// Why the work could not be done, where it has to be done again.
    pub failure: Option<String>,
}

impl Handled {
    /// Nothing is left to do but this.
    pub fn done(fate: Fate) -> Self {
        Self { fate, failure: None }
    }

    /// Not worked on because this process ends: somebody else should, at once.
    pub fn interrupted() -> Self {
        Self::done(Fate::Return { after: Duration::ZERO })
    }
}

/// The work of a consumer. Never fails: whatever happened is a fate.
pub trait Handler: Send + Sync + 'static {
    /// Works on one delivery and decides what becomes of it. Dropped in the middle when shutdown has waited long
    /// enough, so the order of its writes must bear that.
    fn handle(&self, delivery: &Delivery) -> impl Future<Output = Handled> + Send;
}

/// Why a consumer that may end by itself did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// The queue cannot be received from for a reason that will not pass by itself.
    #[error("could not receive")]
    Receive(#[source] AwsError),
    /// All that is left failed at least twice.
    #[error(
        "{} not finished here; remove the cause, the queue tries again:\n  {}",
        match messages.len() { 1 => "1 message was".to_owned(), n => format!("{n} messages were") },
        messages.join("\n  ")
    )]
    Unfinished {
        /// Id and reason of each.
        messages: Vec<String>,
    },
}

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

/// How long the messages of abandoned work may take to be returned.
const RETURN_LIMIT: Duration = Duration::from_secs(3);

/// Consumes the queue until `shutdown`, or until it is idle. Fails only in the latter case.
pub async fn run<H: Handler>(
    queue: Queue,
    pace: Pace,
    handler: Arc<H>,
    shutdown: CancellationToken,
) -> Result<(), ConsumeError> {
    let run = Arc::new(Run {
        permits: Arc::new(Semaphore::new(pace.in_flight)),
        work: TaskTracker::new(),
        abandoned: CancellationToken::new(),
        unfinished: pace.until_idle.map(|_| Unfinished::default()),
        queue,
        pace,
        handler,
        shutdown,
    });
    let ended = run.until_ended().await;
    run.drain().await;
    ended
}

struct Run<H> {
    queue: Queue,
    pace: Pace,
    handler: Arc<H>,
    shutdown: CancellationToken,
    /// One per delivery in work.
    permits: Arc<Semaphore>,
    work: TaskTracker,
    /// Cancelled when shutdown has waited long enough.
    abandoned: CancellationToken,
    unfinished: Option<Unfinished>,
}

impl<H: Handler> Run<H> {
    async fn until_ended(self: &Arc<Self>) -> Result<(), ConsumeError> {
        let mut idle = self.pace.until_idle.map(IdleClock::new);
        // When it was last told that receives fail; `None` while they work.
        let mut told_at: Option<Instant> = None;
        // Permits first: what is received is worked on at once, never queued behind other work.
        while let Some(permits) = self.free_permits().await {
            let wait = if idle.is_some() { IdleClock::POLL } else { LONG_POLL };
            let deliveries = match self.receive(permits.num_permits(), wait).await {
                Ok(deliveries) => {
                    told_at = None;
                    deliveries
                }
                Err(error) if idle.is_some() && !error.is_transient() => return Err(ConsumeError::Receive(error)),
                Err(error) => {
                    if told_at.is_none_or(|at| at.elapsed() >= RECEIVE_WARN_AGAIN) {
                        told_at = Some(Instant::now());
                        tracing::warn!(queue = self.queue.name(), %error, "could not receive; retrying until it works");
                    }
                    self.shutdown.run_until_cancelled(tokio::time::sleep(RECEIVE_BACKOFF)).await;
                    continue;
                }
            };
            let received = !deliveries.is_empty();
            self.start(deliveries, permits);
            if let Some(idle) = &mut idle
                && self.is_idle(idle, received).await?
            {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Permits for one receive: one, which may have to be waited for, and what else is free. `None` at shutdown.
    async fn free_permits(&self) -> Option<OwnedSemaphorePermit> {
        let mut permits = tokio::select! {
            biased;
            () = self.shutdown.cancelled() => return None,
            permit = self.permits.clone().acquire_owned() => permit.expect("the semaphore is never closed"),
        };
        let more = self.permits.available_permits().min(RECEIVE_MAX - 1) as u32;
        if let Ok(more) = self.permits.clone().try_acquire_many_owned(more) {
            permits.merge(more);
        }
        Some(permits)
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, AwsError> {
        let mut receive = std::pin::pin!(self.queue.receive(max, wait));
        tokio::select! {
            received = &mut receive => return received,
            () = self.shutdown.cancelled() => {}
        }
        tokio::time::timeout(RECEIVE_GRACE, receive).await.unwrap_or_else(|_| Ok(Vec::new()))
    }

    fn start(self: &Arc<Self>, deliveries: Vec<Delivery>, mut permits: OwnedSemaphorePermit) {
        for delivery in deliveries {
            let permit = permits.split(1);
            let run = self.clone();
            self.work.spawn(async move {
                run.work(delivery).await;
                drop(permit);
            });
        }
    }

    async fn work(&self, delivery: Delivery) {
        let handled = if self.shutdown.is_cancelled() {
            Handled::interrupted()
        } else {
            tokio::select! {
                biased;
                () = self.abandoned.cancelled() => Handled::interrupted(),
                handled = self.handler.handle(&delivery) => handled,
            }
        };
        let Handled { fate, failure } = handled;
        match (&self.unfinished, &fate, failure) {
            (None, ..) => {}
            (Some(unfinished), Fate::Return { after }, Some(why)) => {
                unfinished.failed(&delivery.message_id, &why, *after, Instant::now());
            }
            (Some(unfinished), ..) => unfinished.finished(&delivery.message_id),
        }
        if let Err(error) = delivery.settle(&fate).await {
            // Not settled: it becomes visible again, and the work is found done.
            tracing::warn!(queue = self.queue.name(), %error, ?fate, "could not settle a message");
        }
    }

    /// Whether nothing is left to do; an error where only what failed again and again is.
    async fn is_idle(&self, idle: &mut IdleClock, received: bool) -> Result<bool, ConsumeError> {
        let Some(unfinished) = &self.unfinished else { return Ok(false) };
        let depth = || async {
            let depth = self.queue.depth().await?;
            // What was returned stays in flight until its pause is over.
            Ok(Depth { in_flight: depth.in_flight.saturating_sub(unfinished.given_up(Instant::now())), ..depth })
        };
        if !idle.has_passed(received || !self.work.is_empty(), depth).await {
            return Ok(false);
        }
        let messages = unfinished.reasons();
        if messages.is_empty() { Ok(true) } else { Err(ConsumeError::Unfinished { messages }) }
    }

    /// Ends soon after the drain timeout, whatever the work and AWS do.
    async fn drain(&self) {
        self.work.close();
        if tokio::time::timeout(self.pace.drain_timeout, self.work.wait()).await.is_ok() {
            return;
        }
        tracing::warn!(
            queue = self.queue.name(),
            messages = self.work.len(),
            "gave up waiting for work in progress; its messages are returned for others to take"
        );
        self.abandoned.cancel();
        if tokio::time::timeout(RETURN_LIMIT, self.work.wait()).await.is_err() {
            tracing::warn!(
                queue = self.queue.name(),
                messages = self.work.len(),
                "could not return messages; they will be delivered again when their visibility timeout is over"
            );
        }
    }
}
