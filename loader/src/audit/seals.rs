//! What was sealed in a range of source time: hour by hour from the index of hours, each seal reduced to what is compared.

use super::AuditError;
use super::tally::ReadTally;
use common::aws_error::AwsError;
use common::event_name::EventName;
use common::keys::KeyLayout;
use common::objects::{self, Pages};
use common::seal::Seal;
use common::seals::{self, SealReadError};
use common::source::SourceId;
use common::swept::{Mark, OpenHour, Unsealed};
use common::telemetry::chain;
use std::collections::BTreeMap;
use std::sync::Arc;
use time::{Duration, OffsetDateTime};
use tokio::task::JoinSet;

/// Seals in hand at once; each may be some MiB.
pub(super) const READS: usize = 16;

/// Where seals lie.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) s3: aws_sdk_s3::Client,
    pub(super) bucket: String,
    pub(super) keys: KeyLayout,
}

/// What the audit keeps of a seal.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) id: SourceId,
    pub(super) generation: u32,
    pub(super) time: OffsetDateTime,
    pub(super) sealed_at: OffsetDateTime,
    pub(super) read: ReadTally,
    /// Whether its counts add up.
    pub(super) is_balanced: bool,
    /// Each event, since when, and how many records.
    pub(super) events: Vec<(EventName, u32, u64)>,
}

impl Source {
    pub(super) fn of(seal: &Seal) -> Self {
        let counts = &seal.counts;
        let read = ReadTally {
            objects: 1,
            read: counts.read,
            routed: counts.routed,
            quarantined: counts.quarantined,
            dropped: counts.dropped,
            ..ReadTally::default()
        };
        let records: u64 = seal.events.iter().map(|sealed| sealed.records).sum();
        Self {
            id: seal.source_id.clone(),
            generation: seal.generation,
            time: seal.source.time,
            sealed_at: seal.sealed_at,
            read,
            is_balanced: counts.balance() && records == counts.routed,
            events: seal.events.iter().map(|sealed| (sealed.event.clone(), sealed.since, sealed.records)).collect(),
        }
    }
}

/// A seal that nobody can use: its key, and why.
pub(super) type Unusable = (String, String);

/// The sources of one hour that have seals, each with its highest generation.
#[derive(Debug)]
pub(super) struct Hour {
    pub(super) begins: OffsetDateTime,
    pub(super) highest: BTreeMap<SourceId, u32>,
}

/// The hours of one day that lie in the range and have seals, one after the other. Holds a page of the listing and the ids of
/// an hour.
pub(super) struct Day<'a> {
    store: &'a Arc<Store>,
    pages: Pages,
    page: std::vec::IntoIter<objects::Listed>,
    /// The hour at hand.
    hour: Option<Hour>,
    /// What is not before this is of no hour that the range touches.
    past: String,
}

impl<'a> Day<'a> {
    /// The day that the time lies in, from its hour on.
    pub(super) fn open(store: &'a Arc<Store>, from: OffsetDateTime, to: OffsetDateTime) -> Self {
        let first = store.keys.hour_prefix(from);
        // Without `hh/`.
        let day = &first[..first.len() - 3];
        let past = hours(from, to).last().and_then(|hour| hour.checked_add(Duration::HOUR));
        Self {
            store,
            pages: objects::pages_after(&store.s3, &store.bucket, day, &first),
            page: Vec::new().into_iter(),
            hour: None,
            past: past.map_or_else(String::new, |past| store.keys.hour_prefix(past)),
        }
    }

    /// The next hour; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Hour>, AwsError> {
        loop {
            let entry = self.entry().await?.filter(|entry| *entry < self.past);
            let Some(entry) = entry else { return Ok(self.hour.take()) };
            let keys = &self.store.keys;
            let Some(((source_id, generation), begins)) = keys.index_entry(&entry).zip(keys.hour_of_index(&entry))
            else {
                continue;
            };
            let hour = self.hour.get_or_insert_with(|| Hour { begins, highest: BTreeMap::new() });
            let is_next = hour.begins != begins;
            let done = is_next.then(|| std::mem::replace(hour, Hour { begins, highest: BTreeMap::new() }));
            let highest = hour.highest.entry(source_id).or_insert(generation);
            *highest = generation.max(*highest);
            if done.is_some() {
                return Ok(done);
            }
        }
    }

    async fn entry(&mut self) -> Result<Option<String>, AwsError> {
        loop {
            if let Some(listed) = self.page.next() {
                return Ok(Some(listed.key));
            }
            let Some(page) = self.pages.next().await? else { return Ok(None) };
            self.page = page.into_iter();
        }
    }
}

/// These seals, and those of them that nobody can use.
pub(super) async fn read(
    store: &Arc<Store>,
    highest: Vec<(SourceId, u32)>,
) -> Result<(Vec<Source>, Vec<Unusable>), AuditError> {
    let (mut sources, mut unusable) = (Vec::new(), Vec::new());
    let (mut reads, mut waiting) = (JoinSet::new(), highest.into_iter());
    loop {
        while reads.len() < READS {
            let Some((source_id, generation)) = waiting.next() else { break };
            let store = store.clone();
            reads.spawn(async move {
                let key = store.keys.seal(&source_id, generation);
                (seals::read(&store.s3, &store.bucket, &key).await.map(|seal| Source::of(&seal)), key)
            });
        }
        let Some(done) = reads.join_next().await else { return Ok((sources, unusable)) };
        match done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())) {
            (Ok(source), _) => sources.push(source),
            (Err(SealReadError::Aws(error)), _) if !error.is_no_such_object() => return Err(error.into()),
            (Err(error), key) => unusable.push((key, chain(&error))),
        }
    }
}

/// What the router's sweep says of an hour.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Swept {
    /// All raw objects that it saw are sealed.
    Whole,
    /// These are not.
    Open(Vec<Unsealed>),
    /// It has not said anything yet.
    Never,
}

/// Asks what the router's sweep left about an hour. An object that was sealed since is not told.
pub(super) async fn swept(store: &Store, raw_bucket: &str, hour: OffsetDateTime) -> Result<Swept, AuditError> {
    let get = |key| async move { objects::get_with_etag(&store.s3, &store.bucket, key).await };
    let mark_key = store.keys.swept_mark(hour);
    let mark = get(&mark_key).await?.map(|(bytes, _)| serde_json::from_slice::<Mark>(&bytes));
    if let Some(Ok(mark)) = &mark
        && mark.is_swept()
    {
        return Ok(Swept::Whole);
    }
    let open_key = store.keys.open_hour(hour);
    let open = get(&open_key).await?.map(|(bytes, _)| serde_json::from_slice::<OpenHour>(&bytes));
    let open = match open {
        Some(Ok(open)) => open,
        // A mark that says nothing, as an empty one, is one of an earlier release's making.
        None if matches!(mark, Some(Err(_))) => return Ok(Swept::Whole),
        None => return Ok(Swept::Never),
        Some(Err(source)) => return Err(AuditError::OpenHour { key: open_key, source }),
    };
    let mut unsealed = Vec::new();
    for object in open.unsealed {
        let first = store.keys.seal(&SourceId::new(raw_bucket, &object.key, &object.etag), 0);
        if !objects::exists(&store.s3, &store.bucket, &first).await? {
            unsealed.push(object);
        }
    }
    // A mark that was taken back and came good, or the other way round.
    Ok(if unsealed.is_empty() && mark.is_none() { Swept::Never } else { Swept::Open(unsealed) })
}

/// The hours that a range touches.
pub(super) fn hours(from: OffsetDateTime, to: OffsetDateTime) -> impl Iterator<Item = OffsetDateTime> {
    let seconds = from.unix_timestamp();
    let first = OffsetDateTime::from_unix_timestamp(seconds - seconds.rem_euclid(3600)).unwrap_or(from);
    std::iter::successors(Some(first), |hour| hour.checked_add(Duration::HOUR)).take_while(move |hour| *hour < to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_range_touches_the_hours_of_both_its_ends() {
        let of = |from, to| hours(from, to).collect::<Vec<_>>();
        assert_eq!(
            of(datetime!(2025-06-01 09:30 UTC), datetime!(2025-06-01 11:00 UTC)),
            [datetime!(2025-06-01 09:00 UTC), datetime!(2025-06-01 10:00 UTC)]
        );
        assert!(of(datetime!(2025-06-01 09:00 UTC), datetime!(2025-06-01 09:00 UTC)).is_empty());
    }
}
