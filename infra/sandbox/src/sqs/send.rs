//! Sending: `SendMessage` and `SendMessageBatch`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::batch::{self, Batch, BatchAnswer, Entry};
use super::error::SqsError;
use super::message_attributes::{self, MessageAttributes};
use super::store::{self, NewMessage, Queue};
use super::{Service, name_of_url};
use crate::clock::now_ms;
use crate::digest::md5_hex;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessage {
    queue_url: String,
    #[serde(flatten)]
    message: Outgoing,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendEntry {
    id: String,
    #[serde(flatten)]
    message: Outgoing,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Outgoing {
    #[serde(default)]
    message_body: String,
    delay_seconds: Option<u32>,
    #[serde(default)]
    message_attributes: MessageAttributes,
    #[serde(default)]
    message_system_attributes: MessageAttributes,
    /// On a standard queue the group only makes delivery fair; it is kept and shown.
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Sent {
    #[serde(rename = "Id", skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "MessageId")]
    message_id: String,
    #[serde(rename = "MD5OfMessageBody")]
    md5_of_body: String,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    md5_of_attributes: Option<String>,
    #[serde(rename = "MD5OfMessageSystemAttributes", skip_serializing_if = "Option::is_none")]
    md5_of_system_attributes: Option<String>,
}

impl Entry for SendEntry {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Service {
    pub(super) fn send_message(&self, request: SendMessage) -> Result<Sent, SqsError> {
        let (queue, sent) = self.store.transaction(|tx| {
            let queue = store::queue_named(tx, name_of_url(&request.queue_url))?;
            let (message, sent) = request.message.into_new(&queue)?;
            self.insert(tx, &queue, now_ms(), &message)?;
            Ok((queue, sent))
        })?;
        self.wake(queue.id);
        Ok(sent)
    }

    pub(super) fn send_message_batch(&self, request: Batch<SendEntry>) -> Result<BatchAnswer<Sent>, SqsError> {
        let (queue, answer) = self.store.transaction(|tx| {
            let queue = store::queue_named(tx, name_of_url(&request.queue_url))?;
            batch::validate(&request.entries, "SendMessageBatchRequestEntry")?;
            let bytes: usize = request.entries.iter().map(|entry| entry.message.message_body.len()).sum();
            if bytes > super::attributes::MAX_MESSAGE_BYTES as usize {
                return Err(SqsError::BatchTooLong { bytes });
            }
            let now = now_ms();
            let answer = batch::run(request.entries, |entry| {
                let (message, sent) = entry.message.into_new(&queue)?;
                self.insert(tx, &queue, now, &message)?;
                Ok(Sent { id: Some(entry.id), ..sent })
            })?;
            Ok((queue, answer))
        })?;
        self.wake(queue.id);
        Ok(answer)
    }
}

/// A message without attributes, as S3 sends them.
pub(super) fn plain(body: String, delay_secs: u32) -> NewMessage {
    NewMessage {
        message_id: uuid::Uuid::new_v4().to_string(),
        body,
        attributes: "{}".to_owned(),
        system_attributes: "{}".to_owned(),
        delay_secs,
    }
}

impl Outgoing {
    fn into_new(self, queue: &Queue) -> Result<(NewMessage, Sent), SqsError> {
        if self.message_body.is_empty() {
            return Err(SqsError::MissingParameter { name: "MessageBody" });
        }
        if self.message_deduplication_id.is_some() {
            return Err(SqsError::InvalidParameterValue {
                name: "MessageDeduplicationId",
                value: self.message_deduplication_id.unwrap_or_default(),
                reason: "The request include parameter that is not valid for this queue type".to_owned(),
            });
        }
        if !self.message_body.chars().all(is_xml_char) {
            return Err(SqsError::InvalidMessageContents);
        }
        let size = self.message_body.len() + message_attributes::validated_size(&self.message_attributes)?;
        let limit = queue.attributes.max_message_bytes;
        if size > limit as usize {
            return Err(SqsError::InvalidParameterValue {
                name: "MessageBody",
                value: format!("({size} bytes)"),
                reason: format!("Message must be shorter than {limit} bytes."),
            });
        }
        let delay_secs = self.delay_seconds.unwrap_or(queue.attributes.delay_secs);
        if delay_secs > 900 {
            return Err(SqsError::InvalidParameterValue {
                name: "DelaySeconds",
                value: delay_secs.to_string(),
                reason: "DelaySeconds must be >= 0 and <= 900.".to_owned(),
            });
        }
        let sent = Sent {
            id: None,
            message_id: uuid::Uuid::new_v4().to_string(),
            md5_of_body: md5_hex(self.message_body.as_bytes()),
            md5_of_attributes: message_attributes::md5(&self.message_attributes),
            md5_of_system_attributes: message_attributes::md5(&self.message_system_attributes),
        };
        let mut system: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in self.message_system_attributes {
            match (name.as_str(), value.string_value) {
                ("AWSTraceHeader", Some(text)) => system.insert(name, text),
                _ => {
                    return Err(SqsError::InvalidParameterValue {
                        name: "MessageSystemAttributes",
                        value: name,
                        reason: "The only system attribute that can be sent is AWSTraceHeader, a string.".to_owned(),
                    });
                }
            };
        }
        if let Some(group) = self.message_group_id {
            system.insert("MessageGroupId".to_owned(), group);
        }
        let message = NewMessage {
            message_id: sent.message_id.clone(),
            body: self.message_body,
            attributes: serde_json::to_string(&self.message_attributes).expect("a map of text always serialises"),
            system_attributes: serde_json::to_string(&system).expect("a map of text always serialises"),
            delay_secs,
        };
        Ok((message, sent))
    }
}

/// The characters SQS takes in a body ("`SendMessage`" page).
fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_no_message_contents() {
        assert!("text\t\r\n ü \u{10FFFF}".chars().all(is_xml_char));
        assert!(!is_xml_char('\0') && !is_xml_char('\u{1F}') && !is_xml_char('\u{FFFE}'));
    }
}
