//! Operators: the common type of two operands, arithmetic that overflows as Redshift's, comparisons between what can
//! be compared.

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};

use super::cast::Mode;
use super::{Planner, Typed};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::sql_type::{SqlType, VARCHAR_MAX};

/// The type both sides become; `None` where they have none.
pub(super) fn common_type(left: SqlType, right: SqlType) -> Option<SqlType> {
    use SqlType::{Char, Date, Decimal, Double, Real, Super, Timestamp, TimestampTz, Unknown, Varchar};
    Some(match (left, right) {
        (Unknown, Unknown) => Varchar(VARCHAR_MAX),
        (Unknown, other) | (other, Unknown) => other,
        (a, b) if a == b => a,
        (a, b) if a.is_integer() && b.is_integer() => {
            if a.integer_bits() > b.integer_bits() {
                a
            } else {
                b
            }
        }
        (Real, Real) => Real,
        (a, b) if a.is_numeric() && b.is_numeric() && (a.is_float() || b.is_float()) => Double,
        (a, b) if a.is_numeric() && b.is_numeric() => {
            let ((p1, s1), (p2, s2)) = (a.as_decimal(), b.as_decimal());
            let scale = s1.max(s2);
            Decimal { precision: ((p1 - s1).max(p2 - s2) + scale).min(38), scale }
        }
        (Varchar(a) | Char(a), Varchar(b) | Char(b)) => Varchar(a.max(b)),
        // PostgreSQL 8 turns the number into text.
        (Varchar(_) | Char(_), b) if b.is_numeric() => Varchar(VARCHAR_MAX),
        (a, Varchar(_) | Char(_)) if a.is_numeric() => Varchar(VARCHAR_MAX),
        (Date, other @ (Timestamp | TimestampTz)) | (other @ (Timestamp | TimestampTz), Date) => other,
        (Timestamp, TimestampTz) | (TimestampTz, Timestamp) => TimestampTz,
        (Super, _) | (_, Super) => Super,
        _ => return None,
    })
}

fn no_operator(left: SqlType, operator: &str, right: SqlType) -> SqlError {
    SqlError::new(format!(
        "operator does not exist: {} {operator} {}\n  Hint: No operator matches the given name and argument type(s). \
         You may need to add explicit type casts.",
        left.catalog_name(),
        right.catalog_name()
    ))
}

impl Planner<'_> {
    pub(super) fn binary(&mut self, left: &Expr, operator: &BinaryOperator, right: &Expr) -> SqlResult<Typed> {
        if matches!(operator, BinaryOperator::And | BinaryOperator::Or) {
            return self.chain(left, operator, right);
        }
        if let Some(shifted) = self.interval_arithmetic(left, operator, right)? {
            return Ok(shifted);
        }
        let (left, right) = (self.expression(left)?, self.expression(right)?);
        match operator {
            BinaryOperator::Eq => self.compare(left, "=", right),
            BinaryOperator::NotEq => self.compare(left, "<>", right),
            BinaryOperator::Lt => self.compare(left, "<", right),
            BinaryOperator::LtEq => self.compare(left, "<=", right),
            BinaryOperator::Gt => self.compare(left, ">", right),
            BinaryOperator::GtEq => self.compare(left, ">=", right),
            BinaryOperator::StringConcat => {
                let (left, right) = (self.as_text(left)?, self.as_text(right)?);
                Ok(Typed::new(format!("({} || {})", left.sql, right.sql), SqlType::Varchar(VARCHAR_MAX)))
            }
            BinaryOperator::Plus => self.arithmetic(left, "+", right),
            BinaryOperator::Minus => self.arithmetic(left, "-", right),
            BinaryOperator::Multiply => self.arithmetic(left, "*", right),
            BinaryOperator::Divide => self.arithmetic(left, "/", right),
            BinaryOperator::Modulo => self.arithmetic(left, "%", right),
            other => Err(SqlError::unsupported(format!("the operator {other}"), "write it with functions or LIKE")),
        }
    }

    /// A long chain of AND or OR becomes a balanced tree: the embedded database bounds the depth of expressions.
    fn chain(&mut self, left: &Expr, operator: &BinaryOperator, right: &Expr) -> SqlResult<Typed> {
        let word = if *operator == BinaryOperator::And { "AND" } else { "OR" };
        let mut terms = vec![right];
        let mut rest = left;
        while let Expr::BinaryOp { left, op, right } = rest {
            if op != operator {
                break;
            }
            terms.push(right);
            rest = left;
        }
        terms.push(rest);
        let mut planned = Vec::with_capacity(terms.len());
        for term in terms.into_iter().rev() {
            planned.push(self.condition(term, word)?);
        }
        Ok(Typed::new(balanced(&planned, word), SqlType::Boolean))
    }

    /// A truth value for WHERE, HAVING, ON, AND, …
    pub(super) fn condition(&mut self, expression: &Expr, place: &str) -> SqlResult<String> {
        let value = self.expression(expression)?;
        match value.ty {
            SqlType::Boolean => Ok(value.sql),
            SqlType::Unknown => Ok(self.cast(value, SqlType::Boolean, Mode::Implicit)?.sql),
            SqlType::Super => Ok(format!("rs_if_super_bool({})", value.sql)),
            other => Err(SqlError::new(format!(
                "argument of {place} must be type boolean, not type {}",
                other.catalog_name()
            ))),
        }
    }

    pub(super) fn compare(&self, left: Typed, operator: &str, right: Typed) -> SqlResult<Typed> {
        let (left, right) = self.comparable(left, operator, right)?;
        Ok(Typed::new(format!("({} {operator} {})", left.sql, right.sql), SqlType::Boolean))
    }

    /// Both sides in one type that the embedded database compares rightly.
    pub(super) fn comparable(&self, left: Typed, operator: &str, right: Typed) -> SqlResult<(Typed, Typed)> {
        let common = common_type(left.ty, right.ty).ok_or_else(|| no_operator(left.ty, operator, right.ty))?;
        if common == SqlType::Super {
            let (left_type, right_type) = (left.ty, right.ty);
            return Ok((self.navigated(left, right_type)?, self.navigated(right, left_type)?));
        }
        Ok((self.cast(left, common, Mode::Implicit)?, self.cast(right, common, Mode::Implicit)?))
    }

    /// Dynamic typing: a SUPER value that is not of the other side's kind compares as NULL (Developer Guide:
    /// `query-super`, dynamic typing).
    fn navigated(&self, value: Typed, other: SqlType) -> SqlResult<Typed> {
        if value.ty != SqlType::Super {
            return match value.ty {
                SqlType::Unknown => self.as_text(value),
                SqlType::Decimal { .. } => self.cast(value, SqlType::Double, Mode::Implicit),
                _ => Ok(value),
            };
        }
        let function = match other {
            SqlType::Super => return Ok(value),
            SqlType::Char(_) | SqlType::Varchar(_) | SqlType::Unknown => "rs_if_super_text",
            SqlType::Boolean => "rs_if_super_bool",
            number if number.is_numeric() => "rs_if_super_number",
            time => {
                return Err(SqlError::unsupported(
                    format!("comparing SUPER with {}", time.catalog_name()),
                    "cast the SUPER value first",
                ));
            }
        };
        Ok(Typed::new(format!("{function}({})", value.sql), other))
    }

    pub(super) fn arithmetic(&self, left: Typed, operator: &str, right: Typed) -> SqlResult<Typed> {
        if left.ty.is_time() || right.ty.is_time() {
            return self.time_arithmetic(left, operator, right);
        }
        let (left, right) = match (left.ty, right.ty) {
            (SqlType::Super, _) | (_, SqlType::Super) => {
                return Err(SqlError::unsupported("arithmetic on SUPER", "cast the SUPER value to a number first"));
            }
            (SqlType::Unknown, SqlType::Unknown) => return Err(no_operator(left.ty, operator, right.ty)),
            (SqlType::Unknown, to) if to.is_numeric() => (self.cast(left, to, Mode::Implicit)?, right),
            (to, SqlType::Unknown) if to.is_numeric() => {
                let right = self.cast(right, to, Mode::Implicit)?;
                (left, right)
            }
            (a, b) if a.is_numeric() && b.is_numeric() => (left, right),
            (a, b) => return Err(no_operator(a, operator, b)),
        };
        let Some(common) = common_type(left.ty, right.ty) else {
            return Err(no_operator(left.ty, operator, right.ty));
        };
        if let SqlType::Decimal { .. } = common {
            return self.decimal_arithmetic(left, operator, right);
        }
        let (left, right) = (self.cast(left, common, Mode::Implicit)?, self.cast(right, common, Mode::Implicit)?);
        let sql = if common.is_float() {
            let function = match operator {
                "+" => "rs_fadd",
                "-" => "rs_fsub",
                "*" => "rs_fmul",
                "/" => "rs_fdiv",
                _ => "rs_fmod",
            };
            format!("{function}({}, {})", left.sql, right.sql)
        } else {
            let function = match operator {
                "+" => "rs_add",
                "-" => "rs_sub",
                "*" => "rs_mul",
                "/" => "rs_div",
                _ => "rs_mod",
            };
            format!("{function}({}, {}, {})", left.sql, right.sql, common.integer_bits())
        };
        Ok(Typed::new(sql, common))
    }

    /// Precision and scale of results: Developer Guide, `r_numeric_computations201`.
    fn decimal_arithmetic(&self, left: Typed, operator: &str, right: Typed) -> SqlResult<Typed> {
        let ((p1, s1), (p2, s2)) = (left.ty.as_decimal(), right.ty.as_decimal());
        let exact = |(precision, scale)| SqlType::Decimal { precision, scale };
        match operator {
            "*" => {
                let precision = (p1 + p2 + 1).min(38);
                let scale = (s1 + s2).min(37);
                let (left, right) = (self.exact(left, exact((p1, s1)))?, self.exact(right, exact((p2, s2)))?);
                let sql = format!("rs_dmul({}, {}, {}, {precision}, {scale})", left.sql, right.sql, s1 + s2);
                Ok(Typed::new(sql, exact((precision, scale))))
            }
            "/" => {
                let scale = (s1 + p2 + 1).saturating_sub(s2).max(4);
                let whole = p1 - s1 + s2;
                // What does not fit 38 digits is taken from the scale, down to 4.
                let scale = if whole + scale > 38 { 38_u8.saturating_sub(whole).max(4) } else { scale };
                let precision = (whole + scale).min(38);
                let (left, right) = (self.exact(left, exact((p1, s1)))?, self.exact(right, exact((p2, s2)))?);
                let sql = format!("rs_ddiv({}, {s1}, {}, {s2}, {precision}, {scale})", left.sql, right.sql);
                Ok(Typed::new(sql, exact((precision, scale))))
            }
            _ => {
                let scale = s1.max(s2);
                let precision = ((p1 - s1).max(p2 - s2) + scale + 1).min(38);
                let ty = exact((precision, scale));
                let (left, right) = (self.exact(left, ty)?, self.exact(right, ty)?);
                let function = match operator {
                    "+" => "rs_dadd",
                    "-" => "rs_dsub",
                    _ => "rs_dmod",
                };
                Ok(Typed::new(format!("{function}({}, {}, {precision})", left.sql, right.sql), ty))
            }
        }
    }

    fn exact(&self, value: Typed, ty: SqlType) -> SqlResult<Typed> {
        self.cast(value, ty, Mode::Implicit)
    }

    pub(super) fn unary(&mut self, operator: UnaryOperator, operand: &Expr) -> SqlResult<Typed> {
        if operator == UnaryOperator::Not {
            let condition = self.condition(operand, "NOT")?;
            return Ok(Typed::new(format!("(NOT {condition})"), SqlType::Boolean));
        }
        let value = self.expression(operand)?;
        match operator {
            UnaryOperator::Plus if value.ty.is_numeric() => Ok(value),
            UnaryOperator::Minus => match value.ty {
                ty @ SqlType::Decimal { .. } => Ok(Typed::new(format!("rs_dneg({})", value.sql), ty)),
                ty if ty.is_float() => Ok(Typed::new(format!("(-{})", value.sql), ty)),
                ty if ty.is_integer() && value.sql.bytes().all(|b| b.is_ascii_digit()) => {
                    Ok(Typed::new(format!("-{}", value.sql), ty))
                }
                ty if ty.is_integer() => Ok(Typed::new(format!("rs_sub(0, {}, {})", value.sql, ty.integer_bits()), ty)),
                ty => Err(no_operator(SqlType::Unknown, "-", ty)),
            },
            other => Err(SqlError::unsupported(format!("the operator {other}"), "write it with functions")),
        }
    }
}

fn balanced(terms: &[String], word: &str) -> String {
    match terms {
        [only] => only.clone(),
        _ => {
            let (left, right) = terms.split_at(terms.len() / 2);
            format!("({} {word} {})", balanced(left, word), balanced(right, word))
        }
    }
}
