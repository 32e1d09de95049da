//! A batch from its first try until every request in it has a fate or waits again.
//!
//! Takes the step that [`crate::step`] decides after each failure: halves until culprits fail alone, lets
//! innocents load first, sets aside or stops.

use crate::Loader;
use crate::batch::{Held, Member, halves, members, new_name};
use crate::contents;
use crate::load::{Attempt, Blame, LoadFailure, load, show};
use crate::pause;
use crate::settle;
use crate::sql::ask;
use crate::sql::bookkeeping::insert_failed;
use crate::step::{Step, next_step};
use crate::table::Table;
use crate::verdict::Class;
use common::load_request::{LoadRequest, PartsSource};
use common::queue::{Delivery, Fate};
use std::time::Duration;

/// Guard failures in a row after which a batch waits: the ledger should have told why by then.
const ASK_AGAIN_MAX: u32 = 2;

/// What is left when the work on a batch is over.
#[derive(Debug)]
pub(crate) struct Worked {
    pub(crate) table: Table,
    pub(crate) loads: u64,
    pub(crate) rows: u64,
    /// Sources that the ledger has now, loaded here or by somebody else.
    pub(crate) done: usize,
    /// To wait again, all together.
    pub(crate) again: Vec<Held<Delivery>>,
    /// Each to be tried again alone, after its pause.
    pub(crate) alone: Vec<(Vec<Held<Delivery>>, Duration)>,
    /// Why the table stops, if it does; what of it is left is in `again`.
    pub(crate) stop: Option<String>,
}

/// Works on what was held for one table.
pub(crate) async fn work(loader: &Loader, mut table: Table, held: Vec<Held<Delivery>>) -> Worked {
    table.is_fresh = false;
    let mut worked = Worked::new(table);
    let (mut left, mut culprits) = (vec![members(held)], Vec::new());
    let (mut asked_again, mut is_halving) = (0, false);
    // The batch was handed out with its first commit; every further try takes one of its own.
    let mut has_commit = true;
    while let Some(batch) = left.pop() {
        if !std::mem::take(&mut has_commit) {
            loader.shutdown.run_until_cancelled(loader.commits.begin()).await;
        }
        if loader.shutdown.is_cancelled() {
            left.push(batch);
            break;
        }
        let Attempt { done, rows, failed } = load(loader, &mut worked.table, batch).await;
        worked.rows += rows.unwrap_or(0);
        worked.loads += u64::from(rows.is_some());
        worked.done += done.len();
        for member in &done {
            worked.table.forget(member.request());
        }
        // Only here, where the ledger is known to have them, are messages of loaded requests deleted.
        settle::members(done, &Fate::Delete).await;
        if rows.is_some() {
            show(loader, &mut worked.table).await;
        }
        let Some((mut batch, failure)) = failed else {
            worked.recovered();
            asked_again = 0;
            continue;
        };
        // What is too large was never submitted: its commit is still to be had.
        has_commit = failure.class == Class::TooLarge;
        // A failure may come from what was remembered of the schema: never twice.
        let was_fresh = worked.table.is_fresh;
        worked.table.schema = None;
        if !was_fresh && failure.class != Class::Transient {
            left.push(batch);
            continue;
        }
        let (alone, max_tries) = (batch.len() == 1, loader.settings.loader.max_tries);
        let step = next_step(failure.class, failure.blame, alone, 0, max_tries);
        let (step, tries) = match (step, batch.first()) {
            (Step::TryAlone | Step::SetAside | Step::StopAfterOthers, Some(member)) => {
                let tries = worked.table.failed_alone(member.request());
                (next_step(failure.class, failure.blame, alone, tries, max_tries), tries)
            }
            (step, _) => (step, 0),
        };
        asked_again = if step == Step::AskAgain { asked_again + 1 } else { 0 };
        match step {
            Step::AskAgain if asked_again <= ASK_AGAIN_MAX => left.push(batch),
            Step::Wait | Step::AskAgain => {
                worked.waits(&failure);
                left.push(batch);
                break;
            }
            Step::Halve => {
                if failure.class != Class::TooLarge && !std::mem::replace(&mut is_halving, true) {
                    tracing::warn!(
                        event = worked.table.event.as_str(),
                        requests = batch.len(),
                        why = failure.what,
                        "a batch failed; halving it until what is wrong fails alone"
                    );
                }
                let (first, second) = halves(batch);
                left.push(second);
                left.push(first);
            }
            Step::TryAlone => {
                tracing::warn!(
                    event = worked.table.event.as_str(),
                    part = first_part(&batch),
                    tries,
                    why = failure.what,
                    "a request failed alone"
                );
                let pause = pause::alone(failure.class, tries);
                worked.alone.extend(batch.pop().map(|member| (member.into_held(), pause)));
            }
            Step::SetAside => match batch.pop() {
                Some(member) => set_aside(loader, &mut worked, member, tries, &failure).await,
                None => continue,
            },
            Step::StopAfterOthers => {
                worked.stop = Some(explain(loader, &batch, &failure).await);
                culprits.push(batch);
            }
            Step::Stop => {
                worked.stop = Some(explain(loader, &batch, &failure).await);
                left.push(batch);
                break;
            }
        }
    }
    left.append(&mut culprits);
    worked.again = left.into_iter().flatten().flat_map(Member::into_held).collect();
    worked
}

impl Worked {
    pub(crate) fn new(table: Table) -> Self {
        Self { table, loads: 0, rows: 0, done: 0, again: Vec::new(), alone: Vec::new(), stop: None }
    }

    /// Whether the ledger has something of this batch, and nothing is left of it.
    pub(crate) fn all_is_loaded(&self) -> bool {
        self.done > 0 && self.again.is_empty() && self.alone.is_empty()
    }

    pub(crate) fn recovered(&mut self) {
        if std::mem::take(&mut self.table.waits) > 0 {
            tracing::info!(event = self.table.event.as_str(), "the warehouse takes loads of the table again");
        }
    }

    /// Logged when trouble starts, not at every try.
    fn waits(&mut self, failure: &LoadFailure) {
        if self.table.waits == 0 {
            tracing::warn!(
                event = self.table.event.as_str(),
                why = failure.what,
                "a load has to wait; retrying until it works"
            );
        }
        self.table.waits += 1;
    }
}

fn first_part(batch: &[Member<Delivery>]) -> &str {
    batch.first().map_or("none", |member| part_of(member.request()))
}

/// For people: a part of the request, or the seal that names its parts.
fn part_of(request: &LoadRequest) -> &str {
    match &request.parts {
        PartsSource::Inline(parts) => parts.first().map_or("none", |part| part.key.as_str()),
        PartsSource::Seal(parts) => &parts.seal,
    }
}

/// Records the request as failed; only then its message goes to the dead-letter queue.
async fn set_aside(loader: &Loader, worked: &mut Worked, member: Member<Delivery>, tries: u32, failure: &LoadFailure) {
    let request = member.request();
    let (event, part) = (&worked.table.event, part_of(request));
    let sql = insert_failed(&loader.names, event, request.source_id.as_str(), request.generation, &failure.what);
    match loader.warehouse.execute(&new_name("failed"), &sql).await {
        Ok(()) => {
            tracing::error!(
                event = event.as_str(),
                source_id = request.source_id.as_str(),
                part,
                why = failure.what,
                "a request failed {tries} times alone: recorded in the table failed, its message is in the dead-letter queue"
            );
            worked.table.forget(request);
            let why = failure.what.clone();
            settle::members(vec![member], &Fate::DeadLetter { why }).await;
        }
        Err(error) => {
            tracing::warn!(event = event.as_str(), %error, "could not record a failed request; it is tried again");
            worked.alone.push((member.into_held(), pause::alone(failure.class, tries)));
        }
    }
}

/// Why a table stops, with Redshift's own account of the records it refused.
async fn explain(loader: &Loader, batch: &[Member<Delivery>], failure: &LoadFailure) -> String {
    let mut why = failure.what.clone();
    if failure.class == Class::Data {
        let bucket = &loader.settings.routed.bucket;
        let contents = contents::of_members(&loader.s3, bucket, batch).await.unwrap_or_default();
        let parts = contents.iter().flat_map(|contents| contents.parts.iter());
        let uris: Vec<String> = parts.map(|part| format!("s3://{bucket}/{}", part.key)).collect();
        let rows = match ask::load_errors(uris.iter().map(String::as_str)) {
            Some(sql) => loader.warehouse.query("load errors", &sql).await.unwrap_or_default(),
            None => Vec::new(),
        };
        for row in rows {
            let field = |at: usize| row.get(at).and_then(Option::as_deref).unwrap_or("?").to_owned();
            why.push_str(&format!("; {} line {} column {}: {} ({})", field(0), field(1), field(2), field(4), field(3)));
        }
    }
    if failure.blame == Blame::Batch {
        why.push_str(&format!(" [{}]", first_part(batch)));
    }
    why
}
