//! Statements of the load transaction. Their order is [`crate::transaction`]'s.

use super::{Names, chunked, identifier, literal};
use common::event_name::EventName;
use common::source::SourceId;
use std::time::Duration;
use time::OffsetDateTime;

/// How a part is compressed; one COPY reads one codec (database developer guide, `copy-parameters-file-compression`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Codec {
    Gzip,
    Zstd,
}

impl Codec {
    /// By the part's key: the router names its parts for it.
    pub(crate) fn of_key(key: &str) -> Option<Self> {
        match key.rsplit_once('.')?.1 {
            "gz" => Some(Codec::Gzip),
            "zst" => Some(Codec::Zstd),
            _ => None,
        }
    }

    fn keyword(self) -> &'static str {
        match self {
            Codec::Gzip => "GZIP",
            Codec::Zstd => "ZSTD",
        }
    }
}

/// One COPY.
#[derive(Clone, Debug)]
pub(crate) struct Copy<'a> {
    pub(crate) columns: &'a [String],
    pub(crate) manifest_uri: &'a str,
    pub(crate) jsonpaths_uri: &'a str,
    pub(crate) codec: Codec,
    /// `default` or an ARN.
    pub(crate) iam_role: &'a str,
}

/// One row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LedgerRow {
    pub(crate) source_id: SourceId,
    pub(crate) generation: u32,
    pub(crate) parts: usize,
    /// In the table.
    pub(crate) rows: u64,
    /// Refused by COPY, and in quarantine.
    pub(crate) rejected: u64,
    pub(crate) quarantine_key: Option<String>,
    pub(crate) source_time: OffsetDateTime,
}

/// Waits for all of them, in this order: whoever locks several must do it in the order of names.
pub(crate) fn lock_gates<'a>(names: &Names, events: impl IntoIterator<Item = &'a EventName>) -> String {
    let gates: Vec<String> = events.into_iter().map(|event| names.gate(event)).collect();
    format!("LOCK {}", gates.join(", "))
}

/// Counts planning and waiting too (database developer guide, `r_statement_timeout`).
pub(crate) fn statement_timeout(limit: Duration) -> String {
    format!("SET statement_timeout TO {}", limit.as_millis())
}

pub(crate) fn hold_gate(names: &Names, event: &EventName, batch: &str) -> String {
    format!("UPDATE {} SET \"holder\" = {}", names.gate(event), literal(batch))
}

/// Fails unless exactly one gate row carries the name: an empty gate must not pass.
pub(crate) fn gate_check(names: &Names, event: &EventName, holder: &str) -> String {
    format!(
        "SELECT CAST(CASE WHEN COUNT(*) = 1 THEN '1' ELSE 'gate rows: ' || COUNT(*) END AS INTEGER) FROM {} WHERE \"holder\" = {}",
        names.gate(event),
        literal(holder)
    )
}

/// Fails if a source is in the ledger with the same or a higher generation. The aggregate keeps the
/// filter first: no row is NULL, and NULL casts without error.
pub(crate) fn guards(names: &Names, event: &EventName, rows: &[LedgerRow]) -> Vec<String> {
    let head = format!("SELECT CAST('a' || MIN(\"source_id\") AS INTEGER) FROM {} WHERE ", names.ledger(event));
    let loaded = rows.iter().map(|row| {
        format!("(\"source_id\" = {} AND \"generation\" >= {})", literal(row.source_id.as_str()), row.generation)
    });
    chunked(&head, " OR ", "", loaded)
}

/// Fails if one of the sources has rows, by the ledger.
pub(crate) fn absent<'a>(
    names: &Names,
    event: &EventName,
    sources: impl IntoIterator<Item = &'a SourceId>,
) -> Vec<String> {
    let head = format!(
        "SELECT CAST('a' || MIN(\"source_id\") AS INTEGER) FROM {} WHERE \"source_id\" IN (",
        names.ledger(event)
    );
    chunked(&head, ", ", ") AND \"rows_loaded\" > 0", sources.into_iter().map(|source| literal(source.as_str())))
}

/// Sources that one DELETE names, twice each: it keeps the limit of a statement.
const DELETE_SOURCES: usize = 1_300;

/// Removes the sources' rows of earlier generations. Rows and ledger row of one transaction have one time; the
/// day of slack costs a few blocks and forgives sessions whose clocks differ. The oldest of the sources bounds them all:
/// what is replaced together was mostly loaded together. A table that a person made or
/// copied may lack the default of `_loaded_at`: its rows have no time, and are the source's all the same.
pub(crate) fn delete_earlier<'a>(
    names: &Names,
    event: &EventName,
    sources: impl IntoIterator<Item = &'a SourceId>,
) -> Vec<String> {
    let sources: Vec<String> = sources.into_iter().map(|source| literal(source.as_str())).collect();
    let (table, ledger) = (names.event_table(event), names.ledger(event));
    let delete = |sources: &[String]| {
        let sources = sources.join(", ");
        format!(
            "DELETE FROM {table} WHERE \"_source\" IN ({sources}) AND (\"_loaded_at\" IS NULL OR \"_loaded_at\" >= \
             (SELECT DATEADD(day, -1, MIN(\"loaded_at\")) FROM {ledger} WHERE \"source_id\" IN ({sources})))"
        )
    };
    sources.chunks(DELETE_SOURCES).map(delete).collect()
}

/// Without any option that changes data silently. Encodings and statistics are left to the warehouse's own
/// automatic maintenance: deciding them here would lengthen the transaction and needs the table's owner.
pub(crate) fn copy(names: &Names, event: &EventName, copy: &Copy<'_>) -> String {
    let columns: Vec<String> = copy.columns.iter().map(|name| identifier(name)).collect();
    let role = match copy.iam_role {
        "default" => "default".to_owned(),
        arn => literal(arn),
    };
    format!(
        "COPY {} ({}) FROM {} IAM_ROLE {role} MANIFEST FORMAT JSON {} {} TIMEFORMAT 'auto' DATEFORMAT 'auto' COMPUPDATE OFF STATUPDATE OFF",
        names.event_table(event),
        columns.join(", "),
        literal(copy.manifest_uri),
        literal(copy.jsonpaths_uri),
        copy.codec.keyword()
    )
}

/// Fails unless the COPY before it loaded exactly this many rows. Depends on data, so it cannot be folded
/// away when the statement is planned.
pub(crate) fn count_check(records: u64) -> String {
    format!(
        "SELECT CAST(CASE WHEN pg_last_copy_count() = {records} THEN '1' ELSE 'copied ' || pg_last_copy_count() || ' of {records}' END AS INTEGER)"
    )
}

pub(crate) fn insert_ledger(names: &Names, event: &EventName, batch: &str, rows: &[LedgerRow]) -> Vec<String> {
    let head = format!(
        "INSERT INTO {} (\"source_id\", \"generation\", \"parts\", \"rows_loaded\", \"rows_rejected\", \"quarantine_key\", \"batch\", \"source_time\") VALUES ",
        names.ledger(event)
    );
    let rows = rows.iter().map(|row| {
        format!(
            "({}, {}, {}, {}, {}, {}, {}, {})",
            literal(row.source_id.as_str()),
            row.generation,
            row.parts,
            row.rows,
            row.rejected,
            row.quarantine_key.as_deref().map_or("NULL".to_owned(), literal),
            literal(batch),
            literal(&timestamp(row.source_time))
        )
    });
    chunked(&head, ", ", "", rows)
}

/// One row per table.
pub(crate) fn insert_loads<'a>(
    names: &Names,
    batch: &str,
    loads: impl IntoIterator<Item = (&'a EventName, &'a [LedgerRow])>,
    started_at: OffsetDateTime,
) -> String {
    let values = loads.into_iter().map(|(event, rows)| {
        format!(
            "({}, {}, {}, {}, {}, {}, {})",
            literal(batch),
            literal(event.as_str()),
            rows.len(),
            rows.iter().map(|row| row.parts).sum::<usize>(),
            rows.iter().map(|row| row.rows).sum::<u64>(),
            rows.iter().map(|row| row.rejected).sum::<u64>(),
            literal(&timestamp(started_at))
        )
    });
    format!(
        "INSERT INTO {} (\"batch\", \"event\", \"requests\", \"parts\", \"rows_loaded\", \"rows_rejected\", \"started_at\") VALUES {}",
        names.shared("loads"),
        values.collect::<Vec<_>>().join(", ")
    )
}

/// `2025-06-01 09:00:00.000000`, UTC: every TIMESTAMP of this product.
pub(super) fn timestamp(at: OffsetDateTime) -> String {
    let utc = at.to_offset(time::UtcOffset::UTC);
    let (hour, minute, second, microsecond) = utc.time().as_hms_micro();
    format!("{} {hour:02}:{minute:02}:{second:02}.{microsecond:06}", utc.date())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::tests::names;
    use time::macros::datetime;

    #[test]
    fn a_copy_names_its_columns_and_alters_nothing() {
        let columns = ["_source".to_owned(), "order".to_owned()];
        let mut spec = Copy {
            columns: &columns,
            manifest_uri: "s3://b/m.json",
            jsonpaths_uri: "s3://b/j.json",
            codec: Codec::of_key("routed/x/part.json.gz").unwrap(),
            iam_role: "default",
        };
        let sql = copy(&names(), &EventName::of_type("x"), &spec);
        assert_eq!(
            sql,
            r#"COPY "events"."x" ("_source", "order") FROM 's3://b/m.json' IAM_ROLE default MANIFEST FORMAT JSON 's3://b/j.json' GZIP TIMEFORMAT 'auto' DATEFORMAT 'auto' COMPUPDATE OFF STATUPDATE OFF"#
        );
        spec.iam_role = "arn:aws:iam::1:role/r";
        spec.codec = Codec::of_key("x.json.zst").unwrap();
        let sql = copy(&names(), &EventName::of_type("x"), &spec);
        assert!(sql.contains("IAM_ROLE 'arn:aws:iam::1:role/r' MANIFEST") && sql.contains(" ZSTD "), "{sql}");
        assert_eq!(Codec::of_key("x.json"), None);
    }

    #[test]
    fn times_are_utc_with_microseconds() {
        assert_eq!(timestamp(datetime!(2025-06-01 01:02:03.4567891 +02:00)), "2025-05-31 23:02:03.456789");
    }

    #[test]
    fn a_replace_deletes_by_source_within_the_time_of_its_rows_or_without_a_time() {
        let (a, b) = (SourceId::new("raw", "a", "e"), SourceId::new("raw", "b", "e"));
        assert_eq!(
            delete_earlier(&names(), &EventName::of_type("x"), [&a, &b]),
            [format!(
                r#"DELETE FROM "events"."x" WHERE "_source" IN ('{a}', '{b}') AND ("_loaded_at" IS NULL OR "_loaded_at" >= (SELECT DATEADD(day, -1, MIN("loaded_at")) FROM "log_router"."ledger_x" WHERE "source_id" IN ('{a}', '{b}')))"#
            )]
        );
        assert!(delete_earlier(&names(), &EventName::of_type("x"), []).is_empty());
    }

    #[test]
    fn many_replaces_are_deleted_with_few_statements_that_each_keep_the_limit() {
        let sources: Vec<_> = (0..3_000).map(|n: u32| SourceId::new("raw", &n.to_string(), "e")).collect();
        let deletes = delete_earlier(&names(), &EventName::of_type(&"x".repeat(100)), &sources);
        assert_eq!(deletes.len(), 3);
        assert!(deletes.iter().all(|sql| sql.len() <= crate::sql::STATEMENT_MAX_BYTES));
        let named = |source: &SourceId| deletes.iter().map(|sql| sql.matches(source.as_str()).count()).sum::<usize>();
        assert!(sources.iter().all(|source| named(source) == 2));
    }

    #[test]
    fn guards_name_every_source_with_its_generation() {
        let row = |key: &str, generation| LedgerRow {
            source_id: SourceId::new("raw", key, "e"),
            generation,
            parts: 1,
            rows: 2,
            rejected: 0,
            quarantine_key: None,
            source_time: datetime!(2025-06-01 00:00 UTC),
        };
        let (a, b) = (row("a", 0), row("b", 3));
        assert_eq!(
            guards(&names(), &EventName::of_type("x"), &[a.clone(), b.clone()]),
            [format!(
                r#"SELECT CAST('a' || MIN("source_id") AS INTEGER) FROM "log_router"."ledger_x" WHERE ("source_id" = '{}' AND "generation" >= 0) OR ("source_id" = '{}' AND "generation" >= 3)"#,
                a.source_id, b.source_id
            )]
        );
        let many: Vec<_> = (0..3_000).map(|n| row(&n.to_string(), 0)).collect();
        let guards = guards(&names(), &EventName::of_type("x"), &many);
        assert_eq!(guards.iter().map(|sql| sql.matches("generation").count()).sum::<usize>(), 3_000);
    }
}
