//! `--rebuild-ledger`: gate and ledger of a table are made anew from what the seals say and what is in the table.
//!
//! Always of the whole table, whatever range is audited: a ledger of a part would have the rest loaded twice. Each source that
//! has rows gets its ledger row, as its load would have written it; what it lacks the next audit tells, and a repair has it
//! routed again. No row is ever removed here. Rows of sources that no seal names are left alone.

use super::adopt::There;
use super::counts::Tables;
use super::repair::announce;
use super::seals::Store;
use super::staged::Seals;
use super::{AuditError, store};
use crate::batch::new_name;
use crate::sql::rebuild as sql;
use crate::sql::{BATCH_MAX_ENTRIES, audit, load};
use crate::start;
use crate::sweep::{Days, look_again, time_of};
use crate::warehouse::{Row, WarehouseError, number, required};
use common::clients::Clients;
use common::event_name::EventName;
use common::settings::Settings;
use common::source::SourceId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Sources whose seals are read together.
const SOURCES_MAX: usize = 10_000;

/// Nothing is loaded into the table meanwhile, so it may take long.
const TIMEOUT: Duration = Duration::from_secs(2 * 3600);

/// What making a ledger anew came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Whose.
    pub event: String,
    /// Sources that have their ledger row again.
    pub adopted: u64,
    /// Of them, those that are in it with an earlier generation than the seal's, which is announced.
    pub announced: u64,
    /// Sources that no seal names: their rows are left as they are.
    pub foreign: u64,
    /// Rows of one of them for which the table stays stopped: the DELETE, for a person to judge.
    pub stopped_by: Option<String>,
}

/// Makes the ledger of this event anew; of none: of every table that needs it.
pub async fn rebuild_ledger(
    settings: &Settings,
    clients: &Clients,
    event: Option<&EventName>,
) -> Result<Vec<Rebuilt>, AuditError> {
    if !settings.router.lineage {
        return Err(AuditError::NoLineage);
    }
    let (queues, warehouse, names) = start::open(settings, clients).await?;
    let tables = Tables::open(&warehouse, &names).await?;
    let store = store(settings, clients);
    let mut rebuilt = Vec::new();
    let wanted = |one: &EventName| event.is_none_or(|event| event == one);
    for event in tables.events().into_iter().filter(wanted) {
        let table = Table { settings, store: &store, tables: &tables, event: &event };
        if !table.needs_it().await? {
            continue;
        }
        let staging = new_name("rebuild").replace('-', "_");
        let made = table.rebuild(&staging).await;
        let dropped = warehouse.execute("rebuild", &sql::drop_staging(&names, &staging)).await;
        let (mut one, owed) = made?;
        dropped?;
        let owed: BTreeMap<_, _> = owed.into_iter().map(|source| (source, BTreeSet::from([event.clone()]))).collect();
        one.announced = announce(&store, &queues, &owed).await?;
        rebuilt.push(one);
    }
    Ok(rebuilt)
}

/// A table whose ledger is made anew.
struct Table<'a> {
    settings: &'a Settings,
    store: &'a Arc<Store>,
    tables: &'a Tables,
    event: &'a EventName,
}

impl Table<'_> {
    /// Whether anything is wrong with gate or ledger.
    async fn needs_it(&self) -> Result<bool, WarehouseError> {
        let Self { tables, event, .. } = *self;
        let exists = tables.of(event);
        if !(exists.gate && exists.there.ledger) {
            return Ok(true);
        }
        let rows = tables.warehouse.query("rebuild", &sql::gate_rows(&tables.names, event)).await?;
        let gate_rows: u64 = rows.first().map_or(Ok(0), |row| number(row, 0))?;
        if gate_rows != 1 || !exists.there.table {
            return Ok(gate_rows != 1);
        }
        let strays = audit::strays(&tables.names, event, true, 1);
        Ok(tables.warehouse.query("rebuild", &strays).await?.iter().any(|row| row.first().is_some_and(Option::is_some)))
    }

    /// Tells what became of it, and which sources are to be announced.
    async fn rebuild(&self, staging: &str) -> Result<(Rebuilt, Vec<SourceId>), AuditError> {
        let Tables { warehouse, names, .. } = self.tables;
        warehouse.execute("rebuild", &sql::create_staging(names, staging)).await?;
        let mut rebuilt = Rebuilt { event: self.event.to_string(), ..Rebuilt::default() };
        let seals = Seals {
            store: self.store.clone(),
            quarantine_bucket: self.settings.quarantine_bucket.clone(),
            event: self.event.clone(),
        };
        let mut owed = Vec::new();
        for begins in self.slices().await? {
            let statement = sql::unknown_sources(names, self.event, self.tables.of(self.event).there, &begins);
            let unknown = warehouse.query("rebuild", &statement).await?;
            for some in unknown.chunks(SOURCES_MAX) {
                let staged = seals.staged(there(some)?).await?;
                rebuilt.foreign += (some.len() - staged.len()) as u64;
                rebuilt.adopted += staged.len() as u64;
                owed.extend(staged.iter().filter(|(_, is_owed)| *is_owed).map(|(row, _)| row.source_id.clone()));
                let rows: Vec<_> = staged.into_iter().map(|(row, _)| row).collect();
                for statements in sql::stage(names, staging, &rows).chunks(BATCH_MAX_ENTRIES) {
                    warehouse.batch(staging, statements.to_vec()).await?;
                }
            }
        }
        if rebuilt.adopted > 0 || !self.tables.of(self.event).there.ledger {
            // Also of sources without rows nobody knows what was loaded: the sweep asks the new ledger.
            look_again(&self.store.s3, &self.store.bucket, &self.store.keys, &Days::All).await?;
        }
        warehouse.batch(staging, self.transaction(staging).await?).await?;
        rebuilt.stopped_by = self.stopped_by().await?;
        tracing::info!(event = rebuilt.event, adopted = rebuilt.adopted, owed = owed.len(), "made a ledger anew");
        Ok((rebuilt, owed))
    }

    /// The DELETE of rows for which the table stays stopped: they are newer than its ledger, and no seal names them.
    async fn stopped_by(&self) -> Result<Option<String>, WarehouseError> {
        let Tables { warehouse, names, .. } = self.tables;
        if !self.tables.of(self.event).there.table {
            return Ok(None);
        }
        let rows = warehouse.query("rebuild", &audit::newer_than_ledger(names, self.event)).await?;
        let source = rows.first().map(|row| required(row, 0)).transpose()?;
        Ok(source.map(|source| audit::delete_source(names, self.event, source)))
    }

    /// Beginnings of ids, each of so many sources that they fit memory.
    async fn slices(&self) -> Result<Vec<String>, WarehouseError> {
        let Tables { warehouse, names, .. } = self.tables;
        let there = self.tables.of(self.event).there;
        if !there.table {
            return Ok(vec![String::new()]);
        }
        let count = warehouse.query("rebuild", &sql::count_unknown(names, self.event, there.ledger)).await?;
        let count: usize = count.first().map_or(Ok(0), |row| number(row, 0))?;
        let mut slices = vec![String::new()];
        while count / slices.len() > SOURCES_MAX {
            let longer = |slice: &String| {
                ('0'..='9').chain('a'..='f').map(|digit| format!("{slice}{digit}")).collect::<Vec<_>>()
            };
            slices = slices.iter().flat_map(longer).collect();
        }
        Ok(slices)
    }

    /// One transaction: the gate first, as in a load, so that no load comes in between.
    async fn transaction(&self, staging: &str) -> Result<Vec<String>, WarehouseError> {
        let (names, event, exists) = (&self.tables.names, self.event, self.tables.of(self.event));
        let mut statements = Vec::new();
        if exists.gate {
            let rows = self.tables.warehouse.query("rebuild", &sql::gate_rows(names, event)).await?;
            let rows: u64 = rows.first().map_or(Ok(0), |row| number(row, 0))?;
            statements.push(load::lock_gates(names, [event]));
            statements.push(load::statement_timeout(TIMEOUT));
            if rows != 1 {
                statements.extend(sql::refill_gate(names, event));
            }
            statements.push(load::hold_gate(names, event, staging));
            statements.push(load::gate_check(names, event, staging));
        } else {
            statements.push(load::statement_timeout(TIMEOUT));
        }
        statements.extend(sql::create_missing(names, event, exists.gate, exists.there.ledger));
        statements.push(sql::adopt(names, event, staging, staging));
        Ok(statements)
    }
}

/// What is there of these sources.
fn there(rows: &[Row]) -> Result<BTreeMap<SourceId, There>, WarehouseError> {
    let is_there = |row: &Row, at: usize| row.get(at).is_some_and(Option::is_some);
    let count =
        |row: &Row, at| if is_there(row, at) { number::<i64>(row, at).map(|n| n.max(0).unsigned_abs()) } else { Ok(0) };
    let time = |row: &Row, at| if is_there(row, at) { time_of(row, at).map(Some) } else { Ok(None) };
    let mut found = BTreeMap::new();
    for row in rows {
        // A text of 32 characters that is no id is a person's.
        let Ok(source) = SourceId::try_from(required(row, 0)?.to_owned()) else { continue };
        let (rows, lines, first) = (count(row, 1)?, count(row, 2)?, time(row, 3)?);
        let (removed, removed_at) = (count(row, 4)?, time(row, 5)?);
        found.insert(source, There { rows, lines, first, removed, removed_at });
    }
    Ok(found)
}
