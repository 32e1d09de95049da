//! What a walk over the whole range has proven: of which hours every raw object is sealed. Their marks say so, and the
//! loader can call months complete that no sweep ever looks at (docs/adr/0019).

use super::pass::Judged;
use super::selection::Options;
use super::standing::Standing;
use crate::known::{Known, hour_of};
use crate::sweep::mark_sealed;
use common::aws_error::AwsError;
use common::swept::LATE;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::{BTreeMap, BTreeSet};
use time::{Date, OffsetDateTime};

/// Marks written at once.
const MARKS_AT_ONCE: usize = 16;

/// Raw objects of each hour that a walk met. Holds a number for each hour with objects.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    /// When the listing began: what it shows was visible then or came later.
    listed_at: OffsetDateTime,
    from: OffsetDateTime,
    to: OffsetDateTime,
    hours: BTreeMap<OffsetDateTime, u64>,
    /// Whether nothing was left out of the listing, and nothing met without a seal.
    is_whole: bool,
}

impl Proof {
    /// `is_everything`: the walk is over all raw objects, not those of some prefix.
    pub(super) fn new(options: &Options, is_everything: bool) -> Self {
        let listed_at = OffsetDateTime::now_utc();
        Self { listed_at, from: options.from, to: options.to, hours: BTreeMap::new(), is_whole: is_everything }
    }

    pub(super) fn add(&mut self, judged: &Judged) {
        // One that others replaced has a seal, like one that is to be replaced again.
        self.is_whole &= judged.generation.is_some() || judged.standing == Standing::Done;
        *self.hours.entry(hour_of(judged.object.modified)).or_default() += 1;
    }

    /// Marks every hour that lies in the range whole and may not grow any more. Tells how many marks are new.
    pub(super) async fn mark(&self, known: &Known) -> Result<u64, AwsError> {
        if !self.is_whole {
            return Ok(0);
        }
        let listed_at = self.listed_at;
        let marks = self.marked().map(|(hour, objects)| mark_sealed(known, hour, listed_at, objects));
        let written: Vec<bool> = stream::iter(marks).buffer_unordered(MARKS_AT_ONCE).try_collect().await?;
        Ok(written.into_iter().filter(|is_new| *is_new).count() as u64)
    }

    /// The hours to be marked, each with its objects: all of a day that has any. Whole days without are nobody's
    /// question, and in a long range of few objects there are too many of them.
    fn marked(&self) -> impl Iterator<Item = (OffsetDateTime, u64)> + '_ {
        let grows_from = self.listed_at - LATE;
        let days: BTreeSet<Date> = self.hours.keys().map(|hour| hour.date()).collect();
        let hours = days.into_iter().flat_map(|day| {
            let midnight = day.midnight().assume_utc();
            (0..24).map_while(move |hour| midnight.checked_add(time::Duration::hours(hour)))
        });
        let is_proven = move |hour: &OffsetDateTime| {
            let end = hour.saturating_add(time::Duration::HOUR);
            *hour >= self.from && end <= self.to && end <= grows_from
        };
        hours.filter(is_proven).map(|hour| (hour, self.hours.get(&hour).copied().unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::selection::tests::options;
    use super::*;
    use crate::listing::RawObject;
    use time::macros::datetime;

    fn judged(modified: OffsetDateTime, standing: Standing) -> Judged {
        let object = RawObject { key: "k".into(), etag: "e".into(), bytes: 1, modified, is_archived: false };
        let generation = (standing != Standing::Unsealed && standing != Standing::Archived).then_some(0);
        Judged { object, generation, standing }
    }

    fn proof(times: &[OffsetDateTime]) -> Proof {
        let mut proof = Proof::new(&options(), true);
        times.iter().for_each(|at| proof.add(&judged(*at, Standing::Done)));
        proof
    }

    #[test]
    fn whole_hours_of_the_range_are_marked_on_days_that_have_objects() {
        let mut proof = proof(&[
            datetime!(2025-01-31 20:10 UTC),
            datetime!(2025-01-31 20:59:59 UTC),
            datetime!(2025-01-31 22:00 UTC),
        ]);
        proof.to = datetime!(2025-01-31 23:30 UTC);
        let hour = |hour| datetime!(2025-01-31 00:00 UTC).replace_hour(hour).expect("an hour");
        let marked: Vec<_> = proof.marked().collect();
        assert_eq!(marked[..2], [(hour(0), 0), (hour(1), 0)], "of other days none");
        assert_eq!(
            marked[20..],
            [(hour(20), 2), (hour(21), 0), (hour(22), 1)],
            "the last is in the range in part only"
        );
        proof.from = datetime!(2025-01-31 20:01 UTC);
        assert_eq!(proof.marked().count(), 2, "so is the first");
        proof.listed_at = datetime!(2025-02-01 00:30 UTC);
        assert_eq!(proof.marked().count(), 1, "what ended less than two hours before may grow");
    }

    #[test]
    fn an_object_without_a_seal_or_a_prefix_proves_nothing() {
        let at = datetime!(2025-01-31 20:10 UTC);
        for standing in [Standing::Unsealed, Standing::Archived] {
            let mut proof = proof(&[at]);
            proof.add(&judged(at, standing));
            assert!(!proof.is_whole);
        }
        assert!(!Proof::new(&options(), false).is_whole);
        let mut proof = proof(&[at]);
        proof.add(&judged(at, Standing::Others));
        assert!(proof.is_whole, "it has the seal of another replace");
    }
}
