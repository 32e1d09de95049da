//! Keeps one delivery invisible for as long as it is worked on.

use super::Queue;
use crate::aws_error::AwsError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Extends a delivery's visibility at a third of its time; stops when dropped.
#[derive(Debug)]
pub(super) struct Heartbeat {
    lost: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Heartbeat {
    pub(super) fn start(queue: Queue, receipt_handle: String) -> Self {
        let lost = Arc::new(AtomicBool::new(false));
        let flag = lost.clone();
        let task = tokio::spawn(async move {
            let extend = || queue.change_visibility(&receipt_handle, queue.visibility);
            let why = beat(queue.visibility, extend).await;
            flag.store(true, Ordering::Release);
            tracing::warn!(queue = queue.name, why, "could not keep a message invisible; it will be delivered again");
        });
        Self { lost, task }
    }

    /// Whether the message may have become visible to others.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    pub(super) fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Extends at each third of the time, and gives no call longer than that: after the first failure a second call is
/// over before the message is visible. Ends, with the reason, when it may be.
async fn beat<F>(visibility: Duration, mut extend: impl FnMut() -> F) -> String
where
    F: Future<Output = Result<(), AwsError>>,
{
    let third = visibility / 3;
    let mut failed_before = false;
    let mut next = Instant::now() + third;
    loop {
        tokio::time::sleep_until(next).await;
        // From here on, because that is when an extension counts from at the earliest.
        next = Instant::now() + third;
        let failure = match tokio::time::timeout_at(next, extend()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) if !error.is_transient() => return error.to_string(),
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("SQS did not answer within {third:?}")),
        };
        match failure {
            Some(why) if failed_before => return why,
            failure => failed_before = failure.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::collections::VecDeque;

    const SHORT: Duration = Duration::from_millis(30);

    fn refused(callers_fault: bool) -> Result<(), AwsError> {
        Err(AwsError::refused("ChangeMessageVisibility", "q", "Code", "why", callers_fault))
    }

    #[tokio::test]
    async fn calls_that_never_return_end_the_heartbeat_as_calls_that_fail_do() {
        let calls = Cell::new(0);
        let why = beat(SHORT, || {
            calls.set(calls.get() + 1);
            std::future::pending()
        });
        let why = tokio::time::timeout(Duration::from_secs(30), why).await.expect("it ends");
        assert_eq!((calls.get(), why.as_str()), (2, "SQS did not answer within 10ms"));
    }

    #[tokio::test]
    async fn one_failure_is_made_good_by_the_next_call_and_a_refusal_never_is() {
        let mut answers = VecDeque::from([Ok(()), refused(false), Ok(()), refused(false), Ok(()), refused(true)]);
        let why = beat(SHORT, || std::future::ready(answers.pop_front().expect("the refusal was the end"))).await;
        assert!(why.contains("400 Code"), "{why}");
        assert!(answers.is_empty());
    }
}
