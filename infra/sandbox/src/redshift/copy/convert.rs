//! One JSON value into one column: Redshift's conversions and load error codes (Developer Guide:
//! `copy-parameters-data-conversion`, `r_Load_Error_Reference`).

use std::borrow::Cow;

use crate::redshift::parse::{CopyStatement, TimeFormat};
use crate::redshift::sql_type::SqlType;
use crate::redshift::values::decimal::{self, Rounding};
use crate::redshift::values::json::{self, Kind};
use crate::redshift::values::number::{self, IntegerError};
use crate::redshift::values::timestamp;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'r> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'r, str>),
    Decimal([u8; 16]),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) code: u16,
    pub(super) message: String,
    pub(super) position: i64,
}

fn wrong(code: u16, message: impl Into<String>) -> Wrong {
    Wrong { code, message: message.into(), position: 0 }
}

/// Longest string inside a SUPER value (Developer Guide: `limitations-super`).
const MAX_SUPER_STRING: usize = 65_535;

pub(super) fn convert<'r>(value: Option<&'r [u8]>, ty: SqlType, copy: &CopyStatement) -> Result<Cell<'r>, Wrong> {
    let Some(value) = value else { return Ok(Cell::Null) };
    let kind = json::kind(value);
    if kind == Kind::Null {
        return Ok(Cell::Null);
    }
    if ty == SqlType::Super {
        return super_value(value);
    }
    let text = plain_text(value, kind, copy)?;
    match ty {
        SqlType::Varchar(length) => character(text, length as usize, copy),
        SqlType::Char(length) => {
            if !text.is_ascii() {
                return Err(wrong(1215, "CHAR string contains an invalid ASCII character"));
            }
            match character(text, length as usize, copy)? {
                Cell::Text(text) => Ok(Cell::Text(Cow::Owned(text.trim_end_matches(' ').to_owned()))),
                other => Ok(other),
            }
        }
        // Blank is NULL for every other type.
        _ if text.trim_matches(' ').is_empty() => Ok(Cell::Null),
        SqlType::SmallInt | SqlType::Integer | SqlType::BigInt => match number::parse_integer(&text, ty) {
            Ok(value) => Ok(Cell::Integer(value)),
            Err(IntegerError::InvalidDigit(message)) => {
                let position = digit_position(&message);
                Err(Wrong { code: 1207, message, position })
            }
            Err(IntegerError::Overflow(message)) => Err(wrong(1222, message)),
        },
        SqlType::Real | SqlType::Double => match number::parse_float(&text, ty) {
            Ok(value) => Ok(Cell::Real(value)),
            Err(error) => Err(wrong(1208, error.to_string())),
        },
        SqlType::Decimal { precision, scale } => exact(&text, precision, scale, copy.round_decimals),
        SqlType::Boolean => match number::parse_boolean(&text) {
            Some(value) => Ok(Cell::Integer(i64::from(value))),
            None => Err(wrong(1210, "Unknown boolean format")),
        },
        SqlType::Date => {
            or_null(timestamp::parse_date(&text), copy, 1205, "Invalid Date Format - length must be 10 or more")
        }
        SqlType::Timestamp | SqlType::TimestampTz => instant(&text, ty, copy),
        SqlType::Super | SqlType::Unknown => Err(wrong(1223, "Invalid data type")),
    }
}

/// The value as COPY reads it before conversion: strings unescaped, numbers digit by digit, the rest as JSON.
fn plain_text<'r>(value: &'r [u8], kind: Kind, copy: &CopyStatement) -> Result<Cow<'r, str>, Wrong> {
    let bytes = match kind {
        Kind::String => json::unescape(&value[1..value.len() - 1])
            .map_err(|error| wrong(1220, format!("String contains an invalid escape: {}", error.reason)))?,
        Kind::Object | Kind::Array => Cow::Owned(json::minified(value)),
        _ => Cow::Borrowed(value),
    };
    if memchr::memchr(0, &bytes).is_some() {
        return Err(wrong(1218, "Invalid null byte - field longer than 1 byte"));
    }
    let text = match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| bytes.to_vec()),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|error| error.into_bytes()),
    };
    text.or_else(|bytes| match copy.replace_invalid {
        Some(replacement) => Ok(Cow::Owned(replaced(&bytes, replacement))),
        None => Err(invalid_utf8(&bytes)),
    })
}

fn invalid_utf8(bytes: &[u8]) -> Wrong {
    let error = match std::str::from_utf8(bytes) {
        Ok(_) => return wrong(1220, "String contains invalid or unsupported UTF8 codepoints."),
        Err(error) => error,
    };
    let start = error.valid_up_to();
    let end = (start + error.error_len().unwrap_or(1)).min(bytes.len());
    let hex: Vec<String> = bytes[start..end].iter().map(|byte| format!("{byte:x}")).collect();
    let message = format!(
        "String contains invalid or unsupported UTF8 codepoints. Bad UTF8 hex sequence: {} (error 3)",
        hex.join(" ")
    );
    Wrong { code: 1220, message, position: start as i64 }
}

/// ACCEPTINVCHARS: a run of replacement characters as long as what was wrong.
fn replaced(bytes: &[u8], replacement: char) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(std::iter::repeat_n(replacement, chunk.invalid().len()));
    }
    text
}

fn character<'r>(text: Cow<'r, str>, length: usize, copy: &CopyStatement) -> Result<Cell<'r>, Wrong> {
    let text = if copy.trim_blanks { Cow::Owned(text.trim_end_matches(' ').to_owned()) } else { text };
    let null = (copy.empty_as_null && text.is_empty())
        || (copy.blanks_as_null && !text.is_empty() && text.chars().all(char::is_whitespace));
    if null {
        return Ok(Cell::Null);
    }
    if text.len() <= length {
        return Ok(Cell::Text(text));
    }
    if !copy.truncate_columns {
        return Err(Wrong {
            code: 1204,
            message: "String length exceeds DDL length".to_owned(),
            position: length as i64,
        });
    }
    let mut end = length;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Ok(Cell::Text(Cow::Owned(text[..end].to_owned())))
}

fn digit_position(message: &str) -> i64 {
    let position = message.split_once(", Pos ").and_then(|(_, rest)| rest.split_once(','));
    position.and_then(|(digits, _)| digits.parse().ok()).unwrap_or(0)
}

fn exact<'r>(text: &str, precision: u8, scale: u8, round: bool) -> Result<Cell<'r>, Wrong> {
    let Some((unscaled, from)) = decimal::parse(text) else {
        let is_other = |c: &char| !c.is_ascii_digit() && !matches!(c, '.' | '-' | '+');
        let found = text.chars().find(is_other).unwrap_or(' ');
        let position = text.find(found).unwrap_or(0);
        let message = format!("Invalid digit, Value '{found}', Pos {position}, Type: Decimal");
        return Err(Wrong { code: 1209, message, position: position as i64 });
    };
    // What is finer than the scale is cut off unless ROUNDEC.
    let rounding = if round { Rounding::HalfUp } else { Rounding::Truncate };
    match decimal::rescale(unscaled, from, i32::from(scale), rounding).filter(|value| decimal::fits(*value, precision))
    {
        Some(value) => Ok(Cell::Decimal(decimal::encode(value))),
        None => Err(wrong(1204, format!("Numeric data overflow (result precision), Value '{text}'"))),
    }
}

fn instant<'r>(text: &str, ty: SqlType, copy: &CopyStatement) -> Result<Cell<'r>, Wrong> {
    let parsed = match copy.time_format {
        TimeFormat::EpochSeconds => epoch(text, 6),
        TimeFormat::EpochMilliseconds => epoch(text, 3),
        // Only the default's own shape: `T` and `Z` are 'auto's.
        TimeFormat::Default if text.contains(['T', 't', 'Z', 'z', '/']) => None,
        TimeFormat::Default | TimeFormat::Auto if ty == SqlType::TimestampTz => timestamp::parse_timestamp_tz(text),
        TimeFormat::Default | TimeFormat::Auto => timestamp::parse_timestamp(text),
    };
    or_null(parsed, copy, 1206, "Invalid timestamp format or value [YYYY-MM-DD HH24:MI:SS]")
}

/// Seconds or milliseconds as microseconds; a finer fraction is cut off.
fn epoch(text: &str, digits: i32) -> Option<i64> {
    let (unscaled, scale) = decimal::parse(text)?;
    i64::try_from(decimal::rescale(unscaled, scale, digits, Rounding::Truncate)?).ok()
}

fn or_null<'r>(parsed: Option<i64>, copy: &CopyStatement, code: u16, message: &str) -> Result<Cell<'r>, Wrong> {
    match parsed {
        Some(value) => Ok(Cell::Integer(value)),
        None if copy.accept_any_date => Ok(Cell::Null),
        None => Err(wrong(code, message)),
    }
}

fn super_value<'r>(value: &[u8]) -> Result<Cell<'r>, Wrong> {
    let text = String::from_utf8(json::minified(value)).map_err(|error| invalid_utf8(error.as_bytes()))?;
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(quote) = memchr::memchr(b'"', &bytes[at..]) {
        let start = at + quote;
        let end = json::skip_string(bytes, start)
            .map_err(|error| wrong(1224, format!("Input is not well-formed JSON for SUPER: {error}")))?;
        let string = json::unescape(&bytes[start + 1..end - 1])
            .map_err(|error| wrong(1224, format!("Input is not well-formed JSON for SUPER: {error}")))?;
        if string.len() > MAX_SUPER_STRING {
            return Err(wrong(
                1224,
                format!("String value exceeds the max size of {MAX_SUPER_STRING} bytes for SUPER"),
            ));
        }
        if memchr::memchr(0, &string).is_some() {
            return Err(wrong(1224, "Invalid null byte in a SUPER string"));
        }
        at = end;
    }
    Ok(Cell::Text(Cow::Owned(text)))
}
