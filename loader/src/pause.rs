//! How long everything waits that is tried again. Pure.

use crate::verdict::Class;
use std::time::Duration;

/// Returned requests are looked at again at least this often.
const RETURNED_MAX: Duration = Duration::from_secs(3600);

/// The pause before the n-th retry of a table whose load has to wait: 1 s, 2 s, 4 s … 60 s, and up to a half more,
/// so that tables that failed together do not come back together. `jitter` is 0 to 1.
pub(crate) fn backoff(waits: u32, jitter: f64) -> Duration {
    let base = Duration::from_secs(1 << waits.saturating_sub(1).min(6)).min(Duration::from_secs(60));
    base + base.mul_f64(jitter / 2.0)
}

/// The pause before a request that failed alone is tried again: 5 s, 15 s, 45 s … 15 min. Where nobody knows what the
/// failure means, 1 min, 5 min, 15 min: an incident of minutes must not set aside whatever is loaded meanwhile.
pub(crate) fn alone(class: Class, tries: u32) -> Duration {
    let (first, factor) = if class == Class::Unknown { (60, 5u64) } else { (5, 3) };
    Duration::from_secs(first * factor.pow(tries.saturating_sub(1).min(5))).min(Duration::from_secs(900))
}

/// How long a request stays away that cannot be held now. Grows with every receive, because receives are
/// counted: the queue gives up a message after `maxReceiveCount` of them, however innocent it is.
pub(crate) fn returned(first: Duration, receive_count: u32) -> Duration {
    (first * receive_count.max(1)).min(RETURNED_MAX.max(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        let seconds: Vec<u64> = [1, 2, 3, 7, 50].map(|n| backoff(n, 0.0).as_secs()).into();
        assert_eq!(seconds, [1, 2, 4, 60, 60]);
        assert_eq!(backoff(1, 1.0), Duration::from_millis(1500));
        assert_eq!([1, 2, 3, 20].map(|n| alone(Class::Data, n).as_secs()), [5, 15, 45, 900]);
        assert_eq!([1, 2, 3, 20].map(|n| alone(Class::Unknown, n).as_secs()), [60, 300, 900, 900]);
    }

    #[test]
    fn a_request_that_is_returned_a_hundred_times_has_waited_for_more_than_a_day() {
        let first = Duration::from_secs(30);
        assert_eq!([1, 2, 3, 1000].map(|n| returned(first, n).as_secs()), [30, 60, 90, 3600]);
        assert_eq!(returned(first, 0), first, "SQS may not tell the count");
        let waited: Duration = (1..100).map(|n| returned(first, n)).sum();
        assert!(waited > Duration::from_secs(24 * 3600), "{waited:?}");
        let long = Duration::from_secs(7200);
        assert_eq!(returned(long, 3), long, "a longer pause that was set is kept");
    }
}
