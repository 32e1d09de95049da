//! The documents of hours: marks, and the objects without a seal. Read before, written after; where somebody else wrote
//! in between, his word stands.

use super::marks::{self, Seen};
use crate::known::Known;
use common::aws_error::AwsError;
use common::objects;
use common::swept::{Mark, OpenHour, SWEPT_VERSION, Unsealed};
use std::time::Duration;
use time::OffsetDateTime;

const HOUR: Duration = Duration::from_secs(3600);

/// One hour's documents as they were found.
#[derive(Debug)]
pub(super) struct Documents {
    hour: OffsetDateTime,
    mark: Option<Mark>,
    mark_etag: Option<String>,
    open: Option<OpenHour>,
    open_etag: Option<String>,
}

impl Documents {
    /// Reads both; where nobody remembers open objects and the mark counts none, only the mark.
    pub(super) async fn read(known: &Known, hour: OffsetDateTime, was_open: bool) -> Result<Self, AwsError> {
        let Known { s3, routed_bucket, keys, .. } = known;
        let (mark_key, open_key) = (keys.swept_mark(hour), keys.open_hour(hour));
        let mark = objects::get_with_etag(s3, routed_bucket, &mark_key);
        let open = async {
            match was_open {
                true => objects::get_with_etag(s3, routed_bucket, &open_key).await,
                false => Ok(None),
            }
        };
        let (marked, mut open) = tokio::try_join!(mark, open)?;
        let mark = marked.as_ref().and_then(|(bytes, _)| Mark::parse(bytes));
        if !was_open && mark.as_ref().is_some_and(|mark| mark.unsealed > 0) {
            // Whoever wrote it did not come to remembering it.
            open = objects::get_with_etag(s3, routed_bucket, &open_key).await?;
        }
        Ok(Self {
            hour,
            mark,
            mark_etag: marked.map(|(_, etag)| etag),
            open: open.as_ref().and_then(|(bytes, _)| OpenHour::parse(bytes)),
            open_etag: open.map(|(_, etag)| etag),
        })
    }

    /// The objects that earlier sweeps found without a seal.
    pub(super) fn unsealed(&self) -> &[Unsealed] {
        self.open.as_ref().map_or(&[], |open| &open.unsealed)
    }

    /// Whether sweeps that do not list the hour can tell when all of it is sealed: its mark counts what is remembered.
    pub(super) fn are_whole(&self) -> bool {
        self.mark.is_some() && !self.count_unnamed()
    }

    /// Whether the mark counts other objects than those that are remembered: only who lists everything can tell whether
    /// they are sealed.
    pub(super) fn count_unnamed(&self) -> bool {
        self.mark.as_ref().is_some_and(|mark| mark.unsealed != self.unsealed().len() as u64)
    }

    /// Whether its mark is of a listing that began later.
    pub(super) fn is_later(&self, listed_at: OffsetDateTime) -> bool {
        self.mark.as_ref().is_some_and(|mark| mark.listed_at > listed_at)
    }

    /// Its hour.
    pub(super) fn hour(&self) -> OffsetDateTime {
        self.hour
    }

    fn end(&self) -> OffsetDateTime {
        self.hour.saturating_add(time::Duration::HOUR)
    }

    /// Whether nothing came into the hour for so long that what is missing is not on its way.
    pub(super) fn is_over(&self, now: OffsetDateTime, lag: Duration) -> bool {
        self.hour + HOUR + lag <= now
    }

    /// Writes the list of what has no seal, if it is another one now. Tells whether that is what is there: where
    /// somebody else wrote meanwhile, no mark may be made of it.
    pub(super) async fn write_open(
        &mut self,
        known: &Known,
        listed_at: OffsetDateTime,
        unsealed: Vec<Unsealed>,
    ) -> Result<bool, AwsError> {
        if self.unsealed() == unsealed {
            return Ok(true);
        }
        let Known { s3, routed_bucket, keys, .. } = known;
        let key = keys.open_hour(self.hour);
        if self.open_etag.is_none() {
            // One from a time that nobody remembers.
            self.open_etag = objects::get_with_etag(s3, routed_bucket, &key).await?.map(|(_, etag)| etag);
        }
        let open = OpenHour { version: SWEPT_VERSION, listed_at, unsealed };
        let written = objects::put_if_unchanged(s3, routed_bucket, &key, self.open_etag.as_deref(), open.to_json());
        Ok(written.await?.is_some())
    }

    /// Writes the mark, if it has something else to say. Tells whether it did.
    pub(super) async fn write_mark(&self, known: &Known, seen: Seen) -> Result<bool, AwsError> {
        let Some(mark) = marks::next(self.mark.as_ref(), seen, self.end()) else { return Ok(false) };
        let Known { s3, routed_bucket, keys, .. } = known;
        let key = keys.swept_mark(self.hour);
        let etag = self.mark_etag.as_deref();
        Ok(objects::put_if_unchanged(s3, routed_bucket, &key, etag, mark.to_json()).await?.is_some())
    }
}
