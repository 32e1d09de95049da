//! A plan carried out: each of its sources routed again as its next generation, by routers or in this process.
//!
//! What is done is known from the seals alone, so a replay that died goes on where it was when it is given again. A message
//! that is still on its way from before finds the seal and does nothing.

use super::due::{Due, DueReader};
use super::raw::{Raw, Refusal};
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
use common::telemetry::chain;
use futures::{StreamExt, stream};
use std::collections::HashMap;
use std::io;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Sources that are asked for and not sealed yet; bounds memory, and what a queue holds of a replay.
const ASKED_MAX: usize = 1_000;

/// Seals that are looked for at once.
const LOOKS: usize = 32;

/// Between two looks for the same seals.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// After this long without its seal a source's raw object is looked for again: it may have been deleted meanwhile.
const RAW_PAUSE: Duration = Duration::from_secs(30);

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
        Ok(Self::Here(Box::new(Here { router, in_flight: settings.router.objects_in_flight })))
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

/// A source that is asked for.
struct Asked {
    due: Due,
    raw_seen: Instant,
}

impl Quarantine {
    /// Carries a plan out. `tell` hears of every step, and of what cannot be done. Where others route, it gives up when
    /// none of them did anything for as long as `patience`.
    pub async fn replay(
        &self,
        plan: Plan,
        way: &Way,
        patience: Duration,
        tell: &mut impl FnMut(&Progress, Option<Notice>),
        shutdown: &CancellationToken,
    ) -> Result<Replayed, ReplayError> {
        let Plan { sources, what, routing_id, due, lost, .. } = plan;
        let document = replace::open(self.place(), &what, OffsetDateTime::now_utc()).await?;
        let (id, progress) = (document.id, Progress::default());
        let mut run = Run { quarantine: self, id, routing_id, sources, progress, tell, shutdown };
        match way {
            Way::Routers(queue) => run.by_routers(queue, patience).await?,
            Way::Here(here) => run.here(here).await?,
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

/// What was found about a source that is asked for.
enum Found {
    Seal(Box<Seal>),
    Refused(Refusal),
    Nothing { looked_at_raw: bool },
}

impl<F: FnMut(&Progress, Option<Notice>)> Run<'_, F> {
    async fn by_routers(&mut self, queue: &Queue, patience: Duration) -> Result<(), ReplayError> {
        let mut asked: HashMap<SourceId, Asked> = HashMap::new();
        let (mut settled, mut moved_at) = (0, Instant::now());
        loop {
            self.ask(queue, &mut asked).await?;
            if asked.is_empty() || self.shutdown.is_cancelled() || moved_at.elapsed() > patience {
                return Ok(());
            }
            let earliest = Instant::now() + LOOK_PAUSE;
            self.look(&mut asked).await?;
            if self.progress.settled() > settled {
                (settled, moved_at) = (self.progress.settled(), Instant::now());
            }
            (self.tell)(&self.progress, None);
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = tokio::time::sleep_until(earliest) => {}
            }
        }
    }

    /// Asks for as many sources as may be asked for at once.
    async fn ask(&mut self, queue: &Queue, asked: &mut HashMap<SourceId, Asked>) -> Result<(), ReplayError> {
        let mut bodies = Vec::new();
        while asked.len() < ASKED_MAX && !self.shutdown.is_cancelled() {
            let Some(due) = self.sources.next()? else { break };
            bodies.push(due.request(&self.id, &self.routing_id).to_json());
            asked.insert(due.source_id(), Asked { due, raw_seen: Instant::now() });
        }
        Ok(queue.send_all(bodies).await?)
    }

    /// Looks for the seals of all that is asked for.
    async fn look(&mut self, asked: &mut HashMap<SourceId, Asked>) -> Result<(), ReplayError> {
        let quarantine = self.quarantine;
        let looks = asked.iter().map(|(source_id, one)| async move {
            let found = quarantine.look_for(source_id, one).await;
            found.map(|found| (source_id.clone(), found))
        });
        let found: Vec<_> = stream::iter(looks).buffer_unordered(LOOKS).collect().await;
        for one in found {
            let (source_id, found) = one?;
            match found {
                Found::Nothing { looked_at_raw } => {
                    if let Some(one) = asked.get_mut(&source_id).filter(|_| looked_at_raw) {
                        one.raw_seen = Instant::now();
                    }
                }
                Found::Seal(seal) => {
                    asked.remove(&source_id);
                    self.sealed(&seal);
                }
                Found::Refused(why) => {
                    if let Some(one) = asked.remove(&source_id) {
                        self.refused(one.due.uri(), why);
                    }
                }
            }
        }
        Ok(())
    }

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

    async fn here(&mut self, here: &Here) -> Result<(), ReplayError> {
        let mut work = stream::FuturesUnordered::new();
        loop {
            while work.len() < here.in_flight && !self.shutdown.is_cancelled() {
                let Some(due) = self.sources.next()? else { break };
                let request = due.request(&self.id, &self.routing_id);
                // As if it were redelivered: an earlier try may have died between the seal and its load requests.
                work.push(async move { (due, here.router.requested(&request, Lane::Backfill, true).await) });
            }
            let Some((due, outcome)) = work.next().await else { return Ok(()) };
            self.settle(due, outcome).await?;
        }
    }

    async fn settle(
        &mut self,
        due: Due,
        outcome: Result<handle::Outcome, handle::HandleError>,
    ) -> Result<(), ReplayError> {
        use handle::Outcome;
        match outcome {
            Ok(Outcome::Routed(tally)) => {
                self.progress.sealed += 1;
                self.progress.quarantined += tally.quarantined;
            }
            Ok(Outcome::Announced | Outcome::Sealed) => {
                if let Some(seal) = self.quarantine.seal_of(&due.source_id(), due.generation).await? {
                    self.sealed(&seal);
                }
            }
            Ok(Outcome::Gone) => self.refused(due.uri(), Refusal::Gone),
            Ok(Outcome::Superseded | Outcome::Ignored) => self.refused(due.uri(), Refusal::Superseded),
            Ok(Outcome::LostClaim(lost)) => self.lost(due.uri(), lost.held_by.unwrap_or_default()),
            Err(handle::HandleError::LeftToOthers) => {}
            Err(error) => {
                self.progress.failed += 1;
                (self.tell)(&self.progress, Some(Notice::Failed(chain(&error))));
            }
        }
        (self.tell)(&self.progress, None);
        Ok(())
    }
}

impl Quarantine {
    async fn look_for(&self, source_id: &SourceId, asked: &Asked) -> Result<Found, QuarantineError> {
        if let Some(seal) = self.seal_of(source_id, asked.due.generation).await? {
            return Ok(Found::Seal(Box::new(seal)));
        }
        if asked.raw_seen.elapsed() < RAW_PAUSE {
            return Ok(Found::Nothing { looked_at_raw: false });
        }
        Ok(match self.find_raw(asked.due.contents()).await? {
            Raw::Refused(why) => Found::Refused(why),
            Raw::Current | Raw::Version(_) => Found::Nothing { looked_at_raw: true },
        })
    }
}
