//! What lies in the raw bucket: its objects, a page at a time, listed by many at once.
//!
//! S3 gives the next page only to whoever has the one before, so one listing of millions of keys takes hours. Here the
//! space of keys is divided: by folders first, then by guesses at where the middle of a range is (docs/adr/0018).

mod choice;
mod dates;
mod frontier;
mod midpoint;
mod pages;
mod range;
mod raw_object;
#[cfg(test)]
mod tests;

pub(crate) use choice::is_aside;
pub(crate) use raw_object::RawObject;

use crate::patience::patiently;
use aws_sdk_s3::Client;
use common::aws_error::AwsError;
use frontier::{Frontier, Next};
use pages::{Bucket, Pages};
use std::sync::Arc;
use std::time::Duration;
use time::Date;
use tokio::sync::mpsc;

/// Pages listed ahead of whoever reads them, beside the one that each lister holds.
const PAGES_AHEAD: usize = 8;

/// Listers of one listing. S3 answers 5,500 requests a second and prefix (S3 user guide, optimizing-performance).
const LISTERS: usize = 32;

/// Ranges for each lister with which there is enough to do.
const RANGES_EACH: usize = 4;

/// Which folders come first, by the dates in their names; those without one before all others. No promise: many are
/// listed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    OldestFirst,
    /// For a second one who does the same, so that both meet in the middle.
    NewestFirst,
    /// For a third.
    Scattered,
}

/// The objects under a prefix, up to a thousand at a time, each once. The listing ends when the receiver is dropped; an
/// error ends it.
pub(crate) fn list(s3: &Client, bucket: &str, prefix: &str) -> mpsc::Receiver<Result<Vec<RawObject>, AwsError>> {
    list_in_order(s3, bucket, prefix, Order::OldestFirst, Duration::ZERO)
}

/// The same in another order. What S3 does not answer is asked for again for as long as `patience`.
pub(crate) fn list_in_order(
    s3: &Client,
    bucket: &str,
    prefix: &str,
    order: Order,
    patience: Duration,
) -> mpsc::Receiver<Result<Vec<RawObject>, AwsError>> {
    let frontier = Frontier::new(prefix, order, LISTERS * RANGES_EACH);
    send_workers(Bucket { s3: s3.clone(), name: bucket.to_owned() }, frontier, LISTERS, patience)
}

/// The same without most of what lies in folders of days before `from`: see [`is_aside`].
pub(crate) fn list_from(
    s3: &Client,
    bucket: &str,
    prefix: &str,
    from: Date,
) -> mpsc::Receiver<Result<Vec<RawObject>, AwsError>> {
    let frontier = Frontier::new(prefix, Order::OldestFirst, LISTERS * RANGES_EACH).without_folders_before(from);
    send_workers(Bucket { s3: s3.clone(), name: bucket.to_owned() }, frontier, LISTERS, Duration::ZERO)
}

fn send_workers<P: Pages>(
    pages: P,
    frontier: Frontier,
    listers: usize,
    patience: Duration,
) -> mpsc::Receiver<Result<Vec<RawObject>, AwsError>> {
    let (sender, receiver) = mpsc::channel(PAGES_AHEAD);
    let (frontier, pages) = (Arc::new(frontier), Arc::new(pages));
    for _ in 0..listers {
        tokio::spawn(work(pages.clone(), frontier.clone(), patience, sender.clone()));
    }
    receiver
}

async fn work<P: Pages>(
    pages: Arc<P>,
    frontier: Arc<Frontier>,
    patience: Duration,
    sender: mpsc::Sender<Result<Vec<RawObject>, AwsError>>,
) {
    loop {
        // Before the look, so that no change is missed after it.
        let changed = frontier.changed.notified();
        let (id, mut ask) = match frontier.next() {
            Next::List(id, ask) => (id, ask),
            Next::Wait => {
                changed.await;
                continue;
            }
            Next::Done => return,
        };
        loop {
            let shown = match patiently(patience, || pages.page(&ask)).await {
                Ok(mut page) => {
                    let next = frontier.took(id, &mut page);
                    Ok((page.objects, next))
                }
                Err(error) => Err(error),
            };
            let (objects, next) = match shown {
                Ok(shown) => shown,
                Err(error) => {
                    frontier.stop();
                    // Nobody may be listening any more.
                    return drop(sender.send(Err(error)).await);
                }
            };
            let is_wanted = objects.is_empty() || sender.send(Ok(objects)).await.is_ok();
            if !is_wanted || frontier.is_stopped() {
                return frontier.stop();
            }
            match next {
                Some(next) => ask = next,
                None => break,
            }
        }
    }
}
