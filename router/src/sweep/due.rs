//! Pure: which objects without a seal are asked for now, and on which lane.

use crate::listing::RawObject;
use common::load_request::Lane;
use common::queue::Idle;
use common::swept::Unsealed;
use std::time::Duration;
use time::OffsetDateTime;

/// How often an object is asked for before it is given up: whatever keeps it from being routed needs a person.
const TRIES_MAX: u32 = 3;

/// What is older travels on the backfill lane: it must not delay what arrives now.
const LIVE_MAX_AGE: Duration = Duration::from_secs(3600);

/// What becomes of an object without a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Asked for now.
    Ask,
    /// Asked for so recently that it may be on its way.
    Wait,
    /// Not asked for any more.
    GiveUp,
}

impl Due {
    /// For this object, if objects are asked for this often.
    pub(super) fn of(unsealed: &Unsealed, now: OffsetDateTime, every: Duration) -> Self {
        if unsealed.given_up {
            return Self::GiveUp;
        }
        match unsealed.last_try_at {
            Some(at) if now - at < every => Self::Wait,
            Some(_) if unsealed.tries >= TRIES_MAX => Self::GiveUp,
            _ => Self::Ask,
        }
    }
}

/// Whether an object that is due may be asked for: again only when whoever took the last request is done with it, or
/// had all the time that an object may take.
pub(super) fn may_ask(object: &Unsealed, idle: Idle, now: OffsetDateTime, max_object_time: Duration) -> bool {
    let Some(last) = object.last_try_at else { return true };
    idle == Idle::Empty || (idle == Idle::Taken && now - last >= max_object_time)
}

/// The lane of a request for an object of this time.
pub(super) fn lane(time: OffsetDateTime, now: OffsetDateTime) -> Lane {
    if now - time < LIVE_MAX_AGE { Lane::Live } else { Lane::Backfill }
}

/// A listed object with what earlier sweeps know of it.
pub(super) fn entry(object: RawObject, before: Option<&Unsealed>) -> Unsealed {
    let RawObject { key, etag, bytes, modified, .. } = object;
    // Other contents have their own chances.
    let before = before.filter(|before| before.etag == etag).cloned();
    before.unwrap_or(Unsealed { key, etag, bytes, time: modified, tries: 0, last_try_at: None, given_up: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const EVERY: Duration = Duration::from_secs(3600);

    fn object(etag: &str) -> RawObject {
        let modified = datetime!(2025-06-01 09:10 UTC);
        RawObject { key: "k".into(), etag: etag.into(), bytes: 7, modified, is_archived: false }
    }

    #[test]
    fn an_object_is_asked_for_three_times_and_then_given_up() {
        let mut now = datetime!(2025-06-01 10:00 UTC);
        let mut entry = super::entry(object("e"), None);
        let mut asked = Vec::new();
        for _ in 0..10 {
            let due = Due::of(&entry, now, EVERY);
            if due == Due::Ask {
                (entry.tries, entry.last_try_at) = (entry.tries + 1, Some(now));
                asked.push(now);
            }
            entry.given_up |= due == Due::GiveUp;
            now += EVERY / 2;
        }
        assert_eq!(asked.len(), 3);
        assert!(asked.windows(2).all(|two| two[1] - two[0] >= EVERY) && entry.given_up);
        assert!(super::entry(object("e"), Some(&entry)).given_up);
        assert_eq!(super::entry(object("other"), Some(&entry)).tries, 0, "other contents have their own chances");
    }

    #[test]
    fn what_a_router_may_still_be_at_costs_no_try() {
        let now = datetime!(2025-06-01 10:00 UTC);
        let mut entry = super::entry(object("e"), None);
        let all = [Idle::No, Idle::Taken, Idle::Empty];
        let mut may = |last_try_at| {
            entry.last_try_at = last_try_at;
            all.map(|idle| may_ask(&entry, idle, now, 6 * EVERY))
        };
        assert_eq!(may(None), [true; 3]);
        assert_eq!(may(Some(now - 5 * EVERY)), [false, false, true]);
        assert_eq!(may(Some(now - 6 * EVERY)), [false, true, true], "whoever holds a message for so long has lost it");
    }

    #[test]
    fn only_what_is_fresh_travels_on_the_live_lane() {
        let now = datetime!(2025-06-01 10:00 UTC);
        assert_eq!(lane(datetime!(2025-06-01 09:00:01 UTC), now), Lane::Live);
        assert_eq!(lane(datetime!(2025-06-01 09:00 UTC), now), Lane::Backfill);
    }
}
