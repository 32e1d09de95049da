//! Sources routed in this process, by the very code that routers run.

use super::super::Notice;
use super::super::due::Due;
use super::super::raw::Refusal;
use super::{Here, Progress, ReplayError, Run};
use crate::handle::{HandleError, Outcome};
use common::load_request::Lane;
use common::telemetry::chain;
use futures::{StreamExt, stream};

impl<F: FnMut(&Progress, Option<Notice>)> Run<'_, F> {
    pub(super) async fn here(&mut self, here: &Here) -> Result<(), ReplayError> {
        let mut work = stream::FuturesUnordered::new();
        loop {
            while work.len() < here.in_flight && !self.shutdown.is_cancelled() {
                let Some(due) = self.sources.next()? else { break };
                let request = due.request(&self.id, &self.routing_id);
                // As if it were redelivered: an earlier try may have died between the seal and its load requests.
                work.push(async move { (due, here.router.requested(&request, Lane::Backfill, true).await) });
            }
            let Some((due, outcome)) = work.next().await else { return Ok(()) };
            self.settle(due, outcome).await?;
        }
    }

    async fn settle(&mut self, due: Due, outcome: Result<Outcome, HandleError>) -> Result<(), ReplayError> {
        match outcome {
            Ok(Outcome::Routed(tally)) => {
                self.progress.sealed += 1;
                self.progress.quarantined += tally.quarantined;
            }
            Ok(Outcome::Announced | Outcome::Sealed) => {
                if let Some(seal) = self.quarantine.seal_of(&due.source_id(), due.generation).await? {
                    self.sealed(&seal);
                }
            }
            Ok(Outcome::Gone) => self.refused(due.uri(), Refusal::Gone),
            Ok(Outcome::Superseded | Outcome::Ignored) => self.refused(due.uri(), Refusal::Superseded),
            Ok(Outcome::LostClaim(lost)) => self.lost(due.uri(), lost.held_by.unwrap_or_default()),
            Err(HandleError::LeftToOthers) => {}
            Err(error) => {
                self.progress.failed += 1;
                (self.tell)(&self.progress, Some(Notice::Failed(chain(&error))));
            }
        }
        (self.tell)(&self.progress, None);
        Ok(())
    }
}
