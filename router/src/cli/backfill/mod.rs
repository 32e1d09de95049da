//! `router backfill`: its options, its question before it starts, and what it prints.

mod screen;
mod text;

use super::output::{self, Output};
use super::{Cli, ask};
use anyhow::Context;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Subcommand};
use common::clients::Clients;
use common::event_name::EventName;
use common::settings::Settings;
use common::timestamp;
use router::backfill::{self, Backfill, Options, Plan, State};
use screen::Screen;
use serde_json::json;
use std::io::Stdout;
use std::path::Path;
use std::time::Duration;
use time::OffsetDateTime;
use time::macros::format_description;

/// Route raw objects of a time that have no seal, or with --replace all of them again. Prints a plan first
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct BackfillArgs {
    #[command(subcommand)]
    command: Option<BackfillCommand>,
    #[command(flatten)]
    range: Option<RangeArgs>,
}

#[derive(Debug, Subcommand)]
enum BackfillCommand {
    /// Tell of every backfill: at work, ended, or silent
    Status {
        /// Print JSON, one backfill a line
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct RangeArgs {
    /// Objects last modified at this time or later: 2025-01-01 (midnight UTC) or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = time_of)]
    from: OffsetDateTime,
    /// And before this time
    #[arg(long, value_name = "TIME", value_parser = time_of)]
    to: OffsetDateTime,
    /// Only keys that begin so [default: raw.prefix]
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// Print the plan and end
    #[arg(long)]
    dry_run: bool,
    /// Begin no more objects than this, for example 50/s
    #[arg(long, value_name = "N/s", value_parser = rate)]
    rate: Option<f64>,
    /// Route in this process, without the raw queue
    #[arg(long)]
    direct: bool,
    /// Route also what is sealed, as its next generation: its rows are replaced
    #[arg(long)]
    replace: bool,
    /// Replace also what others have replaced since this replace began
    #[arg(long, requires = "replace")]
    over_others: bool,
    /// Announce these events only to the loader; the others stay owed until its sweep
    #[arg(long, value_name = "EVENT,…", value_delimiter = ',', value_parser = |text: &str| EventName::try_from(text.to_owned()))]
    events: Option<Vec<EventName>>,
    /// Start without asking
    #[arg(long)]
    yes: bool,
    /// End with what is left once nothing was sealed for this long
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = humantime::parse_duration)]
    patience: Duration,
    /// Print JSON: the plan in a line, and the outcome in another
    #[arg(long)]
    json: bool,
}

/// A date is its midnight, UTC.
fn time_of(text: &str) -> Result<OffsetDateTime, String> {
    if let Ok(date) = time::Date::parse(text, format_description!("[year]-[month]-[day]")) {
        return Ok(date.midnight().assume_utc());
    }
    timestamp::parse(text)
        .map_err(|_| "expected a date like 2025-01-31, or a time like 2025-01-31T09:00:00Z".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text).parse::<f64>().ok();
    let number = number.filter(|rate| rate.is_finite() && *rate >= 0.001);
    number.ok_or_else(|| "expected objects a second, for example 50/s".to_owned())
}

/// Exits with 2, as for any wrong usage.
fn usage(message: String) -> ! {
    Cli::command().error(ErrorKind::ValueValidation, message).exit()
}

impl BackfillArgs {
    pub(super) fn run(self, config: Option<&Path>) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Runtime::new().context("could not start threads")?;
        let done = match (self.command, self.range) {
            (Some(BackfillCommand::Status { json }), _) => runtime.block_on(status(&Settings::load(config)?, json)),
            (None, Some(range)) => {
                range.check();
                runtime.block_on(range.run(&Settings::load(config)?))
            }
            (None, None) => usage("--from and --to are required: which objects are to be routed".to_owned()),
        };
        // A thread that still routes what was abandoned must not hold the exit: only what is awaited writes to S3.
        runtime.shutdown_background();
        done
    }
}

impl RangeArgs {
    fn check(&self) {
        if self.from >= self.to {
            let (from, to) = (timestamp::format(self.from), timestamp::format(self.to));
            usage(format!("--from {from} is not before --to {to}: nothing lies between"));
        }
        if !self.dry_run && !self.yes {
            ask::check_terminal();
        }
    }

    async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        common::telemetry::init("warn")?;
        let clients = Clients::from_env().await?;
        let options = Options {
            from: self.from,
            to: self.to,
            prefix: self.prefix.clone(),
            rate: self.rate,
            direct: self.direct,
            replace: self.replace,
            over_others: self.over_others,
            events: self.events.clone(),
            patience: self.patience,
        };
        let mut output = output::stdout();
        let mut backfill = Backfill::open(settings, &clients, options).await?;
        let mut plan = self.planned(&mut backfill, settings, &mut output).await?;
        if self.dry_run {
            return Ok(());
        }
        let others = if self.over_others { 0 } else { plan.by_others.objects };
        if plan.to_route().objects + others == 0 {
            return self.nothing_to_do(&backfill, &plan, &mut output).await;
        }
        if !self.yes {
            if others > 0 && ask::agreed(&format!("Replace also the {others} objects that others have replaced?"))? {
                backfill.over_others();
                plan = self.planned(&mut backfill, settings, &mut output).await?;
            }
            if !ask::agreed("Start?")? {
                output.say("nothing was started\n")?;
                return Ok(());
            }
        }
        let shutdown = common::shutdown::on_signal();
        let mut screen = Screen::new(plan.to_route().objects);
        let outcome = backfill.run(&plan, &shutdown, &mut |progress| screen.show(progress)).await;
        screen.end();
        let outcome = outcome?;
        match self.json {
            true => output.say(format_args!("{}\n", json!({ "outcome": outcome })))?,
            false => output.say(text::outcome(&outcome))?,
        }
        match outcome.state {
            State::Done => Ok(()),
            State::Interrupted => anyhow::bail!("interrupted: the same command goes on where it was"),
            State::Running | State::Incomplete => {
                anyhow::bail!("not all is sealed: the same command tries again what is left")
            }
        }
    }

    /// Makes the plan, and prints it.
    async fn planned(
        &self,
        backfill: &mut Backfill,
        settings: &Settings,
        output: &mut Output<Stdout>,
    ) -> anyhow::Result<Plan> {
        let plan = backfill.plan().await?;
        match self.json {
            true => output.say(format_args!("{}\n", json!({ "plan": plan })))?,
            false => output.say(text::plan(&plan, settings))?,
        }
        Ok(plan)
    }

    async fn nothing_to_do(&self, backfill: &Backfill, plan: &Plan, output: &mut Output<Stdout>) -> anyhow::Result<()> {
        let outcome = backfill.end(plan).await?;
        match self.json {
            true => output.say(format_args!("{}\n", json!({ "outcome": outcome })))?,
            false => output.say("nothing to do\n")?,
        }
        anyhow::ensure!(
            plan.archived.objects == 0,
            "{} objects are archived: restore them (docs/backfill.md), then give the same command",
            plan.archived.objects
        );
        Ok(())
    }
}

async fn status(settings: &Settings, json: bool) -> anyhow::Result<()> {
    common::telemetry::init("warn")?;
    let clients = Clients::from_env().await?;
    let reports = backfill::status(settings, &clients).await?;
    let mut output = output::stdout();
    let now = OffsetDateTime::now_utc();
    for report in &reports {
        match json {
            true => {
                let mut line = serde_json::to_value(report).context("a report has string keys only")?;
                line["is_alive"] = report.is_alive(now).into();
                output.say(format_args!("{line}\n"))?;
            }
            false => output.say(text::report(report, now))?,
        }
    }
    if reports.is_empty() && !json {
        output.say("no backfill was ever started\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use time::macros::datetime;

    #[test]
    fn times_are_dates_or_instants() {
        assert_eq!(time_of("2025-01-31"), Ok(datetime!(2025-01-31 00:00 UTC)));
        assert_eq!(time_of("2025-01-31T09:30:00+01:00"), Ok(datetime!(2025-01-31 08:30 UTC)));
        assert!(time_of("2025-02-30").is_err() && time_of("yesterday").is_err());
    }

    #[test]
    fn rates_are_objects_a_second() {
        assert_eq!((rate("50/s"), rate("0.5")), (Ok(50.0), Ok(0.5)));
        for wrong in ["0", "-1/s", "many", "NaN", "inf/s", "10/m"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_range_needs_both_ends_and_status_none() {
        let code = |line: &str| Cli::try_parse_from(line.split(' ')).err().map(|error| error.exit_code());
        assert_eq!(code("router backfill --from 2025-01-01 --to 2025-02-01 --events a,b --rate 5/s"), None);
        assert_eq!(code("router backfill status --json"), None);
        assert_eq!(code("router backfill --from 2025-01-01"), Some(2));
        assert_eq!(code("router backfill --from soon --to 2025-02-01"), Some(2));
        assert_eq!(code("router backfill --from 2025-01-01 --to 2025-02-01 --over-others"), Some(2));
    }
}
