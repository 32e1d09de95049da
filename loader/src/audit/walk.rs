//! The way through a range of source time, hour by hour: what was read and sealed in it, and windows of it to compare.

use super::seals::{Day, Source, Swept, hours, swept};
use super::tally::ReadTally;
use super::window::Window;
use super::{Audit, AuditError, Difference, Kind, utc_date};
use time::{Date, OffsetDateTime};
use tokio::task::JoinSet;

/// Pairs of source and event that are compared together.
pub(super) const PAIRS_MAX: usize = 200_000;

impl Audit<'_> {
    /// Everything that was sealed in the range, in windows that fit memory.
    pub(super) async fn walk(&mut self) -> Result<(), AuditError> {
        let store = self.store.clone();
        let mut from = self.ask.from;
        let mut window = Window::default();
        let mut date = Some(utc_date(from));
        while let Some(day) = date.filter(|day| day.midnight().assume_utc() < self.ask.to) {
            self.look_at_sweeps(day).await?;
            let mut hours = Day::open(&store, day);
            while let Some(hour) = hours.next().await? {
                for (key, why) in hour.unusable {
                    let object = format!("s3://{}/{key}", store.bucket);
                    let repair = "upgrade the loader, or see the runbook: A seal cannot be used".to_owned();
                    self.difference(Difference::of_object(Kind::SealUnusable, object, why, repair));
                }
                let mut until = from;
                for source in hour.sources {
                    // Hours come in order, and their sources lie in them.
                    until = until.max(end_of_hour(source.time).min(self.ask.to));
                    if self.ask.is_of(source.time) {
                        self.read(&source);
                        window.add(source, self.ask);
                    }
                }
                if window.pairs() >= PAIRS_MAX {
                    self.compare(std::mem::take(&mut window), from, until).await?;
                    from = until;
                    self.tell_days(Some(utc_date(until)));
                }
            }
            date = day.next_day();
        }
        self.compare(window, from, self.ask.to).await?;
        self.tell_days(None);
        Ok(())
    }

    /// Counts what was read of a source.
    fn read(&mut self, source: &Source) {
        self.objects += source.read;
        self.days.entry(utc_date(source.time)).or_default().0 += source.read;
        if !source.is_balanced {
            let object = format!("s3://{}/{}", self.store.bucket, self.store.keys.seal(&source.id, source.generation));
            let repair = "see the runbook: A seal cannot be used".to_owned();
            self.difference(Difference::of_object(Kind::SealUnbalanced, object, String::new(), repair));
        }
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

fn end_of_hour(at: OffsetDateTime) -> OffsetDateTime {
    let seconds = at.unix_timestamp();
    let hour = OffsetDateTime::from_unix_timestamp(seconds - seconds.rem_euclid(3600)).unwrap_or(at);
    hour.saturating_add(time::Duration::HOUR)
}
