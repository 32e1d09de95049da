use crate::stack::Stack;

async fn columns(stack: &Stack, table: &str) -> Vec<(String, String)> {
    let sql = format!(
        "SELECT column_name, data_type FROM svv_columns WHERE table_schema = 'events' AND table_name = '{table}' ORDER BY ordinal_position"
    );
    stack.query(&sql).await.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
}

fn has(columns: &[(String, String)], name: &str, data_type: &str) -> bool {
    columns.iter().any(|(n, t)| n == name && t == data_type)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_file_adds_its_fields_and_earlier_rows_have_none() {
    let stack = Stack::start().await;
    stack.put_lines("1.json.gz", [r#"{"event":"view","id":1,"user":{"name":"Ada"}}"#]).await;
    stack.route_and_load().await;
    let before = columns(&stack, "view").await;
    assert_eq!(before[..3].iter().map(|c| c.0.as_str()).collect::<Vec<_>>(), ["_source", "_line", "_loaded_at"]);
    assert!(has(&before, "id", "bigint") && has(&before, "user_name", "character varying"), "{before:?}");

    let second = [
        r#"{"event":"view","id":2,"user":{"name":"Bo","age":7},"tags":["a"],"at":"2025-06-01T09:00:00Z","ok":true,"score":1.5}"#,
    ];
    stack.put_lines("2.json.gz", second).await;
    stack.route_and_load().await;
    let after = columns(&stack, "view").await;
    assert_eq!(after[..before.len()], before, "nothing is dropped, narrowed or moved");
    for (name, data_type) in [
        ("user_age", "bigint"),
        ("tags", "super"),
        ("at", "timestamp with time zone"),
        ("ok", "boolean"),
        ("score", "double precision"),
    ] {
        assert!(has(&after, name, data_type), "{name} {data_type} in {after:?}");
    }
    let rows = stack.query("SELECT id, user_name, user_age, ok FROM events.view ORDER BY id").await;
    assert_eq!(rows, [["1", "Ada", "NULL", "NULL"], ["2", "Bo", "7", "true"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn longer_strings_widen_their_column() {
    let stack = Stack::start().await;
    let lines = |n: usize| [format!(r#"{{"event":"view","text":"{}"}}"#, "é".repeat(n))];
    for (file, length) in [("1", 10), ("2", 1_000), ("3", 30_000)] {
        stack.put_lines(file, lines(length)).await;
        stack.route_and_load().await;
    }
    let lengths = stack.query("SELECT LEN(text), OCTET_LENGTH(text) FROM events.view ORDER BY 1").await;
    assert_eq!(lengths, [["10", "20"], ["1000", "2000"], ["30000", "60000"]]);
    let sql = "SELECT character_maximum_length FROM svv_columns WHERE table_name = 'view' AND column_name = 'text'";
    assert_eq!(stack.query(sql).await, [["65535"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_another_type_goes_to_a_variant_column_whole() {
    let stack = Stack::start().await;
    stack.put_lines("1", [r#"{"event":"order","price":10}"#]).await;
    stack.route_and_load().await;
    stack.put_lines("2", [r#"{"event":"order","price":"12 EUR"}"#]).await;
    stack.put_lines("3", [r#"{"event":"order","price":11}"#]).await;
    stack.put_lines("4", [r#"{"event":"order","price":{"amount":13}}"#]).await;
    stack.route_and_load().await;
    let rows = stack.query("SELECT price, price__varchar FROM events.\"order\" ORDER BY 1, 2").await;
    assert_eq!(rows.len(), 4);
    assert!(rows.contains(&vec!["10".into(), "NULL".into()]) && rows.contains(&vec!["11".into(), "NULL".into()]));
    assert!(rows.contains(&vec!["NULL".into(), "12 EUR".into()]), "{rows:?}");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.\"order\" WHERE price__super IS NOT NULL").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_keep_all_their_digits() {
    let stack = Stack::start().await;
    let line = r#"{"event":"n","small":1,"big":9223372036854775807,"huge":123456789012345678901234567890,"pi":3.141592653589793238462643383279,"half":0.5}"#;
    stack.put_lines("1", [line]).await;
    stack.route_and_load().await;
    let rows = stack.query("SELECT small, big, huge, pi, half FROM events.n").await;
    let expected =
        ["1", "9223372036854775807", "123456789012345678901234567890", "3.141592653589793238462643383279", "0.5"];
    assert_eq!(rows, [expected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_no_column_names_keep_their_values() {
    let stack = Stack::start().await;
    let lines = [
        r#"{"event":"odd","userId":1,"userid":2,"user.id":3,"select":"x","_source":"mine","日本":"y"}"#,
        r#"{"event":"odd","it's":"quoted","userId":4}"#,
    ];
    stack.put_lines("1", lines).await;
    stack.route_and_load().await;
    let names: Vec<String> = columns(&stack, "odd").await.into_iter().map(|c| c.0).collect();
    for name in ["user_id", "userid", "select", "_record"] {
        assert!(names.iter().any(|n| n == name), "{name} in {names:?}");
    }
    assert_eq!(names.len(), names.iter().collect::<std::collections::BTreeSet<_>>().len());
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.odd").await, 2);
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.odd WHERE \"select\" = 'x'").await, 1);
    assert_eq!(stack.number("SELECT COUNT(DISTINCT _source) FROM events.odd").await, 1, "_source is ours");
}
