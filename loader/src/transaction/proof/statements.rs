//! The loader's own statement list in PostgreSQL's words.
//!
//! What differs, and nothing else: COPY becomes an INSERT of the same rows that counts them, `pg_last_copy_count` and
//! SYSDATE are PostgreSQL functions, DATEADD is an interval, and a sort key means nothing.

use super::race::Step;
use super::session::Session;
use crate::sql::load::LedgerRow;
use crate::sql::tests::names;
use crate::sql::{bookkeeping, identifier, literal};
use crate::transaction::tests::plan;
use crate::transaction::{Role, Transaction};
use common::event_name::EventName;

/// What is left out of the list, and what is put before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variant {
    pub(super) lock: bool,
    /// The gate's UPDATE and the check of it.
    pub(super) hold: bool,
    /// A SELECT in front takes the snapshot before the LOCK: the Data API may ask the catalog.
    pub(super) early_snapshot: bool,
    /// What only its own session can notice: the time limit and the count of the COPY.
    pub(super) session_local: bool,
    /// Whether the loader knows that there is a table.
    pub(super) has_table: bool,
}

impl Variant {
    pub(super) const WHOLE: Self =
        Self { lock: true, hold: true, early_snapshot: false, session_local: true, has_table: true };
}

/// The table of loads of one table.
pub(super) fn event() -> EventName {
    EventName::of_type("page_view")
}

/// All tables that there are.
pub(super) const EVENTS: [&str; 3] = ["page_view", "purchase", "search"];

/// Everything between BEGIN and COMMIT, and COMMIT.
pub(super) fn load(batch: &str, rows: &[LedgerRow], variant: Variant) -> Vec<Step> {
    load_shared(batch, &[(event(), rows.to_vec())], variant)
}

/// The same of several tables, in the order of their names.
pub(super) fn load_shared(batch: &str, tables: &[(EventName, Vec<LedgerRow>)], variant: Variant) -> Vec<Step> {
    let columns = ["_source".to_owned(), "_line".to_owned()];
    let each = tables.iter().map(|(event, rows)| plan(event, &columns, rows.clone()));
    let mut plan = crate::transaction::Plan { batch, ..plan(&tables[0].0, &columns, Vec::new()) };
    plan.tables = each.flat_map(|plan| plan.tables).collect();
    for table in &mut plan.tables {
        table.has_table = variant.has_table;
        table.copies.retain(|(_, records)| *records > 0);
    }
    let transaction = Transaction::new(&names(), &plan);
    let step = |role, sql| Step { role, sql };
    let early = variant.early_snapshot.then(|| step(None, format!("SELECT 1 FROM {}", names().shared("claim"))));
    let own = transaction.statements.iter().enumerate().filter_map(|(at, sql)| {
        let role = transaction.role(at + 1).expect("every entry has its role");
        let is_left_out = match role {
            Role::Lock => !variant.lock,
            Role::Hold | Role::GateCheck => !variant.hold,
            Role::Timeout | Role::CountCheck => !variant.session_local,
            _ => false,
        };
        let rows_of = |event| tables.iter().find(|(of, _)| of == event).expect("one of them");
        let sql = match transaction.event(at + 1) {
            Some(event) if role == Role::Copy => insert(event, &rows_of(event).1),
            _ => translated(sql),
        };
        (!is_left_out).then(|| step(Some(role), sql))
    });
    early.into_iter().chain(own).chain([step(None, "COMMIT".to_owned())]).collect()
}

/// The rows that COPY would load, counted as it would count them.
fn insert(event: &EventName, rows: &[LedgerRow]) -> String {
    let lines = rows.iter().flat_map(|row| {
        let source = literal(row.source_id.as_str());
        (1..=row.rows).map(move |line| format!("({source}, {line})"))
    });
    format!(
        "WITH copied AS (INSERT INTO {} (\"_source\", \"_line\") VALUES {} RETURNING 1) \
         SELECT set_config('log_router.copied', CAST(COUNT(*) AS VARCHAR), true) FROM copied",
        names().event_table(event),
        lines.collect::<Vec<_>>().join(", ")
    )
}

fn translated(sql: &str) -> String {
    sql.replace("DATEADD(day, -1, MIN(\"loaded_at\"))", "MIN(\"loaded_at\") - INTERVAL '1 day'")
        .replace(" DEFAULT SYSDATE", " DEFAULT LOCALTIMESTAMP")
        .replace(" SORTKEY (\"source_id\")", "")
}

/// Schemas, shared tables, gates and ledgers by the loader's own statements, and the event's tables.
pub(super) fn prepare(session: &mut Session) {
    let names = names();
    let schemas = [&names.schema, &names.bookkeeping].map(|schema| bookkeeping::create_schema(schema));
    let shared = bookkeeping::SHARED_TABLES
        .map(|(table, columns)| translated(&bookkeeping::create_shared_table(&names, table, columns)));
    let own = EVENTS.map(EventName::of_type).into_iter().flat_map(|event| {
        let table = format!(
            "CREATE TABLE {} (\"_source\" VARCHAR(32), \"_line\" BIGINT, \"_loaded_at\" TIMESTAMP DEFAULT LOCALTIMESTAMP)",
            names.event_table(&event)
        );
        let bookkeeping = bookkeeping::create_gate_and_ledger(&names, &event).into_iter();
        bookkeeping.map(|sql| translated(&sql)).chain([table])
    });
    let count = "CREATE FUNCTION pg_last_copy_count() RETURNS BIGINT VOLATILE LANGUAGE SQL \
                 RETURN CAST(current_setting('log_router.copied') AS BIGINT)";
    let statements = schemas.into_iter().chain(shared).chain(own).chain([count.to_owned()]);
    for sql in statements {
        session.run(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// Rows of these sources in their table, and in its ledger.
pub(super) fn count(session: &mut Session, rows: &[LedgerRow]) -> (u64, u64) {
    count_of(session, &event(), rows)
}

pub(super) fn count_of(session: &mut Session, event: &EventName, rows: &[LedgerRow]) -> (u64, u64) {
    let ids: Vec<String> = rows.iter().map(|row| literal(row.source_id.as_str())).collect();
    let counted = |table: String, column: &str| {
        format!("SELECT COUNT(*) FROM {table} WHERE {} IN ({})", identifier(column), ids.join(", "))
    };
    let names = names();
    (
        session.number(&counted(names.event_table(event), "_source")),
        session.number(&counted(names.ledger(event), "source_id")),
    )
}
