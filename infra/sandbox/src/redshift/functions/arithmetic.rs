//! Arithmetic that fails where Redshift fails: integer and DECIMAL overflow, division by zero.

use rusqlite::types::Value;

use super::{Arguments, Entry, decimal_value};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::values::decimal::{self, Rounding};
use crate::redshift::values::number;

pub(super) const FUNCTIONS: &[Entry] = &[
    ("rs_add", 3, |a| integer(a, i64::checked_add, "addition")),
    ("rs_sub", 3, |a| integer(a, i64::checked_sub, "subtraction")),
    ("rs_mul", 3, |a| integer(a, i64::checked_mul, "multiplication")),
    ("rs_div", 3, |a| {
        refuse_zero(a.integer(1)? == 0)?;
        integer(a, i64::checked_div, "division")
    }),
    ("rs_mod", 3, |a| {
        refuse_zero(a.integer(1)? == 0)?;
        // The one overflow, MIN % -1, is 0.
        Ok(Value::from(a.integer(0)?.wrapping_rem(a.integer(1)?)))
    }),
    ("rs_abs", 2, |a| checked(a.integer(0)?.checked_abs(), a.small(1)?, "absolute value")),
    ("rs_fdiv", 2, |a| {
        refuse_zero(a.float(1)? == 0.0)?;
        float(a.float(0)? / a.float(1)?)
    }),
    ("rs_fadd", 2, |a| float(a.float(0)? + a.float(1)?)),
    ("rs_fsub", 2, |a| float(a.float(0)? - a.float(1)?)),
    ("rs_fmul", 2, |a| float(a.float(0)? * a.float(1)?)),
    ("rs_fmod", 2, |a| {
        refuse_zero(a.float(1)? == 0.0)?;
        float(a.float(0)? % a.float(1)?)
    }),
    ("rs_pow", 2, |a| float(a.float(0)?.powf(a.float(1)?))),
    ("rs_sqrt", 1, |a| match a.float(0)? {
        negative if negative < 0.0 => Err(SqlError::new("cannot take square root of a negative number")),
        value => float(value.sqrt()),
    }),
    ("rs_exp", 1, |a| float(a.float(0)?.exp())),
    ("rs_ln", 1, |a| float(positive(a.float(0)?)?.ln())),
    ("rs_log10", 1, |a| float(positive(a.float(0)?)?.log10())),
    ("rs_fround", 2, |a| {
        let factor = 10_f64.powi(i32::try_from(a.integer(1)?).unwrap_or(0).clamp(-300, 300));
        float((a.float(0)? * factor).round() / factor)
    }),
    ("rs_ftrunc", 2, |a| {
        let factor = 10_f64.powi(i32::try_from(a.integer(1)?).unwrap_or(0).clamp(-300, 300));
        float((a.float(0)? * factor).trunc() / factor)
    }),
    ("rs_fceil", 1, |a| float(a.float(0)?.ceil())),
    ("rs_ffloor", 1, |a| float(a.float(0)?.floor())),
    ("rs_dadd", 3, |a| dec(a.decimal(0)?.checked_add(a.decimal(1)?), a.small(2)?, "addition")),
    ("rs_dsub", 3, |a| dec(a.decimal(0)?.checked_sub(a.decimal(1)?), a.small(2)?, "subtraction")),
    ("rs_dmul", 5, |a| {
        let product = a.decimal(0)?.checked_mul(a.decimal(1)?);
        let (from, to) = (a.integer(2)? as i32, i32::from(a.small(4)?));
        let scaled = product.and_then(|p| decimal::rescale(p, from, to, Rounding::HalfUp));
        dec(scaled, a.small(3)?, "multiplication")
    }),
    ("rs_ddiv", 6, divide_decimals),
    ("rs_dmod", 3, |a| {
        refuse_zero(a.decimal(1)? == 0)?;
        dec(Some(a.decimal(0)? % a.decimal(1)?), a.small(2)?, "modulo")
    }),
    ("rs_dneg", 1, |a| Ok(decimal_value(-a.decimal(0)?))),
    ("rs_dabs", 1, |a| Ok(decimal_value(a.decimal(0)?.abs()))),
    ("rs_dround", 3, |a| round_decimal(a, Rounding::HalfUp)),
    ("rs_dtrunc", 3, |a| round_decimal(a, Rounding::Truncate)),
    ("rs_dceil", 2, |a| whole(a, |value, unit| -(-value).div_euclid(unit))),
    ("rs_dfloor", 2, |a| whole(a, |value, unit| value.div_euclid(unit))),
];

fn refuse_zero(zero: bool) -> SqlResult<()> {
    if zero { Err(SqlError::new("Divide by zero")) } else { Ok(()) }
}

fn positive(value: f64) -> SqlResult<f64> {
    if value > 0.0 { Ok(value) } else { Err(SqlError::new("cannot take logarithm of zero or a negative number")) }
}

fn checked(result: Option<i64>, bits: u8, operation: &str) -> SqlResult<Value> {
    match result {
        Some(value) if number::fits(value, bits) => Ok(Value::from(value)),
        _ => Err(SqlError::new(format!("Integer data overflow ({operation})"))),
    }
}

fn integer(a: &Arguments<'_>, operation: fn(i64, i64) -> Option<i64>, name: &str) -> SqlResult<Value> {
    checked(operation(a.integer(0)?, a.integer(1)?), a.small(2)?, name)
}

fn float(result: f64) -> SqlResult<Value> {
    if result.is_finite() { Ok(Value::from(result)) } else { Err(SqlError::new("value out of range: overflow")) }
}

fn dec(result: Option<i128>, precision: u8, operation: &str) -> SqlResult<Value> {
    match result {
        Some(value) if decimal::fits(value, precision) => Ok(decimal_value(value)),
        _ => Err(SqlError::new(format!("Numeric data overflow ({operation})"))),
    }
}

/// (a, scale of a, b, scale of b, result precision, result scale)
fn divide_decimals(a: &Arguments<'_>) -> SqlResult<Value> {
    let (left, right) = (a.decimal(0)?, a.decimal(2)?);
    refuse_zero(right == 0)?;
    let (from, divisor, to) = (i32::from(a.small(1)?), i32::from(a.small(3)?), i32::from(a.small(5)?));
    // One digit more than asked for, rounded away at the end.
    let shift = to + 1 + divisor - from;
    let quotient = if shift >= 0 {
        decimal::power_of_ten(shift).and_then(|factor| left.checked_mul(factor)).map(|n| n / right)
    } else {
        decimal::power_of_ten(-shift).and_then(|factor| right.checked_mul(factor)).map(|d| left / d)
    };
    let rounded = quotient.and_then(|q| decimal::rescale(q, to + 1, to, Rounding::HalfUp));
    dec(rounded, a.small(4)?, "division")
}

/// (value, its scale, digits): the scale stays, digits beyond become zeros.
fn round_decimal(a: &Arguments<'_>, rounding: Rounding) -> SqlResult<Value> {
    let scale = i32::from(a.small(1)?);
    let digits = i32::try_from(a.integer(2)?).unwrap_or(0).clamp(-38, scale);
    let rounded = decimal::rescale(a.decimal(0)?, scale, digits, rounding);
    dec(rounded.and_then(|value| decimal::rescale(value, digits, scale, rounding)), 38, "rounding")
}

fn whole(a: &Arguments<'_>, operation: fn(i128, i128) -> i128) -> SqlResult<Value> {
    let unit = decimal::power_of_ten(i32::from(a.small(1)?)).unwrap_or(1);
    Ok(decimal_value(operation(a.decimal(0)?, unit) * unit))
}
