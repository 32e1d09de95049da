//! Who does what one process is enough for: one object that says it, renewed while the work goes on.
//!
//! It saves work and nothing more: whoever claims must bear that somebody else does the same at the same time. So clocks
//! of two processes may differ without harm.

use crate::aws_error::AwsError;
use crate::{objects, timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use time::OffsetDateTime;

/// A claim that was not renewed for this long is anybody's: its owner died.
const DEAD_AFTER: Duration = Duration::from_secs(5 * 60);

/// Renewed this often: several renewals may fail before it is taken over.
const RENEW: Duration = Duration::from_secs(60);

/// What the object says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Document {
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
    /// Ended before its work was done, for example by SIGTERM.
    GivenUp,
}

/// How far the work is: what was counted, under the names that people read.
type Counts = BTreeMap<String, u64>;

/// Counts of work under way.
#[derive(Debug, Default)]
pub struct Progress(Mutex<Counts>);

impl Progress {
    /// Counts so many more.
    pub fn add(&self, what: &str, n: u64) {
        let mut counts = self.lock();
        match counts.get_mut(what) {
            Some(count) => *count += n,
            None => drop(counts.insert(what.to_owned(), n)),
        }
    }

    fn counts(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a claim lies, and who asks for it.
#[derive(Clone, Debug)]
pub struct Place {
    /// The bucket's S3.
    pub s3: aws_sdk_s3::Client,
    /// The bucket.
    pub bucket: String,
    /// The object.
    pub key: String,
    /// The kind of process that asks, for people: `loader`, `router`.
    pub process: &'static str,
}

/// A claim that is ours, until somebody takes it over.
#[derive(Debug)]
pub struct Claim {
    place: Place,
    document: Document,
    etag: String,
}

/// What asking for the claim came to.
#[derive(Debug)]
pub enum Claimed {
    /// It is ours.
    Ours(Claim),
    /// Somebody is at it; who, for people.
    Held(String),
    /// Nobody is at it, and it was last done so recently that it is not due for this long.
    NotDue(Duration),
}

/// The claim went to somebody else, or could not be renewed for so long that it may have.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// S3 refused or did not answer.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// It went to somebody else.
    #[error("the claim {0} was taken over by another process: this one was silent for too long")]
    TakenOver(String),
}

impl Place {
    /// Claims the work, unless somebody has it or, with `every`, it was last done less than that ago.
    pub async fn claim(self, every: Option<Duration>) -> Result<Claimed, AwsError> {
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
            owner: owner(self.process),
            state: State::Running,
            started_at: now,
            renewed_at: now,
            counts: Counts::default(),
        };
        match self.put(&document, etag.as_deref()).await? {
            Some(etag) => Ok(Claimed::Ours(Claim { place: self, document, etag })),
            None => Ok(Claimed::Held("another process, since this moment".to_owned())),
        }
    }

    async fn put(&self, document: &Document, etag: Option<&str>) -> Result<Option<String>, AwsError> {
        let bytes = serde_json::to_vec_pretty(document).expect("a claim has string keys only, so it always serialises");
        objects::put_if_unchanged(&self.s3, &self.bucket, &self.key, etag, bytes).await
    }
}

impl Claim {
    /// Renews the claim for as long as it is awaited. Ends only when the claim is lost.
    pub async fn keep(&mut self, progress: &Progress) -> ClaimError {
        loop {
            tokio::time::sleep(RENEW).await;
            match self.write(State::Running, progress).await {
                Ok(()) => {}
                Err(ClaimError::Aws(error)) if error.is_transient() => {
                    tracing::debug!(%error, claim = self.place.key, "could not renew the claim");
                }
                Err(error) => return error,
            }
        }
    }

    /// The work is done, or given up before its end.
    pub async fn release(mut self, is_done: bool, progress: &Progress) -> Result<(), ClaimError> {
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
        let Place { s3, bucket, key, .. } = &self.place;
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
        let counts: Vec<String> = self.counts.iter().map(|(what, n)| format!("{n} {what}")).collect();
        let counts = if counts.is_empty() { "nothing counted yet".to_owned() } else { counts.join(", ") };
        format!("{}, since {} ({counts})", self.owner, timestamp::format(self.started_at))
    }
}

/// The process alone would do for a machine; containers are all number 1.
fn owner(process: &str) -> String {
    format!("{process} process {} ({})", std::process::id(), uuid::Uuid::new_v4())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_claim_is_free_when_its_work_is_over_or_its_owner_silent() {
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
        assert_eq!(document(State::Done).free(soon, None), Free::Yes, "who asks for the work gets it");
        assert_eq!(document(State::Done).free(later, hour), Free::NotDue(Duration::from_secs(3300)));
    }

    #[test]
    fn who_holds_a_claim_is_told_with_what_was_counted() {
        let progress = Progress::default();
        progress.add("seals", 2);
        progress.add("seals", 5);
        progress.add("owed", 0);
        let at = datetime!(2025-06-01 00:00 UTC);
        let document = Document {
            version: 1,
            owner: "a".into(),
            state: State::Running,
            started_at: at,
            renewed_at: at,
            counts: progress.counts(),
        };
        assert_eq!(document.holder(), "a, since 2025-06-01T00:00:00Z (0 owed, 7 seals)");
    }
}
