//! Dates and times: `DATE_TRUNC`, DATEADD, DATEDIFF, EXTRACT, intervals, adding days.

use sqlparser::ast::{BinaryOperator, Expr, Interval, Value};

use super::cast::Mode;
use super::{Planner, Typed};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::functions::{part_name, part_size};
use crate::redshift::sql_type::{SqlType, VARCHAR_MAX};

impl Planner<'_> {
    /// A point in time in microseconds; a DATE is its midnight, a quoted literal a TIMESTAMP.
    fn instant(&mut self, expression: &Expr) -> SqlResult<Typed> {
        let value = self.expression(expression)?;
        match value.ty {
            SqlType::TimestampTz | SqlType::Timestamp => Ok(value),
            SqlType::Date | SqlType::Unknown => self.cast(value, SqlType::Timestamp, Mode::Implicit),
            other => Err(SqlError::new(format!(
                "function needs a date or timestamp, not {}; cast the argument",
                other.catalog_name()
            ))),
        }
    }

    pub(super) fn time_function(&mut self, name: &str, arguments: &[&Expr]) -> SqlResult<Option<Typed>> {
        Ok(Some(match (name, arguments) {
            ("getdate", []) => {
                // Whole seconds (Developer Guide: `r_GETDATE`).
                let seconds = self.facts.statement_time.div_euclid(1_000_000) * 1_000_000;
                Typed::new(seconds.to_string(), SqlType::Timestamp)
            }
            ("now", []) => Typed::new(self.facts.transaction_time.to_string(), SqlType::TimestampTz),
            ("date_trunc", [part, at]) => {
                let (part, at) = (date_part(part)?, self.instant(at)?);
                Typed::new(format!("rs_date_trunc('{part}', {})", at.sql), at.ty)
            }
            ("dateadd" | "date_add", [part, count, at]) => {
                let (part, count, at) = (date_part(part)?, self.integer(count)?, self.instant(at)?);
                Typed::new(format!("rs_date_add('{part}', {count}, {})", at.sql), at.ty)
            }
            ("datediff" | "date_diff", [part, from, to]) => {
                let (part, from, to) = (date_part(part)?, self.instant(from)?, self.instant(to)?);
                Typed::new(format!("rs_date_diff('{part}', {}, {})", from.sql, to.sql), SqlType::BigInt)
            }
            ("date_part" | "pgdate_part", [part, at]) => {
                let (part, at) = (date_part(part)?, self.instant(at)?);
                let sql = match part {
                    "epoch" => format!("rs_epoch({})", at.sql),
                    part => format!("CAST(rs_date_part('{part}', {}) AS REAL)", at.sql),
                };
                Typed::new(sql, SqlType::Double)
            }
            ("add_months", [at, count]) => {
                let (at, count) = (self.instant(at)?, self.integer(count)?);
                Typed::new(format!("rs_shift({}, {count}, 0)", at.sql), at.ty)
            }
            ("last_day", [at]) => Typed::new(format!("rs_last_day({})", self.instant(at)?.sql), SqlType::Date),
            ("to_char", [at, pattern]) => {
                let value = self.expression(at)?;
                if !value.ty.is_time() {
                    return Err(SqlError::unsupported("TO_CHAR of a number", "cast it to VARCHAR"));
                }
                let (at, pattern) = (self.instant(at)?, self.text(pattern)?);
                Typed::new(format!("rs_to_char({}, {pattern})", at.sql), SqlType::Varchar(VARCHAR_MAX))
            }
            ("to_date" | "to_timestamp", [_, _]) => {
                return Err(SqlError::unsupported(
                    format!("{} with a pattern", name.to_ascii_uppercase()),
                    "cast text in ISO 8601 form to DATE or TIMESTAMP",
                ));
            }
            _ => return Ok(None),
        }))
    }

    pub(super) fn extract(&mut self, field: &str, expression: &Expr) -> SqlResult<Typed> {
        let (part, at) = (part_name(field)?, self.instant(expression)?);
        Ok(Typed::new(format!("rs_date_part('{part}', {})", at.sql), SqlType::Integer))
    }

    pub(super) fn at_time_zone(&mut self, timestamp: &Expr, zone: &Expr) -> SqlResult<Typed> {
        let zone = match zone {
            Expr::Value(value) => value.value.clone().into_string().unwrap_or_default(),
            other => other.to_string(),
        };
        if !["utc", "gmt", "z"].iter().any(|name| zone.eq_ignore_ascii_case(name)) {
            return Err(SqlError::unsupported(format!("the time zone '{zone}'"), "use 'UTC'"));
        }
        let at = self.instant(timestamp)?;
        let ty = if at.ty == SqlType::TimestampTz { SqlType::Timestamp } else { SqlType::TimestampTz };
        Ok(Typed::new(at.sql, ty))
    }

    /// `at + INTERVAL '1 day'`, `at - INTERVAL '7' DAY`; `None` where neither side is an interval.
    pub(super) fn interval_arithmetic(
        &mut self,
        left: &Expr,
        operator: &BinaryOperator,
        right: &Expr,
    ) -> SqlResult<Option<Typed>> {
        let (at, interval, sign) = match (left, operator, right) {
            (at, BinaryOperator::Plus, Expr::Interval(interval)) => (at, interval, 1),
            (Expr::Interval(interval), BinaryOperator::Plus, at) => (at, interval, 1),
            (at, BinaryOperator::Minus, Expr::Interval(interval)) => (at, interval, -1),
            _ => return Ok(None),
        };
        let (months, duration) = interval_size(interval)?;
        let at = self.instant(at)?;
        let sql = format!("rs_shift({}, {}, {})", at.sql, sign * months, sign * duration);
        Ok(Some(Typed::new(sql, at.ty)))
    }

    /// A DATE and a number of days; the days between two DATEs.
    pub(super) fn time_arithmetic(&self, left: Typed, operator: &str, right: Typed) -> SqlResult<Typed> {
        use SqlType::{Date, Integer};
        match (left.ty, operator, right.ty) {
            (Date, "-", Date | SqlType::Unknown) => {
                let right = self.cast(right, Date, Mode::Implicit)?;
                Ok(Typed::new(format!("({} - {})", left.sql, right.sql), Integer))
            }
            (Date, "+" | "-", days) if days.is_integer() => {
                Ok(Typed::new(format!("({} {operator} {})", left.sql, right.sql), Date))
            }
            (days, "+", Date) if days.is_integer() => Ok(Typed::new(format!("({} + {})", left.sql, right.sql), Date)),
            (_, "-", _) if left.ty.is_time() && right.ty.is_time() => {
                Err(SqlError::unsupported("the difference of two timestamps", "use DATEDIFF(second, earlier, later)"))
            }
            (a, _, b) => Err(SqlError::unsupported(
                format!("{} {operator} {}", a.catalog_name(), b.catalog_name()),
                "use DATEADD or an INTERVAL",
            )),
        }
    }
}

/// A date part as a bare word or in quotes.
fn date_part(expression: &Expr) -> SqlResult<&'static str> {
    match expression {
        Expr::Identifier(ident) => part_name(&ident.value),
        Expr::Value(value) => part_name(&value.value.clone().into_string().unwrap_or_default()),
        other => part_name(&other.to_string()),
    }
}

fn interval_size(interval: &Interval) -> SqlResult<(i64, i64)> {
    let wrong = || SqlError::unsupported(format!("the interval {interval}"), "write INTERVAL '<n> <part>'");
    let text = match interval.value.as_ref() {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => text.clone(),
            Value::Number(digits, _) => digits.clone(),
            _ => return Err(wrong()),
        },
        _ => return Err(wrong()),
    };
    if interval.last_field.is_some() {
        return Err(wrong());
    }
    let text = match &interval.leading_field {
        Some(field) => format!("{text} {field}"),
        None => text,
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut total = (0_i64, 0_i64);
    for pair in words.chunks(2) {
        let [count, part] = pair else { return Err(wrong()) };
        let count: i64 = count.parse().map_err(|_| wrong())?;
        let (months, duration) = part_size(part_name(part.trim_end_matches(','))?)?;
        let scaled = months.checked_mul(count).zip(duration.checked_mul(count)).ok_or_else(wrong)?;
        total = total.0.checked_add(scaled.0).zip(total.1.checked_add(scaled.1)).ok_or_else(wrong)?;
    }
    if words.is_empty() { Err(wrong()) } else { Ok(total) }
}
