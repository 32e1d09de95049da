use crate::held::Held;
use crate::process::{command, output};
use crate::stack::{IDLE, Stack, eventually};
use crate::sweep::{backdate, claimed_by_another, take, without_sweeps_of_the_router};
use crate::vouched::Vouched;
use common::clients::Clients;
use common::objects;
use common::route_request::RouteRequest;
use common::seal::Seal;
use common::swept::{Mark, OpenHour, Unsealed};
use router::{Asked, Report, SweepOptions, Swept};
use serde_json::json;
use std::time::Duration;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

const NO_LAG: &str = "[sweep]\nlag = \"0s\"";

/// Nothing is asked for sooner again, and sweeps of a test follow one another at once.
const QUICK: &str = "[sweep]\nlag = \"0s\"\nevery = \"1s\"";

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

async fn sweep_with(stack: &Stack, clients: &Clients, options: SweepOptions) -> Swept {
    let swept = router::sweep(&stack.settings, clients, options, &CancellationToken::new()).await;
    swept.unwrap_or_else(|error| panic!("{}", common::telemetry::chain(&error)))
}

async fn sweep(stack: &Stack) -> Report {
    match sweep_with(stack, &stack.clients, SweepOptions::default()).await {
        Swept::Done(report) => report,
        other => panic!("{other:?}"),
    }
}

async fn loader_sweep(stack: &Stack) {
    let swept = loader::sweep(&stack.settings, &stack.clients, false, &CancellationToken::new()).await;
    swept.unwrap_or_else(|error| panic!("{}", common::telemetry::chain(&error)));
}

async fn drop_notifications(stack: &Stack, of: &str) {
    stack.fault(json!({ "fault": "dropped_notification", "contains": of })).await;
}

async fn mark(stack: &Stack, hour: OffsetDateTime) -> Option<Mark> {
    let key = stack.settings.keys.swept_mark(hour);
    let found = objects::get_with_etag(&stack.clients.s3, "routed-logs", &key).await.expect("read");
    found.map(|(bytes, _)| Mark::parse(&bytes).expect("a mark"))
}

async fn open_hour(stack: &Stack, hour: OffsetDateTime) -> OpenHour {
    let key = stack.settings.keys.open_hour(hour);
    let bytes = objects::get(&stack.clients.s3, "routed-logs", &key).await.expect("there");
    OpenHour::parse(&bytes).expect("an open hour")
}

/// The keys that messages of a queue ask for.
async fn asked_for(stack: &Stack, queue: &str) -> Vec<String> {
    let bodies = take(stack, queue).await;
    // Beside S3's own messages.
    let requests = bodies.iter().filter_map(|body| RouteRequest::read(&serde_json::from_str(body).expect("JSON")));
    requests.map(|request| request.expect("whole").key).collect()
}

async fn sealed(stack: &Stack) -> usize {
    stack.seals().await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_notification_told_of_is_sealed_loaded_and_vouched_for_at_no_moment_too_early() {
    let stack = Stack::with(NO_LAG).await;
    let mut vouched = Vouched::new(&stack);
    let now = OffsetDateTime::now_utc();
    // One of twenty is told to nobody.
    drop_notifications(&stack, "lost").await;
    for n in 0..60u32 {
        let key = if n % 20 == 7 { format!("lost-{n}") } else { n.to_string() };
        let events: &[&'static str] = if n % 3 == 0 { &["a", "b"] } else { &["a"] };
        vouched.put(&key, now - HOUR * (4 + n % 6), events).await;
    }
    let quiet = OffsetDateTime::now_utc();
    vouched.during(stack.route()).await;
    assert_eq!(sealed(&stack).await, 60, "the first sweep of a run finds what nobody told of");
    vouched.during(async { stack.load().await.expect("loaded") }).await;
    assert!(!vouched.is_all_complete().await, "some hours were still open when they were listed");
    let report = vouched.during(sweep(&stack)).await;
    assert_eq!((report.unsealed, report.open_hours, report.lost), (0, 0, 0), "{report:?}");
    // Behind the router's back, and before the loader says a word.
    vouched.put("lost-between", now - 5 * HOUR, &["a"]).await;
    vouched.during(loader_sweep(&stack)).await;
    assert!(vouched.is_all_complete().await);

    // An object that comes late takes it back, and nothing is said of it too early.
    vouched.put("late", now - 5 * HOUR, &["a", "b"]).await;
    vouched.put("lost-late", now - 6 * HOUR, &["b"]).await;
    assert!(mark(&stack, now - 6 * HOUR).await.expect("marked").listed_at > quiet);
    let report = vouched.during(sweep(&stack)).await;
    assert_eq!((report.unsealed, report.asked), (3, Asked { live: 0, backfill: 3 }));
    vouched.during(loader_sweep(&stack)).await;
    let taken_back = "SELECT COUNT(*) FROM log_router.complete_now WHERE NOT complete";
    assert!(stack.number(taken_back).await >= 4, "two hours, two events");
    vouched.during(stack.route()).await;
    vouched.during(async { stack.load().await.expect("loaded") }).await;
    vouched.during(sweep(&stack)).await;
    vouched.during(loader_sweep(&stack)).await;
    assert!(vouched.is_all_complete().await);
    for event in ["a", "b"] {
        assert_eq!(stack.number(&format!("SELECT COUNT(*) FROM events.{event}")).await, vouched.records(event));
    }
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_load_request_of_an_hour_may_be_deleted() {
    let stack = Stack::with(NO_LAG).await;
    let mut vouched = Vouched::new(&stack);
    let now = OffsetDateTime::now_utc();
    for n in 0..6 {
        vouched.put(&n.to_string(), now - HOUR * (4 + n % 2), &["a", "b"]).await;
    }
    stack.route().await;
    assert!(take(&stack, "routed-parts").await.len() >= 12);
    vouched.during(async { stack.load().await.expect("loaded") }).await;
    vouched.during(sweep(&stack)).await;
    vouched.during(loader_sweep(&stack)).await;
    assert!(vouched.is_all_complete().await);
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 6);
    stack.assert_no_doubles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_stopped_for_three_weeks_ends_complete() {
    let deferring =
        "max_tries = 1\nstopped_retry = \"1s\"\ndefer_after = \"0s\"\n[sweep]\nlag = \"0s\"\nwindow = \"510h\"";
    let stack = Stack::with(deferring).await;
    // Five hundred hours are marked at the end, and not again and again before.
    without_sweeps_of_the_router(&stack).await;
    let mut vouched = Vouched::new(&stack);
    let now = OffsetDateTime::now_utc();
    vouched.put("0", now - 6 * HOUR, &["a", "good"]).await;
    stack.route_and_load().await;
    stack.query("ALTER TABLE events.a DROP COLUMN n").await;
    stack.query("ALTER TABLE events.a ADD COLUMN n DECIMAL(8,2)").await;
    for day in 1..=21u32 {
        vouched.put_values(&day.to_string(), now - DAY * day, &["a", "good"], "0.12345").await;
    }
    stack.route().await;
    for seal in stack.seals().await {
        backdate(&stack, &seal, seal.source.time, seal.source.time).await;
    }
    stack.load().await.expect_err("the stopped table is told of");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.good").await, 22);

    stack.query("ALTER TABLE events.a DROP COLUMN n").await;
    stack.query("ALTER TABLE events.a ADD COLUMN n DOUBLE PRECISION").await;
    loader_sweep(&stack).await;
    stack.load().await.expect("loaded");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 22);
    stack.assert_no_doubles().await;
    vouched.during(sweep(&stack)).await;
    vouched.during(loader_sweep(&stack)).await;
    assert!(vouched.is_all_complete().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_seal_is_given_up_after_three_tries_shown_by_every_sweep_and_comes_back() {
    let stack = Stack::with(QUICK).await;
    let mut vouched = Vouched::new(&stack);
    let at = OffsetDateTime::now_utc() - 5 * HOUR;
    drop_notifications(&stack, "lost").await;
    vouched.put("lost", at, &["a"]).await;
    vouched.put("sound", at, &["a"]).await;
    // Whoever takes a request dies of it.
    let mut asked = 0;
    while sweep(&stack).await.given_up.is_empty() {
        asked += asked_for(&stack, "raw-objects-backfill").await.iter().filter(|key| *key == "lost").count();
        assert!(asked <= 3);
        take(&stack, "raw-objects").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(asked, 3);
    let open = open_hour(&stack, at).await;
    assert_eq!(open.unsealed.iter().map(|one| (one.tries, one.given_up)).collect::<Vec<_>>(), [(3, true), (3, true)]);
    let mut asking = command(&stack, "router");
    asking.arg("sweep");
    let told = String::from_utf8(output(asking).await.stdout).expect("text");
    assert!(told.contains("2 given up") && told.contains("sound"), "{told}");
    assert_eq!(mark(&stack, at).await.map(|mark| mark.unsealed), Some(2));

    // A person mends what was wrong.
    let again = SweepOptions { again: true, ..SweepOptions::default() };
    let Swept::Done(report) = sweep_with(&stack, &stack.clients, again).await else { panic!("swept") };
    assert_eq!((report.asked.total(), report.given_up.len()), (2, 0));
    vouched.during(stack.route()).await;
    let report = sweep(&stack).await;
    assert_eq!((report.unsealed, report.open_hours), (0, 0));
    assert!(open_hour(&stack, at).await.unsealed.is_empty());
    vouched.during(async { stack.load().await.expect("loaded") }).await;
    vouched.during(loader_sweep(&stack)).await;
    assert!(vouched.is_all_complete().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_is_merely_behind_costs_no_tries() {
    let stack = Stack::with(QUICK).await;
    let mut vouched = Vouched::new(&stack);
    drop_notifications(&stack, "lost").await;
    let now = OffsetDateTime::now_utc();
    vouched.put("lost", now - 5 * HOUR, &["a"]).await;
    vouched.put("lost-lately", now - HOUR / 2, &["a"]).await;
    vouched.put("lost-just-now", now, &["a"]).await;
    // S3's test event waits as well.
    take(&stack, "raw-objects").await;
    assert_eq!(sweep(&stack).await.asked, Asked { live: 1, backfill: 1 });
    // Nobody takes them.
    eventually("that they are due again", || async {
        let report = sweep(&stack).await;
        assert_eq!(report.asked, Asked::default());
        report.left == 2
    })
    .await;
    assert_eq!(open_hour(&stack, now - 5 * HOUR).await.unsealed[0].tries, 1);
    // Somebody has taken them, and is at it.
    for queue in ["raw-objects", "raw-objects-backfill"] {
        let url = stack.queue_url(queue).await;
        let receive = stack.clients.sqs.receive_message().queue_url(url).visibility_timeout(600);
        assert_eq!(receive.send().await.expect("received").messages().len(), 1, "{queue}");
    }
    let report = sweep(&stack).await;
    assert_eq!((report.asked, report.left), (Asked::default(), 2));
}

async fn delete(stack: &Stack, key: &str) {
    stack.clients.s3.delete_object().bucket("routed-logs").key(key).send().await.expect("deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_and_is_sealed_under_another_hour_is_remembered_no_more() {
    let stack = Stack::with(NO_LAG).await;
    let mut vouched = Vouched::new(&stack);
    let now = OffsetDateTime::now_utc();
    vouched.put("k", now - 100 * HOUR, &["a"]).await;
    stack.route().await;
    let seal = stack.seals().await.pop().expect("sealed");
    drop_notifications(&stack, "k").await;
    // Put once more, and an hour that is not listed any more remembers it.
    let at = now - 60 * HOUR;
    vouched.put("k", at, &["a"]).await;
    let given_up = Unsealed {
        key: seal.source.key.clone(),
        etag: seal.source.etag.clone(),
        bytes: seal.source.bytes,
        time: at,
        tries: 3,
        last_try_at: Some(now - DAY),
        given_up: true,
    };
    let open = OpenHour { version: 1, listed_at: at, unsealed: vec![given_up] };
    put(&stack, &stack.settings.keys.open_hour(at), open.to_json()).await;
    let counted = Mark { version: 1, listed_at: at, objects: 1, unsealed: 1 };
    put(&stack, &stack.settings.keys.swept_mark(at), counted.to_json()).await;
    swept_fully(&stack, &[at]).await;
    let report = sweep(&stack).await;
    assert_eq!((report.full, report.listed, report.unsealed, report.lost), (false, 1, 0, 0), "{report:?}");
    assert!(report.given_up.is_empty() && open_hour(&stack, at).await.unsealed.is_empty());
    assert_eq!(mark(&stack, at).await.map(|mark| mark.unsealed), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_that_comes_after_a_sweep_got_its_object_sealed_makes_no_work() {
    let stack = Stack::with(NO_LAG).await;
    stack.put_lines("k", [r#"{"event":"a"}"#]).await;
    let notification = stack.drain("raw-objects").await.pop().expect("a notification");
    let mut late: serde_json::Value = serde_json::from_str(&notification).expect("JSON");
    late["Records"][0]["eventTime"] = common::timestamp::format(OffsetDateTime::now_utc() - HOUR).into();
    for body in [notification, late.to_string()] {
        stack.send("raw-objects", &body).await;
        stack.route().await;
    }
    assert_eq!(stack.messages("routed-parts").await, 1, "announced once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_by_itself_gives_its_claim_on_the_sweep_back() {
    let stack = Stack::with(NO_LAG).await;
    let held = Held::requests(&stack.endpoint(), &["GET /raw-logs"]).await;
    let (settings, slow) = (stack.settings.clone(), Clients::for_endpoint(&held.endpoint).await);
    let running =
        tokio::spawn(async move { router::run(&settings, &slow, Some(IDLE), CancellationToken::new()).await });
    let key = stack.settings.keys.router_sweep_claim();
    let claimed = || async { objects::exists(&stack.clients.s3, "routed-logs", &key).await.expect("asked") };
    eventually("the claim", claimed).await;
    let url = stack.queue_url("raw-objects").await;
    stack.clients.sqs.delete_queue().queue_url(url).send().await.expect("deleted");
    running.await.expect("no panic").expect_err("its queue is gone");
    let claim = objects::get(&stack.clients.s3, "routed-logs", &key).await.expect("there");
    let claim: serde_json::Value = serde_json::from_slice(&claim).expect("JSON");
    assert_eq!(claim["state"], "given_up");
    held.release();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_is_taken_over_from_a_router_that_died() {
    let stack = Stack::with(NO_LAG).await;
    let mut vouched = Vouched::new(&stack);
    drop_notifications(&stack, "lost").await;
    vouched.put("lost", OffsetDateTime::now_utc() - 5 * HOUR, &["a"]).await;
    let held = Held::requests(&stack.endpoint(), &["GET /raw-logs"]).await;
    let (settings, slow) = (stack.settings.clone(), Clients::for_endpoint(&held.endpoint).await);
    let first = tokio::spawn(async move {
        router::sweep(&settings, &slow, SweepOptions::default(), &CancellationToken::new()).await
    });
    let key = stack.settings.keys.router_sweep_claim();
    let claimed = || async { objects::exists(&stack.clients.s3, "routed-logs", &key).await.expect("asked") };
    eventually("the claim", claimed).await;
    // It dies in the middle, and nobody knows.
    first.abort();
    let second = sweep_with(&stack, &stack.clients, SweepOptions::default()).await;
    assert!(matches!(&second, Swept::Held(by) if by.contains("router process")), "{second:?}");
    claimed_by_another(&stack, &key, Duration::from_secs(6 * 60)).await;
    assert_eq!(sweep(&stack).await.asked.total(), 1);
    held.release();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_what_is_missing_and_changes_nothing() {
    let stack = Stack::with(NO_LAG).await;
    let mut vouched = Vouched::new(&stack);
    drop_notifications(&stack, "lost").await;
    vouched.put("lost", OffsetDateTime::now_utc() - 5 * HOUR, &["a"]).await;
    let before = objects::list(&stack.clients.s3, "routed-logs", "").await.expect("listed");
    let mut looking = command(&stack, "router");
    looking.args(["sweep", "--dry-run", "--json"]);
    let told: serde_json::Value = serde_json::from_slice(&output(looking).await.stdout).expect("JSON");
    assert_eq!((&told["unsealed"], &told["due"], &told["asked"]["backfill"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!(objects::list(&stack.clients.s3, "routed-logs", "").await.expect("listed"), before);
    assert_eq!(take(&stack, "raw-objects-backfill").await.len(), 0);
}

/// What a sweep wrote down that was the last, and looked into every folder, of which old ones hold much.
async fn swept_fully(stack: &Stack, open: &[OffsetDateTime]) {
    let now = common::timestamp::format(OffsetDateTime::now_utc());
    let open: Vec<String> = open.iter().map(|hour| stack.settings.keys.open_hour(*hour)).collect();
    let looked = json!({ "version": 1, "listed_at": now, "full_at": now, "aside": 2_000_000, "open": open });
    put(stack, &stack.settings.keys.router_sweep_progress(), looked.to_string().into_bytes()).await;
}

async fn put(stack: &Stack, key: &str, bytes: Vec<u8>) {
    let put = stack.clients.s3.put_object().bucket("routed-logs").key(key).body(bytes.into());
    put.send().await.expect("stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_of_which_something_is_known_by_number_alone_is_vouched_for_by_nobody_who_looks_at_a_part() {
    let stack = Stack::with(NO_LAG).await;
    let mut vouched = Vouched::new(&stack);
    drop_notifications(&stack, "app").await;
    let at = OffsetDateTime::now_utc() - 5 * HOUR;
    vouched.put("app/2019/01/01/x", at, &["a"]).await;
    let listed_at = OffsetDateTime::now_utc() - HOUR;
    let counted = Mark { version: 1, listed_at, objects: 1, unsealed: 1 };
    put(&stack, &stack.settings.keys.swept_mark(at), counted.to_json()).await;
    swept_fully(&stack, &[]).await;
    let report = sweep(&stack).await;
    assert_eq!((report.full, report.unsealed, report.asked.total()), (true, 1, 1));
    assert_eq!(mark(&stack, at).await.map(|mark| mark.unsealed), Some(1), "it has no seal yet");
    swept_fully(&stack, &[at]).await;
    let report = sweep(&stack).await;
    assert_eq!((report.full, report.unsealed, report.waiting), (false, 1, 1), "by now it is known by name");
    stack.route().await;
    assert_eq!(sweep(&stack).await.unsealed, 0);
    assert_eq!(mark(&stack, at).await.map(|mark| mark.unsealed), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_folders_are_looked_into_once_a_day_and_nothing_is_vouched_for_in_between() {
    let stack = Stack::with(NO_LAG).await;
    let mut vouched = Vouched::new(&stack);
    drop_notifications(&stack, "/2").await;
    let at = OffsetDateTime::now_utc() - 5 * HOUR;
    let today = format!("app/{}/{:02}/{:02}/x", at.year(), u8::from(at.month()), at.day());
    vouched.put("app/2019/01/01/x", at, &["a"]).await;
    vouched.put(&today, at, &["a"]).await;
    swept_fully(&stack, &[]).await;
    let report = sweep(&stack).await;
    assert_eq!((report.full, report.listed, report.asked.total(), report.marks), (false, 1, 1, 0));
    assert_eq!(asked_for(&stack, "raw-objects-backfill").await, [today]);
    let key = stack.settings.keys.router_sweep_progress();
    stack.clients.s3.delete_object().bucket("routed-logs").key(&key).send().await.expect("deleted");
    let report = sweep(&stack).await;
    assert_eq!((report.full, report.listed, report.unsealed, report.asked.total()), (true, 2, 2, 1));
    assert_eq!(mark(&stack, at).await.map(|mark| mark.unsealed), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_is_followed_beyond_the_window_until_it_is_sealed_or_gone() {
    let mut stack = Stack::with("[sweep]\nlag = \"0s\"\nwindow = \"96h\"").await;
    let at = OffsetDateTime::now_utc() - 60 * HOUR;
    drop_notifications(&stack, "lost").await;
    {
        let mut vouched = Vouched::new(&stack);
        vouched.put("lost-and-found", at, &["a"]).await;
        vouched.put("lost-and-gone", at, &["a"]).await;
    }
    assert_eq!(sweep(&stack).await.asked.total(), 2);
    let first = mark(&stack, at).await.expect("marked");
    assert_eq!((first.objects, first.unsealed), (2, 2));
    stack.reset(NO_LAG);
    let delete = stack.clients.s3.delete_object().bucket("raw-logs").key("lost-and-gone");
    delete.send().await.expect("deleted");
    let report = sweep(&stack).await;
    assert_eq!((report.unsealed, report.waiting, report.lost, report.objects), (1, 1, 1, 0));
    stack.route().await;
    let report = sweep(&stack).await;
    assert_eq!((report.unsealed, report.open_hours), (0, 0));
    let last = mark(&stack, at).await.expect("marked");
    assert_eq!((last.listed_at, last.unsealed), (first.listed_at, 0), "it vouches for what was listed, and no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_put_again_and_a_lost_index_are_told_apart() {
    let stack = Stack::with(QUICK).await;
    let mut vouched = Vouched::new(&stack);
    let now = OffsetDateTime::now_utc();
    vouched.put("again", now - 30 * HOUR, &["a"]).await;
    vouched.put("k", now - 5 * HOUR, &["a"]).await;
    stack.route().await;
    drop_notifications(&stack, "again").await;
    vouched.put("again", now - 6 * HOUR, &["a"]).await;
    let seals = stack.seals().await;
    let seal = seals.iter().find(|seal| seal.source.key == "k").expect("sealed");
    let index_of = |seal: &Seal| stack.settings.keys.hour_index(seal.source.time, &seal.source_id, 0);
    let index = index_of(seal);
    delete(&stack, &index).await;
    let report = sweep(&stack).await;
    assert_eq!((report.unsealed, report.asked.total()), (1, 1), "the contents put again are sealed");
    assert_eq!(mark(&stack, now - 6 * HOUR).await.map(|mark| mark.unsealed), Some(0));
    stack.route().await;
    let exists = async |key: &str| objects::exists(&stack.clients.s3, "routed-logs", key).await.expect("asked");
    assert!(exists(&index).await);
    assert_eq!(sweep(&stack).await.unsealed, 0);

    // Put again, and its first hour does not show it: found by the hour that it has now.
    let again = seals.iter().find(|seal| seal.source.key == "again").expect("sealed");
    delete(&stack, &index_of(again)).await;
    assert_eq!(sweep(&stack).await.asked.total(), 1);
    stack.route().await;
    assert!(exists(&index_of(again)).await);
    assert_eq!(sweep(&stack).await.unsealed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_that_are_ignored_hold_no_hour_up() {
    let stack = Stack::with("[sweep]\nlag = \"0s\"").await;
    let mut settings = stack.settings.clone();
    settings.raw.overwrite = common::settings::Overwrite::Ignore;
    let mut vouched = Vouched::new(&stack);
    let now = OffsetDateTime::now_utc();
    vouched.put("k", now - 30 * HOUR, &["a"]).await;
    router::run(&settings, &stack.clients, Some(IDLE), CancellationToken::new()).await.expect("routed");
    vouched.put("k", now - 5 * HOUR, &["b"]).await;
    let swept = router::sweep(&settings, &stack.clients, SweepOptions::default(), &CancellationToken::new()).await;
    let Ok(Swept::Done(report)) = swept else { panic!("{swept:?}") };
    assert_eq!((report.objects, report.unsealed), (1, 0));
}
