//! Settles many deliveries at once: SQS takes one visibility change per call, and a batch has a thousand.

use crate::batch::{Held, Member};
use common::queue::{Delivery, Fate, Queue};
use tokio::task::JoinSet;

/// Calls under way at once.
const CONCURRENCY: usize = 16;

/// One fate for everything that came in for these members.
pub(crate) async fn members(queue: &Queue, members: Vec<Member<Delivery>>, fate: &Fate) {
    held(queue, members.into_iter().flat_map(Member::into_held).collect(), fate).await;
}

/// One fate for all.
pub(crate) async fn held(queue: &Queue, held: Vec<Held<Delivery>>, fate: &Fate) {
    deliveries(queue, held.into_iter().map(|one| one.delivery), fate).await;
}

/// The same for deliveries that were never understood.
pub(crate) async fn deliveries(queue: &Queue, deliveries: impl IntoIterator<Item = Delivery>, fate: &Fate) {
    let mut calls = JoinSet::new();
    for delivery in deliveries {
        if calls.len() >= CONCURRENCY {
            calls.join_next().await;
        }
        let (queue, fate) = (queue.clone(), fate.clone());
        calls.spawn(async move {
            if let Err(error) = queue.settle(delivery, &fate).await {
                // It becomes visible again, and the ledger tells what it was.
                tracing::warn!(queue = queue.name(), %error, ?fate, "could not settle a message");
            }
        });
    }
    calls.join_all().await;
}
