//! Integers and floats as text: Redshift's errors when it is none, its spelling when it is shown.

use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::sql_type::SqlType;

/// The name compute nodes give a type in `Invalid digit` messages (Developer Guide: `r_Load_Error_Reference`, 1207).
pub(crate) fn digit_type_name(ty: SqlType) -> &'static str {
    match ty {
        SqlType::SmallInt => "Short",
        SqlType::Integer => "Integer",
        SqlType::BigInt => "Long",
        SqlType::Decimal { .. } => "Decimal",
        SqlType::Real => "Float",
        _ => "Double",
    }
}

/// Why a text is no integer of the type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IntegerError {
    InvalidDigit(String),
    Overflow(String),
}

impl From<IntegerError> for SqlError {
    fn from(error: IntegerError) -> SqlError {
        match error {
            IntegerError::InvalidDigit(message) | IntegerError::Overflow(message) => SqlError::new(message),
        }
    }
}

pub(crate) fn parse_integer(text: &str, ty: SqlType) -> Result<i64, IntegerError> {
    let trimmed = text.trim_matches(' ');
    let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    if let Some(position) = digits.find(|c: char| !c.is_ascii_digit()) {
        let offset = trimmed.len() - digits.len() + (text.len() - text.trim_start_matches(' ').len());
        let wrong = digits[position..].chars().next().unwrap_or(' ');
        return Err(invalid_digit(wrong, offset + position, ty));
    }
    if digits.is_empty() {
        // A sign or nothing at all: the position after what was read, as an end of the text.
        return Err(invalid_digit(trimmed.chars().next().unwrap_or(' '), 0, ty));
    }
    let overflow = || IntegerError::Overflow(format!("Overflow, Value '{}', Type: {}", trimmed, digit_type_name(ty)));
    let value: i64 = trimmed.parse().map_err(|_| overflow())?;
    if fits(value, ty.integer_bits()) { Ok(value) } else { Err(overflow()) }
}

/// The same on the leader node, which casts what no table's rows are needed for, and words it as its ancestor does
/// (`PostgreSQL` 8: `pg_atoi`, `int8in`).
pub(crate) fn parse_integer_on_leader(text: &str, ty: SqlType) -> SqlResult<i64> {
    parse_integer(text, ty).map_err(|error| match (error, ty) {
        (IntegerError::Overflow(_), _) => {
            SqlError::new(format!("value \"{text}\" is out of range for type {}", ty.catalog_name()))
        }
        (_, SqlType::BigInt) => SqlError::new(format!("invalid input syntax for type bigint: \"{text}\"")),
        _ => SqlError::new(format!("invalid input syntax for integer: \"{text}\"")),
    })
}

fn invalid_digit(wrong: char, position: usize, ty: SqlType) -> IntegerError {
    let name = digit_type_name(ty);
    IntegerError::InvalidDigit(format!("Invalid digit, Value '{wrong}', Pos {position}, Type: {name}"))
}

pub(crate) fn fits(value: i64, bits: u8) -> bool {
    match bits {
        16 => i16::try_from(value).is_ok(),
        32 => i32::try_from(value).is_ok(),
        _ => true,
    }
}

pub(crate) fn out_of_range(bits: u8) -> SqlError {
    SqlError::new(format!("Value out of range for {} bytes.", bits / 8))
}

/// Plain floats only: SQL's `NaN` and `Infinity` have no stored form here, so they are refused with the rest.
pub(crate) fn parse_float(text: &str, ty: SqlType) -> SqlResult<f64> {
    let trimmed = text.trim_matches(' ');
    let looks_right = trimmed.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    let invalid = || SqlError::new(format!("invalid input syntax for type {}: \"{trimmed}\"", ty.catalog_name()));
    let value: f64 = if looks_right { trimmed.parse().map_err(|_| invalid())? } else { return Err(invalid()) };
    checked_float(value, ty)
        .ok_or_else(|| SqlError::new(format!("\"{trimmed}\" is out of range for {}", ty.catalog_name())))
}

/// The value as the type holds it; `None` when it is too large for it.
pub(crate) fn checked_float(value: f64, ty: SqlType) -> Option<f64> {
    let held = if ty == SqlType::Real { f64::from(value as f32) } else { value };
    held.is_finite().then_some(held)
}

/// Shortest text that reads back as the same float, with an exponent where plain digits would be long.
pub(crate) fn format_float(value: f64, ty: SqlType) -> String {
    let magnitude = value.abs();
    let plain = magnitude == 0.0 || (1e-4..1e15).contains(&magnitude);
    match (ty == SqlType::Real, plain) {
        (true, true) => format!("{}", value as f32),
        (false, true) => format!("{value}"),
        (true, false) => with_exponent_sign(format!("{:e}", value as f32)),
        (false, false) => with_exponent_sign(format!("{value:e}")),
    }
}

fn with_exponent_sign(text: String) -> String {
    match text.split_once('e') {
        Some((mantissa, exponent)) if !exponent.starts_with('-') => format!("{mantissa}e+{exponent:0>2}"),
        Some((mantissa, exponent)) => format!("{mantissa}e-{:0>2}", &exponent[1..]),
        None => text,
    }
}

/// BOOLEAN's accepted spellings (Developer Guide: `r_Boolean_type`).
pub(crate) fn parse_boolean(text: &str) -> Option<bool> {
    match text.trim_matches(' ').to_ascii_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "1" => Some(true),
        "f" | "false" | "n" | "no" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_digit_is_named_with_its_place() {
        let message = |text, ty| SqlError::from(parse_integer(text, ty).unwrap_err()).to_string();
        assert_eq!(message("abc", SqlType::Integer), "Invalid digit, Value 'a', Pos 0, Type: Integer");
        assert_eq!(message("-12x", SqlType::BigInt), "Invalid digit, Value 'x', Pos 3, Type: Long");
        assert_eq!(message("", SqlType::SmallInt), "Invalid digit, Value ' ', Pos 0, Type: Short");
        assert!(matches!(parse_integer("32768", SqlType::SmallInt), Err(IntegerError::Overflow(_))));
        assert_eq!(parse_integer(" -32768 ", SqlType::SmallInt), Ok(-32768));
    }

    #[test]
    fn floats_show_their_shortest_text() {
        assert_eq!(format_float(0.1, SqlType::Double), "0.1");
        assert_eq!(format_float(1.0, SqlType::Double), "1");
        assert_eq!(format_float(1e20, SqlType::Double), "1e+20");
        assert_eq!(format_float(f64::from(0.1_f32), SqlType::Real), "0.1");
    }

    #[test]
    fn a_float_that_is_not_finite_is_refused() {
        assert!(parse_float("1e400", SqlType::Double).is_err());
        assert!(parse_float("1e39", SqlType::Real).is_err());
        assert!(parse_float("NaN", SqlType::Double).is_err());
        assert_eq!(parse_float("2.5", SqlType::Double), Ok(2.5));
    }
}
