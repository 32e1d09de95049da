//! One sweep from its listing to its marks: raw objects → what has no seal → requests → documents of hours.

use super::ask::Asking;
use super::hours::Documents;
use super::looked::Found;
use super::marks::Seen;
use super::open::{OpenHour, remembered};
use super::report::GivenUp;
use super::room::Room;
use super::standing::{self, Standing};
use super::{Mode, Report, SweepError, Sweeper};
use crate::known::{Known, hour_of};
use crate::listing::{self, RawObject};
use common::claim::Progress;
use common::settings::SweepSettings;
use common::source::SourceId;
use futures::{StreamExt, TryFutureExt, TryStreamExt, stream};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;
use time::OffsetDateTime;

/// Objects of the listing that are compared with the index of hours at once.
pub(super) const BATCH: usize = 20_000;

/// Objects of which it is found out at once whether they have a seal elsewhere: so many may be named beyond all room.
const CHUNK: usize = 256;

/// Small objects read or asked about at once.
pub(super) const READS: usize = 16;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What was sealed after an hour of the index was listed is found by the next sweep.
const HOURS_KEPT: Duration = Duration::from_secs(10 * 60);

/// What the listing shows of an hour.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) objects: u64,
    pub(super) unsealed: Vec<RawObject>,
    /// Without a seal, and not among them.
    pub(super) unnamed: u64,
}

/// One sweep under way.
pub(super) struct Round<'a> {
    sweeper: &'a Sweeper,
    times: &'a SweepSettings,
    known: Known,
    mode: Mode,
    progress: &'a Progress,
    listed_at: OffsetDateTime,
    /// What earlier sweeps gave up.
    given_up: HashSet<SourceId>,
    room: Room,
    report: Report,
}

impl<'a> Round<'a> {
    pub(super) fn new(sweeper: &'a Sweeper, mode: Mode, progress: &'a Progress) -> Self {
        let (listed_at, report) = (OffsetDateTime::now_utc(), Report::default());
        let (settings, times) = (&*sweeper.settings, &sweeper.settings.sweep);
        let known = Known::new(&sweeper.s3, settings, HOURS_KEPT);
        let (given_up, room) = (HashSet::new(), Room::new());
        Self { sweeper, times, known, mode, progress, listed_at, given_up, room, report }
    }

    pub(super) async fn run(mut self) -> Result<Report, SweepError> {
        let times = self.times;
        let found = Found::read(&self.known).await?;
        let were_open = found.open_hours(&self.known).await?;
        let mut full = found.is_full_due(self.listed_at, times.full_every);
        let (from, documents) = loop {
            let (from, documents) = self.hours(&found, &were_open, full).await?;
            // What is not known by name can only be found again, and may lie in any folder.
            if full || !documents.iter().any(Documents::count_unnamed) {
                break (from, documents);
            }
            full = true;
        };
        self.report.from = common::timestamp::format(from);
        self.report.full = full;
        if !self.mode.again {
            let given_up = documents.iter().flat_map(Documents::unsealed).filter(|object| object.given_up);
            self.given_up = given_up.map(|one| SourceId::new(&self.known.raw_bucket, &one.key, &one.etag)).collect();
        }
        let mut listed = BTreeMap::new();
        let aside = self.list(from, &mut listed).await?;
        let mut hours = self.open(documents, listed, from).await?;
        let mut asking = Asking::new(self.sweeper, &self.known, self.mode, self.listed_at, &mut self.report);
        asking.run(&mut hours).await?;
        let still_open = self.write(hours).await?;
        if !self.mode.dry_run {
            let aside = self.report.full.then_some(aside);
            found.replace(&self.known, self.listed_at, aside, &still_open).await?;
        }
        Ok(self.report)
    }

    /// The first hour that is listed, and the documents of it, of all that follow and of those before it that are open.
    async fn hours(
        &self,
        found: &Found,
        were_open: &BTreeSet<OffsetDateTime>,
        full: bool,
    ) -> Result<(OffsetDateTime, Vec<Documents>), SweepError> {
        let mut from = found.first_hour(self.listed_at, self.times, full);
        let mut before = self.documents(were_open.range(..from).copied(), were_open).await?;
        if let Some(hour) = before.iter().filter(|documents| !documents.are_whole()).map(Documents::hour).min() {
            from = hour;
        }
        before.retain(|documents| documents.hour() < from);
        let last = hour_of(self.listed_at - self.times.raw_lag);
        let in_range = std::iter::successors(Some(from), |hour| Some(*hour + HOUR)).take_while(|hour| *hour <= last);
        before.extend(self.documents(in_range, were_open).await?);
        Ok((from, before))
    }

    async fn documents(
        &self,
        hours: impl Iterator<Item = OffsetDateTime> + Send,
        were_open: &BTreeSet<OffsetDateTime>,
    ) -> Result<Vec<Documents>, SweepError> {
        let known = &self.known;
        let reads: Vec<_> = hours.map(|hour| Documents::read(known, hour, were_open.contains(&hour))).collect();
        Ok(stream::iter(reads).buffered(READS).try_collect().await?)
    }

    /// Lists what may be of these hours, and finds out what of it is sealed. Tells how many objects lie in folders that
    /// only a full look looks into.
    async fn list(
        &mut self,
        from: OffsetDateTime,
        hours: &mut BTreeMap<OffsetDateTime, Listed>,
    ) -> Result<u64, SweepError> {
        let until = self.listed_at - self.times.raw_lag;
        let (mut batch, mut aside) = (Vec::new(), 0);
        let Known { s3, raw_bucket, .. } = &self.known;
        let prefix = &self.sweeper.settings.raw.prefix;
        // A day of grace: whoever dates the folders may live elsewhere.
        let first_day = (from - DAY).date();
        let mut pages = match self.report.full {
            true => listing::list(s3, raw_bucket, prefix),
            false => listing::list_from(s3, raw_bucket, prefix, first_day),
        };
        while let Some(page) = pages.recv().await {
            let page = page?;
            self.report.listed += page.len() as u64;
            self.progress.add("raw objects listed", page.len() as u64);
            aside += page.iter().filter(|object| listing::is_aside(&object.key, first_day)).count() as u64;
            batch.extend(page.into_iter().filter(|object| object.modified >= from && object.modified < until));
            if batch.len() >= BATCH {
                self.count(std::mem::take(&mut batch), hours).await?;
            }
        }
        self.count(batch, hours).await?;
        Ok(aside)
    }

    /// Compares objects with the index of hours.
    async fn count(
        &mut self,
        batch: Vec<RawObject>,
        hours: &mut BTreeMap<OffsetDateTime, Listed>,
    ) -> Result<(), SweepError> {
        let generations = self.known.generations(&batch).await?;
        self.report.objects += batch.len() as u64;
        let mut unsealed = Vec::new();
        for (object, generation) in batch.into_iter().zip(generations) {
            hours.entry(hour_of(object.modified)).or_default().objects += 1;
            if generation.is_none() {
                unsealed.push(object);
            }
        }
        let mut unsealed = unsealed.into_iter().peekable();
        while unsealed.peek().is_some() {
            let chunk: Vec<RawObject> = unsealed.by_ref().take(CHUNK).collect();
            self.name(chunk, hours).await?;
        }
        Ok(())
    }

    /// Keeps those of these objects for which there is something to do or to tell, as long as there is room for names.
    async fn name(
        &mut self,
        objects: Vec<RawObject>,
        hours: &mut BTreeMap<OffsetDateTime, Listed>,
    ) -> Result<(), SweepError> {
        let overwrite = self.sweeper.settings.raw.overwrite;
        let mut looks = Vec::new();
        for object in objects {
            let is_given_up = || self.given_up.contains(&object.source_id(&self.known.raw_bucket));
            let is_askable = !object.is_archived && !is_given_up();
            if self.room.is_left(is_askable) {
                let look = standing::of_listed(&self.known, overwrite, object);
                looks.push(look.map_ok(move |(object, standing)| (object, standing, is_askable)));
            } else {
                self.progress.add("without a seal", 1);
                hours.entry(hour_of(object.modified)).or_default().unnamed += 1;
            }
        }
        let looked: Vec<_> = stream::iter(looks).buffered(READS).try_collect().await?;
        for (object, standing, is_askable) in looked {
            if standing == Standing::Unsealed {
                self.progress.add("without a seal", 1);
                self.room.take(is_askable);
                hours.entry(hour_of(object.modified)).or_default().unsealed.push(object);
            }
        }
        Ok(())
    }

    /// What is to be said of each hour: by what was listed now, and what earlier sweeps remember.
    async fn open(
        &mut self,
        documents: Vec<Documents>,
        mut listed: BTreeMap<OffsetDateTime, Listed>,
        from: OffsetDateTime,
    ) -> Result<Vec<OpenHour>, SweepError> {
        let overwrite = self.sweeper.settings.raw.overwrite;
        let mut hours = Vec::new();
        for documents in documents {
            let is_listed = documents.hour() >= from;
            let now = listed.remove(&documents.hour()).unwrap_or_default();
            let objects = (is_listed && self.report.full).then_some(now.objects);
            let mut hour = OpenHour::new(documents, now, objects);
            let (still, lost) = remembered(&self.known, overwrite, hour.take_unlisted()).await?;
            self.report.lost += lost;
            hour.unsealed.extend(still);
            hours.push(hour);
        }
        Ok(hours)
    }

    /// Writes down what was found out. Gives the hours that are still open.
    async fn write(&mut self, hours: Vec<OpenHour>) -> Result<BTreeSet<OffsetDateTime>, SweepError> {
        let mut still_open = BTreeSet::new();
        for hour in hours {
            let unsealed = hour.unsealed.len() as u64 + hour.unnamed;
            self.report.unsealed += unsealed;
            if unsealed > 0 {
                still_open.insert(hour.documents.hour());
            }
            let given_up = hour.unsealed.iter().filter(|object| object.given_up);
            self.report.given_up.extend(given_up.map(GivenUp::of));
            if self.mode.dry_run {
                continue;
            }
            let OpenHour { mut documents, objects, unsealed: entries, .. } = hour;
            let known = &self.known;
            // Before the mark: who finds the mark finds what it counts.
            let is_written = documents.write_open(known, self.listed_at, entries).await?;
            if is_written && documents.is_over(self.listed_at, self.times.raw_lag) {
                let seen = Seen { listed_at: self.listed_at, objects, unsealed };
                self.report.marks += u64::from(documents.write_mark(known, seen).await?);
            }
        }
        self.report.open_hours = still_open.len() as u64;
        Ok(still_open)
    }
}
