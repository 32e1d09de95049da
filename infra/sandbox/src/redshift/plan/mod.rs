//! From a parsed statement to SQL of the embedded database, every name resolved and every type known: Redshift's
//! static types decide what an operator does, never what happens to be stored.

mod aggregate;
mod cast;
mod change;
mod expression;
mod function;
mod literal;
mod operator;
mod query;
mod relation;
mod scope;
mod select;
mod super_path;
mod system;
mod time_function;
mod window;

use rusqlite::Connection;
use sqlparser::ast::{Expr, Query};

use super::error::SqlResult;
use super::sql_type::SqlType;
use cast::Mode;
use scope::Scope;

pub(crate) use change::{plan_delete, plan_insert, plan_update, table};
pub(crate) use query::settled;

/// What a statement may ask about its session; constant while it runs.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) database: String,
    pub(crate) user: String,
    pub(crate) search_path: Vec<String>,
    /// `GETDATE()`: now. SYSDATE: when the transaction began.
    pub(crate) statement_time: i64,
    pub(crate) transaction_time: i64,
    pub(crate) last_copy_count: i64,
    pub(crate) last_copy_id: i64,
    pub(crate) process_id: i64,
}

/// A planned expression.
#[derive(Debug, Clone)]
pub(crate) struct Typed {
    pub(crate) sql: String,
    pub(crate) ty: SqlType,
    /// The text of a quoted literal that has not found its type yet.
    literal: Option<String>,
}

impl Typed {
    fn new(sql: impl Into<String>, ty: SqlType) -> Typed {
        Typed { sql: sql.into(), ty, literal: None }
    }

    fn null() -> Typed {
        Typed::new("NULL", SqlType::Unknown)
    }

    fn is_null(&self) -> bool {
        self.ty == SqlType::Unknown && self.literal.is_none() && self.sql == "NULL"
    }
}

/// A column of a planned query: `name` is what users see, `sql_name` what the planned SQL calls it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OutputColumn {
    pub(crate) name: String,
    pub(crate) sql_name: String,
    pub(crate) ty: SqlType,
}

/// A planned query, its columns called `c1`, `c2`, … in order.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub(crate) sql: String,
    pub(crate) columns: Vec<OutputColumn>,
}

pub(crate) struct Planner<'a> {
    db: &'a Connection,
    facts: &'a Facts,
    scopes: Vec<Scope>,
    ctes: Vec<(String, Rows)>,
    /// Relations are called `r1`, `r2`, … so that no alias of a user can shadow another.
    aliases: usize,
    /// Views inside views.
    depth: usize,
}

impl<'a> Planner<'a> {
    fn new(db: &'a Connection, facts: &'a Facts) -> Planner<'a> {
        Planner { db, facts, scopes: Vec::new(), ctes: Vec::new(), aliases: 0, depth: 0 }
    }

    fn next_alias(&mut self) -> String {
        self.aliases += 1;
        format!("r{}", self.aliases)
    }
}

/// A query whose columns all have a type: a quoted literal that never found one is text.
pub(crate) fn plan_query(db: &Connection, facts: &Facts, query: &Query) -> SqlResult<Rows> {
    Planner::new(db, facts).query(query)
}

/// A column's default, as the value to store in a column of that type.
pub(crate) fn plan_default(db: &Connection, facts: &Facts, expression: &Expr, ty: SqlType) -> SqlResult<String> {
    let mut planner = Planner::new(db, facts);
    let value = planner.expression(expression)?;
    Ok(planner.cast(value, ty, Mode::Assignment)?.sql)
}
