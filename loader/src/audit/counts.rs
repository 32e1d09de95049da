//! What the warehouse has: which tables and ledgers there are, and counts of sources, ledger and table in one statement.

use super::judge::{Count, LedgerCount};
use crate::sql::audit::{self as sql, Place, SOURCES_MAX, There, Which};
use crate::sql::sweep::event_of_ledger;
use crate::sql::{Names, bookkeeping, gate_name, ledger_name};
use crate::verdict::Class;
use crate::warehouse::{Classed, Row, Warehouse, WarehouseError, number, required};
use common::event_name::EventName;
use common::source::SourceId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tokio::task::JoinSet;

/// Statements at once: questions of minutes must not take all slots of a small warehouse.
const STATEMENTS: usize = 4;

/// Gates of one statement.
const GATES_MAX: usize = 50;

/// Counts of sources, as they are read.
pub(super) type Counts = HashMap<SourceId, Count>;

/// The warehouse, and what of it there is.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    pub(super) warehouse: Warehouse,
    pub(super) names: Names,
    relations: BTreeSet<String>,
    tables: BTreeSet<String>,
    /// Events of which columns are written down.
    mapped: BTreeSet<EventName>,
}

/// What there is of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exists {
    pub(super) gate: bool,
    pub(super) there: There,
}

impl Tables {
    pub(super) async fn open(warehouse: &Warehouse, names: &Names) -> Result<Self, WarehouseError> {
        let all = |rows: Vec<Row>| -> BTreeSet<String> {
            rows.into_iter().filter_map(|mut row| row.pop().flatten()).collect()
        };
        let tables = all(warehouse.query("audit", &sql::tables_with_source(names)).await?);
        let mapped = all(warehouse.query("audit", &sql::mapped_events(names)).await?);
        let mapped = mapped.into_iter().filter_map(|event| EventName::try_from(event).ok()).collect();
        // Last: gate and ledger of a table that is made meanwhile are there before it is, so they are no lost ones.
        let relations = all(warehouse.query("audit", &bookkeeping::relations_of(&names.bookkeeping)).await?);
        Ok(Self { warehouse: warehouse.clone(), names: names.clone(), relations, tables, mapped })
    }

    pub(super) fn of(&self, event: &EventName) -> Exists {
        let table = self.tables.contains(event.as_str());
        let there = There { ledger: self.relations.contains(&ledger_name(event)), table };
        Exists { gate: self.relations.contains(&gate_name(event)), there }
    }

    /// Every event that was ever loaded. A table with the loader's columns that it never loaded is a person's copy.
    pub(super) fn events(&self) -> BTreeSet<EventName> {
        let ledgers = self.relations.iter().filter_map(|name| event_of_ledger(name));
        let gates = self.relations.iter().filter_map(|name| {
            let event = EventName::try_from(name.strip_prefix("gate_")?.to_owned()).ok()?;
            (gate_name(&event) == *name).then_some(event)
        });
        ledgers.chain(gates).chain(self.mapped.iter().cloned()).collect()
    }

    /// Of each of these events the sources that its ledger has from one place on and before another.
    pub(super) async fn of_time(
        &self,
        events: impl IntoIterator<Item = EventName>,
        from: &Place,
        to: &Place,
    ) -> Result<Answers, WarehouseError> {
        let mut asked = Vec::new();
        for event in events {
            let there = self.of(&event).there;
            if there.ledger {
                asked.extend(sql::counts(&self.names, &event, there, Which::Of(from, to)).map(|sql| (event, sql)));
            }
        }
        self.ask(asked).await
    }

    /// Of each of these events these sources.
    pub(super) async fn of_sources(
        &self,
        wanted: &BTreeMap<EventName, Vec<SourceId>>,
    ) -> Result<Answers, WarehouseError> {
        let mut asked = Vec::new();
        for (event, sources) in wanted {
            for some in sources.chunks(SOURCES_MAX) {
                let sql = sql::counts(&self.names, event, self.of(event).there, Which::These(some));
                asked.extend(sql.map(|sql| (event.clone(), sql)));
            }
        }
        self.ask(asked).await
    }

    /// Of each of these events the rows that its ledger does not account for: by what stands in `_source`, and those where
    /// nothing does. At most `limit` sources of a table.
    pub(super) async fn strays(
        &self,
        events: impl IntoIterator<Item = EventName>,
        limit: usize,
    ) -> Result<(Strays, Unreadable), WarehouseError> {
        let asked = events.into_iter().filter(|event| self.of(event).there.table).map(|event| {
            let statement = sql::strays(&self.names, &event, self.of(&event).there.ledger, limit);
            (event, statement)
        });
        let (answers, unreadable) = self.each(asked.collect()).await?;
        let mut strays = Strays::new();
        for (event, rows) in answers {
            let rows = rows.iter().map(|row| Ok((row.first().cloned().flatten(), number(row, 1)?)));
            strays.insert(event, rows.collect::<Result<_, WarehouseError>>()?);
        }
        Ok((strays, unreadable))
    }

    /// How many rows the gates of these events have, but for those that may not be read.
    pub(super) async fn gates(&self, events: &[EventName]) -> Result<BTreeMap<EventName, u64>, WarehouseError> {
        let mut asked: Vec<_> = events.chunks(GATES_MAX).map(|some| (some[0].clone(), some)).collect();
        let mut found = BTreeMap::new();
        // One that may not be read fails its statement: then each is asked for alone.
        for is_second in [false, true] {
            let statements = asked.iter().map(|(event, some)| (event.clone(), sql::gates_rows(&self.names, *some)));
            let (answers, failed) = self.each(statements.collect()).await?;
            for row in answers.into_iter().flat_map(|(_, rows)| rows) {
                if let Ok(event) = EventName::try_from(required(&row, 0)?.to_owned()) {
                    found.insert(event, number(&row, 1)?);
                }
            }
            if is_second || failed.is_empty() {
                break;
            }
            asked.retain(|(event, _)| failed.contains_key(event));
            asked = asked.iter().flat_map(|(_, some)| some.chunks(1)).map(|one| (one[0].clone(), one)).collect();
        }
        Ok(found)
    }

    async fn ask(&self, asked: Vec<(EventName, String)>) -> Result<Answers, WarehouseError> {
        let (answers, unreadable) = self.each(asked).await?;
        let mut counts: BTreeMap<EventName, Counts> = BTreeMap::new();
        for (event, rows) in answers {
            let counts = counts.entry(event).or_default();
            for row in rows {
                counts.insert(source(&row)?, count(&row)?);
            }
        }
        Ok(Answers { counts, unreadable })
    }

    /// Some questions at once. One table that may not be read holds up no other.
    async fn each(
        &self,
        asked: Vec<(EventName, String)>,
    ) -> Result<(Vec<(EventName, Vec<Row>)>, Unreadable), WarehouseError> {
        let (mut answers, mut unreadable) = (Vec::new(), Unreadable::new());
        let (mut waiting, mut running) = (asked.into_iter(), JoinSet::new());
        loop {
            while running.len() < STATEMENTS {
                let Some((event, statement)) = waiting.next() else { break };
                let warehouse = self.warehouse.clone();
                running.spawn(async move { (event, warehouse.query("audit", &statement).await) });
            }
            let Some(done) = running.join_next().await else { return Ok((answers, unreadable)) };
            match done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())) {
                (event, Ok(rows)) => answers.push((event, rows)),
                (_, Err(error)) if error.class() == Class::Transient => return Err(error),
                (event, Err(error)) => {
                    unreadable.insert(event, error.to_string());
                }
            }
        }
    }
}

/// Events that nothing can be said of, and why.
pub(super) type Unreadable = BTreeMap<EventName, String>;

/// By event: what stands in `_source`, and in how many rows.
pub(super) type Strays = BTreeMap<EventName, Vec<(Option<String>, u64)>>;

/// What was answered.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) counts: BTreeMap<EventName, Counts>,
    pub(super) unreadable: Unreadable,
}

impl Answers {
    /// What there is of a source; nothing, if it was not in the answer.
    pub(super) fn of(&self, event: &EventName, source: &SourceId) -> Count {
        self.counts.get(event).and_then(|counts| counts.get(source)).copied().unwrap_or_default()
    }
}

/// Texts in `_source` that are no ids are not asked for, and so not answered.
fn source(row: &Row) -> Result<SourceId, WarehouseError> {
    let text = required(row, 0)?.to_owned();
    SourceId::try_from(text.clone()).map_err(|_| WarehouseError::Unexpected { found: text, expected: "a source id" })
}

fn count(row: &Row) -> Result<Count, WarehouseError> {
    let is_there = |at: usize| row.get(at).is_some_and(Option::is_some);
    // Sums and counts of nothing are NULL. A person's table may hold negative ones.
    let or_none =
        |at: usize| if is_there(at) { number::<i64>(row, at).map(|n| n.max(0).unsigned_abs()) } else { Ok(0) };
    let ledger = match is_there(1) {
        true => Some(LedgerCount { generation: number(row, 1)?, loaded: or_none(2)?, rejected: or_none(3)? }),
        false => None,
    };
    Ok(Count { ledger, rows: or_none(4)?, lines: or_none(5)?, removed: or_none(6)? })
}
