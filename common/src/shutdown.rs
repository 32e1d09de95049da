//! SIGTERM and Ctrl-C, turned into one token that everything long-running watches.

use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGTERM or SIGINT. A second one ends the process at once.
pub fn on_signal() -> CancellationToken {
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        signal().await;
        tracing::info!("shutting down: finishing what is in work (a second signal ends at once)");
        cancelled.cancel();
        signal().await;
        std::process::exit(130);
    });
    token
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can always be handled");
    tokio::select! {
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => result.expect("SIGINT can always be handled"),
    }
}

#[cfg(not(unix))]
async fn signal() {
    tokio::signal::ctrl_c().await.expect("Ctrl-C can always be handled");
}
