//! Statements that make the bookkeeping schema, its shared tables, and each event's gate and ledger.

use super::{Names, audit, identifier, literal, sweep};
use common::event_name::EventName;

/// The view of [`view_tables`].
pub(crate) const TABLES_VIEW: &str = "tables";

/// The shared tables by name, each with its columns.
pub(crate) const SHARED_TABLES: [(&str, &str); 8] = [
    (
        "claim",
        "\"location\" VARCHAR(2048) NOT NULL, \"event_schema\" VARCHAR(127) NOT NULL, \"claimed_at\" TIMESTAMP DEFAULT SYSDATE",
    ),
    (
        "columns",
        "\"event\" VARCHAR(127) NOT NULL, \"path\" VARCHAR(16384) NOT NULL, \"column_name\" VARCHAR(127) NOT NULL, \
         \"kind\" VARCHAR(16) NOT NULL, \"size\" INTEGER, \"variant_of\" VARCHAR(127), \"version\" BIGINT NOT NULL, \
         \"created_at\" TIMESTAMP DEFAULT SYSDATE",
    ),
    (
        "changes",
        "\"event\" VARCHAR(127) NOT NULL, \"change\" VARCHAR(32) NOT NULL, \"detail\" VARCHAR(16384) NOT NULL, \
         \"batch\" VARCHAR(64) NOT NULL, \"at\" TIMESTAMP DEFAULT SYSDATE",
    ),
    (
        "loads",
        "\"batch\" VARCHAR(64) NOT NULL, \"event\" VARCHAR(127) NOT NULL, \"requests\" INTEGER NOT NULL, \
         \"parts\" INTEGER NOT NULL, \"rows_loaded\" BIGINT NOT NULL, \"rows_rejected\" BIGINT NOT NULL, \
         \"started_at\" TIMESTAMP NOT NULL, \"loaded_at\" TIMESTAMP DEFAULT SYSDATE",
    ),
    (
        "failed",
        "\"source_id\" VARCHAR(32) NOT NULL, \"event\" VARCHAR(127) NOT NULL, \"generation\" INTEGER NOT NULL, \
         \"why\" VARCHAR(4096) NOT NULL, \"failed_at\" TIMESTAMP DEFAULT SYSDATE",
    ),
    sweep::SWEEPS,
    sweep::COMPLETE,
    audit::REMOVED,
];

/// Longest text that `failed.why` takes, in bytes.
pub(crate) const WHY_MAX_BYTES: usize = 4096;

pub(crate) fn create_schema(schema: &str) -> String {
    format!("CREATE SCHEMA IF NOT EXISTS {}", identifier(schema))
}

pub(crate) fn create_shared_table(names: &Names, table: &str, columns: &str) -> String {
    format!("CREATE TABLE IF NOT EXISTS {} ({columns})", names.shared(table))
}

/// What a person asks first: which tables are there, since when, how large, how fresh.
pub(crate) fn view_tables(names: &Names) -> String {
    format!(
        "CREATE OR REPLACE VIEW {} AS SELECT \"event\", MIN(\"loaded_at\") AS \"first_seen\", \
         SUM(\"rows_loaded\") AS \"rows\", MAX(\"loaded_at\") AS \"last_load\" FROM {} GROUP BY \"event\"",
        names.shared(TABLES_VIEW),
        names.shared("loads")
    )
}

pub(crate) fn relations_of(schema: &str) -> String {
    format!("SELECT \"table_name\" FROM svv_tables WHERE \"table_schema\" = {}", literal(schema))
}

/// Claims the schemas for one seals location, unless they are claimed. One transaction; the LOCK makes
/// two loaders that start at once take turns.
pub(crate) fn claim(names: &Names, location: &str) -> Vec<String> {
    let table = names.shared("claim");
    vec![
        format!("LOCK {table}"),
        format!(
            "INSERT INTO {table} (\"location\", \"event_schema\") SELECT CAST({} AS VARCHAR(2048)), CAST({} AS VARCHAR(127)) WHERE NOT EXISTS (SELECT 1 FROM {table})",
            literal(location),
            literal(&names.schema)
        ),
    ]
}

pub(crate) fn read_claim(names: &Names) -> String {
    format!("SELECT DISTINCT \"location\", \"event_schema\" FROM {}", names.shared("claim"))
}

/// Gate and ledger of one event: one transaction of plain CREATE TABLEs, so either both are made, or
/// another loader was first.
pub(crate) fn create_gate_and_ledger(names: &Names, event: &EventName) -> Vec<String> {
    vec![
        create_gate(names, event),
        create_ledger(names, event),
        format!("INSERT INTO {} (\"holder\", \"version\") VALUES ('nobody', 0)", names.gate(event)),
    ]
}

pub(crate) fn create_gate(names: &Names, event: &EventName) -> String {
    format!("CREATE TABLE {} (\"holder\" VARCHAR(256) NOT NULL, \"version\" BIGINT NOT NULL)", names.gate(event))
}

pub(crate) fn create_ledger(names: &Names, event: &EventName) -> String {
    format!(
        "CREATE TABLE {} (\"source_id\" VARCHAR(32) NOT NULL, \"generation\" INTEGER NOT NULL, \
         \"parts\" INTEGER NOT NULL, \"rows_loaded\" BIGINT NOT NULL, \"rows_rejected\" BIGINT NOT NULL, \
         \"quarantine_key\" VARCHAR(1024), \"batch\" VARCHAR(64) NOT NULL, \"source_time\" TIMESTAMP NOT NULL, \
         \"loaded_at\" TIMESTAMP DEFAULT SYSDATE) SORTKEY (\"source_id\")",
        names.ledger(event)
    )
}

/// Sets one request aside: it failed alone too often.
pub(crate) fn insert_failed(names: &Names, event: &EventName, source_id: &str, generation: u32, why: &str) -> String {
    let cut = why.floor_char_boundary(WHY_MAX_BYTES);
    format!(
        "INSERT INTO {} (\"source_id\", \"event\", \"generation\", \"why\") VALUES ({}, {}, {generation}, {})",
        names.shared("failed"),
        literal(source_id),
        literal(event.as_str()),
        literal(&why[..cut])
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::tests::names;

    #[test]
    fn gate_and_ledger_are_made_by_one_plain_transaction() {
        let statements = create_gate_and_ledger(&names(), &EventName::of_type("page_view"));
        assert_eq!(
            statements[0],
            r#"CREATE TABLE "log_router"."gate_page_view" ("holder" VARCHAR(256) NOT NULL, "version" BIGINT NOT NULL)"#
        );
        assert!(statements[1].starts_with(r#"CREATE TABLE "log_router"."ledger_page_view" ("source_id" VARCHAR(32)"#));
        assert!(statements.iter().all(|s| !s.contains("IF NOT EXISTS")), "a second maker must fail");
        assert_eq!(
            statements[2],
            r#"INSERT INTO "log_router"."gate_page_view" ("holder", "version") VALUES ('nobody', 0)"#
        );
    }

    #[test]
    fn a_claim_is_taken_only_while_there_is_none() {
        assert_eq!(
            claim(&names(), "s3://b/seals/"),
            [
                r#"LOCK "log_router"."claim""#,
                r#"INSERT INTO "log_router"."claim" ("location", "event_schema") SELECT CAST('s3://b/seals/' AS VARCHAR(2048)), CAST('events' AS VARCHAR(127)) WHERE NOT EXISTS (SELECT 1 FROM "log_router"."claim")"#,
            ]
        );
    }

    #[test]
    fn a_reason_longer_than_its_column_is_cut_between_characters() {
        let sql = insert_failed(&names(), &EventName::of_type("a"), "s", 2, &"é".repeat(4096));
        assert!(sql.ends_with(&format!("VALUES ('s', 'a', 2, '{}')", "é".repeat(2048))));
    }
}
