//! A queue's settable attributes: parsing, limits, and how they read back.
//!
//! Limits from the `SetQueueAttributes` page of the SQS API reference. Computed attributes (counts, ARN, times) are added by
//! `queues`, which knows them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::SqsError;

pub(crate) const MAX_MESSAGE_BYTES: u32 = 1_048_576;
pub(crate) const MAX_VISIBILITY_SECS: u32 = 43_200;

/// Stored as given: they have no effect on a queue nobody but the developer can reach.
const KEPT_AS_TEXT: [&str; 5] =
    ["Policy", "RedriveAllowPolicy", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled"];

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueAttributes {
    pub(crate) delay_secs: u32,
    pub(crate) max_message_bytes: u32,
    pub(crate) retention_secs: u32,
    pub(crate) receive_wait_secs: u32,
    pub(crate) visibility_secs: u32,
    pub(crate) redrive: Option<RedrivePolicy>,
    pub(crate) text: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RedrivePolicy {
    pub(crate) dead_letter_target_arn: String,
    /// AWS takes it as a number or as text.
    #[serde(deserialize_with = "number_or_text")]
    pub(crate) max_receive_count: u32,
}

impl Default for QueueAttributes {
    fn default() -> Self {
        Self {
            delay_secs: 0,
            max_message_bytes: MAX_MESSAGE_BYTES,
            retention_secs: 345_600,
            receive_wait_secs: 0,
            visibility_secs: 30,
            redrive: None,
            text: BTreeMap::new(),
        }
    }
}

impl QueueAttributes {
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), SqsError> {
        match name {
            "DelaySeconds" => self.delay_secs = within(name, value, 0, 900)?,
            "MaximumMessageSize" => self.max_message_bytes = within(name, value, 1_024, MAX_MESSAGE_BYTES)?,
            "MessageRetentionPeriod" => self.retention_secs = within(name, value, 60, 1_209_600)?,
            "ReceiveMessageWaitTimeSeconds" => self.receive_wait_secs = within(name, value, 0, 20)?,
            "VisibilityTimeout" => self.visibility_secs = within(name, value, 0, MAX_VISIBILITY_SECS)?,
            // An empty policy takes the redrive away.
            "RedrivePolicy" if value.is_empty() => self.redrive = None,
            "RedrivePolicy" => self.redrive = Some(redrive_policy(value)?),
            "FifoQueue" | "ContentBasedDeduplication" | "DeduplicationScope" | "FifoThroughputLimit" => {
                return Err(SqsError::Unsupported {
                    what: format!("the sandbox has standard queues only; leave out {name}"),
                });
            }
            _ if KEPT_AS_TEXT.contains(&name) => {
                self.text.insert(name.to_owned(), value.to_owned());
            }
            _ => return Err(SqsError::InvalidAttributeName { name: name.to_owned() }),
        }
        Ok(())
    }

    /// As `GetQueueAttributes` shows them.
    pub(crate) fn to_wire(&self) -> BTreeMap<String, String> {
        let mut wire = self.text.clone();
        wire.retain(|_, value| !value.is_empty());
        wire.entry("SqsManagedSseEnabled".to_owned()).or_insert_with(|| "true".to_owned());
        wire.insert("DelaySeconds".to_owned(), self.delay_secs.to_string());
        wire.insert("MaximumMessageSize".to_owned(), self.max_message_bytes.to_string());
        wire.insert("MessageRetentionPeriod".to_owned(), self.retention_secs.to_string());
        wire.insert("ReceiveMessageWaitTimeSeconds".to_owned(), self.receive_wait_secs.to_string());
        wire.insert("VisibilityTimeout".to_owned(), self.visibility_secs.to_string());
        if let Some(redrive) = &self.redrive {
            let text = serde_json::json!({
                "deadLetterTargetArn": redrive.dead_letter_target_arn,
                "maxReceiveCount": redrive.max_receive_count,
            });
            wire.insert("RedrivePolicy".to_owned(), text.to_string());
        }
        wire
    }
}

fn within(name: &str, value: &str, low: u32, high: u32) -> Result<u32, SqsError> {
    value.parse().ok().filter(|n| (low..=high).contains(n)).ok_or_else(|| SqsError::InvalidAttributeValue {
        name: name.to_owned(),
        reason: format!("Must be an integer from {low} to {high}."),
    })
}

fn redrive_policy(value: &str) -> Result<RedrivePolicy, SqsError> {
    let invalid = |reason: String| SqsError::InvalidAttributeValue { name: "RedrivePolicy".to_owned(), reason };
    let policy: RedrivePolicy =
        serde_json::from_str(value).map_err(|e| invalid(format!("Redrive policy is not a valid JSON map: {e}.")))?;
    if !(1..=1_000).contains(&policy.max_receive_count) {
        return Err(invalid(
            "Invalid value for maxReceiveCount, valid values are from 1 to 1000 both inclusive.".to_owned(),
        ));
    }
    Ok(policy)
}

fn number_or_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum NumberOrText {
        Number(u32),
        Text(String),
    }
    match NumberOrText::deserialize(deserializer)? {
        NumberOrText::Number(n) => Ok(n),
        NumberOrText::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redrive_policy_takes_its_count_as_number_or_text() {
        for policy in [
            r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:d","maxReceiveCount":3}"#,
            r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:d","maxReceiveCount":"3"}"#,
        ] {
            let mut attributes = QueueAttributes::default();
            attributes.set("RedrivePolicy", policy).unwrap();
            assert_eq!(attributes.redrive.unwrap().max_receive_count, 3);
        }
    }

    #[test]
    fn values_outside_the_documented_limits_are_refused() {
        let mut attributes = QueueAttributes::default();
        assert!(attributes.set("VisibilityTimeout", "43201").is_err());
        assert!(attributes.set("MessageRetentionPeriod", "59").is_err());
        assert!(attributes.set("NoSuchAttribute", "1").is_err());
        assert_eq!(attributes, QueueAttributes::default());
    }

    #[test]
    fn attributes_read_back_as_they_were_set() {
        let mut attributes = QueueAttributes::default();
        attributes.set("VisibilityTimeout", "300").unwrap();
        attributes.set("Policy", "{}").unwrap();
        let wire = attributes.to_wire();
        assert_eq!(wire["VisibilityTimeout"], "300");
        assert_eq!(wire["Policy"], "{}");
        assert_eq!(wire["MaximumMessageSize"], "1048576");
    }
}
