//! Who sweeps: one object that says it, renewed while the sweep goes on.
//!
//! It saves work and nothing more: two sweeps at once announce the same things twice, and the ledger forgives that. So
//! clocks of two loaders may differ without harm.

use common::aws_error::AwsError;
use common::{objects, timestamp};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use time::OffsetDateTime;

/// A claim that was not renewed for this long is anybody's: its owner died.
const DEAD_AFTER: Duration = Duration::from_secs(5 * 60);

/// Renewed this often: several renewals may fail before it is taken over.
const RENEW: Duration = Duration::from_secs(60);

/// What the object says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Document {
    version: u32,
    /// Host and process, for people, and something that no other process has.
    owner: String,
    state: State,
    #[serde(with = "timestamp")]
    started_at: OffsetDateTime,
    #[serde(with = "timestamp")]
    renewed_at: OffsetDateTime,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Running,
    Done,
    /// Ended before its end, for example by SIGTERM.
    GivenUp,
}

/// How far the sweep is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) seals: u64,
    pub(crate) owed: u64,
    pub(crate) announced: u64,
}

/// [`Counts`] of a sweep under way.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) seals: AtomicU64,
    pub(super) owed: AtomicU64,
    pub(super) announced: AtomicU64,
}

impl Progress {
    fn counts(&self) -> Counts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts { seals: read(&self.seals), owed: read(&self.owed), announced: read(&self.announced) }
    }
}

/// Where the claim lies.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) s3: aws_sdk_s3::Client,
    pub(super) bucket: String,
    pub(super) key: String,
}

/// A claim that is ours, until somebody takes it over.
#[derive(Debug)]
pub(super) struct Claim {
    place: Place,
    document: Document,
    etag: String,
}

/// What asking for the claim came to.
#[derive(Debug)]
pub(super) enum Claimed {
    Ours(Claim),
    /// Somebody sweeps; for people.
    Held(String),
    /// Nobody sweeps, and the last sweep ended this recently.
    NotDue(Duration),
}

/// The claim went to somebody else, or could not be renewed for so long that it may have.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClaimError {
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error("the claim on the sweep, {0}, was taken over by another loader: this one was silent for too long")]
    TakenOver(String),
}

impl Place {
    /// Claims the sweep, unless somebody has it or, with `every`, the last one is not that long ago.
    pub(super) async fn claim(self, every: Option<Duration>) -> Result<Claimed, AwsError> {
        let now = OffsetDateTime::now_utc();
        let found = objects::get_with_etag(&self.s3, &self.bucket, &self.key).await?;
        let mut etag = None;
        if let Some((bytes, found_etag)) = found {
            // What nobody can read is nobody's.
            if let Ok(document) = serde_json::from_slice::<Document>(&bytes) {
                match document.free(now, every) {
                    Free::Yes => {}
                    Free::Held => return Ok(Claimed::Held(document.holder())),
                    Free::NotDue(wait) => return Ok(Claimed::NotDue(wait)),
                }
            }
            etag = Some(found_etag);
        }
        let document = Document {
            version: 1,
            owner: owner(),
            state: State::Running,
            started_at: now,
            renewed_at: now,
            counts: Counts::default(),
        };
        match self.put(&document, etag.as_deref()).await? {
            Some(etag) => Ok(Claimed::Ours(Claim { place: self, document, etag })),
            None => Ok(Claimed::Held("another loader, since this moment".to_owned())),
        }
    }

    async fn put(&self, document: &Document, etag: Option<&str>) -> Result<Option<String>, AwsError> {
        let bytes = serde_json::to_vec_pretty(document).expect("a claim has string keys only, so it always serialises");
        objects::put_if_unchanged(&self.s3, &self.bucket, &self.key, etag, bytes).await
    }
}

impl Claim {
    /// Renews the claim for as long as it is awaited. Ends only when the claim is lost.
    pub(super) async fn keep(&mut self, progress: &Progress) -> ClaimError {
        loop {
            tokio::time::sleep(RENEW).await;
            match self.write(State::Running, progress).await {
                Ok(()) => {}
                Err(ClaimError::Aws(error)) if error.is_transient() => {
                    tracing::debug!(%error, "could not renew the claim on the sweep");
                }
                Err(error) => return error,
            }
        }
    }

    /// The sweep is over: to its end, or before it.
    pub(super) async fn release(mut self, is_done: bool, progress: &Progress) -> Result<(), ClaimError> {
        self.write(if is_done { State::Done } else { State::GivenUp }, progress).await
    }

    async fn write(&mut self, state: State, progress: &Progress) -> Result<(), ClaimError> {
        let document = Document {
            state,
            renewed_at: OffsetDateTime::now_utc(),
            counts: progress.counts(),
            ..self.document.clone()
        };
        match self.place.put(&document, Some(&self.etag)).await? {
            Some(etag) => {
                self.etag = etag;
                self.document = document;
                Ok(())
            }
            None => self.was_ours_after_all(&document).await,
        }
    }

    /// A write whose reply was lost is tried again by the SDK, and then meets its own first try.
    async fn was_ours_after_all(&mut self, document: &Document) -> Result<(), ClaimError> {
        let Place { s3, bucket, key } = &self.place;
        match objects::get_with_etag(s3, bucket, key).await? {
            Some((bytes, etag)) if serde_json::from_slice::<Document>(&bytes).is_ok_and(|found| found == *document) => {
                self.etag = etag;
                self.document = document.clone();
                Ok(())
            }
            _ => Err(ClaimError::TakenOver(key.clone())),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Free {
    Yes,
    Held,
    NotDue(Duration),
}

impl Document {
    fn free(&self, now: OffsetDateTime, every: Option<Duration>) -> Free {
        let age = Duration::try_from(now - self.renewed_at).unwrap_or_default();
        match (self.state, every) {
            (State::Running, _) if age < DEAD_AFTER => Free::Held,
            (State::Done, Some(every)) if age < every => Free::NotDue(every - age),
            _ => Free::Yes,
        }
    }

    fn holder(&self) -> String {
        let Counts { seals, owed, announced } = self.counts;
        format!(
            "{}, since {} ({seals} seals read, {owed} requests owed, {announced} announced)",
            self.owner,
            timestamp::format(self.started_at)
        )
    }
}

/// The process alone would do for a machine; containers are all number 1.
fn owner() -> String {
    format!("loader process {} ({})", std::process::id(), uuid::Uuid::new_v4())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_claim_is_free_when_its_sweep_is_over_or_its_owner_silent() {
        let at = datetime!(2025-06-01 00:00 UTC);
        let document = |state| Document {
            version: 1,
            owner: "a".into(),
            state,
            started_at: at,
            renewed_at: at,
            counts: Counts::default(),
        };
        let (soon, later) = (at + Duration::from_secs(299), at + Duration::from_secs(300));
        let hour = Some(Duration::from_secs(3600));
        assert_eq!(document(State::Running).free(soon, None), Free::Held);
        assert_eq!(document(State::Running).free(later, hour), Free::Yes);
        assert_eq!(document(State::Running).free(at - Duration::from_secs(60), None), Free::Held, "clocks differ");
        assert_eq!(document(State::GivenUp).free(soon, hour), Free::Yes);
        assert_eq!(document(State::Done).free(soon, None), Free::Yes, "who asks for a sweep gets one");
        assert_eq!(document(State::Done).free(later, hour), Free::NotDue(Duration::from_secs(3300)));
    }
}
