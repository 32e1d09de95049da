//! The question before anything is changed. Where nobody can be asked, somebody has to say so.

use super::Cli;
use anyhow::Context;
use clap::CommandFactory;
use clap::error::ErrorKind;
use std::io::{IsTerminal, Write, stderr, stdin};

/// Exits with 2, as for any wrong usage, unless a person can be asked.
pub(super) fn check_terminal() {
    if !stdin().is_terminal() {
        let message = "nobody can be asked here: look at the plan with --dry-run, and start with --yes";
        Cli::command().error(ErrorKind::MissingRequiredArgument, message).exit();
    }
}

/// Whether the answer is yes.
pub(super) fn agreed(question: &str) -> anyhow::Result<bool> {
    let mut terminal = stderr();
    write!(terminal, "{question} [y/N] ").and_then(|()| terminal.flush()).context("could not ask")?;
    let mut answer = String::new();
    stdin().read_line(&mut answer).context("could not read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
