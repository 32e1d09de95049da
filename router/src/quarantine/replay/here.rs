//! Sources routed in this process, by the very code that routers run.

use super::super::Notice;
use super::super::due::Due;
use super::super::raw::Refusal;
use super::{Here, Progress, ReplayError, Run};
use crate::handle::{HandleError, Outcome};
use crate::patience::{ALL_FAIL, pause_after};
use common::load_request::Lane;
use common::telemetry::chain;
use futures::{StreamExt, stream};
use std::pin::pin;
use std::time::Duration;
use tokio::time::Instant;

impl<F: FnMut(&Progress, Option<Notice>)> Run<'_, F> {
    pub(super) async fn here(&mut self, here: &Here, patience: Duration) -> Result<(), ReplayError> {
        let mut work = stream::FuturesUnordered::new();
        let (mut failures, mut moved_at, mut resume_at) = (0, Instant::now(), Instant::now());
        let (mut is_through, shutdown) = (false, self.shutdown);
        // What is routed is sealed first, as far as there is time.
        let mut drained = pin!(async {
            shutdown.cancelled().await;
            tokio::time::sleep(here.drain_timeout).await;
        });
        loop {
            let is_given_up = failures >= ALL_FAIL && moved_at.elapsed() > patience;
            let mut may_begin = !(is_through || is_given_up || shutdown.is_cancelled());
            while may_begin && work.len() < here.in_flight && Instant::now() >= resume_at {
                let Some(due) = self.sources.next()? else {
                    (is_through, may_begin) = (true, false);
                    break;
                };
                let request = due.request(&self.id, &self.routing_id);
                // As if it were redelivered: an earlier try may have died between the seal and its load requests.
                work.push(async move { (due, here.router.requested(&request, Lane::Backfill, true).await) });
            }
            if work.is_empty() && !may_begin {
                return Ok(());
            }
            let (due, outcome) = tokio::select! {
                Some(ended) = work.next() => ended,
                () = tokio::time::sleep_until(resume_at), if may_begin && resume_at > Instant::now() => continue,
                () = shutdown.cancelled(), if !shutdown.is_cancelled() => continue,
                () = &mut drained => return Ok(()),
            };
            match self.settle(due, outcome).await? {
                true => (failures, moved_at) = (0, Instant::now()),
                false => failures += 1,
            }
            resume_at = Instant::now() + pause_after(failures);
        }
    }

    /// Whether the source did not fail.
    async fn settle(&mut self, due: Due, outcome: Result<Outcome, HandleError>) -> Result<bool, ReplayError> {
        match outcome {
            Ok(Outcome::Routed(tally)) => {
                self.progress.sealed += 1;
                self.progress.quarantined += tally.quarantined;
            }
            Ok(Outcome::Announced | Outcome::Sealed) => {
                match self.quarantine.seal_of(&due.source_id(), due.generation).await {
                    Ok(Some(seal)) => self.sealed(&seal),
                    Ok(None) => {}
                    Err(error) if error.is_transient() => return Ok(self.failed(chain(&error))),
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(Outcome::Gone) => self.refused(due.uri(), Refusal::Gone),
            Ok(Outcome::Superseded | Outcome::Ignored) => self.refused(due.uri(), Refusal::Superseded),
            Ok(Outcome::LostClaim(lost)) => self.lost(due.uri(), lost.held_by.unwrap_or_default()),
            Err(HandleError::LeftToOthers) => {}
            Err(error) => return Ok(self.failed(chain(&error))),
        }
        (self.tell)(&self.progress, None);
        Ok(true)
    }

    fn failed(&mut self, why: String) -> bool {
        self.progress.failed += 1;
        (self.tell)(&self.progress, Some(Notice::Failed(why)));
        false
    }
}
