//! A plan carried out: each of its sources routed again as its next generation, by `routers` or in this process, `here`.
//!
//! What is done is known from the seals alone, so a replay that died goes on where it was when it is given again. A message
//! that is still on its way from before finds the seal and does nothing.

mod here;
mod routers;

use super::due::DueReader;
use super::raw::Refusal;
use super::{Notice, Plan, Quarantine, QuarantineError};
use crate::handle;
use common::aws_error::AwsError;
use common::clients::Clients;
use common::load_request::Lane;
use common::objects;
use common::queue::{LaneQueues, Queue, QueueError};
use common::replace::{self, ReplaceError};
use common::seal::Seal;
use common::seals::SealReadError;
use common::settings::Settings;
use common::source::SourceId;
use std::io;
use std::time::Duration;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

/// Who routes.
pub enum Way {
    /// Whoever reads this queue.
    Routers(Box<Queue>),
    /// This process.
    Here(Box<Here>),
}

/// A router in this process.
pub struct Here {
    router: handle::Router,
    in_flight: usize,
    drain_timeout: Duration,
}

/// How far a replay is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Sources that are routed again.
    pub sealed: u64,
    /// Of their records, those that are in quarantine again.
    pub quarantined: u64,
    /// Sources that turned out to have no raw object any more.
    pub refused: u64,
    /// Sources that another replace took.
    pub lost: u64,
    /// Sources that could not be routed here; why is told.
    pub failed: u64,
}

impl Progress {
    /// Sources about which nothing is left to do.
    pub fn settled(&self) -> u64 {
        self.sealed + self.refused + self.lost + self.failed
    }
}

/// What a replay came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The replace's id.
    pub id: String,
    /// What became of the sources.
    pub progress: Progress,
    /// Sources that are not settled, because it was interrupted or nobody routed: the same command goes on.
    pub left: u64,
}

/// A replay could not go on. The same command does.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// SQS or S3.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// A seal, or a raw object.
    #[error(transparent)]
    Quarantine(#[from] QuarantineError),
    /// The replace's document.
    #[error("the document of the replay cannot be written")]
    Document(#[from] ReplaceError),
    /// The list of sources.
    #[error("router.spool_dir: the list of sources cannot be read")]
    Spool(#[from] io::Error),
}

impl Way {
    /// By the routers that read the backfill lane; where there is none, the live one.
    pub async fn routers(settings: &Settings, clients: &Clients) -> Result<Self, ReplayError> {
        let queues = LaneQueues::open(&clients.sqs, &settings.raw.queues, "raw").await?;
        Ok(Self::Routers(Box::new(queues.or_live(Lane::Backfill).clone())))
    }

    /// In this process. `stopping`: no source is begun any more.
    pub async fn here(
        settings: &Settings,
        clients: &Clients,
        stopping: CancellationToken,
    ) -> Result<Self, ReplayError> {
        let routed = crate::open_routed(settings, clients).await?;
        let router = crate::router(settings, clients, routed, stopping);
        let crate::RouterSettings { objects_in_flight: in_flight, drain_timeout, .. } = settings.router;
        Ok(Self::Here(Box::new(Here { router, in_flight, drain_timeout })))
    }
}

/// A replay under way.
struct Run<'a, F> {
    quarantine: &'a Quarantine,
    id: String,
    routing_id: String,
    sources: DueReader,
    progress: Progress,
    tell: &'a mut F,
    shutdown: &'a CancellationToken,
}

impl Quarantine {
    /// Carries a plan out. `tell` hears of every step, and of what cannot be done. It gives up when nothing was sealed
    /// for as long as `patience`.
    pub async fn replay(
        &self,
        plan: Plan,
        way: &Way,
        patience: Duration,
        tell: &mut impl FnMut(&Progress, Option<Notice>),
        shutdown: &CancellationToken,
    ) -> Result<Replayed, ReplayError> {
        let Plan { sources, what, routing_id, due, lost, ends, .. } = plan;
        if let Some(earlier) = ends {
            replace::finish(self.place(), &what, &earlier, OffsetDateTime::now_utc()).await?;
        }
        let document = replace::open(self.place(), &what, OffsetDateTime::now_utc()).await?;
        let (id, progress) = (document.id, Progress::default());
        let mut run = Run { quarantine: self, id, routing_id, sources, progress, tell, shutdown };
        match way {
            Way::Routers(queue) => run.by_routers(queue, patience).await?,
            Way::Here(here) => run.here(here, patience).await?,
        }
        let Run { id, progress, .. } = run;
        let left = due - progress.settled();
        // What others took keeps it open, so that the same command can ask about it.
        if left + progress.lost + progress.failed + lost == 0 {
            replace::finish(self.place(), &what, &id, OffsetDateTime::now_utc()).await?;
        }
        Ok(Replayed { id, progress, left })
    }

    /// The seal of this generation, if it is there by now.
    async fn seal_of(&self, source_id: &SourceId, generation: u32) -> Result<Option<Seal>, QuarantineError> {
        let key = self.keys.seal(source_id, generation);
        let Some((bytes, _)) = objects::get_with_etag(&self.s3, &self.routed_bucket, &key).await? else {
            return Ok(None);
        };
        Ok(Some(Seal::parse(&key, &bytes).map_err(|error| QuarantineError::Seal(SealReadError::from(error)))?))
    }
}

impl<F: FnMut(&Progress, Option<Notice>)> Run<'_, F> {
    fn sealed(&mut self, seal: &Seal) {
        if seal.replace_id.as_ref() == Some(&self.id) {
            self.progress.sealed += 1;
            self.progress.quarantined += seal.counts.quarantined;
        } else {
            let by = seal.replace_id.clone().unwrap_or_default();
            self.lost(seal.source.uri(), by);
        }
    }

    fn lost(&mut self, uri: String, by: String) {
        self.progress.lost += 1;
        (self.tell)(&self.progress, Some(Notice::Lost { uri, by }));
    }

    fn refused(&mut self, uri: String, why: Refusal) {
        self.progress.refused += 1;
        (self.tell)(&self.progress, Some(Notice::Refused { uri, why }));
    }
}
