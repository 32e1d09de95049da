//! When a queue has been idle for long enough that a run which may end does end.

use crate::aws_error::AwsError;
use crate::queue::Depth;
use std::time::Duration;
use tokio::time::Instant;

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
