//! The index of buckets and objects: which content file holds a key's bytes, and what S3 says about it.
//!
//! Keys are stored as bytes, so SQLite orders them as S3 lists them (UTF-8 binary order) and a page costs what the page holds.
//! Uploads in progress are `uploads`' business, in the same file.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use s3s::dto::ETagCondition;
use s3s::{S3Error, S3Result, s3_error};
use serde::{Deserialize, Serialize};

use super::checksum::StoredChecksum;
use super::conditions;
use super::storage::Storage;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS buckets (
        name TEXT PRIMARY KEY, region TEXT NOT NULL, created_ms INTEGER NOT NULL, notifications TEXT NOT NULL DEFAULT '[]'
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS objects (
        bucket TEXT NOT NULL, key BLOB NOT NULL, content TEXT NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
        modified_ms INTEGER NOT NULL, headers TEXT NOT NULL, checksum TEXT NOT NULL,
        class TEXT NOT NULL DEFAULT 'STANDARD', restored_until_ms INTEGER, PRIMARY KEY (bucket, key)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS uploads (
        id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key BLOB NOT NULL, initiated_ms INTEGER NOT NULL, headers TEXT NOT NULL,
        class TEXT NOT NULL DEFAULT 'STANDARD'
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS parts (
        upload TEXT NOT NULL, number INTEGER NOT NULL, content TEXT NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
        modified_ms INTEGER NOT NULL, checksum TEXT NOT NULL, PRIMARY KEY (upload, number)
    ) WITHOUT ROWID;
";

/// Columns that came later: a directory of an earlier sandbox gets them when it is opened.
const ADDED: [(&str, &str, &str); 3] = [
    ("objects", "class", "TEXT NOT NULL DEFAULT 'STANDARD'"),
    ("objects", "restored_until_ms", "INTEGER"),
    ("uploads", "class", "TEXT NOT NULL DEFAULT 'STANDARD'"),
];

/// The headers a client stores with an object and gets back with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredHeaders {
    pub(super) content_type: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
pub(super) struct ObjectRow {
    /// The content file's id.
    pub(super) content: String,
    pub(super) size: u64,
    /// Hex, without quotes.
    pub(super) etag: String,
    /// `modified` says which time it is.
    pub(super) modified_ms: i64,
    pub(super) headers: StoredHeaders,
    pub(super) checksum: Option<StoredChecksum>,
    pub(super) storage: Storage,
}

#[derive(Debug, Clone)]
pub(super) struct BucketRow {
    pub(super) name: String,
    pub(super) region: String,
    pub(super) created_ms: i64,
    /// JSON; `notifications` reads and writes it.
    pub(super) notifications: String,
}

pub(super) struct Index {
    state: Mutex<State>,
}

struct State {
    connection: Connection,
    last_sequencer: i64,
}

/// A write that is visible now.
pub(super) struct Committed {
    pub(super) bucket: BucketRow,
    pub(super) sequencer: String,
    /// The content file that was replaced or deleted.
    pub(super) replaced: Option<String>,
}

impl Index {
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let connection = crate::database::open(&dir.join("s3").join("index.sqlite"), SCHEMA)?;
        add_missing_columns(&connection).context("could not add columns to the object index")?;
        Ok(Self { state: Mutex::new(State { connection, last_sequencer: 0 }) })
    }

    /// Runs `work` in one transaction, committed only when it succeeds.
    pub(super) fn transaction<T>(&self, work: impl FnOnce(&Transaction<'_>) -> S3Result<T>) -> S3Result<T> {
        self.sequenced(|tx, _| work(tx))
    }

    /// Also hands out the next sequencer: taken under the lock, it grows in the order in which writes become visible.
    fn sequenced<T>(&self, work: impl FnOnce(&Transaction<'_>, String) -> S3Result<T>) -> S3Result<T> {
        // A panic in another request rolled its transaction back; the connection itself is sound.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now_us = crate::clock::now_ms().saturating_mul(1_000);
        state.last_sequencer = now_us.max(state.last_sequencer + 1);
        let sequencer = format!("{:018X}", state.last_sequencer);
        let transaction = state.connection.transaction().map_err(S3Error::internal_error)?;
        let result = work(&transaction, sequencer)?;
        transaction.commit().map_err(S3Error::internal_error)?;
        Ok(result)
    }

    /// Every content file that an object or a part names.
    pub(super) fn contents(&self) -> S3Result<HashSet<String>> {
        self.transaction(|tx| {
            let mut statement =
                tx.prepare("SELECT content FROM objects UNION ALL SELECT content FROM parts").map_err(db)?;
            let rows = statement.query_map([], |row| row.get(0)).map_err(db)?;
            rows.collect::<rusqlite::Result<_>>().map_err(db)
        })
    }

    pub(super) fn object(&self, bucket: &str, key: &str) -> S3Result<ObjectRow> {
        self.transaction(|tx| {
            self::bucket(tx, bucket)?;
            find_object(tx, bucket, key)?.ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
        })
    }

    /// Makes `row` the key's object, if the preconditions hold at that instant; `finish` joins the same transaction.
    pub(super) fn commit_object(
        &self,
        (bucket, key): (&str, &str),
        row: &ObjectRow,
        (if_match, if_none_match): (Option<&ETagCondition>, Option<&ETagCondition>),
        finish: impl FnOnce(&Transaction<'_>) -> S3Result<()>,
    ) -> S3Result<Committed> {
        self.sequenced(|tx, sequencer| {
            let bucket_row = self::bucket(tx, bucket)?;
            let current = find_object(tx, bucket, key)?;
            conditions::allow_write(current.as_ref().map(|row| row.etag.as_str()), if_match, if_none_match)?;
            tx.prepare_cached("INSERT OR REPLACE INTO objects VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")
                .and_then(|mut insert| {
                    insert.execute(params![
                        bucket,
                        key.as_bytes(),
                        row.content,
                        i64::try_from(row.size).unwrap_or(i64::MAX),
                        row.etag,
                        row.modified_ms,
                        to_json(&row.headers),
                        to_json(&row.checksum),
                        row.storage.class,
                        row.storage.restored_until_ms
                    ])
                })
                .map_err(db)?;
            finish(tx)?;
            Ok(Committed { bucket: bucket_row, sequencer, replaced: current.map(|row| row.content) })
        })
    }

    /// Nothing when the key has no object: deleting it is no error, and no event.
    pub(super) fn delete_object(
        &self,
        bucket: &str,
        key: &str,
        if_match: Option<&ETagCondition>,
    ) -> S3Result<Option<Committed>> {
        self.sequenced(|tx, sequencer| {
            let bucket_row = self::bucket(tx, bucket)?;
            let current = find_object(tx, bucket, key)?;
            conditions::allow_write(current.as_ref().map(|row| row.etag.as_str()), if_match, None)?;
            let Some(current) = current else { return Ok(None) };
            tx.prepare_cached("DELETE FROM objects WHERE bucket = ?1 AND key = ?2")
                .and_then(|mut delete| delete.execute(params![bucket, key.as_bytes()]))
                .map_err(db)?;
            Ok(Some(Committed { bucket: bucket_row, sequencer, replaced: Some(current.content) }))
        })
    }
}

pub(super) fn find_bucket(tx: &Transaction<'_>, name: &str) -> S3Result<Option<BucketRow>> {
    tx.prepare_cached("SELECT name, region, created_ms, notifications FROM buckets WHERE name = ?1")
        .and_then(|mut select| select.query_row([name], read_bucket).optional())
        .map_err(db)
}

pub(super) fn bucket(tx: &Transaction<'_>, name: &str) -> S3Result<BucketRow> {
    find_bucket(tx, name)?.ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))
}

pub(super) fn read_bucket(row: &rusqlite::Row<'_>) -> rusqlite::Result<BucketRow> {
    Ok(BucketRow { name: row.get(0)?, region: row.get(1)?, created_ms: row.get(2)?, notifications: row.get(3)? })
}

fn find_object(tx: &Transaction<'_>, bucket: &str, key: &str) -> S3Result<Option<ObjectRow>> {
    tx.prepare_cached(
        "SELECT content, size, etag, modified_ms, headers, checksum, class, restored_until_ms
         FROM objects WHERE bucket = ?1 AND key = ?2",
    )
    .and_then(|mut select| {
        select
            .query_row(params![bucket, key.as_bytes()], |row| {
                Ok(ObjectRow {
                    content: row.get(0)?,
                    size: u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default(),
                    etag: row.get(2)?,
                    modified_ms: row.get(3)?,
                    headers: from_json(row, 4)?,
                    checksum: from_json(row, 5)?,
                    storage: Storage { class: row.get(6)?, restored_until_ms: row.get(7)? },
                })
            })
            .optional()
    })
    .map_err(db)
}

pub(super) fn set_restored(tx: &Transaction<'_>, bucket: &str, key: &str, until_ms: i64) -> S3Result<()> {
    tx.prepare_cached("UPDATE objects SET restored_until_ms = ?3 WHERE bucket = ?1 AND key = ?2")
        .and_then(|mut update| update.execute(params![bucket, key.as_bytes(), until_ms]))
        .map_err(db)?;
    Ok(())
}

fn add_missing_columns(connection: &Connection) -> rusqlite::Result<()> {
    for (table, column, definition) in ADDED {
        let is_there: bool = connection
            .prepare("SELECT EXISTS (SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2)")?
            .query_row([table, column], |row| row.get(0))?;
        if !is_there {
            connection.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} {definition}"))?;
        }
    }
    Ok(())
}

/// The index failed, not the client.
pub(super) fn db(error: rusqlite::Error) -> S3Error {
    S3Error::internal_error(error)
}

pub(super) fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("headers, checksums and notification targets are structs of text")
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(e)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_an_earlier_sandbox_gets_the_columns_that_came_later() {
        let dir = tempfile::TempDir::new().unwrap();
        let earlier = SCHEMA.replace("class TEXT NOT NULL DEFAULT 'STANDARD', restored_until_ms INTEGER,", "");
        assert_ne!(earlier, SCHEMA);
        let connection = crate::database::open(&dir.path().join("s3").join("index.sqlite"), &earlier).unwrap();
        connection.execute("INSERT INTO buckets VALUES ('b', 'us-east-1', 0, '[]')", []).unwrap();
        let object = "INSERT INTO objects VALUES ('b', CAST('k' AS BLOB), 'c', 1, 'e', 0, '{\"metadata\":{}}', 'null')";
        connection.execute(object, []).unwrap();
        drop(connection);
        for _ in 0..2 {
            let row = Index::open(dir.path()).unwrap().object("b", "k").unwrap();
            assert_eq!(row.storage, Storage { class: "STANDARD".to_owned(), restored_until_ms: None });
        }
    }
}
