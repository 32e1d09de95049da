use crate::stack::Stack;

async fn columns(stack: &Stack) -> Vec<String> {
    let sql = "SELECT column_name FROM svv_columns WHERE table_schema = 'events' AND table_name = 'a' ORDER BY ordinal_position";
    stack.query(sql).await.into_iter().map(|mut row| row.remove(0)).collect()
}

async fn left_out(stack: &Stack) -> Vec<String> {
    let sql = "SELECT detail FROM log_router.changes WHERE event = 'a' AND change = 'left out' ORDER BY detail";
    stack.query(sql).await.into_iter().map(|mut row| row.remove(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_table_leaves_new_fields_out_and_tells_each_once() {
    let stack = Stack::with("evolve = \"freeze\"").await;
    stack.put_lines("1", [r#"{"event":"a","n":1,"o":{"x":1}}"#]).await;
    stack.route_and_load().await;
    let made = columns(&stack).await;
    assert_eq!(made, ["_source", "_line", "_loaded_at", "event", "n", "o_x"], "the first load makes the table");

    let more = r#"{"event":"a","n":2,"o":{"x":2,"y":"new"},"plan":{"name":"pro"},"it's":"odd"}"#;
    for file in ["2", "3"] {
        stack.put_lines(file, [more]).await;
        stack.route_and_load().await;
    }
    assert_eq!(columns(&stack).await, made);
    assert_eq!(stack.query("SELECT n, o_x FROM events.a ORDER BY n").await, [["1", "1"], ["2", "2"], ["2", "2"]]);
    let reason = "the table is frozen";
    let expected = [r#"["it's"]"#, r#"["o","y"]"#, r#"["plan"]"#].map(|path| format!("{path}: {reason}"));
    assert_eq!(left_out(&stack).await, expected);

    // A person lets one of them in.
    stack.query("ALTER TABLE events.a ADD COLUMN o_y VARCHAR(256)").await;
    stack.put_lines("4", [r#"{"event":"a","n":4,"o":{"y":"kept"},"plan":{"name":"pro"}}"#]).await;
    stack.route_and_load().await;
    assert_eq!(stack.query("SELECT o_y FROM events.a WHERE n = 4").await, [["kept"]]);
    assert_eq!(left_out(&stack).await, expected, "nothing is told twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_a_known_field_find_their_place_in_a_frozen_table_too() {
    let stack = Stack::with("[tables.a]\nevolve = \"freeze\"").await;
    stack.put_lines("1", [r#"{"event":"a","n":1,"t":"short"}"#]).await;
    stack.route_and_load().await;
    let long = "x".repeat(300);
    stack.put_lines("2", [format!(r#"{{"event":"a","n":"two","t":"{long}","more":1}}"#)]).await;
    stack.put_lines("3", [r#"{"event":"b","n":1}"#, r#"{"event":"b","n":1,"more":2}"#]).await;
    stack.route_and_load().await;
    let rows = stack.query("SELECT n, n__varchar, LEN(t) FROM events.a ORDER BY 3").await;
    assert_eq!(rows, [["1", "NULL", "5"], ["NULL", "two", "300"]]);
    assert_eq!(left_out(&stack).await, [r#"["more"]: the table is frozen"#]);
    assert_eq!(stack.number("SELECT SUM(more) FROM events.b").await, 2, "other tables grow");
}
