//! Statements that change a table or its mapping.

use super::{Names, STATEMENT_MAX_BYTES, chunked, identifier, literal};
use crate::mapping::kind::Kind;
use crate::mapping::name::path_text;
use crate::mapping::{Column, SYSTEM_COLUMNS};
use common::event_name::EventName;

/// One row of `changes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) what: &'static str,
    pub(crate) detail: String,
}

/// The mapping's compare-and-set, one transaction: fails at [`ADVANCED_ENTRY`] unless the gate is still at
/// `version`. `holder` must be new each time.
pub(crate) fn commit_mapping(
    names: &Names,
    event: &EventName,
    version: u64,
    holder: &str,
    rows: &[Column],
    changes: &[Change],
) -> Vec<String> {
    let gate = names.gate(event);
    let mut statements = vec![
        format!("LOCK {gate}"),
        format!(
            "UPDATE {gate} SET \"version\" = {}, \"holder\" = {} WHERE \"version\" = {version}",
            version + 1,
            literal(holder)
        ),
        super::load::gate_check(names, event, holder),
    ];
    let head = format!(
        "INSERT INTO {} (\"event\", \"path\", \"column_name\", \"kind\", \"size\", \"variant_of\", \"version\") VALUES ",
        names.shared("columns")
    );
    let event_literal = literal(event.as_str());
    let columns = rows.iter().map(|column| {
        let size = if column.kind == Kind::Varchar { column.size.to_string() } else { "NULL".to_owned() };
        let variant_of = column.variant_of.as_deref().map_or("NULL".to_owned(), literal);
        format!(
            "({event_literal}, {}, {}, {}, {size}, {variant_of}, {})",
            literal(&path_text(&column.path)),
            literal(&column.name),
            literal(&column.kind.name()),
            version + 1
        )
    });
    statements.extend(chunked(&head, ", ", "", columns));
    statements.extend(insert_changes(names, event, holder, changes));
    statements
}

/// What people are told about a table. `batch` is whose doing it is.
pub(crate) fn insert_changes(names: &Names, event: &EventName, batch: &str, changes: &[Change]) -> Vec<String> {
    let head =
        format!("INSERT INTO {} (\"event\", \"change\", \"detail\", \"batch\") VALUES ", names.shared("changes"));
    let event = literal(event.as_str());
    let changes = changes.iter().map(|Change { what, detail }| {
        // As much as the column takes.
        let detail = &detail[..detail.floor_char_boundary(DETAIL_MAX_BYTES)];
        format!("({event}, {}, {}, {})", literal(what), literal(detail), literal(batch))
    });
    chunked(&head, ", ", "", changes)
}

/// Longest text that `changes.detail` takes, in bytes.
const DETAIL_MAX_BYTES: usize = 16_384;

/// Number of the entry of [`commit_mapping`] that a loser fails at.
pub(crate) const ADVANCED_ENTRY: usize = 3;

/// The event's table with as many of the columns as fit one statement, and those that do not.
pub(crate) fn create_table<'c>(names: &Names, event: &EventName, columns: &[&'c Column]) -> (String, Vec<&'c Column>) {
    let [source, line, loaded_at] = SYSTEM_COLUMNS.map(system_column);
    let mut sql = format!("CREATE TABLE IF NOT EXISTS {} ({source}, {line}, {loaded_at}", names.event_table(event));
    let tail = format!(") SORTKEY ({})", identifier("_loaded_at"));
    let mut left = Vec::new();
    for column in columns {
        let definition = format!(", {}", definition(column));
        if left.is_empty() && sql.len() + definition.len() + tail.len() <= STATEMENT_MAX_BYTES {
            sql.push_str(&definition);
        } else {
            left.push(*column);
        }
    }
    (sql + &tail, left)
}

/// Redshift adds one column per statement (database developer guide, `r_ALTER_TABLE`).
pub(crate) fn add_column(names: &Names, event: &EventName, column: &Column) -> String {
    format!("ALTER TABLE {} ADD COLUMN {}", names.event_table(event), definition(column))
}

/// For a table that a person made: it lacks ours.
pub(crate) fn add_system_column(names: &Names, event: &EventName, name: &'static str) -> String {
    format!("ALTER TABLE {} ADD COLUMN {}", names.event_table(event), system_column(name))
}

/// Cannot run inside a transaction (database developer guide, `r_ALTER_TABLE`).
pub(crate) fn widen_column(names: &Names, event: &EventName, column: &Column) -> String {
    format!(
        "ALTER TABLE {} ALTER COLUMN {} TYPE {}",
        names.event_table(event),
        identifier(&column.name),
        column_type(column)
    )
}

fn system_column(name: &'static str) -> String {
    format!("{} {}", identifier(name), system_type(name))
}

/// As Redshift spells a system column's type, with its default.
pub(crate) fn system_type(name: &str) -> &'static str {
    match name {
        "_source" => "VARCHAR(32)",
        "_line" => "BIGINT",
        _ => "TIMESTAMP DEFAULT SYSDATE",
    }
}

fn definition(column: &Column) -> String {
    format!("{} {}", identifier(&column.name), column_type(column))
}

/// As Redshift spells a column's type.
pub(crate) fn column_type(column: &Column) -> String {
    match column.kind {
        Kind::Boolean => "BOOLEAN".to_owned(),
        Kind::Bigint => "BIGINT".to_owned(),
        Kind::Double => "DOUBLE PRECISION".to_owned(),
        // The text of a number may be as long as any.
        Kind::Number => "VARCHAR(65535)".to_owned(),
        Kind::Timestamp => "TIMESTAMPTZ".to_owned(),
        Kind::Varchar => format!("VARCHAR({})", column.size),
        Kind::Super => "SUPER".to_owned(),
        Kind::Smallint => "SMALLINT".to_owned(),
        Kind::Integer => "INTEGER".to_owned(),
        Kind::Decimal { precision, scale } => format!("DECIMAL({precision}, {scale})"),
        Kind::Date => "DATE".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::name::PATH_MAX_BYTES;
    use crate::mapping::tests::{column, variant};
    use crate::sql::tests::names;

    #[test]
    fn a_mapping_is_committed_by_compare_and_set() {
        let rows = [column("user.id", "user_id", Kind::Varchar), variant("a", "a", "a__super", Kind::Super)];
        let changes = [Change { what: "new column", detail: "user_id VARCHAR(256)".into() }];
        let event = EventName::of_type("x");
        let statements = commit_mapping(&names(), &event, 7, "m-1", &rows, &changes);
        assert_eq!(
            statements,
            [
                r#"LOCK "log_router"."gate_x""#,
                r#"UPDATE "log_router"."gate_x" SET "version" = 8, "holder" = 'm-1' WHERE "version" = 7"#,
                r#"SELECT CAST(CASE WHEN COUNT(*) = 1 THEN '1' ELSE 'gate rows: ' || COUNT(*) END AS INTEGER) FROM "log_router"."gate_x" WHERE "holder" = 'm-1'"#,
                r#"INSERT INTO "log_router"."columns" ("event", "path", "column_name", "kind", "size", "variant_of", "version") VALUES ('x', '["user","id"]', 'user_id', 'varchar', 256, NULL, 8), ('x', '["a"]', 'a__super', 'super', NULL, 'a', 8)"#,
                r#"INSERT INTO "log_router"."changes" ("event", "change", "detail", "batch") VALUES ('x', 'new column', 'user_id VARCHAR(256)', 'm-1')"#,
            ]
        );
        assert!(statements[ADVANCED_ENTRY - 1].starts_with("SELECT CAST"));
    }

    #[test]
    fn the_widest_table_is_committed_in_one_batch() {
        let column = |n: usize| Column {
            path: vec![format!("{n:04}{}", "k".repeat(PATH_MAX_BYTES - 8))],
            ..column("a", &format!("{n:04}{}", "n".repeat(123)), Kind::Timestamp)
        };
        let rows: Vec<Column> = (0..1_600).map(column).collect();
        let detail = |row: &Column| format!("{} {}", row.name, column_type(row));
        let changes: Vec<Change> = rows.iter().map(|row| Change { what: "new column", detail: detail(row) }).collect();
        let event = EventName::of_type(&"e".repeat(127));
        let statements = commit_mapping(&names(), &event, 0, "schema-1", &rows, &changes);
        assert!(statements.len() <= crate::sql::BATCH_MAX_ENTRIES, "{} statements", statements.len());
    }

    #[test]
    fn a_new_table_starts_with_the_system_columns() {
        let columns = [column("a", "a", Kind::Bigint), column("t", "t", Kind::Timestamp)];
        let (sql, left) = create_table(&names(), &EventName::of_type("x"), &columns.each_ref());
        assert_eq!(
            sql,
            r#"CREATE TABLE IF NOT EXISTS "events"."x" ("_source" VARCHAR(32), "_line" BIGINT, "_loaded_at" TIMESTAMP DEFAULT SYSDATE, "a" BIGINT, "t" TIMESTAMPTZ) SORTKEY ("_loaded_at")"#
        );
        assert!(left.is_empty());
    }

    #[test]
    fn columns_beyond_one_statement_are_added_one_by_one() {
        let columns: Vec<_> =
            (0..1_500).map(|n| column("a", &format!("{}{n}", "x".repeat(100)), Kind::Number)).collect();
        let (sql, left) = create_table(&names(), &EventName::of_type("x"), &columns.iter().collect::<Vec<_>>());
        assert!(sql.len() <= STATEMENT_MAX_BYTES);
        assert_eq!(sql.matches("VARCHAR(65535)").count() + left.len(), 1_500);
        assert!(!left.is_empty());
        assert_eq!(
            add_column(&names(), &EventName::of_type("x"), &column("a", "a", Kind::Double)),
            r#"ALTER TABLE "events"."x" ADD COLUMN "a" DOUBLE PRECISION"#
        );
        assert_eq!(
            widen_column(&names(), &EventName::of_type("x"), &column("a", "a", Kind::Varchar)),
            r#"ALTER TABLE "events"."x" ALTER COLUMN "a" TYPE VARCHAR(256)"#
        );
    }
}
