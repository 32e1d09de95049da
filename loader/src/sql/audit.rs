//! Statements of the audit: what ledger and table have of some sources, in one statement and so in one snapshot; and what
//! has no place in either.

use super::load::timestamp;
use super::{Names, chunked, literal};
use common::event_name::EventName;
use common::source::SourceId;
use time::OffsetDateTime;

/// Rows that people removed, so that nobody takes them for lost. People add to it, the loader only reads.
pub(crate) const REMOVED: (&str, &str) = (
    "removed",
    "\"event\" VARCHAR(127) NOT NULL, \"source_id\" VARCHAR(32) NOT NULL, \"rows\" BIGINT NOT NULL, \
     \"why\" VARCHAR(4096), \"removed_at\" TIMESTAMP DEFAULT SYSDATE",
);

/// Sources of one statement: their ids stand in it three times, and it must not be longer than the Data API takes.
pub(crate) const SOURCES_MAX: usize = 800;

/// What there is of an event to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct There {
    pub(crate) ledger: bool,
    /// With the column `_source`.
    pub(crate) table: bool,
}

/// A place in the order of sources by hour and, within an hour, by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The beginning of an hour, or of a part of one.
    pub(crate) time: OffsetDateTime,
    /// Within that hour, which ends then, this source.
    pub(crate) within: Option<(OffsetDateTime, SourceId)>,
}

impl Place {
    fn and_on(&self) -> String {
        let time = literal(&timestamp(self.time));
        match &self.within {
            None => format!("\"source_time\" >= {time}"),
            Some((end, id)) => format!(
                "\"source_time\" >= {time} AND (\"source_time\" >= {} OR \"source_id\" >= {})",
                literal(&timestamp(*end)),
                literal(id.as_str())
            ),
        }
    }

    fn and_before(&self) -> String {
        let time = literal(&timestamp(self.time));
        match &self.within {
            None => format!("\"source_time\" < {time}"),
            Some((end, id)) => format!(
                "\"source_time\" < {} AND (\"source_time\" < {time} OR \"source_id\" < {})",
                literal(&timestamp(*end)),
                literal(id.as_str())
            ),
        }
    }
}

/// Which sources are asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which<'a> {
    /// Those that the ledger has from one place on and before another. One look at the table for any number of them.
    Of(&'a Place, &'a Place),
    /// These, at most [`SOURCES_MAX`].
    These(&'a [SourceId]),
}

/// Per source: id; of its highest generation in the ledger that, rows loaded and rows rejected; rows in the table, and
/// different lines among them; rows that people removed since they were loaded. `None` where there is nothing to ask.
pub(crate) fn counts(names: &Names, event: &EventName, there: There, which: Which<'_>) -> Option<String> {
    let ledger = names.ledger(event);
    let chosen = |column: &str| match which {
        Which::Of(from, to) => format!(
            "\"{column}\" IN (SELECT \"source_id\" FROM {ledger} WHERE {} AND {})",
            from.and_on(),
            to.and_before()
        ),
        Which::These(sources) => format!("\"{column}\" IN ({})", list(sources)),
    };
    let rows = || {
        format!(
            "SELECT \"_source\", COUNT(*) AS \"rows\", COUNT(DISTINCT \"_line\") AS \"lines\" FROM {} WHERE {} GROUP BY \"_source\"",
            names.event_table(event),
            chosen("_source")
        )
    };
    if !there.ledger {
        let head = "SELECT \"_source\", CAST(NULL AS INTEGER), CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), \"rows\", \"lines\", 0";
        return there.table.then(|| format!("{head} FROM ({}) AS \"t\"", rows()));
    }
    let highest = format!(
        "SELECT \"source_id\", \"generation\", \"rows_loaded\", \"rows_rejected\", \"loaded_at\" FROM (SELECT \"source_id\", \
         \"generation\", \"rows_loaded\", \"rows_rejected\", \"loaded_at\", ROW_NUMBER() OVER (PARTITION BY \"source_id\" \
         ORDER BY \"generation\" DESC, \"loaded_at\" DESC) AS \"place\" FROM {ledger} WHERE {}) AS \"every\" WHERE \"place\" = 1",
        chosen("source_id")
    );
    // What was removed before the rows were loaded again is no reason that they are not there.
    let removed = format!(
        "SELECT r.\"source_id\" AS \"source_id\", SUM(r.\"rows\") AS \"rows\" FROM {} AS r JOIN \"l\" AS h ON \
         h.\"source_id\" = r.\"source_id\" AND r.\"removed_at\" >= h.\"loaded_at\" WHERE r.\"event\" = {} GROUP BY r.\"source_id\"",
        names.shared(REMOVED.0),
        literal(event.as_str())
    );
    let of_ledger = "\"l\".\"generation\", \"l\".\"rows_loaded\", \"l\".\"rows_rejected\"";
    let with_removed = "LEFT JOIN \"r\" ON \"r\".\"source_id\" = \"l\".\"source_id\"";
    Some(match there.table {
        true => format!(
            "WITH \"l\" AS ({highest}), \"t\" AS ({}), \"r\" AS ({removed}) SELECT COALESCE(\"l\".\"source_id\", \
             \"t\".\"_source\"), {of_ledger}, \"t\".\"rows\", \"t\".\"lines\", \"r\".\"rows\" FROM \"l\" FULL JOIN \"t\" ON \
             \"t\".\"_source\" = \"l\".\"source_id\" {with_removed}",
            rows()
        ),
        false => format!(
            "WITH \"l\" AS ({highest}), \"r\" AS ({removed}) SELECT \"l\".\"source_id\", {of_ledger}, 0, 0, \"r\".\"rows\" \
             FROM \"l\" {with_removed}"
        ),
    })
}

/// Rows that the ledger does not account for: of each source that it does not know, at most `limit` of them; and at last
/// those that people put into the table themselves, without any source.
pub(crate) fn strays(names: &Names, event: &EventName, has_ledger: bool, limit: usize) -> String {
    let table = names.event_table(event);
    format!(
        "SELECT \"_source\", \"rows\" FROM (SELECT \"_source\", COUNT(*) AS \"rows\" FROM {table} WHERE \"_source\" IS NOT NULL{} \
         GROUP BY \"_source\" ORDER BY \"_source\" LIMIT {limit}) AS \"unknown\" UNION ALL SELECT CAST(NULL AS VARCHAR(32)), \
         COUNT(*) FROM {table} WHERE \"_source\" IS NULL",
        unknown(names, event, has_ledger, "_source")
    )
}

/// For a person who looked at rows that nothing of the pipeline put there.
pub(crate) fn delete_source(names: &Names, event: &EventName, source: &str) -> String {
    format!("DELETE FROM {} WHERE \"_source\" = {}", names.event_table(event), literal(source))
}

/// Which of these sources have rows that are older than whatever the ledger has of them, and are whole without them. At most
/// [`SOURCES_MAX`].
pub(crate) fn with_older_rows(names: &Names, event: &EventName, sources: &[SourceId]) -> String {
    let sources = list(sources);
    let ledger = format!(
        "SELECT \"source_id\", \"rows_loaded\", {OLDEST} OVER (PARTITION BY \"source_id\") AS \"first\", ROW_NUMBER() OVER \
         (PARTITION BY \"source_id\" ORDER BY \"generation\" DESC, \"loaded_at\" DESC) AS \"place\" FROM {} WHERE \"source_id\" IN \
         ({sources})",
        names.ledger(event)
    );
    // The day of slack is that of the replace, which removes whatever is younger.
    let bounds = format!(
        "SELECT \"source_id\", \"rows_loaded\", DATEADD(day, -1, \"first\") AS \"first\" FROM ({ledger}) AS \"every\" WHERE \"place\" = 1"
    );
    format!(
        "SELECT \"_source\" FROM (SELECT t.\"_source\" AS \"_source\", MAX(h.\"rows_loaded\") AS \"loaded\", COUNT(DISTINCT CASE WHEN \
         t.\"_loaded_at\" >= h.\"first\" THEN t.\"_line\" END) AS \"young\", SUM(CASE WHEN t.\"_loaded_at\" < h.\"first\" THEN 1 ELSE 0 \
         END) AS \"older\" FROM {} AS t JOIN ({bounds}) AS h ON h.\"source_id\" = t.\"_source\" GROUP BY t.\"_source\") AS \"counted\" \
         WHERE \"older\" > 0 AND \"young\" >= \"loaded\"",
        names.event_table(event)
    )
}

const OLDEST: &str = "MIN(\"loaded_at\")";

/// Removes the rows of a source that are older than whatever the ledger has of it.
pub(crate) fn delete_older_rows(names: &Names, event: &EventName, source: &SourceId) -> String {
    let source = literal(source.as_str());
    format!(
        "DELETE FROM {} WHERE \"_source\" = {source} AND \"_loaded_at\" < (SELECT DATEADD(day, -1, {OLDEST}) FROM {} \
         WHERE \"source_id\" = {source})",
        names.event_table(event),
        names.ledger(event)
    )
}

/// Of which of these sources people removed rows, and of which events.
pub(crate) fn removed_of<'a>(names: &Names, sources: impl IntoIterator<Item = &'a SourceId>) -> Vec<String> {
    let head =
        format!("SELECT DISTINCT \"source_id\", \"event\" FROM {} WHERE \"source_id\" IN (", names.shared(REMOVED.0));
    chunked(&head, ", ", ")", sources.into_iter().map(|id| literal(id.as_str())))
}

/// How many rows each of these gates has.
pub(crate) fn gates_rows<'a>(names: &Names, events: impl IntoIterator<Item = &'a EventName>) -> String {
    let count = |event: &EventName| {
        let name = literal(event.as_str());
        format!("SELECT CAST({name} AS VARCHAR(127)) AS \"event\", COUNT(*) FROM {}", names.gate(event))
    };
    events.into_iter().map(count).collect::<Vec<_>>().join(" UNION ALL ")
}

/// For a person: the sources that a ledger does not know, and their rows.
pub(crate) fn unknown_to_ledger(names: &Names, event: &EventName) -> String {
    format!(
        "SELECT \"_source\", COUNT(*) FROM {} WHERE \"_source\" IS NOT NULL{} GROUP BY \"_source\"",
        names.event_table(event),
        unknown(names, event, true, "_source")
    )
}

/// Event tables that the loader has rows in, or may have.
pub(crate) fn tables_with_source(names: &Names) -> String {
    format!(
        "SELECT \"table_name\" FROM svv_columns WHERE \"table_schema\" = {} AND \"column_name\" = '_source'",
        literal(&names.schema)
    )
}

/// Events that were ever loaded, as far as their columns are written down.
pub(crate) fn mapped_events(names: &Names) -> String {
    format!("SELECT DISTINCT \"event\" FROM {}", names.shared("columns"))
}

/// A source whose rows are newer than all that the ledger knows, and that it does not know: the ledger is not the one that
/// belongs to these rows.
pub(crate) fn newer_than_ledger(names: &Names, event: &EventName) -> String {
    let ledger = names.ledger(event);
    format!(
        "SELECT \"_source\" FROM {} WHERE \"_loaded_at\" > (SELECT COALESCE(MAX(\"loaded_at\"), '1970-01-01') FROM {ledger}) \
         AND LENGTH(\"_source\") = 32 AND \"_source\" NOT IN (SELECT \"source_id\" FROM {ledger}) LIMIT 1",
        names.event_table(event)
    )
}

pub(super) fn unknown(names: &Names, event: &EventName, has_ledger: bool, column: &str) -> String {
    match has_ledger {
        true => format!(" AND \"{column}\" NOT IN (SELECT \"source_id\" FROM {})", names.ledger(event)),
        false => String::new(),
    }
}

fn list(sources: &[SourceId]) -> String {
    sources.iter().map(|id| literal(id.as_str())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::STATEMENT_MAX_BYTES;
    use crate::sql::tests::names;

    #[test]
    fn an_hour_may_be_asked_about_in_slices() {
        use time::macros::datetime;
        let (event, there) = (EventName::of_type("a"), There { ledger: true, table: true });
        let (hour, end) = (datetime!(2025-06-01 09:00 UTC), datetime!(2025-06-01 10:00 UTC));
        let id = SourceId::new("raw", "k", "e");
        let from = Place { time: hour, within: None };
        let until = Place { time: hour, within: Some((end, id.clone())) };
        let first = counts(&names(), &event, there, Which::Of(&from, &until)).unwrap();
        assert!(first.contains(&format!(
            r#"WHERE "source_time" >= '2025-06-01 09:00:00.000000' AND "source_time" < '2025-06-01 10:00:00.000000' AND ("source_time" < '2025-06-01 09:00:00.000000' OR "source_id" < '{id}')"#
        )), "{first}");
        let to = Place { time: end, within: None };
        let rest = counts(&names(), &event, there, Which::Of(&until, &to)).unwrap();
        assert!(rest.contains(&format!(
            r#"WHERE "source_time" >= '2025-06-01 09:00:00.000000' AND ("source_time" >= '2025-06-01 10:00:00.000000' OR "source_id" >= '{id}') AND "source_time" < '2025-06-01 10:00:00.000000')"#
        )), "{rest}");
    }

    #[test]
    fn as_many_sources_as_may_be_asked_about_fit_a_statement() {
        let sources: Vec<SourceId> = (0..SOURCES_MAX).map(|n| SourceId::new("raw", &n.to_string(), "e")).collect();
        let event = EventName::of_type(&"e".repeat(100));
        let there = There { ledger: true, table: true };
        let sql = counts(&names(), &event, there, Which::These(&sources)).unwrap();
        assert!(sql.len() <= STATEMENT_MAX_BYTES, "{}", sql.len());
        assert!(counts(&names(), &event, There { ledger: false, table: false }, Which::These(&sources)).is_none());
    }
}
