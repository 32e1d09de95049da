//! Backfill: raw objects of a range of time that have no seal get one; with `--replace`, all of them are routed again.
//! Plans first, then asks routers for each object over the backfill lane (or routes here), and watches until all is sealed.
//!
//! What is done is what is sealed: nothing is remembered elsewhere, so a resume is the same command again, and whoever
//! does the same at the same time doubles little and harms nothing (docs/adr/0018).

mod batch;
mod board;
mod desk;
mod direct;
mod enqueue;
mod expected;
mod facts;
mod outstanding;
mod pass;
mod plan;
mod prices;
mod progress;
mod proof;
mod room;
mod sample;
mod selection;
mod standing;
mod work;

pub use board::{Report, State};
pub use expected::{Expected, S3Requests};
pub use plan::{Amount, Plan};
pub use prices::PRICES_OF;
pub use progress::{Left, Progress};
pub use sample::Basis;
pub use selection::Options;

use crate::RunError;
use crate::known::Known;
use crate::listing::Order;
use crate::route::object::Rules;
use board::Board;
use common::aws_error::AwsError;
use common::clients::Clients;
use common::load_request::Lane;
use common::objects::{BucketError, check_bucket};
use common::queue::{LaneQueues, Queue, QueueError};
use common::replace::{self, Place, ReplaceDocument, ReplaceError};
use common::settings::Settings;
use desk::Desk;
use direct::Direct;
use enqueue::Enqueue;
use outstanding::Outstanding;
use pass::{Manner, Pass, SOME_LOOKS};
use progress::Tracker;
use proof::Proof;
use standing::{Replacing, Seals};
use std::time::Duration;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use work::{Way, Work};

/// Objects that a plan judges together.
const PLANNED_AT_ONCE: usize = 65_536;

/// During one walk that only counts, nothing has to be looked at twice.
const PLAN_FRESH_FOR: Duration = Duration::from_secs(24 * 3600);

/// SQS's numbers of messages are right a minute after the last change (SQS developer guide, approximate number of
/// messages).
const EMPTY_FOR: Duration = Duration::from_secs(60);

/// A backfill could not be planned or carried out.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BackfillError(#[from] Cause);

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Replace(#[from] ReplaceError),
    #[error("the router cannot start")]
    Router(#[source] Box<RunError>),
    #[error("--prefix {prefix:?} is outside raw.prefix {raw:?}: routers would refuse what lies there")]
    Outside { prefix: String, raw: String },
    #[error("--replace needs router.lineage = true: without it nobody can tell which rows are to be replaced")]
    NoLineage,
    #[error("raw.backfill_queue: queue {0:?} does not exist: create it, or route in this process with --direct")]
    NoLane(String),
}

/// How a backfill ended.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Outcome {
    /// How it stands now.
    pub state: State,
    /// How far it came.
    pub progress: Progress,
    /// What is left.
    pub left: Left,
    /// The replace's id, if it is one.
    pub replace_id: Option<String>,
}

/// A backfill that may be planned and carried out.
pub struct Backfill {
    settings: Settings,
    clients: Clients,
    options: Options,
    seals: Seals,
    prefix: String,
    what: String,
    routing_id: String,
    /// None with `--direct`.
    queue: Option<Queue>,
    /// What was found of the same replace, unless all of it is to be replaced once more.
    document: Option<ReplaceDocument>,
    opened_at: OffsetDateTime,
    /// What the plan's walk has proven.
    proof: Option<Proof>,
}

impl Backfill {
    /// Checks what a backfill needs. Changes nothing.
    pub async fn open(settings: &Settings, clients: &Clients, options: Options) -> Result<Self, BackfillError> {
        Ok(Self::opened(settings, clients, options).await?)
    }

    async fn opened(settings: &Settings, clients: &Clients, options: Options) -> Result<Self, Cause> {
        let raw = &settings.raw;
        let prefix = options.prefix.clone().unwrap_or_else(|| raw.prefix.clone());
        if !prefix.starts_with(&raw.prefix) {
            return Err(Cause::Outside { prefix, raw: raw.prefix.clone() });
        }
        if options.replace && !settings.router.lineage {
            return Err(Cause::NoLineage);
        }
        check_bucket(&clients.s3, &raw.bucket, "raw.bucket").await?;
        check_bucket(&clients.s3, &settings.routed.bucket, "routed.bucket").await?;
        let queue = match options.direct {
            true => None,
            false => {
                let queues = LaneQueues::open(&clients.sqs, &raw.queues, "raw").await?;
                let backfill = queues.get(Lane::Backfill).cloned();
                Some(backfill.ok_or_else(|| Cause::NoLane(raw.queues.backfill.clone()))?)
            }
        };
        let what = options.what(&raw.bucket, &prefix);
        let seals = Seals {
            s3: clients.s3.clone(),
            bucket: settings.routed.bucket.clone(),
            keys: settings.keys.clone(),
            raw_bucket: raw.bucket.clone(),
        };
        let routing_id = Rules::new(&settings.router, &settings.keys).routing_id;
        let (settings, clients) = (settings.clone(), clients.clone());
        let mut backfill = Self {
            settings,
            clients,
            options,
            seals,
            prefix,
            what,
            routing_id,
            queue,
            document: None,
            opened_at: OffsetDateTime::now_utc(),
            proof: None,
        };
        if backfill.options.replace {
            backfill.document = replace::find(backfill.place(), &backfill.selection()).await?;
        }
        Ok(backfill)
    }

    fn place(&self) -> Place<'_> {
        Place { s3: &self.seals.s3, bucket: &self.seals.bucket, keys: &self.seals.keys }
    }

    fn selection(&self) -> replace::Selection {
        self.options.selection(&self.what, &self.routing_id)
    }

    fn replacing(&self, document: Option<ReplaceDocument>) -> Option<Replacing> {
        // Where there is none yet, nothing can be its doing: as if it began now.
        let fresh = || ReplaceDocument {
            version: replace::REPLACE_VERSION,
            id: String::new(),
            kind: replace::Kind::Backfill,
            what: self.what.clone(),
            routing_id: Some(self.routing_id.clone()),
            started_at: OffsetDateTime::now_utc(),
            finished_at: None,
        };
        self.options.replace.then(|| Replacing {
            document: document.unwrap_or_else(fresh),
            routing_id: self.routing_id.clone(),
            over_others: self.options.over_others,
        })
    }

    /// Lists the range and tells what would be done. Changes nothing.
    pub async fn plan(&mut self) -> Result<Plan, BackfillError> {
        let (mut plan, mut proof) = self.planned().await?;
        if plan.was_finished && plan.replaced.objects + plan.archived.objects + plan.by_others.objects > 0 {
            // Finished once, and not all of it is as it was left: it is started anew.
            self.document = None;
            (plan, proof) = self.planned().await?;
        }
        self.proof = Some(proof);
        Ok(plan)
    }

    async fn planned(&self) -> Result<(Plan, Proof), Cause> {
        let manner = Manner {
            order: Order::OldestFirst,
            at_once: PLANNED_AT_ONCE,
            fresh_for: PLAN_FRESH_FOR,
            looks: SOME_LOOKS,
        };
        let replacing = self.replacing(self.document.clone());
        let mut pass =
            Pass::start(&self.settings, &self.seals, &self.options, &self.prefix, replacing.as_ref(), manner);
        let asked = plan::Asked {
            settings: &self.settings,
            seals: &self.seals,
            what: &self.what,
            replace_id: self.document.as_ref().map(|document| document.id.clone()),
            was_finished: self.document.as_ref().is_some_and(|document| document.finished_at.is_some()),
            rate: self.options.rate,
            is_direct: self.options.direct,
        };
        let plan = plan::plan(asked, &mut pass).await?;
        Ok((plan, pass.into_proof()))
    }

    /// Replaces also what others have replaced.
    pub fn over_others(&mut self) {
        self.options.over_others = true;
    }

    /// Carries the plan out, tells how far it is, and ends when all is sealed or what is left will not be. May be dropped
    /// or interrupted at any point.
    pub async fn run(
        &self,
        plan: &Plan,
        shutdown: &CancellationToken,
        tell: &mut (dyn FnMut(&Progress) + Send),
    ) -> Result<Outcome, BackfillError> {
        Ok(self.carry_out(plan, shutdown, tell).await?)
    }

    async fn carry_out(
        &self,
        plan: &Plan,
        shutdown: &CancellationToken,
        tell: &mut (dyn FnMut(&Progress) + Send),
    ) -> Result<Outcome, Cause> {
        let document = match (&self.document, self.options.replace) {
            (_, false) => None,
            (Some(document), true) => Some(document.clone()),
            (None, true) => Some(self.begun().await?),
        };
        let replace_id = document.as_ref().map(|document| document.id.clone());
        let replacing = self.replacing(document);
        let (mut board, others) = self.board(plan, replace_id.clone()).await?;
        let mut tracker = Tracker::new(plan.to_route());
        let mut way = self.way(replace_id.clone(), shutdown).await?;
        let mut desk = Desk { tracker: &mut tracker, board: &mut board, tell, shutdown };
        let work = Work {
            settings: &self.settings,
            seals: &self.seals,
            options: &self.options,
            prefix: &self.prefix,
            replacing: replacing.as_ref(),
            order: order(others),
            done: plan.done.objects,
        };
        let ended = work.run(&mut way, &mut desk).await;
        let progress = tracker.progress(way.in_work());
        let mut left = tracker.left;
        let state = match &ended {
            Ok(work::Ended::Proven) if left.is_nothing() => State::Done,
            Ok(work::Ended::Proven) => State::Incomplete,
            Ok(work::Ended::Left(stuck)) => {
                left.stuck = *stuck;
                let met = progress.done + left.lost_claims + left.stuck;
                left.not_begun = progress.to_route.objects.saturating_sub(met);
                State::Incomplete
            }
            Ok(work::Ended::Interrupted) => State::Interrupted,
            Err(_) => State::Incomplete,
        };
        board.end(state, &progress, &left).await;
        ended?;
        if let (State::Done, Some(id)) = (state, &replace_id) {
            replace::finish(self.place(), &self.selection(), id, OffsetDateTime::now_utc()).await?;
        }
        Ok(Outcome { state, progress, left, replace_id })
    }

    /// Ends what has nothing left to do. A replace that died between its last seal and its end is finished so.
    pub async fn end(&self, plan: &Plan) -> Result<Outcome, BackfillError> {
        let is_done = plan.to_route().objects + plan.by_others.objects + plan.archived.objects == 0;
        if let (true, Some(id)) = (is_done, &plan.replace_id) {
            let finished = replace::finish(self.place(), &self.selection(), id, OffsetDateTime::now_utc()).await;
            finished.map_err(Cause::from)?;
        }
        if let (true, Some(proof)) = (is_done, &self.proof) {
            let known = Known::new(&self.seals.s3, &self.settings, PLAN_FRESH_FOR);
            proof.mark(&known).await.map_err(Cause::from)?;
        }
        let (archived, lost_claims) = (plan.archived.objects, plan.by_others.objects);
        Ok(Outcome {
            state: if is_done { State::Done } else { State::Incomplete },
            progress: Progress::default(),
            left: Left { archived, lost_claims, ..Left::default() },
            replace_id: plan.replace_id.clone(),
        })
    }

    /// The replace, begun now, or by another who does the same since it was planned.
    async fn begun(&self) -> Result<ReplaceDocument, Cause> {
        let (place, selection) = (self.place(), self.selection());
        if let Some(found) = replace::find(place, &selection).await?
            && found.started_at >= self.opened_at
        {
            return Ok(found);
        }
        Ok(replace::open(place, &selection, OffsetDateTime::now_utc()).await?)
    }

    async fn way(&self, replace_id: Option<String>, shutdown: &CancellationToken) -> Result<Way, Cause> {
        let Options { rate, patience, .. } = self.options;
        let empty_for = EMPTY_FOR.min(patience / 2);
        let Some(queue) = &self.queue else {
            let failed = |error| Cause::Router(Box::new(error));
            let router = crate::direct_router(&self.settings, &self.clients, shutdown.clone()).await.map_err(failed)?;
            let crate::RouterSettings { objects_in_flight, drain_timeout, .. } = self.settings.router;
            let bucket = &self.settings.raw.bucket;
            let direct = Direct::new(router, bucket, objects_in_flight, rate, patience, drain_timeout);
            return Ok(Way::Direct(Box::new(direct)));
        };
        let outstanding = Outstanding::new(self.seals.clone(), self.settings.raw.overwrite, replace_id, empty_for);
        Ok(Way::Queue(Box::new(Enqueue::new(queue.clone(), rate, outstanding, patience, empty_for))))
    }

    async fn board(&self, plan: &Plan, replace_id: Option<String>) -> Result<(Board, usize), Cause> {
        let now = OffsetDateTime::now_utc();
        let report = Report {
            version: 1,
            owner: board::owner(),
            what: self.what.clone(),
            is_direct: self.options.direct,
            replace_id,
            state: State::Running,
            started_at: now,
            renewed_at: now,
            to_route: plan.to_route().objects,
            done: 0,
            records: 0,
            quarantined: 0,
            in_work: 0,
            left: Left::default(),
        };
        Ok(Board::join(&self.seals.s3, &self.seals.bucket, &self.seals.keys, report).await?)
    }
}

/// Two who do the same begin at both ends, and more wherever.
fn order(others: usize) -> Order {
    match others {
        0 => Order::OldestFirst,
        1 => Order::NewestFirst,
        _ => Order::Scattered,
    }
}

/// Every backfill that was told of, the newest first.
pub async fn status(settings: &Settings, clients: &Clients) -> Result<Vec<Report>, BackfillError> {
    check_bucket(&clients.s3, &settings.routed.bucket, "routed.bucket").await.map_err(Cause::from)?;
    let reports = board::reports(&clients.s3, &settings.routed.bucket, &settings.keys).await;
    Ok(reports.map_err(Cause::from)?)
}
