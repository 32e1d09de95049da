//! From a source that owes something to the load requests that say so again.

use super::SweepError;
use super::owed::{Ledgers, Owing};
use super::reading::{Sealed, Store};
use common::event_name::EventName;
use common::load_request::{Lane as LaneName, LoadRequest};
use common::objects;
use common::seal::Seal;
use common::seals;
use std::time::Duration;
use time::OffsetDateTime;

/// What was sealed longer ago travels on the backfill lane: it must not delay what arrives now.
const LIVE_MAX_AGE: Duration = Duration::from_secs(3600);

/// A load request, and how it travels.
pub(crate) struct Announcement {
    pub(crate) event: EventName,
    pub(crate) lane: LaneName,
    pub(crate) body: String,
}

/// Which of the source's requests are announced again, from its highest seal.
pub(super) async fn announcements(
    store: &Store,
    ledgers: &Ledgers,
    owing: Owing,
    now: OffsetDateTime,
) -> Result<Vec<Announcement>, SweepError> {
    let Owing { sealed: Sealed { source_id, generation, .. }, mut owed, .. } = owing;
    let key = |generation| store.keys.seal(&source_id, generation);
    // Generations have no gaps, so one look tells whether this seal is the highest.
    let is_highest = !objects::exists(&store.s3, &store.bucket, &key(generation + 1)).await?;
    let seal = if is_highest {
        seals::read(&store.s3, &store.bucket, &key(generation)).await?
    } else {
        let Some(seal) = seals::highest(&store.s3, &store.bucket, &store.keys, &source_id).await? else {
            return Ok(Vec::new());
        };
        owed = ledgers.owing(vec![reduced(&seal)]).await?.into_iter().flat_map(|one| one.owed).collect();
        seal
    };
    let lane = if now - seal.sealed_at > LIVE_MAX_AGE { LaneName::Backfill } else { LaneName::Live };
    Ok(of_seal(
        &seal,
        &key(seal.generation),
        |event, since| owed.iter().any(|one| one.0 == *event && one.1 == since),
        lane,
    ))
}

/// The requests of a seal's chosen events.
pub(crate) fn of_seal(
    seal: &Seal,
    key: &str,
    is_chosen: impl Fn(&EventName, u32) -> bool,
    lane: LaneName,
) -> Vec<Announcement> {
    let chosen = seal.events.iter().filter(|sealed| is_chosen(&sealed.event, sealed.since));
    chosen
        .map(|sealed| Announcement {
            event: sealed.event.clone(),
            lane,
            body: LoadRequest::new(seal, sealed, key, lane).to_json(),
        })
        .collect()
}

/// What the sweep keeps of a seal.
pub(super) fn reduced(seal: &Seal) -> Sealed {
    Sealed {
        source_id: seal.source_id.clone(),
        generation: seal.generation,
        source_time: seal.source.time,
        sealed_at: seal.sealed_at,
        events: seal.events.iter().map(|sealed| (sealed.event.clone(), sealed.since)).collect(),
    }
}
