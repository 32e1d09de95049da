//! Functions the planned SQL calls on the embedded database, so that the computing follows Redshift: casts, checked
//! arithmetic, text, time, JSON, aggregates over DECIMAL. Every name starts with `rs_`; users' names never reach here.
//!
//! They are registered without the deterministic flag on purpose: the embedded database would otherwise evaluate a
//! constant call once, ahead of the CASE branch that guards it, and raise an error Redshift does not raise.

mod aggregate;
mod arithmetic;
mod cast;
mod json;
mod text;
mod time;

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};

use super::error::{SqlError, SqlResult};
use super::values::decimal;

pub(crate) use cast::fit_text;
pub(crate) use time::{part_name, part_size};

pub(crate) type Function = fn(&Arguments<'_>) -> SqlResult<Value>;

/// Name, number of arguments (-1: any), body.
pub(crate) type Entry = (&'static str, i32, Function);

pub(crate) fn register_all(connection: &Connection) -> rusqlite::Result<()> {
    for (name, count, body) in
        [cast::FUNCTIONS, arithmetic::FUNCTIONS, text::FUNCTIONS, time::FUNCTIONS, json::FUNCTIONS].concat()
    {
        connection
            .create_scalar_function(name, count, FunctionFlags::SQLITE_UTF8, move |context| call(context, body))?;
    }
    connection.create_scalar_function("rs_not_null", 2, FunctionFlags::SQLITE_UTF8, |context| {
        if context.get_raw(0) == ValueRef::Null {
            let column = Arguments(context).text(1)?.to_owned();
            return Err(SqlError::new(format!("Cannot insert a NULL value into column {column}")).into());
        }
        Ok(Value::try_from(context.get_raw(0))?)
    })?;
    connection.create_scalar_function("rs_fail", 1, FunctionFlags::SQLITE_UTF8, |context| {
        let message = Arguments(context).text(0)?.to_owned();
        Err::<Value, _>(SqlError::new(message).into())
    })?;
    aggregate::register(connection)
}

/// NULL in, NULL out: true for every function here.
fn call(context: &Context<'_>, body: Function) -> rusqlite::Result<Value> {
    if (0..context.len()).any(|i| context.get_raw(i) == ValueRef::Null) {
        return Ok(Value::Null);
    }
    Ok(body(&Arguments(context))?)
}

/// The arguments of one call; the planner has already seen to their types.
pub(crate) struct Arguments<'a>(&'a Context<'a>);

impl Arguments<'_> {
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn text(&self, index: usize) -> SqlResult<&str> {
        match self.0.get_raw(index) {
            ValueRef::Text(bytes) => {
                std::str::from_utf8(bytes).map_err(|_| SqlError::new("stored text is not valid UTF-8"))
            }
            other => Err(wrong_type(index, &other)),
        }
    }

    pub(crate) fn integer(&self, index: usize) -> SqlResult<i64> {
        match self.0.get_raw(index) {
            ValueRef::Integer(value) => Ok(value),
            other => Err(wrong_type(index, &other)),
        }
    }

    pub(crate) fn small(&self, index: usize) -> SqlResult<u8> {
        u8::try_from(self.integer(index)?).map_err(|_| SqlError::new(format!("argument {index} is out of range")))
    }

    pub(crate) fn float(&self, index: usize) -> SqlResult<f64> {
        match self.0.get_raw(index) {
            ValueRef::Real(value) => Ok(value),
            ValueRef::Integer(value) => Ok(value as f64),
            other => Err(wrong_type(index, &other)),
        }
    }

    pub(crate) fn decimal(&self, index: usize) -> SqlResult<i128> {
        match self.0.get_raw(index) {
            ValueRef::Blob(bytes) => decimal::decode(bytes),
            other => Err(wrong_type(index, &other)),
        }
    }
}

fn wrong_type(index: usize, value: &ValueRef<'_>) -> SqlError {
    SqlError::new(format!("argument {index} of an internal function is {:?}", value.data_type()))
}

pub(crate) fn decimal_value(unscaled: i128) -> Value {
    Value::Blob(decimal::encode(unscaled).to_vec())
}
