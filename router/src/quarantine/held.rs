//! What is in quarantine, source by source: the index of hours leads to the highest seals, the ledgers to what COPY refused.
//!
//! The index of hours, because there all generations of a source stand side by side, and hours follow one another: so the
//! highest ones are found in one pass that holds a page at a time. What COPY refused is held whole, some 200 bytes for each
//! event of a source that has any.

use super::{Quarantine, QuarantineError, Selection, records};
use common::event_name::EventName;
use common::ledger::{self, Rejected};
use common::objects::{self, Pages};
use common::quarantine::Reason;
use common::seal::{Seal, SealedQuarantine};
use common::seals;
use common::source::SourceId;
use futures::StreamExt;
use futures::stream;
use std::collections::BTreeMap;
use tokio::sync::mpsc;

/// Seals in hand at once; each may be some MiB.
const READS: usize = 16;

/// What a source has in quarantine.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its highest seal.
    pub seal: Seal,
    /// Its quarantine objects, as far as they are selected: those of the seal first.
    pub objects: Vec<HeldObject>,
    /// The seal contradicts itself.
    pub unbalanced: Option<Unbalanced>,
}

/// One quarantine object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldObject {
    /// Its key in the quarantine bucket.
    pub key: String,
    /// The reason that all its records share.
    pub reason: Reason,
    /// The event that the loader loaded; the router's objects hold records of any.
    pub event: Option<EventName>,
    /// The generation that put it there.
    pub generation: u32,
    /// Its records.
    pub records: u64,
    /// Those that are selected.
    pub selected: u64,
    /// Of a generation that is replaced already: it goes when the loader has loaded the later one.
    pub is_replaced: bool,
}

/// A seal whose quarantine objects are not what its counts say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its counts say {counted} records of {reason} and its quarantine objects hold {held}")]
pub struct Unbalanced {
    reason: Reason,
    counted: u64,
    held: u64,
}

impl Quarantine {
    /// Every source that has something selected in quarantine, by the hours of their times. An error that is of one
    /// source alone is followed by the others; any other is the last thing received.
    pub fn held(&self, selection: &Selection) -> mpsc::Receiver<Result<Held, QuarantineError>> {
        let (sender, receiver) = mpsc::channel(READS);
        let (quarantine, selection) = (self.clone(), selection.clone());
        tokio::spawn(async move {
            if let Err(error) = quarantine.walk(&selection, &sender).await {
                // Nobody may be listening any more, and then nobody wants to know.
                drop(sender.send(Err(error)).await);
            }
        });
        receiver
    }

    async fn walk(
        &self,
        selection: &Selection,
        out: &mpsc::Sender<Result<Held, QuarantineError>>,
    ) -> Result<(), QuarantineError> {
        let mut rejected = self.rejected(selection).await?;
        if selection.has_seals() {
            let mut index = Index::of(self, selection);
            while let Some(sources) = index.next().await? {
                let sealed = sources.into_iter().map(|(source_id, generation)| {
                    let rejected = rejected.remove(&source_id).unwrap_or_default();
                    self.sealed(selection, source_id, generation, rejected)
                });
                let mut found = stream::iter(sealed).buffered(READS);
                while let Some(one) = found.next().await {
                    if !deliver(out, one).await? {
                        return Ok(());
                    }
                }
            }
        }
        let others = rejected.into_iter().map(|(source_id, rejected)| self.loaded(selection, source_id, rejected));
        let mut found = stream::iter(others).buffered(READS);
        while let Some(one) = found.next().await {
            if !deliver(out, one).await? {
                break;
            }
        }
        Ok(())
    }

    /// What COPY refused, by source.
    async fn rejected(&self, selection: &Selection) -> Result<BTreeMap<SourceId, Vec<Rejected>>, QuarantineError> {
        let mut by_source: BTreeMap<SourceId, Vec<Rejected>> = BTreeMap::new();
        if selection.has_ledgers() {
            let since = selection.since.as_ref().map(|since| since.at);
            let rejected =
                ledger::rejected(&self.warehouse, &self.bookkeeping_schema, selection.event.as_ref(), since).await;
            for one in rejected.map_err(QuarantineError::Ledgers)? {
                by_source.entry(one.source_id.clone()).or_default().push(one);
            }
        }
        Ok(by_source)
    }

    /// A source of the index.
    async fn sealed(
        &self,
        selection: &Selection,
        source_id: SourceId,
        generation: u32,
        rejected: Vec<Rejected>,
    ) -> Result<Option<Held>, QuarantineError> {
        let key = self.keys.seal(&source_id, generation);
        let seal = seals::read(&self.s3, &self.routed_bucket, &key).await.map_err(QuarantineError::Seal)?;
        self.select(selection, seal, rejected).await
    }

    /// A source of the ledgers alone.
    async fn loaded(
        &self,
        selection: &Selection,
        source_id: SourceId,
        rejected: Vec<Rejected>,
    ) -> Result<Option<Held>, QuarantineError> {
        let seal = seals::highest(&self.s3, &self.routed_bucket, &self.keys, &source_id).await;
        match seal.map_err(QuarantineError::Seal)? {
            Some(seal) => self.select(selection, seal, rejected).await,
            None => {
                let event = rejected.first().map_or_else(String::new, |one| one.event.to_string());
                Err(QuarantineError::Unsealed { event, source_id: source_id.to_string() })
            }
        }
    }

    async fn select(
        &self,
        selection: &Selection,
        seal: Seal,
        rejected: Vec<Rejected>,
    ) -> Result<Option<Held>, QuarantineError> {
        if !selection.has_time(seal.source.time) {
            return Ok(None);
        }
        let mut objects = Vec::new();
        for SealedQuarantine { key, reason, records } in &seal.quarantine {
            if selection.has_seals() && selection.has_reason(*reason) {
                let (key, reason, records) = (key.clone(), *reason, *records);
                let generation = seal.generation;
                let mut object =
                    HeldObject { key, reason, event: None, generation, records, selected: records, is_replaced: false };
                if let Some(event) = &selection.event {
                    object.selected = self.count(&seal, &object, event).await?;
                }
                objects.push(object);
            }
        }
        objects.extend(rejected.into_iter().map(|one| HeldObject {
            is_replaced: seal.events.iter().any(|event| event.event == one.event && event.since > one.generation),
            key: one.quarantine_key,
            reason: Reason::RejectedByCopy,
            event: Some(one.event),
            generation: one.generation,
            records: one.records,
            selected: one.records,
        }));
        objects.retain(|object| object.selected > 0);
        let unbalanced = unbalanced(&seal);
        let has_any = !objects.is_empty() || unbalanced.is_some();
        Ok(has_any.then_some(Held { seal, objects, unbalanced }))
    }

    /// Records of the router's that name this event: only their bytes tell.
    async fn count(&self, seal: &Seal, object: &HeldObject, event: &EventName) -> Result<u64, QuarantineError> {
        let stored = self.read(object).await?;
        let (of, source, event, expected) = (self.events.clone(), seal.source.clone(), event.clone(), object.records);
        let counted = tokio::task::spawn_blocking(move || {
            let mut count = 0;
            for record in records(&stored, expected) {
                count += u64::from(of.of(&source, &record?).is_some_and(|found| found == event));
            }
            Ok(count)
        });
        let counted = counted.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        counted.map_err(|error| self.unreadable(object, error))
    }
}

/// Tells whether anybody listens for more. An error that is not of one source alone ends it.
async fn deliver(
    out: &mpsc::Sender<Result<Held, QuarantineError>>,
    found: Result<Option<Held>, QuarantineError>,
) -> Result<bool, QuarantineError> {
    match found {
        Ok(None) => Ok(!out.is_closed()),
        Ok(Some(held)) => Ok(out.send(Ok(held)).await.is_ok()),
        Err(error) if error.is_of_one_source() => Ok(out.send(Err(error)).await.is_ok()),
        Err(error) => Err(error),
    }
}

fn unbalanced(seal: &Seal) -> Option<Unbalanced> {
    let mut held: BTreeMap<Reason, u64> = BTreeMap::new();
    for object in &seal.quarantine {
        *held.entry(object.reason).or_default() += object.records;
    }
    Reason::ALL.iter().find_map(|reason| {
        let of = |counts: &BTreeMap<Reason, u64>| counts.get(reason).copied().unwrap_or(0);
        let (counted, held) = (of(&seal.counts.by_reason), of(&held));
        (counted != held).then_some(Unbalanced { reason: *reason, counted, held })
    })
}

/// The highest generation of every source in the index of hours, a page at a time.
struct Index<'a> {
    quarantine: &'a Quarantine,
    pages: Pages,
    /// The last source of the page before: the next page may begin with more of it.
    last: Option<(SourceId, u32)>,
}

impl<'a> Index<'a> {
    fn of(quarantine: &'a Quarantine, selection: &Selection) -> Self {
        let Quarantine { s3, routed_bucket, keys, .. } = quarantine;
        let pages = match &selection.since {
            None => objects::pages(s3, routed_bucket, &keys.hour_index_root()),
            // Whatever is in this hour or a later one comes behind the hour's own name.
            Some(since) => {
                objects::pages_after(s3, routed_bucket, &keys.hour_index_root(), &keys.hour_prefix(since.at))
            }
        };
        Self { quarantine, pages, last: None }
    }

    async fn next(&mut self) -> Result<Option<Vec<(SourceId, u32)>>, QuarantineError> {
        let Some(page) = self.pages.next().await? else { return Ok(self.last.take().map(|last| vec![last])) };
        let mut highest = Vec::new();
        for (source_id, generation) in page.iter().filter_map(|entry| self.quarantine.keys.index_entry(&entry.key)) {
            match &mut self.last {
                Some((last, known)) if *last == source_id => *known = generation.max(*known),
                last => highest.extend(last.replace((source_id, generation))),
            }
        }
        Ok(Some(highest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::seal::Counts;
    use common::source::SourceObject;
    use time::macros::datetime;

    #[test]
    fn a_seal_that_names_other_objects_than_it_counts_is_told() {
        let time = datetime!(2025-06-01 00:00 UTC);
        let (bucket, key, etag) = ("raw".to_owned(), "k".to_owned(), "e".to_owned());
        let source = SourceObject { bucket, key, etag, version_id: None, time, bytes: 1 };
        let object = |reason, records| SealedQuarantine { key: "q".into(), reason, records };
        let mut seal = Seal {
            version: 1,
            source_id: source.id(),
            source,
            generation: 0,
            routing_id: "0".into(),
            sealed_at: time,
            counts: Counts { by_reason: [(Reason::NotJson, 5), (Reason::TooDeep, 1)].into(), ..Counts::default() },
            events: vec![],
            quarantine: vec![object(Reason::NotJson, 2), object(Reason::TooDeep, 1), object(Reason::NotJson, 3)],
            replace_id: None,
        };
        assert_eq!(unbalanced(&seal), None);
        seal.quarantine.pop();
        assert_eq!(unbalanced(&seal), Some(Unbalanced { reason: Reason::NotJson, counted: 5, held: 2 }));
    }
}
