//! Views of the system itself: `svv_columns`, `svv_tables`, `information_schema`, `pg_table_def`, the load views. Each
//! is a query over the catalog's own tables.

use super::literal::text_literal;
use super::{Facts, OutputColumn, Rows};
use crate::redshift::sql_type::SqlType::{self, BigInt, Boolean, Char, Integer, SmallInt, Timestamp, Varchar};

pub(super) fn system_relation(schema: Option<&str>, name: &str, facts: &Facts) -> Option<Rows> {
    let in_schema = |wanted: &str| schema == Some(wanted);
    let anywhere = matches!(schema, None | Some("pg_catalog"));
    match name {
        "columns" if in_schema("information_schema") => Some(columns(facts)),
        "svv_columns" if anywhere => Some(columns(facts)),
        "tables" if in_schema("information_schema") => Some(tables(facts)),
        "svv_tables" if anywhere => Some(tables(facts)),
        "schemata" if in_schema("information_schema") => Some(schemata(facts)),
        "svv_all_schemas" | "svv_redshift_schemas" if anywhere => Some(schemata(facts)),
        "pg_table_def" if anywhere => Some(table_definitions(facts)),
        "svv_relation_privileges" if anywhere => Some(relation_privileges()),
        "svv_schema_privileges" if anywhere => Some(schema_privileges()),
        "sys_load_error_detail" if anywhere => Some(load_errors()),
        "sys_load_history" if anywhere => Some(load_history()),
        _ => None,
    }
}

/// Pairs of column and type in the order of the query's select list.
fn rows(columns: &[(&str, SqlType)], list: &str, rest: &str) -> Rows {
    let list: Vec<&str> = list.split('\n').map(str::trim).filter(|entry| !entry.is_empty()).collect();
    debug_assert_eq!(list.len(), columns.len());
    let named: Vec<String> = list.iter().enumerate().map(|(i, entry)| format!("{entry} AS c{}", i + 1)).collect();
    let columns = columns.iter().enumerate().map(|(i, (name, ty))| OutputColumn {
        name: (*name).to_owned(),
        sql_name: format!("c{}", i + 1),
        ty: *ty,
    });
    Rows { sql: format!("SELECT {} FROM {rest}", named.join(", ")), columns: columns.collect() }
}

fn columns(facts: &Facts) -> Rows {
    rows(
        &[
            ("table_catalog", Varchar(128)),
            ("table_schema", Varchar(128)),
            ("table_name", Varchar(128)),
            ("column_name", Varchar(128)),
            ("ordinal_position", Integer),
            ("column_default", Varchar(4000)),
            ("is_nullable", Varchar(3)),
            ("data_type", Varchar(128)),
            ("character_maximum_length", Integer),
            ("numeric_precision", Integer),
            ("numeric_precision_radix", Integer),
            ("numeric_scale", Integer),
            ("datetime_precision", Integer),
            ("remarks", Varchar(256)),
        ],
        &format!(
            "{}
             r.schema
             r.name
             k.name
             row_number() OVER (PARTITION BY r.id ORDER BY k.ordinal)
             k.default_text
             CASE k.not_null WHEN 1 THEN 'NO' ELSE 'YES' END
             k.data_type
             k.length
             k.precision
             CASE WHEN k.precision IS NULL THEN NULL WHEN k.data_type = 'numeric' THEN 10 ELSE 2 END
             k.scale
             CASE WHEN k.data_type LIKE 'timestamp%' THEN 6 END
             k.comment",
            text_literal(&facts.database)
        ),
        "_columns AS k JOIN _relations AS r ON r.id = k.relation_id",
    )
}

fn tables(facts: &Facts) -> Rows {
    rows(
        &[
            ("table_catalog", Varchar(128)),
            ("table_schema", Varchar(128)),
            ("table_name", Varchar(128)),
            ("table_type", Varchar(128)),
            ("remarks", Varchar(256)),
        ],
        &format!(
            "{}
             r.schema
             r.name
             CASE WHEN r.view_query IS NULL THEN 'BASE TABLE' ELSE 'VIEW' END
             r.comment",
            text_literal(&facts.database)
        ),
        "_relations AS r",
    )
}

fn schemata(facts: &Facts) -> Rows {
    rows(
        &[
            ("catalog_name", Varchar(128)),
            ("database_name", Varchar(128)),
            ("schema_name", Varchar(128)),
            ("schema_owner", Varchar(128)),
        ],
        &format!("{0}\n{0}\ns.name\n{1}", text_literal(&facts.database), text_literal(&facts.user)),
        "_schemas AS s",
    )
}

/// Only schemas on the search path, as on Redshift (Developer Guide: `r_PG_TABLE_DEF`).
fn table_definitions(facts: &Facts) -> Rows {
    let path: Vec<String> = facts.search_path.iter().map(|schema| text_literal(schema)).collect();
    rows(
        &[
            ("schemaname", Varchar(128)),
            ("tablename", Varchar(128)),
            ("column", Varchar(128)),
            ("type", Varchar(128)),
            ("encoding", Varchar(32)),
            ("distkey", Boolean),
            ("sortkey", Integer),
            ("notnull", Boolean),
        ],
        "r.schema
         r.name
         k.name
         k.full_type
         coalesce(k.encoding, 'none')
         0
         k.sort_key
         k.not_null",
        &format!(
            "_columns AS k JOIN _relations AS r ON r.id = k.relation_id AND r.view_query IS NULL \
             WHERE r.schema IN ({})",
            path.join(", ")
        ),
    )
}

/// Developer Guide: `SVV_RELATION_PRIVILEGES`.
fn relation_privileges() -> Rows {
    rows(
        &[
            ("namespace_name", Varchar(128)),
            ("relation_name", Varchar(128)),
            ("privilege_type", Varchar(128)),
            ("identity_name", Varchar(256)),
            ("identity_type", Varchar(16)),
            ("admin_option", Boolean),
        ],
        &format!("g.schema\ng.name\nupper(g.privilege)\n{IDENTITY}\n0"),
        "_grants AS g WHERE g.kind = 'relation'",
    )
}

/// Developer Guide: `SVV_SCHEMA_PRIVILEGES`.
fn schema_privileges() -> Rows {
    rows(
        &[
            ("namespace_name", Varchar(128)),
            ("privilege_type", Varchar(128)),
            ("identity_name", Varchar(256)),
            ("identity_type", Varchar(16)),
            ("admin_option", Boolean),
        ],
        &format!("g.name\nupper(g.privilege)\n{IDENTITY}\n0"),
        "_grants AS g WHERE g.kind = 'schema'",
    )
}

/// Name and type of a grantee, which is kept as GRANT spells it.
const IDENTITY: &str = "CASE WHEN g.grantee LIKE 'role %' THEN substr(g.grantee, 6) WHEN g.grantee LIKE 'group %' THEN substr(g.grantee, 7) ELSE g.grantee END
CASE WHEN g.grantee LIKE 'role %' THEN 'role' WHEN g.grantee LIKE 'group %' THEN 'group' WHEN g.grantee = 'public' THEN 'public' ELSE 'user' END";

/// Developer Guide: `SYS_LOAD_ERROR_DETAIL`; CHAR columns come back blank-padded, as there.
fn load_errors() -> Rows {
    rows(
        &[
            ("user_id", Integer),
            ("query_id", BigInt),
            ("transaction_id", BigInt),
            ("session_id", Integer),
            ("database_name", Char(64)),
            ("table_id", Integer),
            ("start_time", Timestamp),
            ("file_name", Char(256)),
            ("line_number", BigInt),
            ("column_name", Char(127)),
            ("column_type", Char(10)),
            ("column_length", Char(10)),
            ("position", Integer),
            ("error_code", Integer),
            ("error_message", Char(512)),
        ],
        "100
         e.query_id
         e.transaction_id
         e.session_id
         e.database_name
         e.table_id
         e.start_time
         e.file_name
         e.line_number
         e.column_name
         e.column_type
         e.column_length
         e.position
         e.error_code
         e.error_message",
        "_load_errors AS e",
    )
}

/// Developer Guide: `SYS_LOAD_HISTORY`.
fn load_history() -> Rows {
    rows(
        &[
            ("user_id", Integer),
            ("query_id", BigInt),
            ("transaction_id", BigInt),
            ("session_id", Integer),
            ("database_name", Varchar(128)),
            ("status", Varchar(16)),
            ("table_name", Varchar(128)),
            ("start_time", Timestamp),
            ("end_time", Timestamp),
            ("duration", BigInt),
            ("data_source", Varchar(1024)),
            ("file_format", Varchar(16)),
            ("loaded_rows", BigInt),
            ("loaded_bytes", BigInt),
            ("source_file_count", Integer),
            ("source_file_bytes", BigInt),
            ("file_count_scanned", Integer),
            ("file_bytes_scanned", BigInt),
            ("error_count", BigInt),
            ("copy_job_id", SmallInt),
        ],
        "100
         h.query_id
         h.transaction_id
         h.session_id
         h.database_name
         h.status
         h.table_name
         h.start_time
         h.end_time
         h.end_time - h.start_time
         h.data_source
         'json'
         h.loaded_rows
         h.loaded_bytes
         h.file_count
         h.file_bytes
         h.file_count
         h.file_bytes
         h.error_count
         NULL",
        "_load_history AS h",
    )
}
