//! The ledger rows that a rebuild makes, of sources that have rows: what their seals say, read some at once.

use super::AuditError;
use super::adopt::{Sealed, There, adopted};
use super::looked::{Found, Looked, highest};
use super::rejected::quarantined;
use super::seals::{READS, Store};
use crate::sql::rebuild::StagedRow;
use common::event_name::EventName;
use common::seals;
use common::source::SourceId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Whose seals are read, and where what COPY refused is.
#[derive(Clone, Debug)]
pub(super) struct Seals {
    pub(super) store: Arc<Store>,
    pub(super) quarantine_bucket: String,
    pub(super) event: EventName,
}

impl Seals {
    /// A row for each source that has a seal that names the event, and whether that seal's generation is yet to be loaded. A seal
    /// that cannot be used is an error: without it nobody can tell what the rows are.
    pub(super) async fn staged(&self, there: BTreeMap<SourceId, There>) -> Result<Vec<(StagedRow, bool)>, AuditError> {
        let wanted = there.keys().map(|source| (source.clone(), BTreeSet::from([self.event.clone()]))).collect();
        let mut found = highest(&self.store, &wanted).await?;
        let (mut staged, mut reads, mut waiting) = (Vec::new(), JoinSet::new(), there.into_iter());
        loop {
            while reads.len() < READS {
                let Some((source, there)) = waiting.next() else { break };
                let looked = match found.remove(&source) {
                    Some(Found::Sealed(looked)) => looked,
                    Some(Found::Unusable(why)) => return Err(AuditError::UnusableSeal { source_id: source, why }),
                    Some(Found::Nothing) | None => continue,
                };
                let seals = self.clone();
                reads.spawn(async move { seals.of(source, &looked, there).await });
            }
            let Some(done) = reads.join_next().await else { return Ok(staged) };
            staged.extend(done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?);
        }
    }

    async fn of(
        &self,
        source_id: SourceId,
        looked: &Looked,
        there: There,
    ) -> Result<Option<(StagedRow, bool)>, AuditError> {
        let Some((since, records, parts)) = looked.events.get(&self.event) else { return Ok(None) };
        let accounted = there.rows.saturating_add(there.removed);
        let quarantine_key = self.refused(&source_id, looked, *since, records.saturating_sub(accounted)).await?;
        let mut sealed = Sealed {
            since: *since,
            records: *records,
            rejected: if quarantine_key.is_some() { records - accounted } else { 0 },
            sealed_at: looked.sealed_at,
            is_like_earlier: false,
        };
        for generation in 0..=*since {
            if generation == looked.generation || *since == 0 {
                continue;
            }
            let key = self.store.keys.seal(&source_id, generation);
            let earlier = seals::read(&self.store.s3, &self.store.bucket, &key).await?;
            if generation == *since {
                sealed.sealed_at = earlier.sealed_at;
                continue;
            }
            let Some(of_event) = earlier.events.iter().find(|sealed| sealed.event == self.event) else { continue };
            // The same parts are the same rows.
            let is_same = of_event.parts.iter().map(|part| &part.key).eq(parts);
            let could_be = of_event.records == accounted
                || self
                    .refused(&source_id, looked, generation, of_event.records.saturating_sub(accounted))
                    .await?
                    .is_some();
            sealed.is_like_earlier |= !is_same && could_be;
        }
        let made = adopted(&sealed, &there);
        let row = StagedRow {
            generation: made.generation,
            parts: if made.is_owed { 0 } else { parts.len() },
            rows: made.rows,
            rejected: made.rejected,
            quarantine_key: quarantine_key.filter(|_| made.rejected > 0),
            source_time: looked.time,
            loaded_at: there.first,
            source_id,
        };
        Ok(Some((row, made.is_owed)))
    }

    /// The quarantine object that says that so many records of a generation were refused.
    async fn refused(
        &self,
        source: &SourceId,
        looked: &Looked,
        generation: u32,
        lacking: u64,
    ) -> Result<Option<String>, AuditError> {
        if lacking == 0 {
            return Ok(None);
        }
        let prefix = self.store.keys.rejected_of(&self.event, looked.time, source, generation);
        Ok(quarantined(&self.store, &self.quarantine_bucket, &prefix, lacking).await?)
    }
}
