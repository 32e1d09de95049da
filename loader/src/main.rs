//! The binary `loader`; everything it does is in the library.

use clap::Parser;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    loader::cli::Cli::parse().execute().await
}
