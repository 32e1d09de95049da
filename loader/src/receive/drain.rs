//! The end of a run: what waits is returned at once, loads in work may finish for a while, and what is left of them is
//! returned too.

use super::{Received, Run};
use crate::settle;
use common::load_request::Lane;
use common::queue::return_all;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long shutdown waits for the answers of receives under way: messages in an answer that nobody reads would stay
/// away until their visibility ends.
const RECEIVE_GRACE: Duration = Duration::from_millis(500);

/// How long the messages of abandoned loads may take to be returned.
const RETURN_LIMIT: Duration = Duration::from_secs(3);

impl Run {
    /// Ends soon after the drain timeout, whatever the warehouse and AWS do.
    pub(super) async fn drain(&mut self) {
        let limit = self.loader.settings.loader.drain_timeout;
        if tokio::time::timeout(limit, self.finish()).await.is_ok() {
            return;
        }
        tracing::warn!(
            loads = self.loads.len(),
            "gave up waiting for loads in work; their messages are returned for others, who find in the ledger how they ended"
        );
        if tokio::time::timeout(RETURN_LIMIT, self.abandon()).await.is_err() {
            tracing::warn!(
                "could not return all messages; they will be delivered again when their visibility timeout is over"
            );
        }
    }

    /// Returns everything that waits, and lets loads in work finish.
    async fn finish(&mut self) {
        let held = self.pending.drain_all();
        tokio::join!(settle::return_held(held), return_received(&mut self.receives));
        while let Some(worked) = self.loads.join_next_with_id().await {
            self.load_is_over(worked);
        }
        settle::return_held(self.pending.drain_all()).await;
        self.settling.close();
        self.settling.wait().await;
        self.sweeps.end().await;
    }

    /// Drops the loads in work and returns their messages. What of it commits nevertheless is in the ledger.
    async fn abandon(&mut self) {
        // Heartbeats end with the deliveries they belong to.
        self.loads.shutdown().await;
        let loads = std::mem::take(&mut self.loading);
        let messages = loads.into_values().flat_map(|loading| loading.handbacks);
        tokio::join!(return_all(messages), settle::return_held(self.pending.drain_all()));
    }
}

/// Reads the answers of receives under way, and returns what they bring.
async fn return_received(receives: &mut JoinSet<(Lane, Received)>) {
    let deadline = Instant::now() + RECEIVE_GRACE;
    while let Ok(Some(received)) = tokio::time::timeout_at(deadline, receives.join_next()).await {
        if let Ok((_, Ok(deliveries))) = received {
            return_all(deliveries.into_iter().map(Into::into)).await;
        }
    }
    receives.abort_all();
}
