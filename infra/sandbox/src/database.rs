//! Opens the SQLite files in which S3 and SQS keep what a restart must not lose.

use std::path::Path;

use anyhow::Context;
use rusqlite::Connection;

/// Each service is the only writer of its file and keeps one connection under a mutex.
pub(crate) fn open(path: &Path, schema: &str) -> anyhow::Result<Connection> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("could not create {}", parent.display()))?;
    }
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // A killed sandbox loses nothing, since the pages are with the kernel; only a power failure could, and a test stack may.
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.execute_batch(schema)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    };
    open().with_context(|| format!("could not open {}; move it away if it is damaged", path.display()))
}
