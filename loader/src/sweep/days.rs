//! Which days of the day index a sweep looks at, and since when each needs it.

use super::reading::Store;
use common::aws_error::AwsError;
use common::objects;
use std::collections::BTreeMap;
use std::time::Duration;
use time::{Date, OffsetDateTime};

/// How far sweeps came: prefix below `seals.prefix` → whatever is older than this needs no more looking at.
pub(super) type Settled = BTreeMap<String, OffsetDateTime>;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// An index object follows its seal within this time, unless the router died in between.
const INDEX_FOLLOWS: Duration = Duration::from_secs(3600);

/// A router that died between seal and index makes the index when its message comes again: at most 14 days later, the
/// longest that SQS keeps a message (SQS developer guide, quotas-messages).
const LATE_INDEX: Duration = Duration::from_secs(15 * 24 * 3600);

/// Every day with anything owed, however old, is looked at this often.
const DEEP_EVERY: Duration = Duration::from_secs(6 * 3600);

/// Under which prefix the last deep sweep is remembered.
pub(super) const ALL_DAYS: &str = "day/";

/// One day to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Day {
    pub(super) date: Date,
    /// What is older needs no look.
    pub(super) from: Option<OffsetDateTime>,
}

impl Day {
    pub(super) fn new(date: Date, settled: &Settled) -> Self {
        Self { date, from: settled.get(&prefix(date)).copied() }
    }

    /// Whether all that was sealed on that day is done, as far as a sweep could see.
    pub(super) fn is_closed(self) -> bool {
        self.from.is_some_and(|from| from >= self.date.midnight().assume_utc() + DAY + INDEX_FOLLOWS)
    }
}

/// The day's prefix below `seals.prefix`.
pub(super) fn prefix(date: Date) -> String {
    format!("{ALL_DAYS}{:04}/{:02}/{:02}/", date.year(), u8::from(date.month()), date.day())
}

/// Whether days beyond the window are due.
pub(super) fn is_deep_due(settled: &Settled, now: OffsetDateTime) -> bool {
    settled.get(ALL_DAYS).is_none_or(|last| now - *last >= DEEP_EVERY)
}

/// Whether every sweep looks at the day.
pub(super) fn is_in_window(day: Day, now: OffsetDateTime, window: Duration) -> bool {
    day.date >= (now - window).date()
}

/// The days of the window, whether they are there or not.
pub(super) fn of_window(settled: &Settled, now: OffsetDateTime, window: Duration) -> Vec<Day> {
    let mut days = Vec::new();
    let mut date = (now - window).date();
    while date <= now.date() {
        days.push(Day::new(date, settled));
        let Some(next) = date.next_day() else { break };
        date = next;
    }
    days
}

/// Every day that is there and may owe something: each that is open, and lately closed ones for a late index.
pub(super) async fn all(store: &Store, settled: &Settled, now: OffsetDateTime) -> Result<Vec<Day>, AwsError> {
    let mut folders = vec![store.keys.day_index_root()];
    // Years, months, days.
    for _ in 0..3 {
        let mut below = Vec::new();
        for folder in &folders {
            below.extend(objects::folders(&store.s3, &store.bucket, folder).await?);
        }
        folders = below;
    }
    let root = store.keys.day_index_root();
    let dates = folders.iter().filter_map(|folder| date(folder.strip_prefix(&root)?));
    Ok(dates.map(|date| Day::new(date, settled)).filter(|day| may_owe(*day, now)).collect())
}

fn may_owe(day: Day, now: OffsetDateTime) -> bool {
    !day.is_closed() || day.date >= (now - LATE_INDEX).date()
}

/// `2025/06/01/`.
fn date(text: &str) -> Option<Date> {
    let mut numbers = text.split('/').map(str::parse::<u16>);
    let mut next = || numbers.next()?.ok();
    let (year, month, day) = (next()?, u8::try_from(next()?).ok()?, u8::try_from(next()?).ok()?);
    Date::from_calendar_date(year.into(), month.try_into().ok()?, day).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::{date, datetime};

    #[test]
    fn a_day_is_closed_only_when_a_sweep_saw_it_whole_and_settled() {
        let closed = |from| Day { date: date!(2025 - 06 - 01), from }.is_closed();
        assert!(!closed(None));
        assert!(!closed(Some(datetime!(2025-06-02 00:30 UTC))), "an index object may follow its seal after midnight");
        assert!(closed(Some(datetime!(2025-06-02 01:00 UTC))));
    }

    #[test]
    fn open_days_are_never_too_old_and_closed_ones_only_as_long_as_an_index_may_be_late() {
        let now = datetime!(2025-06-20 12:00 UTC);
        let day = |date: Date, is_closed: bool| Day { date, from: is_closed.then_some(now) };
        assert!(may_owe(day(date!(2019 - 01 - 01), false), now));
        assert!(!may_owe(day(date!(2025 - 06 - 04), true), now));
        assert!(may_owe(day(date!(2025 - 06 - 05), true), now));
    }

    #[test]
    fn the_window_is_whole_days() {
        let (now, window) = (datetime!(2025-03-01 12:00 UTC), Duration::from_secs(48 * 3600));
        let days = of_window(&Settled::new(), now, window);
        let dates: Vec<Date> = days.iter().map(|day| day.date).collect();
        assert_eq!(dates, [date!(2025 - 02 - 27), date!(2025 - 02 - 28), date!(2025 - 03 - 01)]);
        let is_in = |date| is_in_window(Day { date, from: None }, now, window);
        assert!(days.iter().all(|day| is_in(day.date)) && !is_in(date!(2025 - 02 - 26)));
        assert_eq!(super::date("2025/03/01/"), Some(date!(2025 - 03 - 01)));
        assert_eq!(super::date(prefix(date!(2025 - 03 - 01)).trim_start_matches(ALL_DAYS)), super::date("2025/03/01/"));
        assert_eq!((super::date("2025/13/01/"), super::date("x/")), (None, None));
    }
}
