//! SUPER: navigation by name and index, and the JSON functions (Developer Guide: `query-super`, `json-functions`).

use sqlparser::ast::{AccessExpr, Expr, Ident, JsonPath, JsonPathElem, Subscript};

use super::literal::text_literal;
use super::{Planner, Typed};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::parse::{fold, fold_ident};
use crate::redshift::sql_type::{SqlType, VARCHAR_MAX};

const TEXT: SqlType = SqlType::Varchar(VARCHAR_MAX);

impl Planner<'_> {
    /// `column`, `table.column`, `schema.table.column`, each followed by a path if the column is SUPER.
    pub(super) fn compound_identifier(&mut self, parts: &[Ident]) -> SqlResult<Typed> {
        self.path(&parts.iter().map(fold_ident).collect::<Vec<_>>())
    }

    pub(super) fn path(&mut self, names: &[String]) -> SqlResult<Typed> {
        if let [schema, table, column, path @ ..] = names
            && let Some(found) = self.find_qualified(Some(schema), table, column)?
        {
            return members(found, path);
        }
        if let [table, column, path @ ..] = names
            && let Some(found) = self.find_qualified(None, table, column)?
        {
            return members(found, path);
        }
        let [column, path @ ..] = names else { return Err(SqlError::new("empty name")) };
        match self.find_column(column)? {
            Some(found) => members(found, path),
            None => Err(SqlError::new(format!(
                "missing FROM-clause entry for table \"{}\"",
                names[..names.len() - 1].join(".")
            ))),
        }
    }

    /// `column[0].name`, `table.column.name[1]`
    pub(super) fn field_access(&mut self, root: &Expr, chain: &[AccessExpr]) -> SqlResult<Typed> {
        // Names before the first subscript may still be table and schema.
        let mut names = match root {
            Expr::Identifier(ident) => vec![ident.clone()],
            Expr::CompoundIdentifier(parts) => parts.clone(),
            _ => Vec::new(),
        };
        let mut rest = chain;
        while let ([AccessExpr::Dot(Expr::Identifier(name)), after @ ..], false) = (rest, names.is_empty()) {
            names.push(name.clone());
            rest = after;
        }
        let mut value = if names.is_empty() { self.expression(root)? } else { self.compound_identifier(&names)? };
        for access in rest {
            value = match access {
                AccessExpr::Dot(Expr::Identifier(name)) => members(value, &[fold_ident(name)])?,
                AccessExpr::Subscript(Subscript::Index { index }) => self.element(value, index)?,
                other => {
                    return Err(SqlError::unsupported(format!("the SUPER path step {other}"), "use .name or [index]"));
                }
            };
        }
        Ok(value)
    }

    pub(super) fn json_access(&mut self, value: &Expr, path: &JsonPath) -> SqlResult<Typed> {
        let mut value = self.expression(value)?;
        for step in &path.path {
            value = match step {
                JsonPathElem::Dot { key, .. } => members(value, &[fold(key)])?,
                JsonPathElem::Bracket { key } => match key {
                    Expr::Value(text) if text.value.clone().into_string().is_some() => {
                        members(value, &[text.value.clone().into_string().unwrap_or_default()])?
                    }
                    index => self.element(value, index)?,
                },
                JsonPathElem::ColonBracket { .. } => {
                    return Err(SqlError::unsupported("a path step in ':[…]'", "use .name or [index]"));
                }
            };
        }
        Ok(value)
    }

    fn element(&mut self, value: Typed, index: &Expr) -> SqlResult<Typed> {
        must_be_super(&value)?;
        let index = self.integer(index)?;
        Ok(Typed::new(format!("rs_super_element({}, {index})", value.sql), SqlType::Super))
    }

    pub(super) fn json_function(&mut self, name: &str, arguments: &[&Expr]) -> SqlResult<Option<Typed>> {
        Ok(Some(match (name, arguments) {
            ("json_parse", [text]) => Typed::new(format!("rs_json_parse({})", self.text(text)?), SqlType::Super),
            ("can_json_parse", [text]) => {
                Typed::new(format!("rs_can_json_parse({})", self.text(text)?), SqlType::Boolean)
            }
            ("is_valid_json", [text]) => {
                Typed::new(format!("rs_can_json_parse({})", self.text(text)?), SqlType::Boolean)
            }
            ("json_serialize", [value]) => Typed::new(self.super_argument(name, value)?, TEXT),
            ("json_typeof", [value]) => {
                Typed::new(format!("rs_json_typeof({})", self.super_argument(name, value)?), SqlType::Varchar(16))
            }
            ("get_array_length", [value]) => {
                Typed::new(format!("rs_array_length({})", self.super_argument(name, value)?), SqlType::Integer)
            }
            ("json_extract_path_text", [text, path @ ..]) if !path.is_empty() => {
                let text = self.json_text(text)?;
                let (path, lenient) = self.null_if_invalid(path)?;
                let names = path.iter().map(|name| self.text(name)).collect::<SqlResult<Vec<_>>>()?;
                if names.is_empty() || names.len() > 5 {
                    return Err(SqlError::new("JSON_EXTRACT_PATH_TEXT takes one to five path elements"));
                }
                Typed::new(format!("rs_json_path_text({text}, {lenient}, {})", names.join(", ")), TEXT)
            }
            ("json_extract_array_element_text", [text, index, rest @ ..]) => {
                let (text, index) = (self.json_text(text)?, self.integer(index)?);
                let (_, lenient) = self.null_if_invalid(rest)?;
                Typed::new(format!("rs_json_element_text({text}, {lenient}, {index})"), TEXT)
            }
            ("json_array_length", [text, rest @ ..]) => {
                let text = self.json_text(text)?;
                let (_, lenient) = self.null_if_invalid(rest)?;
                Typed::new(format!("rs_json_array_length({text}, {lenient})"), SqlType::Integer)
            }
            _ => return Ok(None),
        }))
    }

    /// A trailing boolean argument of the text functions; everything before it is the path.
    fn null_if_invalid<'e>(&mut self, arguments: &[&'e Expr]) -> SqlResult<(Vec<&'e Expr>, String)> {
        if let [path @ .., last] = arguments {
            let flag = self.expression(last)?;
            if flag.ty == SqlType::Boolean {
                return Ok((path.to_vec(), flag.sql));
            }
        }
        Ok((arguments.to_vec(), "0".to_owned()))
    }

    fn json_text(&mut self, expression: &Expr) -> SqlResult<String> {
        let value = self.expression(expression)?;
        if value.ty == SqlType::Super { Ok(value.sql) } else { Ok(self.as_text(value)?.sql) }
    }

    fn super_argument(&mut self, name: &str, expression: &Expr) -> SqlResult<String> {
        let value = self.expression(expression)?;
        match value.ty {
            SqlType::Super => Ok(value.sql),
            other => Err(SqlError::new(format!("function {name}({}) does not exist", other.catalog_name()))),
        }
    }
}

fn must_be_super(value: &Typed) -> SqlResult<()> {
    if value.ty == SqlType::Super {
        return Ok(());
    }
    Err(SqlError::new(format!("cannot navigate into type {}: only SUPER has members", value.ty.catalog_name())))
}

fn members(value: Typed, path: &[String]) -> SqlResult<Typed> {
    let mut value = value;
    for name in path {
        must_be_super(&value)?;
        value = Typed::new(format!("rs_super_member({}, {})", value.sql, text_literal(name)), SqlType::Super);
    }
    Ok(value)
}
