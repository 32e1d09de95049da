//! Works on what is handed out together: one table alone, or several quiet ones in one transaction.
//!
//! A shared transaction is tried once. Whatever goes wrong, each of its tables goes back and is tried alone, where
//! `work` finds out what it was and whom it concerns: a table that cannot load never keeps others from it.

use crate::Loader;
use crate::batch::{Held, Member, members, new_name};
use crate::ledger;
use crate::load::{LoadFailure, Prepared, Uncommitted, ask, commit, files, prepare, show};
use crate::repair::Rejected;
use crate::settle;
use crate::table::Table;
use crate::work::{self, Worked};
use common::queue::{Delivery, Fate};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What is not in place by then (a slow DDL, a slow S3) holds the other tables up no longer.
const PREPARE_LIMIT: Duration = Duration::from_secs(15);

/// A table of a shared transaction.
struct Shared {
    worked: Worked,
    /// Not in the ledger.
    owed: Vec<Member<Delivery>>,
}

/// Works on what was handed out.
pub(crate) async fn work(loader: &Arc<Loader>, tables: Vec<(Table, Vec<Held<Delivery>>)>) -> Vec<Worked> {
    if tables.len() == 1 {
        let mut worked = Vec::new();
        for (table, held) in tables {
            worked.push(work::work(loader, table, held).await);
        }
        return worked;
    }
    let (clock, mut over, mut ready) = (Instant::now(), Vec::new(), Vec::new());
    let mut preparing = JoinSet::new();
    for (mut table, held) in tables {
        table.is_fresh = false;
        let (loader, mut shared) = (loader.clone(), Shared { worked: Worked::new(table), owed: members(held) });
        preparing.spawn(async move {
            let prepared = tokio::time::timeout(PREPARE_LIMIT, shared.prepare(&loader)).await;
            (shared, prepared)
        });
    }
    for (shared, prepared) in preparing.join_all().await {
        match prepared {
            Ok(Ok(Some(prepared))) => ready.push((shared, prepared)),
            Ok(Ok(None)) => over.push(shared.back()),
            Ok(Err(failure)) => over.push(shared.failed(Some(&failure))),
            Err(_) => over.push(shared.failed(None)),
        }
    }
    // Gates are locked in this order.
    ready.sort_by(|(a, _), (b, _)| a.worked.table.event.cmp(&b.worked.table.event));
    if ready.is_empty() || loader.shutdown.is_cancelled() {
        over.extend(ready.into_iter().map(|(shared, _)| shared.back()));
        return over;
    }
    let batch = new_name("b");
    let plans = ready.iter().map(|(shared, prepared)| prepared.plan(loader, &shared.worked.table.event));
    match commit(loader, &batch, plans.collect()).await {
        Ok(()) => {
            for (at, (shared, prepared)) in ready.into_iter().enumerate() {
                let mut worked = shared.loaded(loader, &prepared, &batch, clock).await;
                worked.loads = u64::from(at == 0);
                over.push(worked);
            }
        }
        Err(Uncommitted { failure, event, .. }) => {
            tracing::info!(
                tables = ready.len(),
                failed = event.as_ref().map(|event| event.as_str()),
                why = failure.what,
                "tables could not load in one transaction; each is tried alone"
            );
            over.extend(ready.into_iter().map(|(shared, _)| shared.failed(None)));
        }
    }
    over
}

impl Shared {
    /// Everything before the transaction; `None` where the table has nothing to bring, or more than may be shared.
    async fn prepare(&mut self, loader: &Loader) -> Result<Option<Prepared>, LoadFailure> {
        let table = &mut self.worked.table;
        let found = ask(loader, table, &self.owed).await?;
        let (done, owed) = ledger::part(std::mem::take(&mut self.owed), &found);
        self.owed = owed;
        self.worked.done += done.len();
        for member in &done {
            self.worked.table.forget(member.request());
        }
        settle::members(done, &Fate::Delete).await;
        if self.owed.is_empty() {
            return Ok(None);
        }
        let table = &mut self.worked.table;
        let files = files(loader, table, &self.owed).await?;
        let prepared = prepare(loader, table, &self.owed, &files, &Rejected::default()).await?;
        Ok((prepared.groups.len() == 1).then_some(prepared))
    }

    /// Committed: only now are the messages deleted.
    async fn loaded(self, loader: &Loader, prepared: &Prepared, batch: &str, clock: Instant) -> Worked {
        let Self { mut worked, owed } = self;
        worked.rows += prepared.tell_loaded(&worked.table.event, &owed, batch, clock);
        worked.done += owed.len();
        for member in &owed {
            worked.table.forget(member.request());
        }
        settle::members(owed, &Fate::Delete).await;
        show(loader, &mut worked.table).await;
        worked.recovered();
        worked
    }

    /// To be tried alone, after a failure that may come from what was remembered of the schema.
    fn failed(mut self, failure: Option<&LoadFailure>) -> Worked {
        if let Some(failure) = failure {
            let event = self.worked.table.event.as_str();
            tracing::debug!(
                event,
                why = failure.what,
                "a table could not be made ready with others; it is tried alone"
            );
        }
        self.worked.table.schema = None;
        self.back()
    }

    /// What is left of it is tried alone.
    fn back(self) -> Worked {
        let Self { mut worked, owed } = self;
        worked.again = owed.into_iter().flat_map(Member::into_held).collect();
        worked
    }
}
