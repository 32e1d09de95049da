//! Statements that make a gate and ledger anew from seals and from the rows that are there.

use super::audit::{REMOVED, There, unknown};
use super::load::timestamp;
use super::{Names, bookkeeping, chunked, literal};
use common::event_name::EventName;
use common::source::SourceId;
use time::OffsetDateTime;

/// The ledger row that one source is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StagedRow {
    pub(crate) source_id: SourceId,
    pub(crate) generation: u32,
    pub(crate) parts: usize,
    pub(crate) rows: u64,
    pub(crate) rejected: u64,
    pub(crate) quarantine_key: Option<String>,
    pub(crate) source_time: OffsetDateTime,
    /// When the first of its rows was; long ago, if nobody knows: a replace goes by it.
    pub(crate) loaded_at: Option<OffsetDateTime>,
}

/// How many sources have rows that the ledger does not know.
pub(crate) fn count_unknown(names: &Names, event: &EventName, has_ledger: bool) -> String {
    format!(
        "SELECT COUNT(DISTINCT \"_source\") FROM {} WHERE LENGTH(\"_source\") = 32{}",
        names.event_table(event),
        unknown(names, event, has_ledger, "_source")
    )
}

/// Sources that the ledger does not know and whose ids begin so. Of each: rows in the table, different lines among them, and
/// when the first was loaded; rows that people removed since, and when they did so last.
pub(crate) fn unknown_sources(names: &Names, event: &EventName, there: There, begins: &str) -> String {
    let begins = literal(&format!("{begins}%"));
    let removed = |tables: &str, of_time: &str| {
        format!(
            "SELECT r.\"source_id\" AS \"source_id\", SUM(r.\"rows\") AS \"rows\", MAX(r.\"removed_at\") AS \"at\" FROM {} AS r{tables} \
             WHERE r.\"event\" = {} AND LENGTH(r.\"source_id\") = 32 AND r.\"source_id\" LIKE {begins}{}{of_time} GROUP BY r.\"source_id\"",
            names.shared(REMOVED.0),
            literal(event.as_str()),
            unknown(names, event, there.ledger, "source_id")
        )
    };
    if !there.table {
        let removed = removed("", "");
        return format!(
            "SELECT \"source_id\", 0, 0, CAST(NULL AS TIMESTAMP), \"rows\", \"at\" FROM ({removed}) AS \"r\""
        );
    }
    let rows = format!(
        "SELECT \"_source\", COUNT(*) AS \"rows\", COUNT(DISTINCT \"_line\") AS \"lines\", MIN(\"_loaded_at\") AS \"first\" FROM {} \
         WHERE LENGTH(\"_source\") = 32 AND \"_source\" LIKE {begins}{} GROUP BY \"_source\"",
        names.event_table(event),
        unknown(names, event, there.ledger, "_source")
    );
    // What was removed before the rows were loaded is not what they lack.
    let removed = removed(
        " LEFT JOIN \"t\" AS c ON c.\"_source\" = r.\"source_id\"",
        " AND (c.\"first\" IS NULL OR r.\"removed_at\" >= c.\"first\")",
    );
    format!(
        "WITH \"t\" AS ({rows}), \"r\" AS ({removed}) SELECT COALESCE(\"t\".\"_source\", \"r\".\"source_id\"), \"t\".\"rows\", \
         \"t\".\"lines\", \"t\".\"first\", \"r\".\"rows\", \"r\".\"at\" FROM \"t\" FULL JOIN \"r\" ON \"r\".\"source_id\" = \"t\".\"_source\""
    )
}

/// A table of its own for each rebuild: what one that died left is in nobody's way.
pub(crate) fn create_staging(names: &Names, staging: &str) -> String {
    format!(
        "CREATE TABLE {} (\"source_id\" VARCHAR(32) NOT NULL, \"generation\" INTEGER NOT NULL, \"parts\" INTEGER NOT NULL, \
         \"rows\" BIGINT NOT NULL, \"rejected\" BIGINT NOT NULL, \"quarantine_key\" VARCHAR(1024), \"source_time\" TIMESTAMP \
         NOT NULL, \"loaded_at\" TIMESTAMP NOT NULL)",
        names.shared(staging)
    )
}

pub(crate) fn drop_staging(names: &Names, staging: &str) -> String {
    format!("DROP TABLE IF EXISTS {}", names.shared(staging))
}

pub(crate) fn stage(names: &Names, staging: &str, rows: &[StagedRow]) -> Vec<String> {
    let head = format!(
        "INSERT INTO {} (\"source_id\", \"generation\", \"parts\", \"rows\", \"rejected\", \"quarantine_key\", \"source_time\", \
         \"loaded_at\") VALUES ",
        names.shared(staging)
    );
    let null = || "NULL".to_owned();
    let rows = rows.iter().map(|row| {
        format!(
            "({}, {}, {}, {}, {}, {}, {}, {})",
            literal(row.source_id.as_str()),
            row.generation,
            row.parts,
            row.rows,
            row.rejected,
            row.quarantine_key.as_deref().map_or_else(null, literal),
            literal(&timestamp(row.source_time)),
            literal(&timestamp(row.loaded_at.unwrap_or(OffsetDateTime::UNIX_EPOCH))),
        )
    });
    chunked(&head, ", ", "", rows)
}

/// What is missing of gate and ledger. The gate's version is that of the columns: the next change goes on from there.
pub(crate) fn create_missing(names: &Names, event: &EventName, gate: bool, ledger: bool) -> Vec<String> {
    let mut statements = Vec::new();
    if !gate {
        statements.push(bookkeeping::create_gate(names, event));
        statements.push(fill_gate(names, event));
    }
    if !ledger {
        statements.push(bookkeeping::create_ledger(names, event));
    }
    statements
}

/// A gate has one row.
pub(crate) fn refill_gate(names: &Names, event: &EventName) -> [String; 2] {
    [format!("DELETE FROM {}", names.gate(event)), fill_gate(names, event)]
}

fn fill_gate(names: &Names, event: &EventName) -> String {
    format!(
        "INSERT INTO {} (\"holder\", \"version\") SELECT CAST('nobody' AS VARCHAR(256)), COALESCE(MAX(\"version\"), 0) FROM {} \
         WHERE \"event\" = {}",
        names.gate(event),
        names.shared("columns"),
        literal(event.as_str())
    )
}

pub(crate) fn gate_rows(names: &Names, event: &EventName) -> String {
    format!("SELECT COUNT(*) FROM {}", names.gate(event))
}

/// The staged ledger rows of sources that came to none meanwhile.
pub(crate) fn adopt(names: &Names, event: &EventName, staging: &str, batch: &str) -> String {
    let ledger = names.ledger(event);
    format!(
        "INSERT INTO {ledger} (\"source_id\", \"generation\", \"parts\", \"rows_loaded\", \"rows_rejected\", \"quarantine_key\", \
         \"batch\", \"source_time\", \"loaded_at\") SELECT \"source_id\", \"generation\", \"parts\", \"rows\", \"rejected\", \
         \"quarantine_key\", CAST({} AS VARCHAR(64)), \"source_time\", \"loaded_at\" FROM {} WHERE \"source_id\" NOT IN (SELECT \
         \"source_id\" FROM {ledger})",
        literal(batch),
        names.shared(staging)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::tests::names;

    #[test]
    fn a_gate_goes_on_from_the_version_of_its_columns() {
        let event = EventName::of_type("x");
        let made = create_missing(&names(), &event, false, true);
        assert_eq!(made.len(), 2);
        assert!(made[1].contains("MAX(\"version\")") && made[1].contains("\"event\" = 'x'"), "{}", made[1]);
        assert!(create_missing(&names(), &event, true, true).is_empty());
    }
}
