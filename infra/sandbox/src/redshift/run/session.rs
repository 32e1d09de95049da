//! One session: what SET changed, what the last COPY did, and how each kind of statement is carried out.

use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode};

use super::settings::Settings;
use super::{Grouping, alter, define, privileges, views};
use crate::redshift::copy::{CopyContext, LoadRecord, copy};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::parse::Statement;
use crate::redshift::plan::{Facts, OutputColumn, plan_delete, plan_insert, plan_query, plan_update, table};
use crate::redshift::sql_type::SqlType;
use crate::redshift::values::timestamp::now_micros;
use crate::redshift::values::{decimal, timestamp};
use crate::redshift::warehouse::{Stop, Warehouse};

/// Largest result the Data API keeps (Management Guide: `data-api`, before compression).
const MAX_RESULT_BYTES: usize = 500 * 1024 * 1024;

pub(crate) struct SessionOptions {
    pub(crate) database: String,
    pub(crate) user: String,
    pub(crate) process_id: i64,
}

/// What one statement did.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Rows returned or affected; 0 for statements that do neither.
    pub(crate) rows: i64,
    pub(crate) result: Option<ResultSet>,
}

#[derive(Debug)]
pub(crate) struct ResultSet {
    pub(crate) columns: Vec<ResultColumn>,
    pub(crate) rows: Vec<Vec<ResultValue>>,
    pub(crate) bytes: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct ResultColumn {
    pub(crate) name: String,
    pub(crate) ty: SqlType,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ResultValue {
    Null,
    Boolean(bool),
    Long(i64),
    Double(f64),
    Text(String),
}

pub(super) struct Session<'w> {
    pub(super) warehouse: &'w Warehouse,
    pub(super) stop: &'w Arc<Stop>,
    pub(super) load_log: Vec<LoadRecord>,
    facts: Facts,
    settings: Settings,
    grouping: Grouping,
}

impl<'w> Session<'w> {
    pub(super) fn new(
        warehouse: &'w Warehouse,
        options: SessionOptions,
        stop: &'w Arc<Stop>,
        grouping: Grouping,
    ) -> Session<'w> {
        let settings = Settings::default();
        let facts = Facts {
            database: options.database,
            user: options.user,
            search_path: settings.search_path.clone(),
            statement_time: 0,
            transaction_time: 0,
            last_copy_count: 0,
            last_copy_id: -1,
            process_id: options.process_id,
        };
        Session { warehouse, stop, load_log: Vec::new(), facts, settings, grouping }
    }

    pub(super) fn begin(&mut self, now: i64) {
        self.facts.transaction_time = now;
    }

    pub(super) fn execute(
        &mut self,
        db: &Connection,
        text: &str,
        statement: &Statement,
        query_id: i64,
    ) -> SqlResult<Outcome> {
        let now = now_micros();
        self.facts.statement_time = now;
        self.stop.set_deadline(self.settings.statement_timeout.map(|limit| now.saturating_add(limit)));
        if self.stop.is_cancelled() {
            return Err(SqlError::Cancelled);
        }
        let fault = self.warehouse.faults.at_statement(text, self.stop);
        let result = fault.and_then(|()| self.carry_out(db, statement, query_id));
        result.map_err(|error| self.explain(error, query_id))
    }

    /// An interrupted statement says who interrupted it.
    fn explain(&self, error: SqlError, query_id: i64) -> SqlError {
        match error {
            SqlError::Failed(message) if message == INTERRUPTED => {
                if self.stop.is_cancelled() {
                    SqlError::Cancelled
                } else {
                    SqlError::Failed(format!("Query ({query_id}) cancelled on user's request"))
                }
            }
            other => other,
        }
    }

    fn carry_out(&mut self, db: &Connection, statement: &Statement, query_id: i64) -> SqlResult<Outcome> {
        let facts = &self.facts;
        match statement {
            Statement::Query(query) => {
                let rows = plan_query(db, facts, query)?;
                let result = fetch(db, &rows.sql, rows.columns)?;
                Ok(Outcome { rows: result.rows.len() as i64, result: Some(result) })
            }
            Statement::Insert(insert) => changed(db, &plan_insert(db, facts, insert)?),
            Statement::Update(update) => changed(db, &plan_update(db, facts, update)?),
            Statement::Delete(delete) => changed(db, &plan_delete(db, facts, delete)?),
            Statement::Copy(statement) => {
                let objects = &self.warehouse.objects;
                let context = CopyContext { db, facts, objects, stop: self.stop, query_id };
                let (result, record) = copy(&context, statement);
                // A COPY that never started leaves what the last one said.
                if record.is_some() {
                    self.facts.last_copy_count = *result.as_ref().unwrap_or(&0);
                    self.facts.last_copy_id = query_id;
                }
                self.load_log.extend(record);
                done(result?)
            }
            Statement::Truncate(name) => {
                if self.grouping == Grouping::Together {
                    return Err(SqlError::unsupported(
                        "TRUNCATE in a batch, because it commits the transaction it runs in",
                        "use DELETE, or send it alone with ExecuteStatement",
                    ));
                }
                changed(db, &format!("DELETE FROM {}", table(db, facts, name)?.storage()))
            }
            Statement::Lock(names) => {
                // The writer's turn is the lock; all that is left is that the tables exist.
                for name in names {
                    table(db, facts, name)?;
                }
                done(0)
            }
            Statement::Set { name, value } => {
                self.settings.set(name, value)?;
                self.facts.search_path.clone_from(&self.settings.search_path);
                done(0)
            }
            Statement::Maintain { name, vacuum } => {
                if *vacuum && self.grouping == Grouping::Together {
                    return Err(SqlError::new("VACUUM cannot run inside a transaction block"));
                }
                if let Some(name) = name {
                    table(db, facts, name)?;
                }
                done(0)
            }
            Statement::AlterTable { name, change } => {
                alter::alter(db, facts, name, change, self.grouping == Grouping::Together)?;
                done(0)
            }
            Statement::Grant(grant) => {
                privileges::grant(db, facts, grant)?;
                done(0)
            }
            Statement::Comment { on, text } => {
                privileges::comment(db, facts, on, text.as_deref())?;
                done(0)
            }
            Statement::CreateSchema { name, if_not_exists } => {
                define::create_schema(db, name, *if_not_exists)?;
                done(0)
            }
            Statement::CreateTable(table) => {
                define::create_table(db, facts, table)?;
                done(0)
            }
            Statement::CreateTableAs { name, if_not_exists, query } => {
                done(define::create_table_as(db, facts, name, *if_not_exists, query)?)
            }
            Statement::CreateView { name, or_replace, columns, query, late_binding } => {
                views::create(db, facts, name, *or_replace, columns, query, *late_binding)?;
                done(0)
            }
            Statement::DropTable { names, if_exists, cascade } => {
                define::drop_relations(db, facts, names, false, *if_exists, *cascade)?;
                done(0)
            }
            Statement::DropView { names, if_exists, cascade } => {
                define::drop_relations(db, facts, names, true, *if_exists, *cascade)?;
                done(0)
            }
            Statement::DropSchema { names, if_exists, cascade } => {
                define::drop_schemas(db, facts, names, *if_exists, *cascade)?;
                done(0)
            }
        }
    }
}

/// What the embedded database calls a statement its progress handler stopped.
pub(crate) const INTERRUPTED: &str = "interrupted";

fn done(rows: i64) -> SqlResult<Outcome> {
    Ok(Outcome { rows, result: None })
}

fn changed(db: &Connection, sql: &str) -> SqlResult<Outcome> {
    let rows = db.execute(sql, []).map_err(interrupted)?;
    done(rows as i64)
}

fn interrupted(error: rusqlite::Error) -> SqlError {
    if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) {
        return SqlError::Failed(INTERRUPTED.to_owned());
    }
    error.into()
}

fn fetch(db: &Connection, sql: &str, columns: Vec<OutputColumn>) -> SqlResult<ResultSet> {
    let mut statement = db.prepare(sql)?;
    let mut found = statement.query([]).map_err(interrupted)?;
    let mut rows = Vec::new();
    let mut bytes = 0;
    while let Some(row) = found.next().map_err(interrupted)? {
        let mut values = Vec::with_capacity(columns.len());
        for (i, column) in columns.iter().enumerate() {
            let value = shown(row.get_ref(i)?, column.ty)?;
            bytes += size(&value);
            values.push(value);
        }
        if bytes > MAX_RESULT_BYTES {
            return Err(SqlError::new(format!(
                "Query result is larger than the limit of {} MB: select less, or add LIMIT",
                MAX_RESULT_BYTES / 1024 / 1024
            )));
        }
        rows.push(values);
    }
    let columns = columns.into_iter().map(|column| ResultColumn { name: column.name, ty: column.ty });
    Ok(ResultSet { columns: columns.collect(), rows, bytes })
}

fn size(value: &ResultValue) -> usize {
    match value {
        ResultValue::Null | ResultValue::Boolean(_) => 1,
        ResultValue::Long(_) | ResultValue::Double(_) => 8,
        ResultValue::Text(text) => text.len(),
    }
}

/// A stored value as the Data API hands it out (Management Guide: `data-api`, data types).
fn shown(value: ValueRef<'_>, ty: SqlType) -> SqlResult<ResultValue> {
    Ok(match (value, ty) {
        (ValueRef::Null, _) => ResultValue::Null,
        (ValueRef::Integer(value), SqlType::Boolean) => ResultValue::Boolean(value != 0),
        (ValueRef::Integer(days), SqlType::Date) => ResultValue::Text(timestamp::format_date(days)),
        (ValueRef::Integer(micros), SqlType::Timestamp) => ResultValue::Text(timestamp::format_timestamp(micros)),
        (ValueRef::Integer(micros), SqlType::TimestampTz) => ResultValue::Text(timestamp::format_timestamp_tz(micros)),
        (ValueRef::Integer(value), ty) if ty.is_float() => ResultValue::Double(value as f64),
        (ValueRef::Integer(value), _) => ResultValue::Long(value),
        (ValueRef::Real(value), _) => ResultValue::Double(value),
        (ValueRef::Blob(bytes), SqlType::Decimal { scale, .. }) => {
            ResultValue::Text(decimal::format(decimal::decode(bytes)?, scale))
        }
        (ValueRef::Text(bytes), SqlType::Char(length)) => {
            // CHAR comes back blank-padded.
            let text = String::from_utf8_lossy(bytes);
            ResultValue::Text(format!("{text:<width$}", width = length as usize))
        }
        (ValueRef::Text(bytes), _) => ResultValue::Text(String::from_utf8_lossy(bytes).into_owned()),
        (ValueRef::Blob(_), _) => return Err(SqlError::new("a stored value is damaged")),
    })
}
