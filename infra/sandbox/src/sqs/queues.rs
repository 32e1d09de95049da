//! Operations on queues: create, find, list, attributes, purge, delete.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};

use super::attributes::QueueAttributes;
use super::error::SqsError;
use super::store::{self, Queue};
use super::{Empty, RequestContext, Service, name_of_arn, name_of_url, url_of};
use crate::clock::now_ms;

/// `PurgeQueue` page: at most one a minute per queue.
const PURGE_INTERVAL_MS: i64 = 60_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateQueue {
    queue_name: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    /// The model spells this one in lower case.
    #[serde(default, rename = "tags")]
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueueUrlOnly {
    pub(super) queue_url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueUrl {
    queue_name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueueUrl {
    queue_url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListQueues {
    #[serde(default)]
    queue_name_prefix: String,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueueUrls {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    queue_urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
pub(super) struct SourceQueueUrls {
    /// The model spells this one in lower case.
    #[serde(rename = "queueUrls")]
    queue_urls: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueAttributes {
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Attributes {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetQueueAttributes {
    queue_url: String,
    attributes: BTreeMap<String, String>,
}

impl Service {
    pub(super) fn create_queue(&self, request: CreateQueue, context: &RequestContext) -> Result<QueueUrl, SqsError> {
        let name = request.queue_name.as_str();
        validate_name(name)?;
        self.store.transaction(|tx| {
            if let Some(existing) = store::find_queue(tx, name)? {
                refuse_different(&existing, &request.attributes)?;
                return Ok(QueueUrl { queue_url: url_of(&existing, context) });
            }
            let mut attributes = QueueAttributes::default();
            for (name, value) in &request.attributes {
                attributes.set(name, value)?;
            }
            refuse_missing_dead_letter_queue(tx, &attributes)?;
            store::insert_queue(tx, name, &context.region, now_ms(), &attributes)?;
            let queue = store::queue_named(tx, name)?;
            let tags = serde_json::to_string(&request.tags).expect("a map of text always serialises");
            store::set_tags(tx, queue.id, &tags)?;
            Ok(QueueUrl { queue_url: url_of(&queue, context) })
        })
    }

    pub(super) fn get_queue_url(&self, request: &GetQueueUrl, context: &RequestContext) -> Result<QueueUrl, SqsError> {
        let queue = self.store.transaction(|tx| store::queue_named(tx, &request.queue_name))?;
        Ok(QueueUrl { queue_url: url_of(&queue, context) })
    }

    pub(super) fn list_queues(&self, request: &ListQueues, context: &RequestContext) -> Result<QueueUrls, SqsError> {
        let limit = request.max_results.unwrap_or(1_000);
        if !(1..=1_000).contains(&limit) {
            return Err(SqsError::InvalidParameterValue {
                name: "MaxResults",
                value: limit.to_string(),
                reason: "MaxResults must be an integer between 1 and 1000.".to_owned(),
            });
        }
        let after = request.next_token.as_deref().unwrap_or_default();
        let mut queues =
            self.store.transaction(|tx| store::list_queues(tx, &request.queue_name_prefix, after, limit + 1))?;
        // As documented, a token is returned only to those who asked for pages.
        let more = queues.len() > limit && request.max_results.is_some();
        queues.truncate(limit);
        Ok(QueueUrls {
            next_token: queues.last().filter(|_| more).map(|queue| queue.name.clone()),
            queue_urls: queues.iter().map(|queue| url_of(queue, context)).collect(),
        })
    }

    pub(super) fn list_sources(
        &self,
        request: &QueueUrlOnly,
        context: &RequestContext,
    ) -> Result<SourceQueueUrls, SqsError> {
        self.store.transaction(|tx| {
            let target = store::queue_named(tx, name_of_url(&request.queue_url))?.arn();
            let mut sources = store::list_queues(tx, "", "", usize::MAX)?;
            sources.retain(|q| q.attributes.redrive.as_ref().is_some_and(|r| r.dead_letter_target_arn == target));
            Ok(SourceQueueUrls { queue_urls: sources.iter().map(|queue| url_of(queue, context)).collect() })
        })
    }

    pub(super) fn get_queue_attributes(&self, request: &GetQueueAttributes) -> Result<Attributes, SqsError> {
        let mut attributes = self.store.transaction(|tx| {
            let queue = store::queue_named(tx, name_of_url(&request.queue_url))?;
            store::expire(tx, &queue, now_ms())?;
            let counts = store::counts(tx, queue.id, now_ms())?;
            let mut wire = queue.attributes.to_wire();
            let mut put = |name: &str, value: String| wire.insert(name.to_owned(), value);
            put("QueueArn", queue.arn());
            put("CreatedTimestamp", (queue.created_ms / 1_000).to_string());
            put("LastModifiedTimestamp", (queue.modified_ms / 1_000).to_string());
            put("ApproximateNumberOfMessages", counts.visible.to_string());
            put("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string());
            put("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string());
            Ok(wire)
        })?;
        let wanted = &request.attribute_names;
        if !wanted.iter().any(|name| name == "All") {
            if let Some(unknown) = wanted.iter().find(|name| !is_attribute(name)) {
                return Err(SqsError::InvalidAttributeName { name: unknown.clone() });
            }
            attributes.retain(|name, _| wanted.contains(name));
        }
        Ok(Attributes { attributes })
    }

    pub(super) fn set_queue_attributes(&self, request: &SetQueueAttributes) -> Result<Empty, SqsError> {
        let queue = self.store.transaction(|tx| {
            let mut queue = store::queue_named(tx, name_of_url(&request.queue_url))?;
            for (name, value) in &request.attributes {
                queue.attributes.set(name, value)?;
            }
            refuse_missing_dead_letter_queue(tx, &queue.attributes)?;
            store::update_attributes(tx, queue.id, now_ms(), &queue.attributes)?;
            Ok(queue)
        })?;
        self.wake(queue.id);
        Ok(Empty {})
    }

    pub(super) fn purge_queue(&self, request: &QueueUrlOnly) -> Result<Empty, SqsError> {
        let queue = self.store.transaction(|tx| store::queue_named(tx, name_of_url(&request.queue_url)))?;
        let now = now_ms();
        {
            let mut purges = self.last_purges.lock().unwrap_or_else(PoisonError::into_inner);
            if purges.get(&queue.id).is_some_and(|last| now - last < PURGE_INTERVAL_MS) {
                return Err(SqsError::PurgeInProgress { queue: queue.name });
            }
            purges.insert(queue.id, now);
        }
        self.store.transaction(|tx| store::purge(tx, queue.id))?;
        Ok(Empty {})
    }

    pub(super) fn delete_queue(&self, request: &QueueUrlOnly) -> Result<Empty, SqsError> {
        let queue = self.store.transaction(|tx| {
            let queue = store::queue_named(tx, name_of_url(&request.queue_url))?;
            store::delete_queue(tx, queue.id)?;
            Ok(queue)
        })?;
        // Those who wait on it learn at once that it is gone.
        self.wake(queue.id);
        Ok(Empty {})
    }
}

fn validate_name(name: &str) -> Result<(), SqsError> {
    let invalid = |reason: &str| SqsError::InvalidParameterValue {
        name: "QueueName",
        value: name.to_owned(),
        reason: reason.to_owned(),
    };
    if name.ends_with(".fifo") {
        return Err(SqsError::Unsupported {
            what: "the sandbox has standard queues only; choose a name without .fifo".to_owned(),
        });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 80 || !name.chars().all(allowed) {
        return Err(invalid("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length."));
    }
    Ok(())
}

/// Creating again with the same values is no error ("`CreateQueue`" page): only what the request names is compared.
fn refuse_different(existing: &Queue, wanted: &BTreeMap<String, String>) -> Result<(), SqsError> {
    for (name, value) in wanted {
        let mut changed = existing.attributes.clone();
        changed.set(name, value)?;
        if changed != existing.attributes {
            return Err(SqsError::QueueNameExists { attribute: name.clone() });
        }
    }
    Ok(())
}

fn refuse_missing_dead_letter_queue(
    tx: &rusqlite::Transaction<'_>,
    attributes: &QueueAttributes,
) -> Result<(), SqsError> {
    let Some(redrive) = &attributes.redrive else { return Ok(()) };
    let target = store::find_queue(tx, name_of_arn(&redrive.dead_letter_target_arn))?;
    if target.is_none_or(|queue| queue.arn() != redrive.dead_letter_target_arn) {
        return Err(SqsError::InvalidAttributeValue {
            name: "RedrivePolicy".to_owned(),
            reason: format!("Dead letter target {} does not exist.", redrive.dead_letter_target_arn),
        });
    }
    Ok(())
}

fn is_attribute(name: &str) -> bool {
    const COMPUTED: [&str; 6] = [
        "QueueArn",
        "CreatedTimestamp",
        "LastModifiedTimestamp",
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    ];
    const OPTIONAL: [&str; 9] = [
        "Policy",
        "RedrivePolicy",
        "RedriveAllowPolicy",
        "KmsMasterKeyId",
        "KmsDataKeyReusePeriodSeconds",
        "FifoQueue",
        "ContentBasedDeduplication",
        "DeduplicationScope",
        "FifoThroughputLimit",
    ];
    COMPUTED.contains(&name) || OPTIONAL.contains(&name) || QueueAttributes::default().to_wire().contains_key(name)
}
