//! Where SQLite would be looser, Redshift's rules win.

use crate::redshift::test_bench::Bench;

#[test]
fn the_leader_and_the_compute_nodes_word_a_failed_cast_each_in_their_own_way() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (name VARCHAR(10))");
    bench.ok("INSERT INTO t VALUES ('abc')");
    let on_leader = "invalid input syntax for integer: \"abc\"";
    assert_eq!(bench.fails("SELECT CAST('abc' AS INTEGER)"), on_leader);
    assert_eq!(bench.fails("SELECT CAST('ab' || 'c' AS INTEGER)"), on_leader);
    assert_eq!(bench.fails("SELECT CAST('abc' AS INTEGER) FROM t"), on_leader, "a constant is folded");
    let on_compute_node = "Invalid digit, Value 'a', Pos 0, Type: Integer";
    assert_eq!(bench.fails("SELECT CAST(name AS INTEGER) FROM t"), on_compute_node);
    assert_eq!(bench.fails("SELECT CAST(MAX(name) AS INTEGER) FROM t"), on_compute_node);
}

#[test]
fn a_cast_that_cannot_be_done_is_an_error() {
    let bench = Bench::new();
    assert_eq!(bench.fails("SELECT 1 + 'y'::bigint"), "invalid input syntax for type bigint: \"y\"");
    assert_eq!(bench.fails("SELECT '2026-02-30'::date"), "invalid input syntax for type date: \"2026-02-30\"");
    assert_eq!(bench.fails("SELECT 'maybe'::boolean"), "invalid input syntax for type boolean: \"maybe\"");
    assert_eq!(bench.fails("SELECT 70000::smallint"), "Value out of range for 2 bytes.");
    assert!(bench.fails("SELECT true::varchar").contains("cannot cast type boolean"));
}

#[test]
fn integers_divide_as_integers_and_overflow_loudly() {
    let bench = Bench::new();
    assert_eq!(bench.row("SELECT 7 / 2, -7 / 2, 7 % 3, mod(-7, 3)"), "3|-3|1|-1");
    assert_eq!(bench.fails("SELECT 1 / 0"), "Divide by zero");
    assert_eq!(bench.fails("SELECT 1.5 / 0"), "Divide by zero");
    assert_eq!(bench.fails("SELECT 2147483647 + 1"), "Integer data overflow (addition)");
    assert_eq!(bench.row("SELECT 2147483647::bigint + 1"), "2147483648");
    assert_eq!(bench.fails("SELECT 9223372036854775807 * 2"), "Integer data overflow (multiplication)");
}

#[test]
fn decimals_keep_their_digits_and_sort_as_numbers() {
    let bench = Bench::new();
    assert_eq!(bench.row("SELECT 0.1 + 0.2, 1.50 * 2, 10.00 / 3"), "0.3|3.00|3.3333333333333");
    bench.ok("CREATE TABLE d (v DECIMAL(10,2))");
    assert_eq!(bench.ok("INSERT INTO d VALUES (9.5), (10), ('-3.456'), (NULL), (1e2)"), 5);
    assert_eq!(bench.rows("SELECT v FROM d ORDER BY v"), ["-3.46", "9.50", "10.00", "100.00", "NULL"]);
    assert_eq!(bench.row("SELECT SUM(v), AVG(v), MIN(v), MAX(v), COUNT(v) FROM d"), "116.04|29.01|-3.46|100.00|4");
    assert_eq!(bench.rows("SELECT v FROM d WHERE v > 9.49 AND v < 10.001 ORDER BY 1 DESC"), ["10.00", "9.50"]);
    assert_eq!(bench.fails("INSERT INTO d VALUES (123456789.5)"), "Numeric data overflow (result precision)");
    assert_eq!(
        bench.row("SELECT 12345678901234567890123456789012345678 - 1"),
        "12345678901234567890123456789012345677"
    );
}

#[test]
fn varchar_counts_bytes_and_is_enforced() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE t (v VARCHAR(4), c CHAR(3))");
    bench.ok("INSERT INTO t VALUES ('äö', 'a')");
    assert!(bench.fails("INSERT INTO t (v) VALUES ('äöü')").starts_with("Value too long for character type"));
    assert!(bench.fails("INSERT INTO t (v) SELECT v || v FROM t").starts_with("Value too long for character type"));
    bench.ok("INSERT INTO t (v) VALUES ('abcd   ')");
    assert_eq!(bench.rows("SELECT v, c, len(v) FROM t ORDER BY v"), ["abcd|NULL|4", "äö|a  |2"]);
    assert_eq!(bench.row("SELECT 'abcdef'::varchar(3)"), "abc");
}

#[test]
fn text_compares_by_case_and_null_swallows_concatenation() {
    let bench = Bench::new();
    assert_eq!(bench.row("SELECT 'a' = 'A', 'abc' LIKE 'A%', 'abc' ILIKE 'A%', 'a' || NULL"), "false|false|true|NULL");
    assert_eq!(bench.row("SELECT 'n: ' || 5, 'd: ' || 1.50, 'x' || '2026-01-01'::date"), "n: 5|d: 1.50|x2026-01-01");
    assert_eq!(
        bench.row(r"SELECT 'it''s', 'a\\b', 'tab\tx', 'a_b' LIKE 'a\\_b', 'axb' LIKE 'a\\_b'"),
        "it's|a\\b|tab\tx|true|false"
    );
}

#[test]
fn booleans_are_true_and_false_and_nothing_else() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE f (b BOOLEAN)");
    bench.ok("INSERT INTO f VALUES (true), ('f'), (1 = 2), (NULL), ('yes')");
    assert_eq!(bench.rows("SELECT b, COUNT(*) FROM f GROUP BY b ORDER BY b"), ["false|2", "true|2", "NULL|1"]);
    assert_eq!(bench.row("SELECT COUNT(*) FROM f WHERE b"), "2");
    assert_eq!(bench.row("SELECT COUNT(*) FROM f WHERE b IS NOT TRUE"), "3");
    assert!(bench.fails("SELECT * FROM f WHERE 1").contains("must be type boolean, not type integer"));
    assert!(bench.fails("SELECT * FROM f WHERE b = 1").starts_with("operator does not exist: boolean = integer"));
    assert!(bench.fails("INSERT INTO f VALUES (2)").contains("is of type boolean but expression is of type integer"));
}

#[test]
fn timestamps_compare_across_spellings_and_show_one_form() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE e (at TIMESTAMP, tz TIMESTAMPTZ, d DATE)");
    bench.ok("INSERT INTO e VALUES ('2026-11-05T10:00:00.5Z', '2026-11-05 10:00:00+02:00', '2026-11-05 23:59:59')");
    assert_eq!(bench.row("SELECT * FROM e"), "2026-11-05 10:00:00.5|2026-11-05 08:00:00+00|2026-11-05");
    assert_eq!(
        bench.row("SELECT COUNT(*) FROM e WHERE at > '2026-11-05 09:00' AND tz < '2026-11-05T10:00:00+01:00' AND d = '2026-11-05' AND d < at"),
        "1"
    );
    assert_eq!(
        bench.row("SELECT d + 1, d - '2026-11-01', at + interval '1 month', at - interval '90' minute FROM e"),
        "2026-11-06|4|2026-12-05 10:00:00.5|2026-11-05 08:30:00.5"
    );
    assert!(bench.fails("SELECT at - tz FROM e").contains("DATEDIFF"));
}

#[test]
fn not_null_is_enforced_and_keys_are_not() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE k (id INTEGER NOT NULL, v VARCHAR, PRIMARY KEY (id))");
    bench.ok("INSERT INTO k VALUES (1, 'a'), (1, 'b')");
    assert_eq!(bench.fails("INSERT INTO k VALUES (NULL, 'c')"), "Cannot insert a NULL value into column id");
    assert_eq!(bench.fails("INSERT INTO k (v) VALUES ('c')"), "Cannot insert a NULL value into column id");
    assert_eq!(bench.fails("UPDATE k SET id = NULL"), "Cannot insert a NULL value into column id");
    assert_eq!(bench.row("SELECT COUNT(*) FROM k"), "2");
}

#[test]
fn a_literal_of_a_select_takes_the_type_of_its_column() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE l (v VARCHAR(5), i INTEGER, at TIMESTAMP)");
    bench.ok("INSERT INTO l SELECT 'q', '7', '2026-11-05'");
    assert_eq!(bench.row("SELECT v, i, at FROM l"), "q|7|2026-11-05 00:00:00");
    assert!(bench.fails("INSERT INTO l (v) SELECT 'too long'").starts_with("Value too long for character type"));
}

#[test]
fn an_assignment_between_unlike_types_must_be_cast() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE n (i INTEGER, f DOUBLE PRECISION, v VARCHAR(20), at TIMESTAMP)");
    bench.ok("INSERT INTO n VALUES (1.6, 2, 3, NULL)");
    assert_eq!(bench.row("SELECT i, f, v FROM n"), "2|2.0|3");
    let message = bench.fails("INSERT INTO n (i) SELECT v FROM n");
    assert!(
        message.starts_with("column \"i\" is of type integer but expression is of type character varying"),
        "{message}"
    );
    let message = bench.fails("UPDATE n SET at = 5");
    assert!(
        message.starts_with("column \"at\" is of type timestamp without time zone but expression is of type integer"),
        "{message}"
    );
}

#[test]
fn super_is_navigated_compared_and_shown_as_json() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE s (id INTEGER, p SUPER)");
    bench.ok(
        "INSERT INTO s SELECT 1, JSON_PARSE('{\"a\": {\"b\": [10, 20.50, {\"c\": \"x\"}]}, \"n\": null, \"B\": true}')",
    );
    bench.ok("INSERT INTO s VALUES (2, 'plain')");
    assert_eq!(
        bench.row("SELECT p FROM s WHERE id = 1"),
        "{\"a\":{\"b\":[10,20.50,{\"c\":\"x\"}]},\"n\":null,\"B\":true}"
    );
    assert_eq!(bench.row("SELECT p FROM s WHERE id = 2"), "\"plain\"");
    assert_eq!(bench.row("SELECT p.a.b[1], s.p.a.b[2].c, p.a.b[9], p.n FROM s WHERE id = 1"), "20.50|\"x\"|NULL|NULL");
    assert_eq!(bench.row("SELECT id FROM s WHERE p.a.b[0] = 10"), "1");
    assert_eq!(bench.row("SELECT id FROM s WHERE p.a.b[2].c = 'x'"), "1");
    assert_eq!(bench.row("SELECT p.a.b[2].c::varchar || '!', p.a.b[0]::int + 1 FROM s WHERE id = 1"), "x!|11");
    assert_eq!(
        bench.row("SELECT json_typeof(p.a.b), get_array_length(p.a.b), json_serialize(p.a.b[2]) FROM s WHERE id = 1"),
        "array|3|{\"c\":\"x\"}"
    );
    assert_eq!(bench.rows("SELECT id, e FROM s, s.p.a.b AS e"), ["1|10", "1|20.50", "1|{\"c\":\"x\"}"]);
    assert!(bench.fails("SELECT e FROM s, s.p.a AS e").contains("unnesting a SUPER value that is no array"));
}
