//! `--repair`: whatever an audit cannot explain is announced again, routed again, or its ledger made anew; nothing else is
//! touched. Given again it goes on where it was: what was repaired is not found any more.

use super::clear::{clear, keep_removed};
use super::counts::Tables;
use super::rebuild::rebuild_ledger;
use super::seals::Store;
use super::{Ask, AuditError, Audited, Difference, Kind, Rebuilt, difference::Mend, store, utc_date};
use crate::sweep::{Days, look_again, of_seal};
use crate::upkeep;
use crate::{Selection, start};
use common::clients::Clients;
use common::event_name::EventName;
use common::load_request::Lane;
use common::queue::LaneQueues;
use common::replace::{self, Place};
use common::route_request::{Replace, RouteRequest, Why};
use common::seals;
use common::settings::Settings;
use common::source::SourceId;
use common::timestamp;
use std::collections::{BTreeMap, BTreeSet};
use time::OffsetDateTime;

/// Seals that are read before what they name is sent.
const SENT_TOGETHER: usize = 100;

/// More requests travel on the backfill lane.
const LIVE_MAX: usize = 1_000;

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Load requests announced again, and what was set aside and is tried again.
    pub announced: u64,
    /// Raw objects that are to be routed again.
    pub replaced: u64,
    /// Raw objects of which the router is asked to write the index objects again.
    pub indexed: u64,
    /// Ledgers made anew.
    pub rebuilt: Vec<Rebuilt>,
    /// Differences that only a person can mend.
    pub left: u64,
    /// Of those of them that were not found to be so before: why.
    pub told: Vec<String>,
}

/// Which events of which sources.
pub(super) type Chosen = BTreeMap<SourceId, BTreeSet<EventName>>;

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
        match rebuild_ledger(settings, clients, Some(event)).await {
            Ok(rebuilt) => repaired.rebuilt.extend(rebuilt),
            Err(error @ AuditError::UnusableSeal { .. }) => {
                let of_event = of(Mend::Rebuild).filter(|one| one.event.as_ref() == Some(event));
                repaired.left += of_event.count() as u64;
                repaired.told.push(format!("{event}: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    let opened = start::open(settings, clients).await?;
    let tables = Tables::open(&opened.1, &opened.2).await?;
    let mut replaced = chosen(of(Mend::Replace));
    let found = pairs(&replaced);
    repaired.told.extend(keep_removed(&tables, &mut replaced).await?);
    repaired.told.extend(clear(&tables, &mut replaced).await?);
    repaired.left += found - pairs(&replaced);
    let is_done = found == 0 && audited.balance.tables.replacing == 0;
    let mut announced = chosen(of(Mend::Announce).filter(|one| one.kind == Kind::NotLoaded));
    // Routed again, all of an object is announced.
    announced.retain(|source, _| !replaced.contains_key(source));
    let store = store(settings, clients);
    for one in of(Mend::Announce).filter(|one| one.kind == Kind::Failed) {
        let selection = Selection { event: one.event.clone(), source_id: one.source.clone() };
        repaired.announced += upkeep::redrive_in(settings, clients, &opened, &selection).await?.announced;
    }
    repaired.announced += announce(&store, &opened.0, &announced).await?;
    repaired.replaced = route_again(settings, clients, ask, &store, &replaced).await?;
    let mut unindexed = chosen(of(Mend::Index));
    unindexed.retain(|source, _| !replaced.contains_key(source));
    repaired.indexed = ask_for_index(settings, clients, &store, &unindexed).await?;
    if is_done {
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

fn pairs(chosen: &Chosen) -> u64 {
    chosen.values().map(|events| events.len() as u64).sum()
}

/// Sends the load requests of these events, as the highest seals name them. A stopped table defers its requests, so the sweep
/// is told first to look at their days.
pub(super) async fn announce(store: &Store, queues: &LaneQueues, chosen: &Chosen) -> Result<u64, AuditError> {
    let requests: usize = chosen.values().map(BTreeSet::len).sum();
    // A person waits for a few as if they had just arrived; more would be in the way of what did.
    let lane = if requests > LIVE_MAX { Lane::Backfill } else { Lane::Live };
    let queue = queues.or_live(lane);
    let (mut announced, mut bodies, mut told) = (0, Vec::new(), BTreeSet::new());
    for (source, events) in chosen {
        let Some(seal) = seals::highest(&store.s3, &store.bucket, &store.keys, source).await? else { continue };
        let key = store.keys.seal(source, seal.generation);
        let requests = of_seal(&seal, &key, |event, _| events.contains(event), lane);
        announced += requests.len() as u64;
        let day = utc_date(seal.sealed_at);
        if told.insert(day) {
            let days = Days::These(BTreeSet::from([day]));
            look_again(&store.s3, &store.bucket, &store.keys, &days).await?;
        }
        bodies.extend(requests.into_iter().map(|request| request.body));
        if bodies.len() >= SENT_TOGETHER {
            queue.send_all(std::mem::take(&mut bodies)).await?;
        }
    }
    queue.send_all(bodies).await?;
    Ok(announced)
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

/// Asks the routers for these objects as if they had just arrived: of what is sealed they write the index objects that lack.
async fn ask_for_index(
    settings: &Settings,
    clients: &Clients,
    store: &Store,
    chosen: &Chosen,
) -> Result<u64, AuditError> {
    if chosen.is_empty() {
        return Ok(0);
    }
    let queues = LaneQueues::open(&clients.sqs, &settings.raw.queues, "raw").await?;
    let mut bodies = Vec::new();
    for source in chosen.keys() {
        let Some(seal) = seals::highest(&store.s3, &store.bucket, &store.keys, source).await? else { continue };
        let mut request = RouteRequest::new(&seal.source.bucket, &seal.source.key, &seal.source.etag, Why::Repair);
        request.version_id = seal.source.version_id;
        bodies.push(request.to_json());
    }
    let asked = bodies.len() as u64;
    queues.or_live(Lane::Backfill).send_all(bodies).await?;
    Ok(asked)
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
