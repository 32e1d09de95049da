//! The command line of the `sandbox` binary. Exit codes: 0 done, 1 failed, 2 usage.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use common::clients::Clients;
use common::settings::{DEFAULT_CONFIG, Settings, SettingsError};

use crate::sql_command::{SqlArguments, Unreachable, run_sql};
use crate::{DEFAULT_REGION, Sandbox, SandboxOptions, demo, provision};

const DEFAULT_PORT: u16 = 4566;

/// S3, SQS and the Redshift Data API on one local endpoint
#[derive(Parser)]
#[command(name = "sandbox", version, arg_required_else_help = true)]
struct Arguments {
    /// Settings file [default: log-router.toml if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the endpoint, with the buckets and queues of the settings file
    Up {
        /// Port on 127.0.0.1; 0 takes a free one
        #[arg(long, default_value_t = DEFAULT_PORT)]
        port: u16,
        /// Where everything is kept
        #[arg(long, default_value = ".sandbox", value_name = "DIR")]
        dir: PathBuf,
    },
    /// Run the whole pipeline on fixtures, then show the tables and the balance
    Demo,
    /// Run a statement through the Redshift Data API and print its rows
    Sql(SqlArguments),
}

/// Runs what the process was asked for.
pub async fn run() -> ExitCode {
    match carry_out(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sandbox: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn carry_out(arguments: Arguments) -> anyhow::Result<()> {
    // Every missing key is an error to s3s; to whoever asked it is an answer.
    common::telemetry::init("warn,s3s=off")?;
    let config = arguments.config.as_deref();
    match arguments.command {
        Command::Up { port, dir } => up(SandboxOptions { port, dir }, config).await,
        Command::Demo => demo::run().await,
        Command::Sql(sql) => sql_on(config, &sql).await,
    }
}

async fn up(options: SandboxOptions, config: Option<&Path>) -> anyhow::Result<()> {
    let shutdown = common::shutdown::on_signal();
    // Read first: a mistake in the file should not leave a half-made directory behind.
    let settings = optional_settings(config)?;
    let sandbox = Sandbox::start(options).await?;
    let provisioned = match &settings {
        Some(settings) => provision::provision(settings, &Clients::for_endpoint(&sandbox.endpoint()).await).await,
        None => {
            eprintln!("no {DEFAULT_CONFIG} here: no buckets or queues were made (pass --config FILE)");
            Ok(())
        }
    };
    if let Err(error) = provisioned {
        sandbox.stop().await;
        return Err(error.context("could not provision the sandbox"));
    }
    println!(
        "sandbox ready: export AWS_ENDPOINT_URL={} AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox \
         AWS_REGION={DEFAULT_REGION} AWS_DEFAULT_REGION={DEFAULT_REGION}",
        sandbox.endpoint()
    );
    shutdown.cancelled().await;
    sandbox.stop().await;
    Ok(())
}

async fn sql_on(config: Option<&Path>, arguments: &SqlArguments) -> anyhow::Result<()> {
    let settings = optional_settings(config)?;
    let endpoint = arguments.endpoint_url.clone().or_else(endpoint_of_environment);
    let endpoint = endpoint.unwrap_or_else(|| format!("http://127.0.0.1:{DEFAULT_PORT}"));
    // Never the credentials chain: this command must not reach a real warehouse by accident.
    let clients = Clients::for_endpoint(&endpoint).await;
    run_sql(&clients.redshift, settings.as_ref().map(|settings| &settings.loader), arguments).await.map_err(|error| {
        match error.is::<Unreachable>() {
            true => error.context(format!("no sandbox answers at {endpoint}: start one with sandbox up")),
            false => error,
        }
    })
}

/// The SDKs' own variable, as the ready line tells people to export it.
fn endpoint_of_environment() -> Option<String> {
    std::env::var_os("AWS_ENDPOINT_URL").and_then(|url| url.into_string().ok()).filter(|url| !url.is_empty())
}

/// None only when nobody named a file and the default one is not there.
fn optional_settings(config: Option<&Path>) -> anyhow::Result<Option<Settings>> {
    match Settings::load(config) {
        Ok(settings) => Ok(Some(settings)),
        Err(SettingsError::Unreadable { path, source })
            if config.is_none()
                && path == Path::new(DEFAULT_CONFIG)
                && source.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn config_is_accepted_after_any_subcommand() {
        for line in
            [&["sandbox", "up", "--config", "a.toml"][..], &["sandbox", "sql", "SELECT 1", "--config", "a.toml"]]
        {
            assert_eq!(Arguments::try_parse_from(line).unwrap().config, Some(PathBuf::from("a.toml")));
        }
    }

    #[test]
    fn a_settings_file_that_was_named_must_exist() {
        assert!(optional_settings(Some(Path::new("no/such/file.toml"))).is_err());
    }
}
