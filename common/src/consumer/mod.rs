//! The consumer loop: permit → receive → handle under heartbeat → settle; drains on shutdown.
//!
//! For consumers whose deliveries are independent of one another. The loader, which gathers
//! deliveries into batches, has its own loop over the same [`Queue`].

use crate::aws_error::AwsError;
use crate::queue::{Delivery, Depth, Fate, Queue};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How a consumer runs.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Deliveries in work at once.
    pub workers: usize,
    /// End once the queue has been empty for this long; `None`: never.
    pub until_idle: Option<Duration>,
    /// How long shutdown waits for deliveries in work.
    pub drain_timeout: Duration,
}

/// The work of a consumer. Never fails: whatever happened is a fate.
pub trait Handler: Send + Sync + 'static {
    /// Works on one delivery and decides what becomes of it.
    fn handle(&self, delivery: &Delivery) -> impl Future<Output = Fate> + Send;
}

/// Pause after a failed receive.
const RECEIVE_BACKOFF: Duration = Duration::from_secs(2);

/// Consumes the queue until `shutdown`, or until it is idle. Fails only in the latter case, where the queue
/// cannot be received from for a reason that will not pass by itself.
pub async fn run<H: Handler>(
    queue: Queue,
    pace: Pace,
    handler: Arc<H>,
    shutdown: CancellationToken,
) -> Result<(), AwsError> {
    let permits = Arc::new(Semaphore::new(pace.workers));
    let tracker = TaskTracker::new();
    let mut idle = pace.until_idle.map(IdleClock::new);
    let mut ended = Ok(());
    while !shutdown.is_cancelled() {
        // A permit first: what is received is worked on at once, never queued behind other work.
        let permit = tokio::select! {
            permit = permits.clone().acquire_owned() => permit.expect("the semaphore is never closed"),
            () = shutdown.cancelled() => break,
        };
        let more = permits.clone().try_acquire_many_owned(permits.available_permits().min(9) as u32).ok();
        let max = 1 + more.as_ref().map_or(0, |more| more.num_permits());
        let wait = if idle.is_some() { IdleClock::POLL } else { Duration::from_secs(20) };
        let received = tokio::select! {
            received = queue.receive(max, wait) => received,
            () = shutdown.cancelled() => break,
        };
        let deliveries = match received {
            Ok(deliveries) => deliveries,
            Err(error) if idle.is_some() && !error.is_transient() => {
                ended = Err(error);
                break;
            }
            Err(error) => {
                tracing::warn!(queue = queue.name(), %error, "could not receive");
                tokio::select! {
                    () = tokio::time::sleep(RECEIVE_BACKOFF) => {}
                    () = shutdown.cancelled() => {}
                }
                continue;
            }
        };
        if let Some(idle) = &mut idle {
            let working = !tracker.is_empty() || !deliveries.is_empty();
            if idle.has_passed(working, || queue.depth()).await {
                break;
            }
        }
        let mut held: Vec<_> = Some(permit).into_iter().collect();
        if let Some(mut more) = more {
            while let Some(one) = more.split(1) {
                held.push(one);
            }
        }
        for (delivery, permit) in deliveries.into_iter().zip(held) {
            let (queue, handler) = (queue.clone(), handler.clone());
            tracker.spawn(async move {
                let fate = handler.handle(&delivery).await;
                if let Err(error) = queue.settle(delivery, &fate).await {
                    // Not settled: it becomes visible again, and the work is found done.
                    tracing::warn!(queue = queue.name(), %error, ?fate, "could not settle a message");
                }
                drop(permit);
            });
        }
    }
    tracker.close();
    if tokio::time::timeout(pace.drain_timeout, tracker.wait()).await.is_err() {
        tracing::warn!(
            queue = queue.name(),
            objects = tracker.len(),
            "gave up waiting for work in progress; its messages will be delivered again"
        );
    }
    ended
}

/// Tells when a queue has had nothing visible, in flight or delayed for a while.
#[derive(Debug)]
pub struct IdleClock {
    quiet: Duration,
    since: Option<Instant>,
}

impl IdleClock {
    /// How long to wait for messages at a time while an idle clock runs.
    pub const POLL: Duration = Duration::from_secs(1);

    /// A clock that passes after `quiet` without anything.
    pub fn new(quiet: Duration) -> Self {
        Self { quiet, since: None }
    }

    /// Whether nothing has been there for long enough. `working`: this process has something in its hands.
    pub async fn has_passed<F>(&mut self, working: bool, depth: impl FnOnce() -> F) -> bool
    where
        F: Future<Output = Result<Depth, AwsError>>,
    {
        let is_quiet = !working
            && match depth().await {
                Ok(depth) => depth.is_empty(),
                Err(error) => {
                    tracing::warn!(%error, "could not ask whether the queue is empty");
                    false
                }
            };
        if !is_quiet {
            self.since = None;
            return false;
        }
        self.since.get_or_insert_with(Instant::now).elapsed() >= self.quiet
    }
}
