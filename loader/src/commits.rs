//! The commit budget as the loop and its workers share it.

use crate::budget::Budget;
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

#[derive(Debug)]
pub(crate) struct Commits(Mutex<Budget>);

impl Commits {
    pub(crate) fn new(per_minute: usize) -> Self {
        Self(Mutex::new(Budget::new(per_minute)))
    }

    pub(crate) fn budget<T>(&self, ask: impl FnOnce(&mut Budget) -> T) -> T {
        ask(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until another load transaction may begin. For the second and every further one of a batch: the loop
    /// hands a batch out only with its first.
    pub(crate) async fn begin(&self) {
        while let Some(next) = self.budget(|budget| {
            let now = Instant::now();
            (!budget.take(now)).then(|| budget.next(now))
        }) {
            tokio::time::sleep_until(next).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_commit_that_the_budget_does_not_have_is_waited_for() {
        let commits = Commits::new(1);
        let begun = tokio::time::timeout(Duration::ZERO, commits.begin()).await;
        assert!(begun.is_ok(), "the first one at once");
        let begun = tokio::time::timeout(Duration::ZERO, commits.begin()).await;
        assert!(begun.is_err(), "the second in a minute");
    }
}
