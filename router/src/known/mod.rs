//! Which raw objects are sealed, from the index of hours: key and ETag give the source id, so no object is asked about.
//!
//! Memory is bounded: the objects asked about at once, and hours that were listed lately within [`BUDGET_BYTES`].

mod cache;
mod ids;

use crate::listing::RawObject;
use aws_sdk_s3::Client;
use cache::Cache;
use common::aws_error::AwsError;
use common::keys::KeyLayout;
use common::objects;
use common::settings::Settings;
use futures::stream::{self, StreamExt, TryStreamExt};
use ids::Ids;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::Instant;

/// Room for hours that were listed: sixteen million sources.
const BUDGET_BYTES: usize = 256 << 20;

/// Hours listed at once.
const HOURS_AT_ONCE: usize = 16;

/// An hour of more seals than a page shows is listed by the first digit of their ids, which are hashes.
const DIGITS: &str = "0123456789abcdef";

/// The seals of one deployment, as its index of hours shows them.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) s3: Client,
    pub(crate) raw_bucket: String,
    pub(crate) routed_bucket: String,
    pub(crate) keys: KeyLayout,
    cache: Mutex<Cache>,
    requests: AtomicU64,
}

/// The objects of one hour that are asked about: their ids, and where the answers go.
type Wanted = (OffsetDateTime, HashMap<u128, Vec<usize>>);

impl Known {
    /// `fresh_for`: how long an hour that was listed is taken to be as it was; zero: every question lists it anew.
    pub(crate) fn new(s3: &Client, settings: &Settings, fresh_for: Duration) -> Self {
        Self {
            s3: s3.clone(),
            raw_bucket: settings.raw.bucket.clone(),
            routed_bucket: settings.routed.bucket.clone(),
            keys: settings.keys.clone(),
            cache: Mutex::new(Cache::new(BUDGET_BYTES, fresh_for)),
            requests: AtomicU64::new(0),
        }
    }

    /// The highest generation of each object, in their order; `None`: no seal is in the index. Ask about many at once: an
    /// hour is listed for all of its objects together.
    pub(crate) async fn generations(&self, objects: &[RawObject]) -> Result<Vec<Option<u32>>, AwsError> {
        let mut by_hour: BTreeMap<OffsetDateTime, HashMap<u128, Vec<usize>>> = BTreeMap::new();
        for (at, object) in objects.iter().enumerate() {
            let id = ids::number(&object.source_id(&self.raw_bucket));
            by_hour.entry(hour_of(object.modified)).or_default().entry(id).or_default().push(at);
        }
        let mut generations = vec![None; objects.len()];
        let looks = stream::iter(by_hour.into_iter().map(|wanted| self.look(wanted)));
        let mut looks = looks.buffer_unordered(HOURS_AT_ONCE);
        while let Some(found) = looks.try_next().await? {
            for (at, generation) in found {
                generations[at] = Some(generation);
            }
        }
        Ok(generations)
    }

    /// Requests made so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    async fn look(&self, (hour, wanted): Wanted) -> Result<Vec<(usize, u32)>, AwsError> {
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(hour);
        let ids = match cached {
            Some(ids) => ids,
            None => self.list(hour).await?,
        };
        let sealed = wanted.into_iter().filter_map(|(id, places)| Some((places, ids.generation(id)?)));
        Ok(sealed.flat_map(|(places, generation)| places.into_iter().map(move |at| (at, generation))).collect())
    }

    async fn list(&self, hour: OffsetDateTime) -> Result<Arc<Ids>, AwsError> {
        let listed_at = Instant::now();
        let prefix = self.keys.hour_prefix(hour);
        let (mut found, has_more) = self.pages(&prefix, 1).await?;
        if has_more {
            let digits = DIGITS.chars().map(|digit| format!("{prefix}{digit}"));
            let mut parts = stream::iter(digits.map(|prefix| async move { self.pages(&prefix, usize::MAX).await }))
                .buffer_unordered(DIGITS.len());
            found = Found::default();
            while let Some((part, _)) = parts.try_next().await? {
                found.all.extend(part.all);
                found.higher.extend(part.higher);
            }
        }
        let ids = Arc::new(Ids::of(found.all, found.higher));
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).put(hour, ids.clone(), listed_at);
        Ok(ids)
    }

    /// What up to `most` pages show, and whether there is more.
    async fn pages(&self, prefix: &str, most: usize) -> Result<(Found, bool), AwsError> {
        let mut found = Found::default();
        let mut pages = objects::pages(&self.s3, &self.routed_bucket, prefix);
        for _ in 0..most {
            let Some(page) = pages.next().await? else { return Ok((found, false)) };
            self.requests.fetch_add(1, Ordering::Relaxed);
            for (source_id, generation) in page.iter().filter_map(|entry| self.keys.index_entry(&entry.key)) {
                let id = ids::number(&source_id);
                found.all.push(id);
                if generation > 0 {
                    let highest = found.higher.entry(id).or_insert(generation);
                    *highest = generation.max(*highest);
                }
            }
        }
        Ok((found, pages.has_more()))
    }
}

#[derive(Default)]
struct Found {
    all: Vec<u128>,
    higher: HashMap<u128, u32>,
}

/// The hour (UTC) that a time lies in.
pub(crate) fn hour_of(at: OffsetDateTime) -> OffsetDateTime {
    let at = at.to_offset(time::UtcOffset::UTC);
    at.replace_time(time::Time::from_hms(at.hour(), 0, 0).expect("an hour that a time has"))
}
