//! What `SYS_LOAD_ERROR_DETAIL` and `SYS_LOAD_HISTORY` are made of. Written after the load's own transaction has ended,
//! either way, so the rows survive a rollback.

use rusqlite::{Connection, params};

use super::shown_type;
use crate::redshift::catalog::{Column, Relation};
use crate::redshift::error::SqlResult;
use crate::redshift::plan::Facts;

pub(crate) const LOG_SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS _load_errors (
    query_id INTEGER, transaction_id INTEGER, session_id INTEGER, database_name TEXT, table_id INTEGER,
    start_time INTEGER, file_name TEXT, line_number INTEGER, column_name TEXT, column_type TEXT, column_length TEXT,
    position INTEGER, error_code INTEGER, error_message TEXT);
CREATE TABLE IF NOT EXISTS _load_history (
    query_id INTEGER, transaction_id INTEGER, session_id INTEGER, database_name TEXT, status TEXT, table_name TEXT,
    start_time INTEGER, end_time INTEGER, data_source TEXT, loaded_rows INTEGER, loaded_bytes INTEGER,
    file_count INTEGER, file_bytes INTEGER, error_count INTEGER);
";

pub(crate) const LAST_QUERY_ID: &str = "SELECT max(query_id) FROM _load_history";

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LoadError {
    pub(crate) file: String,
    /// Last line of the object with the error.
    pub(crate) line: i64,
    pub(crate) column: String,
    pub(crate) column_type: String,
    pub(crate) column_length: u32,
    pub(crate) position: i64,
    pub(crate) code: u16,
    pub(crate) message: String,
    /// Nothing after it in the file can be trusted: fails the load whatever MAXERROR says.
    pub(crate) fatal: bool,
}

impl LoadError {
    pub(super) fn at(column: &Column, code: u16, message: impl Into<String>, position: i64) -> LoadError {
        LoadError {
            file: String::new(),
            line: 0,
            column: column.name.clone(),
            column_type: shown_type(column.ty),
            column_length: column.ty.length(),
            position,
            code,
            message: message.into(),
            fatal: false,
        }
    }

    pub(super) fn in_record(line: i64, code: u16, message: impl Into<String>) -> LoadError {
        LoadError {
            file: String::new(),
            line,
            column: String::new(),
            column_type: String::new(),
            column_length: 0,
            position: 0,
            code,
            message: message.into(),
            fatal: false,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct LoadRecord {
    query_id: i64,
    transaction_id: i64,
    session_id: i64,
    database: String,
    pub(super) table_id: i64,
    table_name: String,
    start_time: i64,
    end_time: i64,
    source: String,
    completed: bool,
    pub(super) loaded_rows: i64,
    pub(super) files: i64,
    pub(super) file_bytes: i64,
    pub(crate) errors: Vec<LoadError>,
}

impl LoadRecord {
    pub(super) fn new(facts: &Facts, query_id: i64, source: &str) -> LoadRecord {
        LoadRecord {
            query_id,
            transaction_id: facts.transaction_time,
            session_id: facts.process_id,
            database: facts.database.clone(),
            table_id: 0,
            table_name: String::new(),
            start_time: facts.statement_time,
            end_time: 0,
            source: source.to_owned(),
            completed: false,
            loaded_rows: 0,
            files: 0,
            file_bytes: 0,
            errors: Vec::new(),
        }
    }

    pub(super) fn describe(&mut self, relation: &Relation) {
        self.table_id = relation.id;
        self.table_name.clone_from(&relation.name);
    }

    pub(super) fn finish(&mut self, completed: bool, now: i64) {
        self.completed = completed;
        self.end_time = now;
    }
}

pub(crate) fn write_log(connection: &mut Connection, records: &[LoadRecord]) -> SqlResult<()> {
    if records.is_empty() {
        return Ok(());
    }
    let db = connection.transaction()?;
    for record in records {
        db.prepare_cached(
            "INSERT INTO _load_history VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?
        .execute(params![
            record.query_id,
            record.transaction_id,
            record.session_id,
            record.database,
            if record.completed { "completed" } else { "aborted" },
            record.table_name,
            record.start_time,
            record.end_time,
            record.source,
            record.loaded_rows,
            record.file_bytes,
            record.files,
            record.file_bytes,
            record.errors.len() as i64
        ])?;
        let mut insert = db.prepare_cached(
            "INSERT INTO _load_errors VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?;
        for error in &record.errors {
            // CHAR(256) and CHAR(512) in the view: longer text is cut there.
            insert.execute(params![
                record.query_id,
                record.transaction_id,
                record.session_id,
                record.database,
                record.table_id,
                record.start_time,
                cut(&error.file, 256),
                error.line,
                cut(&error.column, 127),
                error.column_type,
                if error.column_length > 0 { error.column_length.to_string() } else { String::new() },
                error.position,
                error.code,
                cut(&error.message, 512)
            ])?;
        }
    }
    db.commit()?;
    Ok(())
}

fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
