//! Receiving: visibility, receive counts, the move to a dead-letter queue, and long polling without a busy loop.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::Transaction;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::attributes::MAX_VISIBILITY_SECS;
use super::error::SqsError;
use super::message_attributes::{self, MessageAttributes};
use super::store::{self, Queue, StoredMessage};
use super::{Service, name_of_arn, name_of_url};
use crate::clock::now_ms;
use crate::digest::md5_hex;
use crate::faults::Kind;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveMessage {
    queue_url: String,
    max_number_of_messages: Option<u32>,
    visibility_timeout: Option<u32>,
    wait_time_seconds: Option<u32>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    /// The deprecated name of the same list.
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Received {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<Message>,
}

#[derive(Serialize)]
struct Message {
    #[serde(rename = "MessageId")]
    message_id: String,
    #[serde(rename = "ReceiptHandle")]
    receipt_handle: String,
    #[serde(rename = "Body")]
    body: String,
    #[serde(rename = "MD5OfBody")]
    md5_of_body: String,
    #[serde(rename = "Attributes", skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
    #[serde(rename = "MessageAttributes", skip_serializing_if = "BTreeMap::is_empty")]
    message_attributes: MessageAttributes,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    md5_of_message_attributes: Option<String>,
}

impl Service {
    pub(super) async fn receive_message(&self, request: ReceiveMessage) -> Result<Received, SqsError> {
        let limit = within("MaxNumberOfMessages", request.max_number_of_messages, 1, 10)?.unwrap_or(1) as usize;
        within("VisibilityTimeout", request.visibility_timeout, 0, MAX_VISIBILITY_SECS)?;
        let asked_wait = within("WaitTimeSeconds", request.wait_time_seconds, 0, 20)?;
        let (queue_id, queue_wait) = self.store.transaction(|tx| {
            let queue = store::queue_named(tx, name_of_url(&request.queue_url))?;
            Ok((queue.id, queue.attributes.receive_wait_secs))
        })?;
        let deadline = Instant::now() + Duration::from_secs(u64::from(asked_wait.unwrap_or(queue_wait)));
        let waker = self.waker(queue_id);
        loop {
            // Registered before looking, so that a message sent between the look and the wait still wakes.
            let mut woken = std::pin::pin!(waker.notified());
            woken.as_mut().enable();
            let attempt = self.store.transaction(|tx| self.take(tx, &request, limit))?;
            for queue in attempt.moved_to {
                self.wake(queue);
            }
            if !attempt.messages.is_empty() || Instant::now() >= deadline || self.stopping.is_cancelled() {
                return Ok(Received { messages: attempt.messages });
            }
            let until = attempt.next_visible_in.map_or(deadline, |wait| deadline.min(Instant::now() + wait));
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep_until(until) => {}
                () = self.stopping.cancelled() => {}
            }
        }
    }
}

struct Attempt {
    messages: Vec<Message>,
    /// Dead-letter queues that got messages.
    moved_to: Vec<i64>,
    next_visible_in: Option<Duration>,
}

impl Service {
    fn take(&self, tx: &Transaction<'_>, request: &ReceiveMessage, limit: usize) -> Result<Attempt, SqsError> {
        // Read anew at each look: the queue may have been changed or deleted meanwhile.
        let queue = store::queue_named(tx, name_of_url(&request.queue_url))?;
        let now = now_ms();
        store::expire(tx, &queue, now)?;
        let mut attempt = Attempt { messages: Vec::new(), moved_to: Vec::new(), next_visible_in: None };
        let dead_letter = dead_letter_queue(tx, &queue)?;
        let visible_ms =
            now + i64::from(request.visibility_timeout.unwrap_or(queue.attributes.visibility_secs)) * 1_000;
        loop {
            let mut moved = false;
            // Nothing was marked yet: marking first would show the same message again when the visibility timeout is 0.
            let newest_first = self.is_struck(Kind::ReorderedMessages, &queue, "");
            let page = store::visible(tx, queue.id, now, limit, newest_first)?;
            let mut chosen = Vec::new();
            for message in page {
                match &dead_letter {
                    Some((target, max_receives)) if message.receive_count >= *max_receives => {
                        store::move_to_dead_letter(tx, message.seq, target.id, &queue.arn(), now)?;
                        moved = true;
                        if !attempt.moved_to.contains(&target.id) {
                            attempt.moved_to.push(target.id);
                        }
                    }
                    _ => chosen.push(message),
                }
            }
            // A page with moved messages is looked at again, so that the dead ones never crowd out the living.
            if moved {
                continue;
            }
            for message in chosen {
                let receipt = uuid::Uuid::new_v4().simple().to_string();
                store::mark_received(tx, message.seq, &receipt, now, visible_ms)?;
                attempt.messages.push(to_wire(message, &receipt, now, request));
            }
            break;
        }
        if attempt.messages.is_empty() {
            let next = store::next_visible_ms(tx, queue.id, now)?;
            attempt.next_visible_in = next.map(|at| Duration::from_millis(u64::try_from(at - now).unwrap_or(0)));
        }
        Ok(attempt)
    }
}

/// None as well when the policy's queue was deleted since: SQS then goes on delivering.
fn dead_letter_queue(tx: &Transaction<'_>, queue: &Queue) -> Result<Option<(Queue, u32)>, SqsError> {
    let Some(redrive) = &queue.attributes.redrive else { return Ok(None) };
    let target = store::find_queue(tx, name_of_arn(&redrive.dead_letter_target_arn))?;
    // A queue that is its own dead-letter queue would move its messages round and round.
    Ok(target.filter(|target| target.id != queue.id).map(|target| (target, redrive.max_receive_count)))
}

fn to_wire(message: StoredMessage, receipt: &str, now: i64, request: &ReceiveMessage) -> Message {
    let mut attributes: BTreeMap<String, String> =
        serde_json::from_str(&message.system_attributes).expect("only send writes them, as a map of text");
    let mut put = |name: &str, value: String| attributes.insert(name.to_owned(), value);
    put("SenderId", crate::ACCOUNT_ID.to_owned());
    put("SentTimestamp", message.sent_ms.to_string());
    put("ApproximateReceiveCount", (message.receive_count + 1).to_string());
    put("ApproximateFirstReceiveTimestamp", message.first_received_ms.unwrap_or(now).to_string());
    if let Some(source) = message.dead_letter_source {
        put("DeadLetterQueueSourceArn", source);
    }
    let wanted = |name: &String| {
        let mut names = request.message_system_attribute_names.iter().chain(&request.attribute_names);
        names.any(|w| w == "All" || w == name)
    };
    attributes.retain(|name, _| wanted(name));
    let stored: MessageAttributes =
        serde_json::from_str(&message.attributes).expect("only send writes them, as message attributes");
    let message_attributes = message_attributes::chosen(stored, &request.message_attribute_names);
    Message {
        message_id: message.message_id,
        receipt_handle: format!("{}.{receipt}", message.seq),
        md5_of_body: md5_hex(message.body.as_bytes()),
        body: message.body,
        attributes,
        md5_of_message_attributes: message_attributes::md5(&message_attributes),
        message_attributes,
    }
}

fn within(name: &'static str, value: Option<u32>, low: u32, high: u32) -> Result<Option<u32>, SqsError> {
    match value {
        Some(n) if !(low..=high).contains(&n) => Err(SqsError::InvalidParameterValue {
            name,
            value: n.to_string(),
            reason: format!("Must be between {low} and {high}, if provided."),
        }),
        _ => Ok(value),
    }
}
