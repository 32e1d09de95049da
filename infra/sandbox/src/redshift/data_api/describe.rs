//! `DescribeStatement`, with its long poll.

use serde_json::{Value, json};

use super::error::ApiResult;
use super::execute::seconds;
use super::request::{StatementRequest, check_wait};
use super::statements::{Entry, Life, Registry, StatementRecord};

pub(super) async fn describe(registry: &Registry, request: StatementRequest) -> ApiResult<Value> {
    check_wait(request.wait_time_seconds)?;
    let (record, entry) = registry.find(&request.id)?;
    if let Some(seconds) = request.wait_time_seconds {
        record.wait(seconds).await;
    }
    let life = record.life();
    Ok(match entry {
        Some(index) => described_entry(&record, &life.entries[index], index),
        None => described(&record, &life),
    })
}

fn described(record: &StatementRecord, life: &Life) -> Value {
    let submitted = &record.submitted;
    let target = &submitted.target;
    let ran = life.entries.iter().filter(|entry| entry.rows >= 0);
    let rows: i64 = ran.clone().map(|entry| entry.rows).sum();
    let started = life.entries.iter().filter_map(|entry| entry.started_at).min();
    let mut answer = json!({
        "Id": record.id,
        "Status": life.status.name(),
        "CreatedAt": seconds(record.created_at),
        "UpdatedAt": seconds(life.updated_at),
        "Database": target.database,
        "Duration": started.map_or(-1, |started| (life.updated_at - started).max(0) * 1_000),
        "HasResultSet": life.entries.iter().any(|entry| entry.result.is_some()),
        "RedshiftPid": submitted.process_id,
        // A batch has no query of its own (Management Guide: data-api-calling, describe-statement).
        "RedshiftQueryId": if submitted.batch { 0 } else { life.entries[0].query_id },
        "ResultRows": if ran.count() == 0 { -1 } else { rows },
        "ResultSize": life.entries.iter().map(result_size).sum::<i64>(),
        "ResultFormat": "JSON",
    });
    let optional = [
        ("WorkgroupName", target.workgroup_name.clone()),
        ("ClusterIdentifier", target.cluster_identifier.clone()),
        ("DbUser", target.db_user.clone()),
        ("SecretArn", target.secret_arn.clone()),
        ("Error", life.error.clone()),
        ("ExecutionMode", submitted.execution_mode.clone()),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            answer[name] = Value::from(value);
        }
    }
    if !submitted.parameters.is_empty() {
        let parameters = submitted.parameters.iter().map(|p| json!({ "name": p.name, "value": p.value }));
        answer["QueryParameters"] = Value::from(parameters.collect::<Vec<_>>());
    }
    if submitted.batch {
        let entries = life.entries.iter().enumerate().map(|(i, entry)| described_entry(record, entry, i));
        answer["SubStatements"] = Value::from(entries.collect::<Vec<_>>());
    } else {
        answer["QueryString"] = Value::from(submitted.statements[0].as_str());
    }
    answer
}

fn described_entry(record: &StatementRecord, entry: &Entry, index: usize) -> Value {
    let mut answer = json!({
        "Id": format!("{}:{}", record.id, index + 1),
        "Status": entry.status.name(),
        "CreatedAt": seconds(record.created_at),
        "UpdatedAt": seconds(entry.updated_at),
        "Duration": entry.duration_nanos(),
        "HasResultSet": entry.result.is_some(),
        "QueryString": record.submitted.statements[index],
        "RedshiftQueryId": -1,
        "ResultRows": entry.rows,
        "ResultSize": result_size(entry),
    });
    if let Some(error) = &entry.error {
        answer["Error"] = Value::from(error.as_str());
    }
    answer
}

fn result_size(entry: &Entry) -> i64 {
    entry.result.as_ref().map_or(0, |result| result.bytes as i64)
}
