//! Statements that make a gate and ledger anew from seals and from the rows that are there.

use super::audit::{REMOVED, There, unknown};
use super::load::timestamp;
use super::{Names, bookkeeping, chunked, literal};
use common::event_name::EventName;
use common::source::SourceId;
use time::OffsetDateTime;

/// What the seals say of one source that has rows, or had some that people removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StagedRow {
    pub(crate) source_id: SourceId,
    /// Of its parts.
    pub(crate) generation: u32,
    pub(crate) parts: usize,
    /// Rows that it was loaded with.
    pub(crate) rows: u64,
    pub(crate) rejected: u64,
    pub(crate) quarantine_key: Option<String>,
    pub(crate) source_time: OffsetDateTime,
    /// Older rows are of an earlier generation.
    pub(crate) not_before: Option<OffsetDateTime>,
    /// By people.
    pub(crate) removed: bool,
}

/// How many sources have rows that the ledger does not know.
pub(crate) fn count_unknown(names: &Names, event: &EventName, has_ledger: bool) -> String {
    format!(
        "SELECT COUNT(DISTINCT \"_source\") FROM {} WHERE LENGTH(\"_source\") = 32{}",
        names.event_table(event),
        unknown(names, event, has_ledger, "_source")
    )
}

/// Sources that the ledger does not know and whose ids begin so: rows in the table, and rows that people removed.
pub(crate) fn unknown_sources(names: &Names, event: &EventName, there: There, begins: &str) -> String {
    let begins = literal(&format!("{begins}%"));
    let rows = format!(
        "SELECT \"_source\", COUNT(*) AS \"rows\" FROM {} WHERE LENGTH(\"_source\") = 32 AND \"_source\" LIKE {begins}{} GROUP BY \"_source\"",
        names.event_table(event),
        unknown(names, event, there.ledger, "_source")
    );
    let removed = format!(
        "SELECT \"source_id\", SUM(\"rows\") AS \"rows\" FROM {} WHERE \"event\" = {} AND LENGTH(\"source_id\") = 32 AND \
         \"source_id\" LIKE {begins}{} GROUP BY \"source_id\"",
        names.shared(REMOVED.0),
        literal(event.as_str()),
        unknown(names, event, there.ledger, "source_id")
    );
    match there.table {
        true => format!(
            "SELECT COALESCE(\"t\".\"_source\", \"r\".\"source_id\"), \"t\".\"rows\", \"r\".\"rows\" FROM ({rows}) AS \"t\" \
             FULL JOIN ({removed}) AS \"r\" ON \"r\".\"source_id\" = \"t\".\"_source\""
        ),
        false => format!("SELECT \"source_id\", 0, \"rows\" FROM ({removed}) AS \"r\""),
    }
}

/// A table of its own for each rebuild: what one that died left is in nobody's way.
pub(crate) fn create_staging(names: &Names, staging: &str) -> String {
    format!(
        "CREATE TABLE {} (\"source_id\" VARCHAR(32) NOT NULL, \"generation\" INTEGER NOT NULL, \"parts\" INTEGER NOT NULL, \
         \"rows\" BIGINT NOT NULL, \"rejected\" BIGINT NOT NULL, \"quarantine_key\" VARCHAR(1024), \"source_time\" TIMESTAMP \
         NOT NULL, \"not_before\" TIMESTAMP, \"removed\" BOOLEAN NOT NULL)",
        names.shared(staging)
    )
}

pub(crate) fn drop_staging(names: &Names, staging: &str) -> String {
    format!("DROP TABLE IF EXISTS {}", names.shared(staging))
}

pub(crate) fn stage(names: &Names, staging: &str, rows: &[StagedRow]) -> Vec<String> {
    let head = format!(
        "INSERT INTO {} (\"source_id\", \"generation\", \"parts\", \"rows\", \"rejected\", \"quarantine_key\", \"source_time\", \
         \"not_before\", \"removed\") VALUES ",
        names.shared(staging)
    );
    let null = || "NULL".to_owned();
    let rows = rows.iter().map(|row| {
        format!(
            "({}, {}, {}, {}, {}, {}, {}, {}, {})",
            literal(row.source_id.as_str()),
            row.generation,
            row.parts,
            row.rows,
            row.rejected,
            row.quarantine_key.as_deref().map_or_else(null, literal),
            literal(&timestamp(row.source_time)),
            row.not_before.map_or_else(null, |at| literal(&timestamp(at))),
            if row.removed { "TRUE" } else { "FALSE" },
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

/// A ledger row for each source whose rows are those that its seal names, each once; and for each of which people removed
/// rows: those must not come back.
pub(crate) fn adopt(names: &Names, event: &EventName, staging: &str, batch: &str, has_table: bool) -> String {
    let ledger = names.ledger(event);
    let counts = match has_table {
        true => format!(
            "SELECT \"_source\", COUNT(*) AS \"rows\", COUNT(DISTINCT \"_line\") AS \"lines\", MIN(\"_loaded_at\") AS \"first\" \
             FROM {} WHERE \"_source\" IN (SELECT \"source_id\" FROM {}) GROUP BY \"_source\"",
            names.event_table(event),
            names.shared(staging)
        ),
        false => {
            "SELECT CAST(NULL AS VARCHAR(32)) AS \"_source\", CAST(0 AS BIGINT) AS \"rows\", CAST(0 AS BIGINT) AS \
                  \"lines\", CAST(NULL AS TIMESTAMP) AS \"first\""
                .to_owned()
        }
    };
    format!(
        "INSERT INTO {ledger} (\"source_id\", \"generation\", \"parts\", \"rows_loaded\", \"rows_rejected\", \"quarantine_key\", \
         \"batch\", \"source_time\", \"loaded_at\") SELECT s.\"source_id\", s.\"generation\", s.\"parts\", s.\"rows\", \
         s.\"rejected\", s.\"quarantine_key\", CAST({} AS VARCHAR(64)), s.\"source_time\", COALESCE(c.\"first\", \
         CAST('1970-01-01' AS TIMESTAMP)) FROM {} AS s LEFT JOIN ({counts}) AS c ON c.\"_source\" = s.\"source_id\" WHERE \
         (s.\"removed\" = TRUE OR (c.\"rows\" = s.\"rows\" AND c.\"lines\" = s.\"rows\" AND (s.\"not_before\" IS NULL OR \
         c.\"first\" >= s.\"not_before\"))) AND s.\"source_id\" NOT IN (SELECT \"source_id\" FROM {ledger})",
        literal(batch),
        names.shared(staging)
    )
}

/// Rows of sources that are there in part: they will be loaded anew, whole.
pub(crate) fn delete_partly_there(names: &Names, event: &EventName, staging: &str) -> String {
    format!(
        "DELETE FROM {} WHERE \"_source\" IN (SELECT \"source_id\" FROM {}) AND \"_source\" NOT IN (SELECT \"source_id\" FROM {})",
        names.event_table(event),
        names.shared(staging),
        names.ledger(event)
    )
}

/// Which of the staged sources are still owed.
pub(crate) fn left_owed(names: &Names, event: &EventName, staging: &str) -> String {
    format!(
        "SELECT \"source_id\" FROM {} WHERE \"source_id\" NOT IN (SELECT \"source_id\" FROM {})",
        names.shared(staging),
        names.ledger(event)
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
