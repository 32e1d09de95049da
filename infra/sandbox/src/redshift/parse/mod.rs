//! From the text of one statement to what it asks for. Queries and row changes are read by `sqlparser`; everything
//! Redshift adds or spells its own way (COPY, LOCK, table attributes, column encodings, GRANT, …) is read here, token
//! by token, and what Redshift would refuse is refused.

mod alter;
mod copy;
mod create;
mod grant;
mod name;
mod reader;
mod rest;

use sqlparser::ast::{self, Query};

use super::error::{SqlError, SqlResult};
use super::sql_type::SqlType;

pub(crate) use copy::{Compression, CopyFormat, CopyStatement, TimeFormat};
pub(crate) use grant::{GrantStatement, GrantTarget};
pub(crate) use name::{RelationName, fold, fold_ident, is_reserved, object_name};
pub(crate) use reader::Reader;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Statement {
    Query(Box<Query>),
    Insert(Box<ast::Insert>),
    Update(Box<ast::Update>),
    Delete(Box<ast::Delete>),
    Copy(CopyStatement),
    CreateSchema {
        name: String,
        if_not_exists: bool,
    },
    CreateTable(CreateTable),
    CreateTableAs {
        name: RelationName,
        if_not_exists: bool,
        query: Box<Query>,
    },
    CreateView {
        name: RelationName,
        or_replace: bool,
        columns: Vec<String>,
        query: String,
        late_binding: bool,
    },
    DropTable {
        names: Vec<RelationName>,
        if_exists: bool,
        cascade: bool,
    },
    DropView {
        names: Vec<RelationName>,
        if_exists: bool,
        cascade: bool,
    },
    DropSchema {
        names: Vec<String>,
        if_exists: bool,
        cascade: bool,
    },
    AlterTable {
        name: RelationName,
        change: TableChange,
    },
    Lock(Vec<RelationName>),
    Set {
        name: String,
        value: String,
    },
    Truncate(RelationName),
    Grant(GrantStatement),
    Comment {
        on: CommentTarget,
        text: Option<String>,
    },
    /// ANALYZE and VACUUM: nothing to do here but to check the name.
    Maintain {
        name: Option<RelationName>,
        vacuum: bool,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CreateTable {
    pub(crate) name: RelationName,
    pub(crate) if_not_exists: bool,
    pub(crate) columns: Vec<ColumnDefinition>,
    pub(crate) sort_key: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ColumnDefinition {
    pub(crate) name: String,
    pub(crate) ty: SqlType,
    pub(crate) not_null: bool,
    /// The expression's own text: evaluated anew for each statement.
    pub(crate) default: Option<String>,
    pub(crate) encoding: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TableChange {
    AddColumn(ColumnDefinition),
    DropColumn { name: String },
    ResizeColumn { name: String, ty: SqlType },
    RenameColumn { from: String, to: String },
    Rename { to: String },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CommentTarget {
    Schema(String),
    Table(RelationName),
    View(RelationName),
    Column(RelationName, String),
}

/// Reads the one statement in a text; a final semicolon is allowed.
pub(crate) fn parse(sql: &str) -> SqlResult<Statement> {
    let mut reader = Reader::new(sql)?;
    let first = reader.peek_word().unwrap_or_default();
    let statement = match first.as_str() {
        "select" | "with" | "" => Statement::Query(reader.query()?),
        "insert" | "update" | "delete" => row_change(&mut reader)?,
        "copy" => Statement::Copy(copy::copy(&mut reader)?),
        "create" => create::create(&mut reader)?,
        "drop" => rest::drop(&mut reader)?,
        "alter" => alter::alter(&mut reader)?,
        "lock" => rest::lock(&mut reader)?,
        "set" => rest::set(&mut reader)?,
        "truncate" => rest::truncate(&mut reader)?,
        "grant" | "revoke" => Statement::Grant(grant::grant(&mut reader)?),
        "comment" => rest::comment(&mut reader)?,
        "analyze" | "analyse" | "vacuum" => rest::maintain(&mut reader)?,
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" => {
            return Err(SqlError::unsupported(
                format!("{} as a statement", first.to_ascii_uppercase()),
                "send the statements of a transaction together in one BatchExecuteStatement",
            ));
        }
        "merge" | "unload" | "call" | "show" | "explain" | "declare" | "fetch" | "close" | "prepare" | "execute"
        | "deallocate" | "reset" | "cancel" | "use" | "describe" => {
            return Err(SqlError::unsupported(
                format!("{} statements", first.to_ascii_uppercase()),
                "use SELECT, INSERT, UPDATE, DELETE, COPY or DDL",
            ));
        }
        _ => return Err(reader.unexpected()),
    };
    reader.end()?;
    Ok(statement)
}

fn row_change(reader: &mut Reader<'_>) -> SqlResult<Statement> {
    match reader.statement()? {
        ast::Statement::Insert(insert) => Ok(Statement::Insert(Box::new(insert))),
        ast::Statement::Update(update) => Ok(Statement::Update(Box::new(update))),
        ast::Statement::Delete(delete) => Ok(Statement::Delete(Box::new(delete))),
        other => Err(SqlError::unsupported(format!("the form {other}"), "use INSERT, UPDATE or DELETE")),
    }
}

/// An expression on its own: a column's stored default.
pub(crate) fn parse_expression(text: &str) -> SqlResult<ast::Expr> {
    let mut reader = Reader::new(text)?;
    let expression = reader.expression()?;
    reader.end()?;
    Ok(expression)
}

/// A query on its own: a view's stored definition.
pub(crate) fn parse_query(text: &str) -> SqlResult<Box<Query>> {
    let mut reader = Reader::new(text)?;
    let query = reader.query()?;
    reader.end()?;
    Ok(query)
}

#[cfg(test)]
mod tests;
