//! The warehouse through the Redshift Data API: submit, wait, read rows.
//!
//! Knows nothing of loads: no SQL is written here and nothing is retried, except looking at a statement
//! that runs. A running statement is never abandoned because one look at it failed.

mod error;
mod quote;
#[cfg(any(test, feature = "test-support"))]
pub mod scripted;

pub use error::{Failure, WarehouseError};
pub use quote::{identifier, literal};

use crate::aws_error::AwsError;
use crate::settings::{LoaderSettings, Warehouse as Target};
use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::operation::batch_execute_statement::BatchExecuteStatementOutput;
use aws_sdk_redshiftdata::operation::describe_statement::DescribeStatementOutput;
use aws_sdk_redshiftdata::types::{ExecutionMode, Field, StatementStatusString, StatusString};
use std::time::Duration;

/// Longest statement text the Data API takes is 100 KB (Redshift management guide, data-api: quotas).
pub const STATEMENT_MAX_BYTES: usize = 100_000;

/// Most statements of one batch (Data API, `BatchExecuteStatement`: `Sqls`).
pub const BATCH_MAX_ENTRIES: usize = 40;

/// Seconds one call waits for a statement to end; the Data API takes up to 30 (`WaitTimeSeconds`).
const SUBMIT_WAIT: i32 = 5;
const DESCRIBE_WAIT: i32 = 20;

/// Looks at a running statement are at least this far apart, also where the long poll returns early.
const LOOK_PAUSE: Duration = Duration::from_millis(250);

/// Pauses between looks at a running statement that could not be seen, in milliseconds.
const LOOK_AGAIN_MILLIS: [u64; 6] = [250, 1_000, 2_000, 5_000, 10_000, 30_000];

/// Pause before asking again whether a statement of unknown outcome still runs.
const UNANSWERED_PAUSE: Duration = Duration::from_secs(5);

/// One database of a workgroup or cluster.
#[derive(Clone, Debug)]
pub struct Warehouse {
    client: Client,
    target: Target,
    database: String,
}

/// One row of a result; NULL is `None`, numbers and booleans are their text.
pub type Row = Vec<Option<String>>;

/// One of several statements, each of which was a transaction of its own.
#[derive(Clone, Debug)]
pub struct Ended {
    id: String,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

impl Warehouse {
    /// The warehouse of these settings.
    pub fn new(client: Client, settings: &LoaderSettings) -> Self {
        Self { client, target: settings.warehouse.clone(), database: settings.database.clone() }
    }

    /// Runs one statement in a transaction of its own.
    pub async fn execute(&self, name: &str, sql: &str) -> Result<(), WarehouseError> {
        self.run_one(name, sql).await.map(drop)
    }

    /// Runs one statement and reads its rows.
    pub async fn query(&self, name: &str, sql: &str) -> Result<Vec<Row>, WarehouseError> {
        let id = self.run_one(name, sql).await?;
        self.rows(&id).await
    }

    /// Runs all statements, in order, as one transaction.
    pub async fn batch(&self, name: &str, sqls: Vec<String>) -> Result<(), WarehouseError> {
        self.run_all(name, sqls, None).await
    }

    /// Runs all statements, in order, in one session, each in a transaction of its own. What failed failed alone.
    pub async fn each(&self, name: &str, sqls: Vec<String>) -> Result<(), WarehouseError> {
        self.run_all(name, sqls, Some(ExecutionMode::AutoCommit)).await
    }

    /// Like [`Self::each`], and tells what became of each statement.
    pub async fn each_told(&self, name: &str, sqls: Vec<String>) -> Result<Vec<Ended>, WarehouseError> {
        let sent = self.send_batch(name, sqls, Some(ExecutionMode::AutoCommit)).await?;
        let ended = self.wait_until_final(&sent.id.unwrap_or_default()).await;
        let ended = ended.map_err(|cause| WarehouseError::Unanswered { name: name.to_owned(), cause })?;
        let told = ended.sub_statements.unwrap_or_default().into_iter().zip(1..).map(|(statement, entry)| {
            let is_finished = statement.status == Some(StatementStatusString::Finished);
            let text = statement.error.as_deref().unwrap_or("the statement ended without a reason");
            let failure = (!is_finished).then(|| Failure::new(&statement.id, Some(entry), text));
            Ended { id: statement.id, failure }
        });
        Ok(told.collect())
    }

    /// The rows that one of several statements gave.
    pub async fn rows_of(&self, ended: &Ended) -> Result<Vec<Row>, WarehouseError> {
        self.rows(&ended.id).await
    }

    async fn run_all(&self, name: &str, sqls: Vec<String>, mode: Option<ExecutionMode>) -> Result<(), WarehouseError> {
        let is_transaction = mode.is_none();
        let sent = self.send_batch(name, sqls, mode).await?;
        // Statements that failed alone are only told of by a description.
        let status = sent.status.filter(|_| is_transaction);
        self.finish(name, sent.id.unwrap_or_default(), status).await.map(drop)
    }

    async fn send_batch(
        &self,
        name: &str,
        sqls: Vec<String>,
        mode: Option<ExecutionMode>,
    ) -> Result<BatchExecuteStatementOutput, WarehouseError> {
        check_size(&sqls)?;
        let call = self.client.batch_execute_statement().database(&self.database).statement_name(name);
        let call = match &self.target {
            Target::Workgroup { name, secret_arn } => call.workgroup_name(name).set_secret_arn(secret_arn.clone()),
            Target::Cluster { name, db_user, secret_arn } => {
                call.cluster_identifier(name).set_db_user(db_user.clone()).set_secret_arn(secret_arn.clone())
            }
        };
        let sent = call.set_sqls(Some(sqls)).set_execution_mode(mode).wait_time_seconds(SUBMIT_WAIT).send().await;
        sent.map_err(|e| not_submitted(name, AwsError::new("BatchExecuteStatement", name, e)))
    }

    /// Waits until no statement of this name runs any more, at most for `limit`, and only while that can be asked;
    /// its outcome is for the ledger to tell.
    pub async fn wait_for_named(&self, name: &str, limit: Duration) {
        let ended = async {
            while let Err(error) = self.look_for_named(name).await {
                if !error.is_transient() {
                    tracing::warn!(name, %error, "cannot ask whether a statement still runs; going on without an answer");
                    return;
                }
                tracing::debug!(name, %error, "could not ask whether a statement still runs");
                tokio::time::sleep(UNANSWERED_PAUSE).await;
            }
        };
        if tokio::time::timeout(limit, ended).await.is_err() {
            tracing::warn!(name, "a statement may still run after its time limit; going on without an answer");
        }
    }

    async fn look_for_named(&self, name: &str) -> Result<(), AwsError> {
        let list = self.client.list_statements().statement_name(name).status(StatusString::All).role_level(true);
        let listed = list.send().await.map_err(|e| AwsError::new("ListStatements", name, e))?;
        for statement in listed.statements {
            let ended =
                matches!(statement.status, Some(StatusString::Finished | StatusString::Failed | StatusString::Aborted));
            if !ended {
                self.wait_until_final(&statement.id).await?;
            }
        }
        Ok(())
    }

    async fn run_one(&self, name: &str, sql: &str) -> Result<String, WarehouseError> {
        check_size(&[sql])?;
        let call = self.client.execute_statement().database(&self.database).statement_name(name);
        let call = match &self.target {
            Target::Workgroup { name, secret_arn } => call.workgroup_name(name).set_secret_arn(secret_arn.clone()),
            Target::Cluster { name, db_user, secret_arn } => {
                call.cluster_identifier(name).set_db_user(db_user.clone()).set_secret_arn(secret_arn.clone())
            }
        };
        let sent = call.sql(sql).wait_time_seconds(SUBMIT_WAIT).send().await;
        let sent = sent.map_err(|e| not_submitted(name, AwsError::new("ExecuteStatement", name, e)))?;
        self.finish(name, sent.id.unwrap_or_default(), sent.status).await
    }

    async fn finish(
        &self,
        name: &str,
        id: String,
        status: Option<StatementStatusString>,
    ) -> Result<String, WarehouseError> {
        if status == Some(StatementStatusString::Finished) {
            return Ok(id);
        }
        let ended = self.wait_until_final(&id).await;
        let ended = ended.map_err(|cause| WarehouseError::Unanswered { name: name.to_owned(), cause })?;
        let failed = ended.sub_statements().iter().position(|s| s.status == Some(StatementStatusString::Failed));
        if ended.status == Some(StatusString::Finished) && failed.is_none() {
            return Ok(id);
        }
        let text = ended.error().unwrap_or(match ended.status {
            Some(StatusString::Aborted) => "the statement was cancelled on user's request",
            _ => "the statement failed without a reason",
        });
        // The sub-statement's own text is there even where the parent's is cut.
        let text = failed.and_then(|at| ended.sub_statements()[at].error()).unwrap_or(text);
        Err(WarehouseError::Failed(Failure::new(&id, failed.map(|at| at + 1), text)))
    }

    async fn wait_until_final(&self, id: &str) -> Result<DescribeStatementOutput, AwsError> {
        let mut failures = 0;
        let mut wait = DESCRIBE_WAIT;
        loop {
            let earliest = tokio::time::Instant::now() + LOOK_PAUSE;
            match self.client.describe_statement().id(id).wait_time_seconds(wait).send().await {
                Ok(seen) => {
                    let last = (StatusString::Finished, StatusString::Failed, StatusString::Aborted);
                    if seen.status.as_ref().is_some_and(|s| *s == last.0 || *s == last.1 || *s == last.2) {
                        return Ok(seen);
                    }
                    failures = 0;
                    tokio::time::sleep_until(earliest).await;
                }
                Err(error) => {
                    let error = AwsError::new("DescribeStatement", id, error);
                    if !error.is_transient() {
                        return Err(error);
                    }
                    // Only so many may wait on statements at once (ActiveWaitingRequestsExceededException).
                    if error.code.as_deref().is_some_and(|code| code.starts_with("ActiveWaiting")) {
                        wait = 1;
                    }
                    tracing::debug!(%error, "could not look at a running statement");
                    let pause = LOOK_AGAIN_MILLIS[failures.min(LOOK_AGAIN_MILLIS.len() - 1)];
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    failures += 1;
                }
            }
        }
    }

    async fn rows(&self, id: &str) -> Result<Vec<Row>, WarehouseError> {
        let mut rows = Vec::new();
        let mut next = None;
        loop {
            let page = self.client.get_statement_result().id(id).set_next_token(next).send().await;
            let page = page.map_err(|e| WarehouseError::Refused(AwsError::new("GetStatementResult", id, e)))?;
            rows.extend(page.records.into_iter().map(|row| row.into_iter().map(text).collect::<Row>()));
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(rows);
            }
        }
    }
}

/// A text field that must be there.
pub fn required(row: &Row, at: usize) -> Result<&str, WarehouseError> {
    row.get(at)
        .and_then(Option::as_deref)
        .ok_or_else(|| WarehouseError::Unexpected { found: format!("{row:?}"), expected: "a row without NULL" })
}

/// A number that must be there.
pub fn number<N: std::str::FromStr>(row: &Row, at: usize) -> Result<N, WarehouseError> {
    let text = required(row, at)?;
    text.parse().map_err(|_| WarehouseError::Unexpected { found: text.to_owned(), expected: "a number" })
}

fn text(field: Field) -> Option<String> {
    match field {
        Field::StringValue(text) => Some(text),
        Field::LongValue(number) => Some(number.to_string()),
        Field::DoubleValue(number) => Some(number.to_string()),
        Field::BooleanValue(is) => Some(is.to_string()),
        _ => None,
    }
}

/// A refusal (4xx) runs nothing; anything else may. So may a throttled call: its answer is the last of several
/// tries, of which the first may have been taken and its reply lost.
fn not_submitted(name: &str, error: AwsError) -> WarehouseError {
    if error.status.is_some_and(|status| (400..500).contains(&status)) && !error.is_transient() {
        WarehouseError::Refused(error)
    } else {
        WarehouseError::Unanswered { name: name.to_owned(), cause: error }
    }
}

fn check_size<S: AsRef<str>>(sqls: &[S]) -> Result<(), WarehouseError> {
    let bytes = sqls.iter().map(|sql| sql.as_ref().len()).max().unwrap_or(0);
    if sqls.len() > BATCH_MAX_ENTRIES || bytes > STATEMENT_MAX_BYTES {
        return Err(WarehouseError::TooLarge { entries: sqls.len(), bytes });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
