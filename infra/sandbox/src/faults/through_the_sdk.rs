//! Each fault, asked for and felt through the SDK.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::test_stack::TestStack;

async fn call(stack: &TestStack, method: &str, path: &str, body: &str) -> (u16, Value) {
    let address = stack.endpoint().replace("http://", "");
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
}

/// Asks for a fault.
async fn ask(stack: &TestStack, fault: Value) {
    let (status, answer) = call(stack, "POST", "/_sandbox/faults", &fault.to_string()).await;
    assert_eq!(status, 201, "{answer}");
}

async fn struck(stack: &TestStack) -> Value {
    call(stack, "GET", "/_sandbox/faults", "").await.1[0]["struck"].clone()
}

/// Runs one statement to its end: its error, if it failed.
async fn run(stack: &TestStack, sqls: &[&str]) -> Option<String> {
    let call = stack.clients.redshift.batch_execute_statement().workgroup_name("w").database("dev");
    let sent = call.set_sqls(Some(sqls.iter().map(|sql| (*sql).to_owned()).collect())).send().await.unwrap();
    let describe = stack.clients.redshift.describe_statement().id(sent.id.unwrap()).wait_time_seconds(30);
    describe.send().await.unwrap().error
}

#[tokio::test]
async fn faults_are_asked_for_listed_and_taken_back() {
    let stack = TestStack::start().await;
    let (status, why) = call(&stack, "POST", "/_sandbox/faults", r#"{"fault":"nonsense"}"#).await;
    assert!(status == 400 && why["message"].as_str().unwrap().contains("nonsense"), "{why}");
    for times in [1, 2] {
        ask(&stack, json!({"fault": "throttle", "times": times})).await;
    }
    assert_eq!(call(&stack, "DELETE", "/_sandbox/faults/1", "").await.0, 200);
    assert_eq!(call(&stack, "DELETE", "/_sandbox/faults/1", "").await.0, 404);
    let listed = call(&stack, "GET", "/_sandbox/faults", "").await.1;
    assert_eq!(listed, json!([{"fault": "throttle", "after": 0, "times": 2, "id": 2, "struck": 0}]));
    assert_eq!(call(&stack, "DELETE", "/_sandbox/faults", "").await.0, 200);
    assert_eq!(call(&stack, "GET", "/_sandbox/faults", "").await.1, json!([]));
}

/// The SDK's own retries are not what is tested here.
fn once_s3() -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::Config::builder().retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
}

fn once_redshift() -> aws_sdk_redshiftdata::config::Builder {
    let disabled = aws_sdk_redshiftdata::config::retry::RetryConfig::disabled();
    aws_sdk_redshiftdata::Config::builder().retry_config(disabled)
}

#[tokio::test]
async fn requests_are_refused_in_the_words_of_their_service() {
    let stack = TestStack::start().await;
    for (fault, of_s3, of_sqs, of_redshift) in [
        ("throttle", "SlowDown", "RequestThrottled", "ThrottlingException"),
        ("server_error", "InternalError", "InternalFailure", "InternalServerException"),
        ("access_denied", "AccessDenied", "AccessDeniedException", "AccessDeniedException"),
    ] {
        ask(&stack, json!({"fault": fault, "times": 3})).await;
        let list = stack.clients.s3.list_buckets().customize().config_override(once_s3());
        let error = format!("{:?}", list.send().await.unwrap_err());
        assert!(error.contains(&format!("Some(\"{of_s3}\")")), "{error}");
        let once = aws_sdk_sqs::Config::builder().retry_config(aws_sdk_sqs::config::retry::RetryConfig::disabled());
        let error = format!("{:?}", stack.clients.sqs.list_queues().customize().config_override(once).send().await);
        assert!(error.contains(&format!("Some(\"{of_sqs}\")")), "{error}");
        let list = stack.clients.redshift.list_statements().customize().config_override(once_redshift());
        let error = format!("{:?}", list.send().await.unwrap_err());
        assert!(error.contains(of_redshift), "{error}");
    }
    stack.clients.s3.list_buckets().send().await.expect("all faults have struck out");
}

#[tokio::test]
async fn a_lost_reply_is_lost_after_the_work_is_done() {
    let stack = TestStack::start().await;
    stack.bucket("files").await;
    ask(&stack, json!({"fault": "lost_reply", "operation": "PutObject", "times": 1})).await;
    let put = stack.clients.s3.put_object().bucket("files").key("a").body(b"x".to_vec().into());
    let error = put.customize().config_override(once_s3()).send().await.unwrap_err();
    assert!(error.raw_response().is_none(), "{error:?}");
    stack.clients.s3.head_object().bucket("files").key("a").send().await.expect("it was put");

    ask(&stack, json!({"fault": "lost_reply", "service": "redshift-data", "times": 1})).await;
    let lost = stack.clients.redshift.execute_statement().workgroup_name("w").database("dev");
    let lost = lost.sql("CREATE TABLE public.t (n INT)").customize().config_override(once_redshift());
    let error = lost.send().await.unwrap_err();
    assert!(error.raw_response().is_none(), "{error:?}");
    assert_eq!(run(&stack, &["INSERT INTO public.t VALUES (1)"]).await, None, "the table was made");
}

#[tokio::test]
async fn a_paused_warehouse_takes_no_statement_but_tells_of_earlier_ones() {
    let stack = TestStack::start().await;
    ask(&stack, json!({"fault": "paused_warehouse", "error": "cluster is being resized"})).await;
    let execute = stack.clients.redshift.execute_statement().workgroup_name("w").database("dev").sql("SELECT 1");
    let error = format!("{:?}", execute.send().await.unwrap_err());
    assert!(error.contains("ValidationException") && error.contains("being resized"), "{error}");
    stack.clients.redshift.list_statements().send().await.unwrap();
}

#[tokio::test]
async fn a_statement_fails_with_the_text_asked_for_and_takes_its_transaction_with_it() {
    let stack = TestStack::start().await;
    assert_eq!(run(&stack, &["CREATE TABLE public.t (n INT)"]).await, None);
    let statements = ["LOCK public.t", "INSERT INTO public.t VALUES (1)"];
    ask(&stack, json!({"fault": "statement_fails", "contains": "INSERT", "error": "Disk Full", "times": 1})).await;
    assert_eq!(run(&stack, &statements).await.unwrap(), "Query #2 failed with ERROR: Disk Full");
    ask(&stack, json!({"fault": "serialization_failure", "contains": "COMMIT", "times": 1})).await;
    let error = run(&stack, &statements).await.unwrap();
    assert!(error.starts_with("Query #2 failed with ERROR: 1023\n  Detail: Serializable isolation"), "{error}");
    ask(&stack, json!({"fault": "slow_statement", "contains": "INSERT", "millis": 600_000, "times": 1})).await;
    let timed: Vec<&str> = ["SET statement_timeout TO 50"].into_iter().chain(statements).collect();
    let error = run(&stack, &timed).await.unwrap();
    assert!(
        error.starts_with("Query #3 failed with ERROR: Query (") && error.ends_with("on user's request"),
        "{error}"
    );
    assert_eq!(run(&stack, &statements).await, None, "all faults have struck out");
}

#[tokio::test]
async fn s3_refuses_a_copy_its_files() {
    let stack = TestStack::start().await;
    stack.bucket("files").await;
    stack.put("files", "data", b"{\"n\":1}").await;
    stack.put("files", "manifest", br#"{"entries":[{"url":"s3://files/data","mandatory":true}]}"#).await;
    assert_eq!(run(&stack, &["CREATE TABLE public.t (n INT)"]).await, None);
    let copy = ["COPY public.t FROM 's3://files/manifest' IAM_ROLE default MANIFEST FORMAT JSON 'auto'"];
    ask(&stack, json!({"fault": "object_refused", "contains": "files/data", "times": 1})).await;
    let error = run(&stack, &copy).await.unwrap();
    assert!(error.contains("S3ServiceException:Access Denied,Status 403,Error AccessDenied"), "{error}");
    ask(&stack, json!({"fault": "object_refused", "contains": "files/manifest", "status": 503, "times": 1})).await;
    let error = run(&stack, &copy).await.unwrap();
    assert!(error.contains("Problem reading manifest file - S3ServiceException:Please reduce"), "{error}");
    assert_eq!(run(&stack, &copy).await, None);
}

#[tokio::test]
async fn messages_are_doubled_reordered_and_lost() {
    let stack = TestStack::start().await;
    let queue = stack.queue("q").await;
    ask(&stack, json!({"fault": "duplicate_message", "contains": "q first", "times": 1})).await;
    ask(&stack, json!({"fault": "reordered_messages", "contains": "q"})).await;
    for body in ["first", "second", "third"] {
        stack.send(&queue, body).await;
    }
    let received = stack.receive(&queue, 0).await;
    let bodies: Vec<&str> = received.iter().map(|message| message.body().unwrap()).collect();
    assert_eq!(bodies, ["third", "second", "first", "first"]);
    assert_eq!(received[2].message_id, received[3].message_id);
    assert_eq!(struck(&stack).await, 1);
}
