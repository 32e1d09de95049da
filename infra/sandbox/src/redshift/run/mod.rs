//! Running statements: which connection, which transaction, what happens when one of them fails.

mod alter;
mod define;
mod privileges;
mod session;
mod settings;
mod views;

use std::sync::Arc;

use super::copy::write_log;
use super::error::{SqlError, SqlResult};
use super::parse::{self, Statement};
use super::values::timestamp::now_micros;
use super::warehouse::{Stop, Warehouse};
use session::Session;

pub(crate) use session::{INTERRUPTED, Outcome, ResultColumn, ResultSet, ResultValue, SessionOptions};

/// How the statements of one request belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grouping {
    /// One transaction: the first failure undoes all and ends it.
    Together,
    /// Each by itself: a failure touches no other.
    EachAlone,
}

/// What the caller is told while statements run.
pub(crate) enum Progress {
    Started { index: usize, query_id: i64 },
    Ended { index: usize, result: SqlResult<Outcome> },
}

/// Runs all statements; the first failure comes back with its index.
pub(crate) fn run(
    warehouse: &Warehouse,
    options: SessionOptions,
    statements: &[String],
    grouping: Grouping,
    stop: &Arc<Stop>,
    tell: &mut dyn FnMut(Progress),
) -> Result<(), (usize, SqlError)> {
    let mut session = Session::new(warehouse, options, stop, grouping);
    match grouping {
        Grouping::Together => together(&mut session, statements, tell),
        Grouping::EachAlone => {
            let mut first_failure = None;
            for index in 0..statements.len() {
                let one = &statements[index..=index];
                let result = together(&mut session, one, &mut |progress| tell(shifted(progress, index)));
                if let Err((_, error)) = result {
                    let cancelled = error == SqlError::Cancelled;
                    first_failure.get_or_insert((index, error));
                    if cancelled {
                        break;
                    }
                }
            }
            first_failure.map_or(Ok(()), Err)
        }
    }
}

fn shifted(progress: Progress, by: usize) -> Progress {
    match progress {
        Progress::Started { index, query_id } => Progress::Started { index: index + by, query_id },
        Progress::Ended { index, result } => Progress::Ended { index: index + by, result },
    }
}

/// One transaction over these statements.
fn together(
    session: &mut Session<'_>,
    statements: &[String],
    tell: &mut dyn FnMut(Progress),
) -> Result<(), (usize, SqlError)> {
    let parsed: Vec<SqlResult<Statement>> = statements.iter().map(|sql| parse::parse(sql)).collect();
    let only_reads =
        parsed.iter().all(|statement| matches!(statement, Ok(Statement::Query(_) | Statement::Set { .. }) | Err(_)));
    if only_reads {
        let reader = session.warehouse.reader(session.stop).map_err(|error| (0, error))?;
        reader.execute_batch("BEGIN").map_err(|error| (0, error.into()))?;
        let result = in_transaction(session, &reader, statements, parsed, tell);
        reader.execute_batch("ROLLBACK").map_err(|error| (0, error.into()))?;
        return result;
    }
    let mut writer = session.warehouse.writer(session.stop).map_err(|error| (0, error))?;
    writer.execute_batch("BEGIN IMMEDIATE").map_err(|error| (0, error.into()))?;
    let result = in_transaction(session, &writer, statements, parsed, tell);
    session.stop.set_deadline(None);
    let result = result.and_then(|()| {
        let committing = session.warehouse.faults.at_statement("COMMIT", session.stop);
        committing.map_err(|error| (statements.len() - 1, error))
    });
    let ended = match &result {
        Ok(()) => {
            // Past this line a cancel comes too late.
            writer.execute_batch("COMMIT").map_err(|error| (statements.len() - 1, error.into()))
        }
        // A failed statement may have ended the transaction already.
        Err(_) if writer.is_autocommit() => Ok(()),
        Err(_) => roll_back(&writer),
    };
    let log = std::mem::take(&mut session.load_log);
    if let Err(error) = write_log(&mut writer, &log) {
        tracing::warn!(%error, "cannot write the load log");
    }
    result.and(ended)
}

/// The interrupt that stopped a statement must not stop its undoing: a ROLLBACK runs no steps that look.
fn roll_back(writer: &rusqlite::Connection) -> Result<(), (usize, SqlError)> {
    writer.execute_batch("ROLLBACK").map_err(|error| (0, error.into()))
}

fn in_transaction(
    session: &mut Session<'_>,
    db: &rusqlite::Connection,
    texts: &[String],
    parsed: Vec<SqlResult<Statement>>,
    tell: &mut dyn FnMut(Progress),
) -> Result<(), (usize, SqlError)> {
    session.begin(now_micros());
    for (index, (statement, text)) in parsed.into_iter().zip(texts).enumerate() {
        let query_id = session.warehouse.next_query_id();
        tell(Progress::Started { index, query_id });
        let result = statement.and_then(|statement| session.execute(db, text, &statement, query_id));
        let failure = result.as_ref().err().cloned();
        tell(Progress::Ended { index, result });
        if let Some(error) = failure {
            return Err((index, error));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
