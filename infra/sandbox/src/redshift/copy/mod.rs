//! COPY from JSON: files in, rows out, Redshift's documented rules and error codes in between. All or nothing is the
//! surrounding transaction's work; what went wrong is handed back so that it can be written down after the rollback.

mod convert;
mod decompress;
mod jsonpaths;
mod log;
mod manifest;
mod records;
mod shred;

use std::io::Read;
use std::sync::Arc;

use rusqlite::types::{ToSql, ToSqlOutput};
use rusqlite::{Connection, Statement};

use super::catalog::{self, Column, Relation};
use super::error::{SqlError, SqlResult};
use super::parse::{CopyFormat, CopyStatement, parse_expression};
use super::plan::{Facts, plan_default};
use super::sql_type::SqlType;
use super::values::timestamp::now_micros;
use super::warehouse::Stop;
use super::{ObjectSource, ObjectSourceError};
use convert::{Cell, convert};
use decompress::{Bytes, decompressed};
use manifest::{SourceFile, parse_url};
use records::{Record, RecordError, Records};
use shred::Shredder;

pub(crate) use log::{LAST_QUERY_ID, LOG_SCHEMA, LoadError, LoadRecord, write_log};

/// How many records between two looks at whether to stop.
const RECORDS_BETWEEN_CHECKS: u64 = 512;

pub(crate) struct CopyContext<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) facts: &'a Facts,
    pub(crate) objects: &'a Arc<dyn ObjectSource>,
    pub(crate) stop: &'a Stop,
    pub(crate) query_id: i64,
}

/// Runs one COPY. The record is filled in as far as the load got, whatever the result.
pub(crate) fn copy(context: &CopyContext<'_>, statement: &CopyStatement) -> (SqlResult<i64>, Option<LoadRecord>) {
    let mut record = LoadRecord::new(context.facts, context.query_id, &statement.source);
    let result = Load::prepare(context, statement, &mut record).and_then(|mut load| load.run(&mut record));
    record.finish(result.is_ok(), now_micros());
    // Before a table is found there is nothing to log.
    let record = Some(record).filter(|record| record.table_id != 0);
    (result, record)
}

struct Load<'a> {
    context: &'a CopyContext<'a>,
    statement: &'a CopyStatement,
    relation: Relation,
    /// What the file's values go to, in the order of the column list.
    targets: Vec<Column>,
    /// Columns outside the list that must not be NULL and have no default: no record can load.
    unfillable: Option<Column>,
    insert_sql: String,
    shredder: Shredder,
    files: Vec<SourceFile>,
}

impl<'a> Load<'a> {
    fn prepare(
        context: &'a CopyContext<'a>,
        statement: &'a CopyStatement,
        record: &mut LoadRecord,
    ) -> SqlResult<Load<'a>> {
        let found = catalog::resolve(context.db, &context.facts.search_path, &statement.table)?;
        let Some(relation) = found.filter(|relation| relation.view_query.is_none()) else {
            return Err(SqlError::new(format!("Cannot COPY into nonexistent table {}", statement.table.name)));
        };
        record.describe(&relation);
        let targets = targets(&relation, statement)?;
        let shredder = match &statement.format {
            CopyFormat::Auto => Shredder::by_name(&targets, false),
            CopyFormat::AutoIgnoreCase => Shredder::by_name(&targets, true),
            CopyFormat::NoShred => Shredder::whole(&targets)?,
            CopyFormat::Paths(url) => {
                let (bucket, key) = parse_url(url)?;
                let text = read_all(context.objects, &bucket, &key).map_err(|error| {
                    SqlError::new(format!("jsonpath file '{url}' was not found or cannot be read: {error}"))
                })?;
                match jsonpaths::parse(&text)? {
                    // Another top-level key: silently 'auto', as documented.
                    None => Shredder::by_name(&targets, false),
                    Some(paths) if paths.len() == targets.len() => Shredder::by_path(&paths),
                    Some(paths) => {
                        return Err(SqlError::new(format!(
                            "Number of jsonpaths and the number of columns should match. JSONPath size: {}, Number of \
                             columns in table or column list: {}",
                            paths.len(),
                            targets.len()
                        )));
                    }
                }
            }
        };
        let files = manifest::source_files(context.objects, statement)?;
        let mut names: Vec<String> = targets.iter().map(Column::storage).collect();
        let mut values: Vec<String> = (1..=targets.len()).map(|i| format!("?{i}")).collect();
        let mut unfillable = None;
        for column in relation.columns.iter().filter(|column| !targets.contains(column)) {
            match &column.default {
                Some(text) => {
                    names.push(column.storage());
                    values.push(plan_default(context.db, context.facts, &parse_expression(text)?, column.ty)?);
                }
                None if column.not_null => unfillable = Some(column.clone()),
                None => {}
            }
        }
        let insert_sql =
            format!("INSERT INTO {} ({}) VALUES ({})", relation.storage(), names.join(", "), values.join(", "));
        Ok(Load { context, statement, relation, targets, unfillable, insert_sql, shredder, files })
    }

    fn run(&mut self, record: &mut LoadRecord) -> SqlResult<i64> {
        let db = self.context.db;
        let mut insert = db.prepare(&self.insert_sql)?;
        let mut loaded = 0;
        for file in &self.files {
            let Some(reader) = self.open(file)? else { continue };
            record.files += 1;
            let mut records = Records::new(reader);
            loaded += self.load_file(file, &mut records, &mut insert, record)?;
            record.file_bytes += records.bytes_read();
        }
        if record.files == 0 {
            return Err(SqlError::new("No files found: none of the files named in the manifest exists"));
        }
        let loaded = if self.statement.no_load { 0 } else { loaded };
        record.loaded_rows = loaded;
        Ok(loaded)
    }

    fn open(&self, file: &SourceFile) -> SqlResult<Option<Bytes>> {
        match self.context.objects.open(&file.bucket, &file.key) {
            Ok(reader) => {
                decompressed(self.statement.compression, reader).map(Some).map_err(|error| unreadable(file, &error))
            }
            Err(ObjectSourceError::Io(error)) => Err(unreadable(file, &error)),
            Err(refused @ (ObjectSourceError::Refused { .. } | ObjectSourceError::Archived)) => {
                Err(unreadable(file, &refused))
            }
            Err(_) if file.mandatory && self.statement.manifest => Err(SqlError::new(format!(
                "Mandatory url is not present in manifest file. The missing file is {}",
                file.url()
            ))),
            Err(_) if self.statement.manifest => Ok(None),
            Err(_) => Err(SqlError::new(format!("The specified S3 prefix '{}' does not exist", file.key))),
        }
    }

    fn load_file(
        &self,
        file: &SourceFile,
        records: &mut Records,
        insert: &mut Statement<'_>,
        log: &mut LoadRecord,
    ) -> SqlResult<i64> {
        let mut loaded = 0;
        let mut seen = 0_u64;
        loop {
            seen += 1;
            if seen.is_multiple_of(RECORDS_BETWEEN_CHECKS) && self.context.stop.should_stop() {
                return Err(if self.context.stop.is_cancelled() {
                    SqlError::Cancelled
                } else {
                    SqlError::new(format!("Query ({}) cancelled on user's request", self.context.query_id))
                });
            }
            let failure = match records.next(&self.shredder) {
                Ok(None) => return Ok(loaded),
                Ok(Some(found)) => match self.load_record(&found, insert)? {
                    None => {
                        loaded += 1;
                        continue;
                    }
                    Some(mut failure) => {
                        failure.line = found.line;
                        failure
                    }
                },
                Err(RecordError::Wrong(failure)) => failure,
                Err(RecordError::Unreadable(error)) => return Err(unreadable(file, &error)),
            };
            let fatal = failure.fatal;
            log.errors.push(LoadError { file: file.url(), ..failure });
            if fatal || log.errors.len() as u64 >= self.statement.max_error.max(1) {
                return Err(SqlError::new(format!(
                    "Load into table '{}' failed.  Check 'sys_load_error_detail' system table for details.",
                    self.relation.name
                )));
            }
        }
    }

    fn load_record(&self, record: &Record<'_>, insert: &mut Statement<'_>) -> SqlResult<Option<LoadError>> {
        if let Some(column) = &self.unfillable {
            return Ok(Some(LoadError::at(column, 1213, "Missing data for not-null field", 0)));
        }
        for (i, (value, column)) in record.values.iter().zip(&self.targets).enumerate() {
            let cell = match convert(*value, column.ty, self.statement) {
                Ok(Cell::Null) if column.not_null => {
                    return Ok(Some(LoadError::at(column, 1213, "Missing data for not-null field", 0)));
                }
                Ok(cell) => cell,
                Err(wrong) => return Ok(Some(LoadError::at(column, wrong.code, wrong.message, wrong.position))),
            };
            if !self.statement.no_load {
                insert.raw_bind_parameter(i + 1, &cell)?;
            }
        }
        if !self.statement.no_load {
            insert.raw_execute()?;
        }
        Ok(None)
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        use rusqlite::types::ValueRef;
        Ok(ToSqlOutput::Borrowed(match self {
            Cell::Null => ValueRef::Null,
            Cell::Integer(value) => ValueRef::Integer(*value),
            Cell::Real(value) => ValueRef::Real(*value),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
            Cell::Decimal(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn targets(relation: &Relation, statement: &CopyStatement) -> SqlResult<Vec<Column>> {
    let Some(names) = &statement.columns else { return Ok(relation.columns.clone()) };
    let mut targets: Vec<Column> = Vec::with_capacity(names.len());
    for name in names {
        let column = relation.column(name)?;
        if targets.contains(column) {
            return Err(SqlError::new(format!("column \"{name}\" specified more than once")));
        }
        targets.push(column.clone());
    }
    Ok(targets)
}

/// Of a file that cannot be read the statement tells, not the views of load errors: no record is known to be wrong.
fn unreadable(file: &SourceFile, error: &dyn std::error::Error) -> SqlError {
    SqlError::new(format!("{error}. S3 key being read : {}", file.url()))
}

/// Manifests and JSONPaths files: small, whole, never compressed.
fn read_all(objects: &Arc<dyn ObjectSource>, bucket: &str, key: &str) -> Result<Vec<u8>, ObjectSourceError> {
    let mut text = Vec::new();
    objects.open(bucket, key)?.read_to_end(&mut text).map_err(ObjectSourceError::Io)?;
    Ok(text)
}

/// What a load error view shows of a column's type: at most ten characters.
fn shown_type(ty: SqlType) -> String {
    ty.driver_name().chars().take(10).collect()
}

#[cfg(test)]
mod tests;
