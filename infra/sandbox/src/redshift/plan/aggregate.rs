//! Aggregate functions, plain and as the body of a window function. Result types: Developer Guide, `r_SUM`, `r_AVG`,
//! `r_COUNT`, `r_LISTAGG`.

use sqlparser::ast::{DuplicateTreatment, Function, FunctionArg, FunctionArgExpr, FunctionArguments};

use super::cast::Mode;
use super::function::{not_supported, positional};
use super::{Planner, Typed};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::sql_type::{SqlType, VARCHAR_MAX};

const NAMES: [&str; 15] = [
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "listagg",
    "bool_and",
    "bool_or",
    "any_value",
    "stddev",
    "stddev_samp",
    "stddev_pop",
    "variance",
    "var_samp",
    "var_pop",
];

pub(super) fn is_aggregate(name: &str) -> bool {
    NAMES.contains(&name)
}

impl Planner<'_> {
    pub(super) fn aggregate(&mut self, name: &str, call: &Function) -> SqlResult<Option<Typed>> {
        if !is_aggregate(name) {
            return Ok(None);
        }
        let scope = self.scope();
        if scope.in_aggregate {
            return Err(SqlError::new("aggregate function calls may not have nested aggregate or window function"));
        }
        if !scope.allow_aggregates {
            return Err(SqlError::new("aggregates not allowed in WHERE, GROUP BY or JOIN conditions"));
        }
        scope.saw_aggregate = true;
        scope.in_aggregate = true;
        let planned = self.aggregate_call(name, call, "");
        self.scope().in_aggregate = false;
        planned.map(Some)
    }

    /// `over` is empty, or ` OVER (…)`: it follows every call that makes up the aggregate.
    pub(super) fn aggregate_call(&mut self, name: &str, call: &Function, over: &str) -> SqlResult<Typed> {
        if call.filter.is_some() || call.null_treatment.is_some() {
            return Err(SqlError::unsupported("FILTER or IGNORE NULLS in an aggregate", "use CASE inside it"));
        }
        let FunctionArguments::List(list) = &call.args else { return Err(not_supported(name)) };
        let distinct = if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) { "DISTINCT " } else { "" };
        if !list.clauses.is_empty() {
            return Err(not_supported(name));
        }
        if name == "listagg" {
            return self.listagg(call, &list.args, distinct, over);
        }
        if !call.within_group.is_empty() {
            return Err(not_supported(name));
        }
        if let ("count", [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]) = (name, list.args.as_slice()) {
            return Ok(Typed::new(format!("count(*){over}"), SqlType::BigInt));
        }
        let [argument] = list.args.as_slice() else { return Err(not_supported(name)) };
        let value = self.expression(positional(name, argument)?)?;
        if !distinct.is_empty() && !over.is_empty() {
            return Err(SqlError::new("DISTINCT is not implemented for window functions"));
        }
        match name {
            "count" => Ok(Typed::new(format!("count({distinct}{}){over}", value.sql), SqlType::BigInt)),
            "min" | "max" | "any_value" => {
                let value = if value.ty == SqlType::Unknown { self.as_text(value)? } else { value };
                let function = if name == "min" { "min" } else { "max" };
                match value.ty {
                    SqlType::Boolean if name != "any_value" => {
                        Err(SqlError::new(format!("function {name}(boolean) does not exist")))
                    }
                    SqlType::Super => Err(SqlError::unsupported(format!("{name} of SUPER"), "cast the value first")),
                    ty => Ok(Typed::new(format!("{function}({}){over}", value.sql), ty)),
                }
            }
            "bool_and" | "bool_or" => {
                let value = self.cast(value, SqlType::Boolean, Mode::Implicit)?;
                let function = if name == "bool_and" { "min" } else { "max" };
                Ok(Typed::new(format!("{function}({}){over}", value.sql), SqlType::Boolean))
            }
            "sum" | "avg" => self.total(name, value, distinct, over),
            _ => self.spread(name, value, distinct, over),
        }
    }

    fn total(&self, name: &str, value: Typed, distinct: &str, over: &str) -> SqlResult<Typed> {
        let value = match value.ty {
            SqlType::Unknown | SqlType::Super => self.cast(value, SqlType::Double, Mode::Implicit)?,
            ty if ty.is_numeric() => value,
            ty => return Err(SqlError::new(format!("function {name}({}) does not exist", ty.catalog_name()))),
        };
        let sql = &value.sql;
        Ok(match (name, value.ty) {
            (_, SqlType::Decimal { scale, .. }) => {
                if !over.is_empty() {
                    return Err(SqlError::unsupported(
                        format!("{name} of DECIMAL as a window function"),
                        "cast the argument to DOUBLE PRECISION or BIGINT",
                    ));
                }
                Typed::new(format!("rs_dec_{name}({distinct}{sql})"), SqlType::Decimal { precision: 38, scale })
            }
            ("sum", ty) if ty.is_integer() => Typed::new(format!("sum({distinct}{sql}){over}"), SqlType::BigInt),
            // An integer mean is an integer, cut off toward zero.
            (_, ty) if ty.is_integer() => {
                let sql = format!("(sum({distinct}{sql}){over} / count({distinct}{sql}){over})");
                Typed::new(sql, SqlType::BigInt)
            }
            (name, _) => Typed::new(format!("{name}({distinct}{sql}){over}"), SqlType::Double),
        })
    }

    fn spread(&self, name: &str, value: Typed, distinct: &str, over: &str) -> SqlResult<Typed> {
        if !over.is_empty() {
            return Err(SqlError::unsupported(format!("{name} as a window function"), "group instead"));
        }
        if !value.ty.is_numeric() {
            return Err(SqlError::new(format!("function {name}({}) does not exist", value.ty.catalog_name())));
        }
        let function = match name {
            "stddev" => "stddev_samp",
            "variance" => "var_samp",
            other => other,
        };
        let value = self.cast(value, SqlType::Double, Mode::Implicit)?;
        Ok(Typed::new(format!("rs_{function}({distinct}{})", value.sql), SqlType::Double))
    }

    fn listagg(&mut self, call: &Function, arguments: &[FunctionArg], distinct: &str, over: &str) -> SqlResult<Typed> {
        if !over.is_empty() {
            return Err(SqlError::unsupported("LISTAGG as a window function", "group instead"));
        }
        let (value, delimiter) = match arguments {
            [value] => (self.text(positional("listagg", value)?)?, None),
            [value, delimiter] => {
                let value = self.text(positional("listagg", value)?)?;
                (value, Some(self.text(positional("listagg", delimiter)?)?))
            }
            _ => return Err(not_supported("listagg")),
        };
        if !distinct.is_empty() {
            return Err(SqlError::unsupported("LISTAGG(DISTINCT …)", "select DISTINCT values in a sub-SELECT first"));
        }
        let order = match self.order_terms(&call.within_group)? {
            terms if terms.is_empty() => String::new(),
            terms => format!(" ORDER BY {terms}"),
        };
        let delimiter = delimiter.unwrap_or_else(|| "''".to_owned());
        let sql = format!("group_concat({value}, {delimiter}{order})");
        Ok(Typed::new(sql, SqlType::Varchar(VARCHAR_MAX)))
    }
}
