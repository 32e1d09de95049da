//! The database file and who may use it when: one writer at a time, in order of arrival, so that transactions are
//! serial and a LOCK is true; readers beside it on connections of their own (write-ahead log), so that a SELECT never
//! waits for a COPY.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::ObjectSource;
use super::error::{SqlError, SqlResult};
use super::values::timestamp::now_micros;
use super::{catalog, copy, functions};
use crate::faults::Faults;

/// Idle reader connections kept for the next statement.
const KEPT_READERS: usize = 8;
/// How often a running statement looks whether it should stop, in steps of the embedded database.
const STEPS_BETWEEN_CHECKS: i32 = 2_000;
/// The first query id of a new warehouse.
const FIRST_QUERY_ID: i64 = 100;

pub(crate) struct Warehouse {
    path: PathBuf,
    pub(crate) objects: Arc<dyn ObjectSource>,
    pub(crate) faults: Arc<Faults>,
    writer: Mutex<Turns>,
    writer_free: Condvar,
    readers: Mutex<Vec<Connection>>,
    query_ids: AtomicI64,
}

struct Turns {
    connection: Option<Connection>,
    waiting: VecDeque<u64>,
    next_ticket: u64,
}

impl Warehouse {
    pub(crate) fn open(path: &Path, objects: Arc<dyn ObjectSource>, faults: Arc<Faults>) -> SqlResult<Arc<Warehouse>> {
        let connection = connect(path)?;
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -65536;")?;
        connection.execute_batch(catalog::SCHEMA)?;
        connection.execute_batch(copy::LOG_SCHEMA)?;
        let last_query: Option<i64> = connection.query_row(copy::LAST_QUERY_ID, [], |row| row.get(0))?;
        Ok(Arc::new(Warehouse {
            path: path.to_owned(),
            objects,
            faults,
            writer: Mutex::new(Turns { connection: Some(connection), waiting: VecDeque::new(), next_ticket: 0 }),
            writer_free: Condvar::new(),
            readers: Mutex::new(Vec::new()),
            query_ids: AtomicI64::new(last_query.map_or(FIRST_QUERY_ID, |id| id + 1)),
        }))
    }

    pub(crate) fn next_query_id(&self) -> i64 {
        self.query_ids.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits for its turn to write; gives up when the statement is cancelled.
    pub(crate) fn writer(&self, stop: &Arc<Stop>) -> SqlResult<Writer<'_>> {
        let mut turns = self.turns();
        let ticket = turns.next_ticket;
        turns.next_ticket += 1;
        turns.waiting.push_back(ticket);
        loop {
            if stop.is_cancelled() {
                turns.waiting.retain(|waiting| *waiting != ticket);
                self.writer_free.notify_all();
                return Err(SqlError::Cancelled);
            }
            if turns.waiting.front() == Some(&ticket)
                && let Some(connection) = turns.connection.take()
            {
                turns.waiting.pop_front();
                drop(turns);
                let mut writer = Writer { warehouse: self, connection: Some(connection) };
                watch(&mut writer, stop)?;
                return Ok(writer);
            }
            turns = self.writer_free.wait(turns).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn reader(&self, stop: &Arc<Stop>) -> SqlResult<Reader<'_>> {
        let kept = self.kept_readers().pop();
        let mut connection = match kept {
            Some(connection) => connection,
            None => {
                let connection = connect(&self.path)?;
                connection.execute_batch("PRAGMA query_only = ON;")?;
                connection
            }
        };
        watch(&mut connection, stop)?;
        Ok(Reader { warehouse: self, connection: Some(connection) })
    }

    /// Lets waiting statements see that they were cancelled.
    pub(crate) fn wake(&self) {
        let _turns = self.turns();
        self.writer_free.notify_all();
    }

    // A panic while holding either lock leaves nothing half done: both hold only what is idle.
    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept_readers(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(path: &Path) -> SqlResult<Connection> {
    let connection = Connection::open(path)?;
    // A double-quoted name that is no column must be an error, never a string.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    connection.execute_batch("PRAGMA busy_timeout = 60000; PRAGMA temp_store = MEMORY;")?;
    connection.set_prepared_statement_cache_capacity(64);
    functions::register_all(&connection)?;
    Ok(connection)
}

fn watch(connection: &mut Connection, stop: &Arc<Stop>) -> SqlResult<()> {
    let stop = Arc::clone(stop);
    connection.progress_handler(STEPS_BETWEEN_CHECKS, Some(move || stop.should_stop()))?;
    Ok(())
}

/// Why a running statement should end early.
#[derive(Debug)]
pub(crate) struct Stop {
    cancelled: AtomicBool,
    /// `statement_timeout` of the running statement, in microseconds since 1970.
    deadline: AtomicI64,
}

impl Stop {
    pub(crate) fn new() -> Arc<Stop> {
        Arc::new(Stop { cancelled: AtomicBool::new(false), deadline: AtomicI64::new(i64::MAX) })
    }

    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    pub(crate) fn set_deadline(&self, micros: Option<i64>) {
        self.deadline.store(micros.unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    pub(crate) fn should_stop(&self) -> bool {
        self.is_cancelled() || now_micros() >= self.deadline.load(Ordering::SeqCst)
    }
}

macro_rules! connection_guard {
    ($name:ident, $give_back:expr) => {
        impl Deref for $name<'_> {
            type Target = Connection;

            fn deref(&self) -> &Connection {
                self.connection.as_ref().expect("taken in drop only")
            }
        }

        impl DerefMut for $name<'_> {
            fn deref_mut(&mut self) -> &mut Connection {
                self.connection.as_mut().expect("taken in drop only")
            }
        }

        impl Drop for $name<'_> {
            fn drop(&mut self) {
                if let Some(connection) = self.connection.take() {
                    // A transaction is only still open when a statement panicked or was abandoned.
                    if !connection.is_autocommit() {
                        if let Err(error) = connection.execute_batch("ROLLBACK") {
                            tracing::warn!(%error, "cannot roll an abandoned transaction back");
                        }
                    }
                    $give_back(self.warehouse, connection);
                }
            }
        }
    };
}

/// The right to write; given back on drop.
pub(crate) struct Writer<'w> {
    warehouse: &'w Warehouse,
    connection: Option<Connection>,
}

pub(crate) struct Reader<'w> {
    warehouse: &'w Warehouse,
    connection: Option<Connection>,
}

connection_guard!(Writer, |warehouse: &Warehouse, connection| {
    warehouse.turns().connection = Some(connection);
    warehouse.writer_free.notify_all();
});

connection_guard!(Reader, |warehouse: &Warehouse, connection| {
    let mut readers = warehouse.kept_readers();
    if readers.len() < KEPT_READERS {
        readers.push(connection);
    }
});
