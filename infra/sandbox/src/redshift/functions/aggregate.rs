//! Aggregates the embedded database has not: sums and means of DECIMAL, spread of floats.

use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};

use super::decimal_value;
use crate::redshift::error::SqlError;
use crate::redshift::values::decimal;

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8;
    connection.create_aggregate_function("rs_dec_sum", 1, flags, DecimalTotal { mean: false })?;
    connection.create_aggregate_function("rs_dec_avg", 1, flags, DecimalTotal { mean: true })?;
    for (name, sample, root) in [
        ("rs_stddev_samp", true, true),
        ("rs_stddev_pop", false, true),
        ("rs_var_samp", true, false),
        ("rs_var_pop", false, false),
    ] {
        connection.create_aggregate_function(name, 1, flags, Spread { sample, root })?;
    }
    Ok(())
}

struct DecimalTotal {
    mean: bool,
}

impl Aggregate<(i128, i128), Value> for DecimalTotal {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<(i128, i128)> {
        Ok((0, 0))
    }

    fn step(&self, context: &mut Context<'_>, (total, count): &mut (i128, i128)) -> rusqlite::Result<()> {
        if let ValueRef::Blob(bytes) = context.get_raw(0) {
            let sum = total.checked_add(decimal::decode(bytes)?).filter(|sum| decimal::fits(*sum, 38));
            *total = sum.ok_or_else(|| SqlError::new("Numeric data overflow (addition)"))?;
            *count += 1;
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, state: Option<(i128, i128)>) -> rusqlite::Result<Value> {
        Ok(match state {
            // The scale is the argument's, what is finer is cut off.
            Some((total, count)) if count > 0 => decimal_value(if self.mean { total / count } else { total }),
            _ => Value::Null,
        })
    }
}

struct Spread {
    sample: bool,
    root: bool,
}

impl Aggregate<(f64, f64, f64), Option<f64>> for Spread {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<(f64, f64, f64)> {
        Ok((0.0, 0.0, 0.0))
    }

    fn step(&self, context: &mut Context<'_>, (count, mean, squares): &mut (f64, f64, f64)) -> rusqlite::Result<()> {
        let value = match context.get_raw(0) {
            ValueRef::Integer(value) => value as f64,
            ValueRef::Real(value) => value,
            _ => return Ok(()),
        };
        *count += 1.0;
        let distance = value - *mean;
        *mean += distance / *count;
        *squares += distance * (value - *mean);
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, state: Option<(f64, f64, f64)>) -> rusqlite::Result<Option<f64>> {
        let Some((count, _, squares)) = state else { return Ok(None) };
        let divisor = if self.sample { count - 1.0 } else { count };
        if divisor <= 0.0 {
            return Ok(None);
        }
        let variance = squares / divisor;
        Ok(Some(if self.root { variance.sqrt() } else { variance }))
    }
}
