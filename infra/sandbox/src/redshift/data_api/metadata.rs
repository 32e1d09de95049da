//! `ListTables`, `ListSchemas`, `ListDatabases`, `DescribeTable`: the catalog without SQL.

use std::sync::Arc;

use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{ApiError, ApiResult};
use super::request::Target;
use super::results::described_column;
use crate::redshift::catalog;
use crate::redshift::error::SqlResult;
use crate::redshift::warehouse::{Stop, Warehouse};

const MAX_PAGE: usize = 1_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MetadataRequest {
    #[serde(flatten)]
    target: Target,
    schema_pattern: Option<String>,
    table_pattern: Option<String>,
    schema: Option<String>,
    table: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

/// Reads on a thread that may block.
async fn read<T: Send + 'static>(
    warehouse: &Arc<Warehouse>,
    body: impl FnOnce(&Connection) -> SqlResult<T> + Send + 'static,
) -> ApiResult<T> {
    let warehouse = Arc::clone(warehouse);
    let work = move || {
        let stop = Stop::new();
        let reader = warehouse.reader(&stop)?;
        body(&reader)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(ApiError::validation(error.to_string())),
        Err(error) => Err(ApiError::internal(error.to_string())),
    }
}

/// One page of a list that fits memory many times over; the token is the next position.
fn page(request: &MetadataRequest, name: &str, items: Vec<Value>) -> ApiResult<Value> {
    let start = match &request.next_token {
        None => 0,
        Some(token) => token
            .parse::<usize>()
            .ok()
            .filter(|start| *start < items.len())
            .ok_or_else(|| ApiError::validation("NextToken is not valid."))?,
    };
    let size = request.max_results.filter(|size| *size > 0).unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let total = items.len();
    let end = (start + size).min(total);
    let mut answer = json!({ name: items.into_iter().skip(start).take(size).collect::<Vec<_>>() });
    if end < total {
        answer["NextToken"] = Value::from(end.to_string());
    }
    Ok(answer)
}

pub(super) async fn list_tables(warehouse: &Arc<Warehouse>, request: MetadataRequest) -> ApiResult<Value> {
    request.target.check()?;
    let schema = request.schema_pattern.clone().unwrap_or_else(|| "%".to_owned());
    let table = request.table_pattern.clone().unwrap_or_else(|| "%".to_owned());
    let tables = read(warehouse, move |db| {
        let mut statement = db.prepare_cached(
            "SELECT schema, name, view_query IS NOT NULL FROM _relations \
             WHERE rs_like(schema, ?1, '\\') AND rs_like(name, ?2, '\\') ORDER BY schema, name",
        )?;
        let rows = statement.query_map([schema, table], |row| {
            let kind = if row.get(2)? { "VIEW" } else { "TABLE" };
            Ok(json!({ "schema": row.get::<_, String>(0)?, "name": row.get::<_, String>(1)?, "type": kind }))
        })?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    });
    page(&request, "Tables", tables.await?)
}

pub(super) async fn list_schemas(warehouse: &Arc<Warehouse>, request: MetadataRequest) -> ApiResult<Value> {
    request.target.check()?;
    let pattern = request.schema_pattern.clone().unwrap_or_else(|| "%".to_owned());
    let schemas = read(warehouse, move |db| {
        let mut statement =
            db.prepare_cached("SELECT name FROM _schemas WHERE rs_like(name, ?1, '\\') ORDER BY name")?;
        let rows = statement.query_map([pattern], |row| row.get::<_, String>(0).map(Value::from))?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    });
    page(&request, "Schemas", schemas.await?)
}

/// The sandbox is one database, whatever it is called.
pub(super) fn list_databases(request: &MetadataRequest) -> ApiResult<Value> {
    let database = request.target.check()?;
    page(request, "Databases", vec![Value::from(database)])
}

pub(super) async fn describe_table(warehouse: &Arc<Warehouse>, request: MetadataRequest) -> ApiResult<Value> {
    request.target.check()?;
    let Some(table) = request.table.clone() else { return Err(ApiError::validation("Table must be given.")) };
    let schema = request.schema.clone().unwrap_or_else(|| catalog::DEFAULT_SCHEMA.to_owned());
    let name = table.clone();
    let found = read(warehouse, move |db| catalog::find(db, &schema, &name)).await?;
    let columns = found.map_or(Vec::new(), |relation| {
        let described = relation.columns.iter().map(|column| {
            described_column(
                &column.name,
                column.ty,
                &relation.schema,
                &relation.name,
                !column.not_null,
                column.default.as_deref(),
            )
        });
        described.collect()
    });
    let mut answer = page(&request, "ColumnList", columns)?;
    answer["TableName"] = Value::from(table);
    Ok(answer)
}
