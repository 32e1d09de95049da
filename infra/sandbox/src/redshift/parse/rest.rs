//! The short statements: DROP, LOCK, SET, TRUNCATE, COMMENT ON, ANALYZE and VACUUM.

use sqlparser::tokenizer::Token;

use super::name::relation_name;
use super::{CommentTarget, Reader, Statement};
use crate::redshift::error::{SqlError, SqlResult};

pub(super) fn drop(reader: &mut Reader<'_>) -> SqlResult<Statement> {
    reader.expect_word("drop")?;
    let kind = reader.any_word()?;
    if !matches!(kind.as_str(), "table" | "view" | "schema") {
        return Err(SqlError::unsupported(
            format!("DROP {}", kind.to_ascii_uppercase()),
            "drop tables, views or schemas",
        ));
    }
    let if_exists = reader.words(&["if", "exists"]);
    let names = reader.list(Reader::relation)?;
    let cascade = reader.word("cascade");
    if !cascade {
        reader.word("restrict");
    }
    Ok(match kind.as_str() {
        "table" => Statement::DropTable { names, if_exists, cascade },
        "view" => Statement::DropView { names, if_exists, cascade },
        _ => Statement::DropSchema { names: names.into_iter().map(|name| name.name).collect(), if_exists, cascade },
    })
}

/// No mode: a table lock is ACCESS EXCLUSIVE (Developer Guide: `r_LOCK`).
pub(super) fn lock(reader: &mut Reader<'_>) -> SqlResult<Statement> {
    reader.expect_word("lock")?;
    reader.word("table");
    Ok(Statement::Lock(reader.list(Reader::relation)?))
}

/// `SET name TO value`, `SET name = value`; the value keeps its text, without quotes.
pub(super) fn set(reader: &mut Reader<'_>) -> SqlResult<Statement> {
    reader.expect_word("set")?;
    let scope = reader.peek_word_at(1);
    if matches!(reader.peek_word().as_deref(), Some("session" | "local")) && scope.as_deref() != Some("to") {
        reader.any_word()?;
    }
    let name = reader.identifier()?;
    if !reader.word("to") && !reader.token(&Token::Eq) {
        return Err(reader.unexpected());
    }
    let values = reader.list(|reader| {
        let negative = reader.token(&Token::Minus);
        let value = match reader.advance().token {
            Token::Word(word) => word.value,
            Token::SingleQuotedString(text) => text,
            Token::Number(digits, _) => digits,
            _ => return Err(reader.unexpected()),
        };
        Ok(if negative { format!("-{value}") } else { value })
    })?;
    Ok(Statement::Set { name, value: values.join(", ") })
}

pub(super) fn truncate(reader: &mut Reader<'_>) -> SqlResult<Statement> {
    reader.expect_word("truncate")?;
    reader.word("table");
    Ok(Statement::Truncate(reader.relation()?))
}

pub(super) fn comment(reader: &mut Reader<'_>) -> SqlResult<Statement> {
    reader.expect_word("comment")?;
    reader.expect_word("on")?;
    let on = match reader.any_word()?.as_str() {
        "table" => CommentTarget::Table(reader.relation()?),
        "view" => CommentTarget::View(reader.relation()?),
        "schema" => CommentTarget::Schema(reader.identifier()?),
        "column" => {
            let mut parts = vec![reader.identifier()?];
            while reader.token(&Token::Period) {
                parts.push(reader.identifier()?);
            }
            let column = parts.pop().unwrap_or_default();
            if parts.is_empty() {
                return Err(SqlError::new("column name must be qualified"));
            }
            CommentTarget::Column(relation_name(parts)?, column)
        }
        other => {
            return Err(SqlError::unsupported(
                format!("COMMENT ON {}", other.to_ascii_uppercase()),
                "comment on a table, view, column or schema",
            ));
        }
    };
    reader.expect_word("is")?;
    let text = if reader.word("null") { None } else { Some(reader.string()?) };
    Ok(Statement::Comment { on, text })
}

pub(super) fn maintain(reader: &mut Reader<'_>) -> SqlResult<Statement> {
    let vacuum = reader.any_word()? == "vacuum";
    if vacuum {
        for words in [&["full"][..], &["sort", "only"], &["delete", "only"], &["reindex"], &["recluster"]] {
            if reader.words(words) {
                break;
            }
        }
    } else {
        reader.word("verbose");
    }
    let name = if reader.peek() == Token::EOF { None } else { Some(reader.relation()?) };
    if !vacuum && name.is_some() && reader.peek() == Token::LParen {
        reader.in_parentheses(Reader::identifier)?;
    }
    if !vacuum && !reader.words(&["predicate", "columns"]) {
        reader.words(&["all", "columns"]);
    }
    Ok(Statement::Maintain { name, vacuum })
}
