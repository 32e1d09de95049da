//! The second look: whatever is not plainly loaded is read anew, seal, ledger and rows, before anything is said of it.

use super::AuditError;
use super::seals::{READS, Store};
use common::event_name::EventName;
use common::objects;
use common::seal::Seal;
use common::seals::{self, SealReadError};
use common::source::SourceId;
use common::telemetry::chain;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use time::OffsetDateTime;
use tokio::task::JoinSet;

/// What the highest seal of a source says of the events that are asked about.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) object: String,
    pub(super) time: OffsetDateTime,
    pub(super) sealed_at: OffsetDateTime,
    pub(super) generation: u32,
    /// Since when, how many records, which parts.
    pub(super) events: HashMap<EventName, (u32, u64, Vec<String>)>,
}

/// How a source is found.
#[derive(Debug)]
pub(super) enum Found {
    Sealed(Looked),
    /// No seal of any generation.
    Nothing,
    Unusable(String),
}

/// Reads the highest seals.
pub(super) async fn highest(
    store: &Arc<Store>,
    wanted: &BTreeMap<SourceId, BTreeSet<EventName>>,
) -> Result<HashMap<SourceId, Found>, AuditError> {
    let (mut found, mut reads, mut waiting) = (HashMap::new(), JoinSet::new(), wanted.iter());
    loop {
        while reads.len() < READS {
            let Some((source, events)) = waiting.next() else { break };
            let (store, source, events) = (store.clone(), source.clone(), events.clone());
            reads.spawn(async move {
                let seal = seals::highest(&store.s3, &store.bucket, &store.keys, &source).await;
                (source, seal.map(|seal| seal.map(|seal| reduced(seal, &events))))
            });
        }
        let Some(done) = reads.join_next().await else { return Ok(found) };
        let (source, seal) = done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        let one = match seal {
            Ok(Some(looked)) => Found::Sealed(looked),
            Ok(None) => Found::Nothing,
            Err(SealReadError::Aws(error)) if !error.is_no_such_object() => return Err(error.into()),
            Err(error) => Found::Unusable(chain(&error)),
        };
        found.insert(source, one);
    }
}

fn reduced(seal: Seal, wanted: &BTreeSet<EventName>) -> Looked {
    let object = seal.source.uri();
    let events = seal.events.into_iter().filter(|sealed| wanted.contains(&sealed.event));
    let events = events.map(|sealed| {
        let parts = sealed.parts.into_iter().map(|part| part.key).collect();
        (sealed.event, (sealed.since, sealed.records, parts))
    });
    let (time, sealed_at, generation) = (seal.source.time, seal.sealed_at, seal.generation);
    Looked { object, time, sealed_at, generation, events: events.collect() }
}

/// Which of these requests miss a part, and the first that each misses.
pub(super) async fn gone_parts(
    store: &Arc<Store>,
    owed: Vec<((EventName, SourceId), Vec<String>)>,
) -> Result<HashMap<(EventName, SourceId), String>, AuditError> {
    let (mut gone, mut looks, mut waiting) = (HashMap::new(), JoinSet::new(), owed.into_iter());
    loop {
        while looks.len() < READS {
            let Some((pair, parts)) = waiting.next() else { break };
            let store = store.clone();
            looks.spawn(async move {
                for part in parts {
                    if !objects::exists(&store.s3, &store.bucket, &part).await? {
                        return Ok(Some((pair, part)));
                    }
                }
                Ok::<_, AuditError>(None)
            });
        }
        let Some(done) = looks.join_next().await else { return Ok(gone) };
        gone.extend(done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?);
    }
}
