//! Settles many deliveries at once: SQS takes one visibility change per call, and a batch has a thousand.

use crate::batch::{Held, Member};
use common::queue::{self, Delivery, Fate};
use tokio::task::JoinSet;

/// Calls under way at once.
const CONCURRENCY: usize = 16;

/// One fate for everything that came in for these members.
pub(crate) async fn members(members: Vec<Member<Delivery>>, fate: &Fate) {
    deliveries(members.into_iter().flat_map(Member::into_held).map(|one| one.delivery), fate).await;
}

/// One fate for all.
pub(crate) async fn deliveries(deliveries: impl IntoIterator<Item = Delivery>, fate: &Fate) {
    let mut calls = JoinSet::new();
    for delivery in deliveries {
        if calls.len() >= CONCURRENCY {
            calls.join_next().await;
        }
        let fate = fate.clone();
        calls.spawn(async move {
            let queue = delivery.queue_name().to_owned();
            if let Err(error) = delivery.settle(&fate).await {
                // It becomes visible again, and the ledger tells what it was.
                tracing::warn!(queue, %error, ?fate, "could not settle a message");
            }
        });
    }
    calls.join_all().await;
}

/// Returns what is held at once, ten messages a call: this process has to go.
pub(crate) async fn return_held(held: Vec<Held<Delivery>>) {
    let deliveries = held.into_iter().map(|one| one.delivery).filter(|delivery| !delivery.is_lost());
    queue::return_all(deliveries.map(Into::into)).await;
}
