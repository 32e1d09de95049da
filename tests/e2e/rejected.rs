use crate::held::Held;
use crate::process::{Running, command};
use crate::reworded::reworded;
use crate::stack::{IDLE, Stack, eventually};
use common::clients::Clients;
use common::event_name::EventName;
use common::keys::{PartCodec, PieceName};
use common::load_request::{Lane, LoadRequest};
use common::objects;
use common::quarantine::{QuarantinedRecord, Reason};
use common::seal::{Counts, Part, Seal, SealedEvent};
use common::sketch::{Sketch, SketchNode, Types};
use common::source::SourceObject;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;
use time::macros::datetime;
use tokio_util::sync::CancellationToken;

/// What the sketch of every source here says. A record that is not so is one that COPY refuses: the router makes no such
/// parts, so these are put where it would have put them.
const FIELDS: [(&str, Types, u32); 4] =
    [("n", Types::INTEGER, 0), ("at", Types::TIMESTAMP, 0), ("ok", Types::BOOLEAN, 0), ("s", Types::STRING, 5)];

fn sketch() -> Sketch {
    let mut root = SketchNode { types: Types::OBJECT, ..Default::default() };
    for (key, types, max_bytes) in FIELDS {
        root.keys.insert(key.to_owned(), SketchNode { types, max_bytes, ..Default::default() });
    }
    root
}

/// Leaves a sealed source object of one part behind, as a router does, and announces it.
async fn sealed(stack: &Stack, name: &str, codec: PartCodec, records: &[String]) -> LoadRequest {
    let (bucket, keys, event) = ("routed-logs", &stack.settings.keys, EventName::of_type("a"));
    let time = datetime!(2025-06-01 12:00 UTC);
    let source = SourceObject {
        bucket: "raw-logs".into(),
        key: name.to_owned(),
        etag: "e".into(),
        version_id: None,
        time,
        bytes: 1,
    };
    let source_id = source.id();
    let lines = (1..).zip(records);
    let text: String = lines
        .map(|(line, record)| format!("{{\"_lr\":{{\"s\":\"{source_id}\",\"l\":{line}}},{}\n", &record[1..]))
        .collect();
    let stored = match codec {
        PartCodec::Zstd => zstd::encode_all(text.as_bytes(), 1).expect("in memory"),
        PartCodec::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).expect("in memory");
            encoder.finish().expect("in memory")
        }
    };
    let piece = PieceName { source_id: &source_id, routing_id: "00000000", sequence: 0, crc32: 0 };
    let part = Part { key: keys.part(&event, &piece, codec), records: records.len() as u64, bytes: text.len() as u64 };
    objects::put_bytes_if_absent(&stack.clients.s3, bucket, &part.key, stored).await.expect("put");
    let sealed = SealedEvent { event, since: 0, records: part.records, parts: vec![part], sketch: sketch() };
    let seal = Seal {
        version: 1,
        source_id: source_id.clone(),
        source,
        generation: 0,
        routing_id: "00000000".into(),
        sealed_at: time,
        counts: Counts::default(),
        events: vec![sealed],
        quarantine: vec![],
        replace_id: None,
    };
    let key = keys.seal(&source_id, 0);
    objects::put_bytes_if_absent(&stack.clients.s3, bucket, &key, seal.to_json()).await.expect("put");
    let request = LoadRequest::new(&seal, &seal.events[0], &key, Lane::Live);
    stack.send("routed-parts", &request.to_json()).await;
    request
}

/// A stack whose loader gathers all that there is into one batch.
async fn patient() -> Stack {
    let mut stack = Stack::start().await;
    stack.settings.loader.table.flush_age = Duration::from_secs(60);
    stack
}

fn good(n: usize) -> String {
    format!(r#"{{"n":{n},"at":"2025-06-01T12:00:00Z","ok":true,"s":"text"}}"#)
}

/// Records of which each meets another of COPY's errors, with its code and column.
const BAD: [(&str, u32, &str); 4] = [
    (r#"{"n":"1x","at":null,"ok":true}"#, 1207, "n"),
    (r#"{"n":1,"at":"2025-13-45T12:00:00Z","ok":true}"#, 1206, "at"),
    (r#"{"n":1,"at":null,"ok":"maybe", "s":"\u00e9"}"#, 1210, "ok"),
    (r#"{"n":9223372036854775808,"at":null,"ok":true}"#, 1222, "n"),
];

/// Keys of quarantine objects that ledger rows name, with the rows' counts.
async fn ledger(stack: &Stack) -> Vec<(u64, u64, String)> {
    let rows = stack.query("SELECT rows_loaded, rows_rejected, quarantine_key FROM log_router.ledger_a WHERE rows_rejected > 0 ORDER BY source_id").await;
    let number = |text: &str| text.parse().expect("a number");
    rows.into_iter().map(|row| (number(&row[0]), number(&row[1]), row[2].clone())).collect()
}

/// Every record in quarantine, by way of the ledger.
async fn quarantined(stack: &Stack) -> Vec<QuarantinedRecord> {
    let mut records = Vec::new();
    for (_, rejected, key) in ledger(stack).await {
        assert!(key.starts_with("quarantine/loader/rejected_by_copy/20"), "{key}");
        let lines = stack.lines(&key).await;
        assert_eq!(lines.len() as u64, rejected, "{key}");
        records.extend(lines.iter().map(|line| serde_json::from_str::<QuarantinedRecord>(line).expect("a record")));
    }
    records.sort_by(|a, b| (&a.source, a.line).cmp(&(&b.source, b.line)));
    records
}

async fn stored(stack: &Stack, prefix: &str) -> Vec<String> {
    objects::list(&stack.clients.s3, "routed-logs", prefix).await.expect("listed")
}

#[tokio::test(flavor = "multi_thread")]
async fn three_bad_records_in_a_thousand_parts_cost_three_records() {
    let stack = patient().await;
    for part in 0..1_000 {
        let mut records: Vec<String> = (0..3).map(|n| good(part * 3 + n)).collect();
        if let Some(at) = [17, 400, 401].iter().position(|bad| *bad == part) {
            records[at] = BAD[at].0.to_owned();
        }
        let codec = if part % 2 == 0 { PartCodec::Gzip } else { PartCodec::Zstd };
        sealed(&stack, &format!("{part:04}"), codec, &records).await;
    }
    stack.load().await.expect("nothing is stopped");

    let counts = "SELECT COUNT(*), COUNT(DISTINCT n), SUM(CASE WHEN ok THEN 1 ELSE 0 END) FROM events.a";
    assert_eq!(stack.query(counts).await, [["2997", "2997", "2997"]]);
    let loads = stack.query("SELECT requests, parts, rows_loaded, rows_rejected FROM log_router.loads").await;
    assert_eq!(loads, [["1000", "1000", "2997", "3"]], "one flush, one transaction");
    assert_eq!(
        stack.query("SELECT SUM(parts), SUM(rows_loaded), SUM(rows_rejected) FROM log_router.ledger_a").await,
        [["1000", "2997", "3"]]
    );
    for (.., key) in ledger(&stack).await {
        assert!(key.contains("/rejected_by_copy/2025/06/01/"), "by the source's time: {key}");
    }
    let found = quarantined(&stack).await;
    for (at, (record, part)) in found.iter().zip(["0017", "0400", "0401"]).enumerate() {
        let (raw, code, column) = BAD[at];
        assert_eq!((record.source.as_str(), record.line), (&*format!("s3://raw-logs/{part}"), at as u64 + 1));
        assert_eq!((record.reason, record.generation, record.offset), (Reason::RejectedByCopy, 0, None));
        assert_eq!(record.raw.as_deref(), Some(raw), "as its source has it");
        assert!(record.detail.starts_with(&format!("COPY error {code} in column \"{column}\": ")), "{}", record.detail);
    }
    assert_eq!(found.len(), 3);
    assert!(stack.drain("routed-parts").await.is_empty() && stack.drain("routed-parts-dlq").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_is_found_where_the_error_view_may_not_be_read() {
    let stack = patient().await;
    for part in 0..20 {
        let mut records: Vec<String> = (0..50).map(|n| good(part * 50 + n)).collect();
        if part == 3 {
            records[49] = BAD[0].0.to_owned();
            records[0] = BAD[1].0.to_owned();
        }
        sealed(&stack, &format!("{part:02}"), PartCodec::Gzip, &records).await;
    }
    let endpoint = reworded(&stack.endpoint(), "sys_load_error_detail", "sys_load_error_hidden").await;
    let clients = Clients::for_endpoint(&endpoint).await;
    let loaded = loader::run(&stack.settings, &clients, Some(IDLE), CancellationToken::new()).await;
    loaded.expect("nothing is stopped");

    assert_eq!(stack.query("SELECT COUNT(*), COUNT(DISTINCT n) FROM events.a").await, [["998", "998"]]);
    let found = quarantined(&stack).await;
    let places: Vec<_> = found.iter().map(|record| (record.source.as_str(), record.line)).collect();
    assert_eq!(places, [("s3://raw-logs/03", 1), ("s3://raw-logs/03", 50)]);
    assert!(found.iter().all(|record| record.detail.contains("does not show")), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_is_found_by_its_session_where_the_views_query_ids_are_others() {
    let stack = patient().await;
    sealed(&stack, "0", PartCodec::Gzip, &[good(0), BAD[0].0.to_owned(), good(1)]).await;
    let endpoint = reworded(&stack.endpoint(), "pg_last_copy_id()", "-1               ").await;
    let clients = Clients::for_endpoint(&endpoint).await;
    let loaded = loader::run(&stack.settings, &clients, Some(IDLE), CancellationToken::new()).await;
    loaded.expect("nothing is stopped");

    assert_eq!(stack.query("SELECT COUNT(*), COUNT(DISTINCT n) FROM events.a").await, [["2", "2"]]);
    let found = quarantined(&stack).await;
    assert!(found.len() == 1 && found[0].line == 2, "{found:?}");
    assert!(!found[0].detail.contains("does not show"), "Redshift's own reason: {found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_bad_records_than_can_be_searched_for_stop_the_table_and_name_the_view() {
    let mut stack = patient().await;
    stack.settings.loader.stopped_retry = Duration::from_secs(1);
    stack.set_visibility("routed-parts", 5).await;
    let records: Vec<String> = (0..300).map(|n| if n % 2 == 0 { good(n) } else { BAD[n % 4].0.to_owned() }).collect();
    sealed(&stack, "1", PartCodec::Gzip, &records).await;
    let endpoint = reworded(&stack.endpoint(), "sys_load_error_detail", "sys_load_error_hidden").await;
    let clients = Clients::for_endpoint(&endpoint).await;
    let stopped = loader::run(&stack.settings, &clients, Some(IDLE), CancellationToken::new()).await;
    let error = common::telemetry::chain(&stopped.expect_err("the table is stopped"));
    assert!(error.contains("more than 100 records") && error.contains("sys_load_error_detail"), "{error}");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 0);

    // The view can be read now: the table catches up by itself.
    stack.load().await.expect("nothing is stopped any more");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 150);
    assert_eq!(quarantined(&stack).await.len(), 150);
}

/// The view tells of line 1 whatever line is meant: one that COPY takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_accuses_the_wrong_line_convicts_nobody() {
    let stack = patient().await;
    let mut records: Vec<String> = (0..30).map(good).collect();
    records[20] = BAD[0].0.to_owned();
    sealed(&stack, "1", PartCodec::Zstd, &records).await;
    let endpoint = reworded(&stack.endpoint(), r#"\"line_number\""#, r#"1              "#).await;
    let clients = Clients::for_endpoint(&endpoint).await;
    let loaded = loader::run(&stack.settings, &clients, Some(IDLE), CancellationToken::new()).await;
    loaded.expect("nothing is stopped");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 29);
    let found = quarantined(&stack).await;
    assert_eq!(found.iter().map(|record| record.line).collect::<Vec<_>>(), [21]);
    assert!(found[0].detail.starts_with("COPY error 1207"), "alone in its file it is line 1: {}", found[0].detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_is_in_the_table_or_in_quarantine_and_in_one_of_them_only() {
    let mut stack = patient().await;
    stack.settings.loader.table.flush_parts = 25;
    let (mut state, mut wanted) = (0x5eed_u64, (BTreeSet::new(), BTreeSet::new()));
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for part in 0..60 {
        let (count, one_in) = (1 + random(40), 1 + random(30));
        let records = (1..=count).map(|line| {
            let bad = random(one_in) == 0;
            let to = if bad { &mut wanted.1 } else { &mut wanted.0 };
            to.insert((format!("s3://raw-logs/{part}"), line));
            if bad { BAD[random(4) as usize].0.to_owned() } else { good(line as usize) }
        });
        let records: Vec<String> = records.collect();
        let codec = if random(2) == 0 { PartCodec::Gzip } else { PartCodec::Zstd };
        sealed(&stack, &part.to_string(), codec, &records).await;
    }
    stack.load().await.expect("nothing is stopped");

    let sources: BTreeMap<String, String> =
        stack.seals().await.into_iter().map(|seal| (seal.source_id.to_string(), seal.source.uri())).collect();
    let rows = stack.query("SELECT _source, _line FROM events.a").await;
    let loaded: BTreeSet<_> =
        rows.iter().map(|row| (sources[&row[0]].clone(), row[1].parse().expect("a line"))).collect();
    assert_eq!((rows.len(), loaded), (wanted.0.len(), wanted.0));
    let found = quarantined(&stack).await;
    let rejected: BTreeSet<_> = found.iter().map(|record| (record.source.clone(), record.line)).collect();
    assert_eq!((found.len(), rejected), (wanted.1.len(), wanted.1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_which_everything_is_refused_has_its_ledger_row() {
    let stack = patient().await;
    let bad: Vec<String> = BAD.iter().map(|(record, ..)| (*record).to_owned()).collect();
    sealed(&stack, "bad", PartCodec::Gzip, &bad).await;
    stack.load().await.expect("nothing is stopped");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 0, "a transaction without any COPY");

    sealed(&stack, "worse", PartCodec::Gzip, &bad).await;
    sealed(&stack, "good", PartCodec::Gzip, &[good(1), good(2)]).await;
    stack.load().await.expect("nothing is stopped");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 2);
    let counts: Vec<_> = ledger(&stack).await.into_iter().map(|(loaded, rejected, _)| (loaded, rejected)).collect();
    assert_eq!(counts, [(0, 4), (0, 4)]);
    let codes: Vec<_> = quarantined(&stack).await.into_iter().map(|record| record.detail).collect();
    for (detail, (_, code, column)) in codes.iter().zip(BAD.iter().chain(&BAD)) {
        assert!(detail.starts_with(&format!("COPY error {code} in column \"{column}\": ")), "{detail}");
    }
}

/// The quarantine object is written and the transaction is on its way when the loader dies.
#[tokio::test(flavor = "multi_thread")]
async fn a_loader_killed_between_quarantine_and_commit_doubles_nothing() {
    let stack = Stack::start().await;
    stack.set_visibility("routed-parts", 3).await;
    sealed(&stack, "1", PartCodec::Zstd, &[good(1), BAD[0].0.to_owned(), good(3)]).await;
    let held = Held::calls_saying(&stack.endpoint(), "rejected_by_copy").await;
    let mut killed = command(&stack, "loader");
    killed.args(["run", "--until-idle", "2s"]).env("AWS_ENDPOINT_URL", &held.endpoint);
    let killed = Running::start(killed);
    eventually("the quarantine object", || async { stored(&stack, "quarantine/").await.len() == 1 }).await;
    killed.kill();
    let before = (stored(&stack, "quarantine/").await, stored(&stack, "routed/_load/").await);
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 0, "not committed");

    stack.load().await.expect("loaded by another");
    assert_eq!(stack.query("SELECT n FROM events.a ORDER BY n").await, [["1"], ["3"]]);
    let after = (stored(&stack, "quarantine/").await, stored(&stack, "routed/_load/").await);
    assert_eq!(after, before, "the same names for all that was written");
    assert_eq!(ledger(&stack).await, [(2, 1, before.0[0].clone())]);
    stack.assert_no_doubles().await;
}

/// The sketch told too little, or another loader has yet to widen the column.
#[tokio::test(flavor = "multi_thread")]
async fn a_string_that_a_longer_column_holds_is_no_bad_data() {
    let stack = Stack::start().await;
    let long = |n: usize| format!(r#"{{"n":{n},"s":"{}"}}"#, "é".repeat(n));
    sealed(&stack, "1", PartCodec::Gzip, &[long(10), long(200), BAD[0].0.to_owned(), long(3_000)]).await;
    stack.load().await.expect("loaded");
    let rows = stack.query("SELECT n, OCTET_LENGTH(s) FROM events.a ORDER BY n").await;
    assert_eq!(rows, [["10", "20"], ["200", "400"], ["3000", "6000"]]);
    let size = "SELECT character_maximum_length FROM svv_columns WHERE table_schema = 'events' AND column_name = 's'";
    assert_eq!(stack.query(size).await, [["65535"]]);
    assert_eq!(quarantined(&stack).await.len(), 1);
}

/// A person's column that must not be NULL, filled by all records but one.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_without_what_a_table_asks_for_is_kept_aside_and_its_neighbours_load() {
    let stack = Stack::start().await;
    stack.query("CREATE SCHEMA IF NOT EXISTS events").await;
    stack.query("CREATE TABLE events.a (_source VARCHAR(32), _line BIGINT, _loaded_at TIMESTAMP DEFAULT SYSDATE, n BIGINT NOT NULL)").await;
    let line = |n: usize| match n {
        3 => r#"{"event":"a","n":null}"#.to_owned(),
        n => format!(r#"{{"event":"a","n":{n}}}"#),
    };
    let neighbour = r#"{"event":"b","n":1}"#.to_owned();
    stack.put_lines("1", (0..7).map(line).chain([neighbour])).await;
    stack.route_and_load().await;
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.b").await, 1, "a quiet table that may share its transaction");
    assert_eq!(stack.query("SELECT COUNT(*), SUM(n) FROM events.a").await, [["6", "18"]]);
    let [(loaded, rejected, key)] = &ledger(&stack).await[..] else { panic!("one row") };
    assert_eq!((loaded, rejected), (&6, &1));
    let record: QuarantinedRecord = serde_json::from_str(&stack.lines(key).await[0]).expect("a record");
    assert_eq!((record.line, record.raw.as_deref()), (4, Some(&*line(3))));
    assert!(record.detail.starts_with("COPY error 1213 in column \"n\""), "{}", record.detail);
}

/// A record that both has a value of another type than its column and lacks what the table asks for.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_record_of_a_rewritten_part_is_kept_as_its_source_has_it() {
    let stack = Stack::start().await;
    stack.query("CREATE SCHEMA IF NOT EXISTS events").await;
    stack.query("CREATE TABLE events.a (k BIGINT NOT NULL)").await;
    stack.put_lines("0", [r#"{"event":"a","k":0,"n":0}"#]).await;
    stack.route_and_load().await;
    let lines = [
        r#"{"event":"a","k":1,"n":1}"#,
        r#"{"event":"a","k":2,"n":"x"}"#,
        r#"{"event":"a","k":null, "n":"\u00e9", "o":1.50}"#,
        r#"{"event":"a","n":4}"#,
        r#"{"event":"a","k":5,"n":5}"#,
    ];
    stack.put_lines("1", lines).await;
    stack.route_and_load().await;
    let rows = stack.query("SELECT k, n, n__varchar FROM events.a ORDER BY k").await;
    assert_eq!(rows, [["0", "0", "NULL"], ["1", "1", "NULL"], ["2", "NULL", "x"], ["5", "5", "NULL"]]);
    let found = quarantined(&stack).await;
    let kept: Vec<_> = found.iter().map(|record| (record.line, record.raw.as_deref())).collect();
    assert_eq!(kept, [(3, Some(lines[2])), (4, Some(lines[3]))]);
}
