//! Messages that failed here and were not finished since: a run that ends when its queue is idle must not wait for
//! them for ever, and must not call them done. Only such runs keep this memory; it is no state anybody relies on.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A cause that was still there after a pause is taken for a lasting one.
const FAILURES_ENOUGH: u32 = 2;

/// A message that did not come back this long after its pause was over went to another consumer.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Unfinished(Mutex<BTreeMap<String, Failed>>);

#[derive(Debug)]
struct Failed {
    times: u32,
    why: String,
    /// When it should have come back.
    due: Instant,
}

impl Unfinished {
    /// Takes down that work on a message failed: why, and how long it stays away.
    pub(super) fn failed(&self, message_id: &str, why: &str, pause: Duration, now: Instant) {
        let times = self.lock().get(message_id).map_or(0, |one| one.times) + 1;
        let failed = Failed { times, why: why.to_owned(), due: now + pause + COMES_BACK_WITHIN };
        self.lock().insert(message_id.to_owned(), failed);
    }

    /// Takes down that nothing is left to do about a message.
    pub(super) fn finished(&self, message_id: &str) {
        self.lock().remove(message_id);
    }

    /// How many messages may be in flight for no other reason than that this process returned them. None, as long as
    /// one of them deserves another try here.
    pub(super) fn given_up(&self, now: Instant) -> u64 {
        let mut failed = self.lock();
        failed.retain(|_, one| one.times >= FAILURES_ENOUGH || now < one.due);
        let all_enough = failed.values().all(|one| one.times >= FAILURES_ENOUGH);
        if all_enough { failed.len() as u64 } else { 0 }
    }

    /// Id and latest reason of each message that failed often enough. Once the queue is idle, the others were finished
    /// elsewhere: one of them in flight would have kept it from being idle.
    pub(super) fn reasons(&self) -> Vec<String> {
        let failed = self.lock();
        let given_up = failed.iter().filter(|(_, one)| one.times >= FAILURES_ENOUGH);
        given_up.map(|(id, one)| format!("message {id}: {}", one.why)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Failed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(5);

    #[test]
    fn messages_are_given_up_only_when_each_failed_twice() {
        let (unfinished, now) = (Unfinished::default(), Instant::now());
        assert_eq!(unfinished.given_up(now), 0);
        unfinished.failed("a", "no space", PAUSE, now);
        unfinished.failed("a", "no permission", PAUSE, now);
        assert_eq!(unfinished.given_up(now), 1);
        unfinished.failed("b", "no permission", PAUSE, now);
        assert_eq!(unfinished.given_up(now), 0, "b deserves another try");
        unfinished.finished("b");
        assert_eq!(unfinished.given_up(now), 1);
        assert_eq!(unfinished.reasons(), ["message a: no permission"]);
    }

    #[test]
    fn a_message_that_failed_once_and_went_elsewhere_is_neither_waited_for_nor_complained_of() {
        let (unfinished, now) = (Unfinished::default(), Instant::now());
        unfinished.failed("a", "no permission", PAUSE, now);
        assert!(unfinished.reasons().is_empty(), "had it not gone, the queue would not be idle");
        for _ in 0..2 {
            unfinished.failed("b", "no space", PAUSE, now);
        }
        assert_eq!(unfinished.given_up(now + PAUSE), 0, "a may come back");
        assert_eq!(unfinished.given_up(now + PAUSE + COMES_BACK_WITHIN), 1);
        assert_eq!(unfinished.reasons(), ["message b: no space"]);
    }
}
