//! One SQS queue as its consumer uses it: receive under heartbeat, settle, send, measure.
//!
//! [`Delivery::settle`] holds the only calls in the repository that delete messages.

mod delivery;
mod feed;
mod handback;
mod heartbeat;
mod lanes;
mod send;

pub use delivery::{Delivery, Fate};
pub use feed::{Feed, Idle};
pub use handback::{Handback, return_all};
pub use lanes::LaneQueues;

use crate::aws_error::AwsError;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use std::time::Duration;

/// Messages of one call at most (SQS developer guide, quotas-messages).
const BATCH_MAX_ENTRIES: usize = 10;

/// The least `maxReceiveCount` that leaves the verdict on a message to us.
const RECEIVES_MIN: u64 = 100;

/// An open queue. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue {
    sqs: Client,
    url: String,
    name: String,
    dead_letter_url: String,
    visibility: Duration,
    /// `MaximumMessageSize`.
    takes_bytes: usize,
}

/// How much a queue holds; approximate, as SQS says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Receivable now.
    pub visible: u64,
    /// Received and not settled.
    pub in_flight: u64,
    /// Sent with a delay that has not passed.
    pub delayed: u64,
}

impl Depth {
    /// Nothing at all.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl std::ops::AddAssign for Depth {
    fn add_assign(&mut self, other: Self) {
        self.visible += other.visible;
        self.in_flight += other.in_flight;
        self.delayed += other.delayed;
    }
}

/// A configured queue that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// It does not exist.
    #[error("{setting}: queue {queue:?} does not exist: create it or correct the setting")]
    Missing {
        /// Name or URL as configured.
        queue: String,
        /// The setting.
        setting: String,
    },
    /// Messages that nobody can read would have nowhere to go.
    #[error(
        "{setting}: queue {queue:?} has no usable dead-letter queue: set its RedrivePolicy (maxReceiveCount 100 or more)"
    )]
    NoDeadLetterQueue {
        /// Name or URL as configured.
        queue: String,
        /// The setting.
        setting: String,
    },
    /// A FIFO queue: it holds everything back behind one message that failed, and S3 sends it no notifications.
    #[error("{setting}: queue {queue:?} is a FIFO queue: create a standard queue")]
    Fifo {
        /// Name or URL as configured.
        queue: String,
        /// The setting.
        setting: String,
    },
    /// Messages would be refused for their size.
    #[error(
        "{setting}: queue {queue:?} takes messages of {takes} bytes, and {needed} are needed: raise its MaximumMessageSize"
    )]
    TooSmall {
        /// The queue.
        queue: String,
        /// The setting.
        setting: String,
        /// What it takes.
        takes: usize,
        /// What it must take.
        needed: usize,
    },
    /// Two settings name one queue, so that messages would go to the wrong reader.
    #[error("{setting} is the same queue as {other}: give each its own")]
    Same {
        /// The setting.
        setting: String,
        /// The setting that names it too.
        other: String,
    },
    /// SQS could not be asked.
    #[error("{setting}: queue {queue:?} cannot be used: check permissions, region and endpoint")]
    Unusable {
        /// Name or URL as configured.
        queue: String,
        /// The setting.
        setting: String,
        /// What SQS said.
        #[source]
        cause: AwsError,
    },
}

impl Queue {
    /// Finds the queue by name or URL and reads what it is set to; `setting` is where it was configured.
    pub async fn open(sqs: &Client, name_or_url: &str, setting: &str) -> Result<Self, QueueError> {
        let failed = |cause: AwsError| {
            let (queue, setting) = (name_or_url.to_owned(), setting.to_owned());
            match cause.is_not_found() {
                true => QueueError::Missing { queue, setting },
                false => QueueError::Unusable { queue, setting, cause },
            }
        };
        // FIFO queues, and no others, have names that end so (SQS developer guide, quotas-queues).
        if name_or_url.ends_with(".fifo") {
            return Err(QueueError::Fifo { queue: name_or_url.to_owned(), setting: setting.to_owned() });
        }
        let url = if name_or_url.contains("://") {
            name_or_url.to_owned()
        } else {
            queue_url(sqs, name_or_url).await.map_err(failed)?
        };
        let names = [
            QueueAttributeName::VisibilityTimeout,
            QueueAttributeName::RedrivePolicy,
            QueueAttributeName::MaximumMessageSize,
        ];
        let attributes = attributes(sqs, &url, &names).await.map_err(failed)?;
        let no_dead_letters =
            || QueueError::NoDeadLetterQueue { queue: name_or_url.to_owned(), setting: setting.to_owned() };
        let policy = attributes.get(&QueueAttributeName::RedrivePolicy);
        let policy: serde_json::Value =
            policy.and_then(|text| serde_json::from_str(text).ok()).ok_or_else(no_dead_letters)?;
        let arn = policy["deadLetterTargetArn"].as_str();
        let dead_letter_name = arn.and_then(|arn| arn.rsplit(':').next()).ok_or_else(no_dead_letters)?.to_owned();
        // A number or a text, depending on who set it.
        let receives = policy["maxReceiveCount"].as_u64().or_else(|| policy["maxReceiveCount"].as_str()?.parse().ok());
        if receives.is_some_and(|n| n < RECEIVES_MIN) {
            tracing::warn!(
                queue = name_or_url,
                receives,
                "maxReceiveCount is low: every pause and restart counts, so good messages may end in the dead-letter queue; set it to {RECEIVES_MIN} or more"
            );
        }
        let dead_letter_url = queue_url(sqs, &dead_letter_name).await.map_err(|cause| match cause.is_not_found() {
            true => no_dead_letters(),
            false => failed(cause),
        })?;
        let visibility = attributes.get(&QueueAttributeName::VisibilityTimeout).and_then(|v| v.parse().ok());
        let takes_bytes = attributes.get(&QueueAttributeName::MaximumMessageSize).and_then(|v| v.parse().ok());
        Ok(Self {
            sqs: sqs.clone(),
            name: url.rsplit('/').next().unwrap_or(&url).to_owned(),
            url,
            dead_letter_url,
            // Below three seconds a heartbeat could not keep up.
            visibility: Duration::from_secs(visibility.unwrap_or(30).max(3)),
            takes_bytes: takes_bytes.unwrap_or(usize::MAX),
        })
    }

    /// Fails unless the queue takes messages of `needed` bytes.
    pub fn check_takes(&self, needed: usize, setting: &str) -> Result<(), QueueError> {
        match self.takes_bytes {
            takes if takes < needed => {
                Err(QueueError::TooSmall { queue: self.name.clone(), setting: setting.to_owned(), takes, needed })
            }
            _ => Ok(()),
        }
    }

    /// Fails if both are one queue, which names and URLs do not show before they are resolved.
    pub fn check_differs(&self, setting: &str, other: &Self, other_setting: &str) -> Result<(), QueueError> {
        match account_and_name(&self.url) == account_and_name(&other.url) {
            true => Err(QueueError::Same { setting: setting.to_owned(), other: other_setting.to_owned() }),
            false => Ok(()),
        }
    }

    /// The queue's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Receives up to `max` (1 to 10) messages, waiting up to `wait` (0 to 20 s) for the first.
    pub async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, AwsError> {
        let response = self
            .sqs
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(max.clamp(1, BATCH_MAX_ENTRIES) as i32)
            .wait_time_seconds(wait.as_secs().min(20) as i32)
            .visibility_timeout(self.visibility.as_secs() as i32)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await
            .map_err(|e| AwsError::new("ReceiveMessage", &self.name, e))?;
        let messages = response.messages.unwrap_or_default();
        Ok(messages.into_iter().map(|message| Delivery::new(self, message)).collect())
    }

    async fn change_visibility(&self, receipt: &str, timeout: Duration) -> Result<(), AwsError> {
        let change = self.sqs.change_message_visibility().queue_url(&self.url).receipt_handle(receipt);
        let sent = change.visibility_timeout(timeout.as_secs().min(43_200) as i32).send().await;
        sent.map(drop).map_err(|e| AwsError::new("ChangeMessageVisibility", &self.name, e))
    }

    /// How much the queue holds.
    pub async fn depth(&self) -> Result<Depth, AwsError> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let found = attributes(&self.sqs, &self.url, &names).await?;
        let number = |name: &QueueAttributeName| found.get(name).and_then(|n| n.parse().ok()).unwrap_or(0);
        Ok(Depth { visible: number(&names[0]), in_flight: number(&names[1]), delayed: number(&names[2]) })
    }
}

/// Hosts of a queue's URL differ: one region has several endpoints.
fn account_and_name(url: &str) -> &str {
    url.rmatch_indices('/').nth(1).map_or(url, |(at, _)| &url[at..])
}

async fn queue_url(sqs: &Client, name: &str) -> Result<String, AwsError> {
    let response = sqs.get_queue_url().queue_name(name).send().await;
    let response = response.map_err(|e| AwsError::new("GetQueueUrl", name, e))?;
    Ok(response.queue_url.unwrap_or_default())
}

type Attributes = std::collections::HashMap<QueueAttributeName, String>;

async fn attributes(sqs: &Client, url: &str, names: &[QueueAttributeName]) -> Result<Attributes, AwsError> {
    let get = sqs.get_queue_attributes().queue_url(url).set_attribute_names(Some(names.to_vec()));
    let response = get.send().await.map_err(|e| AwsError::new("GetQueueAttributes", url, e))?;
    Ok(response.attributes.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_the_same_behind_any_endpoint() {
        let urls = ["https://sqs.eu-west-1.amazonaws.com/123/parts", "https://eu-west-1.queue.amazonaws.com/123/parts"];
        assert_eq!(account_and_name(urls[0]), account_and_name(urls[1]));
        for other in ["https://sqs.eu-west-1.amazonaws.com/124/parts", "https://sqs.eu-west-1.amazonaws.com/123/raw"] {
            assert_ne!(account_and_name(urls[0]), account_and_name(other));
        }
    }
}
