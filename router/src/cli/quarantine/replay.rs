//! `router quarantine replay`: the plan, the question, and how far it is.

use super::{CLOSED, Which};
use crate::cli::{ask, output};
use anyhow::Context;
use clap::Args;
use common::clients::Clients;
use common::settings::Settings;
use common::telemetry::chain;
use indicatif::{ProgressBar, ProgressStyle};
use router::quarantine::{Notice, Options, Plan, Progress, Quarantine, Replayed, Selection, Way};
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Between two lines about how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// After this long without a seal a person wants to know why.
const SLOW: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(in crate::cli) struct ReplayArgs {
    #[command(flatten)]
    which: Which,
    /// Print the plan and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Route in this process instead of asking the running routers
    #[arg(long)]
    direct: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Also sources whose records unchanged rules put aside: they would do so again
    #[arg(long)]
    force: bool,
    /// Also sources that another replace took since this replay was started
    #[arg(long)]
    over_others: bool,
    /// Give up when no router did anything for this long
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
    patience: Duration,
}

/// Why a replay did not do all that was asked.
const INCOMPLETE: &str = "not everything that was asked for could be done; see above";

impl ReplayArgs {
    pub(super) async fn run(
        self,
        settings: &Settings,
        clients: &Clients,
        quarantine: &Quarantine,
    ) -> anyhow::Result<()> {
        let Self { which, dry_run, direct, yes, force, over_others, patience } = self;
        if !yes && !dry_run {
            ask::check_terminal();
        }
        let selection = Selection::from(which);
        let options = Options { force, over_others };
        let dir = &settings.router.spool_dir;
        let plan = quarantine.plan(&selection, &options, dir, &mut |notice| told(&notice)).await?;
        let is_whole = plan.refused + plan.lost + plan.unknown == 0;
        output::stdout().say(plan_text(&plan)).context(CLOSED)?;
        // What cannot be routed again cannot hold it open; what others took does, so that it can be asked about.
        let has_to_finish = plan.goes_on.is_some() && plan.lost == 0;
        if !dry_run && (plan.due > 0 || has_to_finish) && (yes || plan.due == 0 || agreed(plan.due)?) {
            let shutdown = common::shutdown::on_signal();
            let way = match direct {
                true => Way::here(settings, clients, shutdown.clone()).await?,
                false => Way::routers(settings, clients).await?,
            };
            replay(quarantine, plan, &way, patience, &shutdown).await?;
        }
        anyhow::ensure!(is_whole, INCOMPLETE);
        Ok(())
    }
}

async fn replay(
    quarantine: &Quarantine,
    plan: Plan,
    way: &Way,
    patience: Duration,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let mut told_of = Told::new(plan.due);
    let mut tell = |progress: &Progress, notice: Option<Notice>| match notice {
        Some(notice) => told_of.notice(&notice),
        None => told_of.progress(progress),
    };
    let replayed = quarantine.replay(plan, way, patience, &mut tell, shutdown).await;
    told_of.end();
    let replayed = replayed.context("the replay was interrupted; the same command goes on where it was")?;
    output::stdout().say(end_text(&replayed)).context(CLOSED)?;
    let Progress { refused, lost, failed, .. } = replayed.progress;
    anyhow::ensure!(
        replayed.left + failed == 0,
        "{} sources are left: the same command goes on",
        replayed.left + failed
    );
    anyhow::ensure!(refused + lost == 0, INCOMPLETE);
    Ok(())
}

fn told(notice: &Notice) {
    match notice {
        Notice::Refused { uri, why } => {
            eprintln!("router: cannot replay {uri}: {why}; corrected records come in as a new raw file");
        }
        Notice::Lost { uri, by } => {
            eprintln!(
                "router: left {uri} alone: replace {by:?} took it since this replay was started; --over-others takes it again"
            );
        }
        Notice::Unknown(error) => eprintln!("router: {}", chain(error)),
        Notice::Failed(why) => eprintln!("router: {why}"),
    }
}

fn agreed(sources: u64) -> anyhow::Result<bool> {
    ask::agreed(&format!("Route {sources} source objects again, whole?"))
}

fn plan_text(plan: &Plan) -> String {
    let mut text = String::new();
    let mut line = |count: u64, what: &str| {
        if count > 0 {
            writeln!(text, "{count:>9} source objects {what}").expect("a String takes every write");
        }
    };
    line(plan.due, &format!("({} bytes) are routed again, whole, as their next generation", plan.bytes));
    line(plan.done, "are routed again by this replay already");
    line(plan.again, "of these were refused by COPY again: the same command tries them once this replay has ended");
    line(plan.waiting, "were routed again already and wait for the loader");
    line(
        plan.unchanged,
        "are left alone: the rules that put their records aside have not changed (--force replays them all the same)",
    );
    line(plan.refused, "cannot be routed again");
    line(plan.lost, "were taken by another replace (--over-others takes them again)");
    line(plan.unknown, "cannot be looked at");
    if let Some(id) = &plan.goes_on {
        text.push_str(&format!("goes on with replace {id}\n"));
    }
    match plan.due {
        0 => text + "nothing to replay\n",
        _ => format!("{}{text}", plan.listing),
    }
}

fn end_text(Replayed { id, progress, .. }: &Replayed) -> String {
    let Progress { sealed, quarantined, .. } = progress;
    format!(
        "replace {id}: {sealed} source objects are routed again, and the loader replaces their rows as it loads them; \
         of their records {quarantined} are in quarantine by the router's rules\n"
    )
}

/// Says how far it is: by a bar where a person looks on, else by a line now and then.
struct Told {
    bar: ProgressBar,
    next: Instant,
    settled: u64,
    moved_at: Instant,
}

impl Told {
    fn new(due: u64) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos} of {len} source objects, {per_sec}, {eta} left");
        let bar = ProgressBar::new(due).with_style(style.expect("a constant template that a test renders"));
        let now = Instant::now();
        Self { bar, next: now + TOLD_EVERY, settled: 0, moved_at: now }
    }

    fn notice(&self, notice: &Notice) {
        self.bar.suspend(|| told(notice));
    }

    fn progress(&mut self, progress: &Progress) {
        let now = Instant::now();
        self.bar.set_position(progress.settled());
        if progress.settled() > self.settled {
            (self.settled, self.moved_at) = (progress.settled(), now);
        }
        if now < self.next {
            return;
        }
        self.next = now + TOLD_EVERY;
        if self.bar.is_hidden() {
            let due = self.bar.length().unwrap_or_default();
            eprintln!("router: {} of {due} source objects are routed again", progress.sealed);
        }
        let silent = now - self.moved_at;
        if silent > SLOW {
            self.bar.suspend(|| {
                eprintln!(
                    "router: none for {} s: is a router running, and with these settings? Others do not route it. --direct routes here",
                    silent.as_secs()
                );
            });
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_can_be_drawn() {
        assert_eq!(Told::new(7).bar.length(), Some(7));
    }
}
