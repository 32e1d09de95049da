//! The loader: gathers load requests per table and COPYs their parts into Redshift, each source exactly once.
//!
//! The way of a request: `receive` takes it in, `pending` lets it wait for its table, `work` sees a batch
//! through, `load` is one try at it, `transaction` what Redshift is told. Its only memory is the ledger
//! in Redshift; everything held in this process may be lost at any time.

mod actual;
mod audit;
mod away;
mod batch;
mod bookkeeping;
mod budget;
pub mod cli;
mod commits;
mod contents;
mod copy_inputs;
mod defer;
mod grants;
mod groups;
mod inventory;
mod latest;
mod ledger;
mod left_out;
mod load;
mod mapping;
mod outlook;
mod pause;
mod pending;
mod pieces;
mod receive;
mod record;
mod repair;
mod schema;
mod settle;
mod share;
#[cfg(test)]
mod simulation;
mod split;
mod sql;
mod start;
mod step;
mod stopped;
mod sweep;
mod table;
mod ticks;
mod transaction;
mod upkeep;
mod verdict;
mod warehouse;
mod work;

pub use audit::{
    Ask, AuditError, Audited, Balance, Difference, Kind, ReadTally, Rebuilt, Repaired, Tally, Told, audit,
    rebuild_ledger, repair,
};
pub use start::StartError;
pub use sweep::{Owed, Report};
pub use upkeep::{FailedRequest, Redriven, Selection, Swept, UpkeepError, failed, redrive, sweep};

use crate::sweep::schedule::Schedule;
use commits::Commits;
use common::aws_error::AwsError;
use common::clients::Clients;
use common::queue::LaneQueues;
use common::settings::Settings;
use sql::Names;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use warehouse::Warehouse;

/// What every load needs.
#[derive(Debug)]
struct Loader {
    settings: Settings,
    names: Names,
    queues: LaneQueues,
    commits: Commits,
    s3: aws_sdk_s3::Client,
    warehouse: Warehouse,
    views: latest::Views,
    shutdown: CancellationToken,
}

/// What a run knows that it did; a load whose reply was lost is in the ledger and not in here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Load transactions that committed.
    pub loads: u64,
    /// Rows in them.
    pub rows: u64,
}

/// A run that did not end well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It did not start.
    #[error("the loader cannot start")]
    Start(#[source] StartError),
    /// All that is left to do belongs to tables that are stopped.
    #[error("{} stopped, and only {} left to load:\n  {}", count(tables), if tables.len() == 1 { "its requests are" } else { "their requests are" }, tables.join("\n  "))]
    Stopped {
        /// Event and reason of each.
        tables: Vec<String>,
    },
    /// All that is left to do was written by a newer router.
    #[error("only a newer loader can go on: upgrade it; left are {} load requests:\n  {}", requests.len(), lines(requests))]
    TooNew {
        /// Message id and reason of each.
        requests: BTreeMap<String, String>,
    },
    /// The queue refuses to be read, and waiting will not help.
    #[error("the load queue cannot be read: check its name, and that the loader may call sqs:ReceiveMessage")]
    Receive(#[source] AwsError),
}

fn lines(requests: &BTreeMap<String, String>) -> String {
    requests.iter().map(|(id, why)| format!("{id}: {why}")).collect::<Vec<_>>().join("\n  ")
}

fn count(tables: &[String]) -> String {
    match tables.len() {
        1 => "1 table is".to_owned(),
        n => format!("{n} tables are"),
    }
}

/// Loads until `shutdown` or, if `until_idle` is given, until nothing was left to do for that long.
pub async fn run(
    settings: &Settings,
    clients: &Clients,
    until_idle: Option<Duration>,
    shutdown: CancellationToken,
) -> Result<Summary, RunError> {
    let (queues, warehouse, names) = start::open(settings, clients).await.map_err(RunError::Start)?;
    let sweeper =
        start::sweeper(settings, clients, queues.live(), &warehouse, &names).await.map_err(RunError::Start)?;
    tracing::info!(queue = queues.live().name(), schema = names.schema, "loading");
    let sweeps = Schedule::start(sweeper, settings.sweep.every, &shutdown);
    let loader = Loader {
        settings: settings.clone(),
        names,
        queues,
        commits: Commits::new(settings.loader.max_commits_per_minute),
        s3: clients.s3.clone(),
        warehouse,
        views: latest::Views::default(),
        shutdown: shutdown.clone(),
    };
    let loader = Arc::new(loader);
    // Beside receiving: what readers see of old rows holds no new ones up.
    let for_readers = async {
        grants::at_start(&loader.warehouse, &loader.names, &settings.loader.grant_to).await;
        latest::at_start(&loader).await;
    };
    let (ended, _) =
        tokio::join!(receive::run(loader.clone(), sweeps, until_idle), shutdown.run_until_cancelled(for_readers));
    ended
}
