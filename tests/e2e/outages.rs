//! Half an hour without a warehouse, by the simulated clock.

use crate::logs::Logs;
use crate::simulated;
use crate::stack::Stack;
use serde_json::{Value, json};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const EVENTS: [&str; 3] = ["a", "b", "c"];

const OUTAGE: Duration = Duration::from_secs(30 * 60);

/// Requests arrive during half an hour in which these faults are there, all of them. How many calls the warehouse got then.
fn outage(faults: &[Value]) -> u64 {
    let real = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let stack = real.block_on(Stack::start());
    let put = |key: &'static str| {
        let stack = &stack;
        async move {
            stack.put_lines(key, EVENTS.map(|event| format!(r#"{{"event":"{event}","key":"{key}"}}"#))).await;
            stack.route().await;
        }
    };
    // A good day first: tables are made, and nothing but the loads is left to do.
    real.block_on(async {
        put("1").await;
        stack.load().await.expect("loaded");
        put("2").await;
    });
    let bodies = real.block_on(stack.drain("routed-parts"));
    let calls = || {
        real.block_on(async {
            stack.requests("redshift-data", "ExecuteStatement").await
                + stack.requests("redshift-data", "BatchExecuteStatement").await
        })
    };

    let logs = Logs::listen();
    let simulated = simulated::runtime();
    let shutdown = CancellationToken::new();
    let (settings, token) = (stack.settings.clone(), shutdown.clone());
    let clients = simulated.block_on(simulated::clients(&stack));
    let loader = simulated.spawn(async move { loader::run(&settings, &clients, None, token).await });
    // The clock stands still between these, and the real one runs.
    let pass = |time: Duration| simulated.block_on(async { tokio::time::sleep(time).await });
    pass(Duration::from_secs(5));
    real.block_on(async {
        for fault in faults {
            stack.fault(fault.clone()).await;
        }
        for body in &bodies {
            stack.send("routed-parts", body).await;
        }
    });
    let before = calls();
    pass(OUTAGE);
    let during = calls() - before;
    assert!(real.block_on(stack.struck()).iter().any(|struck| *struck > 0), "the outage was felt");
    real.block_on(stack.clear_faults());
    pass(Duration::from_secs(5 * 60));
    shutdown.cancel();
    simulated.block_on(loader).expect("no panic").expect("ended well");

    for event in EVENTS {
        let messages: Vec<String> = logs.of_event(event).into_iter().map(|(_, message)| message).collect();
        let expected =
            ["a load has to wait; retrying until it works", "loaded", "the warehouse takes loads of the table again"];
        assert_eq!(messages, expected, "one line when it starts, one when it is over");
    }
    real.block_on(async {
        assert!(stack.table_counts().await.values().all(|rows| *rows == 2), "nothing is lost");
        stack.assert_no_doubles().await;
        assert_eq!((stack.messages("routed-parts").await, stack.messages("routed-parts-dlq").await), (0, 0));
    });
    during
}

/// Tries of one table with pauses of 1 s, 2 s, 4 s … 60 s, each up to a half longer.
const TRIES_MIN: u64 = 20;
const TRIES_MAX: u64 = 40;

fn assert_calls(calls: u64, calls_of_a_try: u64) {
    let tables = EVENTS.len() as u64;
    assert!(calls >= tables * TRIES_MIN, "{calls} calls: it must be noticed within a minute that the outage is over");
    assert!(calls <= tables * TRIES_MAX * calls_of_a_try, "{calls} calls: a storm");
}

#[test]
fn a_paused_warehouse_is_asked_once_a_minute_and_loads_when_it_is_back() {
    assert_calls(outage(&[json!({"fault": "paused_warehouse"})]), 1);
}

#[test]
fn a_warehouse_that_resizes_is_asked_once_a_minute_and_loads_when_it_is_done() {
    let error = "Cannot execute write query because system is in resize mode";
    let faults = ["LOCK", "UPDATE", "INSERT", "CREATE"];
    let faults = faults.map(|sql| json!({"fault": "statement_fails", "contains": sql, "error": error}));
    // Reads go through: before each try the ledger is asked, also whether it is older than its table's rows.
    assert_calls(outage(&faults), 5);
}

#[test]
fn a_warehouse_in_maintenance_that_answers_nothing_gets_few_calls_and_loads_when_it_is_back() {
    // The SDK makes up to five of one.
    assert_calls(outage(&[json!({"fault": "lost_reply", "service": "redshift-data"})]), 5);
}
