//! Functions: right, or refused.

use crate::redshift::test_bench::Bench;

#[track_caller]
fn is(sql: &str, expected: &str) {
    assert_eq!(Bench::new().row(sql), expected, "{sql}");
}

#[test]
fn conditional_functions_leave_nulls_out() {
    is("SELECT COALESCE(NULL, 2, 3), NVL(NULL, 'x'), NULLIF(1, 1), NULLIF('a', 'b')", "2|x|NULL|a");
    is("SELECT GREATEST(1, NULL, 3), LEAST(4, NULL, 3), GREATEST(NULL, NULL)", "3|3|NULL");
    is("SELECT NVL2(NULL, 'a', 'b'), DECODE(2, 1, 'one', 2, 'two', 'many'), DECODE(NULL, NULL, 'n')", "b|two|n");
    is("SELECT CASE 2 WHEN 1 THEN 'a' WHEN 2 THEN 'b' END, CASE WHEN 1 > 2 THEN 1 END", "b|NULL");
}

#[test]
fn text_functions_count_characters() {
    is("SELECT LOWER('ÄB'), UPPER('ä'), LENGTH('äb'), LEN('a '), OCTET_LENGTH('ä')", "äb|Ä|2|2|2");
    is("SELECT SUBSTRING('häuser', 2, 3), LEFT('abc', 2), RIGHT('abc', 2), SUBSTRING('abc' FROM 2)", "äus|ab|bc|bc");
    is("SELECT TRIM('  a '), TRIM(BOTH 'x' FROM 'xax'), LTRIM('aab', 'a'), RTRIM('b  ')", "a|a|b|b");
    is(
        "SELECT REPLACE('aXa', 'X', '-'), SPLIT_PART('a,b,c', ',', 2), STRPOS('abc', 'c'), CONCAT('a', 1)",
        "a-a|b|3|a1",
    );
    is(
        "SELECT LPAD('7', 3, '0'), REVERSE('abc'), REPEAT('ab', 2), INITCAP('the cat'), POSITION('b' IN 'abc')",
        "007|cba|abab|The Cat|2",
    );
}

#[test]
fn number_functions_keep_their_types() {
    is(
        "SELECT ROUND(2.567, 1), ROUND(2.5), ROUND(1.5::float), TRUNC(2.99), CEIL(1.01), FLOOR(-1.01)",
        "2.6|3|2.0|2|2|-2",
    );
    is("SELECT ABS(-3), ABS(-3.5), MOD(7, 4), POWER(2, 10), SQRT(9), SIGN(-2)", "3|3.5|3|1024.0|3.0|-1.0");
    is("SELECT AVG(x), SUM(x) FROM (SELECT 1 AS x UNION ALL SELECT 2) t", "1|3");
    is(
        "SELECT AVG(x::float), STDDEV_SAMP(x), VAR_POP(x) FROM (SELECT 1 AS x UNION ALL SELECT 3) t",
        "2.0|1.4142135623730951|1.0",
    );
}

#[test]
fn time_functions_follow_the_calendar() {
    is(
        "SELECT DATE_TRUNC('week', '2026-11-19 10:11:12'::timestamp), DATEADD(month, 1, '2026-01-31'::date)",
        "2026-11-16 00:00:00|2026-02-28 00:00:00",
    );
    is(
        "SELECT DATEDIFF(day, '2026-01-01', '2026-01-31'), DATEDIFF(hours, '2026-01-01 10:59', '2026-01-01 11:00')",
        "30|1",
    );
    is(
        "SELECT EXTRACT(year FROM '2026-11-19'::date), DATE_PART(dow, '2026-11-19'::date), EXTRACT(epoch FROM '1970-01-02'::timestamp)",
        "2026|4.0|86400",
    );
    is(
        "SELECT TO_CHAR('2026-11-19 14:05:06'::timestamp, 'YYYY-MM-DD HH24:MI'), LAST_DAY('2026-02-03'::date)",
        "2026-11-19 14:05|2026-02-28",
    );
    is(
        "SELECT SYSDATE >= '2026-01-01', GETDATE() = DATE_TRUNC('second', GETDATE()), CURRENT_DATE = SYSDATE::date",
        "true|true|true",
    );
    assert!(Bench::new().fails("SELECT TO_CHAR(SYSDATE, 'YYYY Foo')").contains("TO_CHAR pattern"));
    assert!(Bench::new().fails("SELECT DATE_TRUNC('fortnight', SYSDATE)").contains("not recognized"));
}

#[test]
fn json_functions_read_text() {
    is(
        r#"SELECT JSON_EXTRACT_PATH_TEXT('{"a":{"b":"x"},"n":1.50}', 'a', 'b'), JSON_EXTRACT_PATH_TEXT('{"n":1.50}', 'n'), JSON_EXTRACT_PATH_TEXT('{}', 'q')"#,
        "x|1.50|NULL",
    );
    is(
        "SELECT JSON_EXTRACT_PATH_TEXT('no json', 'a', true), IS_VALID_JSON('{}'), JSON_ARRAY_LENGTH('[1,2]'), JSON_EXTRACT_ARRAY_ELEMENT_TEXT('[1,\"b\"]', 1)",
        "NULL|true|2|b",
    );
    assert!(Bench::new().fails("SELECT JSON_EXTRACT_PATH_TEXT('no json', 'a')").starts_with("JSON parsing error"));
    assert!(Bench::new().fails("SELECT JSON_PARSE('{')").starts_with("Invalid JSON"));
}

#[test]
fn aggregates_gather() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (g VARCHAR(5), v INTEGER)");
    bench.ok("INSERT INTO t VALUES ('a', 2), ('a', 1), ('b', NULL), ('b', 1)");
    assert_eq!(
        bench.rows(
            "SELECT g, LISTAGG(v, ',') WITHIN GROUP (ORDER BY v), COUNT(v), BOOL_OR(v > 1) FROM t GROUP BY g ORDER BY g"
        ),
        ["a|1,2|2|true", "b|1|1|false"]
    );
    assert_eq!(bench.row("SELECT COUNT(DISTINCT v), APPROXIMATE COUNT(DISTINCT v), MIN(g), MAX(v) FROM t"), "2|2|a|2");
    assert_eq!(bench.row("SELECT SUM(v), AVG(v), MIN(v) FROM t WHERE 1 = 2"), "NULL|NULL|NULL");
}

#[test]
fn the_session_knows_itself() {
    is("SELECT current_database(), current_user, pg_last_copy_count(), pg_last_copy_id()", "dev|tester|0|-1");
    assert!(Bench::new().row("SELECT version()").starts_with("PostgreSQL 8.0.2"));
}
