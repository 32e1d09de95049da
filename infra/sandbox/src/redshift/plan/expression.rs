//! Scalar expressions other than operators and function calls.

use sqlparser::ast::{CaseWhen, CastKind, Expr, Ident, Query, TrimWhereField};

use super::cast::Mode;
use super::literal;
use super::operator::common_type;
use super::{Planner, Typed};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::parse::fold_ident;
use crate::redshift::sql_type::{SqlType, VARCHAR_MAX};

impl Planner<'_> {
    pub(super) fn expression(&mut self, expression: &Expr) -> SqlResult<Typed> {
        let mark = self.scope().loose.len();
        let planned = self.plan_expression(expression)?;
        self.settle_group_key(mark, &planned.sql);
        Ok(planned)
    }

    fn plan_expression(&mut self, expression: &Expr) -> SqlResult<Typed> {
        match expression {
            Expr::Identifier(ident) => self.identifier(ident),
            Expr::CompoundIdentifier(parts) => self.compound_identifier(parts),
            Expr::CompoundFieldAccess { root, access_chain } => self.field_access(root, access_chain),
            Expr::JsonAccess { value, path } => self.json_access(value, path),
            Expr::Nested(inner) => self.expression(inner),
            Expr::Value(value) => literal::value(&value.value),
            Expr::TypedString(typed) => {
                let text = typed.value.value.clone().into_string().unwrap_or_default();
                self.cast(literal::quoted(&text)?, SqlType::from_ast(&typed.data_type)?, Mode::Explicit)
            }
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, .. } => {
                let value = self.expression(expr)?;
                self.cast(value, SqlType::from_ast(data_type)?, Mode::Explicit)
            }
            Expr::Convert { expr, data_type: Some(data_type), .. } => {
                let value = self.expression(expr)?;
                self.cast(value, SqlType::from_ast(data_type)?, Mode::Explicit)
            }
            Expr::IsNull(inner) => self.is_null(inner, "IS NULL"),
            Expr::IsNotNull(inner) => self.is_null(inner, "IS NOT NULL"),
            Expr::IsTrue(inner) => self.truth(inner, "IS 1"),
            Expr::IsNotTrue(inner) => self.truth(inner, "IS NOT 1"),
            Expr::IsFalse(inner) => self.truth(inner, "IS 0"),
            Expr::IsNotFalse(inner) => self.truth(inner, "IS NOT 0"),
            Expr::IsUnknown(inner) => self.truth(inner, "IS NULL"),
            Expr::IsNotUnknown(inner) => self.truth(inner, "IS NOT NULL"),
            Expr::InList { expr, list, negated } => self.in_list(expr, list, *negated),
            Expr::InSubquery { expr, subquery, negated } => self.in_subquery(expr, subquery, *negated),
            Expr::Between { expr, negated, low, high } => self.between(expr, *negated, low, high),
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                self.like("rs_like", *negated, expr, pattern, escape_char.as_deref())
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                self.like("rs_ilike", *negated, expr, pattern, escape_char.as_deref())
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            Expr::Exists { subquery, negated } => {
                let rows = self.query(subquery)?;
                let not = if *negated { "NOT " } else { "" };
                Ok(Typed::new(format!("({not}EXISTS ({}))", rows.sql), SqlType::Boolean))
            }
            Expr::Subquery(query) => self.scalar_subquery(query),
            Expr::Function(function) => self.function(function),
            Expr::Extract { field, expr, .. } => self.extract(&field.to_string(), expr),
            Expr::Ceil { expr, .. } => self.ceil_floor("ceil", expr),
            Expr::Floor { expr, .. } => self.ceil_floor("floor", expr),
            Expr::Position { expr, r#in } => {
                let (wanted, text) = (self.text(expr)?, self.text(r#in)?);
                Ok(Typed::new(format!("rs_strpos({text}, {wanted})"), SqlType::Integer))
            }
            Expr::Substring { expr, substring_from: Some(from), substring_for, .. } => {
                self.substring(expr, from, substring_for.as_deref())
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
                let set = trim_what.as_deref().or(trim_characters.as_ref().and_then(|list| list.first()));
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    _ => "trim",
                };
                self.trim(name, expr, set)
            }
            Expr::AtTimeZone { timestamp, time_zone } => self.at_time_zone(timestamp, time_zone),
            Expr::Interval(_) => Err(SqlError::unsupported(
                "an INTERVAL by itself",
                "add it to or subtract it from a DATE or TIMESTAMP, or use DATEADD",
            )),
            other => Err(SqlError::unsupported(format!("the expression {other}"), "write it another way")),
        }
    }

    fn identifier(&mut self, ident: &Ident) -> SqlResult<Typed> {
        let name = fold_ident(ident);
        if let Some(column) = self.find_column(&name)? {
            return Ok(column);
        }
        if ident.quote_style.is_none()
            && let Some(value) = self.keyword_value(&name)
        {
            return Ok(value);
        }
        Err(self.no_such_column(&name))
    }

    /// SYSDATE and its kind: functions that take no parentheses.
    pub(super) fn keyword_value(&self, name: &str) -> Option<Typed> {
        Some(match name {
            "sysdate" => Typed::new(self.facts.transaction_time.to_string(), SqlType::Timestamp),
            "current_timestamp" => Typed::new(self.facts.transaction_time.to_string(), SqlType::TimestampTz),
            "current_date" => {
                let days = self.facts.transaction_time.div_euclid(crate::redshift::values::timestamp::MICROS_PER_DAY);
                Typed::new(days.to_string(), SqlType::Date)
            }
            "current_user" | "session_user" | "user" => {
                Typed::new(literal::text_literal(&self.facts.user), SqlType::Varchar(128))
            }
            _ => return None,
        })
    }

    fn is_null(&mut self, inner: &Expr, test: &str) -> SqlResult<Typed> {
        let value = self.expression(inner)?;
        Ok(Typed::new(format!("({} {test})", value.sql), SqlType::Boolean))
    }

    fn truth(&mut self, inner: &Expr, test: &str) -> SqlResult<Typed> {
        let condition = self.condition(inner, "IS")?;
        Ok(Typed::new(format!("({condition} {test})"), SqlType::Boolean))
    }

    fn in_list(&mut self, expression: &Expr, list: &[Expr], negated: bool) -> SqlResult<Typed> {
        let value = self.expression(expression)?;
        let items = list.iter().map(|item| self.expression(item)).collect::<SqlResult<Vec<_>>>()?;
        let mut common = value.ty;
        for item in &items {
            common = common_type(common, item.ty).ok_or_else(|| {
                SqlError::new(format!(
                    "operator does not exist: {} = {}",
                    value.ty.catalog_name(),
                    item.ty.catalog_name()
                ))
            })?;
        }
        if common == SqlType::Super {
            // Dynamic typing goes pair by pair.
            let tests = items
                .into_iter()
                .map(|item| Ok(self.compare(value.clone(), "=", item)?.sql))
                .collect::<SqlResult<Vec<_>>>()?;
            let not = if negated { "NOT " } else { "" };
            return Ok(Typed::new(format!("({not}({}))", tests.join(" OR ")), SqlType::Boolean));
        }
        let value = self.cast(value, common, Mode::Implicit)?;
        let items = items
            .into_iter()
            .map(|item| Ok(self.cast(item, common, Mode::Implicit)?.sql))
            .collect::<SqlResult<Vec<_>>>()?;
        let not = if negated { "NOT " } else { "" };
        Ok(Typed::new(format!("({} {not}IN ({}))", value.sql, items.join(", ")), SqlType::Boolean))
    }

    fn in_subquery(&mut self, expression: &Expr, query: &Query, negated: bool) -> SqlResult<Typed> {
        let value = self.expression(expression)?;
        let rows = self.query(query)?;
        let [column] = rows.columns.as_slice() else {
            return Err(SqlError::new("subquery has too many columns"));
        };
        let inner = Typed::new("c1", column.ty);
        let (value, inner) = self.comparable(value, "=", inner)?;
        let sql = if inner.sql == "c1" { rows.sql } else { format!("SELECT {} FROM ({})", inner.sql, rows.sql) };
        let not = if negated { "NOT " } else { "" };
        Ok(Typed::new(format!("({} {not}IN ({sql}))", value.sql), SqlType::Boolean))
    }

    fn between(&mut self, expression: &Expr, negated: bool, low: &Expr, high: &Expr) -> SqlResult<Typed> {
        let value = self.expression(expression)?;
        let (low, high) = (self.expression(low)?, self.expression(high)?);
        let above = self.compare(value.clone(), ">=", low)?;
        let below = self.compare(value, "<=", high)?;
        let not = if negated { "NOT " } else { "" };
        Ok(Typed::new(format!("({not}({} AND {}))", above.sql, below.sql), SqlType::Boolean))
    }

    fn like(
        &mut self,
        function: &str,
        negated: bool,
        expression: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
    ) -> SqlResult<Typed> {
        let (text, pattern) = (self.text(expression)?, self.text(pattern)?);
        let escape = match escape {
            Some(escape) => self.text(escape)?,
            None => "'\\'".to_owned(),
        };
        let not = if negated { "NOT " } else { "" };
        Ok(Typed::new(format!("({not}{function}({text}, {pattern}, {escape}))"), SqlType::Boolean))
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        else_result: Option<&Expr>,
    ) -> SqlResult<Typed> {
        let operand = operand.map(|operand| self.expression(operand)).transpose()?;
        let mut branches = Vec::with_capacity(conditions.len());
        for when in conditions {
            let condition = match &operand {
                Some(operand) => {
                    let value = self.expression(&when.condition)?;
                    self.compare(operand.clone(), "=", value)?.sql
                }
                None => self.condition(&when.condition, "CASE/WHEN")?,
            };
            branches.push((condition, self.expression(&when.result)?));
        }
        let otherwise = else_result.map(|result| self.expression(result)).transpose()?;
        let mut results: Vec<Typed> = branches.iter().map(|(_, result)| result.clone()).collect();
        results.extend(otherwise);
        let has_else = results.len() > branches.len();
        let (ty, mut results) = self.unify(results, "CASE")?;
        let otherwise = if has_else { results.pop() } else { None };
        let mut sql = String::from("CASE");
        for ((condition, _), result) in branches.iter().zip(&results) {
            sql.push_str(&format!(" WHEN {condition} THEN {result}"));
        }
        if let Some(otherwise) = otherwise {
            sql.push_str(&format!(" ELSE {otherwise}"));
        }
        sql.push_str(" END");
        Ok(Typed::new(sql, ty))
    }

    /// Values that must have one type: the branches of CASE, the arguments of COALESCE.
    pub(super) fn unify(&self, values: Vec<Typed>, place: &str) -> SqlResult<(SqlType, Vec<String>)> {
        let mut ty = SqlType::Unknown;
        let mut any_text = false;
        for value in &values {
            any_text |= value.literal.is_some();
            ty = match (ty, value.ty) {
                (SqlType::Unknown, SqlType::Unknown) => SqlType::Unknown,
                (known, other) => common_type(known, other).ok_or_else(|| {
                    SqlError::new(format!(
                        "{place} types {} and {} cannot be matched",
                        known.catalog_name(),
                        other.catalog_name()
                    ))
                })?,
            };
        }
        if ty == SqlType::Unknown && any_text {
            ty = SqlType::Varchar(VARCHAR_MAX);
        }
        let cast = values.into_iter().map(|value| Ok(self.cast(value, ty, Mode::Implicit)?.sql));
        Ok((ty, cast.collect::<SqlResult<_>>()?))
    }

    /// One column, at most one row; a second row is an error, not cut off.
    fn scalar_subquery(&mut self, query: &Query) -> SqlResult<Typed> {
        let rows = self.query(query)?;
        let [column] = rows.columns.as_slice() else {
            return Err(SqlError::new("subquery must return only one column"));
        };
        let sql = format!(
            "(SELECT CASE WHEN count(*) > 1 THEN rs_fail('single-row subquery returns more than one row') \
             ELSE max(c1) END FROM (SELECT c1 FROM ({}) LIMIT 2))",
            rows.sql
        );
        Ok(Typed::new(sql, column.ty))
    }

    /// An argument that is wanted as text.
    pub(super) fn text(&mut self, expression: &Expr) -> SqlResult<String> {
        let value = self.expression(expression)?;
        Ok(self.as_text(value)?.sql)
    }
}
