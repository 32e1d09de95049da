//! The tables of multipart uploads in progress and their parts.

use rusqlite::{OptionalExtension, Transaction, params};
use s3s::{S3Result, s3_error};

use super::checksum::StoredChecksum;
use super::index::{StoredHeaders, db, from_json, to_json};
use super::storage::Storage;

pub(super) struct Upload {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) initiated_ms: i64,
    pub(super) headers: StoredHeaders,
    pub(super) storage: Storage,
}

pub(super) struct PartRow {
    pub(super) number: i32,
    pub(super) content: String,
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) modified_ms: i64,
    pub(super) checksum: Option<StoredChecksum>,
}

pub(super) fn insert(tx: &Transaction<'_>, bucket: &str, upload: &Upload) -> S3Result<()> {
    tx.prepare_cached("INSERT INTO uploads VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
        .and_then(|mut insert| {
            let headers = to_json(&upload.headers);
            let (key, class) = (upload.key.as_bytes(), &upload.storage.class);
            insert.execute(params![upload.id, bucket, key, upload.initiated_ms, headers, class])
        })
        .map_err(db)?;
    Ok(())
}

pub(super) fn find(tx: &Transaction<'_>, (bucket, key): (&str, &str), id: &str) -> S3Result<Upload> {
    tx.prepare_cached("SELECT initiated_ms, headers, class FROM uploads WHERE id = ?1 AND bucket = ?2 AND key = ?3")
        .and_then(|mut select| {
            select
                .query_row(params![id, bucket, key.as_bytes()], |row| {
                    Ok(Upload {
                        id: id.to_owned(),
                        key: key.to_owned(),
                        initiated_ms: row.get(0)?,
                        headers: from_json(row, 1)?,
                        storage: stored(row.get(2)?),
                    })
                })
                .optional()
        })
        .map_err(db)?
        .ok_or_else(|| {
            s3_error!(
                NoSuchUpload,
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
            )
        })
}

fn stored(class: String) -> Storage {
    Storage { class, restored_until_ms: None }
}

/// By key, then by start, as S3 lists them.
pub(super) fn list(tx: &Transaction<'_>, bucket: &str) -> S3Result<Vec<Upload>> {
    let mut select = tx
        .prepare_cached(
            "SELECT id, key, initiated_ms, class FROM uploads WHERE bucket = ?1 ORDER BY key, initiated_ms, id",
        )
        .map_err(db)?;
    let rows = select.query_map([bucket], |row| {
        let key: Vec<u8> = row.get(1)?;
        Ok(Upload {
            id: row.get(0)?,
            key: String::from_utf8_lossy(&key).into_owned(),
            initiated_ms: row.get(2)?,
            headers: StoredHeaders::default(),
            storage: stored(row.get(3)?),
        })
    });
    rows.and_then(Iterator::collect).map_err(db)
}

/// The content file of the part that was there before under this number.
pub(super) fn put_part(tx: &Transaction<'_>, upload: &str, part: &PartRow) -> S3Result<Option<String>> {
    let replaced = tx
        .prepare_cached("SELECT content FROM parts WHERE upload = ?1 AND number = ?2")
        .and_then(|mut select| select.query_row(params![upload, part.number], |row| row.get(0)).optional())
        .map_err(db)?;
    tx.prepare_cached("INSERT OR REPLACE INTO parts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
        .and_then(|mut insert| {
            insert.execute(params![
                upload,
                part.number,
                part.content,
                i64::try_from(part.size).unwrap_or(i64::MAX),
                part.etag,
                part.modified_ms,
                to_json(&part.checksum)
            ])
        })
        .map_err(db)?;
    Ok(replaced)
}

pub(super) fn parts(tx: &Transaction<'_>, upload: &str, after: i32) -> S3Result<Vec<PartRow>> {
    let mut select = tx
        .prepare_cached(
            "SELECT number, content, size, etag, modified_ms, checksum FROM parts
             WHERE upload = ?1 AND number > ?2 ORDER BY number",
        )
        .map_err(db)?;
    let rows = select.query_map(params![upload, after], |row| {
        Ok(PartRow {
            number: row.get(0)?,
            content: row.get(1)?,
            size: u64::try_from(row.get::<_, i64>(2)?).unwrap_or_default(),
            etag: row.get(3)?,
            modified_ms: row.get(4)?,
            checksum: from_json(row, 5)?,
        })
    });
    rows.and_then(Iterator::collect).map_err(db)
}

/// The content files that nothing names any more.
pub(super) fn remove(tx: &Transaction<'_>, upload: &str) -> S3Result<Vec<String>> {
    let contents = parts(tx, upload, 0)?.into_iter().map(|part| part.content).collect();
    tx.execute("DELETE FROM parts WHERE upload = ?1", [upload]).map_err(db)?;
    tx.execute("DELETE FROM uploads WHERE id = ?1", [upload]).map_err(db)?;
    Ok(contents)
}

/// Of a bucket that goes: its uploads go with it.
pub(super) fn remove_all(tx: &Transaction<'_>, bucket: &str) -> S3Result<Vec<String>> {
    let mut contents = Vec::new();
    for upload in list(tx, bucket)? {
        contents.extend(remove(tx, &upload.id)?);
    }
    Ok(contents)
}
