//! Statements for those who read: GRANTs, and the view of the newest rows.

use super::{Names, identifier, ledger_name, literal, qualified};
use crate::mapping::Column;
use crate::mapping::kind::Kind;
use common::event_name::EventName;
use common::settings::Grantee;

/// Tables and views of the bookkeeping schema that people read. Never a gate or a ledger: a reader's lock on a gate
/// would hold up loads.
pub(crate) const READABLE: [&str; 7] =
    ["loads", "tables", "columns", "changes", "failed", super::sweep::COMPLETE.0, super::sweep::COMPLETE_VIEW];

/// As GRANT takes it (database developer guide, `r_GRANT`).
fn grantee(to: &Grantee) -> String {
    match to {
        Grantee::Role(name) => format!("ROLE {}", identifier(name)),
        Grantee::Group(name) => format!("GROUP {}", identifier(name)),
        Grantee::User(name) => identifier(name),
        Grantee::Public => "PUBLIC".to_owned(),
    }
}

pub(crate) fn grant_usage(schema: &str, to: &Grantee) -> String {
    format!("GRANT USAGE ON SCHEMA {} TO {}", identifier(schema), grantee(to))
}

/// All of them or none.
pub(crate) fn grant_select(schema: &str, relations: &[String], to: &Grantee) -> String {
    let relations: Vec<String> = relations.iter().map(|relation| qualified(schema, relation)).collect();
    format!("GRANT SELECT ON {} TO {}", relations.join(", "), grantee(to))
}

/// Relations of one GRANT: with the longest names of all it is still within a statement's length.
pub(crate) const GRANT_MAX: usize = 150;

/// Who may use which of the two schemas: schema, kind and name of whoever may. What a loader may not see is not listed
/// (database developer guide, `SVV_SCHEMA_PRIVILEGES`).
pub(crate) fn schema_grants(names: &Names) -> String {
    format!(
        "SELECT \"namespace_name\", \"identity_type\", \"identity_name\" FROM svv_schema_privileges \
         WHERE \"privilege_type\" = 'USAGE' AND \"namespace_name\" IN ({}, {})",
        literal(&names.schema),
        literal(&names.bookkeeping)
    )
}

/// Who may read what in the two schemas; of one relation, if one is named (database developer guide,
/// `SVV_RELATION_PRIVILEGES`).
pub(crate) fn relation_grants(names: &Names, relation: Option<&str>) -> String {
    let one = relation.map(|name| format!(" AND \"relation_name\" = {}", literal(name))).unwrap_or_default();
    format!(
        "SELECT \"namespace_name\", \"relation_name\", \"identity_type\", \"identity_name\" FROM svv_relation_privileges \
         WHERE \"privilege_type\" = 'SELECT' AND \"namespace_name\" IN ({}, {}){one}",
        literal(&names.schema),
        literal(&names.bookkeeping)
    )
}

/// The relations of both schemas, and whether each is a table or a view.
pub(crate) fn relations(names: &Names) -> String {
    format!(
        "SELECT \"table_schema\", \"table_name\", \"table_type\" FROM svv_tables WHERE \"table_schema\" IN ({}, {})",
        literal(&names.schema),
        literal(&names.bookkeeping)
    )
}

/// What an event's relation of this name is, if there is one.
pub(crate) fn kind_of_relation(names: &Names, name: &str) -> String {
    format!(
        "SELECT \"table_type\" FROM svv_tables WHERE \"table_schema\" = {} AND \"table_name\" = {}",
        literal(&names.schema),
        literal(name)
    )
}

/// The name of the view of an event's newest rows.
pub(crate) fn latest_name(event: &EventName) -> String {
    format!("{event}_latest")
}

/// Numbers the rows of one key from the newest. No column of a record is called so: its names never start with `_`.
const NEWNESS: &str = "_newness";

/// The view of the newest row per key: by version, else by the source's time; of one source the later line.
///
/// Late binding, because a bound view would keep columns from growing ("cannot alter type of a column used by a view"),
/// and because its `*` then follows the table: a view cannot be replaced by one with other columns (database
/// developer guide, `r_CREATE_VIEW`). Who reads it needs no right on the ledger: the view's owner has it.
pub(crate) fn create_latest(names: &Names, event: &EventName, keys: &[&Column], versions: &[&Column]) -> String {
    let view = qualified(&names.schema, &latest_name(event));
    let of_table = |column: &Column| format!("t.{}", identifier(&column.name));
    let newest = |sql: String| format!("{sql} DESC NULLS LAST");
    let partition: Vec<String> = keys.iter().map(|column| comparable(column, of_table(column))).collect();
    let own = versions.iter().map(|column| newest(ordered(column, of_table(column))));
    let by_source = ["s.\"source_time\"", "t.\"_source\"", "t.\"_line\"", "t.\"_loaded_at\""];
    let order: Vec<String> = own.chain(by_source.map(|sql| newest(sql.to_owned()))).collect();
    let has_key: Vec<String> = keys.iter().map(|column| format!("{} IS NOT NULL", of_table(column))).collect();
    let newness = identifier(NEWNESS);
    format!(
        "CREATE OR REPLACE VIEW {view} AS SELECT * EXCLUDE ({newness}) FROM (SELECT t.*, ROW_NUMBER() OVER \
         (PARTITION BY {} ORDER BY {}) AS {newness} FROM {} AS t LEFT JOIN (SELECT \"source_id\", \
         MAX(\"source_time\") AS \"source_time\" FROM {} GROUP BY \"source_id\") AS s ON s.\"source_id\" = t.\"_source\" \
         WHERE {}) AS n WHERE {newness} = 1 WITH NO SCHEMA BINDING",
        partition.join(", "),
        order.join(", "),
        names.event_table(event),
        qualified(&names.bookkeeping, &ledger_name(event)),
        has_key.join(" OR ")
    )
}

/// SUPER values are told apart by their text.
fn comparable(column: &Column, sql: String) -> String {
    match column.kind {
        Kind::Super => format!("JSON_SERIALIZE({sql})"),
        _ => sql,
    }
}

/// Numbers that are kept as text are ordered by length first, as whole numbers are; other text as text.
fn ordered(column: &Column, sql: String) -> String {
    match column.kind {
        Kind::Number => format!("LEN(SPLIT_PART({sql}, '.', 1)) DESC NULLS LAST, {sql}"),
        _ => comparable(column, sql),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::tests::{column, variant};
    use crate::sql::tests::names;

    #[test]
    fn grants_name_roles_groups_and_users_as_redshift_does() {
        let select = |to| grant_select("events", &["order".into()], &to);
        assert_eq!(
            select(Grantee::Role("data \"x\"".into())),
            r#"GRANT SELECT ON "events"."order" TO ROLE "data ""x""""#
        );
        assert_eq!(select(Grantee::Group("bi".into())), r#"GRANT SELECT ON "events"."order" TO GROUP "bi""#);
        assert_eq!(select(Grantee::User("jane".into())), r#"GRANT SELECT ON "events"."order" TO "jane""#);
        let longest = vec!["\"".repeat(127); GRANT_MAX];
        assert!(grant_select(&"e".repeat(127), &longest, &Grantee::Public).len() < crate::sql::STATEMENT_MAX_BYTES);
        assert!(grant_select("e", &["a".into(), "b".into()], &Grantee::Public).contains(r#" ON "e"."a", "e"."b" TO "#));
        assert_eq!(grant_usage("events", &Grantee::Public), r#"GRANT USAGE ON SCHEMA "events" TO PUBLIC"#);
    }

    #[test]
    fn the_newest_row_is_found_by_version_then_by_where_it_came_from() {
        let (id, odd) = (column("id", "id", Kind::Bigint), variant("id", "id", "id__varchar", Kind::Varchar));
        let at = column("at", "at", Kind::Timestamp);
        assert_eq!(
            create_latest(&names(), &EventName::of_type("x"), &[&id, &odd], &[&at]),
            r#"CREATE OR REPLACE VIEW "events"."x_latest" AS SELECT * EXCLUDE ("_newness") FROM (SELECT t.*, ROW_NUMBER() OVER (PARTITION BY t."id", t."id__varchar" ORDER BY t."at" DESC NULLS LAST, s."source_time" DESC NULLS LAST, t."_source" DESC NULLS LAST, t."_line" DESC NULLS LAST, t."_loaded_at" DESC NULLS LAST) AS "_newness" FROM "events"."x" AS t LEFT JOIN (SELECT "source_id", MAX("source_time") AS "source_time" FROM "log_router"."ledger_x" GROUP BY "source_id") AS s ON s."source_id" = t."_source" WHERE t."id" IS NOT NULL OR t."id__varchar" IS NOT NULL) AS n WHERE "_newness" = 1 WITH NO SCHEMA BINDING"#
        );
    }

    #[test]
    fn text_of_any_json_and_of_numbers_is_compared_as_what_it_is() {
        let any = column("a", "a", Kind::Super);
        let number = column("n", "n", Kind::Number);
        let sql = create_latest(&names(), &EventName::of_type("x"), &[&any], &[&number]);
        assert!(
            sql.contains(r#"PARTITION BY JSON_SERIALIZE(t."a") ORDER BY LEN(SPLIT_PART(t."n", '.', 1)) DESC"#),
            "{sql}"
        );
    }
}
