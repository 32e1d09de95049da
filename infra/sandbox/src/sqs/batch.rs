//! What all batch operations share: the limits on entries, and answers that succeed in part.

use serde::{Deserialize, Serialize};

use super::error::SqsError;

pub(super) trait Entry {
    fn id(&self) -> &str;
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch<E> {
    pub(super) queue_url: String,
    #[serde(default = "Vec::new")]
    pub(super) entries: Vec<E>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchAnswer<S> {
    successful: Vec<S>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<FailedEntry>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FailedEntry {
    id: String,
    sender_fault: bool,
    code: &'static str,
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SucceededId {
    pub(super) id: String,
}

/// Refuses the whole request where AWS does; everything else fails entry by entry.
pub(super) fn validate<E: Entry>(entries: &[E], entry_type: &'static str) -> Result<(), SqsError> {
    if entries.is_empty() {
        return Err(SqsError::EmptyBatch { entry: entry_type });
    }
    if entries.len() > 10 {
        return Err(SqsError::TooManyEntries { count: entries.len() });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    for (n, entry) in entries.iter().enumerate() {
        let id = entry.id();
        if id.is_empty() || id.len() > 80 || !id.chars().all(allowed) {
            return Err(SqsError::InvalidBatchEntryId);
        }
        if entries.iter().take(n).any(|earlier| earlier.id() == id) {
            return Err(SqsError::IdsNotDistinct { id: id.to_owned() });
        }
    }
    Ok(())
}

/// Runs `one` per entry; a store that cannot be used at all fails the request, not the entries.
pub(super) fn run<E: Entry, S>(
    entries: Vec<E>,
    mut one: impl FnMut(E) -> Result<S, SqsError>,
) -> Result<BatchAnswer<S>, SqsError> {
    let mut answer = BatchAnswer { successful: Vec::with_capacity(entries.len()), failed: Vec::new() };
    for entry in entries {
        let id = entry.id().to_owned();
        match one(entry) {
            Ok(success) => answer.successful.push(success),
            Err(error @ SqsError::Storage(_)) => return Err(error),
            Err(error) => answer.failed.push(FailedEntry {
                id,
                sender_fault: error.is_senders_fault(),
                code: error.query_code(),
                message: error.to_string(),
            }),
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Entry for &str {
        fn id(&self) -> &str {
            self
        }
    }

    #[test]
    fn ids_are_short_plain_and_distinct() {
        let refusal = |entries: &[&str]| validate(entries, "Entry").map_err(|e| e.query_code()).err();
        assert_eq!(refusal(&["a", "b_1-Z"]), None);
        assert_eq!(refusal(&[]), Some("AWS.SimpleQueueService.EmptyBatchRequest"));
        assert_eq!(refusal(&["a", "a"]), Some("AWS.SimpleQueueService.BatchEntryIdsNotDistinct"));
        assert_eq!(refusal(&["a b"]), Some("AWS.SimpleQueueService.InvalidBatchEntryId"));
        assert_eq!(refusal(&["x"; 11]), Some("AWS.SimpleQueueService.TooManyEntriesInBatchRequest"));
    }
}
