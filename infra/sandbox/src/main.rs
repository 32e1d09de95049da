//! The `sandbox` binary: see [`sandbox::cli`].

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    sandbox::cli::run().await
}
