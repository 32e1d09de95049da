//! Statements that only ask.

use super::{Names, chunked, gate_name, ledger_name, literal};
use common::event_name::EventName;
use common::source::SourceId;

pub(crate) fn reachable() -> String {
    "SELECT 1".to_owned()
}

/// What exists of an event's table, gate and ledger: one row per column, in order.
pub(crate) fn columns_of(names: &Names, event: &EventName) -> String {
    format!(
        "SELECT \"table_name\", \"column_name\", \"data_type\", \"character_maximum_length\", \
         \"numeric_precision\", \"numeric_scale\" FROM svv_columns \
         WHERE (\"table_schema\" = {} AND \"table_name\" = {}) OR (\"table_schema\" = {} AND \"table_name\" IN ({}, {})) \
         ORDER BY \"table_name\", \"ordinal_position\"",
        literal(&names.schema),
        literal(event.as_str()),
        literal(&names.bookkeeping),
        literal(&gate_name(event)),
        literal(&ledger_name(event)),
    )
}

pub(crate) fn gate_version(names: &Names, event: &EventName) -> String {
    format!("SELECT \"version\" FROM {}", names.gate(event))
}

/// The mapping's rows, oldest first.
pub(crate) fn mapping_rows(names: &Names, event: &EventName) -> String {
    format!(
        "SELECT \"path\", \"column_name\", \"kind\", \"size\", \"variant_of\", \"version\" FROM {} WHERE \"event\" = {} \
         ORDER BY \"version\", \"column_name\"",
        names.shared("columns"),
        literal(event.as_str())
    )
}

/// What was told of one event under this word.
pub(crate) fn change_details(names: &Names, event: &EventName, change: &str) -> String {
    format!(
        "SELECT DISTINCT \"detail\" FROM {} WHERE \"event\" = {} AND \"change\" = {}",
        names.shared("changes"),
        literal(event.as_str()),
        literal(change)
    )
}

/// Which of the sources are loaded, each with its highest generation.
pub(crate) fn loaded_sources<'a>(
    names: &Names,
    event: &EventName,
    sources: impl IntoIterator<Item = &'a SourceId>,
) -> Vec<String> {
    let head =
        format!("SELECT \"source_id\", MAX(\"generation\") FROM {} WHERE \"source_id\" IN (", names.ledger(event));
    let ids = sources.into_iter().map(|id| literal(id.as_str()));
    chunked(&head, ", ", ") GROUP BY \"source_id\"", ids)
}

/// Whether the event's table holds rows that were loaded by this product.
pub(crate) fn holds_loaded_rows(names: &Names, event: &EventName) -> String {
    format!("SELECT \"_source\" FROM {} WHERE \"_source\" IS NOT NULL LIMIT 1", names.event_table(event))
}

/// Why COPY refused these files. The views pad and cut file names (database developer guide, `SYS_LOAD_ERROR_DETAIL`).
pub(crate) fn load_errors<'a>(uris: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let head = "SELECT DISTINCT TRIM(\"file_name\"), \"line_number\", TRIM(\"column_name\"), \"error_code\", TRIM(\"error_message\") \
                FROM sys_load_error_detail WHERE TRIM(\"file_name\") IN (";
    let tail = ") ORDER BY 1, 2 LIMIT 3";
    chunked(head, ", ", tail, uris.into_iter().map(literal)).into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::tests::names;

    #[test]
    fn the_ledger_is_asked_by_source() {
        let (a, b) = (SourceId::new("raw", "a", "1"), SourceId::new("raw", "b", "1"));
        assert_eq!(
            loaded_sources(&names(), &EventName::of_type("x"), [&a, &b]),
            [format!(
                r#"SELECT "source_id", MAX("generation") FROM "log_router"."ledger_x" WHERE "source_id" IN ('{a}', '{b}') GROUP BY "source_id""#
            )]
        );
    }

    #[test]
    fn one_question_tells_what_exists_of_an_event() {
        assert_eq!(
            columns_of(&names(), &EventName::of_type("x")),
            r#"SELECT "table_name", "column_name", "data_type", "character_maximum_length", "numeric_precision", "numeric_scale" FROM svv_columns WHERE ("table_schema" = 'events' AND "table_name" = 'x') OR ("table_schema" = 'log_router' AND "table_name" IN ('gate_x', 'ledger_x')) ORDER BY "table_name", "ordinal_position""#
        );
    }
}
