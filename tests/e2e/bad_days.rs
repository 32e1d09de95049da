//! Every recorded text (`loader/src/verdict/recorded.toml`), raised against the running loader.

use crate::logs::Logs;
use crate::stack::Stack;
use serde_json::json;

/// One text, with a table of its own.
struct Recorded {
    name: String,
    text: String,
    /// A piece of the statement that it befalls.
    sql: String,
}

/// All texts of a class that befall a statement which names its table.
fn recorded(class: &str) -> Vec<Recorded> {
    let fixture: toml::Table = include_str!("../../loader/src/verdict/recorded.toml").parse().expect("TOML");
    let all = fixture["recorded"].as_array().expect("an array").iter();
    let of_class = all.filter(|entry| entry["class"].as_str() == Some(class));
    let found: Vec<_> = of_class
        .filter_map(|entry| {
            let name = entry["name"].as_str()?.to_owned();
            let sql = match entry.get("role")?.as_str()? {
                "lock" => format!("LOCK \"log_router\".\"gate_{name}\""),
                "hold" => format!("UPDATE \"log_router\".\"gate_{name}\""),
                "gate_check" => format!("AS INTEGER) FROM \"log_router\".\"gate_{name}\""),
                "guard" => format!("AS INTEGER) FROM \"log_router\".\"ledger_{name}\""),
                "copy" => format!("COPY \"events\".\"{name}\""),
                "ledger" => format!("INSERT INTO \"log_router\".\"ledger_{name}\""),
                _ => return None,
            };
            Some(Recorded { name, text: entry["text"].as_str()?.to_owned(), sql })
        })
        .collect();
    assert!(!found.is_empty(), "{class}");
    found
}

/// A record of each event under this key, routed.
async fn route(stack: &Stack, key: &str, events: impl Iterator<Item = &str>) {
    stack.put_lines(key, events.map(|event| format!(r#"{{"event":"{event}","key":"{key}"}}"#))).await;
    stack.route().await;
}

/// Tables that exist, and a second source whose loads meet their faults, so often each.
async fn stack_with_faults(settings: &str, recorded: &[Recorded], times: Option<u64>) -> Stack {
    let stack = Stack::with(settings).await;
    let events = || recorded.iter().map(|one| one.name.as_str()).chain(["innocent"]);
    route(&stack, "1", events()).await;
    stack.load().await.expect("a good day");
    route(&stack, "2", events()).await;
    for one in recorded {
        stack.fault(json!({"fault": "statement_fails", "contains": one.sql, "error": one.text, "times": times})).await;
    }
    stack
}

#[tokio::test]
async fn what_passes_by_itself_delays_its_table_with_one_line_and_without_a_storm() {
    let recorded = recorded("transient");
    let stack = stack_with_faults("", &recorded, Some(2)).await;
    let before = stack.requests("redshift-data", "BatchExecuteStatement").await;
    let logs = Logs::listen();
    stack.load().await.expect("every table loads in the end");
    assert!(stack.struck().await.iter().all(|struck| *struck == 2));
    let transactions = stack.requests("redshift-data", "BatchExecuteStatement").await - before;
    assert_eq!(transactions, 3 * recorded.len() as u64 + 1, "one for each try, and one for the innocent table");
    for Recorded { name, .. } in &recorded {
        let lines = logs.of_event(name);
        let messages: Vec<&str> = lines.iter().map(|(_, message)| message.as_str()).collect();
        let expected =
            ["a load has to wait; retrying until it works", "loaded", "the warehouse takes loads of the table again"];
        assert_eq!(messages, expected, "{name}");
    }
    assert!(stack.table_counts().await.values().all(|rows| *rows == 2));
    stack.assert_no_doubles().await;
    assert!(stack.drain("routed-parts-dlq").await.is_empty());
}

#[tokio::test]
async fn a_copy_cut_short_is_tried_again_alone() {
    let recorded = recorded("cancelled");
    let stack = stack_with_faults("", &recorded, Some(1)).await;
    let logs = Logs::listen();
    stack.load().await.expect("every table loads in the end");
    assert!(stack.struck().await.iter().all(|struck| *struck == 1));
    for Recorded { name, .. } in &recorded {
        let warnings = logs.of_event(name).into_iter().filter(|(level, _)| level == "WARN").count();
        // None where it was cut short in a transaction that it shared: then it is tried alone without a word.
        assert!(warnings <= 1, "{name}");
    }
    assert!(stack.table_counts().await.values().all(|rows| *rows == 2));
    stack.assert_no_doubles().await;
}

#[tokio::test]
async fn what_a_person_must_correct_stops_its_table_and_names_the_cause() {
    let recorded = recorded("configuration");
    let stack = stack_with_faults("stopped_retry = \"2s\"", &recorded, None).await;
    let before = stack.requests("redshift-data", "BatchExecuteStatement").await;
    let error = stack.load().await.expect_err("the stopped tables are reported");
    let transactions = stack.requests("redshift-data", "BatchExecuteStatement").await - before;
    assert!(transactions <= 6 * recorded.len() as u64, "{transactions} transactions: a storm");
    for Recorded { name, text, .. } in &recorded {
        let first_line = text.lines().next().expect("a text");
        assert!(error.contains(&format!("{name}: ")) && error.contains(first_line), "{name}: {error}");
        assert_eq!(stack.number(&format!("SELECT COUNT(*) FROM events.\"{name}\"")).await, 1, "{name}");
    }
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.innocent").await, 2, "other tables go on");
    assert!(stack.drain("routed-parts-dlq").await.is_empty(), "nothing is given up");
    assert_eq!(stack.number("SELECT COUNT(*) FROM log_router.failed").await, 0);
}

#[tokio::test]
async fn a_request_whose_part_is_gone_is_set_aside_alone() {
    let recorded = recorded("missing_part");
    let stack = stack_with_faults("max_tries = 1", &recorded, None).await;
    stack.load().await.expect("nothing is left to do");
    let failed = stack.query("SELECT event FROM log_router.failed ORDER BY event").await;
    let mut expected: Vec<_> = recorded.iter().map(|one| vec![one.name.clone()]).collect();
    expected.sort();
    assert_eq!(failed, expected);
    assert_eq!(stack.drain("routed-parts-dlq").await.len(), recorded.len());
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.innocent").await, 2);
}

#[tokio::test]
async fn an_unknown_error_condemns_one_request_and_not_its_batch() {
    let stack = Stack::with("max_tries = 1").await;
    for n in 0..6 {
        stack.put_lines(&n.to_string(), [format!(r#"{{"event":"a","n":{n}}}"#)]).await;
    }
    stack.route().await;
    let culprit = stack.seals().await.remove(3).source_id.to_string();
    let row = format!("VALUES ('{culprit}', 0");
    let rows = format!(", ('{culprit}', 0");
    for contains in [row, rows] {
        stack.fault(json!({"fault": "statement_fails", "contains": contains, "error": "nobody has seen this"})).await;
    }
    stack.load().await.expect("nothing is left to do");
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 5);
    assert_eq!(stack.query("SELECT source_id FROM log_router.failed").await, [[culprit]]);
    assert_eq!(stack.drain("routed-parts-dlq").await.len(), 1);
}

#[tokio::test]
async fn a_file_that_s3_refuses_copy_once_is_loaded_and_one_it_goes_on_refusing_stops_the_table_alone() {
    let stack = Stack::with("stopped_retry = \"2s\"").await;
    for n in 0..4 {
        let lines = ["once", "always", "slow"].map(|event| format!(r#"{{"event":"{event}","n":{n}}}"#));
        stack.put_lines(&n.to_string(), lines).await;
    }
    stack.route().await;
    let seal = stack.seals().await.remove(1);
    let key = |event: &str| {
        let event = seal.events.iter().find(|sealed| sealed.event.as_str() == event).expect("sealed");
        event.parts[0].key.clone()
    };
    stack.fault(json!({"fault": "object_refused", "contains": key("once"), "times": 1})).await;
    stack.fault(json!({"fault": "object_refused", "contains": key("always")})).await;
    stack.fault(json!({"fault": "object_refused", "contains": key("slow"), "status": 503, "times": 2})).await;
    let error = stack.load().await.expect_err("the stopped table is reported");
    assert!(error.contains("always: ") && error.contains("Status 403") && !error.contains("once: "), "{error}");
    let counts = stack.table_counts().await;
    assert_eq!((counts["once"], counts["slow"]), (4, 4));
    assert!(counts["always"] < 4, "the refused file is not loaded");
    assert!(stack.drain("routed-parts-dlq").await.is_empty());
}
