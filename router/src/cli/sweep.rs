//! `router sweep`.

use super::output;
use anyhow::{Context, bail};
use clap::Args;
use common::clients::Clients;
use common::settings::Settings;
use router::{SweepOptions, Swept};

/// Look for raw objects without a seal, and ask the routers for them
#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    /// Only look: nothing is asked for, nothing is written
    #[arg(long)]
    dry_run: bool,
    /// Ask anew for objects that were given up
    #[arg(long)]
    again: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl SweepArgs {
    /// Where another router sweeps, the work is being done, and that is no failure.
    pub(super) fn run(self, settings: &Settings) -> anyhow::Result<()> {
        common::telemetry::init("warn")?;
        let Self { dry_run, again, json } = self;
        let runtime = tokio::runtime::Runtime::new().context("could not start threads")?;
        let swept = runtime.block_on(async {
            let clients = Clients::from_env().await?;
            let shutdown = common::shutdown::on_signal();
            anyhow::Ok(router::sweep(settings, &clients, SweepOptions { dry_run, again }, &shutdown).await?)
        })?;
        let text = match swept {
            Swept::Done(report) if json => format!("{}\n", serde_json::to_string(&report)?),
            Swept::Done(report) => report.to_string(),
            Swept::Held(by) if json => format!("{}\n", serde_json::json!({ "held_by": by })),
            Swept::Held(by) => format!("another sweep is under way: {by}\n"),
            Swept::Interrupted => bail!("the sweep was interrupted; the next one finds everything again"),
        };
        output::stdout().say(text).context("could not write to standard output")
    }
}
