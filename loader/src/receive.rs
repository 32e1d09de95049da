//! The loader's loop: receive → gather per table → hand batches to workers → settle what is over.
//!
//! Every delivery has one fate: deleted by [`crate::work`] once the ledger has its request, dead-lettered
//! here where nobody can read it and there where it failed alone too often, deferred by [`crate::defer`] where it would
//! wait long, returned in all other cases.

mod drain;

use crate::away::Away;
use crate::batch::Held;
use crate::pause;
use crate::pending::{Left, Pending};
use crate::stopped::{Stopped, Wait};
use crate::sweep::schedule::Schedule;
use crate::table::Table;
use crate::ticks::Ticks;
use crate::work::Worked;
use crate::{Loader, RunError, Summary, defer, settle, share};
use common::aws_error::AwsError;
use common::consumer::IdleClock;
use common::event_name::EventName;
use common::lanes::PerLane;
use common::load_request::{Lane, LoadRequest, LoadRequestError};
use common::queue::{Delivery, Depth, Fate, Handback};
use common::telemetry::chain;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// Receives under way at once: SQS gives at most ten messages to each.
const RECEIVES: PerLane<usize> = PerLane::new(3, 1);

/// Receiving waits while so many messages of ours are in flight: held, in work, or returned with a pause that is not
/// over. SQS allows 120,000 (SQS developer guide, quotas-messages).
const IN_FLIGHT_MAX: usize = 100_000;

/// SQS's longest long poll.
const LONG_POLL: Duration = Duration::from_secs(20);

/// Receives that fail are told of again after this time.
const RECEIVE_WARN_AGAIN: Duration = Duration::from_secs(300);

/// Pause after a failed receive.
const RECEIVE_BACKOFF: Duration = Duration::from_secs(2);

/// When a request that a newer router wrote is first looked at again: it needs a newer loader.
const TOO_NEW_PAUSE: Duration = Duration::from_secs(300);

/// When a request of a table that holds enough first comes back.
const CROWDED_PAUSE: Duration = Duration::from_secs(30);

/// Held requests are looked over for old ones this often.
const LOOK_OVER: Duration = Duration::from_secs(60);

type Received = Result<Vec<Delivery>, AwsError>;

/// Runs until shutdown or, if asked to, until nothing is left to do.
pub(crate) async fn run(
    loader: Arc<Loader>,
    sweeps: Schedule,
    until_idle: Option<Duration>,
) -> Result<Summary, RunError> {
    let mut run = Run {
        pending: Pending::new(),
        stopped: Stopped::new(loader.settings.loader.stopped_retry, loader.settings.loader.defer_after),
        sweeps,
        tables: HashMap::new(),
        receives: JoinSet::new(),
        receiving: PerLane::default(),
        away: Away::default(),
        loads: JoinSet::new(),
        loading: HashMap::new(),
        settling: TaskTracker::new(),
        idle: until_idle.map(IdleClock::new),
        ticks: loader.settings.loader.load_every.map(|every| {
            let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            Ticks::new(every, Instant::now(), since_1970)
        }),
        receive_fails: PerLane::default(),
        too_new: BTreeMap::new(),
        summary: Summary::default(),
        loader,
    };
    let ended = run.until_ended().await;
    run.drain().await;
    ended.map(|()| run.summary)
}

struct Run {
    loader: Arc<Loader>,
    pending: Pending<Delivery>,
    stopped: Stopped,
    sweeps: Schedule,
    /// What is remembered of tables that are not loading.
    tables: HashMap<EventName, Table>,
    receives: JoinSet<(Lane, Received)>,
    /// How many of them there are.
    receiving: PerLane<usize>,
    away: Away,
    loads: JoinSet<Vec<Worked>>,
    loading: HashMap<Id, Loading>,
    settling: TaskTracker,
    idle: Option<IdleClock>,
    ticks: Option<Ticks>,
    /// When it was last told that receives fail; `None` while they work.
    receive_fails: PerLane<Option<Instant>>,
    /// Why each message was returned that a newer router wrote; only where the run may end by itself.
    too_new: BTreeMap<String, String>,
    summary: Summary,
}

/// A load in work.
struct Loading {
    lane: Lane,
    events: Vec<EventName>,
    /// What returns its messages if it has to be abandoned.
    handbacks: Vec<Handback>,
}

impl Run {
    async fn until_ended(&mut self) -> Result<(), RunError> {
        let shutdown = self.loader.shutdown.clone();
        let mut look_over = tokio::time::interval(LOOK_OVER);
        loop {
            self.flush_at_tick();
            self.start_loads();
            self.start_receives();
            let wake_at = self.wake_at();
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                Some(worked) = self.loads.join_next_with_id() => self.load_is_over(worked),
                Some(received) = self.receives.join_next() => {
                    let (lane, received) = received.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
                    *self.receiving.get_mut(lane) -= 1;
                    if self.take_in(lane, received).await? {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {}
                _ = look_over.tick() => self.let_go_of_aged(),
            }
        }
    }

    /// When there is something to do although nothing was received and no load is over.
    fn wake_at(&self) -> Option<Instant> {
        let now = Instant::now();
        let may_load = self.loads.len() < self.loader.settings.loader.workers;
        let next_due = self.loader.commits.budget(|budget| self.pending.next_due(now, budget, self.may_backfill()));
        // Receiving may wait for messages to be back; otherwise its answers wake the loop.
        let next_back = self.away.next_back().filter(|_| self.receives.is_empty());
        let next_tick = self.ticks.as_ref().map(Ticks::next);
        next_due.filter(|_| may_load).into_iter().chain(next_back).chain(next_tick).min()
    }

    fn flush_at_tick(&mut self) {
        let now = Instant::now();
        if self.ticks.as_mut().is_some_and(|ticks| ticks.has_come(now)) {
            self.pending.flush(Lane::Live, now);
            self.pending.flush(Lane::Backfill, now);
        }
    }

    /// Backfill loads may take long, and must leave workers to live data.
    fn may_backfill(&self) -> bool {
        let loading = self.loading.values().filter(|loading| loading.lane == Lane::Backfill).count();
        loading < (self.loader.settings.loader.workers / 2).max(1)
    }

    fn start_loads(&mut self) {
        while self.loads.len() < self.loader.settings.loader.workers {
            let (now, may_backfill) = (Instant::now(), self.may_backfill());
            let due = self.loader.commits.budget(|budget| self.pending.take_due(now, budget, may_backfill));
            let Some(load) = due else { return };
            let (lane, events) = (load.lane, load.events());
            let handbacks = load.tables.iter().flat_map(|(_, held)| held).map(|one| one.delivery.handback()).collect();
            let tables = load
                .tables
                .into_iter()
                .map(|(event, held)| (self.tables.remove(&event).unwrap_or_else(|| Table::new(event)), held));
            let (loader, tables) = (self.loader.clone(), tables.collect());
            let task = self.loads.spawn(async move { share::work(&loader, tables).await });
            self.loading.insert(task.id(), Loading { lane, events, handbacks });
        }
    }

    fn start_receives(&mut self) {
        let in_work: usize = self.loading.values().map(|loading| loading.handbacks.len()).sum();
        if self.pending.held() + in_work + self.away.count(Instant::now()) >= IN_FLIGHT_MAX {
            return;
        }
        for lane in [Lane::Live, Lane::Backfill] {
            let Some(queue) = self.loader.queues.get(lane) else { continue };
            while self.receiving.get(lane) < RECEIVES.get(lane) && self.pending.has_room(lane) {
                let queue = queue.clone();
                let wait = if self.idle.is_some() { IdleClock::POLL } else { LONG_POLL };
                let pause = if self.receive_fails.get(lane).is_some() { RECEIVE_BACKOFF } else { Duration::ZERO };
                self.receives.spawn(async move {
                    tokio::time::sleep(pause).await;
                    (lane, queue.receive(10, wait).await)
                });
                *self.receiving.get_mut(lane) += 1;
            }
        }
    }

    /// Tells whether the run is over because nothing is left to do.
    async fn take_in(&mut self, lane: Lane, received: Received) -> Result<bool, RunError> {
        let deliveries = match received {
            Ok(deliveries) => deliveries,
            Err(error) if self.idle.is_some() && !error.is_transient() => return Err(RunError::Receive(error)),
            Err(error) => {
                let now = Instant::now();
                let told = self.receive_fails.get_mut(lane);
                if told.is_none_or(|told| now - told >= RECEIVE_WARN_AGAIN) {
                    *told = Some(now);
                    tracing::warn!(?lane, %error, "could not receive; retrying until it works");
                }
                return Ok(false);
            }
        };
        *self.receive_fails.get_mut(lane) = None;
        let is_empty = deliveries.is_empty();
        for delivery in deliveries {
            self.accept(lane, delivery);
        }
        if is_empty && self.idle.is_some() {
            // Nobody waits for more: what is here may go.
            self.pending.flush(lane, Instant::now());
        }
        self.is_idle(!is_empty).await
    }

    fn accept(&mut self, lane: Lane, delivery: Delivery) {
        let (now, receive_count) = (Instant::now(), delivery.receive_count);
        let request = match LoadRequest::parse(&delivery.body) {
            Ok(request) => request,
            Err(error @ LoadRequestError::TooNew(_)) => {
                tracing::warn!(message_id = delivery.message_id, %error, "a load request has to wait");
                if self.idle.is_some() {
                    self.too_new.insert(delivery.message_id.clone(), error.to_string());
                }
                return self.settle([delivery], Fate::Return { after: pause::returned(TOO_NEW_PAUSE, receive_count) });
            }
            Err(error @ LoadRequestError::Malformed(_)) => {
                let why = chain(&error);
                tracing::error!(
                    message_id = delivery.message_id,
                    why,
                    "not a load request: its message is in the dead-letter queue"
                );
                return self.settle([delivery], Fate::DeadLetter { why });
            }
        };
        if let Some(wait) = self.stopped.wait(&request.event, receive_count, now) {
            return self.wait(request, delivery, wait);
        }
        let body_bytes = delivery.body.len();
        let held = Held::new(request, delivery, body_bytes, now);
        let Err(held) = self.pending.accept(held, lane, |event| self.loader.settings.table(event)) else { return };
        if receive_count >= defer::CROWDED_RECEIVES_MAX {
            return self.defer(vec![(defer::seal_key(&self.loader, &held.request), held.delivery)]);
        }
        self.settle([held.delivery], Fate::Return { after: pause::returned(CROWDED_PAUSE, receive_count) });
    }

    /// A request of a stopped table.
    fn wait(&mut self, request: LoadRequest, delivery: Delivery, wait: Wait) {
        match wait {
            Wait::Return(remaining) => {
                let first = self.loader.settings.loader.stopped_retry;
                let after = pause::returned(first, delivery.receive_count).max(remaining);
                self.settle([delivery], Fate::Return { after });
            }
            Wait::Defer { is_first } => {
                if is_first {
                    tracing::warn!(
                        event = request.event.as_str(),
                        "the stopped table's requests are deferred from now on: their messages are deleted, and the sweep \
                         announces them again when the table loads"
                    );
                }
                self.defer(vec![(defer::seal_key(&self.loader, &request), delivery)]);
            }
        }
    }

    fn defer(&self, deliveries: Vec<(String, Delivery)>) {
        let loader = self.loader.clone();
        self.settling.spawn(async move { defer::deliveries(&loader, deliveries).await });
    }

    /// What SQS will not keep invisible for much longer.
    fn let_go_of_aged(&mut self) {
        let Some(before) = Instant::now().checked_sub(defer::HELD_MAX) else { return };
        let aged = self.pending.drain_received_before(before);
        if !aged.is_empty() {
            tracing::warn!(requests = aged.len(), "requests were held for too long: they are deferred");
            for Held { request, .. } in &aged {
                if let Some(table) = self.tables.get_mut(&request.event) {
                    table.forget(request);
                }
            }
            self.defer(
                aged.into_iter().map(|one| (defer::seal_key(&self.loader, &one.request), one.delivery)).collect(),
            );
        }
    }

    fn load_is_over(&mut self, worked: Result<(Id, Vec<Worked>), JoinError>) {
        let (id, worked) = match worked {
            Ok((id, worked)) => (id, worked),
            Err(error) => {
                tracing::error!(%error, "a load panicked; its messages will be delivered again");
                (error.id(), Vec::new())
            }
        };
        let Some(Loading { events, .. }) = self.loading.remove(&id) else { return };
        if worked.is_empty() {
            for event in events {
                self.pending.put_back(&event, Left { may_share: false, ..Left::nothing() });
            }
        }
        for worked in worked {
            self.table_is_over(worked);
        }
    }

    fn table_is_over(&mut self, mut worked: Worked) {
        self.summary.loads += worked.loads;
        self.summary.rows += worked.rows;
        let (now, event) = (Instant::now(), worked.table.event.clone());
        let may_share = worked.all_is_loaded();
        if let Some(why) = worked.stop {
            let alone = worked.alone.into_iter().map(|(held, _)| (now, held)).collect();
            self.pending.put_back(&event, Left { again: worked.again, alone, not_before: None, may_share });
            self.stop(&event, why, now);
            // Its requests are given up, culprits too: one that never comes back must not keep the table stopped.
            worked.table.forget_all();
        } else {
            if may_share
                && !worked.table.has_suspects()
                && let Some(deferred) = self.stopped.recovered(&event)
            {
                tracing::info!(event = event.as_str(), deferred, "the stopped table loads again");
                self.sweeps.set_stopped(&event, false);
                if deferred > 0 {
                    self.sweeps.ask();
                }
            }
            let waits = worked.table.waits;
            let not_before = (waits > 0).then(|| now + pause::backoff(waits, jitter()));
            let alone = worked.alone.into_iter().map(|(held, pause)| (now + pause, held)).collect();
            self.pending.put_back(&event, Left { again: worked.again, alone, not_before, may_share });
        }
        self.tables.insert(event, worked.table);
    }

    fn stop(&mut self, event: &EventName, why: String, now: Instant) {
        let pause = self.stopped.stop(event.clone(), why.clone(), now);
        self.sweeps.set_stopped(event, true);
        let held = self.pending.drain(event);
        tracing::error!(
            event = event.as_str(),
            why,
            requests = held.len(),
            retry_seconds = pause.as_secs(),
            "the table is stopped: correct what the reason names, or the table's columns; its requests wait and are tried \
             again, other tables go on"
        );
        let (mut returned, mut after, mut deferred) = (Vec::new(), pause, Vec::new());
        for Held { request, delivery, .. } in held {
            match self.stopped.wait(event, delivery.receive_count, now) {
                Some(Wait::Defer { .. }) => deferred.push((defer::seal_key(&self.loader, &request), delivery)),
                wait => {
                    if let Some(Wait::Return(remaining)) = wait {
                        after = remaining;
                    }
                    returned.push(delivery);
                }
            }
        }
        if !deferred.is_empty() {
            tracing::info!(event = event.as_str(), requests = deferred.len(), "deferred requests of the stopped table");
            self.defer(deferred);
        }
        self.settle(returned, Fate::Return { after });
    }

    fn settle(&mut self, deliveries: impl IntoIterator<Item = Delivery>, fate: Fate) {
        let deliveries: Vec<Delivery> = deliveries.into_iter().collect();
        if let Fate::Return { after } = fate {
            self.away.add(deliveries.len(), Instant::now() + after);
        }
        self.settling.spawn(async move { settle::deliveries(deliveries, &fate).await });
    }

    /// Whether nothing is left to do; an error where only stopped tables are.
    async fn is_idle(&mut self, received: bool) -> Result<bool, RunError> {
        let Some(idle) = &mut self.idle else { return Ok(false) };
        let working = received
            || self.pending.held() > 0
            || !self.loads.is_empty()
            || !self.settling.is_empty()
            || self.sweeps.is_busy();
        let has_returned = !(self.stopped.is_empty() && self.too_new.is_empty());
        let queues = self.loader.queues.clone();
        let depth = || async move {
            let depth = queues.depth().await?;
            // What was returned stays in flight until its pause is over.
            Ok(if has_returned { Depth { in_flight: 0, ..depth } } else { depth })
        };
        match idle.has_passed(working, depth).await {
            true if !self.stopped.is_empty() => Err(RunError::Stopped { tables: self.stopped.reasons() }),
            true if has_returned => Err(RunError::TooNew { requests: self.too_new.clone() }),
            passed => Ok(passed),
        }
    }
}

/// 0 to 1.
fn jitter() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
}
