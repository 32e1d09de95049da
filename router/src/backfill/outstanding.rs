//! What was sent and is not sealed yet. Each object's own seal is looked for, first when it is likely to be there, then
//! less and less often.

use super::Cause;
use super::progress::{Missing, Tracker};
use super::standing::Seals;
use crate::listing::RawObject;
use common::aws_error::AwsError;
use common::objects;
use common::seal::Seal;
use common::settings::Overwrite;
use futures::stream::{self, StreamExt};
use std::time::Duration;
use tokio::time::Instant;

/// Objects that may be sent and not sealed: also what keeps failing, or that nobody routes, is held in memory.
pub(super) const OUTSTANDING_MAX: usize = 5_000;

/// Looks at once.
const LOOKS_AT_ONCE: usize = 64;

/// Looks of one round: so that progress is told in between.
const LOOKS_EACH: usize = 1_024;

/// Between two looks for the same seal.
const LOOK_MIN: Duration = Duration::from_millis(250);
const LOOK_MAX: Duration = Duration::from_secs(30);

/// An object that was sent.
#[derive(Clone, Debug)]
struct Sent {
    object: RawObject,
    /// The generation that it is to be.
    generation: u32,
    sent_at: Instant,
    look_at: Instant,
    /// When the raw object itself was looked at last.
    checked_at: Instant,
}

/// What a look at an object showed.
enum Look {
    Sealed(super::facts::Facts),
    Missing(Missing),
    NotYet { checked: bool },
}

pub(super) struct Outstanding {
    seals: Seals,
    overwrite: Overwrite,
    /// The replace that is under way, if it is one.
    replace_id: Option<String>,
    sent: Vec<Sent>,
    /// How long an object may be without a seal before it is asked whether it is still there.
    doubt_after: Duration,
}

impl Outstanding {
    pub(super) fn new(seals: Seals, overwrite: Overwrite, replace_id: Option<String>, doubt_after: Duration) -> Self {
        Self { seals, overwrite, replace_id, sent: Vec::new(), doubt_after }
    }

    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    pub(super) fn push(&mut self, object: RawObject, generation: u32, typical: Duration) {
        let now = Instant::now();
        let look_at = now + typical.clamp(LOOK_MIN, LOOK_MAX);
        self.sent.push(Sent { object, generation, sent_at: now, look_at, checked_at: now });
    }

    /// Looks for the seals that may be there by now; with `all`, for all of them.
    pub(super) async fn look(&mut self, tracker: &mut Tracker, all: bool) -> Result<(), Cause> {
        let now = Instant::now();
        let (mut due, mut rest): (Vec<Sent>, Vec<Sent>) =
            std::mem::take(&mut self.sent).into_iter().partition(|sent| all || sent.look_at <= now);
        if !all && due.len() > LOOKS_EACH {
            rest.extend(due.split_off(LOOKS_EACH));
        }
        let looks = due.into_iter().map(|sent| async {
            let looked = self.look_at(&sent, all).await;
            (sent, looked)
        });
        let mut looks = stream::iter(looks).buffer_unordered(LOOKS_AT_ONCE);
        let mut failed = None;
        while let Some((mut sent, looked)) = looks.next().await {
            let source_id = sent.object.source_id(&self.seals.raw_bucket);
            let age = sent.sent_at.elapsed();
            match looked {
                Ok(Look::Sealed(seal)) if seal.replace_id != self.replace_id && sent.generation > 0 => {
                    tracker.lost_claim(&sent.object.key);
                }
                Ok(Look::Sealed(seal)) => tracker.sealed(sent.object.bytes, seal.counts, age),
                Ok(Look::Missing(missing)) => tracker.missing(&source_id, &sent.object.key, missing),
                Ok(Look::NotYet { checked }) => {
                    if checked {
                        sent.checked_at = Instant::now();
                    }
                    sent.look_at = Instant::now() + (age / 2).clamp(LOOK_MIN, LOOK_MAX);
                    rest.push(sent);
                }
                Err(error) => {
                    // It may be asked for again; meanwhile nothing is forgotten.
                    rest.push(sent);
                    failed = Some(error);
                }
            }
        }
        drop(looks);
        self.sent = rest;
        match failed {
            Some(error) if !error.is_transient() => Err(error.into()),
            Some(error) => {
                tracing::debug!(%error, "could not look for a seal");
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Gives up what is left: how many, each told of.
    pub(super) fn give_up(&mut self, tracker: &mut Tracker) -> u64 {
        let left = std::mem::take(&mut self.sent);
        for sent in &left {
            tracker.left.name("not sealed", &sent.object.key);
        }
        left.len() as u64
    }

    /// Forgets what is left, to be found anew.
    pub(super) fn clear(&mut self) {
        self.sent.clear();
    }

    async fn look_at(&self, sent: &Sent, doubted: bool) -> Result<Look, AwsError> {
        if let Some(facts) = self.seals.facts(&sent.object, sent.generation).await? {
            return Ok(Look::Sealed(facts));
        }
        if !doubted && sent.checked_at.elapsed() < self.doubt_after {
            return Ok(Look::NotYet { checked: false });
        }
        Ok(match self.missing(&sent.object).await? {
            Some(missing) => Look::Missing(missing),
            None => Look::NotYet { checked: true },
        })
    }

    /// Whether the object cannot be sealed any more.
    async fn missing(&self, object: &RawObject) -> Result<Option<Missing>, AwsError> {
        let Seals { s3, raw_bucket, .. } = &self.seals;
        match s3.head_object().bucket(raw_bucket).key(&object.key).send().await {
            Ok(head) if head.e_tag().is_some_and(|etag| etag.trim_matches('"') != object.etag) => {
                return Ok(Some(Missing::Superseded));
            }
            Ok(_) => {}
            Err(error) => {
                let error = AwsError::new("HeadObject", format!("s3://{raw_bucket}/{}", object.key), error);
                return if error.is_not_found() { Ok(Some(Missing::Gone)) } else { Err(error) };
            }
        }
        let is_ignored = self.overwrite == Overwrite::Ignore && self.is_claimed_by_others(object).await?;
        Ok(is_ignored.then_some(Missing::Ignored))
    }

    /// Whether the object's key is other contents', where only the first count.
    async fn is_claimed_by_others(&self, object: &RawObject) -> Result<bool, AwsError> {
        let Seals { s3, bucket, keys, raw_bucket } = &self.seals;
        for key in keys.claims(raw_bucket, &object.key) {
            let Some((bytes, _)) = objects::get_with_etag(s3, bucket, &key).await? else { continue };
            if let Ok(seal) = Seal::parse(&key, &bytes)
                && seal.is_of_key(raw_bucket, &object.key)
            {
                return Ok(seal.source_id != object.source_id(raw_bucket));
            }
        }
        Ok(false)
    }
}
