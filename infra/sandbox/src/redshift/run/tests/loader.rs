//! The very statements the loader sends, in its order.

use crate::redshift::run::Grouping;
use crate::redshift::test_bench::Bench;

const LEDGER: &str = "CREATE TABLE \"log_router\".\"ledger_page_view\" (\"source_id\" VARCHAR(32) NOT NULL, \
    \"generation\" INTEGER NOT NULL, \"parts\" INTEGER NOT NULL, \"rows_loaded\" BIGINT NOT NULL, \"rows_rejected\" \
    BIGINT NOT NULL, \"quarantine_key\" VARCHAR(1024), \"batch\" VARCHAR(64) NOT NULL, \"source_time\" TIMESTAMP NOT \
    NULL, \"loaded_at\" TIMESTAMP DEFAULT SYSDATE) SORTKEY (\"source_id\")";

fn bench() -> Bench {
    let bench = Bench::new();
    for sql in [
        "CREATE SCHEMA IF NOT EXISTS \"log_router\"",
        "CREATE SCHEMA IF NOT EXISTS \"log_router\"",
        "CREATE SCHEMA \"events\"",
        "CREATE TABLE \"events\".\"page_view\" (\"_source\" VARCHAR(32), \"_line\" BIGINT, \"_loaded_at\" TIMESTAMP \
         DEFAULT SYSDATE) SORTKEY (\"_loaded_at\")",
        "ALTER TABLE \"events\".\"page_view\" ADD COLUMN \"user_id\" BIGINT",
    ] {
        bench.ok(sql);
    }
    let gate = "CREATE TABLE \"log_router\".\"gate_page_view\" (\"holder\" VARCHAR(256) NOT NULL, \"version\" BIGINT NOT NULL)";
    bench.batch(&[gate, LEDGER, "INSERT INTO \"log_router\".\"gate_page_view\" VALUES ('', 0)"]).unwrap();
    bench.objects.put("paths", r#"{"jsonpaths":["$['_lr']['s']","$['_lr']['l']","$['user']['id']"]}"#);
    bench.objects.put(
        "part-1",
        "{\"_lr\":{\"s\":\"s1\",\"l\":1},\"user\":{\"id\":5}}\n{\"_lr\":{\"s\":\"s1\",\"l\":2},\"user\":{}}\n",
    );
    bench.objects.put("manifest", r#"{"entries":[{"url":"s3://b/part-1","mandatory":true}]}"#);
    bench
}

fn load(batch: &str, expected: i64) -> Vec<String> {
    vec![
        "LOCK \"log_router\".\"gate_page_view\"".into(),
        "SET statement_timeout TO 3600000".into(),
        format!("UPDATE \"log_router\".\"gate_page_view\" SET \"holder\" = '{batch}'"),
        format!(
            "SELECT CAST(CASE WHEN COUNT(*) = 1 THEN '1' ELSE 'gate rows: ' || COUNT(*) END AS INTEGER) FROM \
             \"log_router\".\"gate_page_view\" WHERE \"holder\" = '{batch}'"
        ),
        "SELECT CAST('a' || MIN(\"source_id\") AS INTEGER) FROM \"log_router\".\"ledger_page_view\" WHERE \
         (\"source_id\" = 's1' AND \"generation\" >= 0) OR (\"source_id\" = 's2' AND \"generation\" >= 0)"
            .into(),
        "COPY \"events\".\"page_view\" (\"_source\", \"_line\", \"user_id\") FROM 's3://b/manifest' IAM_ROLE default \
         FORMAT JSON 's3://b/paths' TIMEFORMAT 'auto' MANIFEST COMPUPDATE OFF STATUPDATE OFF"
            .into(),
        format!(
            "SELECT CAST(CASE WHEN pg_last_copy_count() = {expected} THEN '1' ELSE 'copied ' || pg_last_copy_count() || \
             ' of {expected}' END AS INTEGER)"
        ),
        format!(
            "INSERT INTO \"log_router\".\"ledger_page_view\" (\"source_id\", \"generation\", \"parts\", \"rows_loaded\", \
             \"rows_rejected\", \"quarantine_key\", \"batch\", \"source_time\") VALUES ('s1', 0, 1, 2, 0, NULL, \
             '{batch}', '2026-11-21 10:00:00'), ('s2', 0, 0, 0, 0, NULL, '{batch}', '2026-11-21T10:00:00Z')"
        ),
    ]
}

fn send(bench: &Bench, statements: &[String]) -> Result<Vec<i64>, (usize, String)> {
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    let outcomes = bench.batch(&statements).map_err(|(index, error)| (index, error.to_string()))?;
    Ok(outcomes.iter().map(|outcome| outcome.rows).collect())
}

#[test]
fn a_load_transaction_commits_and_its_repetition_fails_at_the_guard() {
    let bench = bench();
    assert_eq!(send(&bench, &load("b-1", 2)), Ok(vec![0, 0, 1, 1, 1, 2, 1, 2]));
    assert_eq!(
        bench.rows("SELECT _source, _line, user_id, _loaded_at IS NOT NULL FROM events.page_view ORDER BY _line"),
        ["s1|1|5|true", "s1|2|NULL|true"]
    );
    let (index, message) = send(&bench, &load("b-2", 2)).unwrap_err();
    assert_eq!((index, message.as_str()), (4, "Invalid digit, Value 'a', Pos 0, Type: Integer"));
    assert_eq!(bench.row("SELECT holder FROM log_router.gate_page_view"), "b-1");
    assert_eq!(bench.row("SELECT COUNT(*) FROM (SELECT DISTINCT _source, _line FROM events.page_view) t"), "2");
}

#[test]
fn a_wrong_count_undoes_the_whole_load() {
    let bench = bench();
    let (index, message) = send(&bench, &load("b-1", 3)).unwrap_err();
    assert_eq!((index, message.as_str()), (6, "invalid input syntax for integer: \"copied 2 of 3\""));
    assert_eq!(bench.row("SELECT COUNT(*) FROM events.page_view"), "0");
    assert_eq!(bench.row("SELECT COUNT(*) FROM log_router.ledger_page_view"), "0");
}

#[test]
fn an_empty_gate_does_not_let_a_load_pass() {
    let bench = bench();
    bench.ok("DELETE FROM log_router.gate_page_view");
    let (index, message) = send(&bench, &load("b-1", 2)).unwrap_err();
    assert_eq!((index, message.as_str()), (3, "Invalid digit, Value 'g', Pos 0, Type: Integer"));
}

#[test]
fn a_replace_deletes_the_rows_of_its_sources() {
    let bench = bench();
    send(&bench, &load("b-1", 2)).unwrap();
    let deleted = bench.ok("DELETE FROM \"events\".\"page_view\" WHERE \"_source\" IN (SELECT \"source_id\" FROM \
         \"log_router\".\"ledger_page_view\" WHERE \"batch\" = 'b-1')");
    assert_eq!(deleted, 2);
}

#[test]
fn the_columns_of_a_table_are_seen_with_redshift_names() {
    let bench = bench();
    let sql = "SELECT column_name, data_type, character_maximum_length, is_nullable, column_default FROM svv_columns \
               WHERE table_schema = 'events' AND table_name = 'page_view' ORDER BY ordinal_position";
    assert_eq!(
        bench.rows(sql),
        [
            "_source|character varying|32|YES|NULL",
            "_line|bigint|NULL|YES|NULL",
            "_loaded_at|timestamp without time zone|NULL|YES|SYSDATE",
            "user_id|bigint|NULL|YES|NULL"
        ]
    );
}

#[test]
fn the_tables_view_groups_and_can_be_replaced() {
    let bench = bench();
    send(&bench, &load("b-1", 2)).unwrap();
    let view = "CREATE OR REPLACE VIEW \"log_router\".\"tables\" AS SELECT 'page_view' AS event, \
                MIN(\"loaded_at\") AS first_seen, SUM(\"rows_loaded\") AS rows, MAX(\"loaded_at\") AS last_load FROM \
                \"log_router\".\"ledger_page_view\" GROUP BY 1";
    bench.ok(view);
    bench.ok(view);
    assert_eq!(bench.row("SELECT event, rows FROM log_router.tables"), "page_view|2");
}

#[test]
fn a_guard_over_a_thousand_sources_is_no_deeper_than_the_engine_allows() {
    let bench = bench();
    send(&bench, &load("b-1", 2)).unwrap();
    let terms: Vec<String> =
        (0..1_300).map(|i| format!("(\"source_id\" = 'x{i:030}' AND \"generation\" >= 0)")).collect();
    let sql = format!(
        "SELECT CAST('a' || MIN(\"source_id\") AS INTEGER) FROM \"log_router\".\"ledger_page_view\" WHERE {}",
        terms.join(" OR ")
    );
    let found =
        std::thread::Builder::new().stack_size(64 << 20).spawn(move || bench.row(&sql)).unwrap().join().unwrap();
    assert_eq!(found, "NULL");
}

#[test]
fn a_varchar_is_widened_alone_and_never_in_a_batch() {
    let bench = bench();
    bench.ok("ALTER TABLE events.page_view ADD COLUMN name VARCHAR(4)");
    bench.ok("INSERT INTO events.page_view (name) VALUES ('abcd')");
    let widen = "ALTER TABLE \"events\".\"page_view\" ALTER COLUMN \"name\" TYPE VARCHAR(16)";
    let (index, error) = bench.run(&["SELECT 1", widen], Grouping::Together).unwrap_err();
    assert_eq!(
        (index, error.to_string().as_str()),
        (1, "ALTER TABLE ALTER COLUMN cannot run inside a transaction block")
    );
    bench.ok(widen);
    assert_eq!(bench.fails(widen), "target column size should be different");
    bench.ok("INSERT INTO events.page_view (name) VALUES ('abcdefgh')");
    assert!(
        bench.fails("ALTER TABLE events.page_view ALTER COLUMN name TYPE VARCHAR(5)").contains("longer than 5 bytes")
    );
    assert_eq!(bench.row("SELECT character_maximum_length FROM svv_columns WHERE column_name = 'name'"), "16");
}
