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
    ];
    for (encoded, key) in cases {
        assert_eq!(keys(&json!({"Records": [s3_record("ObjectCreated:Put", encoded)]})), [key]);
    }
}

#[test]
fn every_created_object_of_a_message_counts_and_other_events_do_not() {
    let body = json!({"Records": [
        s3_record("ObjectCreated:Put", "a"), s3_record("ObjectRemoved:Delete", "b"),
        s3_record("ObjectCreated:CompleteMultipartUpload", "c"),
    ]});
    assert_eq!(keys(&body), ["a", "c"]);
    let removed = json!({"Records": [s3_record("ObjectRemoved:Delete", "b")]});
    assert!(matches!(parse(&removed.to_string()), Notification::Ignored(_)));
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "raw"});
    assert!(matches!(parse(&test.to_string()), Notification::Ignored(_)));
}

#[test]
fn sns_and_event_bridge_carry_the_same_news() {
    let direct = json!({"Records": [s3_record("ObjectCreated:Put", "a+b")]});
    let wrapped = json!({"Type": "Notification", "TopicArn": "arn:aws:sns:x", "Message": direct.to_string()});
    assert_eq!(keys(&wrapped), ["a b"]);
    let bridge = json!({
        "version": "0", "source": "aws.s3", "detail-type": "Object Created",
        "detail": {"bucket": {"name": "raw"}, "object": {"key": "a+b", "size": 1, "etag": "abc", "version-id": "v"}}
    });
    let expected = CreatedObject {
        bucket: "raw".into(),
        key: "a+b".into(),
        etag: Some("abc".into()),
        version_id: Some("v".into()),
    };
    assert_eq!(parse(&bridge.to_string()), Notification::Created(vec![expected]));
}

#[test]
fn what_is_not_understood_is_never_ignored() {
    let mut newer = s3_record("ObjectCreated:Put", "a");
    newer["eventVersion"] = "3.0".into();
    let mut keyless = s3_record("ObjectCreated:Put", "a");
    keyless["s3"]["object"]["key"] = Value::Null;
    for body in [json!({"hello": 1}), json!([]), json!({"Records": [newer]}), json!({"Records": [keyless]})] {
        assert!(matches!(parse(&body.to_string()), Notification::Unknown(_)), "{body}");
    }
    assert!(matches!(parse("not json"), Notification::Unknown(_)));
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
    for name in
        ["aws-docs/object-created-put.json", "aws-docs/eventbridge-object-created.json", "aws-lambda-go/s3-event.json"]
    {
        assert!(matches!(parse(&read(name)), Notification::Created(_)), "{name}");
    }
    for name in [
        "aws-docs/test-message.json",
        "aws-docs/eventbridge-object-deleted.json",
        "powertools/s3EventDeleteObject.json",
    ] {
        assert!(matches!(parse(&read(name)), Notification::Ignored(_)), "{name}");
    }
}
