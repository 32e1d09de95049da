//! Sweeps of a running loader: every so often, and at once when a stopped table loads again.

use super::{Mode, Outcome, Report, StoppedEvents, Sweeper};
use common::event_name::EventName;
use common::guarded::guarded;
use common::telemetry::chain;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a queue that has enough to do is waited for: this process empties it meanwhile.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// The next try after a sweep that failed, or left something because a queue had enough to do.
const SOON: Duration = Duration::from_secs(5 * 60);

/// The sweeps of one process.
#[derive(Debug)]
pub(crate) struct Schedule {
    stopped: StoppedEvents,
    asked: Arc<Asked>,
    ending: CancellationToken,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Asked {
    /// A sweep of all open days is wanted.
    all_days: AtomicBool,
    /// Whether the first sweep, or one that was asked for, is not over. A run that ends when it is idle waits for that,
    /// and for no other one: there may always be another.
    is_owed: AtomicBool,
    now: Notify,
}

impl Schedule {
    /// Sweeps as soon as one is due, then every `every`, until shutdown.
    pub(crate) fn start(sweeper: Sweeper, every: Duration, shutdown: &CancellationToken) -> Self {
        let stopped = sweeper.stopped.clone();
        let asked = Arc::new(Asked { is_owed: AtomicBool::new(true), ..Asked::default() });
        let ending = shutdown.child_token();
        let shutdown = ending.clone();
        let wanted = asked.clone();
        let sweeper = Arc::new(Mutex::new(sweeper));
        let task = tokio::spawn(async move {
            let (mut all_days, mut is_failing) = (false, false);
            while !shutdown.is_cancelled() {
                if wanted.all_days.load(Ordering::SeqCst) {
                    all_days = true;
                    // In this order: at no moment it is neither asked for nor owed.
                    wanted.is_owed.store(true, Ordering::SeqCst);
                    wanted.all_days.store(false, Ordering::SeqCst);
                }
                let every_or_now = (!all_days).then_some(every);
                let mode = Mode { dry_run: false, all_days, every: every_or_now, patience: PATIENCE };
                let outcome = sweep(&sweeper, mode, &shutdown).await;
                let pause = match outcome {
                    Ok(Outcome::Swept(report)) => {
                        (all_days, is_failing) = (report.has_more, false);
                        tell(&report);
                        if report.has_more { SOON.min(every) } else { every }
                    }
                    Ok(Outcome::NotDue(wait)) => wait,
                    Ok(Outcome::Held(_)) => SOON.min(every),
                    Ok(Outcome::Interrupted) => return,
                    Err(why) => {
                        if !std::mem::replace(&mut is_failing, true) {
                            tracing::warn!(why, "a sweep did not come to its end; retrying until it works");
                        }
                        SOON.min(every)
                    }
                };
                wanted.is_owed.store(false, Ordering::SeqCst);
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = tokio::time::sleep(pause) => {}
                    () = wanted.now.notified() => {}
                }
            }
        });
        Self { stopped, asked, ending, task }
    }

    /// Sweeps all open days as soon as possible.
    pub(crate) fn ask(&self) {
        self.asked.all_days.store(true, Ordering::SeqCst);
        self.asked.now.notify_one();
    }

    /// Nothing is announced for a stopped table but one request to try it with.
    pub(crate) fn set_stopped(&self, event: &EventName, is_stopped: bool) {
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        if is_stopped {
            stopped.insert(event.clone());
        } else {
            stopped.remove(event);
        }
    }

    /// Whether a run has to wait for a sweep.
    pub(crate) fn is_busy(&self) -> bool {
        let Asked { all_days, is_owed, .. } = &*self.asked;
        !self.task.is_finished() && (is_owed.load(Ordering::SeqCst) || all_days.load(Ordering::SeqCst))
    }

    /// Ends the sweeps. The one under way, if any, gives its claim back.
    pub(crate) async fn end(&mut self) {
        self.ending.cancel();
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "the sweep panicked");
        }
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why it did not come to its end, if so. One that panics is no reason to never sweep again.
async fn sweep(sweeper: &Arc<Mutex<Sweeper>>, mode: Mode, shutdown: &CancellationToken) -> Result<Outcome, String> {
    let (sweeper, shutdown) = (sweeper.clone(), shutdown.clone());
    guarded(async move { sweeper.lock().await.sweep(mode, &shutdown).await.map_err(|error| chain(&error)) }).await
}

fn tell(report: &Report) {
    let (total, low_water) = (report.total(), report.low_water.as_deref().unwrap_or("none"));
    if total.owed == 0 && report.unreadable == 0 {
        tracing::debug!(days = report.days, seals = report.seals, "swept: nothing is owed");
        return;
    }
    tracing::info!(
        days = report.days,
        seals = report.seals,
        unreadable = report.unreadable,
        owed = total.owed,
        announced = total.announced,
        failed = total.failed,
        left = total.left,
        low_water,
        "swept: announced again what is sealed and not loaded"
    );
}
