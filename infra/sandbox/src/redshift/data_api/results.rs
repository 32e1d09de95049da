//! `GetStatementResult`: pages of typed fields.

use serde_json::{Value, json};

use super::error::{ApiError, ApiResult};
use super::request::StatementRequest;
use super::statements::{Registry, Status};
use crate::redshift::run::{ResultColumn, ResultValue};
use crate::redshift::sql_type::SqlType;

const PAGE_ROWS: usize = 1_000;

pub(super) fn get_result(registry: &Registry, request: &StatementRequest) -> ApiResult<Value> {
    let (record, entry) = registry.find(&request.id)?;
    let life = record.life();
    let no_result = || {
        ApiError::not_found(
            &request.id,
            "Query does not have result. Please check query status with DescribeStatement.",
        )
    };
    // A batch is asked for entry by entry.
    let index = match (entry, record.submitted.batch) {
        (Some(index), _) => index,
        (None, false) => 0,
        (None, true) => return Err(no_result()),
    };
    // Entries of a batch that failed later were rolled back with it.
    let kept = life.status == Status::Finished || record.submitted.execution_mode.as_deref() == Some("AUTO_COMMIT");
    let result = life.entries[index].result.as_ref().filter(|_| kept).ok_or_else(no_result)?;
    let offset = match &request.next_token {
        None => 0,
        Some(token) => {
            let offset = token.strip_prefix(&request.id).and_then(|rest| rest.strip_prefix('/')?.parse::<usize>().ok());
            offset
                .filter(|offset| *offset < result.rows.len())
                .ok_or_else(|| ApiError::validation("NextToken is not valid."))?
        }
    };
    let end = (offset + PAGE_ROWS).min(result.rows.len());
    let records: Vec<Value> =
        result.rows[offset..end].iter().map(|row| Value::from(row.iter().map(field).collect::<Vec<_>>())).collect();
    let mut answer = json!({
        "ColumnMetadata": result.columns.iter().map(column_metadata).collect::<Vec<_>>(),
        "Records": records,
        "TotalNumRows": result.rows.len(),
    });
    if end < result.rows.len() {
        answer["NextToken"] = Value::from(format!("{}/{end}", request.id));
    }
    Ok(answer)
}

fn field(value: &ResultValue) -> Value {
    match value {
        ResultValue::Null => json!({ "isNull": true }),
        ResultValue::Boolean(value) => json!({ "booleanValue": value }),
        ResultValue::Long(value) => json!({ "longValue": value }),
        ResultValue::Double(value) => json!({ "doubleValue": value }),
        ResultValue::Text(value) => json!({ "stringValue": value }),
    }
}

fn column_metadata(column: &ResultColumn) -> Value {
    described_column(&column.name, column.ty, "", "", true, None)
}

pub(super) fn described_column(
    name: &str,
    ty: SqlType,
    schema: &str,
    table: &str,
    nullable: bool,
    default: Option<&str>,
) -> Value {
    let (precision, scale) = match ty {
        SqlType::Decimal { precision, scale } => (i64::from(precision), i64::from(scale)),
        SqlType::SmallInt => (5, 0),
        SqlType::Integer => (10, 0),
        SqlType::BigInt => (19, 0),
        SqlType::Real => (8, 8),
        SqlType::Double => (17, 17),
        SqlType::Boolean => (1, 0),
        SqlType::Date => (13, 0),
        SqlType::Timestamp => (29, 6),
        SqlType::TimestampTz => (35, 6),
        SqlType::Char(length) | SqlType::Varchar(length) => (i64::from(length), 0),
        SqlType::Super | SqlType::Unknown => (0, 0),
    };
    json!({
        "name": name,
        "label": name,
        "typeName": ty.driver_name(),
        "nullable": i64::from(nullable),
        "precision": precision,
        "scale": scale,
        "length": ty.length(),
        "schemaName": schema,
        "tableName": table,
        "columnDefault": default,
        "isCaseSensitive": ty.is_text(),
        "isCurrency": false,
        "isSigned": ty.is_numeric(),
    })
}
