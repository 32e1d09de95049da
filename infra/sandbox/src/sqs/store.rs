//! The tables of queues and messages, and the transactions on them.
//!
//! SQLite is the only copy: nothing is cached beside it, so a restart continues where the last process ended. Knows nothing of the
//! wire, of limits, or of waiting.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::attributes::QueueAttributes;
use super::error::SqsError;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS queues (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, region TEXT NOT NULL,
        created_ms INTEGER NOT NULL, modified_ms INTEGER NOT NULL, attributes TEXT NOT NULL, tags TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS messages (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, queue INTEGER NOT NULL, message_id TEXT NOT NULL, body TEXT NOT NULL,
        attributes TEXT NOT NULL, system_attributes TEXT NOT NULL, sent_ms INTEGER NOT NULL, visible_ms INTEGER NOT NULL,
        receive_count INTEGER NOT NULL DEFAULT 0, first_received_ms INTEGER, received_ms INTEGER, receipt TEXT,
        dead_letter_source TEXT
    );
    -- Holds the receipt too, so that counting never reads bodies.
    CREATE INDEX IF NOT EXISTS messages_by_visibility ON messages (queue, visible_ms, seq, receipt);
    CREATE INDEX IF NOT EXISTS messages_by_age ON messages (queue, sent_ms);
";

#[derive(Debug, Clone)]
pub(crate) struct Queue {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) created_ms: i64,
    pub(crate) modified_ms: i64,
    pub(crate) attributes: QueueAttributes,
}

impl Queue {
    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:sqs:{}:{}:{}", self.region, crate::ACCOUNT_ID, self.name)
    }
}

pub(crate) struct NewMessage {
    pub(crate) message_id: String,
    pub(crate) body: String,
    /// JSON of the message attributes and of the system attributes the sender gave.
    pub(crate) attributes: String,
    pub(crate) system_attributes: String,
    pub(crate) delay_secs: u32,
}

pub(crate) struct StoredMessage {
    pub(crate) seq: i64,
    pub(crate) message_id: String,
    pub(crate) body: String,
    pub(crate) attributes: String,
    pub(crate) system_attributes: String,
    pub(crate) sent_ms: i64,
    pub(crate) receive_count: u32,
    pub(crate) first_received_ms: Option<i64>,
    pub(crate) dead_letter_source: Option<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) visible: i64,
    pub(crate) in_flight: i64,
    pub(crate) delayed: i64,
}

pub(crate) struct Store {
    connection: Mutex<Connection>,
}

impl Store {
    pub(crate) fn open(dir: &Path) -> anyhow::Result<Self> {
        let connection = crate::database::open(&dir.join("sqs").join("queues.sqlite"), SCHEMA)?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic in another request rolled its transaction back; the connection itself is sound.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` in one transaction, committed only when it succeeds.
    pub(crate) fn transaction<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, SqsError>,
    ) -> Result<T, SqsError> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let result = work(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }
}

pub(crate) fn find_queue(tx: &Transaction<'_>, name: &str) -> Result<Option<Queue>, SqsError> {
    Ok(tx
        .prepare_cached("SELECT id, name, region, created_ms, modified_ms, attributes FROM queues WHERE name = ?1")?
        .query_row([name], read_queue)
        .optional()?)
}

pub(crate) fn queue_named(tx: &Transaction<'_>, name: &str) -> Result<Queue, SqsError> {
    find_queue(tx, name)?.ok_or(SqsError::QueueDoesNotExist)
}

/// In name order, the names that start with `prefix` and come after `after`.
pub(crate) fn list_queues(
    tx: &Transaction<'_>,
    prefix: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<Queue>, SqsError> {
    let mut statement = tx.prepare_cached(
        "SELECT id, name, region, created_ms, modified_ms, attributes FROM queues
         WHERE name > ?1 AND substr(name, 1, length(?2)) = ?2 ORDER BY name LIMIT ?3",
    )?;
    let rows = statement.query_map(params![after, prefix, i64::try_from(limit).unwrap_or(i64::MAX)], read_queue)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn read_queue(row: &rusqlite::Row<'_>) -> rusqlite::Result<Queue> {
    let attributes: String = row.get(5)?;
    Ok(Queue {
        id: row.get(0)?,
        name: row.get(1)?,
        region: row.get(2)?,
        created_ms: row.get(3)?,
        modified_ms: row.get(4)?,
        attributes: serde_json::from_str(&attributes)
            .map_err(|e| rusqlite::Error::FromSqlConversionFailure(5, rusqlite::types::Type::Text, Box::new(e)))?,
    })
}

pub(crate) fn insert_queue(
    tx: &Transaction<'_>,
    name: &str,
    region: &str,
    now_ms: i64,
    attributes: &QueueAttributes,
) -> Result<(), SqsError> {
    tx.prepare_cached(
        "INSERT INTO queues (name, region, created_ms, modified_ms, attributes, tags) VALUES (?1, ?2, ?3, ?3, ?4, '{}')",
    )?
    .execute(params![name, region, now_ms, to_json(attributes)])?;
    Ok(())
}

pub(crate) fn update_attributes(
    tx: &Transaction<'_>,
    queue: i64,
    now_ms: i64,
    attributes: &QueueAttributes,
) -> Result<(), SqsError> {
    tx.prepare_cached("UPDATE queues SET attributes = ?2, modified_ms = ?3 WHERE id = ?1")?.execute(params![
        queue,
        to_json(attributes),
        now_ms
    ])?;
    Ok(())
}

pub(crate) fn tags(tx: &Transaction<'_>, queue: i64) -> Result<String, SqsError> {
    Ok(tx.prepare_cached("SELECT tags FROM queues WHERE id = ?1")?.query_row([queue], |row| row.get(0))?)
}

pub(crate) fn set_tags(tx: &Transaction<'_>, queue: i64, tags: &str) -> Result<(), SqsError> {
    tx.prepare_cached("UPDATE queues SET tags = ?2 WHERE id = ?1")?.execute(params![queue, tags])?;
    Ok(())
}

pub(crate) fn delete_queue(tx: &Transaction<'_>, queue: i64) -> Result<(), SqsError> {
    purge(tx, queue)?;
    tx.prepare_cached("DELETE FROM queues WHERE id = ?1")?.execute([queue])?;
    Ok(())
}

pub(crate) fn purge(tx: &Transaction<'_>, queue: i64) -> Result<(), SqsError> {
    tx.prepare_cached("DELETE FROM messages WHERE queue = ?1")?.execute([queue])?;
    Ok(())
}

pub(crate) fn insert_message(tx: &Transaction<'_>, queue: i64, now_ms: i64, m: &NewMessage) -> Result<(), SqsError> {
    tx.prepare_cached(
        "INSERT INTO messages (queue, message_id, body, attributes, system_attributes, sent_ms, visible_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        queue,
        m.message_id,
        m.body,
        m.attributes,
        m.system_attributes,
        now_ms,
        now_ms + i64::from(m.delay_secs) * 1_000
    ])?;
    Ok(())
}

/// Forgets what is older than the queue's retention.
pub(crate) fn expire(tx: &Transaction<'_>, queue: &Queue, now_ms: i64) -> Result<(), SqsError> {
    let oldest = now_ms - i64::from(queue.attributes.retention_secs) * 1_000;
    tx.prepare_cached("DELETE FROM messages WHERE queue = ?1 AND sent_ms < ?2")?.execute(params![queue.id, oldest])?;
    Ok(())
}

/// The longest visible first, unless asked otherwise.
pub(crate) fn visible(
    tx: &Transaction<'_>,
    queue: i64,
    now_ms: i64,
    limit: usize,
    newest_first: bool,
) -> Result<Vec<StoredMessage>, SqsError> {
    let order = if newest_first { "visible_ms DESC, seq DESC" } else { "visible_ms, seq" };
    let mut statement = tx.prepare_cached(&format!(
        "SELECT seq, message_id, body, attributes, system_attributes, sent_ms, receive_count, first_received_ms,
                dead_letter_source
         FROM messages WHERE queue = ?1 AND visible_ms <= ?2 ORDER BY {order} LIMIT ?3"
    ))?;
    let rows = statement.query_map(params![queue, now_ms, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        Ok(StoredMessage {
            seq: row.get(0)?,
            message_id: row.get(1)?,
            body: row.get(2)?,
            attributes: row.get(3)?,
            system_attributes: row.get(4)?,
            sent_ms: row.get(5)?,
            receive_count: row.get(6)?,
            first_received_ms: row.get(7)?,
            dead_letter_source: row.get(8)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(crate) fn mark_received(
    tx: &Transaction<'_>,
    seq: i64,
    receipt: &str,
    now_ms: i64,
    visible_ms: i64,
) -> Result<(), SqsError> {
    tx.prepare_cached(
        "UPDATE messages SET receive_count = receive_count + 1, first_received_ms = COALESCE(first_received_ms, ?3),
                received_ms = ?3, receipt = ?2, visible_ms = ?4 WHERE seq = ?1",
    )?
    .execute(params![seq, receipt, now_ms, visible_ms])?;
    Ok(())
}

/// Keeps id, send time and receive count, as SQS does for a standard queue.
pub(crate) fn move_to_dead_letter(
    tx: &Transaction<'_>,
    seq: i64,
    target: i64,
    source_arn: &str,
    now_ms: i64,
) -> Result<(), SqsError> {
    tx.prepare_cached(
        "UPDATE messages SET queue = ?2, visible_ms = ?4, receipt = NULL, dead_letter_source = ?3 WHERE seq = ?1",
    )?
    .execute(params![seq, target, source_arn, now_ms])?;
    Ok(())
}

/// A redriven message is a new message with a new id and send time ("dead-letter queue redrive" of the developer guide).
pub(crate) fn redrive(
    tx: &Transaction<'_>,
    seq: i64,
    target: i64,
    message_id: &str,
    now_ms: i64,
) -> Result<(), SqsError> {
    tx.prepare_cached(
        "UPDATE messages SET queue = ?2, message_id = ?3, sent_ms = ?4, visible_ms = ?4, receive_count = 0,
                first_received_ms = NULL, received_ms = NULL, receipt = NULL, dead_letter_source = NULL WHERE seq = ?1",
    )?
    .execute(params![seq, target, message_id, now_ms])?;
    Ok(())
}

/// When the next message that is not visible now will be.
pub(crate) fn next_visible_ms(tx: &Transaction<'_>, queue: i64, now_ms: i64) -> Result<Option<i64>, SqsError> {
    Ok(tx
        .prepare_cached("SELECT MIN(visible_ms) FROM messages WHERE queue = ?1 AND visible_ms > ?2")?
        .query_row(params![queue, now_ms], |row| row.get(0))?)
}

/// Where the receipt is the newest of a message still here.
pub(crate) struct Receipt {
    pub(crate) received_ms: i64,
    pub(crate) visible_ms: i64,
}

pub(crate) fn find_receipt(
    tx: &Transaction<'_>,
    queue: i64,
    seq: i64,
    receipt: &str,
) -> Result<Option<Receipt>, SqsError> {
    Ok(tx
        .prepare_cached("SELECT received_ms, visible_ms FROM messages WHERE seq = ?1 AND queue = ?2 AND receipt = ?3")?
        .query_row(params![seq, queue, receipt], |row| {
            Ok(Receipt { received_ms: row.get(0)?, visible_ms: row.get(1)? })
        })
        .optional()?)
}

pub(crate) fn set_visible(tx: &Transaction<'_>, seq: i64, visible_ms: i64) -> Result<(), SqsError> {
    tx.prepare_cached("UPDATE messages SET visible_ms = ?2 WHERE seq = ?1")?.execute(params![seq, visible_ms])?;
    Ok(())
}

pub(crate) fn delete_message(tx: &Transaction<'_>, queue: i64, seq: i64, receipt: &str) -> Result<(), SqsError> {
    tx.prepare_cached("DELETE FROM messages WHERE seq = ?1 AND queue = ?2 AND receipt = ?3")?
        .execute(params![seq, queue, receipt])?;
    Ok(())
}

pub(crate) fn counts(tx: &Transaction<'_>, queue: i64, now_ms: i64) -> Result<Counts, SqsError> {
    Ok(tx
        .prepare_cached(
            "SELECT COUNT(*) FILTER (WHERE visible_ms <= ?2),
                    COUNT(*) FILTER (WHERE visible_ms > ?2 AND receipt IS NOT NULL),
                    COUNT(*) FILTER (WHERE visible_ms > ?2 AND receipt IS NULL)
             FROM messages WHERE queue = ?1",
        )?
        .query_row(params![queue, now_ms], |row| {
            Ok(Counts { visible: row.get(0)?, in_flight: row.get(1)?, delayed: row.get(2)? })
        })?)
}

fn to_json(attributes: &QueueAttributes) -> String {
    serde_json::to_string(attributes).expect("a struct of numbers and text always serialises")
}
