//! The command line: what can be asked of the loader, and its exit code.

mod ask;
mod audit;
mod plan;
mod print;
mod tables;

use crate::sql::Names;
use crate::warehouse::Warehouse;
use crate::{Redriven, Selection};
use audit::AuditArgs;
use clap::{Args, Parser, Subcommand};
use common::clients::Clients;
use common::event_name::EventName;
use common::settings::Settings;
use common::shutdown;
use common::source::SourceId;
use common::telemetry::{self, chain};
use plan::PlanArgs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tables::TablesArgs;

/// Loads routed parts into Redshift, one table per event, each record exactly once.
#[derive(Debug, Parser)]
#[command(name = "loader", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Args)]
struct Config {
    /// Settings file; by default the one that the variable `LOG_ROUTER_CONFIG` names, else log-router.toml.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Load until stopped by SIGTERM or Ctrl-C.
    Run {
        /// End once nothing has been left to do for this long, for example 5s; exit 1 if only stopped tables are.
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        until_idle: Option<Duration>,
    },
    /// Look for what is sealed and not loaded, and announce it again. A running loader does so by itself.
    Sweep {
        /// Only tell what is owed.
        #[arg(long)]
        dry_run: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the requests that failed alone too often and were set aside.
    Failed {
        #[command(flatten)]
        which: Which,
        /// Print JSON, one request a line.
        #[arg(long)]
        json: bool,
    },
    /// Try again what was set aside.
    Redrive {
        #[command(flatten)]
        which: Which,
    },
    /// Account for every record: seals against ledgers against tables; exit 1 if anything is not explained.
    Audit(AuditArgs),
    /// Show the tables: rows, columns, freshness. Changes nothing.
    Tables(TablesArgs),
    /// Show what loading seals would do: rows, statements, conflicts; exit 1 if a table would stop. Changes nothing.
    Plan(PlanArgs),
    /// Look at the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Args)]
struct Which {
    /// Only of this event.
    #[arg(long, value_name = "EVENT", value_parser = |text: &str| EventName::try_from(text.to_owned()))]
    event: Option<EventName>,
    /// Only of this source: its id, 32 hex digits.
    #[arg(long, value_name = "ID", value_parser = |text: &str| SourceId::try_from(text.to_owned()))]
    source: Option<SourceId>,
}

impl From<&Which> for Selection {
    fn from(which: &Which) -> Self {
        Self { event: which.event.clone(), source_id: which.source.clone() }
    }
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Report every problem of the settings.
    Check,
    /// Print all settings as they will be used.
    Show,
}

impl Cli {
    /// Carries the command out. 0 done, 1 failed; usage errors exit with 2 before this.
    pub async fn execute(self) -> ExitCode {
        match self.command(&self.config).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        }
    }

    async fn command(&self, config: &Config) -> Result<(), String> {
        let file = config.config.as_deref();
        let settings = || Settings::load(file).map_err(|error| chain(&error));
        match &self.command {
            Command::Config(ConfigCommand::Check) => {
                settings()?;
                println!("the settings are valid");
            }
            Command::Config(ConfigCommand::Show) => print!("{}", settings()?.show()),
            Command::Audit(audit) => {
                telemetry::init("warn").map_err(|error| chain(&error))?;
                audit.run(&settings()?).await?;
            }
            Command::Tables(tables) => tables.run(&settings()?).await?,
            Command::Plan(plan) => plan.run(file).await?,
            Command::Run { until_idle } => {
                let settings = settings()?;
                telemetry::init("info").map_err(|error| chain(&error))?;
                let shutdown = shutdown::on_signal();
                let clients = Clients::from_env().await.map_err(|error| chain(&error))?;
                let done = crate::run(&settings, &clients, *until_idle, shutdown).await;
                let crate::Summary { loads, rows } = done.map_err(|error| chain(&error))?;
                tracing::info!(loads, rows, "done");
            }
            Command::Sweep { dry_run, json } => {
                telemetry::init("warn").map_err(|error| chain(&error))?;
                let shutdown = shutdown::on_signal();
                let clients = Clients::from_env().await.map_err(|error| chain(&error))?;
                let swept = crate::sweep(&settings()?, &clients, *dry_run, &shutdown).await;
                return print::swept(swept.map_err(|error| chain(&error))?, *json);
            }
            Command::Failed { which, json } => {
                telemetry::init("warn").map_err(|error| chain(&error))?;
                let clients = Clients::from_env().await.map_err(|error| chain(&error))?;
                let failed = crate::failed(&settings()?, &clients, &which.into()).await;
                print::failed(&failed.map_err(|error| chain(&error))?, *json);
            }
            Command::Redrive { which } => {
                telemetry::init("warn").map_err(|error| chain(&error))?;
                let clients = Clients::from_env().await.map_err(|error| chain(&error))?;
                let redriven = crate::redrive(&settings()?, &clients, &which.into()).await;
                let Redriven { lifted, announced } = redriven.map_err(|error| chain(&error))?;
                println!("lifted {lifted}, of which {announced} are announced again");
            }
        }
        Ok(())
    }
}

/// The warehouse, for commands that only ask.
async fn connection(settings: &Settings) -> Result<(Warehouse, Names), String> {
    let clients = Clients::from_env().await.map_err(|error| chain(&error))?;
    Ok((Warehouse::new(clients.redshift, &settings.loader), Names::of(settings)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_file_may_be_named_after_any_command() {
        for line in [
            "loader --config a.toml run",
            "loader run --until-idle 5s --config a.toml",
            "loader config check --config a.toml",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).expect("parses");
            assert_eq!(cli.config.config, Some(PathBuf::from("a.toml")), "{line}");
        }
    }

    #[test]
    fn an_audit_needs_its_range_and_a_rebuild_none() {
        let parses = |line: &str| Cli::try_parse_from(line.split(' ')).is_ok();
        assert!(parses("loader audit --from 2025-06-01 --to 2025-07-01 --repair"));
        assert!(parses("loader audit --rebuild-ledger --event a"));
        for line in ["loader audit", "loader audit --from 2025-06-01", "loader audit --rebuild-ledger --repair"] {
            assert!(!parses(line), "{line}");
        }
    }

    #[test]
    fn a_wrong_time_is_a_usage_error() {
        let error = Cli::try_parse_from(["loader", "run", "--until-idle", "soon"]).expect_err("no time");
        assert_eq!(error.exit_code(), 2);
    }
}
