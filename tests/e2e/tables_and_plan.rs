use crate::process::{command, output};
use crate::stack::Stack;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;

async fn loader(stack: &Stack, arguments: &[&str]) -> Output {
    let mut loader = command(stack, "loader");
    loader.current_dir(stack.dir()).args(arguments);
    output(loader).await
}

async fn json(stack: &Stack, arguments: &[&str]) -> Value {
    let ended = loader(stack, arguments).await;
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    serde_json::from_slice(&ended.stdout).expect("JSON")
}

/// Splits lines into `out`, and gives the seal's path there.
async fn split(stack: &Stack, name: &str, lines: &str) -> String {
    std::fs::write(stack.dir().join(name), lines).expect("written");
    let mut router = command(stack, "router");
    router.current_dir(stack.dir()).args(["split", "-o", "out", "--json", name]);
    let ended = output(router).await;
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let report: Value = serde_json::from_slice(&ended.stdout).expect("JSON");
    let seal = Path::new("out").join(report["seal"].as_str().expect("a seal"));
    seal.to_str().expect("ASCII").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_tells_rows_columns_and_freshness() {
    let stack = Stack::start().await;
    let nothing = loader(&stack, &["tables"]).await;
    assert_eq!(String::from_utf8_lossy(&nothing.stdout), "nothing was loaded yet\n");
    stack.put_lines("1", [r#"{"event":"order","id":1,"user":{"id":7}}"#, r#"{"event":"view","n":1}"#]).await;
    stack.put_lines("2", [r#"{"event":"order","id":"x"}"#, r#"{"event":"order","id":2}"#]).await;
    stack.route_and_load().await;
    let tables = json(&stack, &["tables", "--json"]).await;
    let order = &tables["tables"][0];
    assert_eq!((&order["event"], &order["table"]), (&json!("order"), &json!("events.order")));
    assert_eq!((&order["rows"], &order["files"], &order["rejected"]), (&json!(3), &json!(2), &json!(0)));
    assert!(order["last_load_age_seconds"].as_i64().expect("a number") < 60);
    assert!(order["newest_file_age_seconds"].as_i64().expect("a number") < 60);
    let columns = order["columns"].as_array().expect("columns");
    let column = |name: &str| columns.iter().find(|column| column["name"] == name).expect(name);
    assert_eq!(column("user_id")["path"], json!(["user", "id"]));
    assert_eq!(column("_source")["system"], json!(true));
    assert_eq!(column("_source")["type"], json!("varchar(32)"));

    let shown = loader(&stack, &["tables", "order"]).await;
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("/user/id") && !text.contains("view"), "{text}");
    let unknown = loader(&stack, &["tables", "nobody"]).await;
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("nobody"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_local_files_needs_no_warehouse_and_no_settings() {
    let stack = Stack::start().await;
    let seal = split(&stack, "raw.json", "{\"event\":\"order\",\"id\":1,\"at\":\"2025-06-01T00:00:00Z\"}\n").await;
    let mut loader = command(&stack, "loader");
    loader.current_dir(stack.dir().join("out")).env_remove("LOG_ROUTER_CONFIG").env_remove("AWS_ENDPOINT_URL");
    loader.env_remove("AWS_REGION").args(["plan", "--offline", &format!("../{seal}")]);
    let ended = output(loader).await;
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success(), "{text} {}", String::from_utf8_lossy(&ended.stderr));
    assert!(text.contains("order: 1 row in 1 part of 1 file, 1 COPY"), "{text}");
    assert!(text.contains("CREATE TABLE IF NOT EXISTS \"events\".\"order\"") && text.contains("TIMESTAMPTZ"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_against_the_warehouse_says_what_the_load_then_does_and_changes_nothing() {
    let stack = Stack::start().await;
    let tables = "SELECT COUNT(*) FROM svv_tables";
    let before = stack.number(tables).await;
    let first = split(&stack, "1.json", "{\"event\":\"order\",\"id\":1}\n").await;
    let plan = json(&stack, &["plan", "--json", &first]).await;
    assert_eq!(plan["events"][0]["changes"][0]["change"], json!("new table"));
    assert_eq!(stack.number(tables).await, before, "not even bookkeeping");

    stack.put_lines("1", [r#"{"event":"order","id":1}"#]).await;
    stack.route_and_load().await;
    let more = split(&stack, "2.json", "{\"event\":\"order\",\"id\":\"x\",\"new\":true}\n").await;
    let sealed = common::objects::list(&stack.clients.s3, "routed-logs", "seals/id/").await.expect("listed").remove(0);
    let loaded = format!("s3://routed-logs/{sealed}");
    let count = stack.number("SELECT COUNT(*) FROM log_router.columns").await;
    let plan = json(&stack, &["plan", "--json", &more, &loaded]).await;
    let order = &plan["events"][0];
    assert_eq!((&order["rows"], &order["files_loaded_already"]), (&json!(1), &json!(1)));
    assert_eq!(order["variants"], json!({"id__varchar": 1}));
    let statements: Vec<&str> =
        order["statements"].as_array().expect("statements").iter().filter_map(Value::as_str).collect();
    assert_eq!(
        statements,
        [
            r#"ALTER TABLE "events"."order" ADD COLUMN "id__varchar" VARCHAR(256)"#,
            r#"ALTER TABLE "events"."order" ADD COLUMN "new" BOOLEAN"#
        ]
    );
    assert_eq!(stack.number("SELECT COUNT(*) FROM log_router.columns").await, count);

    stack.put_lines("2", [r#"{"event":"order","id":"x","new":true}"#]).await;
    stack.route_and_load().await;
    let rows = stack.query("SELECT id, id__varchar, new FROM events.\"order\" ORDER BY 1").await;
    assert_eq!(rows, [["1", "NULL", "NULL"], ["NULL", "x", "true"]], "as planned");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_ends_in_a_stopped_table_says_why_and_fails() {
    let stack = Stack::start().await;
    stack.put_lines("1", [r#"{"event":"a","n":1.5}"#]).await;
    stack.route_and_load().await;
    stack.query("ALTER TABLE events.a DROP COLUMN n").await;
    stack.query("ALTER TABLE events.a ADD COLUMN n DECIMAL(8,2)").await;
    let seal = split(&stack, "2.json", "{\"event\":\"a\",\"n\":2.5}\n").await;
    let ended = loader(&stack, &["plan", &seal]).await;
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stdout).contains("the table would stop: column \"n\""));
    let missing = loader(&stack, &["plan", "nowhere.json"]).await;
    assert_eq!(missing.status.code(), Some(1));
    assert_eq!(loader(&stack, &["plan"]).await.status.code(), Some(2));
}
