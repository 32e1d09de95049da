use crate::altered::{Answer, answering};
use crate::held::Held;
use crate::process::{Running, command};
use crate::redelivery::notification_of;
use crate::stack::{IDLE, Stack, eventually};
use common::clients::Clients;
use common::queue::{Fate, Queue};
use common::source::SourceObject;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

async fn sealed(stack: &Stack) -> usize {
    common::objects::list(&stack.clients.s3, "routed-logs", "seals/id/").await.expect("listed").len()
}

/// A small gzip file that takes a debug build minutes to read: gigabytes of blank lines.
fn heavy() -> Vec<u8> {
    use std::io::Write;
    let mut member = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let lines = vec![b'\n'; 1 << 20];
    for _ in 0..64 {
        member.write_all(&lines).expect("in memory");
    }
    member.finish().expect("in memory").repeat(60)
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_returns_at_once_what_cannot_be_finished_in_time() {
    let stack = Stack::start().await;
    stack.set_visibility("raw-objects", 600).await;
    for key in ["begun.gz", "waiting.gz"] {
        stack.put(key, heavy()).await;
    }
    let log = stack.dir().join("router.log");
    let mut router = command(&stack, "router");
    router.arg("run").env("LOG_ROUTER_LOG", "debug,hyper_util=warn,aws_smithy_runtime=warn");
    router.env("LOG_ROUTER_ROUTER_WORKERS", "1").env("LOG_ROUTER_ROUTER_DRAIN_TIMEOUT", "1s");
    let router = Running::start_with_log(router, &log);
    let logged = |text: &str| std::fs::read_to_string(&log).expect("a log").contains(text);
    let queue = Queue::open(&stack.clients.sqs, "raw-objects", "raw.queue").await.expect("open");
    let both_received = || async { queue.depth().await.expect("asked").in_flight == 2 };
    eventually("both messages in flight, one being routed", || async {
        logged("routing s3://raw-logs/") && both_received().await
    })
    .await;

    let stopping = Instant::now();
    assert_eq!(router.terminate().await, Some(0));
    let took = stopping.elapsed();
    assert!(logged("gave up waiting"), "the object was in work when the time was over");
    assert!(took < Duration::from_secs(10), "{took:?}");
    let mut received = queue.receive(10, Duration::from_secs(1)).await.expect("received");
    received.extend(queue.receive(10, Duration::from_secs(1)).await.expect("received"));
    assert_eq!(received.len(), 2, "both can be received long before their visibility timeout is over");
    assert_eq!(sealed(&stack).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_downloads_and_uploads_do_not_hold_the_only_worker_up() {
    let stack = Stack::start().await;
    stack.put_lines("stalled", [r#"{"event":"stalled"}"#]).await;
    stack.put_lines("slow", [r#"{"event":"slow"}"#]).await;
    for n in 0..20 {
        stack.put_lines(&format!("quick-{n}"), [r#"{"event":"quick"}"#]).await;
    }
    let held = Held::requests(&stack.endpoint(), &["GET /raw-logs/stalled", "PUT /routed-logs/routed/slow/"]).await;
    let clients = Clients::for_endpoint(&held.endpoint).await;
    let mut settings = stack.settings.clone();
    settings.router.workers = 1;
    let router =
        tokio::spawn(async move { router::run(&settings, &clients, Some(IDLE), CancellationToken::new()).await });
    eventually("everything else", || async { sealed(&stack).await == 20 }).await;
    assert!(!router.is_finished());
    held.release();
    router.await.expect("no panic").expect("all is done");
    assert_eq!(sealed(&stack).await, 22);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_received_than_may_be_in_flight_and_nothing_not_begun_is_kept() {
    let stack = Stack::start().await;
    stack.drain("raw-objects").await;
    stack.set_visibility("raw-objects", 600).await;
    for n in 0..10 {
        stack.put_lines(&format!("stalled-{n}"), [r#"{"event":"stalled"}"#]).await;
    }
    let held = Held::requests(&stack.endpoint(), &["GET /raw-logs/stalled"]).await;
    let clients = Clients::for_endpoint(&held.endpoint).await;
    let mut settings = stack.settings.clone();
    (settings.router.workers, settings.router.objects_in_flight) = (2, 3);
    settings.router.drain_timeout = Duration::from_secs(600);
    let shutdown = CancellationToken::new();
    let router = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { router::run(&settings, &clients, None, shutdown).await }
    });
    let queue = Queue::open(&stack.clients.sqs, "raw-objects", "raw.queue").await.expect("open");
    let depth = || async { queue.depth().await.expect("asked") };
    eventually("three in flight", || async { depth().await.in_flight == 3 }).await;
    assert_eq!(depth().await.visible, 7);

    shutdown.cancel();
    router.await.expect("no panic").expect("shutdown is no failure");
    assert_eq!(depth().await.visible, 10, "although their visibility timeout is not over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_whose_heartbeat_failed_is_not_settled() {
    let stack = Stack::start().await;
    stack.set_visibility("routed-parts", 3).await;
    let queue = Queue::open(&stack.clients.sqs, "routed-parts", "routed.queue").await.expect("open");
    let url = stack.queue_url("routed-parts").await;
    for body in ["held", "lost"] {
        stack.send("routed-parts", body).await;
        let delivery = queue.receive(1, Duration::from_secs(5)).await.expect("received").remove(0);
        if body == "lost" {
            stack.clients.sqs.purge_queue().queue_url(&url).send().await.expect("purged");
            eventually("a failed heartbeat", || async { delivery.is_lost() }).await;
        }
        delivery.settle(&Fate::DeadLetter { why: "to be seen".to_owned() }).await.expect("no call failed");
    }
    assert_eq!(stack.drain("routed-parts-dlq").await, ["held"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_message_was_lost_before_its_turn_is_left_to_others() {
    let stack = Stack::start().await;
    stack.set_visibility("raw-objects", 3).await;
    stack.put_lines("held", [r#"{"event":"x"}"#]).await;
    let held = Held::requests(&stack.endpoint(), &["GET /raw-logs/held"]).await;
    let log = stack.dir().join("router.log");
    let mut router = command(&stack, "router");
    router.arg("run").env("AWS_ENDPOINT_URL", &held.endpoint);
    let router = Running::start_with_log(router, &log);
    let logged = async |text: &str| {
        eventually(text, || async { std::fs::read_to_string(&log).expect("a log").contains(text) }).await;
    };
    let queue = Queue::open(&stack.clients.sqs, "raw-objects", "raw.queue").await.expect("open");
    logged("deleted S3's test event").await;
    let only_held = || async {
        let depth = queue.depth().await.expect("asked");
        (depth.visible, depth.in_flight) == (0, 1)
    };
    eventually("the object alone in flight", only_held).await;
    let url = stack.queue_url("raw-objects").await;
    stack.clients.sqs.purge_queue().queue_url(&url).send().await.expect("purged");
    logged("could not keep a message invisible").await;
    held.release();
    logged("lost the message while working on it").await;
    // The router's sweep writes its marks meanwhile; of the object there is nothing.
    for prefix in ["routed/", "quarantine/", "seals/id/"] {
        let written = common::objects::list(&stack.clients.s3, "routed-logs", prefix).await.expect("listed");
        assert!(written.is_empty(), "{written:?}");
    }
    assert_eq!(router.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn until_idle_ends_and_names_an_object_that_keeps_failing() {
    let stack = Stack::start().await;
    let mut sources = Vec::new();
    for key in ["forbidden.json", "fine.json"] {
        stack.put_lines(key, [format!(r#"{{"event":"a","key":"{key}"}}"#)]).await;
        let head = stack.clients.s3.head_object().bucket("raw-logs").key(key).send().await.expect("there");
        sources.push(SourceObject {
            bucket: "raw-logs".into(),
            key: key.into(),
            etag: head.e_tag.unwrap_or_default().replace('"', ""),
            version_id: None,
            time: time::OffsetDateTime::UNIX_EPOCH,
            bytes: 0,
        });
    }
    // One message for both, the bad one first.
    stack.drain("raw-objects").await;
    let body: String = sources.iter().map(notification_of).collect();
    stack.send("raw-objects", &body.replace("]}{\"Records\":[", ",")).await;

    let denied = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
    let clients = answering(&stack.clients, &sources[0].etag, Answer::Instead { status: 403, body: denied });
    let ended = router::run(&stack.settings, &clients, Some(IDLE), CancellationToken::new()).await;
    let error = common::telemetry::chain(&ended.expect_err("one object is not routed"));
    for part in [
        "raw.queue",
        "1 message was not finished here",
        "GetObject on s3://raw-logs/forbidden.json failed: 403 AccessDenied: Access Denied (request ",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
    assert_eq!(sealed(&stack).await, 1, "its neighbour in the message is routed");

    // The cause is gone: the queue brings the message again.
    eventually("its pause", || async {
        let queue = Queue::open(&stack.clients.sqs, "raw-objects", "raw.queue").await.expect("open");
        queue.depth().await.expect("asked").visible == 1
    })
    .await;
    stack.route().await;
    assert_eq!(sealed(&stack).await, 2);
    assert!(stack.drain("raw-objects-dlq").await.is_empty());
}
