use crate::held::Held;
use crate::process::{Running, command, output, router_log};
use crate::stack::{IDLE, Stack, eventually};
use common::clients::Clients;
use common::event_name::EventName;
use common::route_request::{Replace, RouteRequest, Why};
use common::seal::Seal;
use common::settings::Settings;
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

/// A request for what lies under a key now.
pub(crate) async fn request_for(stack: &Stack, key: &str, why: Why) -> RouteRequest {
    let head = stack.clients.s3.head_object().bucket("raw-logs").key(key).send().await.expect("it is there");
    RouteRequest::new("raw-logs", key, &head.e_tag.expect("an ETag"), why)
}

/// A request to route it again.
async fn replace_of(stack: &Stack, key: &str, id: &str, generation: u32) -> RouteRequest {
    let mut request = request_for(stack, key, Why::Repair).await;
    request.replace = Some(Replace { id: id.to_owned(), generation, routing_id: None });
    request
}

async fn send(stack: &Stack, request: &RouteRequest) {
    stack.send("raw-objects-backfill", &request.to_json()).await;
}

/// Routes a key's contents again and loads what became of them.
async fn replaced(stack: &Stack, key: &str, id: &str, generation: u32) {
    send(stack, &replace_of(stack, key, id, generation).await).await;
    stack.route_and_load().await;
}

async fn highest(stack: &Stack) -> Seal {
    stack.seals().await.into_iter().max_by_key(|seal| seal.generation).expect("a seal")
}

fn counts(tables: &[(&str, u64)]) -> BTreeMap<String, u64> {
    tables.iter().map(|&(table, rows)| (table.to_owned(), rows)).collect()
}

const LINES: [&str; 7] = [
    r#"{"event":"a","user":1}"#,
    r#"{"event":"a","user":2}"#,
    r#"{"event":"b","user":1}"#,
    r#"{"event":"b","user":2}"#,
    r#"{"event":"c","user":1}"#,
    r#"{"event":"d","user":1}"#,
    r#"{"event":"e","user":1}"#,
];

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_rule_leaves_exactly_the_new_rows_in_every_table_also_where_an_event_disappears() {
    let mut stack = Stack::start().await;
    stack.put_lines("log.json.gz", LINES).await;
    stack.put_lines("other.json.gz", [r#"{"event":"a","user":7}"#, r#"{"event":"c","user":7}"#]).await;
    stack.route_and_load().await;
    assert_eq!(stack.table_counts().await, counts(&[("a", 3), ("b", 2), ("c", 2), ("d", 1), ("e", 1)]));

    stack.reset("[router.rename]\na = \"z\"\n[[router.drop]]\npointer = \"/user\"\nvalues = [1]\n");
    replaced(&stack, "log.json.gz", "first", 1).await;
    let now = counts(&[("a", 1), ("b", 1), ("c", 1), ("d", 0), ("e", 0), ("z", 1)]);
    assert_eq!(stack.table_counts().await, now, "the other file's rows stay, and dropped people do not come back");
    let seal = highest(&stack).await;
    let sealed: Vec<_> = seal.events.iter().map(|e| (e.event.as_str(), e.since, e.records)).collect();
    assert_eq!(sealed, [("a", 1, 0), ("b", 1, 1), ("c", 1, 0), ("d", 1, 0), ("e", 1, 0), ("z", 1, 1)]);
    assert_eq!(seal.replace_id.as_deref(), Some("first"));
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.b WHERE \"user\" = 2").await, 1);
    let loaded =
        format!("SELECT generation, rows_loaded FROM log_router.ledger_e WHERE source_id = '{}'", seal.source_id);
    let mut ledger = stack.query(&loaded).await;
    ledger.sort();
    assert_eq!(ledger, [["0", "1"], ["1", "0"]]);

    // The same request again, and again with what follows the seal undone.
    for _ in 0..2 {
        replaced(&stack, "log.json.gz", "first", 1).await;
    }
    assert_eq!((stack.table_counts().await, stack.seals().await.len()), (now, 3));
    assert_eq!(stack.messages("routed-parts-backfill").await, 0);
    assert!(stack.drain("raw-objects-backfill-dlq").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_of_replaces_leave_the_rows_of_the_last() {
    let mut stack = Stack::start().await;
    stack.put_lines("log.json.gz", (0..50).map(|n| format!(r#"{{"event":"x","n":{n}}}"#))).await;
    stack.route_and_load().await;
    for (generation, name) in [(1, "y"), (2, "z"), (3, "x"), (4, "z")] {
        stack.reset(&format!("[router.rename]\nx = \"{name}\"\n"));
        replaced(&stack, "log.json.gz", &format!("to {name} {generation}"), generation).await;
        let all = stack.table_counts().await;
        let (full, empty): (Vec<_>, Vec<_>) = all.iter().partition(|(_, rows)| **rows > 0);
        assert_eq!(full, [(&name.to_owned(), &50)], "{all:?}");
        assert_eq!(empty.len(), usize::try_from(generation).expect("small").min(2), "{all:?}");
    }
    let seal = highest(&stack).await;
    assert_eq!(
        seal.events.iter().map(|e| (e.event.as_str(), e.since)).collect::<Vec<_>>(),
        [("x", 4), ("y", 4), ("z", 4)]
    );
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_replaces_that_nobody_loaded_between_loads_as_the_last_of_them() {
    let mut stack = Stack::start().await;
    stack.put_lines("log.json.gz", (0..50).map(|n| format!(r#"{{"event":"x","n":{n}}}"#))).await;
    stack.route().await;
    for (generation, name) in [(1, "y"), (2, "z")] {
        stack.reset(&format!("[router.rename]\nx = \"{name}\"\n"));
        send(&stack, &replace_of(&stack, "log.json.gz", name, generation).await).await;
        stack.route().await;
    }
    // Of `y`, whose request says nothing of generation 2, only the emptied one may be left.
    stack.load().await.expect("loaded");
    let full: Vec<_> = stack.table_counts().await.into_iter().filter(|(_, rows)| *rows > 0).collect();
    assert_eq!(full, [("z".to_owned(), 50)]);
    for event in ["x", "y", "z"] {
        let highest = stack.number(&format!("SELECT MAX(generation) FROM log_router.ledger_{event}")).await;
        assert_eq!(highest, 2, "{event}: also where no part was ever loaded, there is a row");
    }
}

async fn route_with(settings: &Settings, clients: &Clients) {
    router::run(settings, clients, Some(IDLE), CancellationToken::new()).await.expect("the router starts");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_replaces_that_want_one_generation_one_wins_and_the_other_is_told() {
    let stack = Stack::start().await;
    stack.put_lines("log.json.gz", LINES).await;
    stack.route_and_load().await;
    // Both routed it before either could seal it.
    let held = Held::requests(&stack.endpoint(), &["PUT /routed-logs/seals/id/"]).await;
    let clients = Clients::for_endpoint(&held.endpoint).await;
    let mut routers = Vec::new();
    for (id, name) in [("left", "y"), ("right", "z")] {
        send(&stack, &replace_of(&stack, "log.json.gz", id, 1).await).await;
        let (mut settings, clients) = (stack.settings.clone(), clients.clone());
        settings.router.rules.rename.insert("a".into(), EventName::of_type(name));
        settings.router.objects_in_flight = 2;
        settings.router.workers = 1;
        let parts = format!("routed/{name}/");
        routers.push(tokio::spawn(async move { route_with(&settings, &clients).await }));
        eventually("its parts", || async {
            let parts = common::objects::list(&stack.clients.s3, "routed-logs", &parts).await.expect("listed");
            !parts.is_empty()
        })
        .await;
    }
    held.release();
    for router in routers {
        router.await.expect("no panic");
    }
    let seal = highest(&stack).await;
    assert_eq!((seal.generation, stack.seals().await.len()), (1, 2));
    let (winner, loser) = match seal.replace_id.as_deref() {
        Some("left") => ("y", "right"),
        Some("right") => ("z", "left"),
        other => panic!("{other:?} has the claim"),
    };
    stack.load().await.expect("loaded");
    let expected = counts(&[("a", 0), ("b", 2), ("c", 1), ("d", 1), ("e", 1), (winner, 2)]);
    assert_eq!(stack.table_counts().await, expected);

    // Whoever comes later is told, and changes nothing.
    send(&stack, &replace_of(&stack, "log.json.gz", loser, 1).await).await;
    let log = router_log(&stack).await;
    let won = seal.replace_id.expect("one of them");
    let told = format!("generation 1 of s3://raw-logs/log.json.gz was made by replace {won}, not by replace {loser}");
    assert!(log.contains("lost claim") && log.contains(&told), "{log}");
    assert_eq!((stack.seals().await.len(), stack.messages("raw-objects-backfill").await), (2, 0));

    // It has the next generation, if somebody asks for that.
    send(&stack, &replace_of(&stack, "log.json.gz", loser, 2).await).await;
    stack.route_and_load().await;
    let expected = counts(&[("a", 2), ("b", 2), ("c", 1), ("d", 1), ("e", 1), (winner, 0)]);
    assert_eq!(stack.table_counts().await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_whose_router_died_at_its_seal_is_found_by_whoever_asks_for_the_object_again() {
    for asks in ["first", "second"] {
        let mut stack = Stack::start().await;
        stack.put_lines("log.json.gz", LINES).await;
        stack.route_and_load().await;
        stack.reset("[router.rename]\na = \"z\"\n");
        send(&stack, &replace_of(&stack, "log.json.gz", "first", 1).await).await;
        stack.route().await;
        // All that it came to is the seal.
        let seal = highest(&stack).await;
        let keys = &stack.settings.keys;
        let index =
            [keys.hour_index(seal.source.time, &seal.source_id, 1), keys.day_index(seal.sealed_at, &seal.source_id, 1)];
        for key in &index {
            stack.clients.s3.delete_object().bucket("routed-logs").key(key).send().await.expect("deleted");
        }
        assert!(!stack.drain("routed-parts-backfill").await.is_empty());
        replaced(&stack, "log.json.gz", asks, 1).await;
        for key in &index {
            assert!(common::objects::exists(&stack.clients.s3, "routed-logs", key).await.expect("asked"), "{asks}");
        }
        let now = counts(&[("a", 0), ("b", 2), ("c", 1), ("d", 1), ("e", 1), ("z", 2)]);
        assert_eq!((stack.table_counts().await, stack.seals().await.len()), (now, 2), "{asks}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_an_earlier_generation_never_loads_after_a_later_one() {
    let mut stack = Stack::start().await;
    stack.put_lines("log.json.gz", LINES).await;
    stack.route().await;
    let late = stack.drain("routed-parts").await;
    stack.reset("[router.rename]\nc = \"y\"\n");
    replaced(&stack, "log.json.gz", "r", 1).await;
    let now = stack.table_counts().await;
    assert_eq!(now.get("y"), Some(&1));
    assert!(!now.contains_key("c"), "nothing of it ever had a row: {now:?}");
    for body in &late {
        stack.send("routed-parts", body).await;
    }
    stack.load().await.expect("settled");
    assert_eq!(stack.table_counts().await, now);
    assert_eq!(stack.messages("routed-parts").await, 0);
    assert_eq!(stack.number("SELECT MAX(generation) FROM log_router.ledger_c").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_whose_routers_are_killed_in_the_middle_is_finished_by_redelivery() {
    const FILES: u64 = 12;
    const LINES: u64 = 1_500;
    let mut stack = Stack::start().await;
    for queue in ["raw-objects-backfill", "routed-parts-backfill"] {
        stack.set_visibility(queue, 4).await;
    }
    for n in 0..FILES {
        stack.put_lines(&format!("{n}.json.gz"), fixtures::shop(n, LINES).map(|l| l.bytes)).await;
    }
    stack.route_and_load().await;
    let before = stack.table_counts().await;
    stack.reset("[router.rename]\npage_view = \"seen\"\n");
    for n in 0..FILES {
        send(&stack, &replace_of(&stack, &format!("{n}.json.gz"), "r", 1).await).await;
    }
    let run = |binary| {
        let mut command = command(&stack, binary);
        command.args(["run", "--until-idle", "2s"]);
        command
    };
    let of_first = || async {
        let seals = common::objects::list(&stack.clients.s3, "routed-logs", "seals/id/").await.expect("listed");
        seals.iter().filter(|key| key.contains(".g1.")).count()
    };
    for seals in [1, 4, 8] {
        let router = Running::start(run("router"));
        eventually("seals", || async { of_first().await >= seals }).await;
        router.kill();
    }
    // The loader is killed too, between tables that are replaced and tables that are not yet.
    let loader = Running::start(run("loader"));
    let replaced = || async {
        let rows = stack.try_query("SELECT COUNT(*) FROM log_router.ledger_page_view WHERE generation = 1").await;
        rows.is_ok_and(|rows| rows[0][0] != "0")
    };
    eventually("a replaced table", replaced).await;
    loader.kill();
    for binary in ["router", "loader"] {
        let ended = output(run(binary)).await;
        assert!(ended.status.success(), "{binary}: {}", String::from_utf8_lossy(&ended.stderr));
    }
    let mut expected = before.clone();
    expected.insert("seen".to_owned(), before["page_view"]);
    expected.insert("page_view".to_owned(), 0);
    assert_eq!(stack.table_counts().await, expected);
    stack.assert_no_doubles().await;
    assert_eq!(of_first().await as u64, FILES);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_replaced_is_told_and_the_earlier_generation_stands() {
    let stack = Stack::start().await;
    for key in ["gone", "overwritten", "gap"] {
        stack.put_lines(key, [r#"{"event":"x"}"#]).await;
    }
    stack.route_and_load().await;
    let mut requests = Vec::new();
    for key in ["gone", "overwritten"] {
        requests.push(replace_of(&stack, key, "r", 1).await);
    }
    requests.push(replace_of(&stack, "gap", "r", 2).await);
    let mut foreign = replace_of(&stack, "gap", "r", 1).await;
    foreign.bucket = "elsewhere".to_owned();
    requests.push(foreign);
    stack.clients.s3.delete_object().bucket("raw-logs").key("gone").send().await.expect("deleted");
    stack.put_lines("overwritten", [r#"{"event":"y"}"#]).await;
    stack.drain("raw-objects").await;
    for request in &requests {
        send(&stack, request).await;
    }
    let log = router_log(&stack).await;
    for told in [
        "gone: s3://raw-logs/gone was deleted before it was routed again",
        "superseded: s3://raw-logs/overwritten was overwritten before it was routed again",
        "generation 2 of s3://raw-logs/gap cannot be made: its highest one is 0",
        "s3://elsewhere/gap is outside raw.bucket and raw.prefix",
    ] {
        assert!(log.contains(told), "{told}: {log}");
    }
    assert_eq!(stack.drain("raw-objects-backfill-dlq").await.len(), 2);
    assert_eq!(stack.seals().await.len(), 3);
    stack.load().await.expect("nothing to do");
    assert_eq!(stack.table_counts().await, counts(&[("x", 3)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_is_never_routed_by_other_rules_than_its_own_or_without_lineage() {
    let mut stack = Stack::start().await;
    stack.put_lines("log", [r#"{"event":"x"}"#]).await;
    stack.route_and_load().await;
    let mut request = replace_of(&stack, "log", "r", 1).await;
    let other = "0badc0de".to_owned();
    request.replace.as_mut().expect("a replace").routing_id = Some(other.clone());
    send(&stack, &request).await;
    let ended = router::run(&stack.settings, &stack.clients, Some(IDLE), CancellationToken::new()).await;
    let error = common::telemetry::chain(&ended.expect_err("it is left"));
    assert!(error.contains("routed by the rules 0badc0de"), "{error}");
    assert_eq!(stack.messages("raw-objects-backfill").await, 1, "for a router of those rules");
    stack.drain("raw-objects-backfill").await;

    stack.settings.router.lineage = false;
    request.replace.as_mut().expect("a replace").routing_id = None;
    send(&stack, &request).await;
    stack.route().await;
    assert_eq!(stack.drain("raw-objects-backfill-dlq").await, [request.to_json()]);
    assert_eq!(stack.seals().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_overwritten_keys_are_ignored_the_claimed_contents_can_be_replaced() {
    let mut stack = Stack::start().await;
    stack.settings.raw.overwrite = common::settings::Overwrite::Ignore;
    stack.put_lines("log", [r#"{"event":"x","n":1}"#]).await;
    stack.route_and_load().await;
    stack.settings.router.rules.rename.insert("x".into(), EventName::of_type("y"));
    replaced(&stack, "log", "r", 1).await;
    assert_eq!(stack.table_counts().await, counts(&[("x", 0), ("y", 1)]));
    // Later contents are ignored as before.
    stack.put_lines("log", [r#"{"event":"x","n":2}"#]).await;
    stack.route_and_load().await;
    assert_eq!(stack.table_counts().await, counts(&[("x", 0), ("y", 1)]));
    assert_eq!(stack.seals().await.len(), 2);
}
