//! Pure: what an hour's mark is to say.

use common::swept::{Mark, SWEPT_VERSION};
use time::OffsetDateTime;

/// What a sweep knows of an hour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// When its listing began.
    pub(super) listed_at: OffsetDateTime,
    /// Objects of the hour, if everything was listed that may be of it.
    pub(super) objects: Option<u64>,
    /// Of what was seen now or by earlier sweeps, what has no seal.
    pub(super) unsealed: u64,
}

/// The mark that is to take the place of the one that is there; `None`: that stands.
///
/// A mark vouches for what was visible when everything was listed. So a sweep that saw less, or does not list the hour
/// any more, keeps that time, and only says how many of those objects have no seal by now.
pub(super) fn next(before: Option<&Mark>, seen: Seen, end_of_hour: OffsetDateTime) -> Option<Mark> {
    let Seen { listed_at, objects, unsealed } = seen;
    let (listed_at, objects) = match (objects, before) {
        // Somebody who began later has been here: this sweep was silent for too long, and taken over.
        (_, Some(before)) if before.listed_at > listed_at => return None,
        (Some(objects), _) => (listed_at, objects),
        (None, Some(before)) => (before.listed_at, before.objects),
        (None, None) => return None,
    };
    let mark = Mark { version: SWEPT_VERSION, listed_at, objects, unsealed };
    let says_the_same = |before: &Mark| {
        let is_as_final = before.is_final(end_of_hour) || !mark.is_final(end_of_hour);
        (before.objects, before.unsealed) == (objects, unsealed) && is_as_final
    };
    if before.is_some_and(says_the_same) { None } else { Some(mark) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use time::macros::datetime;

    const END: OffsetDateTime = datetime!(2025-06-01 10:00 UTC);
    const HOUR: Duration = Duration::from_secs(3600);

    fn mark(listed_at: OffsetDateTime, objects: u64, unsealed: u64) -> Mark {
        Mark { version: SWEPT_VERSION, listed_at, objects, unsealed }
    }

    fn seen(listed_at: OffsetDateTime, objects: Option<u64>, unsealed: u64) -> Seen {
        Seen { listed_at, objects, unsealed }
    }

    #[test]
    fn a_mark_is_written_when_its_answer_changes() {
        let (soon, late, later) = (END + HOUR / 4, END + 2 * HOUR, END + 3 * HOUR);
        assert_eq!(next(None, seen(soon, Some(0), 0), END), Some(mark(soon, 0, 0)), "no object is an answer too");
        let first = mark(soon, 3, 0);
        assert_eq!(next(Some(&first), seen(soon + HOUR, Some(3), 0), END), None);
        assert_eq!(next(Some(&first), seen(late, Some(3), 0), END), Some(mark(late, 3, 0)), "it has stopped growing");
        assert_eq!(next(Some(&mark(late, 3, 0)), seen(later, Some(3), 0), END), None);
        assert_eq!(next(Some(&mark(late, 3, 0)), seen(later, Some(4), 1), END), Some(mark(later, 4, 1)));
        assert_eq!(next(Some(&mark(later, 4, 1)), seen(late, Some(3), 0), END), None, "the later listing counts");
    }

    #[test]
    fn who_did_not_see_everything_vouches_for_nothing_new() {
        let (late, later) = (END + 2 * HOUR, END + 30 * HOUR);
        assert_eq!(next(None, seen(later, None, 0), END), None);
        assert_eq!(next(Some(&mark(late, 3, 2)), seen(later, None, 0), END), Some(mark(late, 3, 0)));
        assert_eq!(next(Some(&mark(late, 3, 0)), seen(later, None, 1), END), Some(mark(late, 3, 1)));
        assert_eq!(next(Some(&mark(late, 3, 0)), seen(later, None, 0), END), None);
    }
}
