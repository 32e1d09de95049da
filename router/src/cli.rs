//! The command line of `router`: what the user types, and which function carries it out.

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use common::clients::Clients;
use common::settings::{DEFAULT_CONFIG, POINTERS_MAX, RouterSettings, Settings, SettingsError};
use router::route::object::Rules;
use router::split::{self, Report, SourceOverride};
use std::path::{Path, PathBuf};
use std::time::Duration;

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
        /// Exit 0 once nothing is visible, in flight or delayed for this long, e.g. 5s
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        until_idle: Option<Duration>,
    },
    /// Split local files with the same core and key layout; no AWS
    Split(SplitArgs),
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

#[derive(Debug, Args)]
struct SplitArgs {
    /// Files to split; - reads standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Folder for routed/, seals/ and quarantine/
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// JSON pointer to the event type, tried in order [default: the settings', else /event]
    #[arg(long, value_name = "POINTER")]
    event_type: Vec<String>,
    /// Route records without the member _lr
    #[arg(long)]
    no_lineage: bool,
    /// Print one JSON object per file instead of text
    #[arg(long)]
    json: bool,
    /// Identity of the one FILE: <s3://bucket/key> (needs --etag and --time)
    #[arg(long, requires_all = ["etag", "time"], value_name = "URI")]
    source: Option<String>,
    /// ETag of --source
    #[arg(long, requires = "source")]
    etag: Option<String>,
    /// Last-Modified of --source, RFC 3339
    #[arg(long, requires = "source", value_name = "TIME")]
    time: Option<String>,
}

impl Cli {
    /// Carries the command out.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Run { until_idle } => run(&Settings::load(self.config.as_deref())?, until_idle),
            Command::Split(args) => split_files(&args, self.config),
            Command::Config(ConfigCommand::Check) => {
                Settings::load(self.config.as_deref())?;
                println!("the settings are valid");
                Ok(())
            }
            Command::Config(ConfigCommand::Show) => {
                print!("{}", Settings::load(self.config.as_deref())?.show());
                Ok(())
            }
        }
    }
}

#[tokio::main]
async fn run(settings: &Settings, until_idle: Option<Duration>) -> anyhow::Result<()> {
    common::telemetry::init("info");
    let clients = Clients::from_env().await?;
    let shutdown = common::shutdown::on_signal();
    Ok(router::run(settings, &clients, until_idle, shutdown).await?)
}

fn split_files(args: &SplitArgs, config: Option<PathBuf>) -> anyhow::Result<()> {
    let (mut settings, keys) = match Settings::load(config.as_deref()) {
        Ok(settings) => (settings.router, settings.keys),
        // Nobody named a file, and there is none: the defaults.
        Err(SettingsError::Unreadable { path, .. }) if config.is_none() && path == Path::new(DEFAULT_CONFIG) => {
            (RouterSettings::default(), split::default_keys())
        }
        Err(error) => return Err(error.into()),
    };
    if !args.event_type.is_empty() {
        settings.event_type.clone_from(&args.event_type);
    }
    let is_pointer = |pointer: &String| pointer.starts_with('/') && pointer.len() > 1;
    if let Some(wrong) = settings.event_type.iter().find(|pointer| !is_pointer(pointer)) {
        anyhow::bail!("--event-type {wrong:?} is not a JSON pointer: write it like /event");
    }
    let pointers = settings.event_type.len() + settings.rules.drop_pointers();
    anyhow::ensure!(pointers <= POINTERS_MAX, "--event-type: with drop rules, at most {POINTERS_MAX} pointers");
    settings.lineage &= !args.no_lineage;
    let rules = Rules::new(&settings, &keys);
    let source = args.source_override()?;
    for file in &args.files {
        let report = split::split(&rules, file, &args.out, source.as_ref())?;
        match args.json {
            true => println!("{}", serde_json::to_string(&report)?),
            false => print_report(&report),
        }
    }
    Ok(())
}

impl SplitArgs {
    fn source_override(&self) -> anyhow::Result<Option<SourceOverride>> {
        let (Some(uri), Some(etag), Some(time)) = (&self.source, &self.etag, &self.time) else { return Ok(None) };
        anyhow::ensure!(self.files.len() == 1, "--source gives one identity: name one FILE");
        let parts = uri.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        let (bucket, key) = parts.with_context(|| format!("--source {uri:?} is not s3://bucket/key"))?;
        let time = common::timestamp::parse(time).with_context(|| format!("--time {time:?} is not RFC 3339"))?;
        Ok(Some(SourceOverride { bucket: bucket.into(), key: key.into(), etag: etag.clone(), time }))
    }
}

fn print_report(report: &Report) {
    let counts = &report.counts;
    println!(
        "{}: {} records = {} routed + {} quarantined + {} dropped; {} parts",
        report.source, counts.read, counts.routed, counts.quarantined, counts.dropped, report.parts
    );
    for (event, records) in &report.events {
        println!("  {event:<40} {records:>10}");
    }
    for (reason, records) in &counts.by_reason {
        println!("  {:<40} {records:>10}", format!("quarantined: {reason}"));
    }
}
