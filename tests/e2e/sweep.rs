use crate::held::Held;
use crate::process::{command, output};
use crate::stack::{Stack, eventually};
use common::clients::Clients;
use common::load_request::LoadRequest;
use common::queue::{Fate, Queue};
use common::seal::Seal;
use common::source::SourceId;
use common::swept::{Mark, SWEPT_VERSION};
use loader::{Owed, Report, Selection, Swept};
use std::collections::BTreeMap;
use std::time::Duration;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

const NO_LAG: &str = "[sweep]\nlag = \"0s\"";

/// Stopped tables defer at once.
const DEFERRING: &str = "max_tries = 1\nstopped_retry = \"1s\"\ndefer_after = \"0s\"\n[sweep]\nlag = \"0s\"";

const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);

async fn sweep_with(stack: &Stack, clients: &Clients, dry_run: bool) -> Swept {
    let swept = loader::sweep(&stack.settings, clients, dry_run, &CancellationToken::new()).await;
    swept.unwrap_or_else(|error| panic!("{}", common::telemetry::chain(&error)))
}

async fn sweep(stack: &Stack) -> Report {
    match sweep_with(stack, &stack.clients, false).await {
        Swept::Done(report) => report,
        other => panic!("{other:?}"),
    }
}

fn owed(owed: u64, announced: u64, failed: u64, left: u64) -> Owed {
    Owed { owed, announced, failed, left }
}

/// Messages of a queue, receivable or not.
async fn messages(stack: &Stack, queue: &str) -> u64 {
    let depth = Queue::open(&stack.clients.sqs, queue, "test").await.expect(queue).depth().await.expect("known");
    depth.visible + depth.in_flight + depth.delayed
}

/// Takes everything out of a queue; any number of times, unlike a purge.
pub(crate) async fn take(stack: &Stack, queue: &str) -> Vec<String> {
    let queue = Queue::open(&stack.clients.sqs, queue, "test").await.expect("there");
    let mut bodies = Vec::new();
    loop {
        let deliveries = queue.receive(10, Duration::ZERO).await.expect("received");
        if deliveries.is_empty() {
            return bodies;
        }
        for delivery in deliveries {
            bodies.push(delivery.body.clone());
            delivery.settle(&Fate::Delete).await.expect("deleted");
        }
    }
}

async fn put(stack: &Stack, key: &str, bytes: Vec<u8>) {
    let put = stack.clients.s3.put_object().bucket("routed-logs").key(key).body(bytes.into());
    put.send().await.expect("stored");
}

async fn delete(stack: &Stack, key: &str) {
    stack.clients.s3.delete_object().bucket("routed-logs").key(key).send().await.expect("deleted");
}

/// Makes it as if the source had come, and been sealed, at other times.
pub(crate) async fn backdate(stack: &Stack, seal: &Seal, source_time: OffsetDateTime, sealed_at: OffsetDateTime) {
    let keys = &stack.settings.keys;
    delete(stack, &keys.hour_index(seal.source.time, &seal.source_id, 0)).await;
    delete(stack, &keys.day_index(seal.sealed_at, &seal.source_id, 0)).await;
    let mut seal = seal.clone();
    (seal.source.time, seal.sealed_at) = (source_time, sealed_at);
    put(stack, &keys.seal(&seal.source_id, 0), seal.to_json()).await;
    put(stack, &keys.hour_index(source_time, &seal.source_id, 0), Vec::new()).await;
    put(stack, &keys.day_index(sealed_at, &seal.source_id, 0), Vec::new()).await;
}

/// A column of another type is in the way of `a`: its table stops, and `good` goes on.
async fn stack_with_a_table_that_stops(files: u64) -> Stack {
    let stack = Stack::with(DEFERRING).await;
    stack.put_lines("0", [r#"{"event":"a","n":1.5}"#, r#"{"event":"good"}"#]).await;
    stack.route_and_load().await;
    stack.query("ALTER TABLE events.a DROP COLUMN n").await;
    stack.query("ALTER TABLE events.a ADD COLUMN n DECIMAL(8,2)").await;
    for n in 1..files {
        stack.put_lines(&n.to_string(), [r#"{"event":"a","n":0.12345}"#, r#"{"event":"good"}"#]).await;
    }
    stack.route().await;
    stack
}

async fn mend(stack: &Stack) {
    stack.query("ALTER TABLE events.a DROP COLUMN n").await;
    stack.query("ALTER TABLE events.a ADD COLUMN n DOUBLE PRECISION").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_tables_requests_leave_the_queue_and_it_catches_up_with_nobody_touching_anything() {
    let stack = stack_with_a_table_that_stops(8).await;
    let shutdown = CancellationToken::new();
    let (settings, clients, token) = (stack.settings.clone(), stack.clients.clone(), shutdown.clone());
    let running = tokio::spawn(async move { loader::run(&settings, &clients, None, token).await });
    eventually("the other table", || async { stack.number("SELECT COUNT(*) FROM events.good").await == 8 }).await;
    eventually("deferral", || async { messages(&stack, "routed-parts").await <= 1 }).await;
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 1);

    mend(&stack).await;
    eventually("the table to catch up", || async { stack.number("SELECT COUNT(*) FROM events.a").await == 8 }).await;
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a WHERE n = 0.12345").await, 7);
    stack.assert_no_doubles().await;
    shutdown.cancel();
    running.await.expect("no panic").expect("ended");
    assert_eq!(sweep(&stack).await.events, BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_sealed_is_ever_deferred() {
    let stack = stack_with_a_table_that_stops(4).await;
    let bodies = take(&stack, "routed-parts").await;
    let mut requests = bodies.iter().map(|body| LoadRequest::parse(body).expect("a request"));
    let mut request = requests.find(|request| request.event.as_str() == "a").expect("a request");
    for n in 0..3 {
        request.source_id = SourceId::new("nobody", &n.to_string(), "sealed this");
        stack.send("routed-parts", &request.to_json()).await;
    }
    stack.load().await.expect_err("the stopped table is reported");
    // The first sweep of the run announced what was drained; of that one request is kept.
    assert!(messages(&stack, "routed-parts").await >= 3, "a request without a seal stays in the queue");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_gone_from_the_queue_is_found_by_the_next_run() {
    let stack = Stack::with(NO_LAG).await;
    for n in 0..3 {
        stack.put_lines(&n.to_string(), fixtures::shop(n, 100).map(|line| line.bytes)).await;
    }
    stack.route().await;
    assert!(take(&stack, "routed-parts").await.len() > 9);
    // One of them comes on the backfill lane.
    let long_ago = OffsetDateTime::now_utc() - 30 * DAY;
    backdate(&stack, &stack.seals().await[0], long_ago, long_ago).await;
    stack.load().await.expect("loaded");
    assert_eq!(stack.table_counts().await.values().sum::<u64>(), 300);
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sealed_weeks_ago_is_found_and_never_delays_what_arrives_now() {
    let stack = Stack::with(NO_LAG).await;
    for n in 0..4 {
        stack.put_lines(&n.to_string(), [r#"{"event":"a","n":1}"#]).await;
    }
    stack.route().await;
    assert_eq!(take(&stack, "routed-parts").await.len(), 4);
    let now = OffsetDateTime::now_utc();
    for (seal, days) in stack.seals().await.iter().zip([21, 20, 3, 0]) {
        backdate(&stack, seal, now - days * DAY, now - days * DAY).await;
    }
    let looked = sweep_with(&stack, &stack.clients, true).await;
    let report = sweep(&stack).await;
    let Swept::Done(looked) = looked else { panic!("{looked:?}") };
    assert_eq!(looked.total(), owed(4, 0, 0, 0), "a dry run announces nothing");
    assert_eq!(report.total(), owed(4, 4, 0, 0));
    assert_eq!(report.low_water, Some((now - 21 * DAY).date().to_string()));
    let backfill = take(&stack, "routed-parts-backfill").await;
    assert_eq!((backfill.len(), messages(&stack, "routed-parts").await), (3, 1));
    for body in &backfill {
        stack.send("routed-parts", body).await;
    }
    stack.load().await.expect("loaded");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 4);
    stack.assert_no_doubles().await;

    // Nothing is owed any more; and what was found so is remembered.
    let report = sweep(&stack).await;
    assert_eq!((report.seals, report.total(), report.low_water), (4, owed(0, 0, 0, 0), None));
    let of_days_with_news = sweep(&stack).await.seals;
    assert_eq!(of_days_with_news, 2, "old closed days are not even listed");

    // A late index object of a closed day is seen, as long as one may come.
    let mut late = stack.seals().await.remove(0);
    late.source_id = SourceId::new("raw-logs", "late", "e");
    late.sealed_at = now - 3 * DAY;
    put(&stack, &stack.settings.keys.seal(&late.source_id, 0), late.to_json()).await;
    put(&stack, &stack.settings.keys.day_index(late.sealed_at, &late.source_id, 0), Vec::new()).await;
    assert_eq!(sweep(&stack).await.total(), owed(1, 1, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_highest_seal_alone_says_what_is_owed() {
    let stack = Stack::with(NO_LAG).await;
    stack.put_lines("1", [r#"{"event":"a","n":1}"#, r#"{"event":"b","n":1}"#]).await;
    stack.route().await;
    take(&stack, "routed-parts").await;
    // A replace that left nothing of `b`.
    let mut seal = stack.seals().await.remove(0);
    seal.generation = 1;
    for sealed in &mut seal.events {
        sealed.since = 1;
        if sealed.event.as_str() == "b" {
            (sealed.parts, sealed.records) = (Vec::new(), 0);
        }
    }
    put(&stack, &stack.settings.keys.seal(&seal.source_id, 1), seal.to_json()).await;
    assert_eq!(sweep(&stack).await.total(), owed(2, 2, 0, 0));
    let bodies = take(&stack, "routed-parts").await;
    let requests: Vec<_> = bodies.iter().map(|body| LoadRequest::parse(body).expect("a request")).collect();
    assert!(requests.iter().all(|request| request.generation == 1), "{requests:?}");
    for body in &bodies {
        stack.send("routed-parts", body).await;
    }
    stack.load().await.expect("loaded");
    assert_eq!(stack.table_counts().await, BTreeMap::from([("a".to_owned(), 1)]));
    assert_eq!(sweep(&stack).await.total(), owed(0, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_set_aside_is_left_alone_until_it_is_redriven() {
    let stack = Stack::with(&format!("max_tries = 1\n{NO_LAG}")).await;
    for n in 0..3 {
        stack.put_lines(&n.to_string(), [r#"{"event":"a","n":1}"#]).await;
    }
    stack.route().await;
    let part = stack.seals().await[1].events[0].parts[0].key.clone();
    let bytes = common::objects::get(&stack.clients.s3, "routed-logs", &part).await.expect("there");
    delete(&stack, &part).await;
    stack.load().await.expect("the others are loaded");
    assert_eq!(sweep(&stack).await.total(), owed(1, 0, 1, 0));

    let failed = command_output(&stack, &["failed", "--json"]).await;
    let failed: serde_json::Value = serde_json::from_str(&failed).expect("one line");
    assert_eq!((failed["event"].as_str(), failed["loaded"].as_bool()), (Some("a"), Some(false)));
    put(&stack, &part, bytes.to_vec()).await;
    let other = Selection { source_id: Some(SourceId::new("raw-logs", "another", "e")), event: None };
    let redriven = loader::redrive(&stack.settings, &stack.clients, &other).await.expect("asked");
    assert_eq!(redriven.lifted, 0);
    let text = command_output(&stack, &["redrive", "--event", "a"]).await;
    assert_eq!(text.trim(), "lifted 1, of which 1 are announced again");
    stack.load().await.expect("all is loaded");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 3);
    assert_eq!(command_output(&stack, &["failed"]).await.trim(), "nothing is set aside");
    assert!(command_output(&stack, &["sweep", "--dry-run"]).await.contains("nothing is owed"));
}

async fn command_output(stack: &Stack, arguments: &[&str]) -> String {
    let mut loader = command(stack, "loader");
    loader.args(arguments);
    let output = output(loader).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// A claim of another process, renewed this long ago.
pub(crate) async fn claimed_by_another(stack: &Stack, key: &str, renewed: Duration) {
    let at = common::timestamp::format(OffsetDateTime::now_utc() - renewed);
    let document = serde_json::json!({
        "version": 1, "owner": "another loader", "state": "running", "started_at": at, "renewed_at": at,
        "counts": { "seals read": 1, "requests owed": 2, "announced": 3 },
    });
    put(stack, key, document.to_string().into_bytes()).await;
}

async fn claim(stack: &Stack, renewed: Duration) {
    claimed_by_another(stack, &stack.settings.keys.sweep_claim(), renewed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_is_taken_over_only_from_a_loader_that_is_silent() {
    let stack = Stack::with(NO_LAG).await;
    stack.put_lines("1", [r#"{"event":"a","n":1}"#]).await;
    stack.route().await;
    take(&stack, "routed-parts").await;
    claim(&stack, Duration::from_secs(4 * 60)).await;
    let Swept::Held(by) = sweep_with(&stack, &stack.clients, false).await else { panic!("claimed twice") };
    assert!(by.contains("another loader") && by.contains("3 announced"), "{by}");
    assert_eq!(messages(&stack, "routed-parts").await, 0);
    claim(&stack, Duration::from_secs(6 * 60)).await;
    assert_eq!(sweep(&stack).await.total(), owed(1, 1, 0, 0));
    assert_eq!(messages(&stack, "routed-parts").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sweeps_at_once_one_works_and_one_that_lost_its_claim_says_so() {
    let stack = Stack::with(NO_LAG).await;
    stack.put_lines("1", [r#"{"event":"a","n":1}"#]).await;
    stack.route().await;
    take(&stack, "routed-parts").await;
    let held = Held::requests(&stack.endpoint(), &["GET /routed-logs/seals/id/"]).await;
    let (settings, slow) = (stack.settings.clone(), Clients::for_endpoint(&held.endpoint).await);
    let first = tokio::spawn(async move { loader::sweep(&settings, &slow, false, &CancellationToken::new()).await });
    let claimed = || common::objects::exists(&stack.clients.s3, "routed-logs", "seals/sweep/loader.json");
    eventually("the claim", || async { claimed().await.expect("asked") }).await;
    assert!(matches!(sweep_with(&stack, &stack.clients, false).await, Swept::Held(_)));

    // The first was silent for too long, and another one took over.
    claim(&stack, Duration::from_secs(6 * 60)).await;
    assert_eq!(sweep(&stack).await.total(), owed(1, 1, 0, 0));
    held.release();
    let error = first.await.expect("no panic").expect_err("its claim is gone");
    assert!(common::telemetry::chain(&error).contains("taken over"), "{error:?}");
    stack.load().await.expect("loaded");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 1, "announced twice, loaded once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_was_interrupted_is_continued_where_it_was() {
    let stack = Stack::with(NO_LAG).await;
    for n in 0..2 {
        stack.put_lines(&n.to_string(), [r#"{"event":"a"}"#]).await;
    }
    stack.route_and_load().await;
    let (seals, now) = (stack.seals().await, OffsetDateTime::now_utc());
    for (seal, days) in seals.iter().zip([21, 20]) {
        backdate(&stack, seal, now - days * DAY, now - days * DAY).await;
    }
    let second = stack.settings.keys.seal(&seals[1].source_id, 0);
    let held = Held::requests(&stack.endpoint(), &[&format!("GET /routed-logs/{second}")]).await;
    let (settings, slow) = (stack.settings.clone(), Clients::for_endpoint(&held.endpoint).await);
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    let first = tokio::spawn(async move { loader::sweep(&settings, &slow, false, &token).await });
    let day = "SELECT COUNT(*) FROM log_router.sweeps WHERE prefix LIKE 'day/2%'";
    eventually("the first day", || async { stack.number(day).await == 1 }).await;
    shutdown.cancel();
    assert!(matches!(first.await.expect("no panic"), Ok(Swept::Interrupted)));
    let report = sweep(&stack).await;
    assert_eq!((report.days, report.seals), (1, 1), "its claim was given up, and the first day is done");
}

/// What the router's sweep says of an hour at this moment.
async fn mark(stack: &Stack, hour: OffsetDateTime, unsealed: u64) {
    let mark = Mark { version: SWEPT_VERSION, listed_at: OffsetDateTime::now_utc(), objects: 9, unsealed };
    put(stack, &stack.settings.keys.swept_mark(hour), mark.to_json()).await;
}

/// Keeps the routers of a stack from sweeping: its marks are the test's.
pub(crate) async fn without_sweeps_of_the_router(stack: &Stack) {
    let at = common::timestamp::format(OffsetDateTime::now_utc());
    let document = serde_json::json!({
        "version": 1, "owner": "another router", "state": "done", "started_at": at, "renewed_at": at, "counts": {},
    });
    put(stack, &stack.settings.keys.router_sweep_claim(), document.to_string().into_bytes()).await;
}

/// Event, sealed, loaded, complete; of one hour.
async fn complete(stack: &Stack) -> Vec<String> {
    let sql = "SELECT event, sealed, loaded, complete FROM log_router.complete_now ORDER BY event";
    stack.query(sql).await.into_iter().map(|row| row.join(" ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_is_complete_with_its_mark_its_loads_and_its_lag_and_no_more_when_an_object_comes_later() {
    let stack = Stack::with(NO_LAG).await;
    without_sweeps_of_the_router(&stack).await;
    let now = OffsetDateTime::now_utc();
    let hour = now - 5 * HOUR;
    let come = async |key: &str, at: OffsetDateTime, lines: &[&str]| {
        let known: Vec<_> = stack.seals().await.into_iter().map(|seal| seal.source_id).collect();
        stack.put_lines(key, lines).await;
        stack.route().await;
        take(&stack, "routed-parts").await;
        let seals = stack.seals().await;
        let seal = seals.iter().find(|seal| !known.contains(&seal.source_id)).expect("a new seal");
        backdate(&stack, seal, at, now).await;
    };
    come("1", hour, &[r#"{"event":"a"}"#, r#"{"event":"b"}"#]).await;
    come("2", hour, &[r#"{"event":"a"}"#]).await;
    assert_eq!(sweep(&stack).await.complete_rows, 0, "nothing is known of an hour without its mark");
    mark(&stack, hour, 0).await;
    sweep(&stack).await;
    assert_eq!(complete(&stack).await, ["a 2 0 false", "b 1 0 false"]);
    assert_eq!(sweep(&stack).await.complete_rows, 0, "only changes are written");

    stack.load().await.expect("loaded");
    sweep(&stack).await;
    assert_eq!(complete(&stack).await, ["a 2 2 true", "b 1 1 true"]);

    come("3", hour, &[r#"{"event":"a"}"#]).await;
    sweep(&stack).await;
    assert_eq!(complete(&stack).await, ["a 3 2 false", "b 1 1 true"]);
    stack.load().await.expect("loaded");
    sweep(&stack).await;
    assert_eq!(complete(&stack).await, ["a 3 3 true", "b 1 1 true"]);
    assert_eq!(stack.number("SELECT COUNT(*) FROM log_router.complete").await, 6);

    // An object that has no seal yet takes it back at once, and its seal gives it again.
    mark(&stack, hour, 1).await;
    assert_eq!(sweep(&stack).await.complete_rows, 2);
    assert_eq!(complete(&stack).await, ["a 3 3 false", "b 1 1 false"]);
    assert_eq!(sweep(&stack).await.complete_rows, 0, "nothing else can be said before the mark says it");
    mark(&stack, hour, 0).await;
    sweep(&stack).await;
    assert_eq!(complete(&stack).await, ["a 3 3 true", "b 1 1 true"]);
    assert_eq!(stack.number("SELECT COUNT(*) FROM log_router.complete").await, 10);

    // An hour that ended less than the lag ago is not complete, whatever is loaded.
    come("4", now - HOUR, &[r#"{"event":"a"}"#]).await;
    sweep(&stack).await;
    stack.load().await.expect("loaded");
    mark(&stack, now - HOUR, 0).await;
    sweep(&stack).await;
    let recent =
        "SELECT event, complete FROM log_router.complete_now WHERE sealed = loaded AND NOT complete ORDER BY 1";
    assert_eq!(stack.query(recent).await, [["a", "false"], ["b", "false"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_cannot_be_read_holds_no_other_table_up() {
    let stack = Stack::with(NO_LAG).await;
    let lines = [r#"{"event":"a"}"#, r#"{"event":"b"}"#];
    stack.put_lines("1", lines).await;
    stack.route_and_load().await;
    stack.query("ALTER TABLE log_router.ledger_a RENAME COLUMN source_id TO lost").await;
    stack.put_lines("2", lines).await;
    stack.route().await;
    take(&stack, "routed-parts").await;
    let old = OffsetDateTime::now_utc() - 20 * DAY;
    let seals = stack.seals().await;
    backdate(&stack, seals.iter().find(|seal| seal.source.key == "2").expect("sealed"), old, old).await;
    let report = sweep(&stack).await;
    let of = |event: &str| report.events.get(&common::event_name::EventName::of_type(event)).copied();
    assert_eq!((of("a"), of("b")), (Some(owed(0, 0, 0, 2)), Some(owed(1, 1, 0, 0))));
    stack.query("ALTER TABLE log_router.ledger_a RENAME COLUMN lost TO source_id").await;
    assert_eq!(sweep(&stack).await.total(), owed(2, 2, 0, 0), "its day stayed open");
    for body in take(&stack, "routed-parts-backfill").await {
        stack.send("routed-parts", &body).await;
    }
    stack.load().await.expect("loaded");
    assert_eq!(stack.table_counts().await, BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 2)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_seal_holds_up_its_day_and_nothing_else() {
    let stack = Stack::with(NO_LAG).await;
    without_sweeps_of_the_router(&stack).await;
    stack.put_lines("1", [r#"{"event":"a"}"#]).await;
    stack.route().await;
    take(&stack, "routed-parts").await;
    let (keys, now) = (&stack.settings.keys, OffsetDateTime::now_utc());
    let (damaged, vanished) = (SourceId::new("raw-logs", "x", "e"), SourceId::new("raw-logs", "y", "e"));
    put(&stack, &keys.seal(&damaged, 0), b"no seal".to_vec()).await;
    for source_id in [&damaged, &vanished] {
        put(&stack, &keys.day_index(now - 40 * DAY, source_id, 0), Vec::new()).await;
    }
    // Their hour is marked, and so is one in which nothing came.
    let hours = [now - 40 * DAY, now - 41 * DAY];
    for source_id in [&damaged, &vanished] {
        put(&stack, &keys.hour_index(hours[0], source_id, 0), Vec::new()).await;
    }
    for hour in hours {
        mark(&stack, hour, 0).await;
    }
    for _ in 0..2 {
        let report = sweep(&stack).await;
        assert_eq!((report.unreadable, report.total()), (2, owed(1, 1, 0, 0)));
        assert_eq!(report.low_water, Some((now - 40 * DAY).date().to_string()));
    }
    stack.load().await.expect("loaded");
    for hour in hours {
        mark(&stack, hour, 0).await;
    }
    sweep(&stack).await;
    let said = stack.query("SELECT event, sealed, loaded, complete FROM log_router.complete_now ORDER BY hour").await;
    assert_eq!(said, [["a", "0", "0", "true"], ["a", "0", "0", "false"]], "what cannot be read is not vouched for");
}
