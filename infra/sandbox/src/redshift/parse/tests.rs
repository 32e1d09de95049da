//! One statement per form: read, or refused with Redshift's words.

use super::*;

fn error(sql: &str) -> String {
    parse(sql).unwrap_err().to_string()
}

#[test]
fn names_are_folded_even_when_quoted() {
    let Statement::Lock(names) = parse("LOCK \"Log_Router\".\"GATE\", b;").unwrap() else { panic!() };
    assert_eq!(names[0], RelationName { schema: Some("log_router".into()), name: "gate".into() });
    assert_eq!(names[1], RelationName { schema: None, name: "b".into() });
    let long = fold(&"ä".repeat(100));
    assert_eq!(long.len(), 126);
}

#[test]
fn a_table_is_read_with_all_its_attributes() {
    let sql = "CREATE TABLE IF NOT EXISTS \"events\".\"page_view\" (\"_source\" VARCHAR(32) ENCODE zstd NOT NULL, \
               amount DECIMAL(10,2) DEFAULT 1.5 ENCODE az64, at TIMESTAMPTZ DEFAULT getdate() NOT NULL, payload SUPER, \
               wide CHARACTER VARYING(MAX), \"_loaded_at\" TIMESTAMP DEFAULT SYSDATE, PRIMARY KEY (\"_source\")) \
               DISTSTYLE EVEN COMPOUND SORTKEY (\"_loaded_at\")";
    let Statement::CreateTable(table) = parse(sql).unwrap() else { panic!() };
    assert!(table.if_not_exists);
    assert_eq!(table.sort_key, ["_loaded_at"]);
    let types: Vec<_> = table.columns.iter().map(|column| column.ty.full_name()).collect();
    assert_eq!(
        types,
        [
            "character varying(32)",
            "numeric(10,2)",
            "timestamp with time zone",
            "super",
            "character varying(65535)",
            "timestamp without time zone"
        ]
    );
    let defaults: Vec<_> = table.columns.iter().map(|column| column.default.as_deref()).collect();
    assert_eq!(defaults, [None, Some("1.5"), Some("getdate()"), None, None, Some("SYSDATE")]);
    assert!(table.columns[0].not_null && table.columns[2].not_null && !table.columns[1].not_null);
}

#[test]
fn copy_options_come_in_any_order() {
    let sql = "COPY \"events\".\"x\" (\"a\", \"b\") FROM 's3://b/m' MANIFEST MAXERROR 5 FORMAT AS JSON 's3://b/p' \
               IAM_ROLE default GZIP TIMEFORMAT 'auto' COMPUPDATE OFF STATUPDATE OFF NOLOAD REGION 'us-east-1'";
    let Statement::Copy(copy) = parse(sql).unwrap() else { panic!() };
    assert_eq!(copy.columns, Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(copy.format, CopyFormat::Paths("s3://b/p".into()));
    assert_eq!(copy.time_format, TimeFormat::Auto);
    assert!(copy.manifest && copy.no_load);
    assert_eq!(copy.compression, Some(Compression::Gzip));
    assert_eq!(copy.max_error, 5);
}

#[test]
fn copy_refuses_what_it_does_not_do() {
    let with = |options: &str| error(&format!("COPY t FROM 's3://b/k' IAM_ROLE default {options}"));
    assert!(with("JSON 'auto' LZOP").contains("does not support COPY … LZOP; write the files with gzip"));
    assert_eq!(with("GZIP JSON 'auto' ZSTD"), "conflicting or redundant options");
    assert!(with("CSV").contains("does not support FORMAT CSV"));
    assert!(with("JSON 'auto' DELIMITER ','").contains("DELIMITER is not supported with JSON"));
    assert!(with("JSON 'auto' TIMEFORMAT 'AUTO'").contains("TIMEFORMAT 'AUTO'"));
    assert!(with("JSON 'auto' NONSENSE").contains("syntax error at or near \"NONSENSE\""));
    assert!(with("").contains("delimited text"));
    assert!(error("COPY t FROM 's3://b/k' JSON 'auto'").contains("IAM_ROLE"));
}

#[test]
fn a_second_column_in_one_alter_is_a_syntax_error() {
    let message = error("ALTER TABLE t ADD COLUMN a INT, ADD COLUMN b INT");
    assert!(message.starts_with("syntax error at or near \",\""), "{message}");
    assert!(error("ALTER TABLE t ADD COLUMN IF NOT EXISTS a INT").starts_with("syntax error at or near"));
    assert!(error("ALTER TABLE t ALTER COLUMN a TYPE BIGINT").contains("only supported for varchar"));
}

#[test]
fn errors_say_where() {
    assert_eq!(error("SELECT 1 FROM t WHERE )"), "syntax error at or near \")\"\n  Position: 23");
    assert_eq!(error("CREATE TABLE tag (a INT)"), "syntax error at or near \"tag\"\n  Position: 14");
    assert_eq!(error("SELEC 1"), "syntax error at or near \"SELEC\"\n  Position: 1");
    assert_eq!(error("INSERT INTO t"), "syntax error at end of input");
    assert_eq!(error("SELECT 1; SELECT 2"), "cannot insert multiple commands into a prepared statement");
    assert!(error("BEGIN").contains("BatchExecuteStatement"));
    assert_eq!(error(" ; "), "the statement is empty");
}

#[test]
fn a_view_keeps_its_query_as_written() {
    let sql = "CREATE OR REPLACE VIEW \"log_router\".\"tables\" AS SELECT 'WITH' AS a WITH NO SCHEMA BINDING";
    let Statement::CreateView { query, late_binding, or_replace, .. } = parse(sql).unwrap() else { panic!() };
    assert_eq!(query, "SELECT 'WITH' AS a");
    assert!(late_binding && or_replace);
}

#[test]
fn grants_name_users_roles_and_groups() {
    let sql = "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA events TO ROLE \"analyst\", GROUP g, bob, PUBLIC";
    let Statement::Grant(grant) = parse(sql).unwrap() else { panic!() };
    assert_eq!(grant.grantees, ["role analyst", "group g", "bob", "public"]);
    assert_eq!(grant.on, GrantTarget::AllTablesIn(vec!["events".into()]));
    assert!(error("GRANT SELECT ON t TO ROLE").starts_with("syntax error"));
    assert!(error("GRANT FLY ON t TO bob").contains("privilege FLY"));
}
