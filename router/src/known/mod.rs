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
pub(crate) use ids::{Sealed, number};
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
    recent_since: Option<OffsetDateTime>,
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
            recent_since: None,
        }
    }

    /// Tells also what was sealed since then: its index object is at least as young as the seal.
    pub(crate) fn with_recent_since(self, since: Option<OffsetDateTime>) -> Self {
        Self { recent_since: since, ..self }
    }

    /// The highest generation of each object, in their order; `None`: no seal is in the index. Ask about many at once: an
    /// hour is listed for all of its objects together.
    pub(crate) async fn generations(&self, objects: &[RawObject]) -> Result<Vec<Option<u32>>, AwsError> {
        let sealed = self.sealed(objects).await?;
        Ok(sealed.into_iter().map(|sealed| sealed.map(|sealed| sealed.generation)).collect())
    }

    /// The same, with what else the index tells.
    pub(crate) async fn sealed(&self, objects: &[RawObject]) -> Result<Vec<Option<Sealed>>, AwsError> {
        let mut by_hour: BTreeMap<OffsetDateTime, HashMap<u128, Vec<usize>>> = BTreeMap::new();
        for (at, object) in objects.iter().enumerate() {
            let id = ids::number(&object.source_id(&self.raw_bucket));
            by_hour.entry(hour_of(object.modified)).or_default().entry(id).or_default().push(at);
        }
        let mut answers = vec![None; objects.len()];
        let looks = stream::iter(by_hour.into_iter().map(|wanted| self.look(wanted)));
        let mut looks = looks.buffer_unordered(HOURS_AT_ONCE);
        while let Some(found) = looks.try_next().await? {
            for (at, sealed) in found {
                answers[at] = Some(sealed);
            }
        }
        Ok(answers)
    }

    /// Requests made so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    async fn look(&self, (hour, wanted): Wanted) -> Result<Vec<(usize, Sealed)>, AwsError> {
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(hour);
        let ids = match cached {
            Some(ids) => ids,
            None => self.list(hour).await?,
        };
        let found = wanted.into_iter().filter_map(|(id, places)| Some((places, ids.sealed(id)?)));
        Ok(found.flat_map(|(places, sealed)| places.into_iter().map(move |at| (at, sealed))).collect())
    }

    async fn list(&self, hour: OffsetDateTime) -> Result<Arc<Ids>, AwsError> {
        let listed_at = Instant::now();
        let prefix = self.keys.hour_prefix(hour);
        let (mut ids, has_more) = self.pages(&prefix, 1).await?;
        if has_more {
            let digits = DIGITS.chars().map(|digit| format!("{prefix}{digit}"));
            let mut parts = stream::iter(digits.map(|prefix| async move { self.pages(&prefix, usize::MAX).await }))
                .buffer_unordered(DIGITS.len());
            ids = Ids::default();
            while let Some((part, _)) = parts.try_next().await? {
                ids.extend(part);
            }
        }
        let ids = Arc::new(ids.finish());
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).put(hour, ids.clone(), listed_at);
        Ok(ids)
    }

    /// What up to `most` pages show, and whether there is more.
    async fn pages(&self, prefix: &str, most: usize) -> Result<(Ids, bool), AwsError> {
        let mut ids = Ids::default();
        let mut pages = objects::pages(&self.s3, &self.routed_bucket, prefix);
        for _ in 0..most {
            let Some(page) = pages.next().await? else { return Ok((ids, false)) };
            self.requests.fetch_add(1, Ordering::Relaxed);
            for entry in &page {
                if let Some((source_id, generation)) = self.keys.index_entry(&entry.key) {
                    let is_recent = self.recent_since.is_some_and(|since| entry.modified >= since);
                    ids.add(ids::number(&source_id), generation, is_recent);
                }
            }
        }
        Ok((ids, pages.has_more()))
    }
}

/// The hour (UTC) that a time lies in.
pub(crate) fn hour_of(at: OffsetDateTime) -> OffsetDateTime {
    let at = at.to_offset(time::UtcOffset::UTC);
    at.replace_time(time::Time::from_hms(at.hour(), 0, 0).expect("an hour that a time has"))
}
