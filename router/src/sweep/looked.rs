//! How far sweeps came, for the next one: one small document. Without it a sweep has more to read and finds the same.

use super::SweepError;
use crate::known::{Known, hour_of};
use common::objects;
use common::settings::SweepSettings;
use common::swept::LATE;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;
use time::OffsetDateTime;

const VERSION: u32 = 1;

const HOUR: Duration = Duration::from_secs(3600);

/// So many objects in folders of old dates are looked at by every sweep: listing them takes a thousand requests.
const ASIDE_FREE: u64 = 1_000_000;

/// How far sweeps came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Looked {
    version: u32,
    /// When the listing of the last sweep began that came to its end.
    #[serde(with = "common::timestamp")]
    pub(super) listed_at: OffsetDateTime,
    /// The same of the last one that looked into every folder.
    #[serde(with = "common::timestamp")]
    pub(super) full_at: OffsetDateTime,
    /// How many objects that one found in folders of dates before its window.
    pub(super) aside: u64,
    /// The documents of hours that have objects without a seal.
    open: BTreeSet<String>,
}

/// The document as it was found, for writing it anew.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) looked: Option<Looked>,
    etag: Option<String>,
}

impl Found {
    pub(super) async fn read(known: &Known) -> Result<Self, SweepError> {
        let key = known.keys.router_sweep_progress();
        let Some((bytes, etag)) = objects::get_with_etag(&known.s3, &known.routed_bucket, &key).await? else {
            return Ok(Self::default());
        };
        let looked: Option<Looked> = serde_json::from_slice(&bytes).ok();
        Ok(Self { looked: looked.filter(|looked| looked.version <= VERSION), etag: Some(etag) })
    }

    /// Whether the sweep looks into every folder, and not only where something of its window may be.
    pub(super) fn is_full_due(&self, now: OffsetDateTime, full_every: Duration) -> bool {
        self.looked.as_ref().is_none_or(|last| last.aside <= ASIDE_FREE || now - last.full_at >= full_every)
    }

    /// The first hour that a sweep lists: the window's, or earlier where no sweep has listed it since it stopped growing.
    /// What lies in folders of old dates is listed by full ones alone: they go back to the last of them.
    pub(super) fn first_hour(&self, now: OffsetDateTime, times: &SweepSettings, full: bool) -> OffsetDateTime {
        let window = now - times.window;
        let last = self.looked.as_ref().map(|last| if full { last.full_at } else { last.listed_at });
        hour_of(last.map_or(window, |last| window.min(last - LATE - times.raw_lag - HOUR)))
    }

    /// Hours that had objects without a seal. Where nobody remembers, all that ever had.
    pub(super) async fn open_hours(&self, known: &Known) -> Result<BTreeSet<OffsetDateTime>, SweepError> {
        let keys = &known.keys;
        if let Some(looked) = &self.looked {
            return Ok(looked.open.iter().filter_map(|key| keys.hour_of_open(key)).collect());
        }
        let found = objects::list(&known.s3, &known.routed_bucket, &keys.open_hours_root()).await?;
        Ok(found.iter().filter_map(|key| keys.hour_of_open(key)).collect())
    }

    /// Writes how far this sweep came. Where somebody else wrote meanwhile, his word stands: he took over.
    pub(super) async fn replace(
        self,
        known: &Known,
        listed_at: OffsetDateTime,
        aside: Option<u64>,
        open: &BTreeSet<OffsetDateTime>,
    ) -> Result<(), SweepError> {
        let open = open.iter().map(|hour| known.keys.open_hour(*hour)).collect();
        let (full_at, aside) = match (aside, &self.looked) {
            (Some(aside), _) => (listed_at, aside),
            (None, Some(last)) => (last.full_at, last.aside),
            // Not known to be full: the next one is.
            (None, None) => return Ok(()),
        };
        let looked = Looked { version: VERSION, listed_at, full_at, aside, open };
        let bytes = serde_json::to_vec_pretty(&looked).expect("it has string keys only, so it always serialises");
        let key = known.keys.router_sweep_progress();
        objects::put_if_unchanged(&known.s3, &known.routed_bucket, &key, self.etag.as_deref(), bytes).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn every_folder_is_looked_into_as_long_as_that_costs_little_and_once_a_day_after_that() {
        let at = datetime!(2025-06-01 09:00 UTC);
        let day = Duration::from_secs(24 * 3600);
        let found = |aside| Found {
            looked: Some(Looked { version: 1, listed_at: at, full_at: at, aside, open: BTreeSet::new() }),
            etag: None,
        };
        let soon = at + Duration::from_secs(3600);
        assert!(Found::default().is_full_due(at, day));
        assert!(found(1_000_000).is_full_due(soon, day));
        assert!(!found(1_000_001).is_full_due(soon, day));
        assert!(found(1_000_001).is_full_due(at + day, day));
    }

    #[test]
    fn what_only_full_sweeps_look_into_is_looked_into_from_the_last_of_them_on() {
        let day = 24 * HOUR;
        let times = SweepSettings { every: HOUR, window: 2 * day, lag: HOUR, raw_lag: HOUR, full_every: day };
        let now = datetime!(2025-06-30 09:30 UTC);
        let first_hour = |full_at, full| {
            let looked = Looked { version: 1, listed_at: now - HOUR, full_at, aside: 2_000_000, open: BTreeSet::new() };
            Found { looked: Some(looked), etag: None }.first_hour(now, &times, full)
        };
        let window = datetime!(2025-06-28 09:00 UTC);
        assert_eq!(Found::default().first_hour(now, &times, true), window);
        assert_eq!([false, true].map(|full| first_hour(now - day, full)), [window; 2]);
        // Routers were down for a week, and came back with sweeps that were not full.
        let down = now - 7 * day;
        assert_eq!(first_hour(down, false), window);
        assert_eq!(first_hour(down, true), datetime!(2025-06-23 05:00 UTC));
    }
}
