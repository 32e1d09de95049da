//! What requests carry, and AWS's rules for it (service model `redshift-data` 2019-12-20).

use serde::Deserialize;

use super::error::{ApiError, ApiResult};

const MAX_STATEMENTS: usize = 40;
/// Longest statement text (Management Guide: `data-api`).
const MAX_STATEMENT_BYTES: usize = 100 * 1024;
const MAX_NAME: usize = 2_048;

/// `ExecuteStatement` and `BatchExecuteStatement`: only the text differs.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ExecuteRequest {
    pub(super) sql: Option<String>,
    pub(super) sqls: Option<Vec<String>>,
    #[serde(flatten)]
    pub(super) target: Target,
    pub(super) client_token: Option<String>,
    pub(super) statement_name: Option<String>,
    pub(super) parameters: Option<Vec<Parameter>>,
    pub(super) result_format: Option<String>,
    pub(super) session_id: Option<String>,
    pub(super) session_keep_alive_seconds: Option<u64>,
    pub(super) with_event: Option<bool>,
    pub(super) wait_time_seconds: Option<u64>,
    pub(super) execution_mode: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) value: String,
}

/// Which warehouse, and as whom. The sandbox has one of each; the names are echoed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Target {
    pub(super) database: Option<String>,
    pub(super) workgroup_name: Option<String>,
    pub(super) cluster_identifier: Option<String>,
    pub(super) db_user: Option<String>,
    pub(super) secret_arn: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StatementRequest {
    pub(super) id: String,
    pub(super) next_token: Option<String>,
    pub(super) wait_time_seconds: Option<u64>,
}

impl Target {
    pub(super) fn check(&self) -> ApiResult<&str> {
        match (&self.workgroup_name, &self.cluster_identifier) {
            (Some(_), Some(_)) => {
                return Err(ApiError::validation("Only one of WorkgroupName and ClusterIdentifier can be given."));
            }
            (None, None) => {
                return Err(ApiError::validation("Either WorkgroupName or ClusterIdentifier must be given."));
            }
            (Some(_), None) if self.db_user.is_some() => {
                return Err(ApiError::validation("DbUser cannot be used with WorkgroupName."));
            }
            _ => {}
        }
        match self.database.as_deref() {
            Some(database) if !database.is_empty() => Ok(database),
            _ => Err(ApiError::validation("Database must be given.")),
        }
    }

    pub(super) fn user(&self) -> String {
        self.db_user.clone().unwrap_or_else(|| "IAMR:sandbox".to_owned())
    }
}

impl ExecuteRequest {
    pub(super) fn statements(&self) -> ApiResult<Vec<String>> {
        let statements = match (&self.sql, &self.sqls) {
            (Some(sql), None) => vec![sql.clone()],
            (None, Some(sqls)) => sqls.clone(),
            _ => return Err(ApiError::validation("SQL statements are missing.")),
        };
        if statements.is_empty() || statements.len() > MAX_STATEMENTS {
            return Err(ApiError::validation(format!(
                "1 validation error detected: Value at 'sqls' failed to satisfy constraint: Member must have length \
                 between 1 and {MAX_STATEMENTS}"
            )));
        }
        for (i, statement) in statements.iter().enumerate() {
            if statement.trim().is_empty() {
                return Err(ApiError::validation(format!("SQL statement {} is empty.", i + 1)));
            }
            if statement.len() > MAX_STATEMENT_BYTES {
                return Err(ApiError::validation(format!(
                    "SQL statement {} is longer than {MAX_STATEMENT_BYTES} bytes.",
                    i + 1
                )));
            }
        }
        Ok(statements)
    }

    pub(super) fn check(&self, batch: bool) -> ApiResult<()> {
        self.target.check()?;
        check_wait(self.wait_time_seconds)?;
        if self.statement_name.as_ref().is_some_and(|name| name.len() > MAX_NAME) {
            return Err(ApiError::validation(format!("StatementName is longer than {MAX_NAME} characters.")));
        }
        if self.client_token.as_ref().is_some_and(|token| !(1..=64).contains(&token.chars().count())) {
            return Err(ApiError::validation("ClientToken must have 1 to 64 characters."));
        }
        if self.session_id.is_some() || self.session_keep_alive_seconds.is_some_and(|seconds| seconds > 0) {
            return Err(ApiError::unsupported("sessions", "put the statements into one BatchExecuteStatement"));
        }
        if self.with_event == Some(true) {
            return Err(ApiError::unsupported("WithEvent", "poll with DescribeStatement"));
        }
        if self.result_format.as_ref().is_some_and(|format| format != "JSON") {
            return Err(ApiError::unsupported("ResultFormat CSV", "use JSON"));
        }
        match (batch, self.execution_mode.as_deref()) {
            (_, None) | (true, Some("TRANSACTION" | "AUTO_COMMIT")) => Ok(()),
            (true, Some(mode)) => {
                Err(ApiError::validation(format!("ExecutionMode '{mode}' is not TRANSACTION or AUTO_COMMIT.")))
            }
            (false, Some(_)) => Err(ApiError::validation("ExecutionMode is for BatchExecuteStatement only.")),
        }
    }
}

pub(super) fn check_wait(seconds: Option<u64>) -> ApiResult<()> {
    match seconds {
        None | Some(1..=30) => Ok(()),
        Some(_) => Err(ApiError::validation("WaitTimeSeconds must be between 1 and 30.")),
    }
}
