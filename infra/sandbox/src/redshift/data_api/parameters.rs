//! `:name` parameters: values only, put in as quoted text, never inside a literal, a quoted name, a comment or `::`.

use super::error::{ApiError, ApiResult};
use super::request::Parameter;

/// The statements with every parameter replaced. Each parameter must be used somewhere, each name used must be given.
pub(super) fn substitute(statements: Vec<String>, parameters: &[Parameter]) -> ApiResult<Vec<String>> {
    if parameters.is_empty() {
        return Ok(statements);
    }
    for parameter in parameters {
        let named =
            !parameter.name.is_empty() && parameter.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !named {
            return Err(ApiError::validation(format!("Parameter name '{}' must match [0-9a-zA-Z_]+.", parameter.name)));
        }
        if parameter.value.is_empty() {
            return Err(ApiError::validation(format!("Parameter '{}' has an empty value.", parameter.name)));
        }
    }
    let mut used = vec![false; parameters.len()];
    let replaced = statements.iter().map(|statement| replace(statement, parameters, &mut used));
    let replaced = replaced.collect::<ApiResult<Vec<_>>>()?;
    match used.iter().position(|used| !used) {
        Some(unused) => Err(ApiError::validation(format!(
            "Parameter '{}' is not referenced by any SQL statement.",
            parameters[unused].name
        ))),
        None => Ok(replaced),
    }
}

fn replace(sql: &str, parameters: &[Parameter], used: &mut [bool]) -> ApiResult<String> {
    let mut result = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let name_length =
            rest[first.len_utf8()..].bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let taken = match first {
            '\'' | '"' => quoted_length(rest, first),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            ':' if rest.starts_with("::") => 2,
            ':' if name_length > 0 => {
                let name = &rest[1..=name_length];
                let Some(found) = parameters.iter().position(|parameter| parameter.name == name) else {
                    return Err(ApiError::validation(format!("Parameter '{name}' is missing from Parameters.")));
                };
                used[found] = true;
                result.push_str(&quote(&parameters[found].value));
                rest = &rest[1 + name_length..];
                continue;
            }
            // A whole word at once, so that nothing inside it is taken for a parameter.
            other => other.len_utf8(),
        };
        result.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    Ok(result)
}

/// Up to and with the closing quote; a backslash escapes inside text, a doubled quote is two halves of one text.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' if quote == '\'' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(sql: &str, parameters: &[(&str, &str)]) -> ApiResult<String> {
        let parameters: Vec<_> =
            parameters.iter().map(|(n, v)| Parameter { name: (*n).into(), value: (*v).into() }).collect();
        Ok(substitute(vec![sql.to_owned()], &parameters)?.remove(0))
    }

    #[test]
    fn values_are_quoted_so_that_they_stay_values() {
        let sql = with("SELECT * FROM t WHERE a = :a AND b > :b::int", &[("a", "x' OR 1=1 --\\"), ("b", "7")]);
        assert_eq!(sql.unwrap(), "SELECT * FROM t WHERE a = 'x'' OR 1=1 --\\\\' AND b > '7'::int");
    }

    #[test]
    fn literals_names_comments_and_casts_are_left_alone() {
        let sql = "SELECT ':a', 'it''s \\':a', \":a\", 1::a /* :a */ -- :a\n , :a";
        assert_eq!(with(sql, &[("a", "v")]).unwrap(), sql.replace(", :a", ", 'v'"));
    }

    #[test]
    fn missing_unused_and_empty_parameters_are_refused() {
        assert!(with("SELECT :a", &[("b", "1")]).is_err());
        assert!(with("SELECT :a", &[("a", "1"), ("b", "1")]).is_err());
        assert!(with("SELECT :a", &[("a", "")]).is_err());
        assert_eq!(with("SELECT :a", &[]).unwrap(), "SELECT :a");
    }
}
