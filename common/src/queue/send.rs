//! Sending: many messages in few calls, and one to the dead-letter queue with its reason.

use super::{BATCH_MAX_ENTRIES, Queue};
use crate::aws_error::AwsError;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use std::iter::Peekable;

/// Bytes of one batch call: 1 MiB by now, and 256 KiB for long (SQS developer guide, quotas-messages).
const BATCH_MAX_BYTES: usize = 256 * 1024;

impl Queue {
    /// Sends all bodies, in as few calls as SQS's limits allow; each is made when its call is. Every call is tried, so
    /// that a body which SQS refuses keeps none of the others back; the first error is returned.
    pub async fn send_all<B>(&self, bodies: B) -> Result<(), AwsError>
    where
        B: IntoIterator<Item = String, IntoIter: Send>,
    {
        let mut bodies = bodies.into_iter().peekable();
        let mut first_error = None;
        while let Some(batch) = next_batch(&mut bodies) {
            if let Err(error) = self.send_batch(batch).await {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    async fn send_batch(&self, bodies: Vec<String>) -> Result<(), AwsError> {
        let entries = bodies.into_iter().enumerate().map(|(n, body)| {
            let entry = SendMessageBatchRequestEntry::builder().id(n.to_string()).message_body(body);
            entry.build().expect("id and body are given")
        });
        let send = self.sqs.send_message_batch().queue_url(&self.url).set_entries(Some(entries.collect()));
        let response = send.send().await.map_err(|e| AwsError::new("SendMessageBatch", &self.name, e))?;
        // A batch call answers 200 although entries failed (SQS developer guide).
        match response.failed.first() {
            None => Ok(()),
            Some(entry) => Err(AwsError::refused(
                "SendMessageBatch",
                &self.name,
                &entry.code,
                entry.message().unwrap_or("the entry failed"),
                entry.sender_fault,
            )),
        }
    }

    pub(super) async fn send_to_dead_letters(&self, body: &str, why: &str) -> Result<(), AwsError> {
        let attribute = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(sendable(why))
            .build()
            .expect("the data type is given");
        let send = self.sqs.send_message().queue_url(&self.dead_letter_url).message_body(body);
        let failed = |error| AwsError::new("SendMessage", &self.dead_letter_url, error);
        let sent = send.clone().message_attributes("LogRouterReason", attribute).send().await.map_err(failed);
        match sent {
            // The reason counts towards the message's size, and the body alone may come near the limit.
            Err(error) if !error.is_transient() => send.send().await.map(drop).map_err(failed),
            sent => sent.map(drop),
        }
    }
}

/// The bodies of the next call; `None` if none are left.
fn next_batch(bodies: &mut Peekable<impl Iterator<Item = String>>) -> Option<Vec<String>> {
    let mut batch = vec![bodies.next()?];
    let mut bytes = batch[0].len();
    while batch.len() < BATCH_MAX_ENTRIES
        && let Some(body) = bodies.next_if(|body| bytes + body.len() <= BATCH_MAX_BYTES)
    {
        bytes += body.len();
        batch.push(body);
    }
    Some(batch)
}

/// A message attribute takes no control characters and counts towards the message's size (SQS API, `SendMessage`).
fn sendable(why: &str) -> String {
    let unsendable = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
    let text = why[..why.floor_char_boundary(1_000)].replace(unsendable, " ");
    if text.is_empty() { "no reason".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_always_fits_a_message_attribute() {
        assert_eq!(sendable("a\n  Detail:\u{1}b"), "a   Detail: b");
        assert_eq!(sendable(&"é".repeat(5_000)).len(), 1_000);
        assert_eq!(sendable(""), "no reason");
    }

    #[test]
    fn a_batch_keeps_both_limits_and_holds_at_least_one_body() {
        let made = std::cell::Cell::new(0);
        let lengths = [1; 12].into_iter().chain([100_000, 100_000, 100_000, 1 << 20, 1]);
        let bodies = lengths.inspect(|_| made.set(made.get() + 1)).map(|length| "x".repeat(length));
        let mut bodies = bodies.peekable();
        let mut batches = Vec::new();
        while let Some(batch) = next_batch(&mut bodies) {
            batches.push(batch.len());
            assert!(made.get() <= batches.iter().sum::<usize>() + 1, "one is made ahead at most");
        }
        assert_eq!(batches, [10, 4, 1, 1, 1]);
    }
}
