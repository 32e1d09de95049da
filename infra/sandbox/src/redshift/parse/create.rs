//! CREATE SCHEMA, TABLE, VIEW (Developer Guide: `r_CREATE_SCHEMA`, `r_CREATE_TABLE_NEW`, `r_CREATE_VIEW`).

use sqlparser::tokenizer::Token;

use super::{ColumnDefinition, CreateTable, Reader, Statement, parse_expression, parse_query};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::sql_type::SqlType;

const MAX_COLUMNS: usize = 1_600;

const ENCODINGS: [&str; 14] = [
    "auto",
    "raw",
    "az64",
    "bytedict",
    "delta",
    "delta32k",
    "lzo",
    "mostly8",
    "mostly16",
    "mostly32",
    "runlength",
    "text255",
    "text32k",
    "zstd",
];

pub(super) fn create(reader: &mut Reader<'_>) -> SqlResult<Statement> {
    reader.expect_word("create")?;
    if reader.word("schema") {
        let if_not_exists = reader.words(&["if", "not", "exists"]);
        let name = reader.identifier()?;
        if reader.word("authorization") {
            reader.identifier()?;
        }
        return Ok(Statement::CreateSchema { name, if_not_exists });
    }
    if reader.word("table") {
        return table(reader);
    }
    let or_replace = reader.words(&["or", "replace"]);
    if reader.word("view") {
        return view(reader, or_replace);
    }
    let kind = reader.peek_word().unwrap_or_default();
    match kind.as_str() {
        "temp" | "temporary" | "local" => Err(SqlError::unsupported(
            "temporary tables",
            "create a table in a schema of your own and drop it when done",
        )),
        "role" | "user" | "group" => Err(SqlError::unsupported(
            format!("CREATE {}", kind.to_ascii_uppercase()),
            "leave it out: GRANT accepts every valid name",
        )),
        "external" | "materialized" | "function" | "procedure" | "model" | "database" | "library" | "datashare"
        | "identity" | "masking" | "rls" => {
            Err(SqlError::unsupported(format!("CREATE {}", kind.to_ascii_uppercase()), "use a table or a view"))
        }
        _ => Err(reader.unexpected()),
    }
}

fn view(reader: &mut Reader<'_>, or_replace: bool) -> SqlResult<Statement> {
    let name = reader.relation()?;
    let columns = if reader.peek() == Token::LParen { reader.in_parentheses(Reader::identifier)? } else { Vec::new() };
    reader.expect_word("as")?;
    let text = reader.text_until(|_, _| false)?;
    // The clause can only be the last words of the statement.
    let lower = text.to_ascii_lowercase();
    let words: Vec<&str> = lower.split_whitespace().rev().take(4).collect();
    let late_binding = words == ["binding", "schema", "no", "with"];
    let query = if late_binding { &text[..lower.rfind("with").unwrap_or(text.len())] } else { text };
    parse_query(query)?;
    Ok(Statement::CreateView { name, or_replace, columns, query: query.trim().to_owned(), late_binding })
}

fn table(reader: &mut Reader<'_>) -> SqlResult<Statement> {
    let if_not_exists = reader.words(&["if", "not", "exists"]);
    let name = reader.relation()?;
    if reader.peek() != Token::LParen {
        table_attributes(reader)?;
        reader.expect_word("as")?;
        let query = reader.query()?;
        return Ok(Statement::CreateTableAs { name, if_not_exists, query });
    }
    reader.expect(&Token::LParen)?;
    if reader.peek_word().as_deref() == Some("like") {
        return Err(SqlError::unsupported("CREATE TABLE (LIKE …)", "write the columns"));
    }
    let mut columns: Vec<ColumnDefinition> = Vec::new();
    let mut sort_key = Vec::new();
    loop {
        if !table_constraint(reader)? {
            let (column, is_sort_key) = column(reader)?;
            if columns.iter().any(|known| known.name == column.name) {
                return Err(SqlError::new(format!("column \"{}\" duplicated", column.name)));
            }
            if is_sort_key {
                sort_key.push(column.name.clone());
            }
            columns.push(column);
        }
        if !reader.token(&Token::Comma) {
            break;
        }
    }
    reader.expect(&Token::RParen)?;
    if columns.len() > MAX_COLUMNS {
        return Err(SqlError::new(format!("tables can have at most {MAX_COLUMNS} columns")));
    }
    sort_key.extend(table_attributes(reader)?);
    for key in &sort_key {
        match columns.iter().find(|column| column.name == *key) {
            None => return Err(SqlError::new(format!("column \"{key}\" named in key does not exist"))),
            Some(column) if column.ty == SqlType::Super => {
                return Err(SqlError::new(format!("column \"{key}\" of type super cannot be a sort key")));
            }
            Some(_) => {}
        }
    }
    Ok(Statement::CreateTable(CreateTable { name, if_not_exists, columns, sort_key }))
}

/// PRIMARY KEY, UNIQUE and FOREIGN KEY are informational: read, never enforced.
fn table_constraint(reader: &mut Reader<'_>) -> SqlResult<bool> {
    if reader.words(&["primary", "key"]) || reader.words(&["foreign", "key"]) {
        reader.in_parentheses(Reader::identifier)?;
    } else if reader.peek_word().as_deref() == Some("unique") {
        reader.expect_word("unique")?;
        reader.in_parentheses(Reader::identifier)?;
    } else {
        return Ok(false);
    }
    if reader.word("references") {
        references(reader)?;
    }
    Ok(true)
}

fn references(reader: &mut Reader<'_>) -> SqlResult<()> {
    reader.relation()?;
    if reader.peek() == Token::LParen {
        reader.in_parentheses(Reader::identifier)?;
    }
    Ok(())
}

/// One column, and whether it is marked as sort key.
pub(super) fn column(reader: &mut Reader<'_>) -> SqlResult<(ColumnDefinition, bool)> {
    let name = reader.identifier()?;
    let ty = reader.data_type()?;
    let mut column = ColumnDefinition { name, ty, not_null: false, default: None, encoding: None };
    let mut sort_key = false;
    loop {
        if reader.words(&["not", "null"]) {
            column.not_null = true;
        } else if reader.word("null") || reader.words(&["primary", "key"]) || reader.word("unique") {
            // NULL is the default; keys are informational.
        } else if reader.word("default") {
            let text = reader.text_until(|token, word| *token == Token::Comma || word.is_some_and(ends_default))?;
            parse_expression(text)?;
            column.default = Some(text.to_owned());
        } else if reader.word("encode") {
            let encoding = reader.any_word()?;
            if !ENCODINGS.contains(&encoding.as_str()) {
                return Err(SqlError::new(format!(
                    "unrecognized encoding \"{encoding}\" for column \"{}\"",
                    column.name
                )));
            }
            column.encoding = Some(encoding);
        } else if reader.word("sortkey") {
            sort_key = true;
        } else if reader.word("distkey") {
            if ty == SqlType::Super {
                return Err(SqlError::new(format!("column \"{}\" of type super cannot be a dist key", column.name)));
            }
        } else if reader.word("references") {
            references(reader)?;
        } else if matches!(reader.peek_word().as_deref(), Some("identity" | "generated" | "collate")) {
            let form = reader.any_word()?.to_ascii_uppercase();
            return Err(SqlError::unsupported(format!("{form} columns"), "fill the column by INSERT or COPY"));
        } else {
            return Ok((column, sort_key));
        }
    }
}

fn ends_default(word: &str) -> bool {
    matches!(word, "not" | "null" | "encode" | "distkey" | "sortkey" | "primary" | "unique" | "references" | "collate")
}

/// Distribution means nothing on one machine; a sort key is kept.
fn table_attributes(reader: &mut Reader<'_>) -> SqlResult<Vec<String>> {
    let mut sort_key = Vec::new();
    loop {
        if reader.word("backup") {
            if !reader.word("yes") && !reader.word("no") {
                return Err(reader.unexpected());
            }
        } else if reader.word("diststyle") {
            if !["auto", "even", "key", "all"].iter().any(|style| reader.word(style)) {
                return Err(reader.unexpected());
            }
        } else if reader.word("distkey") {
            reader.in_parentheses(Reader::identifier)?;
        } else if reader.words(&["encode", "auto"]) || reader.words(&["sortkey", "auto"]) {
            // What a table has anyway.
        } else if reader.words(&["compound", "sortkey"])
            || reader.words(&["interleaved", "sortkey"])
            || reader.word("sortkey")
        {
            sort_key = reader.in_parentheses(Reader::identifier)?;
        } else {
            return Ok(sort_key);
        }
    }
}
