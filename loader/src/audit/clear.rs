//! Before an object is routed again: whether people removed rows of it, and rows that its replace would not find.

use super::AuditError;
use super::counts::Tables;
use super::repair::Chosen;
use crate::batch::new_name;
use crate::sql::audit::SOURCES_MAX;
use crate::sql::{audit as sql, load};
use crate::verdict::Class;
use crate::warehouse::{Classed, WarehouseError, required};
use common::event_name::EventName;
use common::source::SourceId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Sources of one transaction that removes rows.
const CLEARED_TOGETHER: usize = 30;

/// As for a schema change: whoever waits longer waits for a load.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(600);

/// Takes sources out of which people removed rows of any event: routed again they would be back. Tells of each.
pub(super) async fn keep_removed(tables: &Tables, chosen: &mut Chosen) -> Result<Vec<String>, AuditError> {
    let mut events: BTreeMap<SourceId, BTreeSet<String>> = BTreeMap::new();
    for statement in sql::removed_of(&tables.names, chosen.keys()) {
        for row in tables.warehouse.query("repair", &statement).await? {
            // Whatever else is there is of no source of ours.
            if let Ok(source) = SourceId::try_from(required(&row, 0)?.to_owned()) {
                events.entry(source).or_default().insert(required(&row, 1)?.to_owned());
            }
        }
    }
    let told = events.into_iter().filter_map(|(source, events)| {
        chosen.remove(&source)?;
        let events = events.into_iter().collect::<Vec<_>>().join(", ");
        Some(format!(
            "source {source} is left: people removed rows of {events} of it (log_router.removed), and routed again they \
             would be back; where they may be, or a drop rule names them: router backfill --replace"
        ))
    });
    Ok(told.collect())
}

/// Removes rows that are older than anything the ledger has of their source, because a replace removes none of them: only
/// where the younger rows are all that was loaded, so that no record is lost by it. Takes events of which that cannot be done
/// out of what is chosen, and tells of them.
pub(super) async fn clear(tables: &Tables, chosen: &mut Chosen) -> Result<Vec<String>, AuditError> {
    let mut by_event: BTreeMap<EventName, Vec<SourceId>> = BTreeMap::new();
    for (source, events) in &*chosen {
        for event in events.iter().filter(|event| tables.of(event).there.table && tables.of(event).there.ledger) {
            by_event.entry(event.clone()).or_default().push(source.clone());
        }
    }
    let mut told = Vec::new();
    for (event, sources) in by_event {
        match clear_event(tables, &event, &sources).await {
            Ok(()) => {}
            Err(error) if error.class() == Class::Transient => return Err(error.into()),
            Err(error) => {
                told.push(format!(
                    "{event} of {} sources is left: rows that are older than the ledger could not be removed: {error}",
                    sources.len()
                ));
                chosen.retain(|_, events| {
                    events.remove(&event);
                    !events.is_empty()
                });
            }
        }
    }
    Ok(told)
}

async fn clear_event(tables: &Tables, event: &EventName, sources: &[SourceId]) -> Result<(), WarehouseError> {
    let Tables { warehouse, names, .. } = tables;
    for some in sources.chunks(SOURCES_MAX) {
        let rows = warehouse.query("repair", &sql::with_older_rows(names, event, some)).await?;
        let found: Result<BTreeSet<&str>, _> = rows.iter().map(|row| required(row, 0)).collect();
        let found = found?;
        let some: Vec<&SourceId> = some.iter().filter(|source| found.contains(source.as_str())).collect();
        for some in some.chunks(CLEARED_TOGETHER) {
            let holder = new_name("repair");
            let mut statements = vec![
                load::lock_gates(names, [event]),
                load::statement_timeout(CLEAR_TIMEOUT),
                load::hold_gate(names, event, &holder),
                load::gate_check(names, event, &holder),
            ];
            statements.extend(some.iter().map(|source| sql::delete_older_rows(names, event, source)));
            warehouse.batch(&holder, statements).await?;
        }
    }
    Ok(())
}
