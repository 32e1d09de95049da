//! What goes over the wire keeps the Data API's quotas.

use super::*;
use aws_sdk_redshiftdata::config::http::{HttpRequest, HttpResponse};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use std::sync::{Arc, Mutex};

/// Answers every call as finished, and keeps what was asked.
#[derive(Clone, Debug, Default)]
struct Recorder(Arc<Mutex<Vec<(String, serde_json::Value)>>>);

impl HttpConnector for Recorder {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let body = serde_json::from_slice(request.body().bytes().unwrap_or_default()).expect("JSON");
        let answer = match target.as_str() {
            "RedshiftData.DescribeStatement" => r#"{"Id":"1","Status":"FINISHED"}"#,
            "RedshiftData.GetStatementResult" => r#"{"Records":[]}"#,
            _ => r#"{"Id":"1","Status":"STARTED"}"#,
        };
        self.0.lock().unwrap().push((target, body));
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), SdkBody::from(answer))))
    }
}

fn recorded() -> (Warehouse, Recorder) {
    let recorder = Recorder::default();
    let connector = SharedHttpConnector::new(recorder.clone());
    let (mut warehouse, _) = scripted(Vec::new());
    let config = warehouse.client.config().to_builder().http_client(http_client_fn(move |_, _| connector.clone()));
    warehouse.client = Client::from_conf(config.build());
    (warehouse, recorder)
}

/// Each look at a statement counts against 100 a second for the whole account: the server waits, not we.
#[tokio::test]
async fn every_submit_and_every_look_is_a_long_poll() {
    let (warehouse, recorder) = recorded();
    warehouse.batch("b-1", vec!["SELECT 1".into()]).await.expect("finished");
    warehouse.query("q-1", "SELECT 1").await.expect("finished");
    let calls = recorder.0.lock().unwrap();
    let operations: Vec<&str> = calls.iter().map(|(target, _)| target.trim_start_matches("RedshiftData.")).collect();
    let expected =
        ["BatchExecuteStatement", "DescribeStatement", "ExecuteStatement", "DescribeStatement", "GetStatementResult"];
    assert_eq!(operations, expected);
    for (target, body) in calls.iter().take(4) {
        let seconds = body["WaitTimeSeconds"].as_u64().unwrap_or_default();
        assert!((1..=30).contains(&seconds), "{target}: {body}");
    }
}

#[tokio::test]
async fn what_is_too_large_never_reaches_the_wire() {
    let (warehouse, recorder) = recorded();
    for sqls in [vec!["SELECT 1".to_owned(); 41], vec!["x".repeat(100_001)]] {
        let error = warehouse.batch("b-1", sqls).await.expect_err("too large");
        assert!(matches!(error, WarehouseError::TooLarge { .. }), "{error}");
    }
    assert!(warehouse.execute("e-1", &"x".repeat(100_001)).await.is_err());
    assert!(recorder.0.lock().unwrap().is_empty());
}
