//! `ExecuteStatement`, `BatchExecuteStatement`, `CancelStatement`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::DataApi;
use super::error::{ApiError, ApiResult};
use super::parameters::substitute;
use super::request::{ExecuteRequest, StatementRequest};
use super::statements::{Registry, StatementRecord, Submission, Submitted};
use crate::redshift::error::SqlError;
use crate::redshift::run::{self, Grouping, Progress, SessionOptions};
use crate::redshift::warehouse::Warehouse;

/// Room for deeply nested statements: planning and the embedded database both recurse.
const STACK_BYTES: usize = 64 * 1024 * 1024;

pub(super) async fn execute(api: &DataApi, request: ExecuteRequest) -> ApiResult<Value> {
    if request.sqls.is_some() {
        return Err(ApiError::validation("Sqls is for BatchExecuteStatement."));
    }
    submit(api, request, false).await
}

pub(super) async fn batch_execute(api: &DataApi, request: ExecuteRequest) -> ApiResult<Value> {
    if request.sql.is_some() {
        return Err(ApiError::validation("Sql is for ExecuteStatement."));
    }
    submit(api, request, true).await
}

async fn submit(api: &DataApi, request: ExecuteRequest, batch: bool) -> ApiResult<Value> {
    let originals = request.statements()?;
    request.check(batch)?;
    let parameters = request.parameters.clone().unwrap_or_default();
    let runnable = substitute(originals.clone(), &parameters)?;
    let fingerprint = format!(
        "{batch} {originals:?} {:?} {:?} {parameters:?} {:?}",
        request.target, request.statement_name, request.execution_mode
    );
    let submitted = Submitted {
        name: request.statement_name.clone(),
        statements: originals,
        batch,
        execution_mode: batch.then(|| request.execution_mode.clone().unwrap_or_else(|| "TRANSACTION".to_owned())),
        target: request.target.clone(),
        parameters,
        process_id: api.registry.next_process_id(),
    };
    let record = match api.registry.submit(submitted, request.client_token.as_deref(), fingerprint)? {
        Submission::New(record) => {
            start(Arc::clone(&api.warehouse), Arc::clone(&record), runnable)?;
            record
        }
        Submission::Known(record) => record,
    };
    if let Some(seconds) = request.wait_time_seconds {
        record.wait(seconds).await;
    }
    Ok(answer(&record, request.wait_time_seconds.is_some()))
}

fn start(warehouse: Arc<Warehouse>, record: Arc<StatementRecord>, statements: Vec<String>) -> ApiResult<()> {
    let grouping = match record.submitted.execution_mode.as_deref() {
        Some("TRANSACTION") => Grouping::Together,
        _ => Grouping::EachAlone,
    };
    let options = SessionOptions {
        database: record.submitted.target.database.clone().unwrap_or_default(),
        user: record.submitted.target.user(),
        process_id: record.submitted.process_id,
    };
    let thread = std::thread::Builder::new().name("redshift statement".to_owned()).stack_size(STACK_BYTES);
    let body = move || {
        let mut unfinished = Unfinished(Some(&record));
        record.picked();
        let mut tell = |progress| match progress {
            Progress::Started { index, query_id } => record.started(index, query_id),
            Progress::Ended { index, result } => record.entry_ended(index, result),
        };
        let result = run::run(&warehouse, options, &statements, grouping, &record.stop, &mut tell);
        unfinished.0 = None;
        record.ended(result);
    };
    thread
        .spawn(body)
        .map(drop)
        .map_err(|error| ApiError::internal(format!("cannot start a thread for the statement: {error}")))
}

/// A statement whose thread dies must not look as if it ran for ever.
struct Unfinished<'r>(Option<&'r StatementRecord>);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(record) = self.0 {
            record.ended(Err((0, SqlError::new("the sandbox failed while it ran the statement; see its log"))));
        }
    }
}

fn answer(record: &StatementRecord, waited: bool) -> Value {
    let target = &record.submitted.target;
    let mut answer = json!({
        "Id": record.id,
        "CreatedAt": seconds(record.created_at),
        "Database": target.database,
    });
    for (name, value) in [
        ("WorkgroupName", &target.workgroup_name),
        ("ClusterIdentifier", &target.cluster_identifier),
        ("DbUser", &target.db_user),
        ("SecretArn", &target.secret_arn),
    ] {
        if let Some(value) = value {
            answer[name] = Value::from(value.as_str());
        }
    }
    if waited {
        let life = record.life();
        answer["Status"] = Value::from(life.status.name());
        answer["HasResultSet"] = Value::from(life.entries.iter().any(|entry| entry.result.is_some()));
        answer["RedshiftPid"] = Value::from(record.submitted.process_id);
    }
    answer
}

/// AWS JSON timestamps are seconds since 1970 with a fraction.
pub(super) fn seconds(micros: i64) -> f64 {
    (micros / 1_000) as f64 / 1_000.0
}

pub(super) fn cancel(api: &DataApi, request: &StatementRequest) -> ApiResult<Value> {
    let registry: &Registry = &api.registry;
    let (record, entry) = registry.find(&request.id)?;
    if entry.is_some() {
        return Err(ApiError::validation("A statement of a batch cannot be cancelled by itself; cancel the batch."));
    }
    let status = record.life().status;
    if status.is_final() {
        return Err(ApiError::validation(format!(
            "Could not cancel a query that is already in {} state with ID: {}",
            status.name(),
            record.id
        )));
    }
    record.stop.cancel();
    api.warehouse.wake();
    Ok(json!({ "Status": true }))
}
