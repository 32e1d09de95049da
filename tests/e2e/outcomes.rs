//! Loads whose outcome nobody was told: the ledger is asked, whatever went missing.

use crate::stack::{Stack, eventually};
use aws_sdk_redshiftdata::types::StatusString;
use common::load_request::LoadRequest;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// One file with two records of one event, routed.
async fn stack_with_a_request() -> Stack {
    let stack = Stack::start().await;
    stack.put_lines("1", [r#"{"event":"a","n":1}"#, r#"{"event":"a","n":2}"#]).await;
    stack.route().await;
    stack
}

/// Loaded once, by one transaction, and nothing left of it.
async fn assert_loaded_once(stack: &Stack) {
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 2);
    assert_eq!(stack.number("SELECT COUNT(*) FROM log_router.ledger_a").await, 1);
    assert_eq!(stack.number("SELECT COUNT(*) FROM log_router.loads").await, 1);
    stack.assert_no_doubles().await;
    assert_eq!((stack.messages("routed-parts").await, stack.messages("routed-parts-dlq").await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_whose_reply_is_lost_after_the_commit_is_found_in_the_ledger() {
    let stack = stack_with_a_request().await;
    // Once for each try of the SDK, so that not even its ClientToken brings the answer.
    stack.fault(json!({"fault": "lost_reply", "contains": "COPY ", "times": 5})).await;
    stack.load().await.expect("loaded");
    assert_eq!(stack.struck().await, [5]);
    assert_loaded_once(&stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_may_never_have_arrived_is_tried_again_when_the_ledger_does_not_have_it() {
    let stack = stack_with_a_request().await;
    stack.fault(json!({"fault": "server_error", "contains": "COPY ", "times": 5})).await;
    stack.load().await.expect("loaded");
    assert_eq!(stack.struck().await, [5]);
    assert_loaded_once(&stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_cannot_be_looked_at_for_a_while_is_waited_for() {
    let stack = stack_with_a_request().await;
    stack.fault(json!({"fault": "slow_statement", "contains": "COPY ", "millis": 8_000, "times": 1})).await;
    stack.fault(json!({"fault": "server_error", "operation": "DescribeStatement", "times": 7})).await;
    stack.load().await.expect("loaded");
    assert_eq!(stack.struck().await[0], 1);
    assert!(stack.struck().await[1] > 0, "a look has failed");
    assert_loaded_once(&stack).await;
}

/// The names of statements with this status that load.
async fn loads(stack: &Stack, status: StatusString) -> usize {
    let list = stack.clients.redshift.list_statements().statement_name("b-").status(status).role_level(true);
    list.send().await.expect("listed").statements.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_still_runs_when_its_loader_is_gone_and_another_starts_is_loaded_once() {
    let stack = stack_with_a_request().await;
    stack.set_visibility("routed-parts", 2).await;
    stack.fault(json!({"fault": "slow_statement", "contains": "COPY ", "millis": 6_000, "times": 1})).await;
    let (settings, clients) = (stack.settings.clone(), stack.clients.clone());
    // With its runtime go all its tasks, in the middle of whatever they do.
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.spawn(async move { loader::run(&settings, &clients, None, CancellationToken::new()).await });
    eventually("the load to run", || async { loads(&stack, StatusString::Started).await == 1 }).await;
    runtime.shutdown_background();
    stack.load().await.expect("the other loader ends well");
    assert_loaded_once(&stack).await;
    assert_eq!(loads(&stack, StatusString::Finished).await, 1, "the load of the loader that is gone committed");
}

/// Which generations of a source are in the ledger.
async fn generations(stack: &Stack, request: &LoadRequest) -> Vec<Vec<String>> {
    let source = &request.source_id;
    let sql = format!("SELECT generation FROM log_router.ledger_a WHERE source_id = '{source}' ORDER BY generation");
    stack.query(&sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_batch_that_is_loaded_in_part_the_rest_loads_and_all_is_settled() {
    let stack = Stack::start().await;
    for key in ["a", "b", "c", "d"] {
        stack.put_lines(key, [r#"{"event":"a"}"#]).await;
    }
    stack.route().await;
    let bodies = stack.drain("routed-parts").await;
    let requests: Vec<LoadRequest> = bodies.iter().map(|body| LoadRequest::parse(body).expect("a request")).collect();
    let [loaded, new, higher_loaded, lower_loaded] = &requests[..] else { panic!("{requests:?}") };
    let send = async |request: &LoadRequest, generation: u32| {
        let request = LoadRequest { generation, ..request.clone() };
        stack.send("routed-parts", &request.to_json()).await;
    };
    send(loaded, 0).await;
    send(higher_loaded, 1).await;
    send(lower_loaded, 0).await;
    stack.load().await.expect("loaded");

    // Loaded before, new and listed twice, superseded before, to be replaced and listed in both generations.
    for (request, generation) in
        [(loaded, 0), (new, 0), (new, 0), (higher_loaded, 0), (lower_loaded, 1), (lower_loaded, 0)]
    {
        send(request, generation).await;
    }
    stack.load().await.expect("loaded");
    assert_eq!(generations(&stack, loaded).await, [["0"]]);
    assert_eq!(generations(&stack, new).await, [["0"]]);
    assert_eq!(generations(&stack, higher_loaded).await, [["1"]]);
    assert_eq!(generations(&stack, lower_loaded).await, [["0"], ["1"]]);
    assert_eq!(stack.number("SELECT COUNT(*) FROM events.a").await, 4);
    stack.assert_no_doubles().await;
    let loads = stack.query("SELECT requests FROM log_router.loads ORDER BY loaded_at").await;
    assert_eq!(loads, [["3"], ["2"]], "the second load has the two that were owed");
    assert_eq!((stack.messages("routed-parts").await, stack.messages("routed-parts-dlq").await), (0, 0));
}
