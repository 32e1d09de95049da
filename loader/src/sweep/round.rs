//! One sweep from its first day to its last: days → seals → what they owe → announcements, then hours.

use super::announce::{Announcement, announcements};
use super::days::{self, Day, Settled};
use super::hours::{self, Hours, hour_of};
use super::owed::{Ledgers, Owing, PAIRS_MAX};
use super::reading::{READS, Reading, Sealed, Store};
use super::{Mode, Report, SweepError, Sweeper};
use crate::sql::sweep as sql;
use crate::warehouse::WarehouseError;
use common::claim::Progress;
use common::event_name::EventName;
use common::load_request::Lane;
use common::objects::{self, Listed};
use common::queue::{Feed, Queue};
use common::seals::SealReadError;
use common::source::SourceId;
use common::telemetry::chain;
use std::collections::BTreeSet;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::task::{JoinError, JoinSet};

/// S3's clock and ours may differ by this much: what a sweep takes for settled ends that much earlier.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5 * 60);

/// Since when seals are new to hours; `None`: all are.
struct HoursFrom {
    /// On days that every sweep looks at.
    window: Option<OffsetDateTime>,
    /// On earlier ones, which only deep sweeps look at: what came there since is new, however often hours were looked
    /// at meanwhile.
    earlier: Option<OffsetDateTime>,
}

impl HoursFrom {
    fn of(settled: &Settled, lag: Duration) -> Self {
        let window = settled.get(hours::MARKS).copied();
        let deep = settled.get(days::ALL_DAYS).map(|began| *began - lag - CLOCKS_DIFFER);
        Self { window, earlier: window.zip(deep).map(|(window, deep)| window.min(deep)) }
    }

    fn of_day(&self, in_window: bool) -> Option<OffsetDateTime> {
        if in_window { self.window } else { self.earlier }
    }
}

/// One sweep under way.
pub(super) struct Round<'a> {
    sweeper: &'a Sweeper,
    mode: Mode,
    started_at: OffsetDateTime,
    /// What is younger is on its way.
    until: OffsetDateTime,
    /// Asked for when the first seal is looked at: a sweep that finds nothing new wakes no warehouse.
    ledgers: Option<Ledgers>,
    live: Feed,
    backfill: Option<Feed>,
    /// Stopped tables that got their one request.
    probed: BTreeSet<EventName>,
    /// Hours of seals that are new since hours were last looked at.
    touched: BTreeSet<OffsetDateTime>,
    /// Whether some hour may wait to be complete.
    hours_wait: bool,
    progress: &'a Progress,
    report: Report,
}

impl<'a> Round<'a> {
    pub(super) fn new(sweeper: &'a Sweeper, mode: Mode, progress: &'a Progress) -> Self {
        let now = OffsetDateTime::now_utc();
        let feed = |queue: &Queue| Feed::new(queue.clone(), mode.patience);
        Self {
            sweeper,
            mode,
            started_at: now,
            until: now - sweeper.lag,
            ledgers: None,
            live: feed(&sweeper.live),
            backfill: sweeper.backfill.as_ref().map(feed),
            probed: BTreeSet::new(),
            touched: BTreeSet::new(),
            hours_wait: false,
            progress,
            report: Report::default(),
        }
    }

    /// The report, and whether hours are left that may wait to be complete.
    pub(super) async fn run(mut self, settled: &mut Settled) -> Result<(Report, bool), SweepError> {
        self.report.all_days = self.mode.all_days || days::is_deep_due(settled, self.started_at);
        let days = if self.report.all_days {
            days::all(&self.sweeper.store, settled, self.started_at).await?
        } else {
            days::of_window(settled, self.started_at, self.sweeper.window)
        };
        let hours_from = HoursFrom::of(settled, self.sweeper.lag);
        let settled_before = self.until - CLOCKS_DIFFER;
        for day in days {
            self.report.days += 1;
            let in_window = days::is_in_window(day, self.started_at, self.sweeper.window);
            let (looked_at, is_settled) = self.day(day, hours_from.of_day(in_window)).await?;
            let mut news = Vec::new();
            if !is_settled {
                self.report.low_water.get_or_insert_with(|| day.date.to_string());
            } else if looked_at {
                news.push((days::prefix(day.date), settled_before));
            }
            // Day by day, so that a sweep of years that is cut short was not for nothing.
            let touched = std::mem::take(&mut self.touched);
            if !self.mode.dry_run {
                self.check(touched).await?;
                self.remember(news, settled).await?;
            }
        }
        self.live.flush().await?;
        if let Some(backfill) = &mut self.backfill {
            backfill.flush().await?;
        }
        if !self.mode.dry_run {
            self.hours(settled).await?;
            let mut news = Vec::new();
            if self.report.all_days {
                news.push((days::ALL_DAYS.to_owned(), self.started_at));
            }
            if self.ledgers.is_some() {
                news.push((hours::MARKS.to_owned(), settled_before));
            }
            self.remember(news, settled).await?;
        }
        Ok((self.report, self.hours_wait))
    }

    /// Writes down how far the sweep came. Where the warehouse was not asked anything, what is new can be found out
    /// again for nothing.
    async fn remember(
        &self,
        mut news: Vec<(String, OffsetDateTime)>,
        settled: &mut Settled,
    ) -> Result<(), WarehouseError> {
        news.retain(|(prefix, at)| settled.get(prefix).is_none_or(|known| known < at));
        if self.ledgers.is_some() {
            for statement in sql::insert_settled(&self.sweeper.names, &news) {
                self.sweeper.warehouse.execute("sweep", &statement).await?;
            }
        }
        settled.extend(news);
        Ok(())
    }

    /// Whether anything of the day was looked at, and whether nothing of it is owed.
    async fn day(&mut self, day: Day, hours_from: Option<OffsetDateTime>) -> Result<(bool, bool), SweepError> {
        let sweeper = self.sweeper;
        let Store { s3, bucket, keys } = &*sweeper.store;
        let mut pages = objects::pages(s3, bucket, &keys.day_prefix(day.date));
        let (mut looked_at, mut is_settled) = (false, true);
        let (mut chunk, mut pairs) = (Vec::new(), 0);
        while let Some(mut page) = pages.next().await? {
            page.retain(|entry| entry.modified < self.until && day.from.is_none_or(|from| entry.modified >= from));
            looked_at |= !page.is_empty();
            let (mut reading, new) = self.reading(&page, hours_from);
            while let Some(sealed) = reading.next().await {
                let Some(sealed) = self.usable(sealed)? else {
                    is_settled = false;
                    continue;
                };
                if new.contains(&sealed.source_id) {
                    self.touched.insert(hour_of(sealed.source_time));
                }
                // A seal without events takes room too.
                pairs += sealed.events.len().max(1);
                chunk.push(sealed);
                if pairs >= PAIRS_MAX {
                    pairs = 0;
                    is_settled &= self.settle(std::mem::take(&mut chunk)).await?;
                }
            }
        }
        is_settled &= self.settle(chunk).await?;
        Ok((looked_at, is_settled))
    }

    /// The seals of index objects, and whose of them are new since hours were last looked at.
    fn reading(&self, page: &[Listed], hours_from: Option<OffsetDateTime>) -> (Reading, BTreeSet<SourceId>) {
        let (mut reading, mut new) = (Reading::new(self.sweeper.store.clone()), BTreeSet::new());
        for entry in page {
            let Some((source_id, generation)) = self.sweeper.store.keys.index_entry(&entry.key) else { continue };
            if hours_from.is_none_or(|from| entry.modified >= from) {
                new.insert(source_id.clone());
            }
            reading.push(source_id, generation);
        }
        (reading, new)
    }

    /// A seal that nobody can use holds up its day and nothing else.
    fn usable<T>(&mut self, read: Result<T, SealReadError>) -> Result<Option<T>, SweepError> {
        match read {
            Ok(sealed) => {
                self.report.seals += 1;
                self.progress.add("seals read", 1);
                Ok(Some(sealed))
            }
            Err(SealReadError::Aws(error)) if !error.is_no_such_object() => Err(error.into()),
            Err(error) => {
                let why = chain(&error);
                tracing::error!(why, "a seal cannot be used: what it names cannot be loaded");
                self.report.unreadable += 1;
                Ok(None)
            }
        }
    }

    /// Announces what of these seals is owed. Tells whether nothing is.
    async fn settle(&mut self, chunk: Vec<Sealed>) -> Result<bool, SweepError> {
        if chunk.is_empty() {
            return Ok(true);
        }
        let ledgers = self.ledgers().await?;
        let owing = ledgers.owing(chunk).await?;
        let is_settled = owing.is_empty();
        let mut tasks = JoinSet::new();
        for mut one in owing {
            for event in &one.failed {
                let count = self.report.event(event);
                count.owed += 1;
                count.failed += 1;
            }
            for event in &one.unknown {
                self.report.event(event).left += 1;
            }
            for (event, _) in &one.owed {
                self.report.event(event).owed += 1;
            }
            self.progress.add("requests owed", (one.owed.len() + one.failed.len()) as u64);
            self.hold_back(&mut one);
            if one.owed.is_empty() || self.mode.dry_run {
                continue;
            }
            if tasks.len() >= READS {
                self.send(tasks.join_next().await).await?;
            }
            let (store, ledgers, now) = (self.sweeper.store.clone(), ledgers.clone(), self.started_at);
            tasks.spawn(async move { announcements(&store, &ledgers, one, now).await });
        }
        while let Some(made) = tasks.join_next().await {
            self.send(Some(made)).await?;
        }
        Ok(is_settled)
    }

    /// Of a stopped table one request is enough to find out whether it still is.
    fn hold_back(&mut self, owing: &mut Owing) {
        let (sweeper, probed, report) = (self.sweeper, &mut self.probed, &mut self.report);
        owing.owed.retain(|(event, _)| {
            let goes = !sweeper.is_stopped(event) || probed.insert(event.clone());
            if !goes {
                report.event(event).left += 1;
            }
            goes
        });
    }

    async fn send(
        &mut self,
        made: Option<Result<Result<Vec<Announcement>, SweepError>, JoinError>>,
    ) -> Result<(), SweepError> {
        let Some(made) = made else { return Ok(()) };
        let made = made.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        let announcements = match made {
            Err(SweepError::Seal(error)) => self.usable(Err(error))?.unwrap_or_default(),
            made => made?,
        };
        for Announcement { event, lane, body } in announcements {
            let feed = match (&mut self.backfill, lane) {
                (Some(backfill), Lane::Backfill) => backfill,
                _ => &mut self.live,
            };
            let count = self.report.event(&event);
            if feed.take(body).await? {
                count.announced += 1;
                self.progress.add("announced", 1);
            } else {
                count.left += 1;
                self.report.has_more = true;
            }
        }
        Ok(())
    }

    /// Looks at hours that are marked now, and at those that waited.
    async fn hours(&mut self, settled: &Settled) -> Result<(), SweepError> {
        let mut hours = hours::newly_marked(&self.sweeper.store, settled).await?;
        if self.hours_wait || self.sweeper.hours_wait || !hours.is_empty() {
            let ledgers = self.ledgers().await?;
            let (waited_for, waits) = Hours::of(self.sweeper, &ledgers).waited_for().await?;
            self.hours_wait = waits;
            hours.extend(waited_for);
        }
        self.check(hours).await
    }

    /// Looks at hours that may have become complete or incomplete.
    async fn check(&mut self, hours: BTreeSet<OffsetDateTime>) -> Result<(), SweepError> {
        if hours.is_empty() {
            return Ok(());
        }
        let ledgers = self.ledgers().await?;
        let (added, waits) = Hours::of(self.sweeper, &ledgers).check(hours).await?;
        self.report.complete_rows += added;
        self.hours_wait |= waits;
        Ok(())
    }

    async fn ledgers(&mut self) -> Result<Ledgers, WarehouseError> {
        if self.ledgers.is_none() {
            self.ledgers = Some(Ledgers::open(&self.sweeper.warehouse, &self.sweeper.names).await?);
        }
        Ok(self.ledgers.clone().expect("opened just above"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn what_came_late_before_the_window_is_new_to_the_next_deep_sweep() {
        let lag = Duration::from_secs(15 * 60);
        let (deep, marks) = (datetime!(2025-06-01 06:00 UTC), datetime!(2025-06-01 11:00 UTC));
        let mut settled = Settled::from([(hours::MARKS.to_owned(), marks)]);
        let from = HoursFrom::of(&settled, lag);
        assert_eq!((from.of_day(true), from.of_day(false)), (Some(marks), None), "no deep sweep yet: all is new");
        settled.insert(days::ALL_DAYS.to_owned(), deep);
        let from = HoursFrom::of(&settled, lag);
        assert_eq!((from.of_day(true), from.of_day(false)), (Some(marks), Some(datetime!(2025-06-01 05:40 UTC))));
    }
}
