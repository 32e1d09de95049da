//! Tables that a person must look at: who they are, why, and when each is tried again. Pure.

use common::event_name::EventName;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// A stopped table is tried again at least this often.
const PAUSE_MAX: Duration = Duration::from_secs(15 * 60);

/// All stopped tables. A table stays here, on probation, until it loads again.
#[derive(Debug)]
pub(crate) struct Stopped {
    first_pause: Duration,
    tables: BTreeMap<EventName, Stop>,
}

#[derive(Debug)]
struct Stop {
    why: String,
    pause: Duration,
    retry_at: Instant,
}

impl Stopped {
    pub(crate) fn new(first_pause: Duration) -> Self {
        Self { first_pause, tables: BTreeMap::new() }
    }

    /// Stops the table, again or for the first time; its pause doubles each time.
    pub(crate) fn stop(&mut self, event: EventName, why: String, now: Instant) -> Duration {
        let longest = PAUSE_MAX.max(self.first_pause);
        let pause = self.tables.get(&event).map_or(self.first_pause, |stop| (stop.pause * 2).min(longest));
        self.tables.insert(event, Stop { why, pause, retry_at: now + pause });
        pause
    }

    /// How long nothing of the table is tried, if it is stopped. Whole seconds, never too short: SQS counts in seconds.
    pub(crate) fn remaining(&self, event: &EventName, now: Instant) -> Option<Duration> {
        let remaining = self.tables.get(event)?.retry_at.checked_duration_since(now)?;
        (!remaining.is_zero()).then(|| Duration::from_secs(remaining.as_secs() + 1))
    }

    /// The table loads again. Tells whether it was stopped.
    pub(crate) fn recovered(&mut self, event: &EventName) -> bool {
        self.tables.remove(event).is_some()
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

    #[test]
    fn pauses_double_up_to_a_quarter_of_an_hour_and_start_anew_after_a_load() {
        let (mut stopped, event, now) =
            (Stopped::new(Duration::from_secs(60)), EventName::of_type("x"), Instant::now());
        let pauses: Vec<u64> = (0..6).map(|_| stopped.stop(event.clone(), "why".into(), now).as_secs()).collect();
        assert_eq!(pauses, [60, 120, 240, 480, 900, 900]);
        assert!(stopped.recovered(&event) && !stopped.recovered(&event));
        assert_eq!(stopped.stop(event, "why".into(), now).as_secs(), 60);
    }

    #[test]
    fn a_table_is_tried_again_when_its_pause_is_over() {
        let (mut stopped, event, now) =
            (Stopped::new(Duration::from_secs(60)), EventName::of_type("x"), Instant::now());
        assert_eq!(stopped.remaining(&event, now), None);
        stopped.stop(event.clone(), "no grant".into(), now);
        assert_eq!(stopped.remaining(&event, now + Duration::from_millis(500)), Some(Duration::from_secs(60)));
        assert_eq!(stopped.remaining(&event, now + Duration::from_secs(60)), None);
        assert_eq!(stopped.reasons(), ["x: no grant"], "on probation until it loads");
    }
}
