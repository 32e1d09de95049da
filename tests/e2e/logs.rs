//! What router and loader log in this thread: for tests on a runtime of one thread.

use serde_json::Value;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tracing::subscriber::DefaultGuard;

/// Listens until it is dropped.
pub(crate) struct Logs {
    written: Arc<Mutex<Vec<u8>>>,
    _listening: DefaultGuard,
}

struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic while it is held").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Logs {
    pub(crate) fn listen() -> Self {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = written.clone();
        let subscriber = tracing_subscriber::fmt().json().with_max_level(tracing::Level::INFO);
        let subscriber = subscriber.with_writer(move || Sink(sink.clone())).finish();
        Self { written, _listening: tracing::subscriber::set_default(subscriber) }
    }

    /// Level and message of every line about this event, in order.
    pub(crate) fn of_event(&self, event: &str) -> Vec<(String, String)> {
        let written = self.written.lock().expect("no panic while it is held").clone();
        let lines = String::from_utf8(written).expect("UTF-8");
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let about = lines.filter(|line| line["fields"]["event"] == event);
        about.map(|line| (text(&line["level"]), text(&line["fields"]["message"]))).collect()
    }
}
