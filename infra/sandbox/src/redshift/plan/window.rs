//! Window functions: `f(…) OVER (PARTITION BY … ORDER BY … ROWS …)` (Developer Guide: `r_Window_functions`).

use sqlparser::ast::{
    Expr, Function, NullTreatment, OrderByExpr, OrderBySort, Value, WindowFrame, WindowFrameBound, WindowFrameUnits,
    WindowSpec, WindowType,
};

use super::aggregate::is_aggregate;
use super::cast::Mode;
use super::function::{not_supported, plain_arguments};
use super::{Planner, Typed};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::sql_type::SqlType;

impl Planner<'_> {
    pub(super) fn window_function(&mut self, name: &str, call: &Function) -> SqlResult<Typed> {
        let Some(WindowType::WindowSpec(spec)) = &call.over else {
            return Err(SqlError::unsupported("named windows", "write the window in OVER (…)"));
        };
        if !self.scope().allow_aggregates {
            return Err(SqlError::new("window functions not allowed in WHERE, GROUP BY or JOIN conditions"));
        }
        if call.null_treatment == Some(NullTreatment::IgnoreNulls) {
            return Err(SqlError::unsupported("IGNORE NULLS", "filter the NULLs in a sub-SELECT"));
        }
        let framed = is_aggregate(name) || matches!(name, "first_value" | "last_value" | "nth_value");
        if framed && !spec.order_by.is_empty() && spec.window_frame.is_none() {
            return Err(SqlError::new("Aggregate window functions with an ORDER BY clause require a frame clause"));
        }
        if !framed && spec.window_frame.is_some() {
            return Err(SqlError::new(format!("a frame clause is not allowed with {name}")));
        }
        let over = self.over(spec)?;
        if is_aggregate(name) {
            return self.aggregate_call(name, call, &over);
        }
        let arguments = plain_arguments(name, call)?;
        Ok(match (name, arguments.as_slice()) {
            ("row_number" | "rank" | "dense_rank", []) => Typed::new(format!("{name}(){over}"), SqlType::BigInt),
            ("percent_rank" | "cume_dist", []) => Typed::new(format!("{name}(){over}"), SqlType::Double),
            ("ntile", [buckets]) => Typed::new(format!("ntile({}){over}", self.integer(buckets)?), SqlType::BigInt),
            ("lag" | "lead", [value]) => self.over_value(name, value, "", &over)?,
            ("lag" | "lead", [value, offset]) => {
                let offset = format!(", {}", self.integer(offset)?);
                self.over_value(name, value, &offset, &over)?
            }
            ("lag" | "lead", [value, offset, default]) => {
                let typed = self.expression(value)?;
                let offset = self.integer(offset)?;
                let default = self.expression(default)?;
                let default = self.cast(default, typed.ty, Mode::Implicit)?;
                Typed::new(format!("{name}({}, {offset}, {}){over}", typed.sql, default.sql), typed.ty)
            }
            ("first_value" | "last_value", [value]) => self.over_value(name, value, "", &over)?,
            ("nth_value", [value, position]) => {
                let position = format!(", {}", self.integer(position)?);
                self.over_value(name, value, &position, &over)?
            }
            _ => return Err(not_supported(name)),
        })
    }

    fn over_value(&mut self, name: &str, value: &Expr, rest: &str, over: &str) -> SqlResult<Typed> {
        let value = self.expression(value)?;
        let value = if value.ty == SqlType::Unknown { self.as_text(value)? } else { value };
        Ok(Typed::new(format!("{name}({}{rest}){over}", value.sql), value.ty))
    }

    fn over(&mut self, spec: &WindowSpec) -> SqlResult<String> {
        if spec.window_name.is_some() {
            return Err(SqlError::unsupported("named windows", "write the window in OVER (…)"));
        }
        let mut parts = Vec::new();
        if !spec.partition_by.is_empty() {
            let keys =
                spec.partition_by.iter().map(|key| Ok(self.expression(key)?.sql)).collect::<SqlResult<Vec<_>>>()?;
            parts.push(format!("PARTITION BY {}", keys.join(", ")));
        }
        if !spec.order_by.is_empty() {
            parts.push(format!("ORDER BY {}", self.order_terms(&spec.order_by)?));
        }
        if let Some(frame) = &spec.window_frame {
            parts.push(frame_sql(frame)?);
        }
        Ok(format!(" OVER ({})", parts.join(" ")))
    }

    /// ORDER BY inside a window or LISTAGG: expressions only, a number is no position.
    pub(super) fn order_terms(&mut self, terms: &[OrderByExpr]) -> SqlResult<String> {
        let planned = terms.iter().map(|term| {
            let value = self.expression(&term.expr)?;
            let direction = order_direction(term)?;
            Ok(format!("{} {direction}", value.sql))
        });
        Ok(planned.collect::<SqlResult<Vec<_>>>()?.join(", "))
    }
}

/// NULLs are larger than everything (Developer Guide: `r_ORDER_BY_clause`); the embedded database has it the other
/// way round.
pub(super) fn order_direction(term: &OrderByExpr) -> SqlResult<&'static str> {
    let descending = match &term.options.sort {
        None | Some(OrderBySort::Asc) => false,
        Some(OrderBySort::Desc) => true,
        Some(OrderBySort::Using(operator)) => {
            return Err(SqlError::unsupported(format!("ORDER BY … USING {operator}"), "use ASC or DESC"));
        }
    };
    let nulls_first = term.options.nulls_first.unwrap_or(descending);
    Ok(match (descending, nulls_first) {
        (false, false) => "ASC NULLS LAST",
        (false, true) => "ASC NULLS FIRST",
        (true, false) => "DESC NULLS LAST",
        (true, true) => "DESC NULLS FIRST",
    })
}

fn frame_sql(frame: &WindowFrame) -> SqlResult<String> {
    if frame.units != WindowFrameUnits::Rows {
        return Err(SqlError::unsupported(format!("the frame unit {}", frame.units), "use ROWS"));
    }
    let start = bound(&frame.start_bound)?;
    Ok(match &frame.end_bound {
        Some(end) => format!("ROWS BETWEEN {start} AND {}", bound(end)?),
        None => format!("ROWS {start}"),
    })
}

fn bound(bound: &WindowFrameBound) -> SqlResult<String> {
    let constant = |rows: &Expr| match rows {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) if digits.bytes().all(|b| b.is_ascii_digit()) => Ok(digits.clone()),
            _ => Err(SqlError::new("a frame bound must be a constant number of rows")),
        },
        _ => Err(SqlError::new("a frame bound must be a constant number of rows")),
    };
    Ok(match bound {
        WindowFrameBound::CurrentRow => "CURRENT ROW".to_owned(),
        WindowFrameBound::Preceding(None) => "UNBOUNDED PRECEDING".to_owned(),
        WindowFrameBound::Following(None) => "UNBOUNDED FOLLOWING".to_owned(),
        WindowFrameBound::Preceding(Some(rows)) => format!("{} PRECEDING", constant(rows)?),
        WindowFrameBound::Following(Some(rows)) => format!("{} FOLLOWING", constant(rows)?),
    })
}
