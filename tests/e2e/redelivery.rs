use crate::stack::Stack;
use common::source::SourceObject;
use serde_json::json;
use std::collections::BTreeMap;

/// S3's message about an object, as it would come a second time.
pub(crate) fn notification_of(source: &SourceObject) -> String {
    let key = source.key.replace('+', "%2B").replace(' ', "+");
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": source.bucket}, "object": {"key": key, "size": source.bytes, "eTag": source.etag}},
    }]})
    .to_string()
}

fn table(name: &str, rows: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([(name.to_owned(), rows)])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_delivered_again_changes_nothing() {
    let stack = Stack::start().await;
    for hour in ["09", "10"] {
        stack.put_lines(&format!("{hour}.json.gz"), fixtures::shop(hour.len() as u64, 400).map(|l| l.bytes)).await;
    }
    stack.route().await;
    let requests = stack.drain("routed-parts").await;
    assert!(requests.len() > 8);
    for body in requests.iter().chain(&requests) {
        stack.send("routed-parts", body).await;
    }
    stack.load().await.expect("loaded");
    let before = stack.table_counts().await;
    assert_eq!(before.values().sum::<u64>(), 800);
    stack.assert_no_doubles().await;

    // Every notification and every load request once more.
    for seal in stack.seals().await {
        stack.send("raw-objects", &notification_of(&seal.source)).await;
    }
    for body in &requests {
        stack.send("routed-parts", body).await;
    }
    stack.route_and_load().await;
    assert_eq!(stack.table_counts().await, before);
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_routers_with_the_same_object_leave_one_seal() {
    let stack = Stack::start().await;
    stack.put_lines("a.json.gz", fixtures::shop(1, 500).map(|l| l.bytes)).await;
    let source = {
        stack.route().await;
        stack.seals().await.remove(0).source
    };
    for _ in 0..4 {
        stack.send("raw-objects", &notification_of(&source)).await;
    }
    tokio::join!(stack.route(), stack.route());
    stack.load().await.expect("loaded");
    assert_eq!(stack.seals().await.len(), 1);
    assert_eq!(stack.table_counts().await.values().sum::<u64>(), 500);
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_loaders_at_once_load_each_record_once() {
    let stack = Stack::start().await;
    for n in 0..6 {
        stack.put_lines(&format!("{n}.json.gz"), fixtures::shop(n, 200).map(|l| l.bytes)).await;
    }
    stack.route().await;
    for seal in stack.seals().await {
        stack.send("raw-objects", &notification_of(&seal.source)).await;
    }
    stack.route().await;
    let (a, b) = tokio::join!(stack.load(), stack.load());
    a.and(b).expect("both end well");
    assert_eq!(stack.table_counts().await.values().sum::<u64>(), 1_200);
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_contents_under_an_old_key_are_a_new_source() {
    let stack = Stack::start().await;
    stack.put_lines("a.json.gz", [r#"{"event":"x","n":1}"#]).await;
    stack.route_and_load().await;
    stack.put_lines("a.json.gz", [r#"{"event":"x","n":2}"#]).await;
    stack.route_and_load().await;
    assert_eq!(stack.table_counts().await, table("x", 2));
    // The notification of what was overwritten: superseded, and what it spoke of is sealed and announced.
    let old = stack.seals().await.into_iter().map(|seal| seal.source).min_by_key(|s| s.time).expect("two seals");
    stack.send("raw-objects", &notification_of(&old)).await;
    stack.route_and_load().await;
    assert_eq!(stack.table_counts().await, table("x", 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_no_work_end_where_they_belong() {
    let stack = Stack::start().await;
    let gone = SourceObject {
        bucket: "raw-logs".into(),
        key: "deleted before it was read.json".into(),
        etag: "0123".into(),
        version_id: None,
        time: time::OffsetDateTime::UNIX_EPOCH,
        bytes: 1,
    };
    let elsewhere = SourceObject { bucket: "other-bucket".into(), ..gone.clone() };
    stack.send("raw-objects", r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"raw-logs"}"#).await;
    stack.send("raw-objects", &notification_of(&gone)).await;
    stack.send("raw-objects", &notification_of(&elsewhere)).await;
    stack.send("raw-objects", "hello").await;
    stack.send("routed-parts", "hello").await;
    stack.route_and_load().await;
    let mut unreadable = stack.drain("raw-objects-dlq").await;
    unreadable.sort();
    assert_eq!(unreadable.len(), 2);
    assert!(unreadable[0] == "hello" || unreadable[1] == "hello");
    assert_eq!(stack.drain("routed-parts-dlq").await, ["hello"]);
}
