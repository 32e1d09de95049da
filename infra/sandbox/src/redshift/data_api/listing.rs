//! `ListStatements`: newest first, by name prefix and status.

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{ApiError, ApiResult};
use super::execute::seconds;
use super::statements::{Registry, StatementRecord};

const MAX_PAGE: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListStatementsRequest {
    statement_name: Option<String>,
    status: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
    database: Option<String>,
    workgroup_name: Option<String>,
    cluster_identifier: Option<String>,
}

pub(super) fn list_statements(registry: &Registry, request: &ListStatementsRequest) -> ApiResult<Value> {
    // Only what finished well, unless asked otherwise.
    let wanted = request.status.as_deref().unwrap_or("FINISHED");
    if !["ALL", "SUBMITTED", "PICKED", "STARTED", "FINISHED", "FAILED", "ABORTED"].contains(&wanted) {
        return Err(ApiError::validation(format!("Status '{wanted}' is not a statement status or ALL.")));
    }
    let page = request.max_results.filter(|size| *size > 0).unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let prefix = request.statement_name.as_deref().unwrap_or("");
    let matches = |record: &StatementRecord| {
        let submitted = &record.submitted;
        let target = &submitted.target;
        let named = prefix.is_empty() || submitted.name.as_deref().is_some_and(|name| name.starts_with(prefix));
        let same = |asked: &Option<String>, held: &Option<String>| asked.is_none() || asked == held;
        named
            && (wanted == "ALL" || record.life().status.name() == wanted)
            && same(&request.database, &target.database)
            && same(&request.workgroup_name, &target.workgroup_name)
            && same(&request.cluster_identifier, &target.cluster_identifier)
    };
    let mut found = registry.newest_first();
    if let Some(token) = &request.next_token {
        let position = found.iter().position(|record| record.id == *token);
        let position = position.ok_or_else(|| ApiError::validation("NextToken is not valid."))?;
        found.drain(..=position);
    }
    found.retain(|record| matches(record));
    let more = found.len() > page;
    found.truncate(page);
    let mut answer = json!({ "Statements": found.iter().map(|record| listed(record)).collect::<Vec<_>>() });
    if let (true, Some(last)) = (more, found.last()) {
        answer["NextToken"] = Value::from(last.id.as_str());
    }
    Ok(answer)
}

fn listed(record: &StatementRecord) -> Value {
    let submitted = &record.submitted;
    let life = record.life();
    let mut entry = json!({
        "Id": record.id,
        "Status": life.status.name(),
        "CreatedAt": seconds(record.created_at),
        "UpdatedAt": seconds(life.updated_at),
        "IsBatchStatement": submitted.batch,
        "QueryString": submitted.statements[0],
        "ResultFormat": "JSON",
    });
    if let Some(name) = &submitted.name {
        entry["StatementName"] = Value::from(name.as_str());
    }
    if let Some(secret) = &submitted.target.secret_arn {
        entry["SecretArn"] = Value::from(secret.as_str());
    }
    if submitted.batch {
        entry["QueryStrings"] = json!(submitted.statements);
    }
    entry
}
