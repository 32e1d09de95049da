//! Seals: makes them, writes them first-writer-wins, finds the highest, and announces what they name.

mod overwritten;

use crate::route::object::RoutedObject;
use aws_sdk_s3::Client;
use common::aws_error::AwsError;
use common::event_name::EventName;
use common::keys::KeyLayout;
use common::load_request::{Lane, LoadRequest};
use common::objects::{self, Written};
use common::queue::LaneQueues;
use common::seal::{SEAL_VERSION, Seal, SealError, SealedEvent};
use common::seals::{self, SealReadError};
use common::sketch::Sketch;
use common::source::{SourceId, SourceObject};
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// Seals of one routed bucket, and the queues on which they are announced.
#[derive(Clone, Debug)]
pub(crate) struct Sealer {
    s3: Client,
    bucket: String,
    keys: KeyLayout,
    load_requests: LaneQueues,
}

/// A seal could not be written, read or announced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealingError {
    /// S3 or SQS refused or did not answer.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// A seal that is there cannot be read.
    #[error(transparent)]
    Unreadable(#[from] SealReadError),
    /// The seal that is there cannot be used.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// LIST shows no seal although one was just there.
    #[error("the seal of {0} was written by another router and then disappeared: seals must never be deleted")]
    Vanished(SourceId),
    /// A claim that was just there is not there any more.
    #[error("the claim on the key of {0} disappeared: nothing under seals.prefix may ever be deleted")]
    ClaimVanished(SourceId),
}

/// The seal of what was routed.
pub(crate) fn seal_of(
    source: &SourceObject,
    routing_id: &str,
    routed: &RoutedObject,
    sealed_at: OffsetDateTime,
) -> Seal {
    Seal {
        version: SEAL_VERSION,
        source: source.clone(),
        source_id: source.id(),
        generation: 0,
        routing_id: routing_id.to_owned(),
        sealed_at,
        counts: routed.counts.clone(),
        events: routed.events.clone(),
        quarantine: routed.quarantine.clone(),
        replace_id: None,
    }
}

/// The same as the generation after `earlier`. It names every event that any generation had, so that nobody has to read
/// but the highest seal; what gives no rows any more has no parts, and is owed like the others: its rows have to go.
pub(crate) fn next_generation(seal: Seal, earlier: &Seal, replace_id: Option<String>) -> Seal {
    let generation = earlier.generation + 1;
    let mut events: BTreeMap<EventName, SealedEvent> = BTreeMap::new();
    for SealedEvent { event, .. } in &earlier.events {
        let (parts, sketch) = (Vec::new(), Sketch::default());
        events
            .insert(event.clone(), SealedEvent { event: event.clone(), since: generation, records: 0, parts, sketch });
    }
    events
        .extend(seal.events.into_iter().map(|event| (event.event.clone(), SealedEvent { since: generation, ..event })));
    Seal { generation, events: events.into_values().collect(), replace_id, ..seal }
}

impl Sealer {
    /// Seals go to `bucket`, load requests to `load_requests`.
    pub(crate) fn new(s3: Client, bucket: String, keys: KeyLayout, load_requests: LaneQueues) -> Self {
        Self { s3, bucket, keys, load_requests }
    }

    /// The highest generation's seal of a source, if it has any.
    pub(crate) async fn highest(&self, source_id: &SourceId) -> Result<Option<Seal>, SealingError> {
        Ok(seals::highest(&self.s3, &self.bucket, &self.keys, source_id).await?)
    }

    /// The seal of a generation that is known to be there.
    pub(crate) async fn of_generation(&self, source_id: &SourceId, generation: u32) -> Result<Seal, SealingError> {
        Ok(seals::read(&self.s3, &self.bucket, &self.keys.seal(source_id, generation)).await?)
    }

    /// Writes a seal, unless there is one: then the earlier one is returned, to be used instead.
    pub(crate) async fn write(&self, seal: Seal) -> Result<(Seal, Written), SealingError> {
        let key = self.keys.seal(&seal.source_id, seal.generation);
        match objects::put_bytes_if_absent(&self.s3, &self.bucket, &key, seal.to_json()).await? {
            Written::Created => Ok((seal, Written::Created)),
            Written::Existed => {
                let winner = self.highest(&seal.source_id).await?;
                Ok((winner.ok_or(SealingError::Vanished(seal.source_id))?, Written::Existed))
            }
        }
    }

    /// What follows a seal, again and again if need be: the index objects, then the load requests.
    pub(crate) async fn announce(
        &self,
        seal: &Seal,
        lane: Lane,
        only: Option<&[EventName]>,
    ) -> Result<(), SealingError> {
        self.index(seal).await?;
        self.announce_only(seal, lane, only).await
    }

    /// Makes sure that others find a seal that is not ours: who wrote it may have died, and nobody may ever ask for its
    /// source again. Announces it where that was missing.
    pub(crate) async fn make_known(&self, seal: &Seal, lane: Lane) -> Result<(), SealingError> {
        if self.index(seal).await? {
            self.announce_only(seal, lane, None).await?;
        }
        Ok(())
    }

    /// Writes the index objects; tells whether one was missing.
    pub(crate) async fn index(&self, seal: &Seal) -> Result<bool, SealingError> {
        let hour = self.keys.hour_index(seal.source.time, &seal.source_id, seal.generation);
        let day = self.keys.day_index(seal.sealed_at, &seal.source_id, seal.generation);
        let index =
            |key: String| async move { objects::put_bytes_if_absent(&self.s3, &self.bucket, &key, Vec::new()).await };
        let written = futures::try_join!(index(hour), index(day))?;
        Ok([written.0, written.1].contains(&Written::Created))
    }

    /// Sends the load requests of a seal whose index objects are written. `only`: of these events; the others stay owed.
    pub(crate) async fn announce_only(
        &self,
        seal: &Seal,
        lane: Lane,
        only: Option<&[EventName]>,
    ) -> Result<(), SealingError> {
        let seal_key = self.keys.seal(&seal.source_id, seal.generation);
        Ok(self.load_requests.or_live(lane).send_all(requests(seal, &seal_key, lane, only)).await?)
    }
}

/// The load requests that a seal asks for. Each is made when it is sent: all bodies of a seal can be far larger than it.
fn requests<'s>(
    seal: &'s Seal,
    seal_key: &'s str,
    lane: Lane,
    only: Option<&'s [EventName]>,
) -> Box<dyn Iterator<Item = String> + Send + 's> {
    let due = seal
        .events
        .iter()
        .filter(move |event| event.since == seal.generation && only.is_none_or(|only| only.contains(&event.event)));
    Box::new(due.map(move |event| LoadRequest::new(seal, event, seal_key, lane).to_json()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::seal::{Counts, Part};
    use time::macros::datetime;

    fn event(name: &str, since: u32, records: u64) -> SealedEvent {
        let parts = if records == 0 { vec![] } else { vec![Part { key: name.to_owned(), records, bytes: 9 }] };
        SealedEvent { event: EventName::of_type(name), since, records, parts, sketch: Sketch::default() }
    }

    fn seal(generation: u32, events: Vec<SealedEvent>) -> Seal {
        let source = SourceObject {
            bucket: "raw".into(),
            key: "k".into(),
            etag: "e".into(),
            version_id: None,
            time: datetime!(2025-06-01 00:00 UTC),
            bytes: 1,
        };
        Seal {
            version: SEAL_VERSION,
            source_id: source.id(),
            source,
            generation,
            routing_id: "01234567".into(),
            sealed_at: datetime!(2025-06-01 00:00 UTC),
            counts: Counts::default(),
            events,
            quarantine: vec![],
            replace_id: None,
        }
    }

    #[test]
    fn the_next_generation_names_every_event_there_ever_was_and_each_is_owed() {
        let earlier = seal(3, vec![event("a", 3, 5), event("c", 3, 0), event("d", 3, 1)]);
        let routed = seal(0, vec![event("b", 4, 2), event("d", 4, 7)]);
        let next = next_generation(routed, &earlier, Some("r".into()));
        let found: Vec<_> = next.events.iter().map(|e| (e.event.as_str(), e.since, e.records, e.parts.len())).collect();
        assert_eq!(found, [("a", 4, 0, 0), ("b", 4, 2, 1), ("c", 4, 0, 0), ("d", 4, 7, 1)]);
        assert_eq!((next.generation, next.replace_id.as_deref()), (4, Some("r")));
    }

    #[test]
    fn every_event_of_the_generation_is_announced_unless_only_some_are_wanted() {
        let sealed = seal(1, vec![event("a", 1, 0), event("b", 1, 2), event("old", 0, 2)]);
        let names = |only: Option<&[EventName]>| -> Vec<String> {
            let bodies = requests(&sealed, "seals/id/x.g1.json", Lane::Backfill, only);
            let request = |body: String| LoadRequest::parse(&body).expect("a load request");
            bodies.map(request).map(|request| format!("{} {:?}", request.event, request.lane)).collect()
        };
        assert_eq!(names(None), ["a Backfill", "b Backfill"]);
        assert_eq!(names(Some(&[EventName::of_type("b"), EventName::of_type("z")])), ["b Backfill"]);
    }
}
