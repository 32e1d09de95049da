//! Returns many messages at once when a process has to go: one call for ten of them.

use super::{BATCH_MAX_ENTRIES, Delivery, Queue};
use crate::aws_error::AwsError;
use aws_sdk_sqs::types::ChangeMessageVisibilityBatchRequestEntry;
use std::collections::BTreeMap;
use tokio::task::JoinSet;

/// Calls under way at once.
const CONCURRENCY: usize = 16;

/// What it takes to return a message whose delivery is in other hands, or was given up.
#[derive(Clone, Debug)]
pub struct Handback {
    pub(super) queue: Queue,
    pub(super) receipt_handle: String,
}

impl From<Delivery> for Handback {
    /// Ends the delivery's heartbeat: nothing extends any more what is about to be returned.
    fn from(delivery: Delivery) -> Self {
        delivery.handback()
    }
}

/// Makes these messages receivable at once. What was settled meanwhile stays settled: SQS refuses its entry
/// alone. Tells how many messages were returned.
pub async fn return_all(handbacks: impl IntoIterator<Item = Handback>) -> usize {
    let mut queues: BTreeMap<String, Vec<Handback>> = BTreeMap::new();
    for handback in handbacks {
        queues.entry(handback.queue.url.clone()).or_default().push(handback);
    }
    let mut calls = JoinSet::new();
    let mut returned = 0;
    for handbacks in queues.into_values() {
        let mut handbacks = handbacks.into_iter().peekable();
        while handbacks.peek().is_some() {
            let some: Vec<Handback> = handbacks.by_ref().take(BATCH_MAX_ENTRIES).collect();
            if calls.len() >= CONCURRENCY {
                returned += count(calls.join_next().await);
            }
            calls.spawn(return_some(some));
        }
    }
    while let Some(call) = calls.join_next().await {
        returned += count(Some(call));
    }
    returned
}

fn count(call: Option<Result<usize, tokio::task::JoinError>>) -> usize {
    call.and_then(Result::ok).unwrap_or(0)
}

/// At most ten of one queue.
async fn return_some(handbacks: Vec<Handback>) -> usize {
    let Some(Handback { queue, .. }) = handbacks.first() else { return 0 };
    let entries = handbacks.iter().enumerate().map(|(n, handback)| {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(n.to_string());
        let entry = entry.receipt_handle(&handback.receipt_handle).visibility_timeout(0);
        entry.build().expect("id and receipt handle are given")
    });
    let change = queue.sqs.change_message_visibility_batch().queue_url(&queue.url);
    match change.set_entries(Some(entries.collect())).send().await {
        Ok(answer) => answer.successful.len(),
        Err(error) => {
            let error = AwsError::new("ChangeMessageVisibilityBatch", &queue.name, error);
            tracing::warn!(queue = queue.name, %error, "could not return messages; they come back when their visibility timeout is over");
            0
        }
    }
}
