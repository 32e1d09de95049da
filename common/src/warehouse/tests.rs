//! The warehouse against scripted answers of the Data API: lost replies, failed looks, failing entries.

mod quotas;

use super::scripted::{ok, scripted};
use super::*;

fn refused(status: u16, code: &str) -> Option<(u16, String)> {
    Some((status, format!(r#"{{"__type":"{code}","message":"no"}}"#)))
}

#[tokio::test]
async fn a_running_statement_is_not_abandoned_when_a_look_at_it_fails() {
    let (warehouse, script) = scripted(vec![
        ("BatchExecuteStatement", ok(r#"{"Id":"1","Status":"STARTED"}"#)),
        ("DescribeStatement", refused(400, "ThrottlingException")),
        ("DescribeStatement", None),
        ("DescribeStatement", ok(r#"{"Id":"1","Status":"FINISHED"}"#)),
    ]);
    warehouse.batch("b-1", vec!["SELECT 1".into()]).await.expect("finished in the end");
    script.assert_used_up();
}

#[tokio::test]
async fn a_lost_reply_to_a_submit_leaves_the_outcome_open() {
    let (warehouse, _) = scripted(vec![("BatchExecuteStatement", None)]);
    let error = warehouse.batch("b-1", vec!["SELECT 1".into()]).await.expect_err("no answer");
    assert!(matches!(&error, WarehouseError::Unanswered { name, .. } if name == "b-1"), "{error:?}");
}

#[tokio::test]
async fn a_refused_submit_runs_nothing_but_a_throttled_one_may() {
    let (warehouse, _) = scripted(vec![
        ("BatchExecuteStatement", refused(400, "ValidationException")),
        ("BatchExecuteStatement", refused(400, "ThrottlingException")),
        ("BatchExecuteStatement", refused(400, "ActiveStatementsExceededException")),
    ]);
    let error = warehouse.batch("b-1", vec!["SELECT 1".into()]).await.expect_err("refused");
    assert!(matches!(&error, WarehouseError::Refused(_)), "{error:?}");
    for _ in 0..2 {
        let error = warehouse.batch("b-1", vec!["SELECT 1".into()]).await.expect_err("throttled");
        assert!(matches!(&error, WarehouseError::Unanswered { name, .. } if name == "b-1"), "{error:?}");
    }
}

#[tokio::test]
async fn a_failed_batch_tells_its_failing_entry_and_why() {
    let described = r#"{"Id":"1","Status":"FAILED","Error":"Query #2 failed with ERROR: cut","SubStatements":[
        {"Id":"1:1","Status":"FINISHED"},{"Id":"1:2","Status":"FAILED","Error":"ERROR: whole"},{"Id":"1:3","Status":"ABORTED"}]}"#;
    let (warehouse, _) =
        scripted(vec![("BatchExecuteStatement", ok(r#"{"Id":"1"}"#)), ("DescribeStatement", ok(described))]);
    let error = warehouse.batch("b-1", vec!["SELECT 1".into()]).await.expect_err("failed");
    let WarehouseError::Failed(failure) = error else { panic!("{error:?}") };
    assert_eq!((failure.entry, failure.message.as_str()), (Some(2), "whole"));
}

#[tokio::test]
async fn a_statement_that_failed_among_others_that_are_committed_is_told() {
    let described = r#"{"Id":"1","Status":"FINISHED","SubStatements":[
        {"Id":"1:1","Status":"FINISHED"},{"Id":"1:2","Status":"FAILED","Error":"ERROR: used by a view"}]}"#;
    let submitted = r#"{"Id":"1","Status":"FINISHED"}"#;
    let (warehouse, script) =
        scripted(vec![("BatchExecuteStatement", ok(submitted)), ("DescribeStatement", ok(described))]);
    let error = warehouse.each("ddl-1", vec!["SET x TO 1".into(), "ALTER".into()]).await.expect_err("failed");
    let WarehouseError::Failed(failure) = error else { panic!("{error:?}") };
    assert_eq!((failure.entry, failure.message.as_str()), (Some(2), "used by a view"));
    script.assert_used_up();
}

#[tokio::test]
async fn of_several_statements_each_is_told_of_and_gives_its_own_rows() {
    let described = r#"{"Id":"1","Status":"FINISHED","SubStatements":[{"Id":"1:1","Status":"FINISHED"},
        {"Id":"1:2","Status":"FAILED","Error":"ERROR: Load into table 'x' failed."},{"Id":"1:3","Status":"ABORTED"}]}"#;
    let (warehouse, script) = scripted(vec![
        ("BatchExecuteStatement", ok(r#"{"Id":"1"}"#)),
        ("DescribeStatement", ok(described)),
        ("GetStatementResult", ok(r#"{"Records":[[{"longValue":7}]]}"#)),
    ]);
    let ended = warehouse.each_told("check-1", vec!["SELECT 1".into(); 3]).await.expect("told");
    let told: Vec<_> = ended.iter().map(|one| one.failure.as_ref().map(|failure| failure.message.as_str())).collect();
    assert_eq!(told, [None, Some("Load into table 'x' failed."), Some("the statement ended without a reason")]);
    assert_eq!(warehouse.rows_of(&ended[0]).await.expect("rows"), [vec![Some("7".to_owned())]]);
    script.assert_used_up();
}

#[tokio::test]
async fn a_query_reads_all_pages_and_every_type() {
    let (warehouse, script) = scripted(vec![
        ("ExecuteStatement", ok(r#"{"Id":"1","Status":"FINISHED"}"#)),
        ("GetStatementResult", ok(r#"{"Records":[[{"stringValue":"a"},{"longValue":7}]],"NextToken":"n"}"#)),
        ("GetStatementResult", ok(r#"{"Records":[[{"isNull":true},{"booleanValue":true}]]}"#)),
    ]);
    let rows = warehouse.query("q", "SELECT").await.expect("rows");
    assert_eq!(rows, [vec![Some("a".to_owned()), Some("7".to_owned())], vec![None, Some("true".to_owned())]]);
    script.assert_used_up();
}

#[tokio::test]
async fn waiting_for_a_name_waits_for_each_of_its_running_statements_only() {
    let listed = r#"{"Statements":[{"Id":"1","Status":"FAILED"},{"Id":"2","Status":"STARTED"}]}"#;
    let (warehouse, script) = scripted(vec![
        ("ListStatements", ok(listed)),
        ("DescribeStatement", ok(r#"{"Id":"2","Status":"STARTED"}"#)),
        ("DescribeStatement", ok(r#"{"Id":"2","Status":"ABORTED"}"#)),
    ]);
    warehouse.wait_for_named("b-1", Duration::from_secs(60)).await;
    script.assert_used_up();
}

#[tokio::test]
async fn waiting_for_a_name_ends_where_it_cannot_be_asked() {
    let (warehouse, script) = scripted(vec![("ListStatements", refused(400, "AccessDeniedException"))]);
    warehouse.wait_for_named("b-1", Duration::from_secs(60)).await;
    script.assert_used_up();
}

#[tokio::test]
async fn waiting_for_a_name_ends_with_its_limit() {
    let running = ("DescribeStatement", ok(r#"{"Id":"1","Status":"STARTED"}"#));
    let mut answers = vec![running; 10_000];
    answers.insert(0, ("ListStatements", ok(r#"{"Statements":[{"Id":"1","Status":"STARTED"}]}"#)));
    let (warehouse, script) = scripted(answers);
    warehouse.wait_for_named("b-1", Duration::from_millis(50)).await;
    assert!(script.left() > 9_000, "it looked at the statement, and gave up");
}

#[test]
fn more_than_the_data_api_takes_is_never_submitted() {
    assert!(check_size(&vec!["SELECT 1"; 40]).is_ok());
    assert!(matches!(check_size(&vec!["SELECT 1"; 41]), Err(WarehouseError::TooLarge { entries: 41, .. })));
    assert!(matches!(check_size(&["x".repeat(100_001)]), Err(WarehouseError::TooLarge { bytes: 100_001, .. })));
}

#[test]
fn only_a_clear_refusal_means_that_nothing_runs() {
    let refused = AwsError::refused("BatchExecuteStatement", "b-1", "ValidationException", "no", true);
    assert!(matches!(not_submitted("b-1", refused), WarehouseError::Refused(_)));
    let broken = AwsError::refused("BatchExecuteStatement", "b-1", "InternalServerException", "no", false);
    assert!(matches!(not_submitted("b-1", broken), WarehouseError::Unanswered { .. }));
    let silent = AwsError::interrupted("BatchExecuteStatement", "b-1", &std::io::Error::other("reset"));
    assert!(matches!(not_submitted("b-1", silent), WarehouseError::Unanswered { .. }));
}
