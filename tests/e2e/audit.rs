//! Damage of each kind is planted, found, named and repaired; what is explained is not told.

mod ledger;

use crate::stack::Stack;
use common::event_name::EventName;
use common::timestamp;
use loader::{Ask, Audited, Difference, Kind, Swept, Told, audit, rebuild_ledger, repair};
use std::io::Write;
use std::time::Duration;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

/// What is sealed is taken to be on its way only while a message is.
const NO_LAG: &str = "stopped_retry = \"1s\"\n[sweep]\nlag = \"0s\"";

fn around_now() -> Ask {
    let now = OffsetDateTime::now_utc();
    let day = time::Duration::DAY;
    Ask { from: now - day, to: now + day, event: None }
}

async fn audited_of(stack: &Stack, ask: &Ask) -> Audited {
    let mut told = 0;
    let mut tell = |one: Told<'_>| told += u64::from(matches!(one, Told::Difference(_)));
    let audited = audit(&stack.settings, &stack.clients, ask, &mut tell).await;
    let audited = audited.unwrap_or_else(|error| panic!("{}", common::telemetry::chain(&error)));
    assert_eq!(told, audited.balance.differences, "every difference is told");
    audited
}

async fn audited(stack: &Stack) -> Audited {
    audited_of(stack, &around_now()).await
}

async fn assert_clean(stack: &Stack) -> Audited {
    let audited = audited(stack).await;
    assert!(audited.is_clean(), "{}: {:#?}", audited.balance, audited.differences);
    audited
}

fn only(audited: &Audited) -> &Difference {
    assert!(audited.balance.balances(), "{}", audited.balance);
    match audited.differences.as_slice() {
        [one] => one,
        others => panic!("{}: {others:#?}", audited.balance),
    }
}

async fn mend(stack: &Stack, audited: &Audited) -> loader::Repaired {
    let repaired = repair(&stack.settings, &stack.clients, &around_now(), audited).await;
    repaired.unwrap_or_else(|error| panic!("{}", common::telemetry::chain(&error)))
}

/// Three files of `a` and `b`, three lines of each a file, loaded.
async fn loaded() -> Stack {
    let stack = Stack::with(NO_LAG).await;
    for file in 0..3 {
        let lines = (0..6).map(|n| format!(r#"{{"event":"{}","n":{n}}}"#, ["a", "b"][n % 2]));
        stack.put_lines(&format!("logs/{file}.gz"), lines).await;
    }
    stack.route_and_load().await;
    assert_eq!(assert_clean(&stack).await.balance.tables.loaded, 18);
    stack
}

async fn a_source(stack: &Stack) -> String {
    stack.query("SELECT MIN(_source) FROM events.a").await.remove(0).remove(0)
}

async fn object_of(stack: &Stack, source: &str) -> String {
    let seals = stack.seals().await;
    seals.iter().find(|seal| seal.source_id.as_str() == source).expect("a seal").source.uri()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_is_accounted_for_in_one_line() {
    let stack = Stack::with(NO_LAG).await;
    stack.put_lines("one.gz", fixtures::shop(1, 400).map(|line| line.bytes)).await;
    stack.put_lines("dirty.gz", [r#"{"event":"a"}"#, "not json", r#"{"n":1}"#]).await;
    stack.route_and_load().await;
    let mut lines = Vec::new();
    let mut tell = |told: Told<'_>| lines.push(format!("{told:?}"));
    let audited = audit(&stack.settings, &stack.clients, &around_now(), &mut tell).await.expect("audited");
    let balance = audited.balance;
    let read = balance.objects.expect("of all events");
    assert!(audited.is_clean(), "{balance}");
    assert_eq!((read.objects, read.read), (2, 403));
    assert!(read.quarantined >= 2 && read.read == read.routed + read.quarantined + read.dropped);
    assert_eq!(balance.tables.loaded, stack.table_counts().await.values().sum::<u64>());
    assert!(balance.to_string().ends_with(": balanced"), "{balance}");
    let tables = lines.iter().filter(|line| line.starts_with("Table")).count();
    assert_eq!(tables, stack.table_counts().await.len(), "{lines:#?}");
    assert!(read.hours_not_swept > 0, "no router has swept");

    let only_a = Ask { event: Some(EventName::of_type("a")), ..around_now() };
    let of_a = audited_of(&stack, &only_a).await;
    assert_eq!((of_a.balance.objects, of_a.balance.tables.loaded), (None, 1));
    let before = Ask { to: OffsetDateTime::now_utc() - time::Duration::HOUR, ..around_now() };
    assert_eq!(audited_of(&stack, &before).await.balance.tables.routed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_a_queue_is_explained_and_what_nobody_announces_is_not() {
    let stack = loaded().await;
    stack.put_lines("late.gz", [r#"{"event":"a","n":1}"#, r#"{"event":"b","n":1}"#]).await;
    stack.route().await;
    let waiting = assert_clean(&stack).await.balance.tables;
    assert_eq!((waiting.waiting, waiting.missing), (2, 0));

    let bodies = stack.drain("routed-parts").await;
    let found = audited(&stack).await;
    assert_eq!((found.balance.tables.missing, found.differences.len()), (2, 2), "{:#?}", found.differences);
    assert!(found.differences.iter().all(|one| one.kind == Kind::NotLoaded));
    assert_eq!(found.differences[0].object.as_deref(), Some("s3://raw-logs/late.gz"));
    assert!(found.differences[0].repair.ends_with("--event a --repair"), "{}", found.differences[0].repair);

    // One message for two that are owed explains one of them.
    stack.send("routed-parts", &bodies[0]).await;
    assert_eq!(audited(&stack).await.balance.tables.missing, 1);

    let found = audited(&stack).await;
    assert_eq!(mend(&stack, &found).await.announced, 1);
    stack.load().await.expect("loaded");
    assert_eq!(assert_clean(&stack).await.balance.tables.loaded, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_commits_while_it_is_audited_is_no_difference() {
    let stack = loaded().await;
    for file in 0..12 {
        stack.put_lines(&format!("more/{file}.gz"), [r#"{"event":"a"}"#, r#"{"event":"b"}"#]).await;
    }
    stack.route().await;
    let (loading, auditing) = tokio::join!(stack.load(), async {
        let mut seen = Vec::new();
        for _ in 0..4 {
            let found = audited(&stack).await;
            assert!(found.is_clean(), "{}: {:#?}", found.balance, found.differences);
            seen.push(found.balance.tables.waiting);
        }
        seen
    });
    loading.expect("loaded");
    assert_eq!(auditing.len(), 4);
    assert_eq!(assert_clean(&stack).await.balance.tables.waiting, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_gone_is_made_anew() {
    let stack = loaded().await;
    stack.put_lines("gone.gz", [r#"{"event":"a"}"#, r#"{"event":"b"}"#]).await;
    stack.route().await;
    let seals = stack.seals().await;
    let seal = seals.iter().find(|seal| seal.source.key == "gone.gz").expect("sealed");
    let sealed = seal.events.iter().find(|sealed| sealed.event.as_str() == "a").expect("has a");
    let part = &sealed.parts[0].key;
    stack.clients.s3.delete_object().bucket("routed-logs").key(part).send().await.expect("deleted");
    let found = audited(&stack).await;
    let gone = only(&found);
    assert_eq!((gone.kind, gone.detail.as_str(), gone.rows), (Kind::PartGone, part.as_str(), 1));
    assert_eq!(mend(&stack, &found).await.replaced, 1);
    stack.route_and_load().await;
    assert_eq!(assert_clean(&stack).await.balance.tables.loaded, 20);
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_deleted_come_back_once() {
    let stack = loaded().await;
    let source = a_source(&stack).await;
    stack.query(&format!("DELETE FROM events.a WHERE _source = '{source}' AND _line = 1")).await;
    let found = audited(&stack).await;
    let missing = only(&found);
    assert_eq!((missing.kind, missing.rows), (Kind::RowsMissing, 1));
    assert_eq!(missing.object, Some(object_of(&stack, &source).await));
    assert_eq!(mend(&stack, &found).await.replaced, 1);
    stack.route().await;
    let replacing = assert_clean(&stack).await.balance.tables;
    assert_eq!((replacing.replacing, replacing.missing), (6, 0), "the whole object is replaced");
    stack.load().await.expect("loaded");
    assert_eq!(assert_clean(&stack).await.balance.tables.loaded, 18);
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_inserted_twice_are_removed_also_those_of_long_ago() {
    let stack = loaded().await;
    let source = a_source(&stack).await;
    let of = format!("FROM events.a WHERE _source = '{source}'");
    stack.query(&format!("INSERT INTO events.a SELECT * {of}")).await;
    stack
        .query(&format!(
            "INSERT INTO events.a (_source, _line, _loaded_at) SELECT _source, _line, DATEADD(day, -9, _loaded_at) {of} AND _line = 1"
        ))
        .await;
    let found = audited(&stack).await;
    let doubled = only(&found);
    assert_eq!((doubled.kind, doubled.rows), (Kind::RowsDoubled, 5));
    assert_eq!(mend(&stack, &found).await.replaced, 1);
    stack.route_and_load().await;
    assert_eq!(assert_clean(&stack).await.balance.tables.loaded, 18);
    stack.assert_no_doubles().await;

    // Damaged again, the same range is another repair.
    stack.query(&format!("DELETE {of}")).await;
    let found = audited(&stack).await;
    assert_eq!(only(&found).kind, Kind::RowsMissing);
    mend(&stack, &found).await;
    stack.route_and_load().await;
    assert_eq!(assert_clean(&stack).await.balance.tables.loaded, 18);
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_row_that_says_too_little_or_has_no_rows_is_found() {
    let stack = loaded().await;
    let source = a_source(&stack).await;
    stack.query(&format!("UPDATE log_router.ledger_a SET rows_loaded = 1 WHERE source_id = '{source}'")).await;
    let found = audited(&stack).await;
    assert_eq!((only(&found).kind, found.balance.tables.missing), (Kind::LedgerDiffers, 0));
    stack.query(&format!("UPDATE log_router.ledger_a SET rows_loaded = 3 WHERE source_id = '{source}'")).await;
    stack.query(&format!("DELETE FROM events.a WHERE _source = '{source}'")).await;
    let found = audited(&stack).await;
    assert_eq!((only(&found).kind, only(&found).rows), (Kind::RowsMissing, 3));
    mend(&stack, &found).await;
    stack.route_and_load().await;
    assert_clean(&stack).await;
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_people_removed_and_said_so_are_explained_and_stay_removed() {
    let stack = loaded().await;
    let removal = [
        "INSERT INTO log_router.removed (event, source_id, rows, why) SELECT 'a', _source, COUNT(*), 'retention' FROM events.a WHERE n < 3 AND _source IS NOT NULL GROUP BY _source",
        "DELETE FROM events.a WHERE n < 3",
    ];
    let batch = stack.clients.redshift.batch_execute_statement().workgroup_name("analytics").database("dev");
    let id = batch.set_sqls(Some(removal.map(str::to_owned).to_vec())).send().await.expect("taken").id.expect("an id");
    crate::stack::eventually("the removal", || async {
        let told = stack.clients.redshift.describe_statement().id(&id).send().await.expect("told");
        told.status.is_some_and(|status| status.as_str() == "FINISHED")
    })
    .await;
    let tables = assert_clean(&stack).await.balance.tables;
    assert_eq!((tables.removed, tables.loaded, tables.missing), (6, 12, 0));

    // One more than was told.
    stack.query("DELETE FROM events.a WHERE n = 4 AND _source = (SELECT MIN(_source) FROM events.a)").await;
    let found = audited(&stack).await;
    assert_eq!((only(&found).kind, only(&found).rows), (Kind::RowsMissing, 1));

    // Routed again it would bring back what people removed.
    let repaired = mend(&stack, &found).await;
    assert_eq!((repaired.replaced, repaired.left, repaired.told.len()), (0, 1, 1));
    assert!(repaired.told[0].contains("people removed rows of a "), "{}", repaired.told[0]);

    // A ledger that is made anew does not bring them back.
    stack.query("DROP TABLE log_router.ledger_a").await;
    let rebuilt = rebuild_ledger(&stack.settings, &stack.clients, None).await.expect("made anew");
    assert_eq!((rebuilt[0].adopted, rebuilt[0].announced), (3, 0));
    stack.load().await.expect("nothing to load");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a WHERE n < 3").await, 0);
    assert_eq!(only(&audited(&stack).await).kind, Kind::RowsMissing, "what nobody told of is still told");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_announced_of_a_settled_day_is_found_by_the_sweep_if_its_table_is_stopped() {
    let stack = loaded().await;
    let source = a_source(&stack).await;
    for what in ["log_router.ledger_a WHERE source_id", "events.a WHERE _source"] {
        stack.query(&format!("DELETE FROM {what} = '{source}'")).await;
    }
    // As if sweeps had been done with all days long ago.
    stack
        .query(
            "INSERT INTO log_router.sweeps (prefix, settled_before) SELECT 'day/' || TO_CHAR(SYSDATE, 'YYYY/MM/DD') || '/', SYSDATE",
        )
        .await;
    let found = audited(&stack).await;
    assert_eq!(only(&found).kind, Kind::NotLoaded);
    let sweep = || async {
        match loader::sweep(&stack.settings, &stack.clients, false, &CancellationToken::new()).await.expect("swept") {
            Swept::Done(report) => report.events.values().map(|owed| owed.announced).sum::<u64>(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(sweep().await, 0, "the day is settled");
    assert_eq!(mend(&stack, &found).await.announced, 1);
    // As a stopped table does with what would wait long.
    assert_eq!(stack.drain("routed-parts").await.len(), 1);
    assert_eq!(sweep().await, 1);
    stack.load().await.expect("loaded");
    assert_clean(&stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_dropped_holds_up_no_repair() {
    let stack = loaded().await;
    stack.query("DROP TABLE events.a").await;
    stack.query("DELETE FROM events.b WHERE _source = (SELECT MIN(_source) FROM events.b)").await;
    let found = audited(&stack).await;
    assert_eq!((found.differences.len(), found.balance.tables.missing), (4, 12), "{:#?}", found.differences);
    let repaired = mend(&stack, &found).await;
    assert_eq!((repaired.replaced, repaired.left), (3, 0), "{:?}", repaired.told);
    stack.route_and_load().await;
    assert_eq!(assert_clean(&stack).await.balance.tables.loaded, 18);
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_mended_is_left_and_the_others_are() {
    let stack = loaded().await;
    stack.query("DELETE FROM events.a WHERE _source = (SELECT MIN(_source) FROM events.a)").await;
    stack.query("DELETE FROM events.b WHERE _source = (SELECT MAX(_source) FROM events.b)").await;
    // A table that nobody can say of when its rows were loaded.
    for statement in [
        "CREATE TABLE events.copied (_source VARCHAR(32), _line BIGINT)",
        "INSERT INTO events.copied SELECT _source, _line FROM events.a",
        "DROP TABLE events.a",
        "CREATE TABLE events.a (_source VARCHAR(32), _line BIGINT)",
        "INSERT INTO events.a SELECT _source, _line FROM events.copied",
    ] {
        stack.query(statement).await;
    }
    let found = audited(&stack).await;
    assert_eq!((found.differences.len(), found.balance.tables.missing), (2, 6), "{:#?}", found.differences);
    let repaired = mend(&stack, &found).await;
    assert_eq!((repaired.replaced, repaired.left, repaired.told.len()), (1, 1, 1), "{:?}", repaired.told);
    assert!(repaired.told[0].starts_with("a of 1 sources is left"), "{}", repaired.told[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_rows_are_removed_only_where_the_younger_ones_are_all_that_was_loaded() {
    let stack = loaded().await;
    let source = a_source(&stack).await;
    // Of three lines one is there as it was loaded, and another as something older than the ledger.
    stack.query(&format!("DELETE FROM events.a WHERE _source = '{source}' AND _line <> 1")).await;
    stack
        .query(&format!(
            "INSERT INTO events.a (_source, _line, _loaded_at) VALUES ('{source}', 3, DATEADD(day, -9, SYSDATE))"
        ))
        .await;
    let found = audited(&stack).await;
    assert_eq!((only(&found).kind, only(&found).rows), (Kind::RowsMissing, 1));
    mend(&stack, &found).await;
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 8, "no line is lost before the new rows are there");
    stack.route_and_load().await;
    let found = audited(&stack).await;
    assert_eq!((only(&found).kind, only(&found).rows), (Kind::RowsDoubled, 1));
    mend(&stack, &found).await;
    stack.route_and_load().await;
    assert_eq!(assert_clean(&stack).await.balance.tables.loaded, 18);
}

/// Removes the object of the hour index of this source's generation.
async fn forget_hour(stack: &Stack, source: &str, generation: u32) -> common::seal::Seal {
    let seals = stack.seals().await;
    let is_it = |seal: &&common::seal::Seal| seal.source_id.as_str() == source && seal.generation == generation;
    let seal = seals.iter().find(is_it).expect("sealed").clone();
    let key = stack.settings.keys.hour_index(seal.source.time, &seal.source_id, generation);
    stack.clients.s3.delete_object().bucket("routed-logs").key(key).send().await.expect("deleted");
    seal
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_replaced_by_other_rules_under_the_audit_is_compared_with_its_new_seal() {
    let mut stack = loaded().await;
    let source = a_source(&stack).await;
    stack.query(&format!("DELETE FROM events.a WHERE _source = '{source}' AND _line = 1")).await;
    let found = audited(&stack).await;
    mend(&stack, &found).await;
    stack.settings.router.rules.deny = vec!["b".to_owned()];
    stack.route_and_load().await;
    // As if the hour had been read before the new seal was there.
    forget_hour(&stack, &source, 1).await;
    let balance = assert_clean(&stack).await.balance;
    let read = balance.objects.expect("of all events");
    assert_eq!((read.read, read.routed, read.quarantined, read.changed), (18, 15, 3, 0));
    assert_eq!((balance.tables.routed, balance.tables.loaded), (15, 15));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_loaded_and_in_no_index_is_told_and_indexed_again() {
    let stack = loaded().await;
    let source = a_source(&stack).await;
    let mut seal = forget_hour(&stack, &source, 0).await;
    assert_clean(&stack).await;
    // Young seals may have none yet.
    seal.sealed_at -= time::Duration::HOUR;
    let key = stack.settings.keys.seal(&seal.source_id, 0);
    stack.clients.s3.put_object().bucket("routed-logs").key(key).body(seal.to_json().into()).send().await.expect("put");
    let found = audited(&stack).await;
    let kinds: Vec<Kind> = found.differences.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [Kind::NoIndex; 2]);
    assert_eq!(mend(&stack, &found).await.indexed, 1);
    stack.route_and_load().await;
    assert_eq!(assert_clean(&stack).await.balance.tables.loaded, 18);

    // Without its ledger row either.
    forget_hour(&stack, &source, 0).await;
    stack.query(&format!("DELETE FROM log_router.ledger_a WHERE source_id = '{source}'")).await;
    let mut kinds: Vec<Kind> = audited(&stack).await.differences.iter().map(|one| one.kind).collect();
    kinds.sort();
    assert_eq!(kinds, [Kind::NoLedgerRow, Kind::NoIndex]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_knows_is_foreign_and_what_people_add_is_their_own() {
    let stack = loaded().await;
    stack.query("INSERT INTO events.a (n) VALUES (77)").await;
    assert_eq!(assert_clean(&stack).await.balance.own, 1);
    stack.query("INSERT INTO events.a (_source, _line) VALUES ('mine', 1)").await;
    let found = audited(&stack).await;
    assert_eq!((only(&found).kind, found.balance.foreign), (Kind::Foreign, 1));
    stack.query(&only(&found).repair).await;
    assert_clean(&stack).await;
    // A ledger row of a source that was never sealed.
    stack
        .query(&format!(
            "INSERT INTO log_router.ledger_a (source_id, generation, parts, rows_loaded, rows_rejected, batch, source_time) VALUES ('{}', 0, 1, 1, 0, 'b', SYSDATE)",
            "0".repeat(32)
        ))
        .await;
    assert_eq!(only(&audited(&stack).await).kind, Kind::NoSeal);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_set_aside_is_told_and_lifted_by_a_repair() {
    let stack = loaded().await;
    stack.put_lines("aside.gz", [r#"{"event":"a"}"#]).await;
    stack.route().await;
    stack.drain("routed-parts").await;
    let seals = stack.seals().await;
    let source = &seals.iter().find(|seal| seal.source.key == "aside.gz").expect("sealed").source_id;
    stack
        .query(&format!(
            "INSERT INTO log_router.failed (source_id, event, generation, why) VALUES ('{source}', 'a', 0, 'because')"
        ))
        .await;
    let found = audited(&stack).await;
    assert_eq!((only(&found).kind, found.balance.tables.failed), (Kind::Failed, 1));
    assert_eq!(only(&found).repair, format!("loader redrive --event a --source {source}"));
    assert_eq!(mend(&stack, &found).await.announced, 1);
    stack.load().await.expect("loaded");
    assert_eq!(assert_clean(&stack).await.balance.tables.failed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_objects_that_were_given_up_are_named_until_they_are_sealed() {
    use common::swept::{OpenHour, SWEPT_VERSION, Unsealed};
    let stack = loaded().await;
    let now = OffsetDateTime::now_utc();
    let object = |key: &str, given_up| Unsealed {
        key: key.to_owned(),
        etag: "e".to_owned(),
        bytes: 1,
        time: now,
        tries: 3,
        last_try_at: Some(now),
        given_up,
    };
    let sealed = stack.seals().await.remove(0).source;
    let mut loaded = object(&sealed.key, true);
    loaded.etag = sealed.etag;
    let unsealed = vec![object("young.gz", false), object("lost.gz", true), loaded];
    let hour = OpenHour { version: SWEPT_VERSION, listed_at: now, unsealed };
    let key = stack.settings.keys.open_hour(now);
    let body = serde_json::to_vec(&hour).expect("JSON");
    stack.clients.s3.put_object().bucket("routed-logs").key(key).body(body.into()).send().await.expect("stored");
    let found = audited(&stack).await;
    let given_up = only(&found);
    assert_eq!((given_up.kind, given_up.object.as_deref()), (Kind::GivenUp, Some("s3://raw-logs/lost.gz")));
    let read = found.balance.objects.expect("of all events");
    assert_eq!((read.unsealed, read.given_up), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_tells_names_and_exits_with_1_until_all_is_well() {
    let stack = loaded().await;
    let now = OffsetDateTime::now_utc();
    let (from, to) = (now - time::Duration::DAY, now + time::Duration::DAY);
    let command = |args: &'static [&'static str]| {
        let mut loader = crate::process::command(&stack, "loader");
        loader.args(["audit", "--from", &timestamp::format(from), "--to", &timestamp::format(to)]).args(args);
        async move {
            let ended =
                tokio::time::timeout(Duration::from_secs(60), crate::process::output(loader)).await.expect("ends");
            (ended.status.code(), String::from_utf8([ended.stdout, ended.stderr].concat()).expect("UTF-8"))
        }
    };
    let (code, told) = command(&[]).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("a  routed 9  loaded 9"), "{told}");
    assert!(told.trim_end().ends_with("doubled 0; foreign 0: balanced"), "{told}");

    stack.query("DELETE FROM events.a").await;
    let (code, told) = command(&[]).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("rows are missing (3 rows), s3://raw-logs/logs/0.gz") && told.contains("--repair"), "{told}");
    let (code, told) = command(&["--json"]).await;
    let lines: Vec<serde_json::Value> = told.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!((code, lines.iter().filter(|line| !line["difference"].is_null()).count()), (Some(1), 3), "{told}");
    assert_eq!(lines.last().expect("a line")["balance"]["tables"]["missing"], 9);

    let (code, told) = command(&["--repair", "--yes"]).await;
    assert!(code == Some(0) && told.contains("asked for 3 raw objects"), "{told}");
    stack.route_and_load().await;
    assert_eq!(command(&[]).await.0, Some(0));

    let settings = std::fs::read_to_string(stack.settings_file()).expect("read");
    std::fs::write(stack.settings_file(), settings.replace("[router]", "[router]\nlineage = false")).expect("written");
    let (code, told) = command(&["--repair"]).await;
    assert!(code == Some(1) && told.contains("router.lineage"), "{told}");
}
