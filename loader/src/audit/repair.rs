//! `--repair`: whatever an audit cannot explain is announced again, routed again, or its ledger made anew; nothing else is
//! touched. Given again it goes on where it was: what was repaired is not found any more.

use super::rebuild::rebuild_ledger;
use super::seals::Store;
use super::{Ask, AuditError, Audited, Difference, Kind, Rebuilt, difference::Mend, store};
use crate::batch::new_name;
use crate::sql::{audit as sql, load};
use crate::sweep::of_seal;
use crate::upkeep::{self, Opened};
use crate::{Selection, start};
use common::clients::Clients;
use common::event_name::EventName;
use common::load_request::Lane;
use common::queue::{LaneQueues, Queue};
use common::replace::{self, Place};
use common::route_request::{Replace, RouteRequest, Why};
use common::seals;
use common::settings::Settings;
use common::source::SourceId;
use common::timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use time::OffsetDateTime;

/// Seals that are read before what they name is sent.
const SENT_TOGETHER: usize = 100;

/// Sources of one transaction that removes stray rows.
const CLEARED_TOGETHER: usize = 30;

/// As for a schema change: whoever waits longer waits for a load.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(600);

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Load requests announced again, and what was set aside and is tried again.
    pub announced: u64,
    /// Raw objects that are to be routed again.
    pub replaced: u64,
    /// Ledgers made anew.
    pub rebuilt: Vec<Rebuilt>,
    /// Differences that only a person can mend.
    pub left: u64,
}

/// Which events of which sources.
type Chosen = BTreeMap<SourceId, BTreeSet<EventName>>;

/// Mends what an audit of the same range found.
pub async fn repair(
    settings: &Settings,
    clients: &Clients,
    ask: &Ask,
    audited: &Audited,
) -> Result<Repaired, AuditError> {
    let mut repaired = Repaired::default();
    let of = |mend: Mend| audited.differences.iter().filter(move |one| one.kind.mend() == mend);
    repaired.left = of(Mend::Person).count() as u64;
    let events: BTreeSet<&EventName> = of(Mend::Rebuild).filter_map(|one| one.event.as_ref()).collect();
    for event in events {
        repaired.rebuilt.extend(rebuild_ledger(settings, clients, Some(event)).await?);
    }
    let replaced = chosen(of(Mend::Replace));
    let mut announced = chosen(of(Mend::Announce).filter(|one| one.kind == Kind::NotLoaded));
    // Routed again, all of an object is announced.
    announced.retain(|source, _| !replaced.contains_key(source));
    let opened = start::open(settings, clients).await?;
    let store = store(settings, clients);
    for one in of(Mend::Announce).filter(|one| one.kind == Kind::Failed) {
        let selection = Selection { event: one.event.clone(), source_id: one.source.clone() };
        repaired.announced += upkeep::redrive_in(settings, clients, &opened, &selection).await?.announced;
    }
    // A person waits for it: as if it had just arrived.
    repaired.announced += announce(&store, opened.0.live(), &announced, Lane::Live).await?;
    let doubled = of(Mend::Replace).filter(|one| matches!(one.kind, Kind::RowsDoubled | Kind::RowsMissing));
    clear(&opened, doubled).await?;
    repaired.replaced = route_again(settings, clients, ask, &store, &replaced).await?;
    if replaced.is_empty() && audited.balance.tables.replacing == 0 {
        finish(settings, clients, ask).await?;
    }
    Ok(repaired)
}

fn chosen<'d>(differences: impl Iterator<Item = &'d Difference>) -> Chosen {
    let mut chosen = Chosen::new();
    for one in differences {
        if let (Some(source), Some(event)) = (&one.source, &one.event) {
            chosen.entry(source.clone()).or_default().insert(event.clone());
        }
    }
    chosen
}

/// Sends the load requests of these events, as the highest seals name them.
pub(super) async fn announce(store: &Store, queue: &Queue, chosen: &Chosen, lane: Lane) -> Result<u64, AuditError> {
    let (mut announced, mut bodies) = (0, Vec::new());
    for (source, events) in chosen {
        let Some(seal) = seals::highest(&store.s3, &store.bucket, &store.keys, source).await? else { continue };
        let key = store.keys.seal(source, seal.generation);
        let requests = of_seal(&seal, &key, |event, _| events.contains(event), lane);
        announced += requests.len() as u64;
        bodies.extend(requests.into_iter().map(|request| request.body));
        if bodies.len() >= SENT_TOGETHER {
            queue.send_all(std::mem::take(&mut bodies)).await?;
        }
    }
    queue.send_all(bodies).await?;
    Ok(announced)
}

/// Removes rows that a replace would leave: it removes those since the ledger's first row of their source, because all that
/// was ever loaded came with one; what is older is of no load that the ledger knows.
async fn clear(opened: &Opened, doubled: impl Iterator<Item = &Difference>) -> Result<(), AuditError> {
    let (_, warehouse, names) = opened;
    let mut by_event: BTreeMap<&EventName, Vec<&SourceId>> = BTreeMap::new();
    for one in doubled {
        if let (Some(event), Some(source)) = (&one.event, &one.source) {
            by_event.entry(event).or_default().push(source);
        }
    }
    for (event, sources) in by_event {
        for some in sources.chunks(CLEARED_TOGETHER) {
            let holder = new_name("repair");
            let mut statements = vec![
                load::lock_gates(names, [event]),
                load::statement_timeout(CLEAR_TIMEOUT),
                load::hold_gate(names, event, &holder),
                load::gate_check(names, event, &holder),
            ];
            statements.extend(some.iter().map(|source| sql::delete_unknown_to_ledger(names, event, source)));
            warehouse.batch(&holder, statements).await?;
        }
    }
    Ok(())
}

/// Asks the routers for these objects, as their next generation.
async fn route_again(
    settings: &Settings,
    clients: &Clients,
    ask: &Ask,
    store: &Store,
    chosen: &Chosen,
) -> Result<u64, AuditError> {
    if chosen.is_empty() {
        return Ok(0);
    }
    let queues = LaneQueues::open(&clients.sqs, &settings.raw.queues, "raw").await?;
    let queue = queues.or_live(Lane::Backfill);
    let place = Place { s3: &store.s3, bucket: &store.bucket, keys: &store.keys };
    let selection = selection(ask);
    let mut document = replace::open(place, &selection, OffsetDateTime::now_utc()).await?;
    let (mut replaced, mut bodies) = (0, Vec::new());
    for source in chosen.keys() {
        let Some(seal) = seals::highest(&store.s3, &store.bucket, &store.keys, source).await? else { continue };
        if seal.replace_id.as_ref() == Some(&document.id) {
            // This repair made it, and it is damaged again: that takes another repair.
            let now = OffsetDateTime::now_utc();
            replace::finish(place, &selection, &document.id, now).await?;
            document = replace::open(place, &selection, now).await?;
        }
        let mut request = RouteRequest::new(&seal.source.bucket, &seal.source.key, &seal.source.etag, Why::Repair);
        request.version_id = seal.source.version_id;
        // By whatever rules the routers have: those that the seal was made by may be no router's any more.
        let (id, generation) = (document.id.clone(), seal.generation + 1);
        request.replace = Some(Replace { id, generation, routing_id: None });
        bodies.push(request.to_json());
        replaced += 1;
        if bodies.len() >= SENT_TOGETHER {
            queue.send_all(std::mem::take(&mut bodies)).await?;
        }
    }
    queue.send_all(bodies).await?;
    Ok(replaced)
}

/// The same range again is the same repair, until all of it was seen to be well.
fn selection(ask: &Ask) -> replace::Selection {
    let event = ask.event.as_ref().map(|event| format!(" --event {event}")).unwrap_or_default();
    let what = format!("--from {} --to {}{event}", timestamp::format(ask.from), timestamp::format(ask.to));
    replace::Selection { kind: replace::Kind::Repair, what, routing_id: None }
}

async fn finish(settings: &Settings, clients: &Clients, ask: &Ask) -> Result<(), AuditError> {
    let place = Place { s3: &clients.s3, bucket: &settings.routed.bucket, keys: &settings.keys };
    let selection = selection(ask);
    match replace::find(place, &selection).await? {
        Some(document) if document.finished_at.is_none() => {
            Ok(replace::finish(place, &selection, &document.id, OffsetDateTime::now_utc()).await?)
        }
        _ => Ok(()),
    }
}
