//! DDL, transactions, settings, privileges.

use std::sync::Arc;

use crate::redshift::error::SqlError;
use crate::redshift::run::Grouping;
use crate::redshift::test_bench::{Bench, Objects};
use crate::redshift::warehouse::{Stop, Warehouse};

#[test]
fn a_table_is_made_once() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE \"T\" (a INT)");
    assert_eq!(bench.fails("CREATE TABLE t (a INT)"), "Relation \"t\" already exists");
    bench.ok("CREATE TABLE IF NOT EXISTS t (b INT)");
    assert_eq!(bench.fails("CREATE TABLE x.t (a INT)"), "schema \"x\" does not exist");
    assert!(bench.fails("CREATE TABLE u (a INT, a INT)").contains("duplicated"));
    assert!(bench.fails("CREATE TEMP TABLE u (a INT)").contains("temporary tables"));
    assert_eq!(bench.ok("CREATE TABLE copy_of AS SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, 'y'"), 2);
    assert_eq!(bench.rows("SELECT b FROM copy_of ORDER BY a"), ["x", "y"]);
}

#[test]
fn defaults_fill_columns_that_are_left_out() {
    let bench = Bench::new();
    bench.ok(
        "CREATE TABLE t (a INT DEFAULT 1 + 1, b VARCHAR(9) DEFAULT 'none' NOT NULL, at TIMESTAMP DEFAULT GETDATE())",
    );
    bench.ok("INSERT INTO t (a) VALUES (DEFAULT), (7)");
    bench.ok("ALTER TABLE t ADD COLUMN c BIGINT DEFAULT 5");
    assert_eq!(bench.rows("SELECT a, b, c, at IS NULL FROM t ORDER BY a"), ["2|none|5|false", "7|none|5|false"]);
    bench.ok("UPDATE t SET c = DEFAULT, a = c * 2 WHERE a = 7");
    assert_eq!(bench.rows("SELECT a FROM t ORDER BY a"), ["2", "10"]);
}

#[test]
fn columns_are_added_dropped_and_renamed() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (a INT, b INT)");
    bench.ok("INSERT INTO t VALUES (1, 2)");
    bench.ok("ALTER TABLE t DROP COLUMN a");
    bench.ok("ALTER TABLE t ADD COLUMN c INT");
    bench.ok("ALTER TABLE t RENAME COLUMN b TO bb");
    assert_eq!(bench.row("SELECT * FROM t"), "2|NULL");
    bench.ok("ALTER TABLE t RENAME TO u");
    assert_eq!(bench.row("SELECT bb FROM u"), "2");
    assert_eq!(bench.fails("ALTER TABLE u ADD COLUMN c INT"), "column \"c\" of relation \"u\" already exists");
    assert_eq!(bench.fails("ALTER TABLE u DROP COLUMN x"), "column \"x\" of relation \"u\" does not exist");
}

#[test]
fn a_bound_view_protects_its_table() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (a INT)");
    bench.ok("CREATE VIEW v AS SELECT a AS x FROM t");
    bench.ok("CREATE VIEW late AS SELECT * FROM public.t WITH NO SCHEMA BINDING");
    assert!(bench.fails("DROP TABLE t").contains("view v depends on table t"));
    bench.ok("DROP TABLE t CASCADE");
    assert_eq!(bench.fails("SELECT * FROM v"), "relation \"v\" does not exist");
    assert_eq!(bench.fails("SELECT * FROM late"), "relation \"public.t\" does not exist");
    bench.ok("CREATE TABLE t (b INT, c INT)");
    bench.ok("INSERT INTO t VALUES (1, 2)");
    assert_eq!(bench.row("SELECT c FROM late"), "2");
    assert!(bench.fails("CREATE VIEW w AS SELECT * FROM nothing").contains("does not exist"));
    bench.ok("DROP TABLE IF EXISTS nothing");
    assert_eq!(bench.fails("DROP TABLE nothing"), "table \"nothing\" does not exist");
}

#[test]
fn a_failed_batch_leaves_nothing_and_runs_nothing_more() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (a INT)");
    let (index, error) = bench
        .batch(&["INSERT INTO t VALUES (1)", "CREATE TABLE u (a INT)", "SELECT 1/0", "INSERT INTO t VALUES (2)"])
        .unwrap_err();
    assert_eq!((index, error.to_string().as_str()), (2, "Divide by zero"));
    assert_eq!(bench.row("SELECT COUNT(*) FROM t"), "0");
    assert_eq!(bench.fails("SELECT * FROM u"), "relation \"u\" does not exist");
}

#[test]
fn statements_alone_do_not_touch_each_other() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (a INT)");
    let (index, _) = bench
        .run(&["INSERT INTO t VALUES (1)", "SELECT 1/0", "INSERT INTO t VALUES (2)"], Grouping::EachAlone)
        .unwrap_err();
    assert_eq!(index, 1);
    assert_eq!(bench.row("SELECT SUM(a) FROM t"), "3");
}

#[test]
fn truncate_and_vacuum_stay_out_of_batches() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (a INT)");
    bench.ok("INSERT INTO t VALUES (1)");
    assert!(bench.batch(&["TRUNCATE t"]).unwrap_err().1.to_string().contains("TRUNCATE"));
    assert!(bench.batch(&["VACUUM t"]).unwrap_err().1.to_string().contains("transaction block"));
    assert_eq!(bench.ok("TRUNCATE TABLE t"), 1);
    bench.ok("VACUUM FULL t");
    bench.ok("ANALYZE t");
}

#[test]
fn settings_are_known_or_refused() {
    let bench = Bench::new();
    bench.ok("CREATE SCHEMA s");
    bench.ok("CREATE TABLE s.t (a INT)");
    bench.batch(&["SET search_path TO s, public", "INSERT INTO t VALUES (1)"]).unwrap();
    assert_eq!(bench.row("SELECT a FROM s.t"), "1");
    assert!(bench.fails("SET nonsense TO 1").contains("unrecognized configuration parameter \"nonsense\""));
    assert!(bench.fails("SET timezone TO 'CET'").contains("does not support SET timezone"));
    assert!(bench.fails("SET statement_timeout TO soon").contains("invalid value"));
}

#[test]
fn statement_timeout_ends_a_statement() {
    let bench = Bench::new();
    let many = "SELECT COUNT(*) FROM (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) a, \
                (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) b, (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) c, \
                (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) d, (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) e, \
                (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) f, (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) g, \
                (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) h, (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) i, \
                (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) j";
    let (index, error) = bench.batch(&["SET statement_timeout TO 20", many]).unwrap_err();
    assert_eq!(index, 1);
    assert!(error.to_string().ends_with("cancelled on user's request"), "{error}");
    let stop = Stop::new();
    stop.cancel();
    assert_eq!(bench.run_until(&[many], Grouping::EachAlone, &stop).unwrap_err().1, SqlError::Cancelled);
}

#[test]
fn grants_are_checked_and_recorded() {
    let bench = Bench::new();
    bench.ok("CREATE SCHEMA events");
    bench.ok("CREATE TABLE events.t (a INT)");
    bench.ok("GRANT USAGE ON SCHEMA events TO ROLE analyst");
    bench.ok("GRANT SELECT ON ALL TABLES IN SCHEMA events TO ROLE analyst, bob");
    assert_eq!(
        bench.rows(
            "SELECT relation_name, privilege_type, identity_type, identity_name FROM svv_relation_privileges ORDER BY 3"
        ),
        ["t|SELECT|role|analyst", "t|SELECT|user|bob"]
    );
    assert_eq!(
        bench.rows("SELECT namespace_name, privilege_type, identity_type, identity_name FROM svv_schema_privileges"),
        ["events|USAGE|role|analyst"]
    );
    bench.ok("REVOKE SELECT ON events.t FROM bob");
    assert_eq!(bench.row("SELECT COUNT(*) FROM svv_relation_privileges"), "1");
    assert_eq!(bench.fails("GRANT SELECT ON events.u TO bob"), "relation \"events.u\" does not exist");
    bench.ok("COMMENT ON TABLE events.t IS 'what it holds'");
    assert_eq!(bench.row("SELECT remarks FROM svv_tables WHERE table_name = 't'"), "what it holds");
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (a INT)");
    bench.ok("INSERT INTO t VALUES (5)");
    let again =
        Warehouse::open(&bench.path().join("warehouse.db"), Arc::new(Objects::default()), Arc::default()).unwrap();
    let reader = again.reader(&Stop::new()).unwrap();
    let found: i64 = reader.query_row("SELECT c1 FROM t1", [], |row| row.get(0)).unwrap();
    assert_eq!(found, 5);
}

#[test]
fn changes_that_join_change_the_right_rows() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (id INT, v VARCHAR(9))");
    bench.ok("CREATE TABLE u (id INT, v VARCHAR(9))");
    bench.ok("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')");
    bench.ok("INSERT INTO u SELECT id + 1, v || '!' FROM t WHERE id < 3");
    assert_eq!(bench.ok("UPDATE t SET v = u.v FROM u WHERE t.id = u.id"), 2);
    assert_eq!(bench.rows("SELECT v FROM t ORDER BY id"), ["a", "a!", "b!"]);
    assert_eq!(bench.ok("DELETE FROM t USING u WHERE t.id = u.id AND u.id = 3"), 1);
    assert_eq!(bench.ok("DELETE FROM t"), 2);
}
