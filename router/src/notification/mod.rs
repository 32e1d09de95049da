//! Message bodies of the raw queues: S3 notifications, direct, through SNS or from EventBridge, and route requests of ours.
//!
//! Shapes: S3 user guide, notification-content-structure and ev-events; SNS, raw delivery on or off.

use common::route_request::{RouteRequest, RouteRequestError};
use common::telemetry::chain;
use percent_encoding::percent_decode;
use serde_json::Value;
use time::OffsetDateTime;

/// What a message asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Notification {
    /// Objects were created.
    Created(Vec<CreatedObject>),
    /// We asked for an object ourselves.
    Requested(Box<RouteRequest>),
    /// A message of ours that only a newer release can read: returned for later. The text says so.
    TooNew(String),
    /// Nothing to route; deleted and counted. The text says what it is.
    Ignored(&'static str),
    /// Nothing this release knows: for the dead-letter queue. The text says why.
    Unknown(String),
}

/// One object that S3 says was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedObject {
    /// Its bucket.
    pub bucket: String,
    /// Its key, decoded.
    pub key: String,
    /// The ETag it was created with, without quotes.
    pub etag: Option<String>,
    /// Its version, in a versioned bucket.
    pub version_id: Option<String>,
    /// When S3 was done with it, where that is said.
    pub at: Option<OffsetDateTime>,
}

impl CreatedObject {
    /// The object that a request of ours asks for.
    pub(crate) fn of_request(request: &RouteRequest) -> Self {
        let RouteRequest { bucket, key, etag, version_id, .. } = request;
        let (bucket, key, etag) = (bucket.clone(), key.clone(), Some(etag.clone()));
        Self { bucket, key, etag, version_id: version_id.clone(), at: None }
    }

    /// For people.
    pub(crate) fn uri(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

/// Reads a message body.
pub fn parse(body: &str) -> Notification {
    let Ok(value) = serde_json::from_str::<Value>(body) else {
        return Notification::Unknown("the message is not JSON".to_owned());
    };
    match RouteRequest::read(&value) {
        Some(Ok(request)) => return Notification::Requested(Box::new(request)),
        Some(Err(error @ RouteRequestError::TooNew(_))) => return Notification::TooNew(error.to_string()),
        Some(Err(error)) => return Notification::Unknown(chain(&error)),
        None => {}
    }
    if value["Type"] == "Notification" && value["TopicArn"].is_string() {
        return match value["Message"].as_str().map(serde_json::from_str) {
            Some(Ok(inner)) => of_value(&inner),
            _ => Notification::Unknown("the SNS envelope holds no JSON message".to_owned()),
        };
    }
    of_value(&value)
}

fn of_value(value: &Value) -> Notification {
    if value["Event"] == "s3:TestEvent" {
        return Notification::Ignored("S3's test event");
    }
    if let ("aws.s3", Some(what)) = (value["source"].as_str().unwrap_or_default(), value["detail-type"].as_str()) {
        return match what {
            "Object Created" => created(&[value], event_bridge_object),
            _ if what.starts_with("Object ") => Notification::Ignored("an EventBridge event that creates no object"),
            // CloudTrail's calls, for one: they may create objects, but do not say so as notifications do.
            _ => Notification::Unknown(format!("the EventBridge event {what:?} is no notification of S3")),
        };
    }
    let Some(records) = value["Records"].as_array() else {
        return Notification::Unknown("the message is no S3 notification".to_owned());
    };
    if let Some(foreign) = records.iter().find(|r| r["eventSource"] != "aws:s3" || major(r) != Some("2")) {
        let (source, version) = (&foreign["eventSource"], &foreign["eventVersion"]);
        return Notification::Unknown(format!(
            "a record of {source} version {version} is no S3 notification of version 2"
        ));
    }
    if records.iter().any(|r| !r["eventName"].is_string()) {
        return Notification::Unknown("a record names no event".to_owned());
    }
    // Documented without the prefix `s3:`, and recorded with it.
    let is_created = |r: &&Value| {
        r["eventName"].as_str().is_some_and(|name| name.trim_start_matches("s3:").starts_with("ObjectCreated:"))
    };
    let found: Vec<&Value> = records.iter().filter(is_created).collect();
    match found.is_empty() {
        true => Notification::Ignored("a notification that creates no object"),
        false => created(&found, s3_object),
    }
}

/// Compare the major version for equality only; newer minor versions only add fields.
fn major(record: &Value) -> Option<&str> {
    record["eventVersion"].as_str()?.split('.').next()
}

fn created(values: &[&Value], read: fn(&Value) -> Option<CreatedObject>) -> Notification {
    match values.iter().map(|v| read(v)).collect() {
        Some(objects) => Notification::Created(objects),
        None => Notification::Unknown("a record names no bucket and key".to_owned()),
    }
}

fn s3_object(record: &Value) -> Option<CreatedObject> {
    let (s3, object) = (&record["s3"], &record["s3"]["object"]);
    Some(CreatedObject {
        bucket: s3["bucket"]["name"].as_str()?.to_owned(),
        // Form-encoded: `+` is a space, then %XX. Decoded here and nowhere else.
        key: percent_decode(object["key"].as_str()?.replace('+', " ").as_bytes()).decode_utf8().ok()?.into_owned(),
        etag: object["eTag"].as_str().map(unquoted),
        version_id: object["versionId"].as_str().map(str::to_owned),
        at: time_of(&record["eventTime"]),
    })
}

fn event_bridge_object(event: &Value) -> Option<CreatedObject> {
    let (detail, object) = (&event["detail"], &event["detail"]["object"]);
    Some(CreatedObject {
        bucket: detail["bucket"]["name"].as_str()?.to_owned(),
        // EventBridge does not encode keys.
        key: object["key"].as_str()?.to_owned(),
        etag: object["etag"].as_str().map(unquoted),
        version_id: object["version-id"].as_str().map(str::to_owned),
        at: time_of(&event["time"]),
    })
}

/// Nothing but work hangs on it: one that nobody can read is none.
fn time_of(value: &Value) -> Option<OffsetDateTime> {
    common::timestamp::parse(value.as_str()?).ok()
}

fn unquoted(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests;
