//! Logs: to stderr, one line an event, never with record contents.
//!
//! `LOG_ROUTER_LOG` is the filter (default `info`, AWS crates less), `LOG_ROUTER_LOG_FORMAT=json`
//! switches to JSON lines.

use tracing_subscriber::EnvFilter;

/// Sets the process's logging up; call once, first.
pub fn init(default_filter: &str) {
    let filter = EnvFilter::try_from_env("LOG_ROUTER_LOG")
        .unwrap_or_else(|_| EnvFilter::new(format!("{default_filter},aws_config=error,aws_smithy_runtime=warn")));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    if std::env::var_os("LOG_ROUTER_LOG_FORMAT").is_some_and(|format| format == "json") {
        builder.json().init();
    } else {
        builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init();
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
