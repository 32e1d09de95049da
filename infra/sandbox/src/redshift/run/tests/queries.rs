//! SELECT in general.

use crate::redshift::test_bench::Bench;

fn bench() -> Bench {
    let bench = Bench::new();
    bench.ok("CREATE SCHEMA s");
    bench.ok("CREATE TABLE s.orders (id INTEGER, customer VARCHAR(10), amount DECIMAL(8,2), at TIMESTAMP)");
    bench.ok(
        "INSERT INTO s.orders VALUES (1,'ann',10.50,'2026-01-01'),(2,'bob',20,'2026-01-02'),(3,'ann',5,'2026-01-03'),\
         (4,NULL,1,'2026-02-01')",
    );
    bench.ok("CREATE TABLE customers (name VARCHAR(10), city VARCHAR(10))");
    bench.ok("INSERT INTO customers VALUES ('ann','Bonn'),('cid','Kiel')");
    bench
}

#[test]
fn joins_find_and_keep_what_they_should() {
    let bench = bench();
    assert_eq!(
        bench.rows("SELECT o.id, c.city FROM s.orders o LEFT JOIN customers c ON o.customer = c.name ORDER BY o.id"),
        ["1|Bonn", "2|NULL", "3|Bonn", "4|NULL"]
    );
    assert_eq!(
        bench.rows("SELECT orders.id, name FROM s.orders RIGHT JOIN customers ON name = customer ORDER BY name, id"),
        ["1|ann", "3|ann", "NULL|cid"]
    );
    assert_eq!(bench.row("SELECT COUNT(*) FROM s.orders o FULL OUTER JOIN customers c ON o.customer = c.name"), "5");
    assert_eq!(bench.row("SELECT COUNT(*) FROM s.orders, customers"), "8");
    assert_eq!(bench.row("SELECT s.orders.id FROM s.orders JOIN (SELECT 2 AS id) t USING (id)"), "2");
}

#[test]
fn grouping_is_strict() {
    let bench = bench();
    assert_eq!(
        bench.rows("SELECT customer, COUNT(*) AS n, SUM(amount) FROM s.orders GROUP BY customer HAVING COUNT(*) > 0 ORDER BY n DESC, 1"),
        ["ann|2|15.50", "bob|1|20.00", "NULL|1|1.00"]
    );
    assert_eq!(
        bench.rows("SELECT date_trunc('month', at) AS m, COUNT(*) FROM s.orders GROUP BY m ORDER BY m"),
        ["2026-01-01 00:00:00|3", "2026-02-01 00:00:00|1"]
    );
    assert_eq!(
        bench.rows("SELECT upper(customer) || '!' FROM s.orders GROUP BY upper(customer) ORDER BY 1"),
        ["ANN!", "BOB!", "NULL"]
    );
    assert_eq!(
        bench.fails("SELECT customer, at, COUNT(*) FROM s.orders GROUP BY customer"),
        "column \"orders.at\" must appear in the GROUP BY clause or be used in an aggregate function"
    );
    assert!(bench.fails("SELECT *, COUNT(*) FROM s.orders").contains("must appear in the GROUP BY clause"));
    assert!(bench.fails("SELECT id FROM s.orders WHERE COUNT(*) > 1").contains("aggregates not allowed in WHERE"));
    assert!(bench.fails("SELECT SUM(COUNT(*)) FROM s.orders").contains("nested"));
}

#[test]
fn nulls_sort_last_unless_descending() {
    let bench = bench();
    assert_eq!(bench.rows("SELECT customer FROM s.orders ORDER BY customer, id"), ["ann", "ann", "bob", "NULL"]);
    assert_eq!(bench.rows("SELECT customer FROM s.orders ORDER BY customer DESC LIMIT 2"), ["NULL", "bob"]);
    assert_eq!(bench.rows("SELECT customer FROM s.orders ORDER BY 1 NULLS FIRST LIMIT 1 OFFSET 1"), ["ann"]);
    assert_eq!(bench.rows("SELECT TOP 1 id FROM s.orders ORDER BY -id"), ["4"]);
    assert_eq!(bench.rows("SELECT DISTINCT customer FROM s.orders ORDER BY customer LIMIT 2"), ["ann", "bob"]);
}

#[test]
fn sub_selects_ctes_and_set_operations_nest() {
    let bench = bench();
    assert_eq!(
        bench.rows("WITH big AS (SELECT * FROM s.orders WHERE amount > (SELECT AVG(amount) FROM s.orders)), names(n) AS (SELECT customer FROM big) SELECT n FROM names ORDER BY n"),
        ["ann", "bob"]
    );
    assert_eq!(
        bench.rows("SELECT name FROM customers c WHERE EXISTS (SELECT 1 FROM s.orders o WHERE o.customer = c.name)"),
        ["ann"]
    );
    assert_eq!(
        bench.rows(
            "SELECT name FROM customers WHERE name NOT IN (SELECT customer FROM s.orders WHERE customer IS NOT NULL)"
        ),
        ["cid"]
    );
    assert_eq!(bench.rows("SELECT 1 UNION ALL SELECT 2.5 UNION SELECT 1 ORDER BY 1"), ["1.0", "2.5"]);
    assert_eq!(bench.rows("SELECT id FROM s.orders INTERSECT SELECT 2"), ["2"]);
    assert_eq!(bench.rows("(SELECT id FROM s.orders EXCEPT SELECT 2) ORDER BY id DESC LIMIT 2"), ["4", "3"]);
    assert_eq!(bench.rows("SELECT 'a' AS x UNION ALL SELECT NULL ORDER BY x"), ["a", "NULL"]);
    assert!(bench.fails("SELECT 1 UNION SELECT 1, 2").contains("same number of columns"));
    assert!(bench.fails("SELECT (SELECT id FROM s.orders)").contains("more than one row"));
    assert_eq!(
        bench.row(
            "SELECT (SELECT MAX(id) FROM s.orders o WHERE o.customer = c.name) FROM customers c WHERE name = 'ann'"
        ),
        "3"
    );
}

#[test]
fn window_functions_rank_and_total() {
    let bench = bench();
    assert_eq!(
        bench.rows("SELECT id, ROW_NUMBER() OVER (PARTITION BY customer ORDER BY at DESC) AS n, LAG(id) OVER (ORDER BY id) FROM s.orders ORDER BY id"),
        ["1|2|NULL", "2|1|1", "3|1|2", "4|1|3"]
    );
    assert_eq!(
        bench.rows("SELECT id, SUM(id) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING), COUNT(*) OVER () FROM s.orders ORDER BY 1 LIMIT 3"),
        ["1|1|4", "2|3|4", "3|6|4"]
    );
    assert_eq!(
        bench.fails("SELECT SUM(id) OVER (ORDER BY id) FROM s.orders"),
        "Aggregate window functions with an ORDER BY clause require a frame clause"
    );
    assert_eq!(bench.rows("SELECT customer, RANK() OVER (ORDER BY COUNT(*) DESC) FROM s.orders GROUP BY customer ORDER BY 2, 1 LIMIT 1"), ["ann|1"]);
}

#[test]
fn names_that_mean_nothing_or_two_things_are_errors() {
    let bench = bench();
    assert_eq!(bench.fails("SELECT * FROM s.nothing"), "relation \"s.nothing\" does not exist");
    assert_eq!(bench.fails("SELECT * FROM nowhere.t"), "schema \"nowhere\" does not exist");
    assert_eq!(bench.fails("SELECT colour FROM s.orders"), "column \"colour\" does not exist in orders");
    assert_eq!(bench.fails("SELECT \"text\" FROM s.orders"), "column \"text\" does not exist in orders");
    assert!(bench.fails("SELECT id FROM s.orders a, s.orders b").contains("ambiguous"));
    assert!(bench.fails("SELECT x.id FROM s.orders o").contains("missing FROM-clause entry for table \"x\""));
    assert!(bench.fails("SELECT 1 FROM s.orders, s.orders").contains("specified more than once"));
    assert_eq!(bench.row("SELECT \"ORDERS\".\"ID\" FROM S.Orders WHERE Id = 1"), "1");
}

#[test]
fn an_alias_may_be_used_further_on_in_the_select_list() {
    let bench = bench();
    assert_eq!(bench.row("SELECT amount * 2 AS twice, twice + 1 FROM s.orders WHERE id = 1"), "21.00|22.00");
}

#[test]
fn a_wildcard_can_leave_columns_out() {
    let bench = bench();
    assert_eq!(bench.row("SELECT o.* EXCLUDE (at, amount) FROM s.orders o WHERE id = 2"), "2|bob");
}

#[test]
fn arrays_unnest_beside_their_table() {
    let bench = Bench::new();
    bench.ok("CREATE TABLE o (id INTEGER, items SUPER)");
    bench.ok("INSERT INTO o SELECT 1, JSON_PARSE('[{\"sku\":\"a\",\"n\":2},{\"sku\":\"b\",\"n\":1.50}]')");
    assert_eq!(bench.rows("SELECT o.id, i.sku::varchar, i.n FROM o, o.items AS i ORDER BY 2"), ["1|a|2", "1|b|1.50"]);
}

#[test]
fn what_is_not_supported_says_so() {
    let bench = bench();
    for (sql, form) in [
        ("SELECT DISTINCT ON (id) id FROM s.orders", "DISTINCT ON"),
        ("WITH RECURSIVE r AS (SELECT 1) SELECT * FROM r", "WITH RECURSIVE"),
        ("SELECT id FROM s.orders QUALIFY ROW_NUMBER() OVER (ORDER BY id) = 1", "QUALIFY"),
        ("SELECT md5('a')", "MD5(CHARACTER VARYING)"),
        ("SELECT 'a' SIMILAR TO 'b'", "SIMILAR TO"),
        ("SELECT customer, COUNT(*) FROM s.orders GROUP BY ROLLUP (customer)", "ROLLUP"),
    ] {
        let message = bench.fails(sql);
        assert!(message.starts_with("the sandbox does not support") && message.contains(form), "{sql}: {message}");
    }
}
