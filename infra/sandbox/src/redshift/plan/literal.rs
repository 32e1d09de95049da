//! Literals, and how values are written in the embedded database's SQL.

use sqlparser::ast::Value;

use super::Typed;
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::sql_type::SqlType;
use crate::redshift::values::decimal;

pub(crate) fn text_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A float with a point or exponent, so that it is never read back as an integer.
pub(super) fn float_literal(value: f64) -> String {
    format!("{value:?}")
}

pub(super) fn quoted(text: &str) -> SqlResult<Typed> {
    if text.contains('\0') {
        return Err(SqlError::new("invalid byte sequence for encoding \"UTF8\": 0x00"));
    }
    Ok(Typed { sql: text_literal(text), ty: SqlType::Unknown, literal: Some(text.to_owned()) })
}

pub(super) fn value(value: &Value) -> SqlResult<Typed> {
    match value {
        Value::Number(digits, _) => number(digits),
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) | Value::NationalStringLiteral(text) => {
            quoted(text)
        }
        Value::DollarQuotedString(text) => quoted(&text.value),
        Value::Boolean(value) => Ok(Typed::new(if *value { "1" } else { "0" }, SqlType::Boolean)),
        Value::Null => Ok(Typed::null()),
        Value::Placeholder(name) => Err(SqlError::new(format!("syntax error at or near \"{name}\""))),
        other => Err(SqlError::unsupported(format!("the literal {other}"), "use a plain quoted string")),
    }
}

/// The smallest type that holds it, as Redshift's parser chooses.
pub(super) fn number(digits: &str) -> SqlResult<Typed> {
    if digits.bytes().all(|b| b.is_ascii_digit())
        && let Ok(value) = digits.parse::<i64>()
    {
        let ty = if i32::try_from(value).is_ok() { SqlType::Integer } else { SqlType::BigInt };
        return Ok(Typed::new(value.to_string(), ty));
    }
    if digits.contains(['e', 'E']) {
        let value: f64 = digits.parse().map_err(|_| not_a_number(digits))?;
        if !value.is_finite() {
            return Err(SqlError::new(format!("\"{digits}\" is out of range for double precision")));
        }
        return Ok(Typed::new(float_literal(value), SqlType::Double));
    }
    let (unscaled, scale) = decimal::parse(digits).ok_or_else(|| not_a_number(digits))?;
    let scale = u8::try_from(scale).map_err(|_| not_a_number(digits))?;
    let precision = (unscaled.unsigned_abs().to_string().len() as u8).max(scale).max(1);
    Ok(Typed::new(decimal::sql_literal(unscaled), SqlType::Decimal { precision, scale }))
}

fn not_a_number(digits: &str) -> SqlError {
    SqlError::new(format!("Numeric data overflow: {digits} does not fit DECIMAL(38)"))
}
