//! GRANT and REVOKE: read strictly and recorded; the sandbox has one user, who may do everything.

use sqlparser::tokenizer::Token;

use super::{Reader, RelationName};
use crate::redshift::error::{SqlError, SqlResult};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GrantStatement {
    pub(crate) revoke: bool,
    pub(crate) privileges: Vec<String>,
    pub(crate) on: GrantTarget,
    /// `name`, `role name`, `group name` or `public`.
    pub(crate) grantees: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum GrantTarget {
    Relations(Vec<RelationName>),
    AllTablesIn(Vec<String>),
    Schemas(Vec<String>),
    Databases(Vec<String>),
}

const PRIVILEGES: [&str; 13] = [
    "select",
    "insert",
    "update",
    "delete",
    "drop",
    "references",
    "alter",
    "truncate",
    "create",
    "usage",
    "temp",
    "temporary",
    "all",
];

pub(super) fn grant(reader: &mut Reader<'_>) -> SqlResult<GrantStatement> {
    let revoke = reader.any_word()? == "revoke";
    if revoke {
        reader.words(&["grant", "option", "for"]);
    }
    let privileges = reader.list(|reader| {
        let privilege = reader.any_word()?;
        if !PRIVILEGES.contains(&privilege.as_str()) {
            return Err(SqlError::unsupported(
                format!("the privilege {}", privilege.to_ascii_uppercase()),
                "use a table, schema or database privilege",
            ));
        }
        if privilege == "all" {
            reader.word("privileges");
        }
        Ok(privilege)
    })?;
    reader.expect_word("on")?;
    let on = target(reader)?;
    reader.expect_word(if revoke { "from" } else { "to" })?;
    let grantees = reader.list(|reader| {
        let kind = reader.peek_word().filter(|word| matches!(word.as_str(), "role" | "group"));
        // A user may be called "role"; then no second name follows.
        let named = kind.is_some() && !matches!(reader.peek_word_at(1).as_deref(), Some("with" | "cascade"));
        match kind {
            Some(kind) if named => {
                reader.any_word()?;
                Ok(format!("{kind} {}", reader.identifier()?))
            }
            _ => reader.identifier(),
        }
    })?;
    if !revoke {
        reader.words(&["with", "grant", "option"]);
    } else if !reader.word("cascade") {
        reader.word("restrict");
    }
    Ok(GrantStatement { revoke, privileges, on, grantees })
}

fn target(reader: &mut Reader<'_>) -> SqlResult<GrantTarget> {
    if reader.words(&["all", "tables", "in", "schema"]) {
        return Ok(GrantTarget::AllTablesIn(reader.list(Reader::identifier)?));
    }
    if reader.word("schema") {
        return Ok(GrantTarget::Schemas(reader.list(Reader::identifier)?));
    }
    if reader.word("database") {
        return Ok(GrantTarget::Databases(reader.list(Reader::identifier)?));
    }
    if let Some(word @ ("function" | "procedure" | "language" | "datashare" | "model")) = reader.peek_word().as_deref()
    {
        return Err(SqlError::unsupported(
            format!("GRANT ON {}", word.to_ascii_uppercase()),
            "grant on tables, schemas or the database",
        ));
    }
    reader.word("table");
    let relations = reader.list(Reader::relation)?;
    if reader.peek() == Token::LParen {
        return Err(SqlError::unsupported("column privileges", "grant on the whole table"));
    }
    Ok(GrantTarget::Relations(relations))
}
