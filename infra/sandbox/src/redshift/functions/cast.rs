//! Casts and assignments. One function per pair of stored forms; what an explicit cast forgives and an assignment
//! does not (text that is too long) are two functions.

use rusqlite::types::Value;

use super::{Arguments, Entry, decimal_value};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::sql_type::SqlType;
use crate::redshift::values::decimal::{self, Rounding};
use crate::redshift::values::json::{self, Kind};
use crate::redshift::values::{number, timestamp};

pub(super) const FUNCTIONS: &[Entry] = &[
    ("rs_int_of_text", 2, |a| Ok(Value::from(number::parse_integer(a.text(0)?, integer_type(a.small(1)?))?))),
    ("rs_leader_int_of_text", 2, |a| {
        Ok(Value::from(number::parse_integer_on_leader(a.text(0)?, integer_type(a.small(1)?))?))
    }),
    ("rs_int_of_float", 2, int_of_float),
    ("rs_int_of_dec", 3, int_of_decimal),
    ("rs_int_fit", 2, |a| in_range(a.integer(0)?, a.small(1)?)),
    ("rs_float_of_text", 2, |a| Ok(Value::from(number::parse_float(a.text(0)?, float_type(a.small(1)?))?))),
    ("rs_float_of_dec", 2, |a| Ok(Value::from(decimal::to_f64(a.decimal(0)?, a.small(1)?)))),
    ("rs_real", 1, |a| match number::checked_float(a.float(0)?, SqlType::Real) {
        Some(value) => Ok(Value::from(value)),
        None => Err(SqlError::new("value out of range for real")),
    }),
    ("rs_dec_of_text", 3, decimal_of_text),
    ("rs_dec_of_int", 3, |a| fit_decimal(i128::from(a.integer(0)?), 0, a.small(1)?, a.small(2)?)),
    ("rs_dec_of_float", 3, decimal_of_float),
    ("rs_dec_fit", 4, |a| fit_decimal(a.decimal(0)?, a.small(1)?, a.small(2)?, a.small(3)?)),
    ("rs_text_of_float", 2, |a| Ok(Value::from(number::format_float(a.float(0)?, float_type(a.small(1)?))))),
    ("rs_text_of_dec", 2, |a| Ok(Value::from(decimal::format(a.decimal(0)?, a.small(1)?)))),
    ("rs_text_of_date", 1, |a| Ok(Value::from(timestamp::format_date(a.integer(0)?)))),
    ("rs_text_of_ts", 1, |a| Ok(Value::from(timestamp::format_timestamp(a.integer(0)?)))),
    ("rs_text_of_tstz", 1, |a| Ok(Value::from(timestamp::format_timestamp_tz(a.integer(0)?)))),
    ("rs_date_of_text", 1, |a| time_of_text(a, timestamp::parse_date, "date")),
    ("rs_ts_of_text", 1, |a| time_of_text(a, timestamp::parse_timestamp, "timestamp")),
    ("rs_tstz_of_text", 1, |a| time_of_text(a, timestamp::parse_timestamp_tz, "timestamp with time zone")),
    ("rs_date_of_ts", 1, |a| Ok(Value::from(a.integer(0)?.div_euclid(timestamp::MICROS_PER_DAY)))),
    ("rs_bool_of_text", 1, |a| match number::parse_boolean(a.text(0)?) {
        Some(value) => Ok(Value::from(value)),
        None => Err(SqlError::new(format!("invalid input syntax for type boolean: \"{}\"", a.text(0)?))),
    }),
    ("rs_text_cut", 2, |a| Ok(Value::from(cut(a.text(0)?, length(a)?).to_owned()))),
    ("rs_text_fit", 2, |a| Ok(Value::from(fit_text(a.text(0)?, length(a)?)?.to_owned()))),
    ("rs_char_cut", 2, |a| Ok(Value::from(cut(a.text(0)?, length(a)?).trim_end_matches(' ').to_owned()))),
    ("rs_char_fit", 2, |a| Ok(Value::from(fit_char(a.text(0)?, length(a)?)?.to_owned()))),
    ("rs_super_of_text", 1, |a| Ok(Value::from(json::quoted(a.text(0)?)))),
    ("rs_text_of_super", 1, text_of_super),
    ("rs_if_super_text", 1, |a| Ok(string_in(a.text(0)?).map_or(Value::Null, Value::from))),
    ("rs_if_super_number", 1, |a| Ok(number_in(a.text(0)?))),
    ("rs_if_super_bool", 1, |a| {
        Ok(match a.text(0)? {
            "true" => Value::Integer(1),
            "false" => Value::Integer(0),
            _ => Value::Null,
        })
    }),
];

fn integer_type(bits: u8) -> SqlType {
    match bits {
        16 => SqlType::SmallInt,
        32 => SqlType::Integer,
        _ => SqlType::BigInt,
    }
}

fn float_type(bits: u8) -> SqlType {
    if bits == 32 { SqlType::Real } else { SqlType::Double }
}

fn length(a: &Arguments<'_>) -> SqlResult<usize> {
    usize::try_from(a.integer(1)?).map_err(|_| SqlError::new("length is out of range"))
}

fn in_range(value: i64, bits: u8) -> SqlResult<Value> {
    if number::fits(value, bits) { Ok(Value::from(value)) } else { Err(number::out_of_range(bits)) }
}

fn int_of_float(a: &Arguments<'_>) -> SqlResult<Value> {
    let bits = a.small(1)?;
    let rounded = a.float(0)?.round_ties_even();
    // 2^63 is the first float beyond BIGINT; -2^63 is in it.
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded) {
        return in_range(rounded as i64, bits);
    }
    Err(number::out_of_range(bits))
}

fn int_of_decimal(a: &Arguments<'_>) -> SqlResult<Value> {
    let bits = a.small(2)?;
    let whole = decimal::rescale(a.decimal(0)?, i32::from(a.small(1)?), 0, Rounding::HalfUp);
    match whole.and_then(|value| i64::try_from(value).ok()) {
        Some(value) => in_range(value, bits),
        None => Err(number::out_of_range(bits)),
    }
}

fn fit_decimal(unscaled: i128, from: u8, precision: u8, scale: u8) -> SqlResult<Value> {
    decimal::rescale(unscaled, i32::from(from), i32::from(scale), Rounding::HalfUp)
        .filter(|value| decimal::fits(*value, precision))
        .map(decimal_value)
        .ok_or_else(|| SqlError::new("Numeric data overflow (result precision)"))
}

fn decimal_of_text(a: &Arguments<'_>) -> SqlResult<Value> {
    let (text, precision, scale) = (a.text(0)?, a.small(1)?, a.small(2)?);
    let Some((unscaled, from)) = decimal::parse(text) else {
        let wrong = text.trim_matches(' ').chars().find(|c| !c.is_ascii_digit()).unwrap_or(' ');
        let position = text.find(wrong).unwrap_or(0);
        return Err(SqlError::new(format!("Invalid digit, Value '{wrong}', Pos {position}, Type: Decimal")));
    };
    decimal::rescale(unscaled, from, i32::from(scale), Rounding::HalfUp)
        .filter(|value| decimal::fits(*value, precision))
        .map(decimal_value)
        .ok_or_else(|| SqlError::new("Numeric data overflow (result precision)"))
}

fn decimal_of_float(a: &Arguments<'_>) -> SqlResult<Value> {
    let (precision, scale) = (a.small(1)?, a.small(2)?);
    decimal::parse(&format!("{:e}", a.float(0)?))
        .and_then(|(unscaled, from)| decimal::rescale(unscaled, from, i32::from(scale), Rounding::HalfUp))
        .filter(|value| decimal::fits(*value, precision))
        .map(decimal_value)
        .ok_or_else(|| SqlError::new("Numeric data overflow (result precision)"))
}

fn time_of_text(a: &Arguments<'_>, parse: fn(&str) -> Option<i64>, name: &str) -> SqlResult<Value> {
    let text = a.text(0)?;
    parse(text)
        .map(Value::from)
        .ok_or_else(|| SqlError::new(format!("invalid input syntax for type {name}: \"{text}\"")))
}

/// The longest whole-character prefix of at most that many bytes.
fn cut(text: &str, length: usize) -> &str {
    if text.len() <= length {
        return text;
    }
    let end = (0..=length).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

/// An assignment to VARCHAR(n), counted in bytes; only blanks may be lost (Developer Guide: `r_Character_types`).
pub(crate) fn fit_text(text: &str, length: usize) -> SqlResult<&str> {
    if text.len() <= length {
        return Ok(text);
    }
    if text.is_char_boundary(length) && text[length..].bytes().all(|b| b == b' ') {
        return Ok(&text[..length]);
    }
    Err(SqlError::new(format!("Value too long for character type (type: character varying({length}))")))
}

fn fit_char(text: &str, length: usize) -> SqlResult<&str> {
    let text = text.trim_end_matches(' ');
    if text.len() <= length {
        return Ok(text);
    }
    Err(SqlError::new(format!("Value too long for character type (type: character({length}))")))
}

fn string_in(stored: &str) -> Option<String> {
    let inner = stored.strip_prefix('"')?.strip_suffix('"')?;
    String::from_utf8(json::unescape(inner.as_bytes()).ok()?.into_owned()).ok()
}

fn number_in(stored: &str) -> Value {
    match stored.parse::<i64>() {
        Ok(value) => Value::from(value),
        Err(_) if json::kind(stored.as_bytes()) == Kind::Number => {
            stored.parse::<f64>().map_or(Value::Null, Value::from)
        }
        Err(_) => Value::Null,
    }
}

fn text_of_super(a: &Arguments<'_>) -> SqlResult<Value> {
    let stored = a.text(0)?;
    Ok(match json::kind(stored.as_bytes()) {
        Kind::String => string_in(stored).map_or(Value::Null, Value::from),
        Kind::Null => Value::Null,
        Kind::Object | Kind::Array => {
            return Err(SqlError::unsupported(
                "a cast of a SUPER object or array",
                "use JSON_SERIALIZE, or navigate to a scalar first",
            ));
        }
        _ => Value::from(stored.to_owned()),
    })
}
