use crate::stack::Stack;
use common::load_request::LoadRequest;
use std::collections::BTreeSet;
use time::macros::datetime;

async fn readable(stack: &Stack, kind: &str, name: &str) -> BTreeSet<String> {
    let sql = format!(
        "SELECT namespace_name || '.' || relation_name FROM svv_relation_privileges WHERE privilege_type = 'SELECT' AND identity_type = '{kind}' AND identity_name = '{name}'"
    );
    stack.query(&sql).await.into_iter().map(|mut row| row.remove(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_may_read_tables_and_history_and_never_gates_or_ledgers() {
    let stack = Stack::with("grant_to = [\"role analysts\", \"user jane\"]\n[tables.a]\nkey = [\"n\"]").await;
    // A table of somebody else's in the same schema is nobody's business.
    stack.query("CREATE SCHEMA events").await;
    stack.query("CREATE TABLE events.private (a INT)").await;
    stack.put_lines("1", [r#"{"event":"a","n":1}"#]).await;
    stack.route_and_load().await;
    let usage =
        "SELECT namespace_name, identity_name FROM svv_schema_privileges WHERE privilege_type = 'USAGE' ORDER BY 1, 2";
    let both = [["events", "analysts"], ["events", "jane"], ["log_router", "analysts"], ["log_router", "jane"]];
    assert_eq!(stack.query(usage).await, both);
    let analysts = readable(&stack, "role", "analysts").await;
    for name in ["events.a", "events.a_latest", "log_router.loads", "log_router.tables", "log_router.columns"] {
        assert!(analysts.contains(name), "{name} in {analysts:?}");
    }
    let private =
        analysts.iter().find(|name| ["private", "gate_", "ledger_", "claim"].iter().any(|part| name.contains(part)));
    assert_eq!(private, None);
    assert_eq!(readable(&stack, "user", "jane").await, analysts);

    // What was taken away by mistake is given again at the next start, and nothing else is done.
    stack.query("REVOKE SELECT ON events.a FROM ROLE analysts").await;
    stack.load().await.expect("nothing to load");
    assert_eq!(readable(&stack, "role", "analysts").await, analysts);
}

async fn latest(stack: &Stack) -> Vec<Vec<String>> {
    stack.query("SELECT id, state FROM events.order_latest ORDER BY 1").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_view_shows_the_newest_version_in_whatever_order_files_come() {
    let key = "[tables.order]\nkey = [\"id\"]\nversion = \"/meta/at\"";
    let stack = Stack::with(key).await;
    let line = |id: &str, at: &str, state: &str| {
        format!(r#"{{"event":"order","id":{id},"meta":{{"at":"2025-06-01T0{at}:00:00Z"}},"state":"{state}"}}"#)
    };
    stack.put_lines("new", [line("1", "3", "sent"), line("2", "1", "new"), line("2", "1", "newer line")]).await;
    stack.route_and_load().await;
    stack.put_lines("late", [line("1", "1", "new"), line("1", "2", "paid"), line("3", "1", "new")]).await;
    stack.route_and_load().await;
    let expected = [["1", "sent"], ["2", "newer line"], ["3", "new"]];
    assert_eq!(latest(&stack).await, expected);

    // A new column shows by itself, a key of another type is a key of its own, and a record without one is none.
    stack.put_lines("more", [r#"{"event":"order","id":"x","state":"odd","extra":7}"#]).await;
    stack.put_lines("none", [r#"{"event":"order","state":"lost"}"#]).await;
    stack.route_and_load().await;
    let rows = stack.query("SELECT id, id__varchar, state, extra FROM events.order_latest ORDER BY 1, 2").await;
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[3], ["NULL", "x", "odd", "7"]);
    // Columns still grow under the view.
    stack.put_lines("long", [line("4", "1", &"x".repeat(300))]).await;
    stack.route_and_load().await;
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.order_latest").await, 5);
    let views = "SELECT COUNT(*) FROM log_router.changes WHERE change = 'new view' AND detail = 'events.order_latest'";
    assert_eq!(stack.number(views).await, 1, "told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_version_the_newest_file_counts_and_a_view_comes_with_its_setting() {
    let mut stack = Stack::start().await;
    for (file, state) in [("1", "first"), ("2", "second"), ("3", "third")] {
        stack.put_lines(file, [format!(r#"{{"event":"order","id":1,"state":"{state}"}}"#)]).await;
    }
    stack.route().await;
    // S3's clock counts seconds: the files get times of their own here.
    let (seals, bodies) = (stack.seals().await, stack.drain("routed-parts").await);
    let second = &seals.iter().find(|seal| seal.source.key == "2").expect("routed").source_id;
    for body in bodies {
        let mut request = LoadRequest::parse(&body).expect("a request");
        let is_second = request.source_id == *second;
        request.source_time = if is_second { datetime!(2025-06-02 00:00 UTC) } else { datetime!(2025-06-01 00:00 UTC) };
        stack.send("routed-parts", &request.to_json()).await;
    }
    stack.load().await.expect("loaded");
    assert!(stack.try_query("SELECT * FROM events.order_latest").await.is_err(), "nobody asked for it");
    stack.reset("[tables.order]\nkey = [\"id\"]");
    stack.load().await.expect("nothing to load");
    assert_eq!(latest(&stack).await, [["1", "second"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_where_the_view_would_be_stops_no_load() {
    let stack = Stack::with("[tables.a]\nkey = [\"n\"]").await;
    stack.query("CREATE SCHEMA events").await;
    stack.query("CREATE TABLE events.a_latest (n INT)").await;
    stack.put_lines("1", [r#"{"event":"a","n":1}"#]).await;
    stack.route_and_load().await;
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 1);
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a_latest").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_called_like_a_view_stops_alone_and_says_why() {
    let mut stack = Stack::with("[tables.a]\nkey = [\"n\"]").await;
    stack.put_lines("1", [r#"{"event":"a","n":1}"#]).await;
    stack.route_and_load().await;
    // The view stays when the setting goes.
    stack.reset("stopped_retry = \"1s\"");
    stack.put_lines("2", [r#"{"event":"a_latest","n":2}"#, r#"{"event":"a","n":3}"#]).await;
    stack.set_visibility("routed-parts", 5).await;
    stack.route().await;
    let error = stack.load().await.expect_err("it has no table");
    assert!(error.contains("a_latest is the view of the newest rows of a"), "{error}");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a_latest").await, 2);
}
