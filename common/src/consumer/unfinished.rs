//! Messages that failed here and were not finished since: a run that ends when its queue is idle must not wait for
//! them for ever, and must not call them done. Only such runs keep this memory; it is no state anybody relies on.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A cause that was still there after a pause is taken for a lasting one.
const FAILURES_ENOUGH: u32 = 2;

#[derive(Debug, Default)]
pub(super) struct Unfinished(Mutex<BTreeMap<String, Failed>>);

#[derive(Debug)]
struct Failed {
    times: u32,
    why: String,
}

impl Unfinished {
    /// Takes down how work on a message ended: why it failed, or `None` if nothing is left to do.
    pub(super) fn note(&self, message_id: &str, failure: Option<&str>) {
        let mut failed = self.lock();
        let Some(why) = failure else {
            failed.remove(message_id);
            return;
        };
        let entry = failed.entry(message_id.to_owned()).or_insert_with(|| Failed { times: 0, why: String::new() });
        entry.times += 1;
        why.clone_into(&mut entry.why);
    }

    /// How many messages may be in flight for no other reason than that this process returned them. None, as long as
    /// one of them deserves another try.
    pub(super) fn given_up(&self) -> u64 {
        let failed = self.lock();
        let all_enough = failed.values().all(|one| one.times >= FAILURES_ENOUGH);
        if all_enough { failed.len() as u64 } else { 0 }
    }

    /// Id and latest reason of each message.
    pub(super) fn reasons(&self) -> Vec<String> {
        self.lock().iter().map(|(id, one)| format!("message {id}: {}", one.why)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Failed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_given_up_only_when_each_failed_twice() {
        let unfinished = Unfinished::default();
        assert_eq!(unfinished.given_up(), 0);
        unfinished.note("a", Some("no space"));
        unfinished.note("a", Some("no permission"));
        assert_eq!(unfinished.given_up(), 1);
        unfinished.note("b", Some("no permission"));
        assert_eq!(unfinished.given_up(), 0, "b deserves another try");
        unfinished.note("b", None);
        assert_eq!(unfinished.given_up(), 1);
        assert_eq!(unfinished.reasons(), ["message a: no permission"]);
    }
}
