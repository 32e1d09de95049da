//! Logs: to stderr, one line an event, never with record contents.
//!
//! `LOG_ROUTER_LOG` is the filter (default `info`, AWS crates less), `LOG_ROUTER_LOG_FORMAT=json`
//! switches to JSON lines.

use std::ffi::OsString;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Variables of logging, which are no settings: they hold before settings are read.
const FILTER_ENV: &str = "LOG_ROUTER_LOG";
const FORMAT_ENV: &str = "LOG_ROUTER_LOG_FORMAT";

/// A variable of logging that cannot be read. Logging otherwise than wanted would be noticed when a log is needed.
#[derive(Debug, thiserror::Error)]
pub enum LogEnvError {
    /// The filter.
    #[error("{FILTER_ENV} is no filter: write a level like info, or levels by module like info,common=debug")]
    Filter(#[source] Option<ParseError>),
    /// The format.
    #[error("{FORMAT_ENV} is {0:?}: write text or json")]
    Format(OsString),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

/// Sets the process's logging up; call once, first.
pub fn init(default_filter: &str) -> Result<(), LogEnvError> {
    let filter = filter(std::env::var_os(FILTER_ENV), default_filter)?;
    let format = format(std::env::var_os(FORMAT_ENV))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    match format {
        Format::Json => builder.json().init(),
        Format::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
    }
    Ok(())
}

/// An empty variable is one that is not set: deployment tools have no other way to leave one out.
fn filter(given: Option<OsString>, default: &str) -> Result<EnvFilter, LogEnvError> {
    match given.filter(|text| !text.is_empty()) {
        None => Ok(EnvFilter::new(format!("{default},aws_config=error,aws_smithy_runtime=warn"))),
        Some(text) => {
            let text = text.to_str().ok_or(LogEnvError::Filter(None))?;
            EnvFilter::try_new(text).map_err(|error| LogEnvError::Filter(Some(error)))
        }
    }
}

fn format(given: Option<OsString>) -> Result<Format, LogEnvError> {
    match given.as_ref().map_or(Some(""), |text| text.to_str()) {
        Some("" | "text") => Ok(Format::Text),
        Some("json") => Ok(Format::Json),
        _ => Err(LogEnvError::Format(given.unwrap_or_default())),
    }
}

/// An error with all its causes on one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_refused_with_the_fix() {
        for text in ["", "info", "info,common=debug", "off"] {
            assert!(filter(Some(text.into()), "info").is_ok(), "{text}");
        }
        let error = filter(Some("info,common=loud".into()), "info").expect_err("no such level");
        assert!(error.to_string().starts_with("LOG_ROUTER_LOG is no filter: write a level like info"), "{error}");
        assert_eq!(format(None).expect("the default"), Format::Text);
        assert_eq!(format(Some("json".into())).expect("known"), Format::Json);
        let error = format(Some("JSON".into())).expect_err("not known");
        assert_eq!(error.to_string(), "LOG_ROUTER_LOG_FORMAT is \"JSON\": write text or json");
    }
}
