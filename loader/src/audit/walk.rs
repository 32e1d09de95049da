//! The way through a range of source time, hour by hour: what was read and sealed in it, and windows of it to compare.

use super::seals::{Day, Swept, hours, read, swept};
use super::tally::ReadTally;
use super::window::Window;
use super::{Audit, AuditError, Difference, Kind, utc_date};
use crate::sql::audit::Place;
use common::source::SourceId;
use time::{Date, OffsetDateTime};
use tokio::task::JoinSet;

/// Pairs of source and event that are compared together.
pub(super) const PAIRS_MAX: usize = 200_000;

/// Seals that are read before it is looked whether that is enough to compare.
const READ_TOGETHER: usize = 1_000;

impl Audit<'_> {
    /// Everything that was sealed in the range, in windows that fit memory: of many hours, or of a slice of one.
    pub(super) async fn walk(&mut self) -> Result<(), AuditError> {
        let store = self.store.clone();
        let (start, to) = (self.ask.from, self.ask.to);
        let mut from = Place { time: start, within: None };
        let mut window = Window::default();
        let mut date = Some(utc_date(start));
        while let Some(day) = date.filter(|day| day.midnight().assume_utc() < to) {
            self.look_at_sweeps(day).await?;
            let mut hours = Day::open(&store, start.max(day.midnight().assume_utc()), to);
            while let Some(hour) = hours.next().await? {
                let (begins, end) = (hour.begins.max(start), (hour.begins + time::Duration::HOUR).min(to));
                let mut sources = hour.highest.into_iter().peekable();
                while sources.peek().is_some() {
                    self.take_up(sources.by_ref().take(READ_TOGETHER).collect(), &mut window).await?;
                    if window.pairs() < PAIRS_MAX {
                        continue;
                    }
                    let until = match sources.peek() {
                        Some((next, _)) => Place { time: begins, within: Some((end, next.clone())) },
                        None => Place { time: end, within: None },
                    };
                    self.compare(std::mem::take(&mut window), &from, &until).await?;
                    self.tell_days(Some(utc_date(begins)));
                    from = until;
                }
            }
            date = day.next_day();
        }
        self.compare(window, &from, &Place { time: to, within: None }).await?;
        self.tell_days(None);
        Ok(())
    }

    /// Reads these seals, and adds those of the range to the window.
    async fn take_up(&mut self, highest: Vec<(SourceId, u32)>, window: &mut Window) -> Result<(), AuditError> {
        let store = self.store.clone();
        let (sources, unusable) = read(&store, highest).await?;
        for (key, why) in unusable {
            let object = format!("s3://{}/{key}", store.bucket);
            let repair = "upgrade the loader, or see the runbook: A seal cannot be used".to_owned();
            self.difference(Difference::of_object(Kind::SealUnusable, object, why, repair));
        }
        for source in sources.into_iter().filter(|source| self.ask.is_of(source.time)) {
            if !source.is_balanced {
                let object = format!("s3://{}/{}", store.bucket, store.keys.seal(&source.id, source.generation));
                let repair = "see the runbook: A seal cannot be used".to_owned();
                self.difference(Difference::of_object(Kind::SealUnbalanced, object, String::new(), repair));
            }
            window.add(source, self.ask);
        }
        Ok(())
    }

    /// Counts what was read of a source.
    pub(super) fn read(&mut self, time: OffsetDateTime, read: ReadTally) {
        self.objects += read;
        self.days.entry(utc_date(time)).or_default().0 += read;
    }

    /// What the router's sweep says of the hours of a day.
    async fn look_at_sweeps(&mut self, day: Date) -> Result<(), AuditError> {
        if self.ask.event.is_some() {
            return Ok(());
        }
        let midnight = day.midnight().assume_utc();
        let (from, to) = (self.ask.from.max(midnight), self.ask.to.min(midnight + time::Duration::DAY));
        let (mut read, now) = (ReadTally::default(), self.started_at);
        let mut looks = JoinSet::new();
        for hour in hours(from, to).take_while(|hour| *hour < now) {
            let (store, bucket) = (self.store.clone(), self.settings.raw.bucket.clone());
            looks.spawn(async move { swept(&store, &bucket, hour).await });
        }
        while let Some(done) = looks.join_next().await {
            let unsealed = match done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))? {
                Swept::Whole => continue,
                Swept::Never => {
                    read.hours_not_swept += 1;
                    continue;
                }
                Swept::Open(unsealed) => unsealed,
            };
            for object in unsealed.into_iter().filter(|object| self.ask.is_of(object.time)) {
                read.unsealed += 1;
                if object.given_up {
                    read.given_up += 1;
                    let uri = format!("s3://{}/{}", self.settings.raw.bucket, object.key);
                    let detail = format!("asked for {} times", object.tries);
                    let repair = "router sweep --again, once its cause is removed".to_owned();
                    self.difference(Difference::of_object(Kind::GivenUp, uri, detail, repair));
                }
            }
        }
        self.objects += read;
        self.days.entry(day).or_default().0 += read;
        Ok(())
    }
}
