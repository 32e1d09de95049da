//! What a COPY that works does: matching, converting, files, options.

use std::time::Instant;

use super::compress::{bzip2, gzip, zstd};
use crate::redshift::test_bench::Bench;

fn copy(bench: &Bench, table: &str, options: &str) -> i64 {
    bench.ok(&format!("COPY {table} FROM 's3://b/data' IAM_ROLE default {options}"))
}

#[test]
fn listed_columns_without_a_key_are_null_and_unlisted_ones_take_their_default() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (a INT DEFAULT 1, b INT DEFAULT 2, at TIMESTAMP DEFAULT SYSDATE)");
    bench.objects.put("data", "{\"b\":5}{\"a\":7,\"other\":[{}]} \n\t{}");
    assert_eq!(bench.ok("COPY t (a, b) FROM 's3://b/data' IAM_ROLE 'arn:aws:iam::0:role/r' JSON 'auto'"), 3);
    assert_eq!(
        bench.rows("SELECT a, b, at IS NULL FROM t ORDER BY a, b"),
        ["7|NULL|false", "NULL|5|false", "NULL|NULL|false"]
    );
}

#[test]
fn values_convert_as_documented() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (i INT, v VARCHAR(40), f FLOAT, d DECIMAL(10,2), b BOOLEAN, dt DATE, ts TIMESTAMP, tz TIMESTAMPTZ, s SUPER)");
    bench.objects.put(
        "data",
        r#"{"i":"","v":"","f":"","d":"","b":"","dt":"","ts":"","tz":"","s":""}
           {"i":"12","v":1.50,"f":"2.5e1","d":9.999,"b":"true","dt":"2026-11-05","ts":"2026-11-05T01:02:03.123456Z","tz":"2026-11-05T01:02:03+01:00","s":{"a":[1.10, "x"]}}
           {"i":-3,"v":{"a": [1,2]},"f":7,"d":"-0.019","b":false,"dt":"20261105","ts":"2026-11-05 01:02","tz":"2026-11-05 01:02:03Z","s":null}
           {"i":null,"v":true,"f":null,"d":1e3,"b":1,"dt":null,"ts":null,"tz":null,"s":12345678901234567890.123}"#,
    );
    assert_eq!(copy(&bench, "t", "JSON 'auto' TIMEFORMAT 'auto' DATEFORMAT 'auto'"), 4);
    assert_eq!(
        bench.rows("SELECT * FROM t ORDER BY i"),
        [
            "-3|{\"a\":[1,2]}|7.0|-0.01|false|2026-11-05|2026-11-05 01:02:00|2026-11-05 01:02:03+00|NULL",
            "12|1.50|25.0|9.99|true|2026-11-05|2026-11-05 01:02:03.123456|2026-11-05 00:02:03+00|{\"a\":[1.10,\"x\"]}",
            "NULL||NULL|NULL|NULL|NULL|NULL|NULL|\"\"",
            "NULL|true|NULL|1000.00|true|NULL|NULL|NULL|12345678901234567890.123",
        ]
    );
}

#[test]
fn epochs_load_as_points_in_time() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (ts TIMESTAMP)");
    bench.objects.put("data", "{\"ts\":1700000000}{\"ts\":\"1700000000.5\"}");
    copy(&bench, "t", "JSON 'auto' TIMEFORMAT 'epochsecs'");
    assert_eq!(bench.rows("SELECT ts FROM t ORDER BY ts"), ["2023-11-14 22:13:20", "2023-11-14 22:13:20.5"]);
    bench.ok("TRUNCATE t");
    bench.objects.put("data", "{\"ts\":1700000000123}");
    copy(&bench, "t", "JSON 'auto' TIMEFORMAT 'epochmillisecs'");
    assert_eq!(bench.row("SELECT ts FROM t"), "2023-11-14 22:13:20.123");
}

#[test]
fn a_manifest_names_its_files_and_a_file_named_twice_loads_twice() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (a INT)");
    bench.objects.put("x", gzip(&["{\"a\":1}\n", "{\"a\":2}\n"]));
    bench.objects.put("y", gzip(&["{\"a\":3}"]));
    bench.objects.put(
        "data",
        r#"{"entries":[{"url":"s3://b/x","mandatory":true,"meta":{"content_length":1}},{"url":"s3://b/y"},{"url":"s3://b/gone"},{"url":"s3://b/y"}]}"#,
    );
    assert_eq!(copy(&bench, "t", "GZIP FORMAT AS JSON 'auto' MANIFEST REGION 'us-east-1'"), 4);
    assert_eq!(bench.rows("SELECT a FROM t ORDER BY a"), ["1", "2", "3", "3"]);
}

#[test]
fn every_member_stream_and_frame_of_a_compressed_file_is_read() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (a INT)");
    // A record may lie across two of them.
    let pieces = ["{\"a\":1}\n{\"a\":", "2}\n", "{\"a\":3}"];
    for (codec, bytes) in [("GZIP", gzip(&pieces)), ("BZIP2", bzip2(&pieces)), ("ZSTD", zstd(&pieces))] {
        bench.objects.put("data", bytes);
        assert_eq!(copy(&bench, "t", &format!("JSON 'auto' {codec}")), 3, "{codec}");
        assert_eq!(bench.rows("SELECT a FROM t ORDER BY a"), ["1", "2", "3"], "{codec}");
        bench.ok("TRUNCATE t");
    }
}

#[test]
fn jsonpaths_reach_inside_and_the_root_is_the_whole_record() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (a INT, b VARCHAR(20), whole SUPER, c INT)");
    bench.objects.put("paths", r#"{"jsonpaths":["$.x.y","$.list[1].z","$","$.x.missing"]}"#);
    bench.objects.put("data", r#"{"x":{"y":5},"list":[0,{"z":"found"}]}"#);
    copy(&bench, "t", "JSON 's3://b/paths'");
    assert_eq!(bench.row("SELECT * FROM t"), "5|found|{\"x\":{\"y\":5},\"list\":[0,{\"z\":\"found\"}]}|NULL");
    bench.objects.put("paths", r#"{"paths":["$.x"]}"#);
    bench.objects.put("data", r#"{"a":9}"#);
    copy(&bench, "t", "JSON 's3://b/paths'");
    assert_eq!(bench.row("SELECT c, a FROM t WHERE a = 9"), "NULL|9");
}

#[test]
fn noshred_takes_the_whole_object() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (doc SUPER)");
    bench.objects.put("data", "{\"a\": 1}\n[1, 2]");
    assert_eq!(copy(&bench, "t", "JSON 'noshred'"), 2);
    assert_eq!(bench.rows("SELECT doc FROM t ORDER BY 1"), ["[1,2]", "{\"a\":1}"]);
    bench.ok("CREATE TABLE u (a INT)");
    assert!(bench.fails("COPY u FROM 's3://b/data' IAM_ROLE default JSON 'noshred'").contains("one SUPER column"));
}

#[test]
fn options_change_text_only_when_asked() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (v VARCHAR(4))");
    bench.objects.put(
        "data",
        [&b"{\"v\":\"abcdef\"}{\"v\":\"  \"}{\"v\":\"\"}{\"v\":\"a"[..], &[0xff], b"b\"}{\"v\":\"b  \"}"].concat(),
    );
    copy(&bench, "t", "JSON 'auto' TRUNCATECOLUMNS BLANKSASNULL EMPTYASNULL ACCEPTINVCHARS '^' TRIMBLANKS");
    assert_eq!(bench.rows("SELECT v FROM t ORDER BY v"), ["a^b", "abcd", "b", "NULL", "NULL"]);
}

#[test]
fn records_may_be_larger_than_what_is_read_at_once() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (n INT, v SUPER)");
    let big = format!("[{}]", vec!["\"0123456789\""; 150_000].join(","));
    bench.objects.put("data", format!("{{\"n\":1,\"v\":{big}}}\n{{\"v\":{big},\"n\":2}}{{\"n\":3}}"));
    assert_eq!(copy(&bench, "t", "JSON 'auto'"), 3);
    assert_eq!(bench.rows("SELECT n, get_array_length(v) FROM t ORDER BY n"), ["1|150000", "2|150000", "3|NULL"]);
}

#[test]
fn the_load_is_logged_with_its_counts() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (a INT)");
    bench.objects.put("data", "{\"a\":1}\n{\"a\":2}\n");
    let copy = "COPY t FROM 's3://b/data' IAM_ROLE default JSON 'auto'";
    let outcomes = bench.batch(&[copy, "SELECT pg_last_copy_count()"]).unwrap();
    assert_eq!(outcomes[0].rows, 2);
    assert_eq!(
        bench.row(
            "SELECT status, table_name, data_source, loaded_rows, source_file_count, error_count FROM sys_load_history"
        ),
        "completed|t|s3://b/data|2|1|0"
    );
}

#[test]
fn a_hundred_thousand_rows_load_in_seconds() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (id BIGINT, name VARCHAR(64), at TIMESTAMP, amount DOUBLE PRECISION, ok BOOLEAN, c1 VARCHAR(32), c2 VARCHAR(32), c3 BIGINT, c4 BIGINT, c5 VARCHAR(32))");
    let mut data = String::new();
    for i in 0..100_000 {
        data.push_str(&format!("{{\"id\":{i},\"name\":\"name {i}\",\"at\":\"2026-11-05T10:00:00.{:03}Z\",\"amount\":{}.25,\"ok\":true,\"c1\":\"one\",\"c2\":\"two\",\"c3\":{i},\"c4\":42,\"c5\":\"five\",\"unused\":{{\"a\":[1,2]}}}}\n", i % 1000, i % 97));
    }
    bench.objects.put("data", data);
    let started = Instant::now();
    assert_eq!(copy(&bench, "t", "JSON 'auto' TIMEFORMAT 'auto'"), 100_000);
    println!("100,000 rows in {:?}", started.elapsed());
    assert_eq!(bench.row("SELECT COUNT(*), SUM(id), COUNT(DISTINCT name) FROM t"), "100000|4999950000|100000");
}
