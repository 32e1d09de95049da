//! Which quarantined records are meant.

use common::event_name::EventName;
use common::quarantine::Reason;
use std::fmt;
use std::time::Duration;
use time::{Date, OffsetDateTime};

/// Which records; all conditions hold. The default is all there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Of this event: what COPY refused of it, and what the router kept back although its bytes name the event.
    pub event: Option<EventName>,
    /// For this reason.
    pub reason: Option<Reason>,
    /// Of sources no older than this.
    pub since: Option<Since>,
}

/// A time as a person gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Since {
    words: String,
    /// When that is.
    pub at: OffsetDateTime,
}

/// No time.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no time: write a date (2025-06-01), a time (2025-06-01T09:00:00Z), or how long ago (7d)")]
pub struct InvalidSince(String);

impl Since {
    /// A date (its first moment in UTC), a time, or how long before `now`.
    pub fn parse(words: &str, now: OffsetDateTime) -> Result<Self, InvalidSince> {
        let date = || {
            let mut numbers = words.splitn(3, '-');
            let (year, month, day) = (numbers.next()?, numbers.next()?, numbers.next()?);
            let month = time::Month::try_from(month.parse::<u8>().ok()?).ok()?;
            let date = Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()?;
            (year.len() == 4).then(|| date.midnight().assume_utc())
        };
        let ago = || {
            let ago: Duration = humantime::parse_duration(words).ok()?;
            now.checked_sub(time::Duration::try_from(ago).ok()?)
        };
        let at = date().or_else(|| common::timestamp::parse(words).ok()).or_else(ago);
        let at = at.filter(|at| (1970..=9999).contains(&at.year())).ok_or_else(|| InvalidSince(words.to_owned()))?;
        Ok(Self { words: words.to_owned(), at })
    }
}

impl Selection {
    /// Whether seals are to be asked: they have every reason but the loader's.
    pub(super) fn has_seals(&self) -> bool {
        self.reason != Some(Reason::RejectedByCopy)
    }

    /// Whether the ledgers are.
    pub(super) fn has_ledgers(&self) -> bool {
        self.reason.is_none_or(|reason| reason == Reason::RejectedByCopy)
    }

    pub(super) fn has_reason(&self, reason: Reason) -> bool {
        self.reason.is_none_or(|wanted| wanted == reason)
    }

    pub(super) fn has_time(&self, source_time: OffsetDateTime) -> bool {
        self.since.as_ref().is_none_or(|since| source_time >= since.at)
    }
}

/// The selection's own words: the same command again is the same selection.
impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = self.event.as_ref().map(|event| format!("event {event}"));
        let reason = self.reason.map(|reason| format!("reason {reason}"));
        let since = self.since.as_ref().map(|since| format!("since {}", since.words));
        let words: Vec<String> = [event, reason, since].into_iter().flatten().collect();
        if words.is_empty() { f.write_str("all") } else { f.write_str(&words.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_time_is_a_date_a_time_or_how_long_ago() {
        let now = datetime!(2025-06-10 12:00 UTC);
        let at = |words: &str| Since::parse(words, now).map(|since| since.at).ok();
        assert_eq!(at("2025-06-01"), Some(datetime!(2025-06-01 00:00 UTC)));
        assert_eq!(at("2025-06-01T09:00:00+02:00"), Some(datetime!(2025-06-01 07:00 UTC)));
        assert_eq!(at("7d"), Some(datetime!(2025-06-03 12:00 UTC)));
        for wrong in ["", "yesterday", "2025-13-01", "2025-06", "0000-01-01", "25-06-01", "9000 years"] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_same_words_are_the_same_selection_whenever_they_are_said() {
        let said = |now| Selection {
            event: Some(EventName::of_type("a")),
            reason: Some(Reason::NotJson),
            since: Since::parse("7d", now).ok(),
        };
        let texts = [datetime!(2025-06-10 12:00 UTC), datetime!(2025-06-11 12:00 UTC)].map(|now| said(now).to_string());
        assert_eq!(texts[0], "event a, reason not_json, since 7d");
        assert_eq!(texts[0], texts[1]);
        assert_eq!(Selection::default().to_string(), "all");
    }
}
