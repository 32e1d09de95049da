//! `--rebuild-ledger`: gate and ledger of a table are made anew from what the seals say and what is in the table.
//!
//! Always of the whole table, whatever range is audited: a ledger of a part would have the rest loaded twice. A source whose
//! rows are those of its seal gets its ledger row. One that is there in part loses its rows and is announced: it loads anew.
//! One of which people removed rows keeps what is left. Rows of sources that no seal names are left alone.

use super::counts::Tables;
use super::looked::{Found, Looked, highest};
use super::rejected::quarantined;
use super::repair::announce;
use super::seals::Store;
use super::{AuditError, store};
use crate::batch::new_name;
use crate::sql::rebuild::{self as sql, StagedRow};
use crate::sql::{BATCH_MAX_ENTRIES, audit, load};
use crate::start;
use crate::warehouse::{Row, WarehouseError, number, required};
use common::clients::Clients;
use common::event_name::EventName;
use common::load_request::Lane;
use common::seals;
use common::settings::Settings;
use common::source::SourceId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Sources whose seals are read together.
const SOURCES_MAX: usize = 10_000;

/// Nothing is loaded into the table meanwhile, so it may take long.
const TIMEOUT: Duration = Duration::from_secs(2 * 3600);

/// More is too much for the live lane.
const LIVE_MAX: usize = 1_000;

/// What making a ledger anew came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Whose.
    pub event: String,
    /// Sources that have their ledger row again.
    pub adopted: u64,
    /// Sources that were there in part: their rows are removed, and they are announced.
    pub announced: u64,
    /// Sources that no seal names: their rows are left as they are.
    pub foreign: u64,
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
        let lane = if owed.len() > LIVE_MAX { Lane::Backfill } else { Lane::Live };
        let owed: BTreeMap<_, _> = owed.into_iter().map(|source| (source, BTreeSet::from([event.clone()]))).collect();
        one.announced = announce(&store, queues.or_live(lane), &owed, lane).await?;
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
        let mut staged = 0;
        for begins in self.slices().await? {
            let statement = sql::unknown_sources(names, self.event, self.tables.of(self.event).there, &begins);
            let unknown = warehouse.query("rebuild", &statement).await?;
            for some in unknown.chunks(SOURCES_MAX) {
                let rows = self.staged(some).await?;
                rebuilt.foreign += (some.len() - rows.len()) as u64;
                staged += rows.len() as u64;
                for statements in sql::stage(names, staging, &rows).chunks(BATCH_MAX_ENTRIES) {
                    warehouse.batch(staging, statements.to_vec()).await?;
                }
            }
        }
        warehouse.batch(staging, self.transaction(staging).await?).await?;
        let rows = warehouse.query("rebuild", &sql::left_owed(names, self.event, staging)).await?;
        let owed: Result<Vec<SourceId>, AuditError> = rows.iter().map(|row| Ok(source(row)?)).collect();
        let owed = owed?;
        rebuilt.adopted = staged - owed.len() as u64;
        tracing::info!(event = rebuilt.event, adopted = rebuilt.adopted, owed = owed.len(), "made a ledger anew");
        Ok((rebuilt, owed))
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

    /// What the seals say of these sources.
    async fn staged(&self, unknown: &[Row]) -> Result<Vec<StagedRow>, AuditError> {
        let count = |row: &Row, at: usize| match row.get(at) {
            Some(Some(_)) => number::<u64>(row, at),
            _ => Ok(0),
        };
        let mut counts = BTreeMap::new();
        for row in unknown {
            // A text of 32 characters that is no id is a person's.
            if let Ok(source) = source(row) {
                counts.insert(source, (count(row, 1)?, count(row, 2)?));
            }
        }
        let wanted = counts.keys().map(|source| (source.clone(), BTreeSet::from([self.event.clone()]))).collect();
        let found = highest(self.store, &wanted).await?;
        let mut staged = Vec::new();
        for (source, (rows, removed)) in counts {
            let Some(Found::Sealed(looked)) = found.get(&source) else { continue };
            let Some((since, records, parts)) = looked.events.get(self.event) else { continue };
            let lacking = records.saturating_sub(rows + removed);
            let quarantine_key = match lacking {
                0 => None,
                _ => {
                    let keys = &self.settings.keys;
                    let prefix = keys.rejected_of(self.event, looked.time, &source, *since);
                    quarantined(self.store, &self.settings.quarantine_bucket, &prefix, lacking).await?
                }
            };
            let rejected = if quarantine_key.is_some() { lacking } else { 0 };
            staged.push(StagedRow {
                generation: *since,
                parts: parts.len(),
                rows: records - rejected,
                rejected,
                quarantine_key,
                source_time: looked.time,
                not_before: self.not_before(&source, *since, looked).await?,
                removed: removed > 0,
                source_id: source,
            });
        }
        Ok(staged)
    }

    /// Rows of a generation are younger than its seal; of the first there are none before.
    async fn not_before(
        &self,
        source: &SourceId,
        since: u32,
        looked: &Looked,
    ) -> Result<Option<time::OffsetDateTime>, AuditError> {
        if since == 0 || since == looked.generation {
            return Ok((since > 0).then_some(looked.sealed_at));
        }
        let key = self.store.keys.seal(source, since);
        Ok(Some(seals::read(&self.store.s3, &self.store.bucket, &key).await?.sealed_at))
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
        statements.push(sql::adopt(names, event, staging, staging, exists.there.table));
        if exists.there.table {
            statements.push(sql::delete_partly_there(names, event, staging));
        }
        Ok(statements)
    }
}

fn source(row: &Row) -> Result<SourceId, WarehouseError> {
    let text = required(row, 0)?.to_owned();
    SourceId::try_from(text.clone()).map_err(|_| WarehouseError::Unexpected { found: text, expected: "a source id" })
}
