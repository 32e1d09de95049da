//! SQS as the Rust SDK sees it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::{
    Message, MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};

use tokio_util::sync::CancellationToken;

use super::{RequestContext, Service};
use crate::test_stack::TestStack;

fn handle(message: &Message) -> &str {
    message.receipt_handle().unwrap()
}

async fn queue_with(stack: &TestStack, name: &str, attribute: QueueAttributeName, value: &str) -> String {
    let create = stack.clients.sqs.create_queue().queue_name(name).attributes(attribute, value);
    create.send().await.unwrap().queue_url.unwrap()
}

async fn attribute(stack: &TestStack, url: &str, name: QueueAttributeName) -> String {
    let all = stack.clients.sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
    all.send().await.unwrap().attributes.unwrap().remove(&name).unwrap_or_default()
}

async fn delete(stack: &TestStack, url: &str, message: &Message) {
    // Not with the SDK: clippy keeps its delete calls to one place of the product.
    let request = raw(stack, "DeleteMessage", serde_json::json!({ "QueueUrl": url, "ReceiptHandle": handle(message) }));
    assert_eq!(request.await.0, 200);
}

/// One request as it travels: what an SDK of any language would send.
async fn raw(stack: &TestStack, operation: &str, body: serde_json::Value) -> (u16, String, serde_json::Value) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = stack.endpoint().trim_start_matches("http://").to_owned();
    let body = body.to_string();
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/x-amz-json-1.0\r\n\
         X-Amz-Target: AmazonSQS.{operation}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let query_error = head.lines().find_map(|line| line.strip_prefix("x-amzn-query-error: ")).unwrap_or_default();
    (status, query_error.to_owned(), serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn a_message_is_received_with_its_attributes_and_gone_once_deleted() {
    let stack = TestStack::start().await;
    let url = stack.queue("q").await;
    let value = MessageAttributeValue::builder().data_type("String").string_value("live").build().unwrap();
    let send = stack.clients.sqs.send_message().queue_url(&url).message_body("hello");
    let sent = send.message_attributes("lane", value).send().await.unwrap();
    assert_eq!(sent.md5_of_message_body(), Some("5d41402abc4b2a76b9719d911017c592"));
    let receive = stack.clients.sqs.receive_message().queue_url(&url).message_attribute_names("All");
    let received = receive.message_system_attribute_names(MessageSystemAttributeName::All).send().await.unwrap();
    let message = &received.messages()[0];
    assert_eq!((message.body(), message.message_id()), (Some("hello"), sent.message_id()));
    assert_eq!(message.message_attributes().unwrap()["lane"].string_value(), Some("live"));
    assert_eq!(message.md5_of_message_attributes(), sent.md5_of_message_attributes());
    let attributes = message.attributes().unwrap();
    assert_eq!(attributes[&MessageSystemAttributeName::ApproximateReceiveCount], "1");
    assert!(attributes.contains_key(&MessageSystemAttributeName::SentTimestamp));
    assert!(attributes.contains_key(&MessageSystemAttributeName::ApproximateFirstReceiveTimestamp));
    assert!(attributes.contains_key(&MessageSystemAttributeName::SenderId));
    assert_eq!(attribute(&stack, &url, QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await, "1");
    delete(&stack, &url, message).await;
    assert_eq!(attribute(&stack, &url, QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await, "0");
}

#[tokio::test]
async fn an_undeleted_message_comes_again_after_its_visibility_timeout() {
    let stack = TestStack::start().await;
    let url = queue_with(&stack, "q", QueueAttributeName::VisibilityTimeout, "1").await;
    stack.send(&url, "again").await;
    let first = stack.receive(&url, 0).await;
    assert!(stack.receive(&url, 0).await.is_empty());
    // The long poll ends when the message becomes visible, not at its own end.
    let started = Instant::now();
    let second = stack.receive(&url, 20).await;
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(second[0].message_id(), first[0].message_id());
    assert_ne!(second[0].receipt_handle(), first[0].receipt_handle());
    // The first handle is stale now: it deletes nothing.
    delete(&stack, &url, &first[0]).await;
    assert_eq!(attribute(&stack, &url, QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await, "1");
}

#[tokio::test]
async fn visibility_can_be_given_back_at_once_and_only_while_in_flight() {
    let stack = TestStack::start().await;
    let url = stack.queue("q").await;
    stack.send(&url, "back").await;
    let first = stack.receive(&url, 0).await;
    let change = |handle: &str, secs: i32| {
        let change = stack.clients.sqs.change_message_visibility().queue_url(&url);
        change.receipt_handle(handle).visibility_timeout(secs).send()
    };
    let error = change(handle(&first[0]), 43_200).await.unwrap_err();
    assert!(error.message().unwrap().contains("beyond the limit"), "{error:?}");
    change(handle(&first[0]), 0).await.unwrap();
    let error = change(handle(&first[0]), 60).await.unwrap_err();
    assert_eq!(error.code(), Some("AWS.SimpleQueueService.MessageNotInflight"));
    let second = stack.receive(&url, 0).await;
    change(handle(&second[0]), 60).await.unwrap();
    let stale = change(handle(&first[0]), 60).await.unwrap_err();
    assert_eq!(stale.code(), Some("InvalidParameterValue"));
    assert_eq!(change("nonsense", 60).await.unwrap_err().code(), Some("ReceiptHandleIsInvalid"));
}

async fn queue_with_dead_letters(stack: &TestStack, max_receives: u32) -> (String, String) {
    let dead = stack.queue("q-dlq").await;
    let policy = serde_json::json!({
        "deadLetterTargetArn": attribute(stack, &dead, QueueAttributeName::QueueArn).await,
        "maxReceiveCount": max_receives,
    });
    (queue_with(stack, "q", QueueAttributeName::RedrivePolicy, &policy.to_string()).await, dead)
}

async fn receive_and_give_back(stack: &TestStack, url: &str) -> usize {
    let receive = stack.clients.sqs.receive_message().queue_url(url).visibility_timeout(0);
    receive.send().await.unwrap().messages().len()
}

#[tokio::test]
async fn a_message_received_too_often_moves_to_the_dead_letter_queue_on_the_next_receive() {
    let stack = TestStack::start().await;
    let (url, dead) = queue_with_dead_letters(&stack, 2).await;
    stack.send(&url, "poison").await;
    assert_eq!(receive_and_give_back(&stack, &url).await, 1);
    assert_eq!(receive_and_give_back(&stack, &url).await, 1);
    stack.send(&url, "healthy").await;
    let next = stack.receive(&url, 0).await;
    assert_eq!(next.iter().map(|m| m.body().unwrap()).collect::<Vec<_>>(), ["healthy"]);
    let receive = stack.clients.sqs.receive_message().queue_url(&dead);
    let dead_letters = receive.message_system_attribute_names(MessageSystemAttributeName::All).send().await.unwrap();
    let letter = &dead_letters.messages()[0];
    assert_eq!(letter.body(), Some("poison"));
    let attributes = letter.attributes().unwrap();
    assert_eq!(attributes[&MessageSystemAttributeName::ApproximateReceiveCount], "3");
    assert!(attributes[&MessageSystemAttributeName::DeadLetterQueueSourceArn].ends_with(":q"));
}

#[tokio::test]
async fn a_move_task_brings_dead_letters_back_as_new_messages() {
    let stack = TestStack::start().await;
    let (url, dead) = queue_with_dead_letters(&stack, 1).await;
    stack.send(&url, "poison").await;
    assert_eq!(receive_and_give_back(&stack, &url).await, 1);
    assert!(stack.receive(&url, 0).await.is_empty());
    let source = attribute(&stack, &dead, QueueAttributeName::QueueArn).await;
    stack.clients.sqs.start_message_move_task().source_arn(&source).send().await.unwrap();
    let back = stack.receive(&url, 10).await;
    assert_eq!(back[0].body(), Some("poison"));
    let list = stack.clients.sqs.list_message_move_tasks().source_arn(&source);
    loop {
        let tasks = list.clone().send().await.unwrap();
        if tasks.results()[0].status() == Some("COMPLETED") {
            assert_eq!(tasks.results()[0].approximate_number_of_messages_moved(), 1);
            break;
        }
        tokio::task::yield_now().await;
    }
    let wrong = attribute(&stack, &url, QueueAttributeName::QueueArn).await;
    let error = stack.clients.sqs.start_message_move_task().source_arn(wrong).send().await.unwrap_err();
    assert_eq!(error.code(), Some("AWS.SimpleQueueService.UnsupportedOperation"));
}

#[tokio::test]
async fn a_batch_succeeds_in_part() {
    let stack = TestStack::start().await;
    let url = stack.queue("q").await;
    let entry =
        |id: &str, body: &str| SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap();
    let send = stack.clients.sqs.send_message_batch().queue_url(&url);
    let sent = send.entries(entry("good", "fine")).entries(entry("bad", "nul \u{0}")).send().await.unwrap();
    assert_eq!(sent.successful().iter().map(|e| e.id()).collect::<Vec<_>>(), ["good"]);
    let failed = &sent.failed()[0];
    assert_eq!((failed.id(), failed.code(), failed.sender_fault()), ("bad", "InvalidMessageContents", true));
    let received = stack.receive(&url, 0).await;
    let entries = serde_json::json!([
        { "Id": "a", "ReceiptHandle": handle(&received[0]) },
        { "Id": "b", "ReceiptHandle": "nonsense" },
    ]);
    let request = serde_json::json!({ "QueueUrl": url, "Entries": entries });
    let (status, _, answer) = raw(&stack, "DeleteMessageBatch", request).await;
    assert_eq!(status, 200);
    assert_eq!(answer["Successful"][0]["Id"], "a");
    assert_eq!(answer["Failed"][0]["Code"], "ReceiptHandleIsInvalid");
}

#[tokio::test]
async fn limits_of_a_batch_refuse_all_of_it() {
    let stack = TestStack::start().await;
    let url = stack.queue("q").await;
    let entry = |n: usize, body: String| {
        SendMessageBatchRequestEntry::builder().id(n.to_string()).message_body(body).build().unwrap()
    };
    let send =
        |entries: Vec<_>| stack.clients.sqs.send_message_batch().queue_url(&url).set_entries(Some(entries)).send();
    let eleven = (0..11).map(|n| entry(n, "x".to_owned())).collect();
    let error = send(eleven).await.unwrap_err();
    assert_eq!(error.code(), Some("AWS.SimpleQueueService.TooManyEntriesInBatchRequest"));
    let heavy = (0..2).map(|n| entry(n, "x".repeat(600_000))).collect();
    assert_eq!(send(heavy).await.unwrap_err().code(), Some("AWS.SimpleQueueService.BatchRequestTooLong"));
    assert_eq!(attribute(&stack, &url, QueueAttributeName::ApproximateNumberOfMessages).await, "0");
    let largest = stack.clients.sqs.send_message().queue_url(&url).message_body("x".repeat(1_048_576));
    largest.send().await.unwrap();
    let too_large = stack.clients.sqs.send_message().queue_url(&url).message_body("x".repeat(1_048_577));
    assert_eq!(too_large.send().await.unwrap_err().code(), Some("InvalidParameterValue"));
}

/// A long poll that is known to be waiting: polled once, and pending.
macro_rules! waiting_poll {
    ($service:expr, $context:expr) => {{
        let mut poll = Box::pin(Arc::clone($service).handle("ReceiveMessage", LONG_POLL, $context));
        assert!(futures::poll!(poll.as_mut()).is_pending());
        poll
    }};
}

const LONG_POLL: &[u8] = br#"{"QueueUrl":"http://localhost/000000000000/q","WaitTimeSeconds":20}"#;

async fn service_with_queue(dir: &std::path::Path, stopping: &CancellationToken) -> (Arc<Service>, RequestContext) {
    let service = Service::open(dir, stopping.clone(), Arc::default()).unwrap();
    let context = RequestContext { host: "localhost".to_owned(), region: "us-east-1".to_owned() };
    let created = Arc::clone(&service).handle("CreateQueue", br#"{"QueueName":"q"}"#, &context).await;
    assert_eq!(created.status(), 200);
    (service, context)
}

#[tokio::test]
async fn a_long_poll_wakes_when_a_message_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (service, context) = service_with_queue(dir.path(), &CancellationToken::new()).await;
    let poll = waiting_poll!(&service, &context);
    service.deliver("arn:aws:sqs:us-east-1:000000000000:q", "wake up".to_owned()).unwrap();
    let body = tokio::time::timeout(Duration::from_secs(10), poll).await.unwrap().into_body();
    assert!(std::str::from_utf8(&body).unwrap().contains("wake up"));
}

#[tokio::test]
async fn stopping_ends_long_polls_without_messages() {
    let dir = tempfile::tempdir().unwrap();
    let stopping = CancellationToken::new();
    let (service, context) = service_with_queue(dir.path(), &stopping).await;
    let poll = waiting_poll!(&service, &context);
    stopping.cancel();
    let response = tokio::time::timeout(Duration::from_secs(10), poll).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.body()[..]), (200, &b"{}"[..]));
}

#[tokio::test]
async fn a_delayed_message_ends_a_long_poll_when_it_is_due() {
    let stack = TestStack::start().await;
    let url = stack.queue("q").await;
    let send = stack.clients.sqs.send_message().queue_url(&url).message_body("later").delay_seconds(1);
    send.send().await.unwrap();
    assert_eq!(attribute(&stack, &url, QueueAttributeName::ApproximateNumberOfMessagesDelayed).await, "1");
    assert!(stack.receive(&url, 0).await.is_empty());
    let started = Instant::now();
    assert_eq!(stack.receive(&url, 20).await.len(), 1);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn creating_a_queue_again_needs_the_same_attributes() {
    let stack = TestStack::start().await;
    let url = queue_with(&stack, "q", QueueAttributeName::VisibilityTimeout, "60").await;
    assert_eq!(queue_with(&stack, "q", QueueAttributeName::VisibilityTimeout, "60").await, url);
    assert_eq!(stack.queue("q").await, url);
    let create = stack.clients.sqs.create_queue().queue_name("q");
    let error = create.attributes(QueueAttributeName::VisibilityTimeout, "61").send().await.unwrap_err();
    assert_eq!(error.code(), Some("QueueAlreadyExists"));
    assert_eq!(url, format!("{}/000000000000/q", stack.endpoint()));
    let listed = stack.clients.sqs.list_queues().queue_name_prefix("q").send().await.unwrap();
    assert_eq!(listed.queue_urls(), [url]);
}

#[tokio::test]
async fn a_missing_queue_has_the_error_of_both_protocols() {
    let stack = TestStack::start().await;
    let error = stack.clients.sqs.get_queue_url().queue_name("missing").send().await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_queue_does_not_exist());
    let (status, query_error, body) = raw(&stack, "GetQueueUrl", serde_json::json!({ "QueueName": "missing" })).await;
    assert_eq!((status, query_error.as_str()), (400, "AWS.SimpleQueueService.NonExistentQueue;Sender"));
    assert_eq!(body["__type"], "com.amazonaws.sqs#QueueDoesNotExist");
    let (status, _, body) = raw(&stack, "AddPermission", serde_json::json!({})).await;
    assert_eq!((status, body["__type"].as_str()), (400, Some("com.amazonaws.sqs#UnsupportedOperation")));
    let (status, _, body) = raw(&stack, "Frobnicate", serde_json::json!({})).await;
    assert_eq!(status, 404);
    assert!(body["message"].as_str().unwrap().contains("Frobnicate"));
}

#[tokio::test]
async fn a_restart_keeps_queues_messages_and_receive_counts() {
    let stack = TestStack::start().await;
    let url = stack.queue("q").await;
    stack.send(&url, "kept").await;
    assert_eq!(receive_and_give_back(&stack, &url).await, 1);
    let stack = stack.restart().await;
    let url = stack.queue("q").await;
    let receive = stack.clients.sqs.receive_message().queue_url(&url);
    let received = receive.message_system_attribute_names(MessageSystemAttributeName::All).send().await.unwrap();
    let message = &received.messages()[0];
    assert_eq!(message.body(), Some("kept"));
    assert_eq!(message.attributes().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount], "2");
}

#[tokio::test]
async fn a_purge_empties_the_queue_and_may_not_be_repeated_at_once() {
    let stack = TestStack::start().await;
    let url = stack.queue("q").await;
    stack.send(&url, "gone").await;
    stack.clients.sqs.purge_queue().queue_url(&url).send().await.unwrap();
    assert!(stack.receive(&url, 0).await.is_empty());
    let error = stack.clients.sqs.purge_queue().queue_url(&url).send().await.unwrap_err();
    assert_eq!(error.code(), Some("AWS.SimpleQueueService.PurgeQueueInProgress"));
}
