//! Deferral: a request that would wait long leaves the queue, because its seal stands and the sweep announces it again.
//!
//! Only what the sweep can find is deferred. A request is sent after its seal and the seal's index objects were
//! written (the router's order, and the sweep's own source is the index), so where the seal is, the sweep finds it.

use crate::Loader;
use crate::settle;
use common::load_request::LoadRequest;
use common::objects;
use common::queue::{Delivery, Fate};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;

/// SQS keeps a message invisible for 12 hours after its receive and no longer (SQS developer guide, visibility
/// timeout); what is held for so long is let go in time.
pub(crate) const HELD_MAX: Duration = Duration::from_secs(11 * 3600);

/// A request of a table that holds enough is deferred at this receive: with its growing pauses that is after 95 minutes.
pub(crate) const CROWDED_RECEIVES_MAX: u32 = 20;

/// Looks at seals under way at once.
const CONCURRENCY: usize = 16;

/// When a request comes back whose seal is not there, or could not be asked for.
const RETURNED: Duration = Duration::from_secs(15 * 60);

/// The seal that a delivery's request was made from.
pub(crate) fn seal_key(loader: &Loader, request: &LoadRequest) -> String {
    loader.settings.keys.seal(&request.source_id, request.generation)
}

/// Deletes those deliveries whose seals (by key) are there, and returns the others to the queue.
pub(crate) async fn deliveries(loader: &Loader, deliveries: Vec<(String, Delivery)>) {
    let mut by_seal: BTreeMap<String, Vec<Delivery>> = BTreeMap::new();
    for (seal, delivery) in deliveries {
        by_seal.entry(seal).or_default().push(delivery);
    }
    let mut looks = JoinSet::new();
    let (mut deferred, mut returned) = (Vec::new(), Vec::new());
    let mut sort = |(is_sealed, mut deliveries): (bool, Vec<Delivery>)| {
        if is_sealed { deferred.append(&mut deliveries) } else { returned.append(&mut deliveries) }
    };
    for (seal, deliveries) in by_seal {
        if looks.len() >= CONCURRENCY
            && let Some(looked) = looks.join_next().await
        {
            sort(looked.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())));
        }
        let (s3, bucket) = (loader.s3.clone(), loader.settings.routed.bucket.clone());
        looks.spawn(async move {
            let is_sealed = objects::exists(&s3, &bucket, &seal).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "could not look for a seal; its requests are returned to the queue");
                false
            });
            (is_sealed, deliveries)
        });
    }
    for looked in looks.join_all().await {
        sort(looked);
    }
    settle::deliveries(deferred, &Fate::Delete).await;
    settle::deliveries(returned, &Fate::Return { after: RETURNED }).await;
}
