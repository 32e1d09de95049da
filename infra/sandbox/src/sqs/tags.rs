//! Queue tags: kept and listed, as deployment tools expect; nothing reads them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::SqsError;
use super::queues::QueueUrlOnly;
use super::{Empty, Service, name_of_url, store};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagQueue {
    queue_url: String,
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UntagQueue {
    queue_url: String,
    tag_keys: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tags {
    tags: BTreeMap<String, String>,
}

impl Service {
    pub(super) fn tag_queue(&self, request: TagQueue) -> Result<Empty, SqsError> {
        self.change_tags(&request.queue_url, |tags| tags.extend(request.tags))
    }

    pub(super) fn untag_queue(&self, request: &UntagQueue) -> Result<Empty, SqsError> {
        self.change_tags(&request.queue_url, |tags| tags.retain(|key, _| !request.tag_keys.contains(key)))
    }

    pub(super) fn list_queue_tags(&self, request: &QueueUrlOnly) -> Result<Tags, SqsError> {
        self.store.transaction(|tx| {
            let queue = store::queue_named(tx, name_of_url(&request.queue_url))?;
            Ok(Tags { tags: stored(&store::tags(tx, queue.id)?) })
        })
    }

    fn change_tags(
        &self,
        queue_url: &str,
        change: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Result<Empty, SqsError> {
        self.store.transaction(|tx| {
            let queue = store::queue_named(tx, name_of_url(queue_url))?;
            let mut tags = stored(&store::tags(tx, queue.id)?);
            change(&mut tags);
            store::set_tags(tx, queue.id, &serde_json::to_string(&tags).expect("a map of text always serialises"))?;
            Ok(Empty {})
        })
    }
}

fn stored(tags: &str) -> BTreeMap<String, String> {
    serde_json::from_str(tags).expect("only this file writes tags, as a map of text")
}
