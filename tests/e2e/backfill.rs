use crate::process::{Running, command, output};
use crate::stack::{Stack, eventually};
use aws_sdk_s3::types::StorageClass;
use common::telemetry::chain;
use router::backfill::{Amount, Backfill, Basis, Options, Outcome, Plan, State, status};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use time::OffsetDateTime;
use time::macros::datetime;
use tokio_util::sync::CancellationToken;

const BACKFILL_QUEUE: &str = "raw-objects-backfill";

fn options() -> Options {
    Options {
        from: datetime!(2025-01-01 00:00 UTC),
        to: datetime!(2025-07-01 00:00 UTC),
        prefix: None,
        rate: None,
        direct: false,
        replace: false,
        over_others: false,
        events: None,
        patience: Duration::from_secs(20),
    }
}

/// A raw object of that time.
async fn put_old(stack: &Stack, key: &str, at: OffsetDateTime, text: &str, class: StorageClass) {
    let put = stack.clients.s3.put_object().bucket("raw-logs").key(key).body(text.as_bytes().to_vec().into());
    let put = put.metadata("sandbox-last-modified", common::timestamp::format(at)).storage_class(class);
    put.send().await.expect("stored");
}

/// Objects of two records each, spread over half a year, under dates and in a flat folder, of which no notification tells.
async fn half_a_year(stack: &Stack, objects: i64) {
    for n in 0..objects {
        let at = options().from + time::Duration::hours(24 * 180 * n / objects);
        let day = at.date();
        let key = match n % 2 {
            0 => format!("app/{}/{:02}/{:02}/{n}.json", day.year(), u8::from(day.month()), day.day()),
            _ => format!("flat/{n:05} +%é.json"),
        };
        let text = format!("{{\"event\":\"a\",\"n\":{n}}}\n{{\"event\":\"b\",\"n\":{n}}}\nno json\n");
        put_old(stack, &key, at, &text, StorageClass::Standard).await;
    }
    stack.drain("raw-objects").await;
}

async fn open(stack: &Stack, options: Options) -> Backfill {
    Backfill::open(&stack.settings, &stack.clients, options).await.unwrap_or_else(|error| panic!("{}", chain(&error)))
}

async fn plan(stack: &Stack, options: Options) -> Plan {
    open(stack, options).await.plan().await.unwrap_or_else(|error| panic!("{}", chain(&error)))
}

async fn run_until(stack: &Stack, options: Options, shutdown: &CancellationToken) -> Outcome {
    let mut backfill = open(stack, options).await;
    let plan = backfill.plan().await.expect("planned");
    let outcome = backfill.run(&plan, shutdown, &mut |_| {}).await;
    outcome.unwrap_or_else(|error| panic!("{}", chain(&error)))
}

async fn run(stack: &Stack, options: Options) -> Outcome {
    run_until(stack, options, &CancellationToken::new()).await
}

/// A router that runs until the guard is dropped.
fn router(stack: &Stack) -> tokio_util::sync::DropGuard {
    let stopping = CancellationToken::new();
    let (settings, clients, token) = (stack.settings.clone(), stack.clients.clone(), stopping.clone());
    tokio::spawn(async move { router::run(&settings, &clients, None, token).await.expect("the router runs") });
    stopping.drop_guard()
}

async fn keys(stack: &Stack, prefix: &str) -> BTreeSet<String> {
    common::objects::list(&stack.clients.s3, "routed-logs", prefix).await.expect("listed").into_iter().collect()
}

async fn assert_rows(stack: &Stack, objects: u64) {
    stack.load().await.expect("loaded");
    let counts = stack.table_counts().await;
    assert_eq!((counts["a"], counts["b"]), (objects, objects), "{counts:?}");
    stack.assert_no_doubles().await;
    for table in ["a", "b"] {
        assert_eq!(stack.number(&format!("SELECT COUNT(DISTINCT n) FROM events.{table}")).await, objects);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_exact_and_changes_nothing() {
    let stack = Stack::start().await;
    half_a_year(&stack, 6).await;
    let unknown = plan(&stack, options()).await;
    assert_eq!((unknown.basis, unknown.expected.parts, unknown.unsealed.objects), (Basis::Nothing, None, 6));

    let sealed = Options { to: datetime!(2025-03-01 00:00 UTC), ..options() };
    assert_eq!(run(&stack, Options { direct: true, ..sealed }).await.progress.sealed.objects, 2);
    let january = datetime!(2025-01-15 00:00 UTC);
    put_old(&stack, "cold.json", january, "{\"event\":\"a\"}\n", StorageClass::Glacier).await;
    put_old(&stack, "warm.json", january, "{\"event\":\"a\"}\n", StorageClass::GlacierIr).await;
    for (key, at) in [("before", datetime!(2024-12-31 23:59:59 UTC)), ("after", datetime!(2025-07-01 00:00 UTC))] {
        put_old(&stack, key, at, "{\"event\":\"a\"}\n", StorageClass::Standard).await;
    }
    let before = keys(&stack, "").await;
    let found = plan(&stack, options()).await;
    let counts = [found.range, found.done, found.unsealed, found.archived, found.replaced, found.by_others];
    assert_eq!(counts.map(|amount| amount.objects), [8, 2, 5, 1, 0, 0]);
    let bytes = |text: &str| text.len() as u64;
    assert_eq!(found.archived, Amount { objects: 1, bytes: bytes("{\"event\":\"a\"}\n") });
    assert_eq!(
        found.unsealed.bytes,
        4 * bytes("{\"event\":\"a\",\"n\":1}\n") * 2 + 4 * 8 + bytes("{\"event\":\"a\"}\n")
    );
    assert_eq!((found.basis, found.basis_seals, found.listed), (Basis::Range, 2, 10));
    let expected = &found.expected;
    assert_eq!((expected.parts, expected.copies), (Some(10), Some(2)), "two events an object, a COPY each");
    assert_eq!((expected.s3.put, expected.s3.get), (10 + 5 + 15 + 4, 2 * 5 + 10));
    assert_eq!(keys(&stack, "").await, before);
    assert_eq!(stack.messages(BACKFILL_QUEUE).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn months_of_objects_are_backfilled_while_live_ones_arrive() {
    let stack = Stack::start().await;
    half_a_year(&stack, 40).await;
    let _router = router(&stack);
    for n in 100..110 {
        stack
            .put(&format!("live/{n}"), format!("{{\"event\":\"a\",\"n\":{n}}}\n{{\"event\":\"b\",\"n\":{n}}}\n").into())
            .await;
    }
    let outcome = run(&stack, options()).await;
    assert_eq!(outcome.state, State::Done, "{:?}", outcome.left);
    let progress = &outcome.progress;
    assert_eq!((progress.done, progress.sealed.objects, progress.records, progress.quarantined), (40, 40, 120, 40));
    eventually("live objects", || async { stack.seals().await.len() == 50 }).await;
    assert_rows(&stack, 50).await;
    let again = plan(&stack, options()).await;
    assert_eq!((again.done.objects, again.to_route().objects), (40, 0));
    let reports = status(&stack.settings, &stack.clients).await.expect("told");
    assert_eq!((reports.len(), reports[0].state, reports[0].done), (1, State::Done, 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_do_the_same_at_once_change_nothing_but_the_speed() {
    let stack = Stack::start().await;
    half_a_year(&stack, 60).await;
    let _router = router(&stack);
    let (one, other) = tokio::join!(run(&stack, options()), run(&stack, options()));
    assert_eq!((one.state, other.state), (State::Done, State::Done));
    assert_eq!(stack.seals().await.len(), 60);
    assert_rows(&stack, 60).await;
    let both = Options { direct: true, replace: true, ..options() };
    let (one, other) = tokio::join!(run(&stack, both.clone()), run(&stack, both));
    let states = [one.state, other.state];
    assert!(states.contains(&State::Done), "{:?} {:?}", one.left, other.left);
    assert_rows(&stack, 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_killed_in_the_middle_goes_on_with_the_same_command() {
    let stack = Stack::start().await;
    stack.set_visibility(BACKFILL_QUEUE, 4).await;
    half_a_year(&stack, 40).await;
    let backfill = |rate: &str| {
        let mut backfill = command(&stack, "router");
        backfill.args(["backfill", "--from", "2025-01-01", "--to", "2025-07-01", "--yes", "--json", "--rate", rate]);
        backfill
    };
    for more in [false, true] {
        let mut router = command(&stack, "router");
        router.arg("run");
        let (router, running) = (Running::start(router), Running::start(backfill("20/s")));
        let least = if more { 20 } else { 5 };
        eventually("seals", || async { keys(&stack, "seals/id/").await.len() >= least }).await;
        running.kill();
        router.kill();
    }
    assert!(keys(&stack, "seals/id/").await.len() < 40);
    let _router = router(&stack);
    let again = output(backfill("1000/s")).await;
    let told = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(again.status.success(), "{told} {}", String::from_utf8_lossy(&again.stderr));
    assert!(told.contains(r#""state":"done""#), "{told}");
    assert_rows(&stack, 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn this_process_routes_by_itself_without_the_raw_queue() {
    let stack = Stack::start().await;
    half_a_year(&stack, 30).await;
    let outcome = run(&stack, Options { direct: true, ..options() }).await;
    assert_eq!((outcome.state, outcome.progress.quarantined), (State::Done, 30));
    assert_eq!(stack.messages("routed-parts").await, 0, "load requests travel on the backfill lane");
    assert_eq!(stack.messages("routed-parts-backfill").await, 60);
    assert_rows(&stack, 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_routed_any_more_is_told_and_fails_the_command() {
    let stack = Stack::start().await;
    half_a_year(&stack, 4).await;
    let mut backfill = open(&stack, Options { patience: Duration::from_secs(4), ..options() }).await;
    let plan = backfill.plan().await.expect("planned");
    let shutdown = CancellationToken::new();
    let mut tell = |_: &_| {};
    let running = backfill.run(&plan, &shutdown, &mut tell);
    let meddling = async {
        eventually("the messages", || async { stack.messages(BACKFILL_QUEUE).await == 4 }).await;
        let deleted = stack.clients.s3.delete_object().bucket("raw-logs").key("app/2025/01/01/0.json").send().await;
        deleted.expect("deleted");
        stack.put("flat/00001 +%é.json", b"{\"event\":\"a\",\"n\":1}\n{\"event\":\"b\",\"n\":1}\n".to_vec()).await;
        router(&stack)
    };
    let (outcome, _router) = tokio::join!(running, meddling);
    let outcome = outcome.expect("it ended");
    assert_eq!(outcome.state, State::Incomplete);
    let left = &outcome.left;
    assert_eq!((left.gone, left.superseded, left.stuck), (1, 1, 0), "{left:?}");
    assert_eq!(outcome.progress.sealed.objects, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_routing_ends_the_wait_and_says_what_is_stuck() {
    let stack = Stack::start().await;
    half_a_year(&stack, 3).await;
    let outcome = run(&stack, Options { patience: Duration::from_secs(2), ..options() }).await;
    assert_eq!((outcome.state, outcome.left.stuck), (State::Incomplete, 3));
    assert_eq!(outcome.left.examples.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_stays_full_ends_the_wait_and_nothing_is_called_done() {
    let stack = Stack::start().await;
    half_a_year(&stack, 3).await;
    let bodies = (0..1_000).map(|n| format!("{{\"of\":\"others {n}\"}}"));
    let queue = common::queue::Queue::open(&stack.clients.sqs, BACKFILL_QUEUE, "raw.backfill_queue").await;
    queue.expect("it is there").send_all(bodies).await.expect("sent");
    let outcome = run(&stack, Options { patience: Duration::from_secs(2), ..options() }).await;
    assert_eq!((outcome.state, outcome.left.stuck, outcome.left.not_begun), (State::Incomplete, 0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_aws_does_not_answer_for_a_moment_is_waited_out() {
    let stack = Stack::start().await;
    half_a_year(&stack, 12).await;
    let mut backfill = open(&stack, options()).await;
    let plan = backfill.plan().await.expect("planned");
    let _router = router(&stack);
    stack.put("live", b"{\"event\":\"a\"}\n".to_vec()).await;
    eventually("the router is up", || async { stack.seals().await.len() == 1 }).await;
    let calls =
        [("ListObjectsV2", "raw-logs"), ("SendMessageBatch", BACKFILL_QUEUE), ("GetQueueAttributes", BACKFILL_QUEUE)];
    for (operation, contains) in calls {
        // More often than the SDK tries.
        let fault = json!({ "fault": "server_error", "operation": operation, "contains": contains, "times": 7 });
        stack.fault(fault).await;
    }
    let outcome = backfill.run(&plan, &CancellationToken::new(), &mut |_| {}).await.expect("it went on");
    assert_eq!((outcome.state, outcome.progress.done), (State::Done, 12));
    assert_eq!(stack.struck().await, [7, 7, 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_does_not_silence_a_backfill() {
    let stack = Stack::start().await;
    half_a_year(&stack, 4).await;
    // The seat is taken, and the first word after it is heard by S3 alone.
    let fault =
        json!({ "fault": "lost_reply", "operation": "PutObject", "contains": "/backfill/", "after": 1, "times": 1 });
    stack.fault(fault).await;
    let outcome = run(&stack, Options { direct: true, rate: Some(0.17), ..options() }).await;
    assert_eq!((outcome.state, stack.struck().await), (State::Done, vec![1]));
    let reports = status(&stack.settings, &stack.clients).await.expect("told");
    assert_eq!((reports.len(), reports[0].state, reports[0].done), (1, State::Done, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_slower_than_patience_is_no_standstill() {
    let stack = Stack::start().await;
    half_a_year(&stack, 3).await;
    let slow = Options { direct: true, rate: Some(0.5), patience: Duration::from_secs(1), ..options() };
    let outcome = run(&stack, slow).await;
    assert_eq!((outcome.state, outcome.progress.done), (State::Done, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn archived_objects_wait_until_they_are_restored() {
    let stack = Stack::start().await;
    let at = datetime!(2025-02-01 00:00 UTC);
    put_old(
        &stack,
        "cold.json",
        at,
        "{\"event\":\"a\",\"n\":1}\n{\"event\":\"b\",\"n\":1}\n",
        StorageClass::DeepArchive,
    )
    .await;
    put_old(&stack, "warm.json", at, "{\"event\":\"a\",\"n\":2}\n{\"event\":\"b\",\"n\":2}\n", StorageClass::Standard)
        .await;
    let outcome = run(&stack, Options { direct: true, ..options() }).await;
    assert_eq!((outcome.state, outcome.left.archived, outcome.progress.done), (State::Incomplete, 1, 1));
    let restore = aws_sdk_s3::types::RestoreRequest::builder().days(1).build();
    let restore = stack.clients.s3.restore_object().bucket("raw-logs").key("cold.json").restore_request(restore);
    restore.send().await.expect("restored");
    let outcome = run(&stack, Options { direct: true, ..options() }).await;
    assert_eq!((outcome.state, outcome.progress.done), (State::Done, 1));
    assert_rows(&stack, 2).await;
}

/// Every value of `n` is replaced by another rule: `b` is routed as `c`.
const OTHER_RULES: &str = "[router.rename]\nb = \"c\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_is_resumed_and_finished_and_then_there_is_nothing_to_do() {
    let mut stack = Stack::start().await;
    half_a_year(&stack, 30).await;
    let direct = Options { direct: true, ..options() };
    assert_eq!(run(&stack, direct.clone()).await.state, State::Done);
    assert_rows(&stack, 30).await;

    stack.reset(OTHER_RULES);
    let replace = Options { replace: true, rate: Some(20.0), ..direct };
    let shutdown = CancellationToken::new();
    let interrupted = tokio::join!(run_until(&stack, replace.clone(), &shutdown), async {
        eventually("some are replaced", || async { keys(&stack, "seals/id/").await.len() >= 36 }).await;
        shutdown.cancel();
    });
    assert_eq!(interrupted.0.state, State::Interrupted);
    let sealed = keys(&stack, "seals/id/").await.len() as u64;
    assert!(sealed < 60, "{sealed}");

    let replace = Options { rate: None, ..replace };
    let resumed = plan(&stack, replace.clone()).await;
    assert_eq!(resumed.replace_id, interrupted.0.replace_id);
    assert_eq!((resumed.done.objects, resumed.replaced.objects), (sealed - 30, 60 - sealed));
    let finished = run(&stack, replace.clone()).await;
    assert_eq!((finished.state, &finished.replace_id), (State::Done, &interrupted.0.replace_id));
    assert_eq!(keys(&stack, "seals/id/").await.len(), 60, "each was replaced once");
    stack.load().await.expect("loaded");
    let counts = stack.table_counts().await;
    assert_eq!((counts["a"], counts["b"], counts["c"]), (30, 0, 30));
    stack.assert_no_doubles().await;

    let again = plan(&stack, replace).await;
    assert!(again.was_finished && again.to_route().objects == 0, "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_copied_onto_itself_is_still_known_and_is_replaced_like_any_other() {
    let mut stack = Stack::start().await;
    half_a_year(&stack, 4).await;
    let direct = Options { direct: true, ..options() };
    assert_eq!(run(&stack, direct.clone()).await.state, State::Done);
    let (later, text) =
        (datetime!(2025-06-15 00:00 UTC), "{\"event\":\"a\",\"n\":0}\n{\"event\":\"b\",\"n\":0}\nno json\n");
    put_old(&stack, "app/2025/01/01/0.json", later, text, StorageClass::Standard).await;
    let found = plan(&stack, direct.clone()).await;
    assert_eq!((found.done.objects, found.to_route().objects), (4, 0));
    stack.reset(OTHER_RULES);
    let replaced = run(&stack, Options { replace: true, ..direct }).await;
    assert_eq!((replaced.state, replaced.progress.done), (State::Done, 4));
    assert_eq!(keys(&stack, "seals/id/").await.iter().filter(|key| key.ends_with(".g1.json")).count(), 4);
    stack.load().await.expect("loaded");
    let counts = stack.table_counts().await;
    assert_eq!((counts["a"], counts.get("b").copied().unwrap_or(0), counts["c"]), (4, 0, 4));
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_with_nothing_left_to_do_is_finished() {
    let stack = Stack::start().await;
    half_a_year(&stack, 1).await;
    let direct = Options { direct: true, ..options() };
    run(&stack, direct.clone()).await;
    let interrupted = CancellationToken::new();
    interrupted.cancel();
    run_until(&stack, Options { replace: true, ..direct }, &interrupted).await;
    stack.clients.s3.delete_object().bucket("raw-logs").key("app/2025/01/01/0.json").send().await.expect("deleted");
    let is_finished = || async {
        let key = keys(&stack, "seals/replace/").await.pop_first().expect("its document");
        let document = common::objects::get(&stack.clients.s3, "routed-logs", &key).await.expect("read");
        String::from_utf8_lossy(&document).contains("finished_at")
    };
    for more in ["--dry-run", "--yes"] {
        assert!(!is_finished().await);
        let mut again = command(&stack, "router");
        again.args(["backfill", "--from", "2025-01-01", "--to", "2025-07-01", "--replace", "--json", more]);
        let told = output(again).await;
        let said = String::from_utf8_lossy(&told.stdout).into_owned();
        assert!(told.status.success() && said.contains("\"outcome\"") == (more == "--yes"), "{said}");
    }
    assert!(is_finished().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_lost_to_another_replace_is_told_and_taken_only_when_asked() {
    let mut stack = Stack::start().await;
    half_a_year(&stack, 4).await;
    let direct = Options { direct: true, ..options() };
    run(&stack, direct.clone()).await;
    stack.reset(OTHER_RULES);
    let replace = Options { replace: true, ..direct };
    let interrupted = CancellationToken::new();
    interrupted.cancel();
    assert_eq!(run_until(&stack, replace.clone(), &interrupted).await.state, State::Interrupted, "begun, and no more");
    let other = Options { prefix: Some("flat/".to_owned()), ..replace.clone() };
    assert_eq!(run(&stack, other).await.progress.done, 2);

    let found = plan(&stack, replace.clone()).await;
    assert_eq!((found.by_others.objects, found.replaced.objects), (2, 2));
    let outcome = run(&stack, replace.clone()).await;
    assert_eq!((outcome.state, outcome.left.lost_claims), (State::Incomplete, 2));
    let outcome = run(&stack, Options { over_others: true, ..replace }).await;
    assert_eq!((outcome.state, outcome.progress.done), (State::Done, 2));
    stack.load().await.expect("loaded");
    let counts = stack.table_counts().await;
    assert_eq!((counts["a"], counts.get("b").copied().unwrap_or(0), counts["c"]), (4, 0, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_refuses_what_makes_no_sense_and_says_why() {
    let stack = Stack::start().await;
    let backfill = |arguments: &[&str]| {
        let mut backfill = command(&stack, "router");
        backfill.arg("backfill").args(arguments).stdin(std::process::Stdio::null());
        output(backfill)
    };
    let range = ["--from", "2025-01-01", "--to", "2025-07-01"];
    let with = |more: &[&'static str]| [&range[..], more].concat();
    for (arguments, code, said) in [
        (vec!["--from", "2025-07-01", "--to", "2025-01-01", "--yes"], 2, "is not before --to"),
        (with(&[]), 2, "start with --yes"),
        (vec![], 2, "--from <TIME>"),
        (vec!["--from", "soon", "--to", "2025-01-01"], 2, "expected a date like"),
    ] {
        let ended = backfill(&arguments).await;
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {told}");
        assert!(told.contains(said), "{arguments:?}: {told}");
    }
    let nothing = backfill(&with(&["--yes"])).await;
    assert_eq!(nothing.status.code(), Some(0));
    let told = String::from_utf8_lossy(&nothing.stdout).into_owned();
    assert!(told.contains("in this range") && told.ends_with("nothing to do\n"), "{told}");
    assert_eq!(String::from_utf8_lossy(&backfill(&["status"]).await.stdout), "no backfill was ever started\n");

    half_a_year(&stack, 2).await;
    let dry = backfill(&with(&["--dry-run"])).await;
    let told = String::from_utf8_lossy(&dry.stdout).into_owned();
    assert!(dry.status.success() && told.contains("to be routed") && told.contains("2 objects"), "{told}");
    assert!(keys(&stack, "").await.is_empty());
    let done = backfill(&with(&["--yes", "--direct"])).await;
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && told.contains("done: everything is sealed"), "{told}");
    let told = backfill(&["status", "--json"]).await;
    assert!(String::from_utf8_lossy(&told.stdout).contains(r#""state":"done""#));
}
