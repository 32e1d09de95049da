//! What a COPY that fails says, and where it writes it down.

use super::compress::{bzip2, gzip, zstd};
use crate::redshift::run::Grouping;
use crate::redshift::test_bench::Bench;

const DETAIL: &str = "SELECT line_number, trim(column_name), trim(column_type), trim(column_length), error_code, \
                      trim(error_message) FROM sys_load_error_detail ORDER BY query_id, line_number";

/// One row that fails: its line in the error view.
fn rejected(column: &str, value: &str, options: &str) -> String {
    let bench = Bench::new();
    bench.ok(&format!("CREATE TABLE t (c {column})"));
    bench.objects.put("data", format!("{{\"c\":{value}}}"));
    let message = bench.fails(&format!("COPY t FROM 's3://b/data' IAM_ROLE default JSON 'auto' {options}"));
    assert_eq!(message, "Load into table 't' failed.  Check 'sys_load_error_detail' system table for details.");
    assert_eq!(bench.row("SELECT COUNT(*) FROM t"), "0");
    bench.row("SELECT error_code, trim(error_message) FROM sys_load_error_detail")
}

#[test]
fn each_kind_of_wrong_value_has_its_code() {
    assert_eq!(rejected("INTEGER", "\"12a\"", ""), "1207|Invalid digit, Value 'a', Pos 2, Type: Integer");
    assert_eq!(rejected("BIGINT", "1.5", ""), "1207|Invalid digit, Value '.', Pos 1, Type: Long");
    assert_eq!(rejected("INTEGER", "{\"a\":1}", ""), "1207|Invalid digit, Value '{', Pos 0, Type: Integer");
    assert!(rejected("SMALLINT", "40000", "").starts_with("1222|"));
    assert!(rejected("BIGINT", "9223372036854775808", "").starts_with("1222|"));
    assert_eq!(rejected("VARCHAR(3)", "\"äb1\"", ""), "1204|String length exceeds DDL length");
    assert!(rejected("VARCHAR(9)", "\"a\\u0000\"", "").starts_with("1218|Invalid null byte"));
    assert_eq!(rejected("INTEGER NOT NULL", "null", ""), "1213|Missing data for not-null field");
    assert!(rejected("FLOAT", "\"x\"", "").starts_with("1208|"));
    assert!(rejected("DECIMAL(4,2)", "\"x\"", "").starts_with("1209|"));
    assert!(rejected("DECIMAL(4,2)", "100", "").starts_with("1204|"));
    assert!(rejected("BOOLEAN", "\"maybe\"", "").starts_with("1210|"));
    assert!(rejected("DATE", "\"2026-02-30\"", "").starts_with("1205|"));
    assert!(rejected("TIMESTAMP", "\"2026-11-05T01:02:03Z\"", "").starts_with("1206|"));
    assert!(rejected("TIMESTAMPTZ", "\"2026-11-05T01:02:03.1234567Z\"", "TIMEFORMAT 'auto'").starts_with("1206|"));
    assert!(rejected("TIMESTAMP", "1700000000", "TIMEFORMAT 'auto'").starts_with("1206|"));
    assert!(rejected("SUPER", &format!("[\"{}\"]", "x".repeat(65_536)), "").starts_with("1224|"));
    assert!(rejected("CHAR(9)", "\"ä\"", "").starts_with("1215|"));
}

#[test]
fn invalid_utf_8_is_named_byte_by_byte() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (c VARCHAR(9))");
    bench.objects.put("data", [&b"{\"c\":\"a"[..], &[0xa4], b"\"}"].concat());
    bench.fails("COPY t FROM 's3://b/data' IAM_ROLE default JSON 'auto'");
    assert_eq!(
        bench.row("SELECT error_code, trim(error_message) FROM sys_load_error_detail"),
        "1220|String contains invalid or unsupported UTF8 codepoints. Bad UTF8 hex sequence: a4 (error 3)"
    );
}

#[test]
fn an_error_names_the_file_the_objects_last_line_and_the_column() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (a INT, name VARCHAR(4))");
    bench.objects.put("data", "{\"a\":1}\n{\n \"a\": 2,\n \"name\": \"too long\"\n}\n{\"a\":3}");
    bench.fails("COPY t FROM 's3://b/data' IAM_ROLE default JSON 'auto'");
    assert_eq!(bench.row(DETAIL), "5|name|varchar|4|1204|String length exceeds DDL length");
    let names = bench
        .row("SELECT file_name, octet_length(file_name) FROM sys_load_error_detail WHERE file_name LIKE 's3://b/%'");
    assert_eq!(names, format!("{:<256}|11", "s3://b/data"));
    assert_eq!(bench.row("SELECT status, error_count FROM sys_load_history"), "aborted|1");
}

#[test]
fn maxerror_skips_bad_records_until_there_are_that_many() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (a INT)");
    bench.objects.put("data", "{\"a\":1}\n{\"a\":\"x\"}\n{\"a\":2}\n{\"a\":\"y\"}\n{broken\n{\"a\":3}\n");
    let copy = |options: &str| format!("COPY t FROM 's3://b/data' IAM_ROLE default JSON 'auto' {options}");
    assert_eq!(bench.ok(&copy("MAXERROR 4")), 3);
    assert_eq!(bench.rows("SELECT a FROM t ORDER BY a"), ["1", "2", "3"]);
    assert_eq!(
        bench.rows("SELECT line_number, error_code FROM sys_load_error_detail ORDER BY 1"),
        ["2|1207", "4|1207", "5|1216"]
    );
    assert!(bench.fails(&copy("MAXERROR 3")).starts_with("Load into table 't' failed."));
    assert_eq!(bench.row("SELECT COUNT(*) FROM t"), "3");
}

#[test]
fn noload_checks_and_loads_nothing() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (a INT)");
    bench.objects.put("data", "{\"a\":1}\n{\"a\":\"x\"}\n");
    let copy = |options: &str| format!("COPY t FROM 's3://b/data' IAM_ROLE default JSON 'auto' NOLOAD {options}");
    assert_eq!(bench.ok(&copy("MAXERROR 100")), 0);
    assert_eq!(bench.row("SELECT COUNT(*) FROM t"), "0");
    assert_eq!(bench.row(DETAIL), "2|a|int4||1207|Invalid digit, Value 'x', Pos 0, Type: Integer");
}

#[test]
fn error_rows_survive_the_rollback_of_a_batch() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (a INT)");
    bench.objects.put("data", "{\"a\":\"x\"}");
    let statements = ["INSERT INTO t VALUES (1)", "COPY t FROM 's3://b/data' IAM_ROLE default JSON 'auto'"];
    let (index, _) = bench.run(&statements, Grouping::Together).unwrap_err();
    assert_eq!(index, 1);
    assert_eq!(bench.row("SELECT COUNT(*) FROM t"), "0");
    assert_eq!(bench.row("SELECT COUNT(*) FROM sys_load_error_detail"), "1");
}

#[test]
fn what_stands_between_objects_is_an_error() {
    for (data, code) in [("{\"a\":1},{\"a\":2}", 1216), ("nonsense", 1216), ("[{\"a\":1}]", 1216), ("{\"a\":1", 1216)] {
        let bench = Bench::new();
        bench.ok("CREATE TABLE t (a INT)");
        bench.objects.put("data", data);
        bench.fails("COPY t FROM 's3://b/data' IAM_ROLE default JSON 'auto'");
        assert_eq!(bench.row("SELECT DISTINCT error_code FROM sys_load_error_detail"), code.to_string(), "{data}");
    }
}

#[test]
fn an_object_over_four_megabytes_fails_the_load_whatever_maxerror_says() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (a VARCHAR(10))");
    bench.objects.put("data", format!("{{\"b\":\"{}\"}}", "x".repeat(4 * 1024 * 1024)));
    bench.fails("COPY t FROM 's3://b/data' IAM_ROLE default JSON 'auto' MAXERROR 1000");
    assert_eq!(bench.row("SELECT error_code FROM sys_load_error_detail"), "1216");
}

#[test]
fn missing_things_fail_with_redshifts_words() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (a INT, b INT)");
    bench.objects.put("data", "{\"a\":1}");
    bench.objects.put("manifest", r#"{"entries":[{"url":"s3://b/gone","mandatory":true}]}"#);
    bench.objects.put("optional", r#"{"entries":[{"url":"s3://b/gone"}]}"#);
    bench.objects.put("paths", r#"{"jsonpaths":["$.a"]}"#);
    bench.objects.put("index", r#"{"jsonpaths":["$.a[3]","$.b"]}"#);
    let fails = |rest: &str| bench.fails(&format!("COPY t FROM {rest} IAM_ROLE default"));
    assert_eq!(
        bench.fails("COPY x.nowhere FROM 's3://b/data' IAM_ROLE default JSON 'auto'"),
        "Cannot COPY into nonexistent table nowhere"
    );
    assert_eq!(fails("'s3://b/gone' JSON 'auto'"), "The specified S3 prefix 'gone' does not exist");
    assert!(
        fails("'s3://b/gone' JSON 'auto' MANIFEST").starts_with("Problem reading manifest file - S3ServiceException")
    );
    assert!(
        fails("'s3://b/manifest' JSON 'auto' MANIFEST").starts_with("Mandatory url is not present in manifest file")
    );
    assert!(fails("'s3://b/optional' JSON 'auto' MANIFEST").starts_with("No files found"));
    assert!(fails("'s3://b/data' JSON 'auto' MANIFEST").starts_with("Problem reading manifest file - malformed"));
    assert!(fails("'s3://b/data' JSON 's3://b/gone'").starts_with("jsonpath file 's3://b/gone' was not found"));
    assert_eq!(
        fails("'s3://b/data' JSON 's3://b/paths'"),
        "Number of jsonpaths and the number of columns should match. JSONPath size: 1, Number of columns in table or column list: 2"
    );
    assert!(fails("'s3://b/data' JSON 's3://b/index'").starts_with("Load into table"));
    assert_eq!(
        bench.row("SELECT trim(error_message) FROM sys_load_error_detail"),
        "Invalid JSONPath format: Not an array or index out of range."
    );
}

#[test]
fn a_file_of_another_codec_fails_the_copy_by_the_files_name_and_loads_nothing() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (a INT)");
    let text = "{\"a\":1}\n".repeat(40_000);
    let files = [
        ("plain", text.clone().into_bytes()),
        ("gzip", gzip(&[&text])),
        ("bzip2", bzip2(&[&text])),
        ("zstd", zstd(&[&text])),
    ];
    for (codec, bytes) in &files {
        bench.objects.put("data", bytes.clone());
        for keyword in ["gzip", "bzip2", "zstd"].into_iter().filter(|keyword| keyword != codec) {
            let error =
                bench.fails(&format!("COPY t FROM 's3://b/data' IAM_ROLE default JSON 'auto' MAXERROR 9 {keyword}"));
            assert!(error.starts_with(&format!("failed to inflate with {keyword}: ")), "{codec} as {keyword}: {error}");
            assert!(error.ends_with("S3 key being read : s3://b/data"), "{error}");
        }
    }
    for (codec, bytes) in &files[1..] {
        bench.objects.put("data", &bytes[..bytes.len() - 20]);
        let error = bench.fails(&format!("COPY t FROM 's3://b/data' IAM_ROLE default JSON 'auto' {codec}"));
        assert!(error.starts_with(&format!("failed to inflate with {codec}: ")), "{codec} cut short: {error}");
        bench.objects.put("data", bytes.clone());
        bench.fails("COPY t FROM 's3://b/data' IAM_ROLE default JSON 'auto'");
        assert_eq!(bench.row("SELECT DISTINCT error_code FROM sys_load_error_detail"), "1216", "{codec} as plain text");
    }
    assert_eq!(bench.row("SELECT COUNT(*) FROM t"), "0");
}
