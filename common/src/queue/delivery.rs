//! One receive of one message, and its fate. Here, and nowhere else, messages are deleted.

use super::Queue;
use super::handback::Handback;
use super::heartbeat::Heartbeat;
use crate::aws_error::AwsError;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use std::time::Duration;

/// One receive of one message. It stays invisible to others until it is settled or dropped.
#[derive(Debug)]
pub struct Delivery {
    /// The message's text.
    pub body: String,
    /// SQS's id of the message.
    pub message_id: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
    queue: Queue,
    receipt_handle: String,
    heartbeat: Heartbeat,
}

/// What becomes of a delivery. Decided in one function of each consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All its work is done and durable.
    Delete,
    /// To be received again, after a pause.
    Return {
        /// The pause.
        after: Duration,
    },
    /// Nobody here can ever work on it: to the dead-letter queue, with the reason.
    DeadLetter {
        /// For the operator.
        why: String,
    },
}

impl Delivery {
    pub(super) fn new(queue: &Queue, message: Message) -> Self {
        let count = MessageSystemAttributeName::ApproximateReceiveCount;
        let receive_count = message.attributes.as_ref().and_then(|a| a.get(&count)).and_then(|n| n.parse().ok());
        let receipt_handle = message.receipt_handle.unwrap_or_default();
        Delivery {
            body: message.body.unwrap_or_default(),
            message_id: message.message_id.unwrap_or_default(),
            receive_count: receive_count.unwrap_or(1),
            heartbeat: Heartbeat::start(queue.clone(), receipt_handle.clone()),
            queue: queue.clone(),
            receipt_handle,
        }
    }

    /// Name of the queue it came from.
    pub fn queue_name(&self) -> &str {
        self.queue.name()
    }

    /// Whether its heartbeat failed, so that others may have the message by now: then it is not settled here.
    pub fn is_lost(&self) -> bool {
        self.heartbeat.is_lost()
    }

    /// Carries out its fate, on the queue it came from. A delivery whose heartbeat failed may be in other hands
    /// already and is left to them: all work is idempotent by name.
    pub async fn settle(self, fate: &Fate) -> Result<(), AwsError> {
        if self.is_lost() {
            tracing::warn!(
                queue = self.queue.name,
                message_id = self.message_id,
                "lost the message while working on it; whoever receives it next finds the work done"
            );
            return Ok(());
        }
        // The heartbeat must not extend what is being returned.
        self.heartbeat.stop();
        match fate {
            Fate::Delete => self.delete().await,
            Fate::Return { after } => self.queue.change_visibility(&self.receipt_handle, *after).await,
            Fate::DeadLetter { why } => {
                self.queue.send_to_dead_letters(&self.body, why).await?;
                self.delete().await
            }
        }
    }

    /// What returns the message when the work that holds this delivery has to be abandoned.
    pub fn handback(&self) -> Handback {
        Handback { queue: self.queue.clone(), receipt_handle: self.receipt_handle.clone() }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that deletes messages")]
    async fn delete(&self) -> Result<(), AwsError> {
        let Queue { sqs, url, name, .. } = &self.queue;
        let sent = sqs.delete_message().queue_url(url).receipt_handle(&self.receipt_handle).send().await;
        sent.map(drop).map_err(|e| AwsError::new("DeleteMessage", name, e))
    }
}
