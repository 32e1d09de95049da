use crate::stack::Stack;
use common::event_name::EventName;
use common::quarantine::Reason;
use fixtures::{Expected, Tally};
use std::collections::BTreeMap;

/// Rows that the tables must hold after these lines, by event name.
pub(crate) fn expected_tables(tally: &Tally) -> BTreeMap<String, u64> {
    let mut tables = BTreeMap::new();
    for (event_type, records) in &tally.events {
        *tables.entry(EventName::of_type(event_type).to_string()).or_default() += records;
    }
    tables
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_becomes_tables_that_balance() {
    let stack = Stack::start().await;
    let mut tally = Tally::default();
    for file in fixtures::sample::files() {
        let bytes = std::fs::read(fixtures::sample::folder().join(file.key)).expect("committed");
        stack.put(file.key, bytes).await;
        tally.add(&file.stream().collect::<Vec<_>>().iter().collect());
    }
    stack.route_and_load().await;

    assert_eq!(stack.table_counts().await, expected_tables(&tally));
    let reasons: BTreeMap<String, u64> = stack.quarantined().await.iter().fold(BTreeMap::new(), |mut found, record| {
        *found.entry(record.reason.to_string()).or_default() += 1;
        found
    });
    let expected: BTreeMap<String, u64> = tally.reasons.iter().map(|(r, n)| (r.to_string(), *n)).collect();
    assert_eq!(reasons, expected);
    let seals = stack.seals().await;
    assert!(seals.iter().all(|seal| seal.counts.balance()));
    assert_eq!(seals.iter().map(|seal| seal.counts.read).sum::<u64>(), tally.records());
    stack.assert_no_doubles().await;
    for queue in ["raw-objects", "routed-parts", "raw-objects-dlq", "routed-parts-dlq"] {
        assert!(stack.drain(queue).await.is_empty(), "{queue} is empty at the end");
    }
}

/// 35,000 lines of 30 event types with everything that JSON permits and forbids: counted to the line,
/// then delivered a second time.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_log_is_counted_exactly_and_never_doubled() {
    let stack = Stack::start().await;
    let lines: Vec<_> = fixtures::hostile(20_250_601, 35_000, 30).collect();
    let tally: Tally = lines.iter().collect();
    stack.put_lines("logs/hostile log+1.json.gz", lines.iter().map(|line| &line.bytes)).await;
    stack.route_and_load().await;

    assert_eq!(stack.table_counts().await, expected_tables(&tally));
    let seal = stack.seals().await.remove(0);
    let reasons: BTreeMap<String, u64> = seal.counts.by_reason.iter().map(|(r, n)| (r.to_string(), *n)).collect();
    assert_eq!(reasons, tally.reasons.iter().map(|(r, n)| (r.to_string(), *n)).collect());
    assert_eq!(seal.counts.by_type, tally.events.iter().map(|(t, n)| (t.to_string(), *n)).collect());

    // Each line is in exactly one place: a table row or a quarantine line, by its number.
    let mut places = vec![0u32; lines.len() + 1];
    for table in stack.table_counts().await.into_keys() {
        for row in stack.query(&format!("SELECT _line FROM events.\"{table}\"")).await {
            places[row[0].parse::<usize>().expect("a line number")] += 1;
        }
    }
    for record in stack.quarantined().await {
        places[record.line as usize] += 1;
    }
    for (line, place) in lines.iter().zip(&places[1..]) {
        let expected = u32::from(line.expected != Expected::Blank);
        assert_eq!(*place, expected, "{:?}", line.expected);
    }

    let notification = crate::redelivery::notification_of(&seal.source);
    stack.send("raw-objects", &notification).await;
    stack.route_and_load().await;
    assert_eq!(stack.table_counts().await, expected_tables(&tally));
    stack.assert_no_doubles().await;
}

/// What is read of a routed record; the rest may hold numbers that no Rust type does.
#[derive(serde::Deserialize)]
struct Routed {
    #[serde(rename = "_lr")]
    lineage: Lineage,
}

#[derive(serde::Deserialize)]
struct Lineage {
    s: String,
    l: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn routed_records_are_the_source_bytes_and_one_member() {
    let stack = Stack::start().await;
    let lines: Vec<_> = fixtures::hostile(5, 1_500, 6).collect();
    stack.put_lines("a.json.gz", lines.iter().map(|line| &line.bytes)).await;
    stack.route().await;
    let seal = stack.seals().await.remove(0);
    let mut routed = 0;
    for part in seal.events.iter().flat_map(|event| &event.parts) {
        let mut last = 0;
        for line in stack.lines(&part.key).await {
            let Lineage { s, l: number } = serde_json::from_str::<Routed>(&line).expect("JSON").lineage;
            assert_eq!(s, seal.source_id.as_str());
            let member = format!("{{\"_lr\":{{\"s\":\"{}\",\"l\":{number}}},", seal.source_id);
            let source = String::from_utf8(lines[number as usize - 1].bytes.trim_ascii().to_vec()).expect("UTF-8");
            assert_eq!(line, format!("{member}{}", source[1..].replace(['\r', '\n'], " ")));
            assert!(number > last, "source order");
            last = number;
            routed += 1;
        }
    }
    assert_eq!(routed, seal.counts.routed);
    assert!(routed > 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn dirty_lines_are_kept_with_their_reason_and_bytes() {
    let stack = Stack::start().await;
    let lines: [&[u8]; 5] =
        [br#"{"event":"a","n":1}"#, br#"{"event":"a","#, br#"{"n":2}"#, b"[1,2]", b"{\"event\":\"a\xff\"}"];
    stack.put_lines("a.json.gz", lines).await;
    stack.route_and_load().await;
    assert_eq!(stack.table_counts().await, BTreeMap::from([("a".to_owned(), 1)]));
    let mut found: Vec<_> = stack.quarantined().await;
    found.sort_by_key(|record| record.line);
    let reasons: Vec<_> = found.iter().map(|record| (record.line, record.reason, record.raw.as_deref())).collect();
    let expected = [
        (2, Reason::NotJson, Some(r#"{"event":"a","#)),
        (3, Reason::EventTypeMissing, Some(r#"{"n":2}"#)),
        (4, Reason::NotAnObject, Some("[1,2]")),
        (5, Reason::InvalidUtf8, None),
    ];
    assert_eq!(reasons, expected);
    assert_eq!(found[3].raw_base64.as_deref(), Some("eyJldmVudCI6ImH/In0="));
    assert!(found.iter().all(|record| record.source == "s3://raw-logs/a.json.gz"));
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_without_records_are_sealed_too() {
    let stack = Stack::start().await;
    stack.put("empty.json", Vec::new()).await;
    stack.put("folder/", Vec::new()).await;
    stack.put("blank.json", b"\n\n \n".to_vec()).await;
    stack.route_and_load().await;
    let seals = stack.seals().await;
    assert_eq!(seals.len(), 3);
    assert!(seals.iter().all(|seal| seal.events.is_empty() && seal.counts.read == 0));
    let hours = common::objects::list(&stack.clients.s3, "routed-logs", "seals/hour/").await.expect("listed");
    let days = common::objects::list(&stack.clients.s3, "routed-logs", "seals/day/").await.expect("listed");
    assert_eq!((hours.len(), days.len()), (3, 3), "each seal is indexed by hour and by day");
}
