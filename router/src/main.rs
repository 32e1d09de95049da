//! `router`: splits raw JSON log files into per-event parts.

mod cli;

use clap::Parser;
use common::telemetry::chain;
use std::process::ExitCode;

/// 0 done, 1 failed; clap exits with 2 for wrong usage.
fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("router: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
