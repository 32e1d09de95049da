//! Messages on their way to one call: ten make it, and none waits long for the others.

use std::time::Duration;
use tokio::time::Instant;

/// Messages of a call (SQS developer guide, quotas-messages).
const FULL: usize = 10;

/// How long a message may wait for others.
const WAIT_MAX: Duration = Duration::from_millis(200);

#[derive(Debug, Default)]
pub(super) struct Batch {
    bodies: Vec<String>,
    /// When the first of them came.
    since: Option<Instant>,
}

impl Batch {
    pub(super) fn push(&mut self, body: String) {
        self.since.get_or_insert_with(Instant::now);
        self.bodies.push(body);
    }

    pub(super) fn is_full(&self) -> bool {
        self.bodies.len() >= FULL
    }

    /// Whether the oldest would have waited too long after a pause of this length.
    pub(super) fn is_late_after(&self, pause: Duration) -> bool {
        self.since.is_some_and(|since| since.elapsed() + pause > WAIT_MAX)
    }

    /// What is to be sent; it stays until it is known to be.
    pub(super) fn bodies(&self) -> &[String] {
        &self.bodies
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::room::Rate;
    use super::*;

    /// How many messages each of the first calls has, at this rate.
    async fn calls(rate: f64) -> Vec<usize> {
        let (mut rate, mut batch, mut calls) = (Rate::new(Some(rate)), Batch::default(), Vec::new());
        let mut send = |batch: &mut Batch| {
            calls.push(batch.bodies().len());
            batch.clear();
        };
        for n in 0..200 {
            loop {
                let wait = rate.take();
                if wait.is_zero() {
                    break;
                }
                if batch.is_late_after(wait) {
                    send(&mut batch);
                }
                tokio::time::advance(wait).await;
            }
            batch.push(n.to_string());
            if batch.is_full() {
                send(&mut batch);
            }
        }
        calls
    }

    #[tokio::test(start_paused = true)]
    async fn a_high_rate_is_sent_in_tens_and_a_low_one_at_once() {
        assert_eq!(calls(500.0).await, [10; 20]);
        assert!(calls(20.0).await.iter().all(|messages| (4..=5).contains(messages)));
        assert!(calls(1.0).await.iter().all(|messages| *messages == 1));
    }
}
