//! SUPER and JSON text. SUPER is stored as minified JSON; JSON null inside it is kept apart from SQL NULL until a
//! path leads to it, where both are NULL.

use rusqlite::types::Value;

use super::{Arguments, Entry};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::values::json::{self, Kind};

pub(super) const FUNCTIONS: &[Entry] = &[
    ("rs_json_parse", 1, |a| match json::whole(a.text(0)?.as_bytes()) {
        Ok(value) => text_value(json::minified(value)),
        Err(error) => Err(SqlError::new(format!("Invalid JSON: {error}"))),
    }),
    ("rs_can_json_parse", 1, |a| Ok(Value::from(json::whole(a.text(0)?.as_bytes()).is_ok()))),
    // Names in a query are folded to lower case, attributes keep theirs and match exactly: the default of
    // enable_case_sensitive_super_attribute (Developer Guide: `r_enable_case_sensitive_super_attribute`).
    ("rs_super_member", 2, |a| Ok(json::member(a.text(0)?.as_bytes(), a.text(1)?).map_or(Value::Null, stored))),
    ("rs_super_element", 2, |a| {
        let index = usize::try_from(a.integer(1)?).unwrap_or(usize::MAX);
        Ok(json::element(a.text(0)?.as_bytes(), index).map_or(Value::Null, stored))
    }),
    ("rs_array_or_null", 1, |a| match json::kind(a.text(0)?.as_bytes()) {
        Kind::Array => Ok(Value::from(a.text(0)?.to_owned())),
        _ => Err(SqlError::unsupported("unnesting a SUPER value that is no array", "filter on JSON_TYPEOF first")),
    }),
    ("rs_json_typeof", 1, |a| Ok(Value::from(type_name(a.text(0)?).to_owned()))),
    ("rs_array_length", 1, |a| {
        let mut count = 0_i64;
        if json::kind(a.text(0)?.as_bytes()) != Kind::Array {
            return Ok(Value::Null);
        }
        json::elements(a.text(0)?.as_bytes(), 0, |_, _| {
            count += 1;
            Ok(())
        })
        .map_err(|error| SqlError::new(format!("Invalid JSON: {error}")))?;
        Ok(Value::from(count))
    }),
    ("rs_json_path_text", -1, path_text),
    ("rs_json_element_text", -1, |a| {
        let index = usize::try_from(a.integer(2)?).unwrap_or(usize::MAX);
        Ok(checked(a)?.and_then(|value| json::element(value, index)).map_or(Value::Null, plain))
    }),
    ("rs_json_array_length", -1, |a| {
        let Some(value) = checked(a)?.filter(|value| json::kind(value) == Kind::Array) else { return Ok(Value::Null) };
        let mut count = 0_i64;
        json::elements(value, 0, |_, _| {
            count += 1;
            Ok(())
        })
        .map_err(|error| SqlError::new(format!("JSON parsing error: {error}")))?;
        Ok(Value::from(count))
    }),
];

fn text_value(bytes: Vec<u8>) -> SqlResult<Value> {
    String::from_utf8(bytes).map(Value::from).map_err(|_| SqlError::new("stored text is not valid UTF-8"))
}

fn stored(value: &[u8]) -> Value {
    match json::kind(value) {
        Kind::Null => Value::Null,
        _ => Value::from(String::from_utf8_lossy(value).into_owned()),
    }
}

fn type_name(value: &str) -> &'static str {
    match json::kind(value.as_bytes()) {
        Kind::Object => "object",
        Kind::Array => "array",
        Kind::String => "string",
        Kind::Number => "number",
        Kind::True | Kind::False => "boolean",
        Kind::Null => "null",
    }
}

/// Arguments 0 and 1: the text, and whether NULL stands for invalid JSON.
fn checked<'a>(a: &'a Arguments<'_>) -> SqlResult<Option<&'a [u8]>> {
    match json::whole(a.text(0)?.as_bytes()) {
        Ok(value) => Ok(Some(value)),
        Err(_) if a.integer(1)? != 0 => Ok(None),
        Err(error) => Err(SqlError::new(format!("JSON parsing error: {error}"))),
    }
}

/// Path elements from argument 2 on; a missing one is NULL (Developer Guide: `JSON_EXTRACT_PATH_TEXT`).
fn path_text(a: &Arguments<'_>) -> SqlResult<Value> {
    let mut value = checked(a)?;
    for index in 2..a.count() {
        let name = a.text(index)?;
        value = value.and_then(|object| json::member(object, name));
    }
    Ok(value.map_or(Value::Null, plain))
}

/// A string without its quotes, anything else as it is written.
fn plain(value: &[u8]) -> Value {
    match json::kind(value) {
        Kind::Null => Value::Null,
        Kind::String => match json::unescape(&value[1..value.len() - 1]) {
            Ok(text) => Value::from(String::from_utf8_lossy(&text).into_owned()),
            Err(_) => Value::Null,
        },
        _ => Value::from(String::from_utf8_lossy(value).into_owned()),
    }
}
