//! Conversions between types: which exist, which happen by themselves, and the function that does each.

use super::literal::{float_literal, text_literal};
use super::{Planner, Typed};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::functions::fit_text;
use crate::redshift::sql_type::{SqlType, VARCHAR_MAX};
use crate::redshift::values::decimal::{self, Rounding};
use crate::redshift::values::timestamp::{self, MICROS_PER_DAY};
use crate::redshift::values::{json, number};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// CAST: text is cut to its length, every conversion that exists is done.
    Explicit,
    /// Operands and arguments.
    Implicit,
    /// INSERT, UPDATE, defaults: text must fit.
    Assignment,
}

impl Planner<'_> {
    pub(super) fn cast(&self, value: Typed, to: SqlType, mode: Mode) -> SqlResult<Typed> {
        if value.is_null() {
            return Ok(Typed::new("NULL", to));
        }
        if let Some(text) = &value.literal {
            return literal(text, to, mode);
        }
        let from = value.ty;
        if mode != Mode::Explicit && !happens_by_itself(from, to) {
            return Err(no_implicit(from, to));
        }
        if self.is_on_leader() && from.is_text() && to.is_integer() {
            return Ok(Typed::new(format!("rs_leader_int_of_text({}, {})", value.sql, to.integer_bits()), to));
        }
        let sql = convert(&value.sql, from, to, mode)?;
        Ok(Typed::new(sql, to))
    }

    /// A query without tables never reaches a compute node.
    fn is_on_leader(&self) -> bool {
        self.scopes.iter().all(|scope| scope.relations.is_empty())
    }

    /// Anything that may stand where text is wanted: `'text ' || COUNT(*)`.
    pub(super) fn as_text(&self, value: Typed) -> SqlResult<Typed> {
        match value.ty {
            SqlType::Char(_) | SqlType::Varchar(_) => Ok(value),
            _ => self.cast(value, SqlType::Varchar(VARCHAR_MAX), Mode::Implicit),
        }
    }
}

fn no_implicit(from: SqlType, to: SqlType) -> SqlError {
    SqlError::new(format!(
        "expression is of type {} but {} is needed\n  Hint: You will need to rewrite or cast the expression.",
        from.catalog_name(),
        to.catalog_name()
    ))
}

/// Developer Guide: `c_Supported_data_types`, type compatibility and conversion.
fn happens_by_itself(from: SqlType, to: SqlType) -> bool {
    let numbers = from.is_numeric() && to.is_numeric();
    let texts = from.is_text() && to.is_text();
    let shown = to.is_text() && (from.is_numeric() || from.is_time());
    let times = from.is_time() && to.is_time();
    // A quoted literal that came through a sub-SELECT has no type of its own yet.
    let untyped = from == SqlType::Unknown;
    from == to || untyped || numbers || texts || shown || times || to == SqlType::Super || from == SqlType::Super
}

/// A quoted literal is read at once; a wrong one fails the statement before it starts.
fn literal(text: &str, to: SqlType, mode: Mode) -> SqlResult<Typed> {
    let invalid = || SqlError::new(format!("invalid input syntax for type {}: \"{text}\"", to.catalog_name()));
    let sql = match to {
        SqlType::SmallInt | SqlType::Integer | SqlType::BigInt => {
            number::parse_integer_on_leader(text, to)?.to_string()
        }
        SqlType::Real | SqlType::Double => float_literal(number::parse_float(text, to)?),
        SqlType::Decimal { precision, scale } => {
            let (unscaled, from) = decimal::parse(text).ok_or_else(invalid)?;
            let fitted = decimal::rescale(unscaled, from, i32::from(scale), Rounding::HalfUp);
            let fitted = fitted.filter(|value| decimal::fits(*value, precision));
            decimal::sql_literal(fitted.ok_or_else(|| SqlError::new("Numeric data overflow (result precision)"))?)
        }
        SqlType::Boolean => if number::parse_boolean(text).ok_or_else(invalid)? { "1" } else { "0" }.to_owned(),
        SqlType::Date => timestamp::parse_date(text).ok_or_else(invalid)?.to_string(),
        SqlType::Timestamp => timestamp::parse_timestamp(text).ok_or_else(invalid)?.to_string(),
        SqlType::TimestampTz => timestamp::parse_timestamp_tz(text).ok_or_else(invalid)?.to_string(),
        // Text becomes a SUPER string; only JSON_PARSE reads it as JSON.
        SqlType::Super => text_literal(&json::quoted(text)),
        SqlType::Varchar(length) if mode == Mode::Assignment => text_literal(fit_text(text, length as usize)?),
        SqlType::Unknown => text_literal(text),
        SqlType::Char(_) | SqlType::Varchar(_) => {
            convert(&text_literal(text), SqlType::Varchar(VARCHAR_MAX), to, mode)?
        }
    };
    Ok(Typed::new(sql, to))
}

fn convert(sql: &str, from: SqlType, to: SqlType, mode: Mode) -> SqlResult<String> {
    use SqlType::{Boolean, Char, Date, Super, Timestamp, TimestampTz, Unknown, Varchar};
    if from == to || to == Unknown {
        return Ok(sql.to_owned());
    }
    Ok(match (from, to) {
        (Super, Super) => sql.to_owned(),
        (Super, to) => {
            let text = format!("rs_text_of_super({sql})");
            convert(&text, Varchar(VARCHAR_MAX), to, mode)?
        }
        (from, Super) => match from {
            Char(_) | Varchar(_) | Unknown => format!("rs_super_of_text({sql})"),
            Boolean => format!("CASE {sql} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"),
            number if number.is_numeric() => to_text(sql, number)?,
            time => format!("rs_super_of_text({})", to_text(sql, time)?),
        },
        (from, Char(length)) => {
            let name = if mode == Mode::Assignment { "rs_char_fit" } else { "rs_char_cut" };
            format!("{name}({}, {length})", to_text(sql, from)?)
        }
        (from, Varchar(length)) => {
            let text = to_text(sql, from)?;
            let always_fits = match from {
                Char(held) | Varchar(held) => held <= length,
                _ => mode == Mode::Implicit,
            };
            match mode {
                _ if always_fits => text,
                Mode::Assignment => format!("rs_text_fit({text}, {length})"),
                Mode::Explicit | Mode::Implicit => format!("rs_text_cut({text}, {length})"),
            }
        }
        (Char(_) | Varchar(_) | Unknown, to) => from_text(sql, to),
        (from, to) if from.is_numeric() && to.is_numeric() => between_numbers(sql, from, to),
        (from, Boolean) if from.is_integer() => format!("({sql} <> 0)"),
        (Boolean, to) if to.is_integer() => sql.to_owned(),
        (Date, Timestamp | TimestampTz) => format!("({sql} * {MICROS_PER_DAY})"),
        (Timestamp | TimestampTz, Date) => format!("rs_date_of_ts({sql})"),
        // The session's time zone is UTC.
        (Timestamp, TimestampTz) | (TimestampTz, Timestamp) => sql.to_owned(),
        (from, to) => {
            return Err(SqlError::new(format!("cannot cast type {} to {}", from.catalog_name(), to.catalog_name())));
        }
    })
}

fn from_text(sql: &str, to: SqlType) -> String {
    match to {
        SqlType::Real => format!("rs_float_of_text({sql}, 32)"),
        SqlType::Double => format!("rs_float_of_text({sql}, 64)"),
        SqlType::Decimal { precision, scale } => format!("rs_dec_of_text({sql}, {precision}, {scale})"),
        SqlType::Boolean => format!("rs_bool_of_text({sql})"),
        SqlType::Date => format!("rs_date_of_text({sql})"),
        SqlType::Timestamp => format!("rs_ts_of_text({sql})"),
        SqlType::TimestampTz => format!("rs_tstz_of_text({sql})"),
        integer => format!("rs_int_of_text({sql}, {})", integer.integer_bits()),
    }
}

fn to_text(sql: &str, from: SqlType) -> SqlResult<String> {
    Ok(match from {
        SqlType::SmallInt | SqlType::Integer | SqlType::BigInt => format!("CAST({sql} AS TEXT)"),
        SqlType::Real => format!("rs_text_of_float({sql}, 32)"),
        SqlType::Double => format!("rs_text_of_float({sql}, 64)"),
        SqlType::Decimal { scale, .. } => format!("rs_text_of_dec({sql}, {scale})"),
        SqlType::Date => format!("rs_text_of_date({sql})"),
        SqlType::Timestamp => format!("rs_text_of_ts({sql})"),
        SqlType::TimestampTz => format!("rs_text_of_tstz({sql})"),
        SqlType::Boolean => return Err(SqlError::new("cannot cast type boolean to character varying")),
        SqlType::Super => format!("rs_text_of_super({sql})"),
        SqlType::Char(_) | SqlType::Varchar(_) | SqlType::Unknown => sql.to_owned(),
    })
}

fn between_numbers(sql: &str, from: SqlType, to: SqlType) -> String {
    match (from, to) {
        (from, SqlType::Decimal { precision, scale }) => match from {
            SqlType::Decimal { scale: held, precision: digits } => {
                let widens = scale >= held && precision - scale >= digits - held;
                if widens && scale == held {
                    sql.to_owned()
                } else {
                    format!("rs_dec_fit({sql}, {held}, {precision}, {scale})")
                }
            }
            from if from.is_float() => format!("rs_dec_of_float({sql}, {precision}, {scale})"),
            _ => format!("rs_dec_of_int({sql}, {precision}, {scale})"),
        },
        (SqlType::Decimal { scale, .. }, SqlType::Real) => format!("rs_real(rs_float_of_dec({sql}, {scale}))"),
        (SqlType::Decimal { scale, .. }, SqlType::Double) => format!("rs_float_of_dec({sql}, {scale})"),
        (SqlType::Decimal { scale, .. }, to) => format!("rs_int_of_dec({sql}, {scale}, {})", to.integer_bits()),
        (SqlType::Double, SqlType::Real) => format!("rs_real({sql})"),
        (SqlType::Real, SqlType::Double) => sql.to_owned(),
        (from, SqlType::Double) if from.is_integer() => format!("CAST({sql} AS REAL)"),
        (from, SqlType::Real) if from.is_integer() => format!("rs_real(CAST({sql} AS REAL))"),
        (from, to) if from.is_float() => format!("rs_int_of_float({sql}, {})", to.integer_bits()),
        (from, to) if from.integer_bits() <= to.integer_bits() => sql.to_owned(),
        (_, to) => format!("rs_int_fit({sql}, {})", to.integer_bits()),
    }
}
