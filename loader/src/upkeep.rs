//! What a person asks of the loader beside loading: a sweep, what was set aside, and another try at it.

use crate::batch::new_name;
use crate::sql::{BATCH_MAX_ENTRIES, Names, sweep as sql};
use crate::start;
use crate::sweep::{Ledgers, Loaded, Mode, Outcome, Report, SweepError, of_seal};
use crate::verdict::Class;
use crate::warehouse::{Classed as _, Row, Warehouse, WarehouseError, number, required};
use common::aws_error::AwsError;
use common::clients::Clients;
use common::event_name::EventName;
use common::load_request::Lane;
use common::queue::LaneQueues;
use common::queue::Queue;
use common::seals::{self, SealReadError};
use common::settings::Settings;
use common::source::SourceId;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a sweep that a person asked for waits for a queue that has enough to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was asked could not be done.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct UpkeepError(#[from] Cause);

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("the loader cannot start")]
    Start(#[from] start::StartError),
    #[error("the sweep did not come to its end; the next one starts where it did")]
    Sweep(#[from] SweepError),
    #[error("the table failed could not be read or changed")]
    Failed(#[source] WarehouseError),
    #[error("could not announce {event} of source {source_id} again; it is owed, and a sweep announces it")]
    Announce {
        event: EventName,
        source_id: SourceId,
        #[source]
        cause: AnnounceError,
    },
}

#[derive(Debug, thiserror::Error)]
enum AnnounceError {
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error(transparent)]
    Seal(#[from] SealReadError),
}

/// What asking for a sweep came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swept {
    /// It was done.
    Done(Report),
    /// Another loader sweeps at this moment: who it is.
    Held(String),
    /// It was interrupted.
    Interrupted,
}

/// Looks at every open day and announces again what is owed; with `dry_run` it only looks.
pub async fn sweep(
    settings: &Settings,
    clients: &Clients,
    dry_run: bool,
    shutdown: &CancellationToken,
) -> Result<Swept, UpkeepError> {
    Ok(sweep_now(settings, clients, dry_run, shutdown).await?)
}

async fn sweep_now(
    settings: &Settings,
    clients: &Clients,
    dry_run: bool,
    shutdown: &CancellationToken,
) -> Result<Swept, Cause> {
    let (queues, warehouse, names) = start::open(settings, clients).await?;
    let mut sweeper = start::sweeper(settings, clients, queues.live(), &warehouse, &names).await?;
    let mode = Mode { dry_run, all_days: true, every: None, patience: PATIENCE };
    Ok(match sweeper.sweep(mode, shutdown).await? {
        Outcome::Swept(report) => Swept::Done(report),
        Outcome::Held(by) => Swept::Held(by),
        // Nobody asked whether it is due.
        Outcome::Interrupted | Outcome::NotDue(_) => Swept::Interrupted,
    })
}

/// Which of the requests that were set aside.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only of this event.
    pub event: Option<EventName>,
    /// Only of this source.
    pub source_id: Option<SourceId>,
}

/// A request that was set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedRequest {
    /// Its event.
    pub event: EventName,
    /// Its source.
    #[serde(serialize_with = "as_text")]
    pub source_id: SourceId,
    /// The generation of its parts.
    pub generation: u32,
    /// Why it failed last.
    pub why: String,
    /// When, as the warehouse says it (UTC).
    pub failed_at: String,
    /// How often it was set aside.
    pub times: u64,
    /// Whether its source was loaded since, by whatever way.
    pub loaded: bool,
}

fn as_text<S: serde::Serializer>(source_id: &SourceId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(source_id.as_str())
}

/// What was set aside, newest first.
pub async fn failed(
    settings: &Settings,
    clients: &Clients,
    selection: &Selection,
) -> Result<Vec<FailedRequest>, UpkeepError> {
    let (_, warehouse, names) = start::open(settings, clients).await.map_err(Cause::from)?;
    Ok(list(&warehouse, &names, selection).await.map_err(Cause::Failed)?.0)
}

/// The requests, and what the ledgers have of them.
async fn list(
    warehouse: &Warehouse,
    names: &Names,
    selection: &Selection,
) -> Result<(Vec<FailedRequest>, Loaded), WarehouseError> {
    let statement = sql::failed(names, selection.event.as_ref(), selection.source_id.as_ref());
    let mut requests: Vec<FailedRequest> = Vec::new();
    let mut places: BTreeMap<(EventName, SourceId, u32), usize> = BTreeMap::new();
    for row in warehouse.query("failed", &statement).await? {
        let request = request(&row)?;
        let key = (request.event.clone(), request.source_id.clone(), request.generation);
        match places.get(&key) {
            Some(at) => requests[*at].times += 1,
            None => {
                places.insert(key, requests.len());
                requests.push(request);
            }
        }
    }
    if requests.is_empty() {
        return Ok((requests, Loaded::default()));
    }
    let ledgers = Ledgers::open(warehouse, names).await?;
    let pairs: Vec<_> = requests.iter().map(|one| (&one.event, &one.source_id)).collect();
    let loaded = ledgers.loaded(&pairs).await?;
    for one in &mut requests {
        let generation = loaded.generation(&one.event, &one.source_id);
        one.loaded = generation.is_some_and(|generation| generation >= one.generation);
    }
    Ok((requests, loaded))
}

fn request(row: &Row) -> Result<FailedRequest, WarehouseError> {
    let unexpected = |expected| WarehouseError::Unexpected { found: format!("{row:?}"), expected };
    Ok(FailedRequest {
        event: EventName::try_from(required(row, 0)?.to_owned()).map_err(|_| unexpected("an event name"))?,
        source_id: SourceId::try_from(required(row, 1)?.to_owned()).map_err(|_| unexpected("a source id"))?,
        generation: number(row, 2)?,
        why: required(row, 3)?.to_owned(),
        failed_at: required(row, 4)?.to_owned(),
        times: 1,
        loaded: false,
    })
}

/// What a redrive did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Redriven {
    /// Requests that are not set aside any more.
    pub lifted: u64,
    /// Of them, announced again. The others are loaded, or no seal names their event.
    pub announced: u64,
}

/// Lifts what was set aside, and announces it again.
pub async fn redrive(settings: &Settings, clients: &Clients, selection: &Selection) -> Result<Redriven, UpkeepError> {
    let opened = start::open(settings, clients).await.map_err(Cause::from)?;
    redrive_in(settings, clients, &opened, selection).await
}

/// What [`start::open`] opens.
pub(crate) type Opened = (LaneQueues, Warehouse, Names);

/// The same, for whoever has all open.
pub(crate) async fn redrive_in(
    settings: &Settings,
    clients: &Clients,
    opened: &Opened,
    selection: &Selection,
) -> Result<Redriven, UpkeepError> {
    Ok(lift(settings, clients, opened, selection).await?)
}

async fn lift(
    settings: &Settings,
    clients: &Clients,
    (queues, warehouse, names): &Opened,
    selection: &Selection,
) -> Result<Redriven, Cause> {
    let (requests, loaded) = list(warehouse, names, selection).await.map_err(Cause::Failed)?;
    let mut redriven = Redriven::default();
    for some in requests.chunks(BATCH_MAX_ENTRIES) {
        // First lifted, then announced: whatever happens in between, a sweep finds it owed.
        let lifts = some
            .iter()
            .map(|one| sql::delete_failed(names, &one.event, &one.source_id, one.generation, &one.failed_at));
        delete(warehouse, lifts.collect()).await.map_err(Cause::Failed)?;
        redriven.lifted += some.len() as u64;
        let pairs: BTreeSet<(&EventName, &SourceId)> = some.iter().map(|one| (&one.event, &one.source_id)).collect();
        for (event, source_id) in pairs {
            let known = loaded.generation(event, source_id);
            let announced = announce(settings, clients, queues.live(), event, source_id, known).await;
            redriven.announced += announced.map_err(|cause| Cause::Announce {
                event: event.clone(),
                source_id: source_id.clone(),
                cause,
            })?;
        }
    }
    Ok(redriven)
}

/// A loader may be setting something aside at the same moment: under SERIALIZABLE one of both is refused.
async fn delete(warehouse: &Warehouse, statements: Vec<String>) -> Result<(), WarehouseError> {
    let mut tries = 0;
    loop {
        match warehouse.batch(&new_name("redrive"), statements.clone()).await {
            Err(error) if error.class() == Class::Transient && tries < 5 => {
                tries += 1;
                tokio::time::sleep(Duration::from_secs(1 << tries)).await;
            }
            ended => return ended,
        }
    }
}

async fn announce(
    settings: &Settings,
    clients: &Clients,
    queue: &Queue,
    event: &EventName,
    source_id: &SourceId,
    loaded: Option<u32>,
) -> Result<u64, AnnounceError> {
    let (bucket, keys) = (&settings.routed.bucket, &settings.keys);
    let Some(seal) = seals::highest(&clients.s3, bucket, keys, source_id).await? else { return Ok(0) };
    let is_owed = |sealed: &EventName, since: u32| sealed == event && loaded.is_none_or(|loaded| loaded < since);
    // A person waits for it: as if it had just arrived.
    let requests = of_seal(&seal, &keys.seal(source_id, seal.generation), is_owed, Lane::Live);
    let announced = requests.len() as u64;
    queue.send_all(requests.into_iter().map(|request| request.body)).await?;
    Ok(announced)
}
