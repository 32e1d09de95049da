//! In this process, without the raw queue: the same handler that routers have, for a run on one machine.

use super::desk::Desk;
use super::facts::Counted;
use super::progress::{Missing, Tracker};
use super::room::Rate;
use super::work::Drained;
use crate::handle::{HandleError, Outcome, Router};
use crate::listing::RawObject;
use crate::patience::{ALL_FAIL, pause_after};
use common::load_request::Lane;
use common::route_request::RouteRequest;
use common::telemetry::chain;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub(super) struct Direct {
    router: Arc<Router>,
    raw_bucket: String,
    /// Objects fetched, routed and written at once; `router.workers` of them are routed.
    at_once: usize,
    rate: Rate,
    tasks: JoinSet<Ended>,
    /// Failures since anything succeeded.
    failures: u32,
    /// Objects of this pass that failed.
    failed: u64,
    patience: Duration,
    drain_timeout: Duration,
}

struct Ended {
    object: RawObject,
    began: Instant,
    outcome: Result<Outcome, HandleError>,
}

impl Direct {
    pub(super) fn new(
        router: Router,
        raw_bucket: &str,
        at_once: usize,
        rate: Option<f64>,
        patience: Duration,
        drain_timeout: Duration,
    ) -> Self {
        Self {
            router: Arc::new(router),
            raw_bucket: raw_bucket.to_owned(),
            at_once,
            rate: Rate::new(rate),
            tasks: JoinSet::new(),
            failures: 0,
            failed: 0,
            patience,
            drain_timeout,
        }
    }

    pub(super) fn in_work(&self) -> u64 {
        self.tasks.len() as u64
    }

    /// Begins an object as soon as there is room. `None`: it was; else why the work ends before.
    pub(super) async fn begin(
        &mut self,
        object: RawObject,
        request: RouteRequest,
        desk: &mut Desk<'_>,
    ) -> Result<Option<Drained>, super::Cause> {
        let mut full_since: Option<Instant> = None;
        loop {
            if desk.shutdown.is_cancelled() {
                return Ok(Some(Drained::Interrupted));
            }
            let is_full = self.tasks.len() >= self.at_once;
            // Where all fails there is room soon, and nothing moves. Else neither a long walk nor a rate is a standstill.
            let stood = match (self.failures >= ALL_FAIL, is_full) {
                (true, _) => desk.tracker.idle(),
                (false, true) => full_since.get_or_insert_with(Instant::now).elapsed().min(desk.tracker.idle()),
                (false, false) => Duration::ZERO,
            };
            if stood > self.patience {
                return Ok(Some(Drained::Stuck));
            }
            let wait = if is_full { Duration::MAX } else { self.rate.take() };
            if wait.is_zero() {
                break;
            }
            self.wait(wait, desk).await;
        }
        let router = self.router.clone();
        self.tasks.spawn(async move {
            let began = Instant::now();
            // Whoever began it before may have died between seal and announcement. He wrote no index object then, or not
            // all of them, and for a missing one it is announced again; after the last one the loader's sweep does it.
            let outcome = router.requested(&request, Lane::Backfill, false).await;
            Ended { object, began, outcome }
        });
        if self.failures < ALL_FAIL {
            desk.tracker.moves();
        }
        Ok(None)
    }

    /// Waits for all that was begun.
    pub(super) async fn drain(&mut self, desk: &mut Desk<'_>) -> Drained {
        let mut stopped_at = None;
        while !self.tasks.is_empty() {
            if desk.shutdown.is_cancelled() {
                let since: Instant = *stopped_at.get_or_insert_with(Instant::now);
                if since.elapsed() >= self.drain_timeout {
                    self.tasks.shutdown().await;
                }
            }
            self.wait(Duration::from_secs(1), desk).await;
        }
        match desk.shutdown.is_cancelled() {
            true => Drained::Interrupted,
            false => Drained::Unsealed(std::mem::take(&mut self.failed)),
        }
    }

    /// What is left when the work ends.
    pub(super) fn give_up(&mut self) -> u64 {
        let left = self.failed + self.in_work();
        self.tasks.abort_all();
        left
    }

    /// Until one is done, or this long.
    async fn wait(&mut self, most: Duration, desk: &mut Desk<'_>) {
        let ended = tokio::time::timeout(most.min(Duration::from_secs(1)), self.tasks.join_next()).await;
        match ended {
            Ok(Some(Ok(ended))) => self.ended(ended, desk.tracker).await,
            // The handler catches panics of its threads; what is left is this process being told to end.
            Ok(Some(Err(_))) => self.failed += 1,
            Ok(None) => tokio::time::sleep(most.min(Duration::from_secs(1))).await,
            Err(_) => {}
        }
        desk.tell(self.in_work()).await;
    }

    async fn ended(&mut self, ended: Ended, tracker: &mut Tracker) {
        let Ended { object, began, outcome } = ended;
        let source_id = object.source_id(&self.raw_bucket);
        let mut sealed = |counts| tracker.sealed(object.bytes, counts, began.elapsed());
        match outcome {
            Ok(Outcome::Routed(tally)) => {
                sealed(Counted { read: tally.records, quarantined: tally.quarantined, bytes: tally.bytes });
            }
            Ok(Outcome::Announced | Outcome::Sealed) => sealed(Counted::default()),
            Ok(Outcome::Gone) => tracker.missing(&source_id, &object.key, Missing::Gone),
            Ok(Outcome::Superseded) => tracker.missing(&source_id, &object.key, Missing::Superseded),
            Ok(Outcome::Ignored) => tracker.missing(&source_id, &object.key, Missing::Ignored),
            Ok(Outcome::LostClaim(_)) => tracker.lost_claim(&object.key),
            Err(HandleError::LeftToOthers) => {}
            Err(error) => {
                (self.failed, self.failures) = (self.failed + 1, self.failures + 1);
                let why = chain(&error);
                tracing::error!(source.key = object.key, "{why}");
                tracker.left.name(&why, &object.key);
                tokio::time::sleep(pause_after(self.failures).min(self.patience / 4)).await;
                return;
            }
        }
        self.failures = 0;
    }
}
