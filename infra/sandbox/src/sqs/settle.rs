//! What a receiver does with a receipt handle: delete the message, or change how long it stays invisible.

use serde::Deserialize;

use super::attributes::MAX_VISIBILITY_SECS;
use super::batch::{self, Batch, BatchAnswer, Entry, SucceededId};
use super::error::SqsError;
use super::store;
use super::{Empty, Service, name_of_url};
use crate::clock::now_ms;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteMessage {
    queue_url: String,
    receipt_handle: String,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteEntry {
    id: String,
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeVisibility {
    queue_url: String,
    receipt_handle: String,
    visibility_timeout: u32,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeEntry {
    id: String,
    receipt_handle: String,
    visibility_timeout: u32,
}

impl Entry for DeleteEntry {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Entry for ChangeEntry {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Service {
    pub(super) fn delete_message(&self, request: &DeleteMessage) -> Result<Empty, SqsError> {
        self.store.transaction(|tx| {
            let queue = store::queue_named(tx, name_of_url(&request.queue_url))?;
            delete(tx, queue.id, &request.receipt_handle)
        })?;
        Ok(Empty {})
    }

    pub(super) fn delete_message_batch(
        &self,
        request: &Batch<DeleteEntry>,
    ) -> Result<BatchAnswer<SucceededId>, SqsError> {
        self.store.transaction(|tx| {
            let queue = store::queue_named(tx, name_of_url(&request.queue_url))?;
            batch::validate(&request.entries, "DeleteMessageBatchRequestEntry")?;
            batch::run(request.entries.clone(), |entry| {
                delete(tx, queue.id, &entry.receipt_handle)?;
                Ok(SucceededId { id: entry.id })
            })
        })
    }

    pub(super) fn change_visibility(&self, request: &ChangeVisibility) -> Result<Empty, SqsError> {
        let queue = self.store.transaction(|tx| {
            let queue = store::queue_named(tx, name_of_url(&request.queue_url))?;
            change(tx, queue.id, &request.receipt_handle, request.visibility_timeout)?;
            Ok(queue)
        })?;
        // The message may be receivable at once, or sooner than a waiting receiver thinks.
        self.wake(queue.id);
        Ok(Empty {})
    }

    pub(super) fn change_visibility_batch(
        &self,
        request: &Batch<ChangeEntry>,
    ) -> Result<BatchAnswer<SucceededId>, SqsError> {
        let (queue, answer) = self.store.transaction(|tx| {
            let queue = store::queue_named(tx, name_of_url(&request.queue_url))?;
            batch::validate(&request.entries, "ChangeMessageVisibilityBatchRequestEntry")?;
            let answer = batch::run(request.entries.clone(), |entry| {
                change(tx, queue.id, &entry.receipt_handle, entry.visibility_timeout)?;
                Ok(SucceededId { id: entry.id })
            })?;
            Ok((queue, answer))
        })?;
        self.wake(queue.id);
        Ok(answer)
    }
}

/// A handle that a later receive replaced deletes nothing, and succeeds ("`DeleteMessage`" page); nor is a message that is already
/// gone an error.
fn delete(tx: &rusqlite::Transaction<'_>, queue: i64, handle: &str) -> Result<(), SqsError> {
    let (seq, receipt) = parse_handle(handle)?;
    store::delete_message(tx, queue, seq, receipt)
}

fn change(tx: &rusqlite::Transaction<'_>, queue: i64, handle: &str, timeout_secs: u32) -> Result<(), SqsError> {
    let invalid =
        |name, value: String, reason: &str| SqsError::InvalidParameterValue { name, value, reason: reason.to_owned() };
    if timeout_secs > MAX_VISIBILITY_SECS {
        let reason = "VisibilityTimeout must be an integer between 0 and 43200";
        return Err(invalid("VisibilityTimeout", timeout_secs.to_string(), reason));
    }
    let (seq, receipt) = parse_handle(handle)?;
    let Some(current) = store::find_receipt(tx, queue, seq, receipt)? else {
        let reason = "Message does not exist or is not available for visibility timeout change.";
        return Err(invalid("ReceiptHandle", handle.to_owned(), reason));
    };
    let now = now_ms();
    if current.visible_ms <= now {
        return Err(SqsError::MessageNotInflight);
    }
    let visible_ms = now + i64::from(timeout_secs) * 1_000;
    if visible_ms - current.received_ms > i64::from(MAX_VISIBILITY_SECS) * 1_000 {
        let reason = "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]";
        return Err(invalid("VisibilityTimeout", timeout_secs.to_string(), reason));
    }
    store::set_visible(tx, seq, visible_ms)
}

fn parse_handle(handle: &str) -> Result<(i64, &str), SqsError> {
    handle
        .split_once('.')
        .and_then(|(seq, receipt)| Some((seq.parse().ok()?, receipt)))
        .ok_or_else(|| SqsError::ReceiptHandleIsInvalid { handle: handle.to_owned() })
}
