mod chaos;
mod diary;

use crate::process::{Running, command, output};
use crate::stack::Stack;
use chaos::{Chaos, drained, passed};
use diary::{Expected, Object, Rows, Rules};
use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use time::{OffsetDateTime, Time};
use tokio::task::JoinSet;

const KILLS: u32 = 10;
const LIVE_EVERY: Duration = Duration::from_secs(1);
/// Seconds that live rows take, kills and the visibility timeout of what was killed included. Where the backfill is in the live
/// lane the median is two minutes.
const LIVE_MEDIAN_MAX: f64 = 15.0;
const LIVE_MAX: f64 = 90.0;
const QUEUES: [&str; 4] = ["raw-objects", "raw-objects-backfill", "routed-parts", "routed-parts-backfill"];

/// Larger ones are for running by hand (CONTRIBUTING.md).
fn asked(variable: &str, default: u64) -> u64 {
    let Some(given) = std::env::var_os(variable) else { return default };
    given.to_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{variable} is no number: {given:?}"))
}

/// Ninety days of old objects are backfilled while live ones keep arriving and everything is killed that can be; then one
/// week is replaced under other rules.
#[tokio::test(flavor = "multi_thread")]
async fn a_day_in_the_life_of_a_backfill() {
    let seed = asked("LIFE_SEED", std::process::id().into()).max(1);
    let (days, lines) = (asked("LIFE_DAYS", 90) as u32, asked("LIFE_LINES", 20));
    println!("a day in the life with LIFE_SEED={seed} LIFE_DAYS={days} LIFE_LINES={lines}");
    let mut stack = Stack::with("").await;
    // Up to this midnight, so that an audit of everything is one of some months.
    let until = OffsetDateTime::now_utc().replace_time(Time::MIDNIGHT);
    let history = diary::hourly(until - time::Duration::days(days.into()), days, lines);
    put_history(&stack, &history).await;
    for queue in QUEUES {
        stack.set_visibility(queue, 8).await;
    }

    let live = backfill_amid_kills(&stack, &history, lines, seed).await;
    let all = || history.iter().chain(&live);
    let expected = Expected::of(all().map(|object| (object, Rules::First)));
    assert_tables(&stack, &expected).await;
    assert_balance(&stack, &history, &expected).await;
    assert_live_was_fresh(&stack).await;

    stack.reset(&Rules::Changed.settings());
    let week = history[days as usize * 8].at..history[days as usize * 8 + 7 * 24].at;
    replace(&stack, &week).await;
    let rules = |object: &Object| if week.contains(&object.at) { Rules::Changed } else { Rules::First };
    let expected = Expected::of(all().map(|object| (object, rules(object))));
    assert!(expected.dropped > 0 && expected.tables.contains_key("tap"), "the rules change something");
    assert_tables(&stack, &expected).await;
    assert_balance(&stack, &history, &expected).await;
}

/// As a bucket is that had logs in it long before anybody was told of new ones.
async fn put_history(stack: &Stack, history: &[Object]) {
    let s3 = &stack.clients.s3;
    let silent = aws_sdk_s3::types::NotificationConfiguration::builder().build();
    let silence = s3.put_bucket_notification_configuration().bucket("raw-logs").notification_configuration(silent);
    silence.send().await.expect("no notifications");
    for some in history.chunks(64) {
        let mut puts = JoinSet::new();
        for object in some {
            let put = s3.put_object().bucket("raw-logs").key(object.key()).body(object.gzip().into());
            puts.spawn(put.metadata("sandbox-last-modified", common::timestamp::format(object.at)).send());
        }
        while let Some(put) = puts.join_next().await {
            put.expect("no panic").expect("stored");
        }
    }
    sandbox::provision::provision(&stack.settings, &stack.clients).await.expect("notified again");
}

/// The live objects that arrived meanwhile.
async fn backfill_amid_kills(stack: &Stack, history: &[Object], lines: u64, seed: u64) -> Vec<Object> {
    let router = Chaos { stack, service: "router", seed };
    let loader = Chaos { stack, service: "loader", seed: !seed };
    let (objects, records) = (history.len() as u64, history.len() as u64 * lines);
    let (sealed, loaded, is_over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let (live, (), router, loader, ()) = tokio::join!(
        keep_logging(stack, lines, &is_over),
        watch(stack, &sealed, &loaded, &is_over),
        router.run(KILLS, objects, &sealed),
        loader.run(KILLS, records, &loaded),
        async {
            // The command itself is killed once; a resume is the same command again.
            let first = Running::start(backfill(stack, history));
            passed(&sealed, objects / 3).await;
            first.kill();
            assert_ended_well("router backfill", &output(backfill(stack, history)).await);
            passed(&loaded, records * 9 / 10).await;
            is_over.store(true, Ordering::Relaxed);
        }
    );
    drained(stack, &QUEUES).await;
    for service in [router, loader] {
        assert_eq!(service.terminate().await, Some(0));
    }
    live
}

fn backfill(stack: &Stack, history: &[Object]) -> Command {
    let mut command = command(stack, "router");
    let to = history[history.len() - 1].at + time::Duration::HOUR;
    command.args(["backfill", "--yes"]).args(span(history[0].at, to));
    command
}

async fn replace(stack: &Stack, week: &std::ops::Range<OffsetDateTime>) {
    let services = ["router", "loader"].map(|service| Chaos { stack, service, seed: 1 }.start(KILLS as usize + 1));
    let mut replace = command(stack, "router");
    replace.args(["backfill", "--replace", "--yes"]).args(span(week.start, week.end));
    assert_ended_well("router backfill --replace", &output(replace).await);
    drained(stack, &QUEUES).await;
    for service in services {
        assert_eq!(service.terminate().await, Some(0));
    }
}

fn span(from: OffsetDateTime, to: OffsetDateTime) -> [String; 4] {
    ["--from".into(), common::timestamp::format(from), "--to".into(), common::timestamp::format(to)]
}

fn assert_ended_well(what: &str, ended: &Output) {
    let said = [&ended.stdout[..], &ended.stderr].concat();
    assert!(ended.status.success(), "{what} ended with {}: {}", ended.status, String::from_utf8_lossy(&said));
}

/// Puts an object of the present every so often until it is over.
async fn keep_logging(stack: &Stack, lines: u64, is_over: &AtomicBool) -> Vec<Object> {
    let mut objects = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let now = OffsetDateTime::now_utc();
        let now = now.replace_millisecond(now.millisecond()).expect("its own millisecond");
        let object = diary::live(objects.len() as u64, now, lines);
        stack.put(&object.key(), object.gzip()).await;
        objects.push(object);
        tokio::time::sleep(LIVE_EVERY).await;
    }
    objects
}

/// Counts what is sealed and loaded until it is over: often enough to be killed by, and seldom enough to cost nothing.
async fn watch(stack: &Stack, sealed: &AtomicU64, loaded: &AtomicU64, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        let seals = common::objects::list(&stack.clients.s3, "routed-logs", "seals/id/").await.expect("listed").len();
        sealed.store(seals as u64, Ordering::Relaxed);
        // There is no history before the first loader made one.
        let rows = stack.try_query("SELECT SUM(rows_loaded) FROM log_router.loads").await;
        loaded.store(rows.ok().and_then(|rows| rows[0][0].parse().ok()).unwrap_or(0), Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Each table has the rows it must have, each once, and no others.
async fn assert_tables(stack: &Stack, expected: &Expected) {
    let mut found = BTreeMap::new();
    for event in stack.table_counts().await.into_keys() {
        let rows = stack.query(&format!("SELECT COUNT(*), SUM(n) FROM events.\"{event}\"")).await;
        let [count, sum] = [0, 1].map(|at| rows[0][at].parse().unwrap_or(0));
        found.insert(event, Rows { count, sum });
    }
    assert_eq!(found, expected.tables);
    stack.assert_no_doubles().await;
}

/// The audit of all time finds nothing to explain.
async fn assert_balance(stack: &Stack, history: &[Object], expected: &Expected) {
    let mut audit = command(stack, "loader");
    audit.arg("audit").args(span(history[0].at, OffsetDateTime::now_utc()));
    let ended = output(audit).await;
    assert_ended_well("loader audit", &ended);
    assert_eq!(quarantined(stack).await, expected.quarantined);
}

/// Records that the highest seals keep aside.
async fn quarantined(stack: &Stack) -> u64 {
    let mut highest = BTreeMap::new();
    for seal in stack.seals().await {
        let quarantined: u64 = seal.quarantine.iter().map(|sealed| sealed.records).sum();
        let known = highest.entry(seal.source_id.to_string()).or_insert((seal.generation, quarantined));
        *known = (*known).max((seal.generation, quarantined));
    }
    highest.into_values().map(|(_, quarantined)| quarantined).sum()
}

/// Live rows came soon after their objects, whatever the backfill did.
async fn assert_live_was_fresh(stack: &Stack) {
    let sql = format!(
        "SELECT DATEDIFF(millisecond, CAST(at AS TIMESTAMP), _loaded_at) FROM events.view WHERE n >= {}",
        diary::LIVE_NUMBERS
    );
    let mut seconds: Vec<f64> =
        stack.query(&sql).await.iter().map(|row| row[0].parse::<f64>().expect("a number") / 1_000.0).collect();
    seconds.sort_by(f64::total_cmp);
    let (median, longest) = (seconds[seconds.len() / 2], seconds[seconds.len() - 1]);
    println!("live rows: {}, median {median:.1} s, longest {longest:.1} s", seconds.len());
    assert!(median <= LIVE_MEDIAN_MAX && longest <= LIVE_MAX, "live rows waited {median} s, at worst {longest} s");
}
