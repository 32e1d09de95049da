//! Seals that stand for those to come: what one raw object becomes.

use super::standing::Seals;
use common::aws_error::AwsError;
use common::event_name::EventName;
use common::objects;
use common::seal::Seal;
use common::seals::{self, SealReadError};
use common::source::SourceId;
use futures::stream::{self, StreamExt};
use serde::Serialize;
use std::collections::BTreeMap;

/// Seals read for a plan.
pub(super) const SAMPLE: usize = 64;

/// Days looked at for the newest seals, where none of the range is sealed.
const DAYS: usize = 7;

/// What a plan's expectations rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Seals of objects of the range.
    Range,
    /// The newest seals that there are.
    Newest,
    /// Nothing is sealed yet.
    Nothing,
}

/// Sums over the seals of a sample.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub(super) seals: u64,
    /// Stored bytes of their raw objects, and decompressed.
    pub(super) raw_bytes: u64,
    pub(super) bytes: u64,
    pub(super) quarantine: u64,
    pub(super) events: BTreeMap<EventName, EventSums>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EventSums {
    /// Raw objects that have the event: each is a load request.
    pub(super) sources: u64,
    pub(super) parts: u64,
    pub(super) bytes: u64,
}

/// Chooses some of the many: those of the least ids. Ids are hashes, so that is by chance, and always the same.
#[derive(Debug, Default)]
pub(super) struct Chosen(BTreeMap<SourceId, u32>);

impl Chosen {
    pub(super) fn offer(&mut self, source_id: impl FnOnce() -> SourceId, generation: u32) {
        self.0.insert(source_id(), generation);
        if self.0.len() > SAMPLE {
            self.0.pop_last();
        }
    }
}

/// Reads the chosen seals or, where there are none, the newest.
pub(super) async fn sample(seals: &Seals, chosen: Chosen) -> Result<(Basis, Sample), AwsError> {
    let (basis, chosen) = match chosen.0.is_empty() {
        false => (Basis::Range, chosen.0),
        true => (Basis::Newest, newest(seals).await?),
    };
    let reads = chosen.iter().map(|(source_id, generation)| async move {
        seals::read(&seals.s3, &seals.bucket, &seals.keys.seal(source_id, *generation)).await
    });
    let mut reads = stream::iter(reads).buffer_unordered(16);
    let mut sample = Sample::default();
    while let Some(read) = reads.next().await {
        match read {
            Ok(seal) => sample.add(&seal),
            Err(SealReadError::Aws(error)) if !error.is_no_such_object() => return Err(error),
            // Of another release: the others will do.
            Err(error) => tracing::debug!(%error, "left a seal out of the sample"),
        }
    }
    Ok((if sample.seals == 0 { Basis::Nothing } else { basis }, sample))
}

/// Some of the sources that were sealed last.
async fn newest(seals: &Seals) -> Result<BTreeMap<SourceId, u32>, AwsError> {
    let mut found = BTreeMap::new();
    let mut days = 0;
    let below = |folder: String| async move {
        let mut folders = objects::folders(&seals.s3, &seals.bucket, &folder).await?;
        folders.reverse();
        Ok::<_, AwsError>(folders)
    };
    for year in below(seals.keys.day_index_root()).await? {
        for month in below(year).await? {
            for day in below(month).await? {
                let mut pages = objects::pages(&seals.s3, &seals.bucket, &day);
                // The ids of its first page are as good as any.
                let page = pages.next().await?.unwrap_or_default();
                found.extend(page.iter().filter_map(|entry| seals.keys.index_entry(&entry.key)).take(SAMPLE));
                days += 1;
                if found.len() >= SAMPLE || days >= DAYS {
                    return Ok(found);
                }
            }
        }
    }
    Ok(found)
}

impl Sample {
    pub(super) fn add(&mut self, seal: &Seal) {
        self.seals += 1;
        self.raw_bytes += seal.source.bytes;
        self.bytes += seal.counts.bytes;
        self.quarantine += seal.quarantine.len() as u64;
        for event in seal.events.iter().filter(|event| event.since == seal.generation) {
            let sums = self.events.entry(event.event.clone()).or_default();
            sums.sources += 1;
            sums.parts += event.parts.len() as u64;
            sums.bytes += event.parts.iter().map(|part| part.bytes).sum::<u64>();
        }
    }
}
