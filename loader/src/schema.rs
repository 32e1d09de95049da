//! An event's schema: reads what is committed, commits what a batch adds, makes the table follow.
//!
//! The mapping is decided by compare-and-set in its own transaction, and all DDL is derived from the
//! committed mapping minus what the warehouse shows: a crash in between is healed by the next load.

mod actual_ledger;
mod foresight;
mod freezing;

pub(crate) use foresight::Outlook;

use crate::actual::{Actual, Missing, Unlike, UnlikeSystem};
use crate::batch::new_name;
use crate::bookkeeping;
use crate::mapping::extend::Seen;
use crate::mapping::kind::Kind;
use crate::mapping::{Column, Mapping};
use crate::sql::ddl::{self, Change};
use crate::sql::{Names, ask, load};
use crate::verdict::{self, Class};
use crate::warehouse::{Classed as _, Failure, Row, Warehouse, WarehouseError, number, required};
use common::event_name::EventName;
use common::settings::{Evolve, Settings};
use freezing::{Refused, can_do_without, columns_of};
use std::time::Duration;

/// How often a lost race or a stubborn table is looked at again within one load.
const ROUNDS: usize = 5;

/// DDL waits for locks of readers and other loaders, never for long.
pub(crate) const DDL_TIMEOUT: Duration = Duration::from_secs(60);

/// Somebody may have been given the right to ALTER a table since it was refused.
const REFUSED_AGAIN: Duration = Duration::from_secs(900);

/// What the settings say about an event's schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) evolve: Evolve,
    pub(crate) max_depth: usize,
}

impl Rules {
    /// For this event.
    pub(crate) fn of(settings: &Settings, event: &EventName) -> Self {
        Self { evolve: settings.table(event).evolve, max_depth: settings.loader.max_depth }
    }
}

/// What is known of an event's schema. May be old: everything in it only ever grows.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    version: u64,
    /// The columns that loads fill: all that are committed, but for those of `refused`.
    pub(crate) mapping: Mapping,
    actual: Actual,
    refused: Option<Refused>,
}

/// The schema cannot be made to hold the batch.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SchemaError {
    #[error(transparent)]
    Warehouse(#[from] WarehouseError),
    #[error(
        "table {table} holds loaded rows, but its gate or ledger in schema {bookkeeping:?} is missing: nothing more is \
         loaded, because nobody could tell which sources are in it; make both anew: loader audit --rebuild-ledger"
    )]
    LedgerGone { table: String, bookkeeping: String },
    #[error(
        "table {table} holds rows of source {source_id} that are newer than its ledger, which does not know them: nothing more is \
         loaded, because the ledger is not the one of these rows; complete it: loader audit --rebuild-ledger"
    )]
    LedgerOlder { table: String, source_id: String },
    #[error(
        "gate {gate} has {rows} rows instead of one: nothing more is loaded until it has; make it anew: loader audit \
         --rebuild-ledger"
    )]
    Gate { gate: String, rows: usize },
    #[error("columns of table {table} name the kind {kind:?}, which this release does not know: upgrade it")]
    TooNew { table: String, kind: String },
    #[error(
        "column {column:?} of table {table} is {found}, but what is loaded into it needs {wanted}: rename the column, or \
         change it to that type"
    )]
    Unlike { table: String, column: String, found: String, wanted: String },
    #[error("the schema of table {table} keeps changing under this load")]
    Contended { table: String },
}

impl SchemaError {
    pub(crate) fn class(&self) -> Class {
        match self {
            SchemaError::Warehouse(error) => error.class(),
            SchemaError::LedgerGone { .. }
            | SchemaError::LedgerOlder { .. }
            | SchemaError::Gate { .. }
            | SchemaError::TooNew { .. }
            | SchemaError::Unlike { .. } => Class::Configuration,
            SchemaError::Contended { .. } => Class::Transient,
        }
    }
}

impl Schema {
    pub(crate) fn has_table(&self) -> bool {
        self.actual.has_table()
    }

    /// Bytes that a VARCHAR column really takes.
    pub(crate) fn text_size(&self, column: &str) -> Option<u32> {
        self.actual.text_size(column)
    }

    pub(crate) fn has_ledger(&self) -> bool {
        self.actual.has_ledger
    }

    /// Reads the schema; makes gate and ledger first where there are none.
    pub(crate) async fn read(warehouse: &Warehouse, names: &Names, event: &EventName) -> Result<Self, SchemaError> {
        let mut actual = read_actual(warehouse, names, event).await?;
        if !(actual.has_gate && actual.has_ledger) {
            Self { actual, ..Self::of_first_load() }.check_ledger(warehouse, names, event).await?;
            let made = bookkeeping::create_gate_and_ledger(warehouse, names, event).await;
            actual = read_actual(warehouse, names, event).await?;
            if !(actual.has_gate && actual.has_ledger) {
                made?;
            }
        }
        Self::committed(warehouse, names, event, actual).await
    }

    /// Reads the schema and makes nothing: where nothing was loaded yet, it is that of a first load.
    pub(crate) async fn look(warehouse: &Warehouse, names: &Names, event: &EventName) -> Result<Self, SchemaError> {
        let actual = read_actual(warehouse, names, event).await?;
        if actual.has_gate && actual.has_ledger {
            return Self::committed(warehouse, names, event, actual).await;
        }
        let schema = Self { actual, ..Self::of_first_load() };
        schema.check_ledger(warehouse, names, event).await?;
        Ok(schema)
    }

    /// Of an event that no warehouse knows.
    pub(crate) fn of_first_load() -> Self {
        Self { version: 0, mapping: Mapping::default(), actual: Actual::default(), refused: None }
    }

    /// Rows without the gate or ledger that belongs to them could be loaded twice.
    async fn check_ledger(&self, warehouse: &Warehouse, names: &Names, event: &EventName) -> Result<(), SchemaError> {
        let gone = self.actual.has_gate != self.actual.has_ledger
            || (self.actual.has_source_column() && bookkeeping::holds_loaded_rows(warehouse, names, event).await?);
        match gone {
            true => {
                Err(SchemaError::LedgerGone { table: names.event_table(event), bookkeeping: names.bookkeeping.clone() })
            }
            false => Ok(()),
        }
    }

    async fn committed(
        warehouse: &Warehouse,
        names: &Names,
        event: &EventName,
        actual: Actual,
    ) -> Result<Self, SchemaError> {
        actual_ledger::check(warehouse, names, event, &actual).await?;
        // The version first: rows that are committed in between only make it look older than it is.
        let version = warehouse.query("schema", &ask::gate_version(names, event)).await?;
        let version = match version.as_slice() {
            [row] => number(row, 0)?,
            rows => return Err(SchemaError::Gate { gate: names.gate(event), rows: rows.len() }),
        };
        let rows = warehouse.query("schema", &ask::mapping_rows(names, event)).await?;
        let columns: Result<Vec<Column>, SchemaError> = rows.iter().map(|row| column(names, event, row)).collect();
        Ok(Self { version, mapping: Mapping::new(columns?), actual, refused: None })
    }

    /// Makes the mapping and, if rows will be loaded, the table hold what these parts show.
    pub(crate) async fn grow(
        &mut self,
        warehouse: &Warehouse,
        names: &Names,
        event: &EventName,
        parts: &[Seen<'_>],
        rules: Rules,
    ) -> Result<(), SchemaError> {
        if parts.is_empty() {
            // A replace that left nothing: rows to remove may be in a table that another loader made since.
            if !self.has_table() {
                self.actual = read_actual(warehouse, names, event).await?;
            }
            return Ok(());
        }
        let mut has_looked = false;
        for _ in 0..=ROUNDS {
            let rows = self.wanted(parts, rules);
            let is_first = self.version == 0;
            // What is left out is looked for afresh: a person may have made the column for it.
            let is_settled = rows.is_empty() && !is_first && (has_looked || !self.leaves_out(parts, rules));
            if is_settled {
                return self.follow(warehouse, names, event).await;
            }
            // Names are given once and for all: by what the table has now, not by what is remembered of it.
            if !std::mem::replace(&mut has_looked, true) {
                self.actual = read_actual(warehouse, names, event).await?;
                continue;
            }
            let changes = self.changes(names, event, &rows, is_first);
            let holder = new_name("schema");
            let statements = ddl::commit_mapping(names, event, self.version, &holder, &rows, &changes);
            match warehouse.batch(&holder, statements).await {
                Ok(()) => {
                    self.version += 1;
                    self.mapping.add(rows);
                    tracing::info!(
                        event = event.as_str(),
                        version = self.version,
                        changes = summary(&changes),
                        "schema changed"
                    );
                }
                Err(WarehouseError::Failed(Failure { entry: Some(ddl::ADVANCED_ENTRY), .. })) => {
                    *self = Self::read(warehouse, names, event).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(SchemaError::Contended { table: names.event_table(event) })
    }

    fn changes(&self, names: &Names, event: &EventName, rows: &[Column], is_first: bool) -> Vec<Change> {
        let mut changes = Vec::new();
        if is_first {
            let what = if self.has_table() { "adopted table" } else { "new table" };
            changes.push(Change { what, detail: names.event_table(event) });
        }
        let known: Vec<&str> = self.mapping.columns().iter().map(|column| column.name.as_str()).collect();
        changes.extend(rows.iter().map(|column| {
            let what = match &column.variant_of {
                _ if known.contains(&column.name.as_str()) => "wider column",
                Some(_) => "new variant",
                None => "new column",
            };
            Change { what, detail: format!("{} {}", column.name, ddl::column_type(column)) }
        }));
        changes
    }

    /// A column of another type could take values and alter them.
    fn check_types(&self, names: &Names, event: &EventName) -> Result<(), SchemaError> {
        if let Some(UnlikeSystem { column, found }) = self.actual.unlike_system() {
            let (table, wanted) = (names.event_table(event), ddl::system_type(column).to_owned());
            return Err(SchemaError::Unlike { table, column: column.to_owned(), found, wanted });
        }
        let Some(Unlike { column, data_type }) = self.actual.unlike(&self.mapping) else { return Ok(()) };
        let (table, column, wanted) = (names.event_table(event), column.name.clone(), ddl::column_type(column));
        Err(SchemaError::Unlike { table, column, found: data_type.to_owned(), wanted })
    }

    /// Makes the table follow the committed mapping.
    async fn follow(&mut self, warehouse: &Warehouse, names: &Names, event: &EventName) -> Result<(), SchemaError> {
        if let Some(refused) = self.refused.take_if(|refused| refused.since.elapsed() >= REFUSED_AGAIN) {
            self.mapping.add(refused.columns);
        }
        self.take_back_what_exists();
        let mut last = Ok(());
        for _ in 0..ROUNDS {
            self.check_types(names, event)?;
            let missing = self.actual.missing(&self.mapping);
            if missing.is_empty() {
                return Ok(());
            }
            if self.refused.is_some() && can_do_without(&missing) {
                let columns = columns_of(missing);
                self.do_without(columns);
                return Ok(());
            }
            last = carry_out(warehouse, names, event, &self.mapping, &missing).await;
            // "Already exists" and "same size" are told from real errors by looking, never by text.
            self.actual = read_actual(warehouse, names, event).await?;
            if last.is_err() && self.actual.missing(&self.mapping) == missing {
                break;
            }
        }
        self.check_types(names, event)?;
        let missing = self.actual.missing(&self.mapping);
        match last {
            Err(WarehouseError::Failed(failure))
                if self.has_table() && can_do_without(&missing) && verdict::lacks_permission(&failure.message) =>
            {
                let columns = columns_of(missing);
                tracing::warn!(
                    event = event.as_str(),
                    columns = columns.len(),
                    why = failure.message,
                    "may not ALTER the table: it is treated as frozen; make the loader its owner, or add the columns"
                );
                self.do_without(columns);
                return Ok(());
            }
            last => last?,
        }
        match missing.is_empty() {
            true => Ok(()),
            false => Err(SchemaError::Contended { table: names.event_table(event) }),
        }
    }
}

/// `new table, 3 new columns`; each one is in the table `changes`.
fn summary(changes: &[Change]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for change in changes {
        match counts.iter_mut().find(|(what, _)| *what == change.what) {
            Some((_, count)) => *count += 1,
            None => counts.push((change.what, 1)),
        }
    }
    let texts = counts.into_iter().map(|(what, count)| match count {
        1 => what.to_owned(),
        n => format!("{n} {what}s"),
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// The statements that a table lacks: additions, which may share a transaction, and wider columns, which may not.
fn follow_statements(
    names: &Names,
    event: &EventName,
    mapping: &Mapping,
    missing: &[Missing<'_>],
) -> (Vec<String>, Vec<String>) {
    let (mut additions, mut wider) = (Vec::new(), Vec::new());
    for change in missing {
        match change {
            Missing::Table => {
                let columns: Vec<&Column> = mapping.columns().iter().collect();
                let (table, left) = ddl::create_table(names, event, &columns);
                additions.push(table);
                additions.extend(left.into_iter().map(|column| ddl::add_column(names, event, column)));
            }
            Missing::SystemColumn(name) => additions.push(ddl::add_system_column(names, event, name)),
            Missing::Column(column) => additions.push(ddl::add_column(names, event, column)),
            Missing::Size(column) => wider.push(ddl::widen_column(names, event, column)),
        }
    }
    (additions, wider)
}

async fn carry_out(
    warehouse: &Warehouse,
    names: &Names,
    event: &EventName,
    mapping: &Mapping,
    missing: &[Missing<'_>],
) -> Result<(), WarehouseError> {
    let (additions, wider) = follow_statements(names, event, mapping, missing);
    for some in additions.chunks(crate::sql::BATCH_MAX_ENTRIES - 1) {
        let statements = std::iter::once(load::statement_timeout(DDL_TIMEOUT)).chain(some.iter().cloned());
        warehouse.batch(&new_name("ddl"), statements.collect()).await?;
    }
    for some in wider.chunks(crate::sql::BATCH_MAX_ENTRIES - 1) {
        let statements = std::iter::once(load::statement_timeout(DDL_TIMEOUT)).chain(some.iter().cloned());
        warehouse.each(&new_name("ddl"), statements.collect()).await?;
    }
    Ok(())
}

async fn read_actual(warehouse: &Warehouse, names: &Names, event: &EventName) -> Result<Actual, WarehouseError> {
    let rows = warehouse.query("schema", &ask::columns_of(names, event)).await?;
    Actual::new(event, &rows)
}

fn column(names: &Names, event: &EventName, row: &Row) -> Result<Column, SchemaError> {
    let (path, kind) = (required(row, 0)?, required(row, 2)?);
    let path = serde_json::from_str(path)
        .map_err(|_| WarehouseError::Unexpected { found: path.to_owned(), expected: "a path" })?;
    let kind = Kind::from_name(kind).ok_or_else(|| {
        let table = names.event_table(event);
        SchemaError::TooNew { table, kind: kind.to_owned() }
    })?;
    let size = row.get(3).and_then(Option::as_deref).and_then(|size| size.parse().ok()).unwrap_or(0);
    let variant_of = row.get(4).cloned().flatten();
    Ok(Column { path, name: required(row, 1)?.to_owned(), kind, size, variant_of })
}

#[cfg(test)]
mod tests;
