//! A cursor over one statement's tokens, with Redshift's words for what does not fit. Wraps `sqlparser`'s parser so
//! that own grammar and its queries, expressions and types read from the same tokens.

use sqlparser::ast::{Expr, Query, Statement};
use sqlparser::dialect::RedshiftSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::name::{RelationName, fold, is_reserved, relation_name};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::sql_type::SqlType;

/// Parentheses inside parentheses; statements run on threads with room for it.
const RECURSION_LIMIT: usize = 300;

const DIALECT: RedshiftSqlDialect = RedshiftSqlDialect {};

pub(crate) struct Reader<'a> {
    sql: &'a str,
    parser: Parser<'static>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(sql: &'a str) -> SqlResult<Reader<'a>> {
        let tokens = Tokenizer::new(&DIALECT, sql)
            .tokenize_with_location()
            .map_err(|error| SqlError::new(format!("syntax error: {}", error.message)))?;
        let parser =
            Parser::new(&DIALECT).with_recursion_limit(RECURSION_LIMIT).with_tokens_with_locations(one(tokens)?);
        Ok(Reader { sql, parser })
    }

    pub(crate) fn query(&mut self) -> SqlResult<Box<Query>> {
        let result = self.parser.parse_query();
        result.map_err(|error| self.syntax_error(&error))
    }

    pub(crate) fn statement(&mut self) -> SqlResult<Statement> {
        let result = self.parser.parse_statement();
        result.map_err(|error| self.syntax_error(&error))
    }

    pub(crate) fn expression(&mut self) -> SqlResult<Expr> {
        let result = self.parser.parse_expr();
        result.map_err(|error| self.syntax_error(&error))
    }

    pub(crate) fn data_type(&mut self) -> SqlResult<SqlType> {
        // TIMESTAMP is reserved and a type.
        if self.peek_word().is_some_and(|word| word != "timestamp" && is_reserved(&word)) {
            return Err(self.unexpected());
        }
        let result = self.parser.parse_data_type();
        SqlType::from_ast(&result.map_err(|error| self.syntax_error(&error))?)
    }

    pub(crate) fn peek(&self) -> Token {
        self.parser.peek_token().token
    }

    pub(crate) fn advance(&mut self) -> TokenWithSpan {
        self.parser.next_token()
    }

    /// The next token if it is an unquoted word, in lower case.
    pub(crate) fn peek_word(&self) -> Option<String> {
        self.peek_word_at(0)
    }

    pub(crate) fn peek_word_at(&self, offset: usize) -> Option<String> {
        match self.parser.peek_nth_token(offset).token {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_ascii_lowercase()),
            _ => None,
        }
    }

    /// Consumes these words if they come next.
    pub(crate) fn words(&mut self, words: &[&str]) -> bool {
        let all = words.iter().enumerate().all(|(i, word)| self.peek_word_at(i).as_deref() == Some(*word));
        if all {
            for _ in words {
                self.parser.advance_token();
            }
        }
        all
    }

    pub(crate) fn word(&mut self, word: &str) -> bool {
        self.words(&[word])
    }

    pub(crate) fn expect_word(&mut self, word: &str) -> SqlResult<()> {
        if self.word(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    pub(crate) fn any_word(&mut self) -> SqlResult<String> {
        let word = self.peek_word().ok_or_else(|| self.unexpected())?;
        self.parser.advance_token();
        Ok(word)
    }

    pub(crate) fn token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    pub(crate) fn expect(&mut self, token: &Token) -> SqlResult<()> {
        if self.token(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    pub(crate) fn identifier(&mut self) -> SqlResult<String> {
        match self.peek() {
            Token::Word(word) if word.quote_style.is_none() && is_reserved(&word.value) => Err(self.unexpected()),
            Token::Word(word) if !word.value.is_empty() => {
                self.parser.advance_token();
                Ok(fold(&word.value))
            }
            Token::Word(_) => Err(SqlError::new("zero-length delimited identifier")),
            _ => Err(self.unexpected()),
        }
    }

    pub(crate) fn relation(&mut self) -> SqlResult<RelationName> {
        let mut parts = vec![self.identifier()?];
        while self.token(&Token::Period) {
            parts.push(self.identifier()?);
        }
        relation_name(parts)
    }

    pub(crate) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> SqlResult<T>) -> SqlResult<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.token(&Token::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    pub(crate) fn in_parentheses<T>(&mut self, item: impl FnMut(&mut Self) -> SqlResult<T>) -> SqlResult<Vec<T>> {
        self.expect(&Token::LParen)?;
        let items = self.list(item)?;
        self.expect(&Token::RParen)?;
        Ok(items)
    }

    pub(crate) fn string(&mut self) -> SqlResult<String> {
        match self.peek() {
            Token::SingleQuotedString(text) => {
                self.parser.advance_token();
                Ok(text)
            }
            _ => Err(self.unexpected()),
        }
    }

    pub(crate) fn number(&mut self) -> SqlResult<u64> {
        match self.peek() {
            Token::Number(digits, _) => {
                let value = digits.parse().map_err(|_| self.unexpected())?;
                self.parser.advance_token();
                Ok(value)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Everything up to a token that ends it, as written; parentheses are skipped whole.
    pub(crate) fn text_until(&mut self, ends: impl Fn(&Token, Option<&str>) -> bool) -> SqlResult<&'a str> {
        let start = self.offset(self.parser.peek_token().span.start);
        let mut depth = 0_usize;
        let mut end = start;
        loop {
            let next = self.parser.peek_token();
            let word = self.peek_word();
            let stop = depth == 0 && end > start && ends(&next.token, word.as_deref());
            if next.token == Token::EOF || stop {
                break;
            }
            match next.token {
                Token::LParen => depth += 1,
                Token::RParen if depth == 0 => break,
                Token::RParen => depth -= 1,
                _ => {}
            }
            end = self.offset(next.span.end);
            self.parser.advance_token();
        }
        if end == start {
            return Err(self.unexpected());
        }
        Ok(self.sql[start..end].trim())
    }

    pub(crate) fn end(&self) -> SqlResult<()> {
        if self.peek() == Token::EOF { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Redshift's complaint about the next token.
    pub(crate) fn unexpected(&self) -> SqlError {
        let next = self.parser.peek_token();
        match next.token {
            Token::EOF => SqlError::new("syntax error at end of input"),
            token => self.near(&bare(&token), next.span.start),
        }
    }

    fn near(&self, token: &str, location: Location) -> SqlError {
        let position = self.sql[..self.offset(location)].chars().count() + 1;
        SqlError::new(format!("syntax error at or near \"{token}\"\n  Position: {position}"))
    }

    /// `sqlparser` says `Expected: …, found: X at Line: l, Column: c`; Redshift says near what.
    fn syntax_error(&self, error: &ParserError) -> SqlError {
        let message = match error {
            ParserError::RecursionLimitExceeded => return SqlError::new("statement is nested too deeply"),
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
        };
        let Some((_, found)) = message.rsplit_once("found: ") else {
            return SqlError::new(format!("syntax error: {message}"));
        };
        let (token, place) = found.rsplit_once(" at Line: ").unwrap_or((found, ""));
        let place = place.split_once(", Column: ").and_then(|(l, c)| Some((l.parse().ok()?, c.parse().ok()?)));
        match (token, place) {
            ("EOF", _) => SqlError::new("syntax error at end of input"),
            (token, Some((line, column))) => self.near(token.trim_matches('"'), Location { line, column }),
            (token, None) => SqlError::new(format!("syntax error at or near \"{token}\"")),
        }
    }

    /// Byte offset of a line and column, both counted from 1 and in characters.
    fn offset(&self, location: Location) -> usize {
        let line = usize::try_from(location.line.max(1)).unwrap_or(1);
        let column = usize::try_from(location.column.max(1)).unwrap_or(1);
        let start: usize = self.sql.split_inclusive('\n').take(line - 1).map(str::len).sum();
        let rest = &self.sql[start..];
        start + rest.char_indices().nth(column - 1).map_or(rest.len(), |(at, _)| at)
    }
}

fn bare(token: &Token) -> String {
    match token {
        Token::Word(word) => word.value.clone(),
        Token::SingleQuotedString(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Leaves out what sqlparser has no grammar for and what means nothing here: `APPROXIMATE` before an exact COUNT, and
/// the final semicolon. A second statement is an error.
fn one(tokens: Vec<TokenWithSpan>) -> SqlResult<Vec<TokenWithSpan>> {
    let mut kept: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut ended = false;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(next) = tokens.next() {
        match &next.token {
            Token::SemiColon => ended = true,
            Token::Whitespace(_) | Token::EOF => kept.push(next),
            _ if ended => return Err(SqlError::new("cannot insert multiple commands into a prepared statement")),
            Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("approximate") => {
                while matches!(tokens.peek(), Some(after) if matches!(after.token, Token::Whitespace(_))) {
                    tokens.next();
                }
                let counts = matches!(tokens.peek(), Some(after) if is_word(&after.token, "count"));
                if !counts {
                    return Err(SqlError::unsupported(
                        "APPROXIMATE before anything but COUNT",
                        "use the exact aggregate",
                    ));
                }
            }
            _ => kept.push(next),
        }
    }
    if kept.iter().all(|token| matches!(token.token, Token::Whitespace(_) | Token::EOF)) {
        return Err(SqlError::new("the statement is empty"));
    }
    Ok(kept)
}

fn is_word(token: &Token, text: &str) -> bool {
    matches!(token, Token::Word(word) if word.value.eq_ignore_ascii_case(text))
}
