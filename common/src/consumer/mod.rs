//! The consumer loop: slot → receive → handle under heartbeat → settle; drains on shutdown. Several queues may be
//! consumed by one handler.
//!
//! For consumers whose deliveries are independent of one another. The loader, which gathers
//! deliveries into batches, has its own loop over the same [`Queue`].

mod idle;
mod receiving;
mod unfinished;

pub use idle::IdleClock;

use crate::aws_error::AwsError;
use crate::load_request::Lane;
use crate::queue::{Delivery, Depth, Fate, Queue};
use crate::slots::Slots;
use futures::future::join_all;
use receiving::{Receiving, Room};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use unfinished::Unfinished;

/// A queue to consume.
#[derive(Clone, Debug)]
pub struct Inlet {
    /// The queue.
    pub queue: Queue,
    /// What comes from it travels on this lane.
    pub lane: Lane,
    /// How many of its deliveries may be in work at once.
    pub in_flight: usize,
}

/// How a consumer runs.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Deliveries in work at once, of all queues together; and one more for each queue but the first.
    pub in_flight: usize,
    /// End once all queues have been empty for this long; `None`: never.
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
    fn handle(&self, delivery: &Delivery, lane: Lane) -> impl Future<Output = Handled> + Send;

    /// Whether something beside deliveries is under way that may bring more of them: a run that ends when it is idle
    /// waits for it.
    fn is_busy(&self) -> bool {
        false
    }
}

/// Why a consumer that may end by itself did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// A queue cannot be received from, for a reason that will not pass by itself.
    #[error("could not receive from queue {queue:?}")]
    Receive {
        /// The queue.
        queue: String,
        /// Why not.
        #[source]
        source: AwsError,
    },
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

/// How long the messages of abandoned work may take to be returned.
const RETURN_LIMIT: Duration = Duration::from_secs(3);

/// Consumes the queues until `shutdown`, or until all of them are idle at once. Fails only in the latter case.
pub async fn run<H: Handler>(
    inlets: Vec<Inlet>,
    pace: Pace,
    handler: Arc<H>,
    shutdown: CancellationToken,
) -> Result<(), ConsumeError> {
    // A queue waits for its first message with a slot in hand, which no other shall miss.
    let slots = Slots::new(pace.in_flight + inlets.len().saturating_sub(1));
    let run = Arc::new(Run {
        slots,
        work: TaskTracker::new(),
        received: AtomicBool::new(false),
        abandoned: CancellationToken::new(),
        unfinished: pace.until_idle.map(|_| Unfinished::default()),
        ending: shutdown.child_token(),
        pace,
        handler,
        shutdown,
    });
    let receiving = inlets.iter().map(|inlet| run.receive_from(inlet));
    let (received, idle) = tokio::join!(join_all(receiving), run.until_idle(&inlets));
    run.drain().await;
    received.into_iter().collect::<Result<(), _>>().and(idle)
}

struct Run<H> {
    pace: Pace,
    handler: Arc<H>,
    shutdown: CancellationToken,
    /// Cancelled when nothing more is to be received: at shutdown too.
    ending: CancellationToken,
    /// One per delivery in work.
    slots: Slots,
    work: TaskTracker,
    /// Whether anything came since the queues were last asked whether they are idle.
    received: AtomicBool,
    /// Cancelled when shutdown has waited long enough.
    abandoned: CancellationToken,
    unfinished: Option<Unfinished>,
}

impl<H: Handler> Run<H> {
    /// Receives from one queue until the run ends; a failure ends it for the others too.
    async fn receive_from(self: &Arc<Self>, inlet: &Inlet) -> Result<(), ConsumeError> {
        let received = Receiving::new(inlet, self).until_ended().await;
        if received.is_err() {
            self.ending.cancel();
        }
        received
    }

    fn took_in(self: &Arc<Self>, deliveries: Vec<Delivery>, lane: Lane, rooms: Vec<Room>) {
        if !deliveries.is_empty() {
            self.received.store(true, Ordering::Release);
        }
        for (delivery, room) in deliveries.into_iter().zip(rooms) {
            let run = self.clone();
            self.work.spawn(async move {
                run.work(delivery, lane).await;
                drop(room);
            });
        }
    }

    async fn work(&self, delivery: Delivery, lane: Lane) {
        let handled = if self.shutdown.is_cancelled() {
            Handled::interrupted()
        } else {
            tokio::select! {
                biased;
                () = self.abandoned.cancelled() => Handled::interrupted(),
                handled = self.handler.handle(&delivery, lane) => handled,
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
        let queue = delivery.queue_name().to_owned();
        if let Err(error) = delivery.settle(&fate).await {
            // Not settled: it becomes visible again, and the work is found done.
            tracing::warn!(queue, %error, ?fate, "could not settle a message");
        }
    }

    /// Ends the run once nothing is left to do, where it may end by itself; an error where only what failed again and
    /// again is left.
    async fn until_idle(&self, inlets: &[Inlet]) -> Result<(), ConsumeError> {
        let (Some(quiet), Some(unfinished)) = (self.pace.until_idle, &self.unfinished) else { return Ok(()) };
        let mut idle = IdleClock::new(quiet);
        let depth = || async {
            let mut depth = Depth::default();
            for inlet in inlets {
                depth += inlet.queue.depth().await?;
            }
            // What was returned stays in flight until its pause is over.
            Ok(Depth { in_flight: depth.in_flight.saturating_sub(unfinished.given_up(Instant::now())), ..depth })
        };
        while self.ending.run_until_cancelled(tokio::time::sleep(IdleClock::POLL)).await.is_some() {
            let received = self.received.swap(false, Ordering::AcqRel);
            if idle.has_passed(received || !self.work.is_empty() || self.handler.is_busy(), depth).await {
                self.ending.cancel();
                let messages = unfinished.reasons();
                return if messages.is_empty() { Ok(()) } else { Err(ConsumeError::Unfinished { messages }) };
            }
        }
        Ok(())
    }

    /// Ends soon after the drain timeout, whatever the work and AWS do.
    async fn drain(&self) {
        self.work.close();
        if tokio::time::timeout(self.pace.drain_timeout, self.work.wait()).await.is_ok() {
            return;
        }
        tracing::warn!(
            messages = self.work.len(),
            "gave up waiting for work in progress; its messages are returned for others to take"
        );
        self.abandoned.cancel();
        if tokio::time::timeout(RETURN_LIMIT, self.work.wait()).await.is_err() {
            tracing::warn!(
                messages = self.work.len(),
                "could not return messages; they will be delivered again when their visibility timeout is over"
            );
        }
    }
}
