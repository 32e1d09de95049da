//! The Redshift Data API: AWS JSON 1.1, one handler per operation. Statements run on threads of their own; a request
//! answers at once, or after the seconds it asked to wait.

mod describe;
mod error;
mod execute;
mod listing;
mod metadata;
mod parameters;
mod request;
mod results;
mod statements;

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Full};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::warehouse::Warehouse;
use error::{ApiError, ApiResult};
use statements::Registry;

/// Statements run at most for a day (Management Guide: `data-api`).
const LONGEST_WAIT_SECS: u64 = 24 * 3_600;

pub(crate) struct DataApi {
    warehouse: Arc<Warehouse>,
    registry: Arc<Registry>,
}

impl DataApi {
    pub(crate) fn new(warehouse: Arc<Warehouse>) -> DataApi {
        DataApi { warehouse, registry: Arc::new(Registry::default()) }
    }

    pub(crate) async fn handle(&self, operation: &str, body: &[u8]) -> Response<Full<Bytes>> {
        match self.answer(operation, body).await {
            Ok(value) => error::respond(200, None, &value),
            Err(error) => error.into_response(),
        }
    }

    /// Waits for the end of the statement that an answer tells of, if it does.
    pub(crate) async fn wait_until_ended(&self, answer: &Response<Full<Bytes>>) {
        let Ok(body) = answer.body().clone().collect().await;
        let told: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
        if let Some(id) = told["Id"].as_str()
            && let Ok((record, _)) = self.registry.find(id)
        {
            record.wait(LONGEST_WAIT_SECS).await;
        }
    }

    async fn answer(&self, operation: &str, body: &[u8]) -> ApiResult<Value> {
        match operation {
            "ExecuteStatement" => execute::execute(self, read(body)?).await,
            "BatchExecuteStatement" => execute::batch_execute(self, read(body)?).await,
            "DescribeStatement" => describe::describe(&self.registry, read(body)?).await,
            "GetStatementResult" => results::get_result(&self.registry, &read(body)?),
            "CancelStatement" => execute::cancel(self, &read(body)?),
            "ListStatements" => listing::list_statements(&self.registry, &read(body)?),
            "ListTables" => metadata::list_tables(&self.warehouse, read(body)?).await,
            "ListSchemas" => metadata::list_schemas(&self.warehouse, read(body)?).await,
            "ListDatabases" => metadata::list_databases(&read(body)?),
            "DescribeTable" => metadata::describe_table(&self.warehouse, read(body)?).await,
            other => Err(ApiError::unknown_operation(other)),
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> ApiResult<T> {
    // An empty body stands for an empty object.
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| ApiError::serialization(&error))
}

#[cfg(test)]
mod tests;
