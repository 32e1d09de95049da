//! Bucket notifications: which queue wants which events, and the messages as S3 writes them.
//!
//! Shape: S3 user guide, `notification-content-structure`. Queues are the only targets; topics, functions and `EventBridge` are refused
//! rather than forgotten.

use s3s::dto::{
    FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter, QueueConfiguration,
    S3KeyFilter,
};
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::index::BucketRow;
use super::request::Caller;
use crate::clock::{iso_millis, now_ms};
use crate::form_encoding::form_encode;

const EVENTS: [&str; 8] = [
    "s3:ObjectCreated:*",
    "s3:ObjectCreated:Put",
    "s3:ObjectCreated:Post",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:CompleteMultipartUpload",
    "s3:ObjectRemoved:*",
    "s3:ObjectRemoved:Delete",
    "s3:ObjectRemoved:DeleteMarkerCreated",
];

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct QueueTarget {
    id: String,
    pub(super) queue_arn: String,
    events: Vec<String>,
    prefix: String,
    suffix: String,
}

/// What happened to an object, as it is told.
pub(super) struct ObjectEvent<'a> {
    /// Without the `s3:` prefix, as in messages.
    pub(super) name: &'static str,
    pub(super) key: &'a str,
    /// Size and `ETag`; a removal has neither.
    pub(super) object: Option<(u64, &'a str)>,
    pub(super) sequencer: &'a str,
}

impl QueueTarget {
    pub(super) fn wants(&self, event: &ObjectEvent<'_>) -> bool {
        self.events.iter().any(|wanted| covers(wanted, event.name))
            && event.key.starts_with(&self.prefix)
            && event.key.ends_with(&self.suffix)
    }

    pub(super) fn message(&self, event: &ObjectEvent<'_>, bucket: &BucketRow, caller: &Caller) -> String {
        let mut object = json!({ "key": form_encode(event.key), "sequencer": event.sequencer });
        if let Some((size, etag)) = event.object {
            object["size"] = json!(size);
            object["eTag"] = json!(etag);
        }
        json!({ "Records": [{
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": bucket.region,
            "eventTime": iso_millis(now_ms()),
            "eventName": event.name,
            "userIdentity": { "principalId": "AWS:SANDBOX" },
            "requestParameters": { "sourceIPAddress": "127.0.0.1" },
            "responseElements": { "x-amz-request-id": caller.request_id, "x-amz-id-2": caller.request_id },
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": self.id,
                "bucket": {
                    "name": bucket.name,
                    "ownerIdentity": { "principalId": "SANDBOX" },
                    "arn": format!("arn:aws:s3:::{}", bucket.name),
                },
                "object": object,
            },
        }]})
        .to_string()
    }

    fn overlaps(&self, other: &Self) -> bool {
        let shares_event = self.events.iter().any(|a| {
            other
                .events
                .iter()
                .any(|b| a == b || covers(a, b.trim_start_matches("s3:")) || covers(b, a.trim_start_matches("s3:")))
        });
        let nested = |a: &str, b: &str| a.starts_with(b) || b.starts_with(a);
        let nested_end = |a: &str, b: &str| a.ends_with(b) || b.ends_with(a);
        shares_event && nested(&self.prefix, &other.prefix) && nested_end(&self.suffix, &other.suffix)
    }
}

/// `s3:ObjectCreated:*` covers `ObjectCreated:Put`.
fn covers(wanted: &str, event: &str) -> bool {
    let wanted = wanted.strip_prefix("s3:").unwrap_or(wanted);
    wanted.strip_suffix('*').map_or(wanted == event, |family| event.starts_with(family))
}

/// The message S3 sends to a queue when a configuration names it.
pub(super) fn test_event(bucket: &str, caller: &Caller) -> String {
    json!({
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": iso_millis(now_ms()),
        "Bucket": bucket,
        "RequestId": caller.request_id,
        "HostId": caller.request_id,
    })
    .to_string()
}

pub(super) fn targets_of(configuration: NotificationConfiguration) -> S3Result<Vec<QueueTarget>> {
    let has_others = configuration.topic_configurations.is_some_and(|list| !list.is_empty())
        || configuration.lambda_function_configurations.is_some_and(|list| !list.is_empty())
        || configuration.event_bridge_configuration.is_some();
    if has_others {
        return Err(s3_error!(NotImplemented, "the sandbox notifies SQS queues only; remove the other destinations"));
    }
    let queues = configuration.queue_configurations.unwrap_or_default();
    let targets = queues.into_iter().map(target_of).collect::<S3Result<Vec<_>>>()?;
    for (n, target) in targets.iter().enumerate() {
        if targets.iter().take(n).any(|earlier| earlier.overlaps(target)) {
            return Err(s3_error!(
                InvalidArgument,
                "Configurations overlap. Configurations on the same bucket cannot share a common event type."
            ));
        }
    }
    Ok(targets)
}

fn target_of(configuration: QueueConfiguration) -> S3Result<QueueTarget> {
    let events: Vec<String> = configuration.events.into_iter().map(String::from).collect();
    if let Some(unknown) = events.iter().find(|event| !EVENTS.contains(&event.as_str())) {
        return Err(s3_error!(
            InvalidArgument,
            "The event '{unknown}' is not supported for notifications by the sandbox"
        ));
    }
    let mut target = QueueTarget {
        id: configuration.id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
        queue_arn: configuration.queue_arn,
        events,
        prefix: String::new(),
        suffix: String::new(),
    };
    let rules = configuration.filter.and_then(|filter| filter.key).and_then(|key| key.filter_rules).unwrap_or_default();
    for rule in rules {
        let value = rule.value.unwrap_or_default();
        // Tools write the name in any case; S3 takes it so.
        match rule.name.as_ref().map(|name| name.as_str().to_ascii_lowercase()).as_deref() {
            Some("prefix") => target.prefix = value,
            Some("suffix") => target.suffix = value,
            _ => return Err(s3_error!(InvalidArgument, "filter rule name must be either prefix or suffix")),
        }
    }
    Ok(target)
}

pub(super) fn to_dto(targets: Vec<QueueTarget>) -> Option<Vec<QueueConfiguration>> {
    let configurations = targets.into_iter().map(|target| {
        let rule = |name: &'static str, value: String| FilterRule {
            name: Some(FilterRuleName::from_static(name)),
            value: Some(value),
        };
        let mut rules = Vec::new();
        if !target.prefix.is_empty() {
            rules.push(rule("Prefix", target.prefix));
        }
        if !target.suffix.is_empty() {
            rules.push(rule("Suffix", target.suffix));
        }
        let key = (!rules.is_empty()).then_some(S3KeyFilter { filter_rules: Some(rules) });
        let filter = key.map(|key| NotificationConfigurationFilter { key: Some(key) });
        QueueConfiguration {
            id: Some(target.id),
            queue_arn: target.queue_arn,
            events: target.events.into_iter().map(Into::into).collect(),
            filter,
        }
    });
    let configurations: Vec<_> = configurations.collect();
    (!configurations.is_empty()).then_some(configurations)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(events: &[&str], prefix: &str, suffix: &str) -> QueueTarget {
        QueueTarget {
            id: "id".to_owned(),
            queue_arn: "arn:aws:sqs:us-east-1:000000000000:q".to_owned(),
            events: events.iter().map(|&e| e.to_owned()).collect(),
            prefix: prefix.to_owned(),
            suffix: suffix.to_owned(),
        }
    }

    fn event(name: &'static str, key: &'static str) -> ObjectEvent<'static> {
        ObjectEvent { name, key, object: Some((1, "e")), sequencer: "01" }
    }

    #[test]
    fn a_target_wants_its_events_under_its_prefix_and_suffix() {
        let target = target(&["s3:ObjectCreated:*"], "logs/", ".gz");
        assert!(target.wants(&event("ObjectCreated:Put", "logs/a.gz")));
        assert!(target.wants(&event("ObjectCreated:Copy", "logs/a.gz")));
        assert!(!target.wants(&event("ObjectRemoved:Delete", "logs/a.gz")));
        assert!(!target.wants(&event("ObjectCreated:Put", "other/a.gz")));
        assert!(!target.wants(&event("ObjectCreated:Put", "logs/a.txt")));
    }

    #[test]
    fn overlap_needs_a_shared_event_and_nested_filters() {
        let all = target(&["s3:ObjectCreated:*"], "logs/", "");
        assert!(all.overlaps(&target(&["s3:ObjectCreated:Put"], "logs/eu/", "")));
        assert!(!all.overlaps(&target(&["s3:ObjectCreated:Put"], "drop/", "")));
        assert!(!all.overlaps(&target(&["s3:ObjectRemoved:Delete"], "logs/", "")));
        assert!(!target(&["s3:ObjectCreated:*"], "", ".gz").overlaps(&target(&["s3:ObjectCreated:*"], "", ".zst")));
    }
}
