//! The router's half of the sweep: raw objects that nobody sealed are asked for again, and hours of which all are sealed
//! are marked.
//!
//! It goes by what lies in the raw bucket and by the index of hours, so it needs no notification that ever came. What it
//! finds goes to the raw queues as our own message. Safe at any time, any number of times, by anybody: the seal's name
//! decides who routes an object. What a mark vouches for: docs/adr/0019.
//!
//! Memory: [`round::BATCH`] objects of the listing, those without a seal for which [`room`] has room, and what
//! [`crate::known::Known`] and the listing hold.

mod ask;
mod command;
mod due;
mod hours;
mod looked;
mod marks;
mod open;
mod report;
mod room;
mod round;
pub(crate) mod schedule;
mod standing;

pub use command::{SweepCommandError, SweepOptions, Swept, sweep};
pub use report::{Asked, GivenUp, Report};

use crate::known::Known;
use common::aws_error::AwsError;
use common::claim::{ClaimError, Claimed, Place, Progress};
use common::clients::Clients;
use common::queue::LaneQueues;
use common::seals::SealReadError;
use common::settings::Settings;
use hours::Documents;
use marks::Seen;
use round::Round;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

/// A sweep that did not come to its end. The next one finds everything again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SweepError {
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error(transparent)]
    Seal(#[from] SealReadError),
    #[error(transparent)]
    Claim(#[from] ClaimError),
}

/// How a sweep is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    /// Look only: no claim, nothing asked for, nothing written.
    pub(crate) dry_run: bool,
    /// Ask anew for what was given up.
    pub(crate) again: bool,
    /// Not if the last one ended less than this ago.
    pub(crate) every: Option<Duration>,
    /// How long a queue that has enough to do is waited for.
    pub(crate) patience: Duration,
}

/// What asking for a sweep came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    Swept(Report),
    /// Ended before its end, because this process ends.
    Interrupted,
    /// Somebody else sweeps; who.
    Held(String),
    /// The last one is not long ago.
    NotDue(Duration),
}

/// Sweeps of one deployment.
#[derive(Clone, Debug)]
pub(crate) struct Sweeper {
    s3: aws_sdk_s3::Client,
    settings: Arc<Settings>,
    /// The raw ones.
    queues: LaneQueues,
}

impl Sweeper {
    /// Sweeps for these settings; `queues` are the raw ones.
    pub(crate) fn new(settings: &Settings, clients: &Clients, queues: LaneQueues) -> Self {
        Self { s3: clients.s3.clone(), settings: Arc::new(settings.clone()), queues }
    }

    /// Sweeps, if nobody else does. May be dropped at any point.
    pub(crate) async fn sweep(&self, mode: Mode, shutdown: &CancellationToken) -> Result<Outcome, SweepError> {
        let progress = Progress::default();
        if mode.dry_run {
            return Ok(Outcome::Swept(Round::new(self, mode, &progress).run().await?));
        }
        let (bucket, key) = (self.settings.routed.bucket.clone(), self.settings.keys.router_sweep_claim());
        let s3 = self.s3.clone();
        let mut claim = match (Place { s3, bucket, key, process: "router" }).claim(mode.every).await? {
            Claimed::Ours(claim) => claim,
            Claimed::Held(by) => return Ok(Outcome::Held(by)),
            Claimed::NotDue(wait) => return Ok(Outcome::NotDue(wait)),
        };
        let swept = tokio::select! {
            swept = Round::new(self, mode, &progress).run() => swept,
            lost = claim.keep(&progress) => return Err(lost.into()),
            () = shutdown.cancelled() => {
                claim.release(false, &progress).await?;
                return Ok(Outcome::Interrupted);
            }
        };
        match swept {
            Ok(report) => {
                claim.release(true, &progress).await?;
                Ok(Outcome::Swept(report))
            }
            Err(error) => {
                if let Err(error) = claim.release(false, &progress).await {
                    tracing::debug!(%error, "could not give up the claim on the sweep");
                }
                Err(error)
            }
        }
    }
}

/// Marks an hour of which somebody else than a sweep listed every raw object and found it sealed. Tells whether the mark
/// says something new.
pub(crate) async fn mark_sealed(
    known: &Known,
    hour: OffsetDateTime,
    listed_at: OffsetDateTime,
    objects: u64,
) -> Result<bool, AwsError> {
    let mut documents = Documents::read(known, hour, true).await?;
    let seen = Seen { listed_at, objects: Some(objects), unsealed: 0 };
    // A sweep that began later knows better what has no seal.
    Ok(!documents.is_later(listed_at)
        && documents.write_open(known, listed_at, Vec::new()).await?
        && documents.write_mark(known, seen).await?)
}
