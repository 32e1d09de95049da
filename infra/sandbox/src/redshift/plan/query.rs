//! Queries around their SELECTs: WITH, UNION and its kin, VALUES, LIMIT.

use sqlparser::ast::{
    Expr, LimitClause, OrderBy, OrderByExpr, OrderByKind, Query, SetExpr, SetOperator, SetQuantifier, Value, Values,
    With,
};

use super::cast::Mode;
use super::function::agree;
use super::window::order_direction;
use super::{OutputColumn, Planner, Rows, Typed};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::parse::fold_ident;
use crate::redshift::sql_type::{SqlType, VARCHAR_MAX};

impl Planner<'_> {
    pub(super) fn query(&mut self, query: &Query) -> SqlResult<Rows> {
        if query.fetch.is_some()
            || !query.locks.is_empty()
            || query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty()
        {
            return Err(SqlError::unsupported("this clause after the query", "use ORDER BY, LIMIT and OFFSET only"));
        }
        let visible = self.ctes.len();
        let planned = self.with_body(query);
        self.ctes.truncate(visible);
        planned
    }

    fn with_body(&mut self, query: &Query) -> SqlResult<Rows> {
        let prefix = query.with.as_ref().map_or(Ok(String::new()), |with| self.with(with))?;
        let limit = limit_sql(query.limit_clause.as_ref())?;
        let order: &[OrderByExpr] = match &query.order_by {
            None => &[],
            Some(OrderBy { kind: OrderByKind::Expressions(terms), interpolate: None }) => terms,
            Some(_) => return Err(SqlError::unsupported("ORDER BY ALL", "name the columns")),
        };
        let mut rows = match query.body.as_ref() {
            SetExpr::Select(select) => self.select(select, order, &limit)?,
            other => {
                let mut rows = self.set_expression(other)?;
                let order = output_order(&rows.columns, order)?;
                if !order.is_empty() || !limit.is_empty() {
                    let names = column_list(&rows.columns);
                    rows.sql = format!("SELECT {names} FROM ({}){order}{limit}", rows.sql);
                }
                rows
            }
        };
        rows.sql = format!("{prefix}{}", rows.sql);
        Ok(rows)
    }

    fn with(&mut self, with: &With) -> SqlResult<String> {
        if with.recursive {
            return Err(SqlError::unsupported("WITH RECURSIVE", "unroll the recursion"));
        }
        let mut parts = Vec::with_capacity(with.cte_tables.len());
        for cte in &with.cte_tables {
            let mut rows = self.query(&cte.query)?;
            for (column, renamed) in rows.columns.iter_mut().zip(&cte.alias.columns) {
                column.name = fold_ident(&renamed.name);
            }
            // Not an alias of the kind tables get, so that no table alias can hide it.
            self.aliases += 1;
            let sql_name = format!("w{}", self.aliases);
            parts.push(format!("{sql_name} AS ({})", rows.sql));
            rows.sql = sql_name;
            self.ctes.push((fold_ident(&cte.alias.name), rows));
        }
        Ok(format!("WITH {} ", parts.join(", ")))
    }

    fn set_expression(&mut self, expression: &SetExpr) -> SqlResult<Rows> {
        match expression {
            SetExpr::Select(select) => self.select(select, &[], ""),
            SetExpr::Query(query) => self.query(query),
            SetExpr::Values(values) => self.values(values),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let all = match set_quantifier {
                    SetQuantifier::All => true,
                    SetQuantifier::None | SetQuantifier::Distinct => false,
                    other => return Err(SqlError::unsupported(format!("{op} {other}"), "use UNION or UNION ALL")),
                };
                let word = match (op, all) {
                    (SetOperator::Union, true) => "UNION ALL",
                    (SetOperator::Union, false) => "UNION",
                    (SetOperator::Intersect, false) => "INTERSECT",
                    (SetOperator::Except | SetOperator::Minus, false) => "EXCEPT",
                    (other, true) => return Err(SqlError::new(format!("{other} ALL is not supported"))),
                };
                let (left, right) = (self.set_expression(left)?, self.set_expression(right)?);
                self.combine(left, word, right)
            }
            other => Err(SqlError::unsupported(format!("the query {other}"), "use SELECT")),
        }
    }

    fn combine(&mut self, left: Rows, word: &str, right: Rows) -> SqlResult<Rows> {
        if left.columns.len() != right.columns.len() {
            return Err(SqlError::new(format!("each {word} query must have the same number of columns")));
        }
        let mut types = Vec::with_capacity(left.columns.len());
        for (a, b) in left.columns.iter().zip(&right.columns) {
            types.push(if a.ty == b.ty { a.ty } else { agree(a.ty, b.ty, word)? });
        }
        let columns = left.columns.iter().zip(&types).enumerate().map(|(i, (column, ty))| OutputColumn {
            name: column.name.clone(),
            sql_name: format!("c{}", i + 1),
            ty: *ty,
        });
        let columns: Vec<_> = columns.collect();
        let sql = format!("{} {word} {}", self.side(&left, &types)?, self.side(&right, &types)?);
        Ok(Rows { sql, columns })
    }

    fn side(&self, rows: &Rows, types: &[SqlType]) -> SqlResult<String> {
        let casts = rows.columns.iter().zip(types).enumerate().map(|(i, (column, ty))| {
            let value = Typed::new(column.sql_name.clone(), column.ty);
            Ok(format!("{} AS c{}", self.cast(value, *ty, Mode::Implicit)?.sql, i + 1))
        });
        Ok(format!("SELECT {} FROM ({})", casts.collect::<SqlResult<Vec<_>>>()?.join(", "), rows.sql))
    }

    fn values(&mut self, values: &Values) -> SqlResult<Rows> {
        let width = values.rows.first().map_or(0, |row| row.content.len());
        let mut cells: Vec<Vec<Typed>> = vec![Vec::new(); width];
        for row in &values.rows {
            if row.content.len() != width {
                return Err(SqlError::new("VALUES lists must all be the same length"));
            }
            for (column, cell) in cells.iter_mut().zip(&row.content) {
                column.push(self.expression(cell)?);
            }
        }
        let mut columns = Vec::with_capacity(width);
        let mut by_column = Vec::with_capacity(width);
        for (i, column) in cells.into_iter().enumerate() {
            let (ty, cells) = self.unify(column, "VALUES")?;
            columns.push(OutputColumn { name: format!("column{}", i + 1), sql_name: format!("c{}", i + 1), ty });
            by_column.push(cells);
        }
        let rows: Vec<String> = (0..values.rows.len())
            .map(|row| {
                let cells: Vec<&str> = by_column.iter().map(|column| column[row].as_str()).collect();
                format!("({})", cells.join(", "))
            })
            .collect();
        let names: Vec<String> = (1..=width).map(|i| format!("column{i} AS c{i}")).collect();
        Ok(Rows { sql: format!("SELECT {} FROM (VALUES {})", names.join(", "), rows.join(", ")), columns })
    }
}

pub(super) fn column_list(columns: &[OutputColumn]) -> String {
    columns.iter().map(|column| column.sql_name.as_str()).collect::<Vec<_>>().join(", ")
}

/// After a set operation only output columns, by name or position, can order.
fn output_order(columns: &[OutputColumn], terms: &[OrderByExpr]) -> SqlResult<String> {
    let mut parts = Vec::with_capacity(terms.len());
    for term in terms {
        let position = match &term.expr {
            Expr::Identifier(ident) => {
                let name = fold_ident(ident);
                columns.iter().position(|column| column.name == name)
            }
            other => ordinal(other, columns.len())?.map(|position| position - 1),
        };
        let Some(position) = position else {
            return Err(SqlError::new(
                "ORDER BY on a UNION/INTERSECT/EXCEPT result must be on one of the result columns",
            ));
        };
        parts.push(format!("{} {}", position + 1, order_direction(term)?));
    }
    Ok(if parts.is_empty() { String::new() } else { format!(" ORDER BY {}", parts.join(", ")) })
}

/// A position in the select list, counted from 1.
pub(super) fn ordinal(expression: &Expr, columns: usize) -> SqlResult<Option<usize>> {
    let Expr::Value(value) = expression else { return Ok(None) };
    let Value::Number(digits, _) = &value.value else { return Ok(None) };
    match digits.parse::<usize>() {
        Ok(position) if (1..=columns).contains(&position) => Ok(Some(position)),
        _ => Err(SqlError::new(format!("position {digits} is not in select list"))),
    }
}

fn limit_sql(clause: Option<&LimitClause>) -> SqlResult<String> {
    let (limit, offset) = match clause {
        None => return Ok(String::new()),
        Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
            (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
        }
        Some(other) => return Err(SqlError::unsupported(format!("the clause{other}"), "use LIMIT n OFFSET m")),
    };
    let mut sql = match limit {
        None => " LIMIT -1".to_owned(),
        Some(limit) => format!(" LIMIT {}", row_count(limit)?),
    };
    if let Some(offset) = offset {
        sql.push_str(&format!(" OFFSET {}", row_count(offset)?));
    }
    Ok(sql)
}

fn row_count(expression: &Expr) -> SqlResult<String> {
    let constant = match expression {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.clone()),
            Value::Null => Some("-1".to_owned()),
            _ => None,
        },
        _ => None,
    };
    constant.ok_or_else(|| SqlError::new("argument of LIMIT or OFFSET must be a constant number of rows"))
}

/// Columns of a table made from a query: what never found a type is text.
pub(crate) fn settled(ty: SqlType) -> SqlType {
    if ty == SqlType::Unknown { SqlType::Varchar(VARCHAR_MAX) } else { ty }
}
