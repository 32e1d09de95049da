use super::*;
use serde_json::json;

fn s3_record(name: &str, key: &str) -> Value {
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name,
        "s3": {"bucket": {"name": "raw"}, "object": {"key": key, "size": 3, "eTag": "abc", "sequencer": "0A"}}
    })
}

fn keys(body: &Value) -> Vec<String> {
    match parse(&body.to_string()) {
        Notification::Created(objects) => objects.into_iter().map(|o| o.key).collect(),
        other => panic!("expected created objects, got {other:?}"),
    }
}

#[test]
fn keys_are_decoded_exactly_once() {
    let cases = [
        ("a/b.json", "a/b.json"),
        ("red+flower.jpg", "red flower.jpg"),
        ("a%2Bb", "a+b"),
        ("%E6%97%A5", "日"),
        ("a%2520b", "a%20b"),
        ("a%252Bb%2B+c", "a%2Bb+ c"),
        ("100%25.json", "100%.json"),
        ("100%", "100%"),
        ("%F0%9F%9B%92%2Fcaf%C3%A9+%26.json", "🛒/café &.json"),
        ("folder/", "folder/"),
        ("..%2F..%2Fx", "../../x"),
        ("%22quoted%22%0A", "\"quoted\"\n"),
    ];
    for (encoded, key) in cases {
        assert_eq!(keys(&json!({"Records": [s3_record("ObjectCreated:Put", encoded)]})), [key]);
    }
}

#[test]
fn every_created_object_of_a_message_counts_and_other_events_do_not() {
    let body = json!({"Records": [
        s3_record("ObjectCreated:Put", "a"), s3_record("ObjectRemoved:Delete", "b"),
        s3_record("ObjectCreated:CompleteMultipartUpload", "c"), s3_record("ObjectCreated:Copy", "d"),
        s3_record("s3:ObjectCreated:Post", "e"),
    ]});
    assert_eq!(keys(&body), ["a", "c", "d", "e"]);
}

#[test]
fn events_that_create_no_object_are_ignored() {
    for name in [
        "ObjectRemoved:Delete",
        "ObjectRemoved:DeleteMarkerCreated",
        "LifecycleExpiration:Delete",
        "LifecycleTransition",
        "ObjectRestore:Completed",
        "ObjectTagging:Put",
        "ObjectAcl:Put",
        "Replication:OperationFailedReplication",
    ] {
        let body = json!({"Records": [s3_record(name, "b")]});
        assert!(matches!(parse(&body.to_string()), Notification::Ignored(_)), "{name}");
    }
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "raw"});
    assert!(matches!(parse(&test.to_string()), Notification::Ignored(_)));
    let through_sns = json!({"Type": "Notification", "TopicArn": "arn:aws:sns:x", "Message": test.to_string()});
    assert!(matches!(parse(&through_sns.to_string()), Notification::Ignored(_)));
    for what in ["Object Deleted", "Object Restore Completed", "Object Storage Class Changed", "Object Tags Added"] {
        let body = json!({"source": "aws.s3", "detail-type": what, "detail": {"object": {"key": "a"}}});
        assert!(matches!(parse(&body.to_string()), Notification::Ignored(_)), "{what}");
    }
}

#[test]
fn the_contents_and_version_that_a_notification_names_are_kept() {
    let mut record = s3_record("ObjectCreated:Put", "a");
    record["s3"]["object"]["versionId"] = "v1".into();
    record["eventTime"] = "1970-01-01T00:00:01.500Z".into();
    record["s3"]["object"]["eTag"] = "\"abc\"".into();
    let plain = json!({"Records": [record, s3_record("ObjectCreated:Put", "b")]});
    let Notification::Created(objects) = parse(&plain.to_string()) else { panic!("created") };
    let named: Vec<_> = objects.iter().map(|o| (o.etag.as_deref(), o.version_id.as_deref())).collect();
    assert_eq!(named, [(Some("abc"), Some("v1")), (Some("abc"), None)]);
    assert_eq!(objects[0].at, Some(time::macros::datetime!(1970-01-01 00:00:01.5 UTC)));
}

#[test]
fn sns_and_event_bridge_carry_the_same_news() {
    let direct = json!({"Records": [s3_record("ObjectCreated:Put", "a+b")]});
    let wrapped = json!({"Type": "Notification", "TopicArn": "arn:aws:sns:x", "Message": direct.to_string()});
    assert_eq!(keys(&wrapped), ["a b"]);
    let bridge = json!({
        "version": "0", "source": "aws.s3", "detail-type": "Object Created", "time": "2021-11-12T00:00:00Z",
        "detail": {"bucket": {"name": "raw"}, "object": {"key": "a+b", "size": 1, "etag": "abc", "version-id": "v"}}
    });
    let expected = CreatedObject {
        bucket: "raw".into(),
        key: "a+b".into(),
        etag: Some("abc".into()),
        version_id: Some("v".into()),
        at: Some(time::macros::datetime!(2021-11-12 00:00 UTC)),
    };
    assert_eq!(parse(&bridge.to_string()), Notification::Created(vec![expected]));
}

#[test]
fn what_is_not_understood_is_never_ignored() {
    let changed = |change: fn(&mut Value)| {
        let mut record = s3_record("ObjectCreated:Put", "a");
        change(&mut record);
        json!({"Records": [record]})
    };
    let sns = |message: &str| json!({"Type": "Notification", "TopicArn": "arn:aws:sns:x", "Message": message});
    for body in [
        json!({"hello": 1}),
        json!([]),
        json!("text"),
        changed(|r| r["eventVersion"] = "3.0".into()),
        changed(|r| r["eventVersion"] = Value::Null),
        changed(|r| r["eventSource"] = "minio:s3".into()),
        changed(|r| r["eventName"] = Value::Null),
        changed(|r| r["s3"]["object"]["key"] = Value::Null),
        changed(|r| r["s3"]["bucket"] = Value::Null),
        changed(|r| r["s3"]["object"]["key"] = "%FF".into()),
        sns("hello"),
        sns("{\"hello\":1}"),
        json!({"Type": "SubscriptionConfirmation", "TopicArn": "arn:aws:sns:x", "Message": "confirm"}),
        json!({"source": "aws.s3", "detail-type": "AWS API Call via CloudTrail", "detail": {}}),
        json!({"source": "aws.s3", "detail-type": "Object Created", "detail": {"object": {"key": "a"}}}),
        json!({"source": "aws.ec2", "detail-type": "Object Created", "detail": {}}),
    ] {
        match parse(&body.to_string()) {
            Notification::Unknown(why) => assert!(!why.is_empty()),
            other => panic!("{body}: {other:?}"),
        }
    }
    assert!(matches!(parse("not json"), Notification::Unknown(_)));
    assert!(matches!(parse(""), Notification::Unknown(_)));
}

#[test]
fn requests_of_ours_are_read_and_newer_ones_are_kept_for_newer_routers() {
    let request = RouteRequest::new("raw", "a b+c", "e", common::route_request::Why::Backfill);
    assert_eq!(parse(&request.to_json()), Notification::Requested(Box::new(request.clone())));
    let object = CreatedObject::of_request(&request);
    assert_eq!((object.key.as_str(), object.etag.as_deref()), ("a b+c", Some("e")), "keys are as they are");
    assert!(matches!(parse(r#"{"log_router":"route","version":9}"#), Notification::TooNew(why) if why.contains("9")));
    assert!(matches!(parse(r#"{"log_router":"route","version":1}"#), Notification::Unknown(_)));
}

/// What a message comes to, in one word and the keys.
fn outcome(body: &str) -> (&'static str, Vec<String>) {
    match parse(body) {
        Notification::Created(objects) => ("created", objects.into_iter().map(|o| o.key).collect()),
        Notification::Ignored(_) => ("ignored", Vec::new()),
        Notification::Unknown(_) => ("unknown", Vec::new()),
        Notification::Requested(_) | Notification::TooNew(_) => ("ours", Vec::new()),
    }
}

/// The messages that AWS documents and that libraries record, where they are at hand.
#[test]
fn recorded_messages_are_understood() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/s3-events");
    if !folder.exists() {
        println!("skipped: {} is not there", folder.display());
        return;
    }
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect(name);
    for (name, expected) in [
        ("aws-docs/object-created-put.json", "created"),
        ("aws-docs/eventbridge-object-created.json", "created"),
        ("aws-docs/test-message.json", "ignored"),
        ("aws-docs/eventbridge-object-deleted.json", "ignored"),
        ("aws-docs/eventbridge-object-deleted-lifecycle.json", "ignored"),
        ("aws-docs/eventbridge-object-restore-completed.json", "ignored"),
        ("aws-lambda-go/s3-event.json", "created"),
        ("aws-lambda-go/s3-event-with-decoded.json", "created"),
        ("aws-lambda-go/s3-glacier-event.json", "ignored"),
        ("aws-lambda-go/s3-intelligenttier-event.json", "ignored"),
        ("aws-lambda-go/s3-lifecycle-event.json", "ignored"),
        ("aws-lambda-go/s3-replication-event.json", "ignored"),
        ("aws-lambda-go/s3-restore-event.json", "ignored"),
        ("aws-lambda-go/sns-event.json", "unknown"),
        ("aws-lambda-go/sqs-event.json", "unknown"),
        ("aws-lambda-go/kinesis-firehose-event.json", "unknown"),
        ("powertools/s3Event.json", "created"),
        ("powertools/s3EventDecodedKey.json", "created"),
        ("powertools/s3EventBridgeNotificationObjectCreatedEvent.json", "created"),
        ("powertools/s3EventBridgeNotificationObjectDeletedEvent.json", "ignored"),
        ("powertools/s3EventBridgeNotificationObjectExpiredEvent.json", "ignored"),
        ("powertools/s3EventBridgeNotificationObjectRestoreCompletedEvent.json", "ignored"),
        ("powertools/s3EventDeleteObject.json", "ignored"),
        // What Lambda is handed is no message of a queue; the message is in it.
        ("powertools/s3SqsEvent.json", "unknown"),
        ("powertools/snsSqsEvent.json", "unknown"),
    ] {
        let (word, keys) = outcome(&read(name));
        assert_eq!(word, expected, "{name}");
        assert_eq!(word == "created", !keys.is_empty(), "{name}");
    }
    let bodies = |name: &str| -> Vec<(&'static str, Vec<String>)> {
        let event: Value = serde_json::from_str(&read(name)).expect(name);
        let records = event["Records"].as_array().expect(name);
        records.iter().map(|record| outcome(record["body"].as_str().expect(name))).collect()
    };
    assert!(bodies("powertools/s3SqsEvent.json").iter().all(|(word, _)| *word == "created"));
    assert!(bodies("powertools/snsSqsEvent.json").iter().all(|(word, _)| *word == "unknown"), "another's message");
}
