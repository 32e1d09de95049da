use crate::held::Held;
use crate::stack::{IDLE, Stack, eventually};
use common::clients::Clients;
use common::queue::Queue;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Raw files of one record for each of these event types.
async fn put_records(stack: &Stack, types: impl IntoIterator<Item = String>) {
    for event_type in types {
        stack.put_lines(&event_type, [format!(r#"{{"event":"{event_type}","n":1}}"#)]).await;
    }
}

/// Takes the load requests out of the live queue and puts them into the backfill lane's.
async fn move_to_backfill(stack: &Stack) {
    for body in stack.drain("routed-parts").await {
        stack.send("routed-parts-backfill", &body).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_lanes_are_loaded_and_a_source_in_both_is_loaded_once() {
    let stack = Stack::start().await;
    put_records(&stack, ["old".to_owned(), "both".into()]).await;
    stack.route().await;
    let bodies = stack.drain("routed-parts").await;
    for body in &bodies {
        stack.send("routed-parts-backfill", body).await;
        if body.contains(r#""event":"both""#) {
            stack.send("routed-parts", body).await;
        }
    }
    put_records(&stack, ["new".to_owned()]).await;
    stack.route_and_load().await;
    let counts = stack.table_counts().await;
    assert_eq!(counts, ["both", "new", "old"].map(|name| (name.to_owned(), 1)).into());
    for queue in ["routed-parts", "routed-parts-backfill"] {
        let queue = Queue::open(&stack.clients.sqs, queue, "routed").await.expect("open");
        assert!(queue.depth().await.expect("asked").is_empty(), "{}", queue.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_read_goes_to_the_dead_letter_queue_of_its_own_lane() {
    let stack = Stack::start().await;
    stack.send("routed-parts-backfill", "no request").await;
    stack.load().await.expect("nothing is left");
    assert_eq!(stack.drain("routed-parts-backfill-dlq").await, ["no request"]);
    assert!(stack.drain("routed-parts-dlq").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_backfill_queue_of_the_default_name_live_data_is_loaded() {
    let stack = Stack::start().await;
    let url = stack.queue_url("routed-parts-backfill").await;
    stack.clients.sqs.delete_queue().queue_url(url).send().await.expect("deleted");
    put_records(&stack, ["a".to_owned()]).await;
    stack.route_and_load().await;
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_tables_share_transactions_in_both_lanes() {
    let stack = Stack::start().await;
    let types = || (0..12).map(|n| format!("type_{n}"));
    put_records(&stack, types()).await;
    stack.route().await;
    move_to_backfill(&stack).await;
    for _ in 0..2 {
        put_records(&stack, types().map(|name| format!("live_{name}"))).await;
        stack.route_and_load().await;
    }
    let expected: BTreeMap<_, _> = types().chain(types().map(|name| format!("live_{name}"))).map(|t| (t, 1)).collect();
    assert_eq!(stack.table_counts().await, expected, "the second time is the same sources again");
    let loads = stack.query("SELECT COUNT(*), COUNT(DISTINCT batch) FROM log_router.loads").await;
    let [tables, batches] = [0, 1].map(|at| loads[0][at].parse::<u64>().expect("a number"));
    assert_eq!(tables, 24, "each table has its own row");
    assert!((4..=12).contains(&batches), "in {batches} transactions");
    let ledgers = "SELECT COUNT(*) FROM log_router.ledger_type_3 l JOIN log_router.loads h ON l.batch = h.batch AND h.event = 'type_3'";
    assert_eq!(stack.number(ledgers).await, 1);
    let most = "SELECT MAX(n) FROM (SELECT batch, COUNT(*) AS n FROM log_router.loads GROUP BY batch) t";
    assert!(stack.number(most).await <= 6);
}

/// A person made one of the tables so that COPY refuses every record.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_fails_in_a_shared_transaction_keeps_none_of_the_others_from_loading() {
    let stack = Stack::with("max_tries = 1\nstopped_retry = \"1s\"").await;
    stack.query("CREATE SCHEMA IF NOT EXISTS events").await;
    let create = "CREATE TABLE events.c (_source VARCHAR(32), _line BIGINT, _loaded_at TIMESTAMP DEFAULT SYSDATE, n BIGINT, must_have VARCHAR(10) NOT NULL)";
    stack.query(create).await;
    let types = ["a", "b", "d", "e"];
    put_records(&stack, types.map(str::to_owned)).await;
    stack.put_lines("c", [r#"{"event":"c","n":1,"must_have":null}"#]).await;
    stack.set_visibility("routed-parts", 5).await;
    stack.route().await;
    // Whatever becomes of the bad one is told elsewhere; here the others count.
    drop(stack.load().await);
    for name in types {
        assert_eq!(stack.number(&format!("SELECT COUNT(*) FROM events.{name}")).await, 1, "{name}");
    }
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_returns_the_messages_of_a_load_that_does_not_end_in_time() {
    let stack = Stack::start().await;
    stack.set_visibility("routed-parts", 600).await;
    put_records(&stack, (0..15).map(|n| format!("type_{n}"))).await;
    stack.route().await;
    // What COPY reads cannot be written: no load ends.
    let held = Held::requests(&stack.endpoint(), &["PUT /routed-logs/routed/_load/"]).await;
    let clients = Clients::for_endpoint(&held.endpoint).await;
    let mut settings = stack.settings.clone();
    (settings.loader.drain_timeout, settings.loader.workers) = (Duration::from_secs(1), 2);
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    let loader = tokio::spawn(async move { loader::run(&settings, &clients, None, token).await });
    let queue = Queue::open(&stack.clients.sqs, "routed-parts", "routed.queue").await.expect("open");
    let depth = || async { queue.depth().await.expect("asked") };
    let begun = || async {
        let gates = stack.try_query("SELECT COUNT(*) FROM svv_tables WHERE table_name LIKE 'gate_type%'").await;
        depth().await.in_flight == 15 && gates.is_ok_and(|rows| rows[0][0] != "0")
    };
    eventually("all in flight, and loads in work", begun).await;

    let stopping = Instant::now();
    shutdown.cancel();
    loader.await.expect("no panic").expect("shutdown is no failure");
    assert!(stopping.elapsed() < Duration::from_secs(8), "{:?}", stopping.elapsed());
    assert_eq!((depth().await.visible, depth().await.in_flight), (15, 0), "long before their visibility is over");
    held.release();
    stack.load().await.expect("loaded");
    assert_eq!(stack.table_counts().await.values().sum::<u64>(), 15);
    stack.assert_no_doubles().await;
}

/// Live data that keeps coming does not keep backfill from ending.
#[tokio::test(flavor = "multi_thread")]
async fn backfill_ends_beside_live_data_that_never_does() {
    let stack = Stack::with("workers = 1").await;
    put_records(&stack, (0..3).map(|n| format!("old_{n}"))).await;
    stack.route().await;
    move_to_backfill(&stack).await;
    let shutdown = CancellationToken::new();
    let (settings, clients, token) = (stack.settings.clone(), stack.clients.clone(), shutdown.clone());
    let router = tokio::spawn(async move { router::run(&settings, &clients, None, token).await });
    let (settings, clients, token) = (stack.settings.clone(), stack.clients.clone(), shutdown.clone());
    let loader = tokio::spawn(async move { loader::run(&settings, &clients, None, token).await });
    let mut put = 0;
    let backfilled = || async {
        stack
            .try_query("SELECT COUNT(*) FROM log_router.loads WHERE event LIKE 'old%'")
            .await
            .is_ok_and(|r| r[0][0] == "3")
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while !backfilled().await {
        assert!(Instant::now() < deadline, "backfill waits although it has its share");
        stack.put_lines(&format!("live-{put}"), [format!(r#"{{"event":"live_{}","n":1}}"#, put % 20)]).await;
        put += 1;
    }
    shutdown.cancel();
    loader.await.expect("no panic").expect("ended");
    router.await.expect("no panic").expect("ended");
    tokio::time::timeout(IDLE * 30, stack.route_and_load()).await.expect("the rest in time");
    assert_eq!(stack.table_counts().await.values().sum::<u64>(), 3 + put);
    stack.assert_no_doubles().await;
}
