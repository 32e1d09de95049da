//! The command line of `router`: what the user types, and which function carries it out.

mod ask;
mod backfill;
mod output;
mod quarantine;
mod split;
mod sweep;
mod table;

use anyhow::Context;
use backfill::BackfillArgs;
use clap::{Parser, Subcommand};
use common::clients::Clients;
use common::settings::Settings;
use quarantine::QuarantineCommand;
use split::SplitArgs;
use std::path::PathBuf;
use std::time::Duration;
use sweep::SweepArgs;

/// Splits raw JSON log files on S3 into per-event parts.
#[derive(Debug, Parser)]
#[command(name = "router", version)]
pub(crate) struct Cli {
    /// Settings file [default: $`LOG_ROUTER_CONFIG`, else log-router.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Route log files as their notifications arrive
    Run {
        /// Exit once nothing is visible, in flight or delayed for this long, e.g. 5s: 0 if all is done, 1 if messages
        /// are left that failed at least twice
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        until_idle: Option<Duration>,
    },
    /// Split local files with the same core and key layout; no AWS
    Split(SplitArgs),
    /// Look at what could not be routed or loaded, and try it again
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Route raw objects of a time that have no seal, or all of them again
    Backfill(Box<BackfillArgs>),
    Sweep(SweepArgs),
    /// Check or show the settings
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Name every problem of the settings; exit 1 if there is any
    Check,
    /// Print all settings as they will be used
    Show,
}

impl Cli {
    /// Carries the command out.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Run { until_idle } => run(&Settings::load(self.config.as_deref())?, until_idle),
            Command::Split(args) => args.run(self.config.as_deref()),
            Command::Quarantine(command) => command.run(self.config.as_deref()),
            Command::Backfill(args) => args.run(self.config.as_deref()),
            Command::Sweep(args) => args.run(&Settings::load(self.config.as_deref())?),
            Command::Config(ConfigCommand::Check) => {
                Settings::load(self.config.as_deref())?;
                println!("the settings are valid");
                Ok(())
            }
            Command::Config(ConfigCommand::Show) => {
                let shown = Settings::load(self.config.as_deref())?.show();
                output::stdout().say(shown).context("could not write to standard output")
            }
        }
    }
}

fn run(settings: &Settings, until_idle: Option<Duration>) -> anyhow::Result<()> {
    common::telemetry::init("info")?;
    let runtime = tokio::runtime::Runtime::new().context("could not start threads")?;
    let done = runtime.block_on(async {
        let clients = Clients::from_env().await?;
        let shutdown = common::shutdown::on_signal();
        anyhow::Ok(router::run(settings, &clients, until_idle, shutdown).await?)
    });
    // A thread that still routes what was abandoned must not hold the exit: only what is awaited writes to S3.
    runtime.shutdown_background();
    done
}
