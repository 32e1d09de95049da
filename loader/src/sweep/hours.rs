//! Which hours are complete: all raw objects of the hour sealed (the router's sweep marks it), every seal loaded, and a
//! while passed. It is said of what was visible when the router listed them, never of a later time (docs/adr/0019).

use super::days::Settled;
use super::owed::{Ledgers, PAIRS_MAX};
use super::reading::{Reading, Sealed, Store};
use super::{SweepError, Sweeper};
use crate::sql::Names;
use crate::sql::sweep::{self as sql, CompleteRow};
use crate::verdict::Class;
use crate::warehouse::{Classed as _, Row, Warehouse, WarehouseError, number, required};
use common::event_name::EventName;
use common::seals::SealReadError;
use common::swept::Mark;
use common::telemetry::chain;
use common::{objects, timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use time::OffsetDateTime;

const HOUR: time::Duration = time::Duration::HOUR;

/// Hours that are checked together: their rows of before come with one statement, and what is new goes with few.
const AT_ONCE: usize = 200;

/// A row, of which hour, and up to which time it vouches.
type Said = (OffsetDateTime, OffsetDateTime, CompleteRow);

/// Under which prefix it is remembered which marks were looked at.
pub(super) const MARKS: &str = "swept/";

/// Finds out and writes down what changed.
pub(super) struct Hours<'a> {
    store: &'a Arc<Store>,
    warehouse: &'a Warehouse,
    names: &'a Names,
    ledgers: &'a Ledgers,
}

/// Sources waited for, by event and hour.
type Incomplete = BTreeMap<EventName, BTreeMap<OffsetDateTime, u64>>;

/// What was counted of one hour.
#[derive(Debug, Default)]
struct Counted {
    /// Sealed and loaded sources of each event.
    counts: BTreeMap<EventName, (u64, u64)>,
    /// Events whose ledgers could not be read.
    unknown: BTreeSet<EventName>,
    /// Seals that nobody can use: which events they hold is not known.
    unusable: u64,
}

impl Counted {
    /// What is to be said of these events, and of each that has sources in the hour. `is_swept`: all of the hour is sealed.
    fn rows(&self, known: &BTreeSet<EventName>, is_swept: bool, before: &[CompleteRow]) -> Vec<CompleteRow> {
        // Every known event has its row: no record of it in this hour is an answer too.
        let events: BTreeSet<&EventName> = known.iter().chain(self.counts.keys()).collect();
        let row = |event: &EventName| {
            let (sealed, loaded) = self.counts.get(event).copied().unwrap_or_default();
            let event = event.clone();
            if self.unknown.contains(&event) {
                // What was said before may not be so any more; how much is loaded is said when it is known again.
                let loaded = before.iter().find(|row| row.event == event).map_or(0, |row| row.loaded);
                return CompleteRow { event, sealed, loaded, complete: false };
            }
            CompleteRow { event, sealed, loaded, complete: is_swept && self.unusable == 0 && sealed == loaded }
        };
        events.into_iter().map(row).collect()
    }
}

/// The hour of a time.
pub(super) fn hour_of(at: OffsetDateTime) -> OffsetDateTime {
    let seconds = at.unix_timestamp();
    OffsetDateTime::from_unix_timestamp(seconds - seconds.rem_euclid(3600)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A stray mark may name the last hour that there is.
fn end_of(hour: OffsetDateTime) -> OffsetDateTime {
    hour.saturating_add(HOUR)
}

/// Hours whose marks are new.
pub(super) async fn newly_marked(store: &Store, settled: &Settled) -> Result<BTreeSet<OffsetDateTime>, SweepError> {
    let from = settled.get(MARKS);
    let mut hours = BTreeSet::new();
    let mut pages = objects::pages(&store.s3, &store.bucket, &store.keys.swept_root());
    while let Some(page) = pages.next().await? {
        let new = page.iter().filter(|mark| from.is_none_or(|from| mark.modified >= *from));
        hours.extend(new.filter_map(|mark| store.keys.hour_of_mark(&mark.key)));
    }
    Ok(hours)
}

impl<'a> Hours<'a> {
    pub(super) fn of(sweeper: &'a Sweeper, ledgers: &'a Ledgers) -> Self {
        let Sweeper { store, warehouse, names, .. } = sweeper;
        Self { store, warehouse, names, ledgers }
    }

    /// Checks the hours that are marked. Tells how many rows it added, and whether some of them wait.
    pub(super) async fn check(&self, hours: BTreeSet<OffsetDateTime>) -> Result<(u64, bool), SweepError> {
        let (mut added, mut waits) = (0, false);
        let hours: Vec<OffsetDateTime> = hours.into_iter().collect();
        for some in hours.chunks(AT_ONCE) {
            let mut marks = Vec::new();
            for hour in some {
                marks.extend(self.mark(*hour).await?.map(|mark| (*hour, mark)));
            }
            let said = self.news(marks).await?;
            let statements = sql::insert_complete(self.names, &said);
            for some in statements.chunks(crate::sql::BATCH_MAX_ENTRIES) {
                self.warehouse.batch(&crate::batch::new_name("complete"), some.to_vec()).await?;
            }
            added += said.len() as u64;
            waits |= said.iter().any(|(_, _, row)| !row.complete);
        }
        Ok((added, waits))
    }

    /// What is to be said of these hours and was not said yet.
    async fn news(&self, marks: Vec<(OffsetDateTime, Mark)>) -> Result<Vec<Said>, SweepError> {
        let hours: Vec<OffsetDateTime> = marks.iter().map(|(hour, _)| *hour).collect();
        if hours.is_empty() {
            return Ok(Vec::new());
        }
        let mut before: BTreeMap<OffsetDateTime, Vec<CompleteRow>> = BTreeMap::new();
        for row in self.warehouse.query("sweep", &sql::complete_of(self.names, &hours)).await? {
            before.entry(time_of(&row, 0)?).or_default().push(complete_row(&row)?);
        }
        let mut said = Vec::new();
        for (hour, mark) in marks {
            let before = before.remove(&hour).unwrap_or_default();
            let changed = self.changed(hour, &mark, &before).await?;
            said.extend(changed.into_iter().map(|row| (hour, mark.listed_at, row)));
        }
        Ok(said)
    }

    /// The hour's mark, if it has one that can be read. What comes to be sealed after it was read is no part of what it
    /// vouches for.
    async fn mark(&self, hour: OffsetDateTime) -> Result<Option<Mark>, SweepError> {
        let Store { s3, bucket, keys } = &**self.store;
        let found = objects::get_with_etag(s3, bucket, &keys.swept_mark(hour)).await?;
        Ok(found.and_then(|(bytes, _)| Mark::parse(&bytes)))
    }

    /// What is not complete, with the number of sources it waits for.
    async fn incomplete(&self) -> Result<Incomplete, SweepError> {
        let mut incomplete = Incomplete::new();
        for row in self.warehouse.query("sweep", &sql::incomplete(self.names)).await? {
            incomplete.entry(event(&row, 0)?).or_default().insert(time_of(&row, 1)?, number(&row, 2)?);
        }
        Ok(incomplete)
    }

    /// Incomplete hours of which the ledgers have as many sources as were sealed, and whether there are any incomplete
    /// ones. Counting is cheap; whether they are the right sources is for [`Self::check`].
    pub(super) async fn waited_for(&self) -> Result<(BTreeSet<OffsetDateTime>, bool), SweepError> {
        let incomplete = self.incomplete().await?;
        let (mut hours, waits) = (BTreeSet::new(), !incomplete.is_empty());
        for (event, waiting) in incomplete {
            let (Some((first, _)), Some((last, _))) = (waiting.first_key_value(), waiting.last_key_value()) else {
                continue;
            };
            let mut loaded: BTreeMap<OffsetDateTime, u64> = BTreeMap::new();
            if self.ledgers.events().contains(&event) {
                let statement = sql::loaded_by_hour(self.names, &event, *first, end_of(*last));
                match self.warehouse.query("sweep", &statement).await {
                    Ok(rows) => {
                        for row in rows {
                            loaded.insert(time_of(&row, 0)?, number(&row, 1)?);
                        }
                    }
                    Err(error) if error.class() == Class::Transient => return Err(error.into()),
                    // A ledger that cannot be read holds no other event up.
                    Err(_) => continue,
                }
            }
            let has_enough = |(hour, sealed): &(&OffsetDateTime, &u64)| loaded.get(hour).unwrap_or(&0) >= *sealed;
            hours.extend(waiting.iter().filter(has_enough).map(|(hour, _)| *hour));
        }
        Ok((hours, waits))
    }

    /// The rows of one hour that say something else than those before.
    async fn changed(
        &self,
        hour: OffsetDateTime,
        mark: &Mark,
        before: &[CompleteRow],
    ) -> Result<Vec<CompleteRow>, SweepError> {
        let known = self.ledgers.events();
        let said_no = |event: &EventName| before.iter().any(|row| row.event == *event && !row.complete);
        if !mark.is_swept() && before.iter().all(|row| !row.complete) && known.iter().all(said_no) {
            // Whatever is loaded by now: the answer is the same until the router's sweep has another one.
            return Ok(Vec::new());
        }
        let is_swept = mark.is_swept() && mark.is_final(end_of(hour));
        let mut changed = self.count(hour).await?.rows(known, is_swept, before);
        changed.retain(|row| !before.contains(row));
        Ok(changed)
    }

    /// Sealed and loaded sources by event. Holds the hour's source ids and [`PAIRS_MAX`] pairs.
    async fn count(&self, hour: OffsetDateTime) -> Result<Counted, SweepError> {
        let mut highest = BTreeMap::new();
        let mut pages = objects::pages(&self.store.s3, &self.store.bucket, &self.store.keys.hour_prefix(hour));
        while let Some(page) = pages.next().await? {
            for (source_id, generation) in page.iter().filter_map(|entry| self.store.keys.index_entry(&entry.key)) {
                let known = highest.entry(source_id).or_insert(generation);
                *known = generation.max(*known);
            }
        }
        let mut reading = Reading::new(self.store.clone());
        for (source_id, generation) in highest {
            reading.push(source_id, generation);
        }
        let (mut counted, mut chunk, mut pairs) = (Counted::default(), Vec::new(), 0);
        while let Some(sealed) = reading.next().await {
            let sealed = match sealed {
                Ok(sealed) => sealed,
                Err(SealReadError::Aws(error)) if !error.is_no_such_object() => return Err(error.into()),
                // It holds up its hour and nothing else; the day that it was sealed on counts it for the report.
                Err(error) => {
                    let why = chain(&error);
                    tracing::error!(%hour, why, "a seal cannot be used: its hour is not complete");
                    counted.unusable += 1;
                    continue;
                }
            };
            // A seal without events takes room too.
            pairs += sealed.events.len().max(1);
            chunk.push(sealed);
            if pairs >= PAIRS_MAX {
                pairs = 0;
                self.add(&mut counted, std::mem::take(&mut chunk)).await?;
            }
        }
        self.add(&mut counted, chunk).await?;
        Ok(counted)
    }

    async fn add(&self, counted: &mut Counted, chunk: Vec<Sealed>) -> Result<(), WarehouseError> {
        let mut pairs = Vec::new();
        for one in &chunk {
            pairs.extend(one.events.iter().map(|(event, _)| (event, &one.source_id)));
        }
        let loaded = self.ledgers.loaded(&pairs).await?;
        for one in &chunk {
            for (event, since) in &one.events {
                let count = counted.counts.entry(event.clone()).or_default();
                count.0 += 1;
                count.1 += u64::from(loaded.has(event, &one.source_id, *since));
            }
        }
        counted.unknown.extend(loaded.unknown);
        Ok(())
    }
}

fn complete_row(row: &Row) -> Result<CompleteRow, WarehouseError> {
    let (event, sealed, loaded) = (event(row, 1)?, number(row, 2)?, number(row, 3)?);
    Ok(CompleteRow { event, sealed, loaded, complete: required(row, 4)? == "true" })
}

fn event(row: &Row, at: usize) -> Result<EventName, WarehouseError> {
    let text = required(row, at)?.to_owned();
    EventName::try_from(text.clone()).map_err(|_| WarehouseError::Unexpected { found: text, expected: "an event name" })
}

/// A TIMESTAMP as the Data API gives it: `2025-06-01 09:00:00`, with a fraction if there is one.
pub(crate) fn time_of(row: &Row, at: usize) -> Result<OffsetDateTime, WarehouseError> {
    let text = required(row, at)?;
    timestamp::parse(&format!("{}Z", text.replacen(' ', "T", 1)))
        .map_err(|_| WarehouseError::Unexpected { found: text.to_owned(), expected: "a timestamp" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn nothing_is_vouched_for_that_could_not_be_read() {
        let [a, b, c] = ["a", "b", "c"].map(EventName::of_type);
        let row = |event: &EventName, sealed, loaded, complete| CompleteRow {
            event: event.clone(),
            sealed,
            loaded,
            complete,
        };
        let known = BTreeSet::from([a.clone(), b.clone(), c.clone()]);
        let mut counted = Counted {
            counts: BTreeMap::from([(a.clone(), (2, 2)), (b.clone(), (3, 0))]),
            unknown: BTreeSet::from([b.clone()]),
            unusable: 0,
        };
        let before = [row(&a, 2, 2, true), row(&b, 2, 2, true)];
        let said = |counted: &Counted, is_swept| counted.rows(&known, is_swept, &before);
        assert_eq!(said(&counted, true), [row(&a, 2, 2, true), row(&b, 3, 2, false), row(&c, 0, 0, true)]);
        assert!(said(&counted, false).iter().all(|row| !row.complete), "not all of the hour is sealed");
        counted.unusable = 1;
        assert_eq!(said(&counted, true), [row(&a, 2, 2, false), row(&b, 3, 2, false), row(&c, 0, 0, false)]);
    }

    #[test]
    fn the_last_hour_of_all_time_never_ends() {
        let last = hour_of(datetime!(9999-12-31 23:10 UTC));
        let mark = Mark { version: 1, listed_at: last, objects: 0, unsealed: 0 };
        assert!(!mark.is_final(end_of(last)));
        assert_eq!(end_of(datetime!(2025-06-01 09:00 UTC)), datetime!(2025-06-01 10:00 UTC));
    }

    #[test]
    fn times_of_the_warehouse_are_read_as_utc() {
        let read = |text: &str| time_of(&vec![Some(text.to_owned())], 0).unwrap();
        assert_eq!(read("2025-06-01 09:00:00"), datetime!(2025-06-01 09:00 UTC));
        assert_eq!(read("2025-06-01 09:00:00.25"), datetime!(2025-06-01 09:00:00.25 UTC));
        assert_eq!(hour_of(datetime!(2025-06-01 01:59:59 +02:00)), datetime!(2025-05-31 23:00 UTC));
    }
}
