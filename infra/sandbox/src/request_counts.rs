//! How many requests of each operation were made since the start: what a run cost, were each of them paid for.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default)]
pub(crate) struct RequestCounts(Mutex<BTreeMap<&'static str, BTreeMap<String, u64>>>);

impl RequestCounts {
    pub(crate) fn add(&self, service: &'static str, operation: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let operations = counts.entry(service).or_default();
        match operations.get_mut(operation) {
            Some(count) => *count += 1,
            None => drop(operations.insert(operation.to_owned(), 1)),
        }
    }

    /// Service → operation → requests.
    pub(crate) fn to_json(&self) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::json!(*counts).to_string()
    }
}
