use crate::process::router_log;
use crate::redelivery::notification_of;
use crate::stack::Stack;
use common::clients::Clients;
use common::event_name::EventName;
use common::settings::{Overwrite, Settings};
use common::source::SourceObject;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tokio_util::sync::CancellationToken;

/// A router of other settings than the stack's.
async fn route_with(settings: &Settings, clients: &Clients) {
    let done = router::run(settings, clients, Some(crate::stack::IDLE), CancellationToken::new()).await;
    done.expect("the router starts");
}

fn table(name: &str, rows: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([(name.to_owned(), rows)])
}

/// The notification of what is stored under a key now.
async fn notification_of_key(stack: &Stack, key: &str) -> String {
    let head = stack.clients.s3.head_object().bucket("raw-logs").key(key).send().await.expect("it is there");
    notification_of(&SourceObject {
        bucket: "raw-logs".into(),
        key: key.into(),
        etag: head.e_tag.expect("an ETag").trim_matches('"').to_owned(),
        version_id: None,
        time: time::OffsetDateTime::UNIX_EPOCH,
        bytes: 0,
    })
}

async fn part_keys(stack: &Stack) -> BTreeSet<String> {
    let keys = common::objects::list(&stack.clients.s3, "routed-logs", "routed/").await.expect("listed");
    keys.into_iter().filter(|key| !key.starts_with("routed/_load/")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn routers_of_different_settings_at_once_leave_one_seal_and_load_its_parts_only() {
    let stack = Stack::start().await;
    let mut other = stack.settings.clone();
    other.router.part_max_bytes = 4 << 10;
    other.router.rules.rename.insert("page_view".into(), EventName::of_type("seen"));
    stack.put_lines("a.json.gz", fixtures::shop(1, 3_000).map(|l| l.bytes)).await;
    let again = notification_of_key(&stack, "a.json.gz").await;
    for _ in 0..5 {
        stack.send("raw-objects", &again).await;
    }
    tokio::join!(stack.route(), route_with(&other, &stack.clients));
    let seals = stack.seals().await;
    assert_eq!(seals.len(), 1);

    // Now for certain: whoever comes later, under settings that did not win, leaves orphans and announces the winner's.
    for settings in [&other, &stack.settings] {
        stack.send("raw-objects", &again).await;
        route_with(settings, &stack.clients).await;
    }
    let winner = &seals[0].routing_id;
    let orphans = part_keys(&stack).await.into_iter().filter(|key| !key.contains(winner.as_str())).count();
    assert!(orphans > 0, "the loser had routed too");
    let requests = stack.drain("routed-parts").await;
    for request in &requests {
        let request: Value = serde_json::from_str(request).expect("JSON");
        for part in request["parts"].as_array().expect("parts") {
            assert!(part["key"].as_str().expect("a key").contains(winner.as_str()), "{part}");
        }
    }
    for request in &requests {
        stack.send("routed-parts", request).await;
    }
    stack.load().await.expect("loaded");
    let counts = stack.table_counts().await;
    assert_eq!(counts.values().sum::<u64>(), 3_000);
    assert!(counts.contains_key("page_view") != counts.contains_key("seen"), "each event under one name: {counts:?}");
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_overwritten_before_it_is_read_is_routed_once_with_its_new_contents() {
    for overwrite in [Overwrite::Add, Overwrite::Ignore] {
        let mut stack = Stack::start().await;
        stack.settings.raw.overwrite = overwrite;
        stack.put_lines("a.json.gz", [r#"{"event":"x","n":1}"#]).await;
        stack.put_lines("a.json.gz", [r#"{"event":"x","n":2}"#, r#"{"event":"x","n":3}"#]).await;
        stack.route_and_load().await;
        assert_eq!(stack.table_counts().await, table("x", 2), "{overwrite:?}");
        assert_eq!(stack.seals().await.len(), 1, "{overwrite:?}");
        assert!(stack.drain("raw-objects").await.is_empty(), "both messages have their fate");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_overwritten_keys_are_ignored_the_first_contents_stay_the_only_ones() {
    let mut stack = Stack::start().await;
    stack.settings.raw.overwrite = Overwrite::Ignore;
    stack.put_lines("a.json.gz", [r#"{"event":"x","n":1}"#]).await;
    stack.route_and_load().await;
    let first = stack.seals().await.remove(0);
    stack.put_lines("a.json.gz", [r#"{"event":"x","n":2}"#, r#"{"event":"y"}"#]).await;
    stack.route_and_load().await;
    // The old news once more, and the new ones without an ETag: only the GET tells which contents they are about.
    stack.send("raw-objects", &notification_of(&first.source)).await;
    let mut untold: Value = serde_json::from_str(&notification_of(&first.source)).expect("JSON");
    untold["Records"][0]["s3"]["object"].as_object_mut().expect("an object").remove("eTag");
    stack.send("raw-objects", &untold.to_string()).await;
    stack.route_and_load().await;
    assert_eq!(stack.seals().await, [first]);
    assert_eq!(stack.table_counts().await, table("x", 1));
    stack.put_lines("b.json.gz", [r#"{"event":"x","n":4}"#]).await;
    stack.route_and_load().await;
    assert_eq!(stack.table_counts().await, table("x", 2), "another key is another matter");
    assert!(stack.drain("raw-objects").await.is_empty());
}

/// However writers and routers interleave: of each key exactly one contents is sealed, and no message is left.
#[tokio::test(flavor = "multi_thread")]
async fn two_routers_racing_an_overwriting_producer_seal_one_contents_of_each_key() {
    let mut stack = Stack::start().await;
    stack.settings.raw.overwrite = Overwrite::Ignore;
    let producer = async {
        for contents in 0..3 {
            for key in 0..6 {
                let line = format!(r#"{{"event":"x","key":{key},"contents":{contents}}}"#);
                stack.put_lines(&format!("{key}.json.gz"), [line]).await;
            }
        }
    };
    tokio::join!(stack.route(), stack.route(), producer);
    stack.route_and_load().await;
    let keys: BTreeSet<String> = stack.seals().await.into_iter().map(|seal| seal.source.key).collect();
    assert_eq!((keys.len(), stack.seals().await.len()), (6, 6));
    assert_eq!(stack.table_counts().await, table("x", 6));
    assert_eq!(stack.number("SELECT COUNT(DISTINCT key) FROM events.x").await, 6);
    assert!(stack.drain("raw-objects").await.is_empty() && stack.drain("raw-objects-dlq").await.is_empty());
}

/// The router died between its claim and its seal, and then the raw object was overwritten. Whoever comes next, be it
/// the redelivery or the new contents alone, seals what was claimed.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_seal_was_never_written_is_sealed_by_whoever_meets_it() {
    for redelivered in [true, false] {
        let mut stack = Stack::start().await;
        stack.settings.raw.overwrite = Overwrite::Ignore;
        stack.put_lines("a.json.gz", [r#"{"event":"x","n":1}"#]).await;
        stack.route().await;
        let first = stack.seals().await.remove(0);
        let written = common::objects::list(&stack.clients.s3, "routed-logs", "seals/").await.expect("listed");
        for key in written.iter().filter(|key| !key.starts_with("seals/key/")) {
            stack.clients.s3.delete_object().bucket("routed-logs").key(key).send().await.expect("deleted");
        }
        assert_eq!(stack.drain("routed-parts").await.len(), 1);

        stack.put_lines("a.json.gz", [r#"{"event":"x","n":2}"#]).await;
        if redelivered {
            stack.drain("raw-objects").await;
            stack.send("raw-objects", &notification_of(&first.source)).await;
        }
        stack.route_and_load().await;
        assert_eq!(stack.seals().await, [first]);
        assert_eq!(stack.query("SELECT n FROM events.x").await, [["1"]], "redelivered: {redelivered}");
        let index = common::objects::list(&stack.clients.s3, "routed-logs", "seals/hour/").await.expect("listed");
        assert_eq!(index.len(), 1);
    }
}

/// The same, where the notification does not tell the contents: only routing them meets the claim.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_without_a_seal_is_made_good_by_contents_that_no_notification_told() {
    let mut stack = Stack::start().await;
    stack.settings.raw.overwrite = Overwrite::Ignore;
    stack.put_lines("a.json.gz", [r#"{"event":"x","n":1}"#]).await;
    stack.route().await;
    let first = stack.seals().await.remove(0);
    let seal = stack.settings.keys.seal(&first.source_id, 0);
    stack.clients.s3.delete_object().bucket("routed-logs").key(&seal).send().await.expect("deleted");
    stack.drain("routed-parts").await;
    stack.put_lines("a.json.gz", [r#"{"event":"x","n":2}"#]).await;
    stack.drain("raw-objects").await;
    let mut untold: Value = serde_json::from_str(&notification_of(&first.source)).expect("JSON");
    untold["Records"][0]["s3"]["object"].as_object_mut().expect("an object").remove("eTag");
    stack.send("raw-objects", &untold.to_string()).await;
    stack.route_and_load().await;
    assert_eq!(stack.seals().await, [first]);
    assert_eq!(stack.query("SELECT n FROM events.x").await, [["1"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_copied_again_are_known() {
    let stack = Stack::start().await;
    let lines = [r#"{"event":"x","n":1}"#, "broken"];
    stack.put_lines("a.json.gz", lines).await;
    stack.route_and_load().await;
    let first = stack.seals().await;
    stack.put_lines("a.json.gz", lines).await;
    stack.route_and_load().await;
    assert_eq!(stack.seals().await, first, "one seal, of the first time");
    assert_eq!(stack.table_counts().await, table("x", 1));
    assert_eq!(stack.quarantined().await.len(), 1);
    stack.put_lines("copy of a.json.gz", lines).await;
    stack.route_and_load().await;
    assert_eq!(stack.table_counts().await, table("x", 2), "under another key it is another source");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_contents_under_an_old_key_are_warned_of_once() {
    let stack = Stack::start().await;
    let router = async || router_log(&stack).await.matches("overwritten:").count();
    stack.put_lines("a.json.gz", [r#"{"event":"x","n":1}"#]).await;
    stack.put_lines("ab.json.gz", [r#"{"event":"x","n":1}"#]).await;
    assert_eq!(router().await, 0);
    stack.put_lines("a.json.gz", [r#"{"event":"x","n":2}"#]).await;
    assert_eq!(router().await, 1);
    stack.send("raw-objects", &notification_of_key(&stack, "a.json.gz").await).await;
    assert_eq!(router().await, 0, "a redelivery is no news");
}

/// One object of a message cannot be sealed; the others are, and the message comes back until all are done.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_several_objects_comes_back_until_the_last_is_done() {
    let stack = Stack::start().await;
    let keys = ["1", "2", "3"];
    for key in keys {
        stack.put_lines(key, [format!(r#"{{"event":"x","n":{key}}}"#)]).await;
    }
    stack.drain("raw-objects").await;
    let mut records = Vec::new();
    for key in keys {
        let mut one: Value = serde_json::from_str(&notification_of_key(&stack, key).await).expect("JSON");
        records.push(one["Records"][0].take());
    }
    let etag = records[1]["s3"]["object"]["eTag"].as_str().expect("an ETag").to_owned();
    let seal = stack.settings.keys.seal(&common::source::SourceId::new("raw-logs", "2", &etag), 0);
    let put = stack.clients.s3.put_object().bucket("routed-logs").key(&seal).body(b"no seal".to_vec().into());
    put.send().await.expect("stored");
    stack.send("raw-objects", &serde_json::json!({ "Records": records }).to_string()).await;

    let router = async { stack.route().await };
    let repair = async {
        let neighbours = || async {
            let sealed = common::objects::list(&stack.clients.s3, "routed-logs", "seals/hour/").await.expect("listed");
            sealed.len() == 2
        };
        crate::stack::eventually("the seals of its neighbours", neighbours).await;
        stack.clients.s3.delete_object().bucket("routed-logs").key(&seal).send().await.expect("deleted");
    };
    tokio::join!(router, repair);
    stack.load().await.expect("loaded");
    assert_eq!(stack.table_counts().await, table("x", 3));
    stack.assert_no_doubles().await;
    assert!(stack.drain("raw-objects-dlq").await.is_empty());
}

/// From a file copied by hand to a table: the key names the event, rules name its table and drop a person.
#[tokio::test(flavor = "multi_thread")]
async fn files_with_a_fixed_event_are_loaded_under_the_rules_of_settings() {
    let mut stack = Stack::start().await;
    let rules = &mut stack.settings.router.rules;
    rules.fixed = vec!["drop/".into()];
    rules.rename.insert("old orders".into(), EventName::of_type("orders"));
    rules.drop.push(common::settings::DropRule { pointer: "/user".into(), values: ["u-1".to_owned()].into() });
    let lines = [r#"{"user":"u-1","total":1}"#, r#"{"user":"u-2","total":2}"#];
    stack.put_lines("drop/old orders/2019+2020.json.gz", lines).await;
    stack.put_lines("drop/nameless.json.gz", lines).await;
    stack.put_lines("logs/a.json.gz", [r#"{"event":"orders","user":"u-3"}"#]).await;
    stack.route_and_load().await;
    assert_eq!(stack.table_counts().await, table("orders", 2));
    let seals = stack.seals().await;
    assert!(seals.iter().all(|seal| seal.counts.balance()));
    assert_eq!(seals.iter().map(|seal| seal.counts.dropped).sum::<u64>(), 2);
    assert_eq!(stack.quarantined().await.len(), 1);
}
