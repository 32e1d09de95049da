//! Tables that a person must look at: who they are, why, when each is tried again, and what becomes of its requests
//! until then. Pure.
//!
//! Requests of a table that stopped a moment ago return to the queue: they are there when it is tried again. But a
//! returned message is in flight for SQS, which hands out nothing more once 120,000 are (SQS developer guide,
//! quotas-messages); each return counts towards `maxReceiveCount`; and no message stays for ever. So after a while
//! they are deferred, all but one, with which the table is tried (docs/adr/0014).

use common::event_name::EventName;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// A stopped table is tried again at least this often.
const PAUSE_MAX: Duration = Duration::from_secs(15 * 60);

/// Requests of all stopped tables that are left in the queue at most: a sixth of what SQS allows in flight.
const RETURNED_MAX: usize = 20_000;

/// A request that was received this often is not kept to try its table with: its queue would give it up one day.
const KEPT_RECEIVES_MAX: u32 = 50;

/// All stopped tables. A table stays here, on probation, until it loads again.
#[derive(Debug)]
pub(crate) struct Stopped {
    first_pause: Duration,
    /// How long a table's requests return to the queue before they are deferred.
    defer_after: Duration,
    tables: BTreeMap<EventName, Stop>,
}

#[derive(Debug)]
struct Stop {
    why: String,
    pause: Duration,
    retry_at: Instant,
    since: Instant,
    /// Requests returned since the table was last tried: they come back when it is tried next.
    returned: usize,
    /// Requests deferred since it stopped.
    deferred: u64,
}

/// What becomes of a request that its table cannot take now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It returns to the queue for at least so long.
    Return(Duration),
    /// The sweep announces it again. `is_first`: it is the first of its table.
    Defer { is_first: bool },
}

impl Stopped {
    pub(crate) fn new(first_pause: Duration, defer_after: Duration) -> Self {
        Self { first_pause, defer_after, tables: BTreeMap::new() }
    }

    /// Stops the table, again or for the first time; its pause doubles each time.
    pub(crate) fn stop(&mut self, event: EventName, why: String, now: Instant) -> Duration {
        let longest = PAUSE_MAX.max(self.first_pause);
        let known = self.tables.get(&event);
        let pause = known.map_or(self.first_pause, |stop| (stop.pause * 2).min(longest));
        let (since, deferred) = known.map_or((now, 0), |stop| (stop.since, stop.deferred));
        self.tables.insert(event, Stop { why, pause, retry_at: now + pause, since, returned: 0, deferred });
        pause
    }

    /// What becomes of a request of this table, if it is stopped. `receive_count` is its delivery's.
    pub(crate) fn wait(&mut self, event: &EventName, receive_count: u32, now: Instant) -> Option<Wait> {
        let returned: usize = self.tables.values().map(|stop| stop.returned).sum();
        let stop = self.tables.get_mut(event)?;
        // Whole seconds, never too short: SQS counts in seconds.
        let remaining = stop.retry_at.checked_duration_since(now).filter(|remaining| !remaining.is_zero())?;
        let remaining = Duration::from_secs(remaining.as_secs() + 1);
        let is_short = now - stop.since < self.defer_after && returned < RETURNED_MAX;
        if is_short || (stop.returned == 0 && receive_count < KEPT_RECEIVES_MAX) {
            stop.returned += 1;
            return Some(Wait::Return(remaining));
        }
        stop.deferred += 1;
        Some(Wait::Defer { is_first: stop.deferred == 1 })
    }

    /// The table loads again. Tells how many of its requests were deferred, if it was stopped.
    pub(crate) fn recovered(&mut self, event: &EventName) -> Option<u64> {
        self.tables.remove(event).map(|stop| stop.deferred)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// One line per table, with its reason.
    pub(crate) fn reasons(&self) -> Vec<String> {
        self.tables.iter().map(|(event, stop)| format!("{event}: {}", stop.why)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn stopped() -> (Stopped, EventName, Instant) {
        (Stopped::new(MINUTE, 10 * MINUTE), EventName::of_type("x"), Instant::now())
    }

    #[test]
    fn pauses_double_up_to_a_quarter_of_an_hour_and_start_anew_after_a_load() {
        let (mut stopped, event, now) = stopped();
        let pauses: Vec<u64> = (0..6).map(|_| stopped.stop(event.clone(), "why".into(), now).as_secs()).collect();
        assert_eq!(pauses, [60, 120, 240, 480, 900, 900]);
        assert!(stopped.recovered(&event).is_some() && stopped.recovered(&event).is_none());
        assert_eq!(stopped.stop(event, "why".into(), now).as_secs(), 60);
    }

    #[test]
    fn a_table_is_tried_again_when_its_pause_is_over() {
        let (mut stopped, event, now) = stopped();
        assert_eq!(stopped.wait(&event, 1, now), None);
        stopped.stop(event.clone(), "no grant".into(), now);
        assert_eq!(stopped.wait(&event, 1, now + MINUTE / 120), Some(Wait::Return(MINUTE)));
        assert_eq!(stopped.wait(&event, 1, now + MINUTE), None);
        assert_eq!(stopped.reasons(), ["x: no grant"], "on probation until it loads");
    }

    #[test]
    fn a_table_that_stays_stopped_keeps_one_request_and_defers_the_others() {
        let (mut stopped, event, now) = stopped();
        stopped.stop(event.clone(), "why".into(), now);
        for _ in 0..100 {
            assert!(matches!(stopped.wait(&event, 1, now), Some(Wait::Return(_))), "a short stop defers nothing");
        }
        let later = now + 10 * MINUTE;
        stopped.stop(event.clone(), "why".into(), later);
        assert_eq!(stopped.wait(&event, 50, later), Some(Wait::Defer { is_first: true }), "too old to be kept");
        assert!(matches!(stopped.wait(&event, 49, later), Some(Wait::Return(_))));
        assert_eq!(stopped.wait(&event, 1, later), Some(Wait::Defer { is_first: false }));
        stopped.stop(event.clone(), "why".into(), later + MINUTE);
        assert!(matches!(stopped.wait(&event, 1, later + MINUTE), Some(Wait::Return(_))), "one again for the next try");
        assert_eq!(stopped.recovered(&event), Some(2));
    }

    #[test]
    fn what_stopped_tables_leave_in_the_queue_is_bounded_over_all_of_them() {
        let (mut stopped, event, now) = stopped();
        let other = EventName::of_type("y");
        stopped.stop(event.clone(), "why".into(), now);
        stopped.stop(other.clone(), "why".into(), now);
        let returned = (0..2 * RETURNED_MAX).filter(|_| matches!(stopped.wait(&event, 1, now), Some(Wait::Return(_))));
        assert_eq!(returned.count(), RETURNED_MAX);
        assert!(matches!(stopped.wait(&other, 1, now), Some(Wait::Return(_))), "each may try itself");
        assert!(matches!(stopped.wait(&other, 1, now), Some(Wait::Defer { .. })));
    }
}
