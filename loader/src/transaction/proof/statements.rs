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
}

impl Variant {
    pub(super) const WHOLE: Self = Self { lock: true, hold: true, early_snapshot: false, session_local: true };
}

pub(super) fn event() -> EventName {
    EventName::of_type("page_view")
}

/// Everything between BEGIN and COMMIT, and COMMIT.
pub(super) fn load(batch: &str, rows: &[LedgerRow], variant: Variant) -> Vec<Step> {
    let (event, columns) = (event(), ["_source".to_owned(), "_line".to_owned()]);
    let plan = crate::transaction::Plan { batch, ..plan(&event, &columns, rows.to_vec()) };
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
        let sql = if role == Role::Copy { insert(&event, rows) } else { translated(sql) };
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

/// Schemas, shared tables, gate and ledger by the loader's own statements, and the event's table.
pub(super) fn prepare(session: &mut Session) {
    let (names, event) = (names(), event());
    let schemas = [&names.schema, &names.bookkeeping].map(|schema| bookkeeping::create_schema(schema));
    let shared = bookkeeping::SHARED_TABLES
        .map(|(table, columns)| translated(&bookkeeping::create_shared_table(&names, table, columns)));
    let own = bookkeeping::create_gate_and_ledger(&names, &event).into_iter().map(|sql| translated(&sql));
    let table = format!(
        "CREATE TABLE {} (\"_source\" VARCHAR(32), \"_line\" BIGINT, \"_loaded_at\" TIMESTAMP DEFAULT LOCALTIMESTAMP)",
        names.event_table(&event)
    );
    let count = "CREATE FUNCTION pg_last_copy_count() RETURNS BIGINT VOLATILE LANGUAGE SQL \
                 RETURN CAST(current_setting('log_router.copied') AS BIGINT)";
    let statements = schemas.into_iter().chain(shared).chain(own).chain([table, count.to_owned()]);
    for sql in statements {
        session.run(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// Rows of these sources in the event's table, and in its ledger.
pub(super) fn count(session: &mut Session, rows: &[LedgerRow]) -> (u64, u64) {
    let ids: Vec<String> = rows.iter().map(|row| literal(row.source_id.as_str())).collect();
    let counted = |table: String, column: &str| {
        format!("SELECT COUNT(*) FROM {table} WHERE {} IN ({})", identifier(column), ids.join(", "))
    };
    let (names, event) = (names(), event());
    (
        session.number(&counted(names.event_table(&event), "_source")),
        session.number(&counted(names.ledger(&event), "source_id")),
    )
}
