use crate::held::Held;
use crate::process::{Running, command, output};
use crate::stack::{Stack, eventually};
use common::objects;
use common::quarantine::{QuarantinedRecord, Reason};
use common::route_request::{Replace, RouteRequest, Why};
use common::seal::Seal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;
use tokio_util::sync::CancellationToken;

/// A stack whose router denies the event type `b`.
async fn denying() -> Stack {
    let mut stack = Stack::start().await;
    stack.settings.router.rules.deny = vec!["b".to_owned()];
    stack
}

/// `router quarantine …`, by the stack's rules.
fn quarantine(stack: &Stack, arguments: &[&str]) -> Command {
    let mut command = command(stack, "router");
    command.arg("quarantine").args(arguments);
    command.env("LOG_ROUTER_ROUTER_DENY", serde_json::to_string(&stack.settings.router.rules.deny).expect("JSON"));
    command
}

/// Its exit code, and what it said on both outputs.
async fn said(stack: &Stack, arguments: &[&str]) -> (i32, String) {
    let ended = output(quarantine(stack, arguments)).await;
    let text = [ended.stdout, ended.stderr].concat();
    (ended.status.code().expect("it exited"), String::from_utf8(text).expect("UTF-8"))
}

/// The command succeeds and says all of this.
async fn assert_says(stack: &Stack, arguments: &[&str], texts: &[&str]) {
    let (code, text) = said(stack, arguments).await;
    assert!(code == 0 && texts.iter().all(|wanted| text.contains(wanted)), "{arguments:?}: {code}: {text}");
}

/// Lines of JSON on its standard output.
async fn json(stack: &Stack, arguments: &[&str]) -> Vec<Value> {
    let ended = output(quarantine(stack, arguments)).await;
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let text = String::from_utf8(ended.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The highest seal of each raw key.
async fn highest(stack: &Stack) -> BTreeMap<String, Seal> {
    let mut highest = BTreeMap::<String, Seal>::new();
    for seal in stack.seals().await {
        let known = highest.entry(seal.source.key.clone()).or_insert_with(|| seal.clone());
        if known.generation < seal.generation {
            *known = seal;
        }
    }
    highest
}

fn counts<const N: usize>(tables: [(&str, u64); N]) -> BTreeMap<String, u64> {
    tables.map(|(table, rows)| (table.to_owned(), rows)).into()
}

const MIXED: [&str; 4] = [r#"{"event":"a","n":1}"#, r#"{"event":"b","n":2}"#, "{broken", r#"{"event":"b","n":4}"#];

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_was_denied_comes_in_by_a_replay_and_a_second_one_finds_nothing_to_do() {
    let mut stack = denying().await;
    stack.put_lines("1", MIXED).await;
    stack.put_lines("2", [r#"{"event":"a","n":5}"#]).await;
    stack.route_and_load().await;
    assert_eq!(stack.table_counts().await, counts([("a", 2)]));

    assert_says(&stack, &["list"], &["event_type_denied  -", "not_json", "3 records in quarantine"]).await;
    let of_b = json(&stack, &["list", "--event", "b", "--json"]).await;
    assert_eq!(of_b.len(), 1, "what is no JSON names no event: {of_b:?}");
    assert_eq!((&of_b[0]["reason"], &of_b[0]["records"]), (&"event_type_denied".into(), &2.into()));
    assert_says(&stack, &["list", "--since", "9999-01-01"], &["nothing is in quarantine"]).await;
    assert_says(&stack, &["list", "--reason", "rejected_by_copy"], &["nothing is in quarantine"]).await;
    assert_says(
        &stack,
        &["show", "--reason", "not_json"],
        &["s3://raw-logs/1 line 3 ", ": not_json: ", "    {broken\n"],
    )
    .await;
    assert_says(&stack, &["show", "--event", "b", "--limit", "1"], &[r#"{"event":"b","n":2}"#, "--limit shows more"])
        .await;
    let unchanged = ["1 source objects are left alone: the rules", "nothing to replay"];
    assert_says(&stack, &["replay", "--yes"], &unchanged).await;
    assert_eq!(stack.seals().await.len(), 2, "no rule has changed: nothing was done");

    stack.settings.router.rules.deny.clear();
    let replay = ["replay", "--reason", "event_type_denied", "--yes"];
    assert_says(&stack, &["replay", "--dry-run"], &["1 source objects (", "event_type_denied"]).await;
    let (code, text) = said(&stack, &["replay"]).await;
    assert!(code == 2 && text.contains("--yes"), "nobody is there to be asked: {code}: {text}");
    assert_eq!(stack.seals().await.len(), 2);

    let stop = CancellationToken::new();
    let (settings, clients, token) = (stack.settings.clone(), stack.clients.clone(), stop.clone());
    let routing = tokio::spawn(async move { router::run(&settings, &clients, None, token).await });
    assert_says(&stack, &replay, &["1 source objects are routed again", "1 are in quarantine by the router's rules"])
        .await;
    stop.cancel();
    routing.await.expect("no panic").expect("it ran");
    let seals = highest(&stack).await;
    assert_eq!((seals["1"].generation, seals["2"].generation), (1, 0));
    assert!(seals["1"].replace_id.is_some());

    stack.load().await.expect("replaced");
    assert_eq!(stack.table_counts().await, counts([("a", 2), ("b", 2)]));
    assert_eq!(stack.query("SELECT n FROM events.b ORDER BY n").await, [["2"], ["4"]]);
    stack.assert_no_doubles().await;
    assert_says(&stack, &replay, &["nothing to replay"]).await;
    assert_says(&stack, &["list"], &["not_json", "1 records in quarantine"]).await;
    assert_eq!(highest(&stack).await, seals, "nothing was done again");
}

/// Takes back that replays are finished.
async fn unfinish(stack: &Stack) {
    let (s3, bucket) = (&stack.clients.s3, "routed-logs");
    for key in objects::list(s3, bucket, "seals/replace/").await.expect("listed") {
        let document = objects::get(s3, bucket, &key).await.expect("read");
        let mut document: Value = serde_json::from_slice(&document).expect("JSON");
        document.as_object_mut().and_then(|members| members.remove("finished_at")).expect("it was finished");
        let put = s3.put_object().bucket(bucket).key(&key).body(document.to_string().into_bytes().into());
        put.send().await.expect("put");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_aws_does_not_answer_for_a_moment_ends_no_replay() {
    let mut stack = denying().await;
    stack.put_lines("1", MIXED).await;
    stack.route_and_load().await;
    stack.settings.router.rules.deny.clear();
    for (operation, contains) in [("SendMessageBatch", ""), ("GetObject", ".g1.json")] {
        // More often than the SDK tries.
        let fault = json!({ "fault": "server_error", "operation": operation, "contains": contains, "times": 7 });
        stack.fault(fault).await;
    }
    let stop = CancellationToken::new();
    let (settings, clients, token) = (stack.settings.clone(), stack.clients.clone(), stop.clone());
    let routing = tokio::spawn(async move { router::run(&settings, &clients, None, token).await });
    assert_says(&stack, &["replay", "--yes"], &["1 source objects are routed again", "tried again"]).await;
    assert_eq!(stack.struck().await, [7, 7]);
    stop.cancel();
    routing.await.expect("no panic").expect("it ran");
    assert_eq!(highest(&stack).await["1"].generation, 1);
}

/// A person's column that must not be NULL, and then may be.
#[tokio::test(flavor = "multi_thread")]
async fn what_copy_refused_is_loaded_by_a_replay_once_the_table_takes_it() {
    let stack = Stack::start().await;
    stack.query("CREATE SCHEMA IF NOT EXISTS events").await;
    stack.query("CREATE TABLE events.a (_source VARCHAR(32), _line BIGINT, _loaded_at TIMESTAMP DEFAULT SYSDATE, n BIGINT NOT NULL)").await;
    let line = |n: usize| match n {
        3 => r#"{"event":"a","n":null}"#.to_owned(),
        n => format!(r#"{{"event":"a","n":{n}}}"#),
    };
    stack.put_lines("1", (0..7).map(line).chain(["{".to_owned()])).await;
    stack.put_lines("2", [r#"{"event":"c","n":1}"#]).await;
    stack.route_and_load().await;
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 6);
    let listed = json(&stack, &["list", "--event", "a", "--json"]).await;
    assert_eq!((&listed[0]["reason"], &listed[0]["event"]), (&"rejected_by_copy".into(), &"a".into()));
    assert_eq!((&listed[0]["source"], listed.len()), (&"s3://raw-logs/1".into(), 1), "the broken line names no event");
    assert_says(&stack, &["show", "--reason", "rejected_by_copy"], &["line 4: rejected_by_copy: COPY error 1213"])
        .await;

    // The table asks for as much as before: the same record is refused again, and counts once.
    let replay = ["replay", "--reason", "rejected_by_copy", "--direct", "--yes"];
    assert_says(&stack, &replay, &["1 source objects are routed again"]).await;
    stack.load().await.expect("replaced");
    let refused = json(&stack, &["list", "--reason", "rejected_by_copy", "--json"]).await;
    let refused: Vec<_> = refused.iter().map(|one| (one["generation"].clone(), one["records"].clone())).collect();
    assert_eq!(refused, [(1.into(), 1.into())]);
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 6);

    stack.query("ALTER TABLE events.a DROP COLUMN n").await;
    stack.query("ALTER TABLE events.a ADD COLUMN n BIGINT").await;
    // As if it had died between its last seal and its end: it takes up what was refused since.
    unfinish(&stack).await;
    assert_says(&stack, &replay, &["1 source objects are routed again"]).await;
    // Not loaded yet: another replay has nothing to add to this one.
    assert_says(&stack, &["list"], &["1 of them belong to sources that are replaced already"]).await;
    assert_says(&stack, &replay, &["1 source objects were routed again already", "nothing to replay"]).await;
    stack.load().await.expect("replaced");
    assert_eq!(stack.query("SELECT COUNT(*), COUNT(n), SUM(n) FROM events.a").await, [["7", "6", "18"]]);
    stack.assert_no_doubles().await;
    assert_says(&stack, &replay, &["nothing to replay"]).await;
    assert_says(&stack, &["list", "--reason", "rejected_by_copy"], &["nothing is in quarantine"]).await;
    assert_says(&stack, &["list"], &["not_json", "1 records in quarantine"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_raw_object_any_more_is_told_and_the_others_are_replayed() {
    let mut stack = denying().await;
    for key in ["deleted", "overwritten", "there"] {
        stack.put_lines(key, MIXED).await;
    }
    stack.route_and_load().await;
    stack.clients.s3.delete_object().bucket("raw-logs").key("deleted").send().await.expect("deleted");
    stack.put_lines("overwritten", [r#"{"event":"a","n":7}"#]).await;
    stack.settings.router.rules.deny.clear();
    let before = stack.seals().await.len();
    let (code, text) = said(&stack, &["replay", "--event", "b", "--direct", "--yes"]).await;
    assert_eq!(code, 1, "{text}");
    for told in [
        "cannot replay s3://raw-logs/deleted: the raw object is gone; corrected records come in as a new raw file",
        "cannot replay s3://raw-logs/overwritten: the raw object was overwritten",
        "2 source objects cannot be routed again",
        "1 source objects are routed again",
    ] {
        assert!(text.contains(told), "{told} in {text}");
    }
    assert_eq!(stack.seals().await.len(), before + 1);
    stack.load().await.expect("replaced");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.b").await, 2);
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 3, "what cannot be replayed stays as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_in_the_middle_goes_on_when_it_is_given_again() {
    let mut stack = denying().await;
    for key in ["1", "2", "3", "4"] {
        stack.put_lines(key, MIXED).await;
    }
    stack.route_and_load().await;
    stack.settings.router.rules.deny.clear();
    let stuck = highest(&stack).await["3"].source_id.clone();
    let held = Held::requests(&stack.endpoint(), &[&format!("PUT /routed-logs/seals/id/{stuck}.g1")]).await;
    let mut killed = quarantine(&stack, &["replay", "--direct", "--yes"]);
    killed.env("AWS_ENDPOINT_URL", &held.endpoint);
    let killed = Running::start(killed);
    let replayed = || async { highest(&stack).await.values().filter(|seal| seal.generation == 1).count() };
    eventually("three of four", || async { replayed().await == 3 }).await;
    killed.kill();
    held.release();
    assert_eq!(replayed().await, 3);

    let again = ["replay", "--direct", "--yes"];
    assert_says(
        &stack,
        &again,
        &["1 source objects (", "are routed again by this replay already", "goes on with replace"],
    )
    .await;
    let seals = highest(&stack).await;
    assert!(seals.values().all(|seal| seal.generation == 1 && seal.replace_id == seals["1"].replace_id), "{seals:?}");
    assert_says(&stack, &again, &["nothing to replay"]).await;
    assert_eq!(highest(&stack).await, seals, "finished is finished");
    stack.load().await.expect("replaced");
    assert_eq!(stack.table_counts().await, counts([("a", 4), ("b", 8)]));
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_replace_took_meanwhile_is_taken_back_only_when_somebody_says_so() {
    let mut stack = denying().await;
    for key in ["1", "2"] {
        stack.put_lines(key, MIXED).await;
    }
    stack.route_and_load().await;
    let denying = stack.settings.clone();
    stack.settings.router.rules.deny.clear();
    let first = highest(&stack).await["1"].clone();
    let held = Held::requests(&stack.endpoint(), &[&format!("PUT /routed-logs/seals/id/{}.g1", first.source_id)]).await;
    let mut killed = quarantine(&stack, &["replay", "--direct", "--yes"]);
    killed.env("AWS_ENDPOINT_URL", &held.endpoint);
    let killed = Running::start(killed);
    eventually("the other one", || async { highest(&stack).await["2"].generation == 1 }).await;
    killed.kill();

    let mut other = RouteRequest::new("raw-logs", "1", &first.source.etag, Why::Backfill);
    other.replace = Some(Replace { id: "another".into(), generation: 1, routing_id: None });
    stack.send("raw-objects-backfill", &other.to_json()).await;
    let routed = router::run(&denying, &stack.clients, Some(crate::stack::IDLE), CancellationToken::new()).await;
    routed.expect("it ran");
    assert_eq!(highest(&stack).await["1"].replace_id.as_deref(), Some("another"));

    let (code, text) = said(&stack, &["replay", "--direct", "--yes"]).await;
    assert!(code == 1 && text.contains("left s3://raw-logs/1 alone: replace \"another\" took it"), "{code}: {text}");
    assert_eq!(highest(&stack).await["1"].generation, 1);
    let over = ["replay", "--direct", "--yes", "--over-others"];
    assert_says(&stack, &over, &["1 source objects (", "goes on with replace"]).await;
    let seals = highest(&stack).await;
    assert_eq!((seals["1"].generation, seals["2"].generation), (2, 1));
    assert_eq!(seals["1"].replace_id, seals["2"].replace_id);
    stack.load().await.expect("replaced");
    assert_eq!(stack.table_counts().await, counts([("a", 2), ("b", 4)]));
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_listed_and_shown_is_what_the_seals_count() {
    let stack = Stack::start().await;
    let lines = fixtures::hostile::lines_for_every_case();
    stack.put_lines("hostile", fixtures::hostile(7, lines, 10).map(|line| line.bytes)).await;
    stack.put_lines("mixed", MIXED).await;
    stack.route().await;
    let mut counted: BTreeMap<Reason, u64> = BTreeMap::new();
    for seal in stack.seals().await {
        for (reason, records) in seal.counts.by_reason {
            *counted.entry(reason).or_default() += records;
        }
    }
    assert!(counted.len() > 5, "{counted:?}");
    let mut listed: BTreeMap<Reason, u64> = BTreeMap::new();
    for object in json(&stack, &["list", "--json"]).await {
        let reason: Reason = serde_json::from_value(object["reason"].clone()).expect("a reason");
        *listed.entry(reason).or_default() += object["records"].as_u64().expect("a number");
    }
    assert_eq!(listed, counted);
    let shown = json(&stack, &["show", "--json", "--limit", "1000000"]).await;
    let mut by_reason: BTreeMap<Reason, u64> = BTreeMap::new();
    for record in shown {
        let record: QuarantinedRecord = serde_json::from_value(record).expect("a record");
        *by_reason.entry(record.reason).or_default() += 1;
    }
    assert_eq!(by_reason, counted);

    // An orphan under the prefix is nobody's: no seal names it.
    objects::put_bytes_if_absent(&stack.clients.s3, "routed-logs", "quarantine/router/not_json/orphan.json.gz", "x")
        .await
        .expect("put");
    assert_eq!(json(&stack, &["list", "--json", "--since", "1h"]).await.len() as u64, {
        stack.seals().await.iter().map(|seal| seal.quarantine.len() as u64).sum::<u64>()
    });
}
