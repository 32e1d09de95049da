//! Sweeps of a running router: every so often, by one of all routers.

use super::{Mode, Outcome, Report, Sweeper};
use common::consumer::{Handled, Handler};
use common::guarded::guarded;
use common::load_request::Lane;
use common::queue::Delivery;
use common::telemetry::chain;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a queue that has enough to do is waited for: this process empties it meanwhile.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// The next try after a sweep that failed, or left something because a queue had enough to do.
const SOON: Duration = Duration::from_secs(5 * 60);

/// The sweeps of one process.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// Until the first one is over. A run that ends when it is idle waits for that, and for no later one: there may
    /// always be another.
    is_first_due: Arc<AtomicBool>,
    ending: CancellationToken,
    task: JoinHandle<()>,
}

impl Schedule {
    /// Sweeps as soon as one is due, then every `every`, until shutdown.
    pub(crate) fn start(sweeper: Sweeper, every: Duration, shutdown: &CancellationToken) -> Self {
        let is_first_due = Arc::new(AtomicBool::new(true));
        let is_first = is_first_due.clone();
        let ending = shutdown.child_token();
        let shutdown = ending.clone();
        let task = tokio::spawn(async move {
            let (mut is_failing, mut due_after) = (false, every);
            while !shutdown.is_cancelled() {
                let pause = match sweep(&sweeper, due_after, &shutdown).await {
                    Ok(Outcome::Swept(report)) => {
                        is_failing = false;
                        tell(&report);
                        due_after = due_again(&report, every);
                        due_after
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
                is_first.store(false, Ordering::SeqCst);
                shutdown.run_until_cancelled(tokio::time::sleep(pause)).await;
            }
        });
        Self { is_first_due, ending, task }
    }

    /// Ends the sweeps. The one under way, if any, gives its claim back.
    pub(crate) async fn end(&mut self) {
        self.ending.cancel();
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "the sweeps ended by a panic");
        }
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How long after this sweep the next one is due, whoever claims it: what was left does not wait for `every`.
fn due_again(report: &Report, every: Duration) -> Duration {
    if report.left > 0 { SOON.min(every) } else { every }
}

/// Why it did not come to its end, if so. One that panics is no reason to never sweep again.
async fn sweep(sweeper: &Sweeper, due_after: Duration, shutdown: &CancellationToken) -> Result<Outcome, String> {
    let mode = Mode { dry_run: false, again: false, every: Some(due_after), patience: PATIENCE };
    let (sweeper, shutdown) = (sweeper.clone(), shutdown.clone());
    guarded(async move { sweeper.sweep(mode, &shutdown).await.map_err(|error| chain(&error)) }).await
}

fn tell(report: &Report) {
    let Report { listed, unsealed, asked, left, lost, open_hours, .. } = report;
    if !report.given_up.is_empty() {
        tracing::warn!(
            objects = report.given_up.len(),
            "given up: raw objects that were asked for three times and have no seal: {}",
            report.given_up_keys()
        );
    }
    if *unsealed == 0 {
        tracing::debug!(listed, marks = report.marks, "swept: every raw object is sealed");
        return;
    }
    let (asked, given_up) = (asked.total(), report.given_up.len());
    tracing::info!(
        listed,
        unsealed,
        asked,
        left,
        lost,
        given_up,
        open_hours,
        "swept: asked for raw objects without a seal"
    );
}

/// A handler beside which sweeps go on: a run that ends when it is idle waits for the first of them.
#[derive(Debug)]
pub(crate) struct BesideSweeps<H> {
    handler: H,
    is_first_due: Arc<AtomicBool>,
}

impl<H> BesideSweeps<H> {
    pub(crate) fn new(handler: H, sweeps: &Schedule) -> Self {
        Self { handler, is_first_due: sweeps.is_first_due.clone() }
    }
}

impl<H: Handler> Handler for BesideSweeps<H> {
    async fn handle(&self, delivery: &Delivery, lane: Lane) -> Handled {
        self.handler.handle(delivery, lane).await
    }

    fn is_busy(&self) -> bool {
        self.is_first_due.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_does_not_wait_for_the_next_hour() {
        let every = Duration::from_secs(3600);
        let of = |left| due_again(&Report { left, ..Report::default() }, every);
        assert_eq!((of(0), of(1)), (every, SOON));
        assert_eq!(due_again(&Report { left: 1, ..Report::default() }, SOON / 2), SOON / 2);
    }
}
