use crate::stack::Stack;

/// A person made the table with a column that no record fills: COPY refuses every record.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_refuses_its_data_stops_loudly_and_alone() {
    let stack = Stack::with("max_tries = 2\nstopped_retry = \"1s\"").await;
    stack.query("CREATE SCHEMA IF NOT EXISTS events").await;
    let create = "CREATE TABLE events.bad (_source VARCHAR(32), _line BIGINT, _loaded_at TIMESTAMP DEFAULT SYSDATE, n VARCHAR(256), must_have VARCHAR(10) NOT NULL)";
    stack.query(create).await;
    stack.put_lines("1", [r#"{"event":"bad","n":"1","must_have":null}"#, r#"{"event":"good","n":1}"#]).await;
    stack.set_visibility("routed-parts", 5).await;
    stack.route().await;
    let error = stack.load().await.expect_err("the stopped table is reported");
    assert!(error.contains("bad"), "{error}");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.good").await, 1, "the other table is loaded");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.bad").await, 0);
    assert!(stack.drain("routed-parts-dlq").await.is_empty(), "its request is still in the queue");

    // The cause is gone: it catches up by itself.
    stack.query("ALTER TABLE events.bad DROP COLUMN must_have").await;
    stack.load().await.expect("nothing is stopped any more");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.bad").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_gone_is_set_aside_and_its_neighbours_load() {
    let stack = Stack::with("max_tries = 2").await;
    for n in 0..5 {
        stack.put_lines(&format!("{n}"), [format!(r#"{{"event":"a","n":{n}}}"#)]).await;
    }
    stack.route().await;
    let seals = stack.seals().await;
    let lost = &seals[2].events[0].parts[0].key;
    stack.clients.s3.delete_object().bucket("routed-logs").key(lost).send().await.expect("deleted");
    stack.load().await.expect("the rest is loaded");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 4);
    let failed = stack.query("SELECT source_id, event FROM log_router.failed").await;
    assert_eq!(failed, [[seals[2].source_id.as_str(), "a"]]);
    assert_eq!(stack.drain("routed-parts-dlq").await.len(), 1);
}
