use crate::altered::{Answer, answering};
use crate::process::router_log;
use crate::stack::{IDLE, Stack};
use common::queue::Queue;
use common::settings::Overwrite;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn table(name: &str, rows: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([(name.to_owned(), rows)])
}

async fn etag(stack: &Stack, key: &str) -> String {
    let head = stack.clients.s3.head_object().bucket("raw-logs").key(key).send().await.expect("it is there");
    head.e_tag.expect("an ETag").replace('"', "")
}

/// JSON may hold them unescaped, a message may not.
#[tokio::test(flavor = "multi_thread")]
async fn keys_with_characters_that_sqs_refuses_are_announced_and_loaded() {
    let stack = Stack::start().await;
    stack.put_lines("a.json.gz", ["{\"event\":\"x\",\"a\u{fffe}\":1,\"b\u{ffff}\":{\"c\u{fffe}\":2}}"]).await;
    stack.route_and_load().await;
    assert_eq!(stack.table_counts().await, table("x", 1));
    assert!(stack.drain("raw-objects").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_sqs_refuses_keeps_none_of_the_others_back() {
    let stack = Stack::start().await;
    let queue = Queue::open(&stack.clients.sqs, "routed-parts", "routed.queue").await.expect("open");
    let bodies = (0..25).map(|n| if n == 3 { "\u{ffff}".to_owned() } else { n.to_string() });
    let error = queue.send_all(bodies.collect::<Vec<_>>()).await.expect_err("one is refused");
    assert!(error.to_string().contains("InvalidMessageContents"), "{error}");
    assert_eq!(stack.drain("routed-parts").await.len(), 24);
}

/// Attribute and body count together, and the body alone nearly reaches the limit.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_the_largest_size_reaches_the_dead_letter_queue() {
    let stack = Stack::start().await;
    stack.drain("raw-objects").await;
    let body = "x".repeat((1 << 20) - 10);
    stack.send("raw-objects", &body).await;
    stack.route().await;
    assert_eq!(stack.drain("raw-objects-dlq").await, [body]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_proxy_or_a_bad_wire_says_about_an_object_sends_its_message_back() {
    let stack = Stack::start().await;
    stack.drain("raw-objects").await;
    stack.put_lines("a.json.gz", [r#"{"event":"x","n":1}"#]).await;
    stack.put_lines("b.json.gz", [r#"{"event":"x","n":2}"#]).await;
    let proxied = Answer::Instead { status: 404, body: "<html>Not Found</html>" };
    let clients = answering(&stack.clients, &etag(&stack, "a.json.gz").await, proxied);
    let clients = answering(&clients, &etag(&stack, "b.json.gz").await, Answer::WrongChecksum);
    let ended = router::run(&stack.settings, &clients, Some(IDLE), CancellationToken::new()).await;
    let error = common::telemetry::chain(&ended.expect_err("neither can be read"));
    for part in [
        "2 messages were not finished here",
        "GetObject on s3://raw-logs/a.json.gz failed: 404",
        "after its last byte: ",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
    assert!(!error.contains("416") && error.to_lowercase().contains("checksum"), "{error}");
    assert!(stack.seals().await.is_empty());
    let queue = Queue::open(&stack.clients.sqs, "raw-objects", "raw.queue").await.expect("open");
    let depth = queue.depth().await.expect("asked");
    assert_eq!(depth.visible + depth.in_flight, 2, "both are kept");
}

/// An upload that broke, then the whole file: the first gives no row, so the second is the first contents.
#[tokio::test(flavor = "multi_thread")]
async fn where_overwritten_keys_are_ignored_contents_without_records_claim_nothing() {
    let mut stack = Stack::start().await;
    stack.settings.raw.overwrite = Overwrite::Ignore;
    for broken in [Vec::new(), b"broken\n".to_vec()] {
        stack.put("a.json", broken).await;
        stack.route().await;
    }
    assert_eq!(stack.seals().await.len(), 2, "accounted for they are");
    for n in [1, 2] {
        stack.put("a.json", format!("{{\"event\":\"x\",\"n\":{n}}}\n").into_bytes()).await;
        stack.route_and_load().await;
        assert_eq!(stack.query("SELECT n FROM events.x").await, [["1"]]);
    }
    assert_eq!(stack.seals().await.len(), 3);
}

/// Claims are named by half a hash. Whoever finds another key's claim there is not overwritten.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_another_key_keeps_no_contents_out() {
    let mut stack = Stack::start().await;
    stack.settings.raw.overwrite = Overwrite::Ignore;
    stack.put_lines("a.json.gz", [r#"{"event":"x","n":1}"#]).await;
    stack.route_and_load().await;
    let keys = &stack.settings.keys;
    let [claim, _] = keys.claims("raw-logs", "a.json.gz");
    let [as_if_alike, full] = keys.claims("raw-logs", "b.json.gz");
    let seal = common::objects::get(&stack.clients.s3, "routed-logs", &claim).await.expect("claimed");
    let put = stack.clients.s3.put_object().bucket("routed-logs").key(&as_if_alike).body(seal.into());
    put.send().await.expect("stored");
    for n in [2, 3] {
        stack.put_lines("b.json.gz", [format!(r#"{{"event":"x","n":{n}}}"#)]).await;
        stack.route_and_load().await;
        assert_eq!(stack.query("SELECT n FROM events.x ORDER BY n").await, [["1"], ["2"]], "the first contents");
    }
    let full = common::objects::get(&stack.clients.s3, "routed-logs", &full).await.expect("claimed under its own hash");
    assert!(common::seal::Seal::parse("full", &full).expect("a seal").is_of_key("raw-logs", "b.json.gz"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_routed_once_more_is_logged_without_its_counts() {
    let stack = Stack::start().await;
    stack.put_lines("a.json.gz", [r#"{"event":"x"}"#]).await;
    let first = router_log(&stack).await;
    assert!(first.contains("records=1") && first.contains("routed s3://raw-logs/a.json.gz"), "{first}");
    stack.put_lines("a.json.gz", [r#"{"event":"x"}"#]).await;
    let again = router_log(&stack).await;
    assert!(!again.contains("records=") && again.contains("routed s3://raw-logs/a.json.gz once more"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_that_could_not_work_stop_the_start() {
    use aws_sdk_sqs::types::QueueAttributeName::MaximumMessageSize;
    let mut stack = Stack::start().await;
    let start = async |stack: &Stack| {
        let ended =
            router::run(&stack.settings, &stack.clients, Some(Duration::from_secs(1)), CancellationToken::new());
        ended.await.map_err(|error| common::telemetry::chain(&error))
    };
    let live = stack.settings.routed.queues.live.clone();
    for (queue, problem) in [
        ("parts.fifo".to_owned(), "routed.queue: queue \"parts.fifo\" is a FIFO queue: create a standard queue"),
        (stack.queue_url("raw-objects").await, "routed.queue is the same queue as raw.queue: give each its own"),
    ] {
        stack.settings.routed.queues.live = queue;
        assert_eq!(start(&stack).await.expect_err("refused"), problem);
    }
    stack.settings.routed.queues.live = live;
    start(&stack).await.expect("as provisioned");
    let url = stack.queue_url("routed-parts").await;
    let set = stack.clients.sqs.set_queue_attributes().queue_url(url).attributes(MaximumMessageSize, "65536");
    set.send().await.expect("set");
    let problem = start(&stack).await.expect_err("refused");
    assert!(problem.contains("takes messages of 65536 bytes, and 204800 are needed"), "{problem}");
}
