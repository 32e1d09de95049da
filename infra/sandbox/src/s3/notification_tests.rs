//! Notifications from end to end: S3 on one side, a queue on the other.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{
    FilterRule, NotificationConfiguration, NotificationConfigurationFilter, QueueConfiguration, S3KeyFilter,
};
use serde_json::Value;

use crate::test_stack::TestStack;

const ARN: &str = "arn:aws:sqs:us-east-1:000000000000:raw";

/// Bucket `logs`, notifying queue `raw` of everything under `in/`; the test event is received and gone.
async fn stack() -> (TestStack, String) {
    let stack = TestStack::start().await;
    stack.bucket("logs").await;
    let queue = stack.queue("raw").await;
    put_configuration(&stack, ARN, "s3:*").await.unwrap();
    let test = &bodies(&stack, &queue).await[0];
    assert_eq!((test["Event"].as_str(), test["Bucket"].as_str()), (Some("s3:TestEvent"), Some("logs")));
    (stack, queue)
}

async fn put_configuration(stack: &TestStack, arn: &str, events: &str) -> Result<(), Option<String>> {
    let rule = FilterRule::builder().name("prefix".into()).value("in/").build();
    let key = S3KeyFilter::builder().filter_rules(rule).build();
    let events = match events {
        "s3:*" => vec!["s3:ObjectCreated:*".into(), "s3:ObjectRemoved:*".into()],
        other => vec![other.into()],
    };
    let target = QueueConfiguration::builder().queue_arn(arn).set_events(Some(events));
    let target = target.filter(NotificationConfigurationFilter::builder().key(key).build()).build().unwrap();
    let configuration = NotificationConfiguration::builder().queue_configurations(target).build();
    let put = stack.clients.s3.put_bucket_notification_configuration().bucket("logs");
    put.notification_configuration(configuration).send().await.map(drop).map_err(|e| e.code().map(str::to_owned))
}

async fn bodies(stack: &TestStack, queue: &str) -> Vec<Value> {
    let messages = stack.receive(queue, 5).await;
    messages.iter().map(|message| serde_json::from_str(message.body().unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn a_put_is_told_in_the_shape_of_s3() {
    let (stack, queue) = stack().await;
    stack.put("logs", "in/a b+c/ü.gz", b"hello").await;
    let record = bodies(&stack, &queue).await[0]["Records"][0].clone();
    assert_eq!(record["eventVersion"], "2.1");
    assert_eq!(record["eventSource"], "aws:s3");
    assert_eq!(record["awsRegion"], "us-east-1");
    assert_eq!(record["eventName"], "ObjectCreated:Put");
    assert_eq!(record["s3"]["s3SchemaVersion"], "1.0");
    assert_eq!(record["s3"]["bucket"]["name"], "logs");
    assert_eq!(record["s3"]["bucket"]["arn"], "arn:aws:s3:::logs");
    let object = &record["s3"]["object"];
    assert_eq!(object["key"], "in/a+b%2Bc/%C3%BC.gz");
    assert_eq!(object["size"], 5);
    assert_eq!(object["eTag"], "5d41402abc4b2a76b9719d911017c592");
    assert!(object.get("versionId").is_none());
}

#[tokio::test]
async fn copies_completions_and_removals_have_their_own_names() {
    let (stack, queue) = stack().await;
    let s3 = &stack.clients.s3;
    stack.put("logs", "out/quiet", b"x").await;
    s3.copy_object().bucket("logs").key("in/copy").copy_source("logs/out/quiet").send().await.unwrap();
    let id = s3.create_multipart_upload().bucket("logs").key("in/parts").send().await.unwrap().upload_id.unwrap();
    let part = s3.upload_part().bucket("logs").key("in/parts").upload_id(&id).part_number(1).body(b"y".to_vec().into());
    let etag = part.send().await.unwrap().e_tag.unwrap();
    let part = aws_sdk_s3::types::CompletedPart::builder().part_number(1).e_tag(etag).build();
    let parts = aws_sdk_s3::types::CompletedMultipartUpload::builder().parts(part).build();
    let complete = s3.complete_multipart_upload().bucket("logs").key("in/parts").upload_id(&id);
    complete.multipart_upload(parts).send().await.unwrap();
    s3.delete_object().bucket("logs").key("in/copy").send().await.unwrap();
    s3.delete_object().bucket("logs").key("in/never there").send().await.unwrap();
    let bodies = bodies(&stack, &queue).await;
    let told: Vec<_> = bodies
        .iter()
        .map(|body| &body["Records"][0])
        .map(|r| (r["eventName"].as_str().unwrap(), r["s3"]["object"]["key"].as_str().unwrap()))
        .collect();
    let expected = [
        ("ObjectCreated:Copy", "in/copy"),
        ("ObjectCreated:CompleteMultipartUpload", "in/parts"),
        ("ObjectRemoved:Delete", "in/copy"),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn sequencers_of_a_key_grow() {
    let (stack, queue) = stack().await;
    for body in [b"1", b"2", b"3"] {
        stack.put("logs", "in/k", body).await;
    }
    let bodies = bodies(&stack, &queue).await;
    let sequencers: Vec<_> =
        bodies.iter().map(|b| b["Records"][0]["s3"]["object"]["sequencer"].as_str().unwrap().to_owned()).collect();
    assert_eq!(sequencers.len(), 3);
    assert!(sequencers.is_sorted() && sequencers[0] != sequencers[1] && sequencers[1] != sequencers[2]);
}

#[tokio::test]
async fn a_configuration_reads_back_survives_a_restart_and_can_be_emptied() {
    let (stack, queue) = stack().await;
    let stack = stack.restart().await;
    let get = || stack.clients.s3.get_bucket_notification_configuration().bucket("logs").send();
    let found = get().await.unwrap();
    let target = &found.queue_configurations()[0];
    assert_eq!(target.queue_arn(), ARN);
    assert_eq!(target.filter().unwrap().key().unwrap().filter_rules()[0].value(), Some("in/"));
    let put = stack.clients.s3.put_bucket_notification_configuration().bucket("logs");
    put.notification_configuration(NotificationConfiguration::builder().build()).send().await.unwrap();
    assert!(get().await.unwrap().queue_configurations().is_empty());
    stack.put("logs", "in/k", b"x").await;
    let queue = queue.rsplit('/').next().unwrap().to_owned();
    let url = stack.clients.sqs.get_queue_url().queue_name(queue).send().await.unwrap().queue_url.unwrap();
    // Notifications are sent before the put is answered, so an empty short poll is proof.
    assert!(stack.receive(&url, 0).await.is_empty());
}

#[tokio::test]
async fn a_configuration_for_a_missing_queue_or_an_unknown_event_is_refused() {
    let (stack, _) = stack().await;
    let missing = "arn:aws:sqs:us-east-1:000000000000:missing";
    let refused = Err(Some("InvalidArgument".to_owned()));
    assert_eq!(put_configuration(&stack, missing, "s3:*").await, refused);
    assert_eq!(put_configuration(&stack, ARN, "s3:ObjectRestore:Post").await, refused);
}
