use crate::stack::{Stack, eventually};
use common::load_request::LoadRequest;
use tokio_util::sync::CancellationToken;

/// The requests of the queue, taken out of it.
async fn requests(stack: &Stack) -> Vec<LoadRequest> {
    let bodies = stack.drain("routed-parts").await;
    bodies.iter().map(|body| LoadRequest::parse(body).expect("a request")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_removes_rows_of_a_table_that_gives_them_no_time() {
    let stack = Stack::start().await;
    stack.query("CREATE SCHEMA IF NOT EXISTS events").await;
    stack.query("CREATE TABLE events.a (_source VARCHAR(32), _line BIGINT, _loaded_at TIMESTAMP, n BIGINT)").await;
    stack.put_lines("1", [r#"{"event":"a","n":1}"#, r#"{"event":"a","n":2}"#]).await;
    stack.route().await;
    let mut request = requests(&stack).await.remove(0);
    stack.send("routed-parts", &request.to_json()).await;
    stack.load().await.expect("loaded");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a WHERE _loaded_at IS NULL").await, 2);
    request.generation = 1;
    stack.send("routed-parts", &request.to_json()).await;
    stack.load().await.expect("replaced");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_a_person_adds_under_a_running_loader_is_left_alone() {
    let stack = Stack::start().await;
    stack.put_lines("1", [r#"{"event":"a","n":1}"#]).await;
    stack.route().await;
    let shutdown = CancellationToken::new();
    let (settings, clients, token) = (stack.settings.clone(), stack.clients.clone(), shutdown.clone());
    let running = tokio::spawn(async move { loader::run(&settings, &clients, None, token).await });
    eventually("the first load", || async {
        stack.try_query("SELECT n FROM events.a").await.is_ok_and(|rows| rows.len() == 1)
    })
    .await;
    stack.query("ALTER TABLE events.a ADD COLUMN discount DECIMAL(8,2)").await;
    stack.put_lines("2", [r#"{"event":"a","n":2,"discount":0.12345}"#]).await;
    stack.route().await;
    eventually("the second load", || async { stack.number("SELECT COUNT(*) FROM events.a").await == 2 }).await;
    let row = stack.query("SELECT discount, discount__double FROM events.a WHERE n = 2").await;
    assert_eq!(row, [["NULL", "0.12345"]]);
    shutdown.cancel();
    running.await.expect("no panic").expect("ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapped_column_that_was_made_anew_with_another_type_stops_its_table() {
    let stack = Stack::start().await;
    stack.put_lines("1", [r#"{"event":"a","n":1.5}"#]).await;
    stack.route_and_load().await;
    stack.query("ALTER TABLE events.a DROP COLUMN n").await;
    stack.query("ALTER TABLE events.a ADD COLUMN n DECIMAL(8,2)").await;
    stack.put_lines("2", [r#"{"event":"a","n":0.12345}"#]).await;
    stack.set_visibility("routed-parts", 5).await;
    stack.route().await;
    let error = stack.load().await.expect_err("nothing is altered silently");
    assert!(error.contains("column \"n\"") && error.contains("DOUBLE PRECISION"), "{error}");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_without_values_is_null_in_a_column_of_another_type() {
    let stack = Stack::start().await;
    stack.put_lines("1", [r#"{"event":"a","i":1,"n":1,"t":"x","o":{"i":2}}"#]).await;
    stack.route_and_load().await;
    stack.put_lines("2", [r#"{"event":"a","i":2,"n":{},"t":{"b":null},"o":{"i":{}}}"#]).await;
    stack.route_and_load().await;
    let rows = stack.query("SELECT i, n, t, o_i FROM events.a ORDER BY i").await;
    assert_eq!(rows, [["1", "1", "x", "2"], ["2", "NULL", "NULL", "NULL"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_a_newer_router_ends_the_run_by_name() {
    let stack = Stack::start().await;
    stack.send("routed-parts", r#"{"version":99}"#).await;
    let error = stack.load().await.expect_err("something is left");
    assert!(error.contains("version 99") && error.contains("upgrade"), "{error}");
    assert!(stack.drain("routed-parts-dlq").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_varchar_grows_only_when_a_string_outgrows_it() {
    let stack = Stack::start().await;
    stack.query("CREATE SCHEMA IF NOT EXISTS events").await;
    stack.query("CREATE TABLE events.a (note VARCHAR(100))").await;
    let size = "SELECT character_maximum_length FROM svv_columns WHERE table_name = 'a' AND column_name = 'note'";
    for (length, expected) in [(50, "100"), (100, "100"), (101, "256")] {
        stack.put_lines(&length.to_string(), [format!(r#"{{"event":"a","note":"{}"}}"#, "x".repeat(length))]).await;
        stack.route_and_load().await;
        assert_eq!(stack.query(size).await, [[expected]], "{length}");
    }
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 3);
}
