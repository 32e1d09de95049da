//! JSONPaths files: one path per column, bracket or dot notation, never both in one file (Developer Guide:
//! `copy-usage_notes-copy-from-json`).

use crate::redshift::error::{SqlError, SqlResult};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Name(String),
    Index(usize),
}

/// The root, `$`, is no step at all.
pub(super) type Path = Vec<Step>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Notation {
    Bracket,
    Dot,
}

fn wrong(path: &str, reason: &str) -> SqlError {
    SqlError::new(format!("Invalid JSONPath format: {reason}: '{path}'"))
}

/// `None`: a JSON object without `jsonpaths`, which loads as 'auto'.
pub(super) fn parse(text: &[u8]) -> SqlResult<Option<Vec<Path>>> {
    let file: serde_json::Value = serde_json::from_slice(text)
        .map_err(|error| SqlError::new(format!("Invalid JSONPath format: the file is not one JSON object: {error}")))?;
    let Some(object) = file.as_object() else {
        return Err(SqlError::new("Invalid JSONPath format: the file is not one JSON object"));
    };
    let Some(paths) = object.get("jsonpaths") else { return Ok(None) };
    let Some(paths) = paths.as_array().filter(|paths| !paths.is_empty()) else {
        return Err(SqlError::new("Invalid JSONPath format: 'jsonpaths' is not an array of strings"));
    };
    let mut notation = None;
    let mut parsed = Vec::with_capacity(paths.len());
    for path in paths {
        let Some(text) = path.as_str().filter(|text| !text.is_empty()) else {
            return Err(SqlError::new("Invalid JSONPath format: an element of 'jsonpaths' is empty or no string"));
        };
        parsed.push(parse_path(text, &mut notation)?);
    }
    Ok(Some(parsed))
}

fn parse_path(text: &str, notation: &mut Option<Notation>) -> SqlResult<Path> {
    let mut rest = text.strip_prefix('$').ok_or_else(|| wrong(text, "a path starts with $"))?;
    let mut path = Path::new();
    while !rest.is_empty() {
        let used = if let Some(quoted) = rest.strip_prefix("['") {
            let end = quoted.find("']").ok_or_else(|| wrong(text, "['name'] is not closed"))?;
            path.push(Step::Name(quoted[..end].to_owned()));
            rest = &quoted[end + 2..];
            Some(Notation::Bracket)
        } else if let Some(index) = rest.strip_prefix('[') {
            let end = index.find(']').ok_or_else(|| wrong(text, "[index] is not closed"))?;
            let number = index[..end].parse().map_err(|_| wrong(text, "an index is a number from 0"))?;
            path.push(Step::Index(number));
            rest = &index[end + 1..];
            None
        } else if let Some(named) = rest.strip_prefix('.') {
            let end = named.find(['.', '[']).unwrap_or(named.len());
            if end == 0 || named[..end].contains(['\'', ']', '*']) {
                return Err(wrong(text, "a name in dot notation has none of ' . [ ] *"));
            }
            path.push(Step::Name(named[..end].to_owned()));
            rest = &named[end..];
            Some(Notation::Dot)
        } else {
            return Err(wrong(text, "expected ['name'], .name or [index]"));
        };
        match (used, *notation) {
            (Some(used), Some(before)) if used != before => {
                return Err(wrong(text, "bracket and dot notation cannot be mixed"));
            }
            (Some(used), None) => *notation = Some(used),
            _ => {}
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(path: &str) -> SqlResult<Path> {
        let text = serde_json::json!({ "jsonpaths": [path] }).to_string();
        Ok(parse(text.as_bytes())?.unwrap().remove(0))
    }

    #[test]
    fn both_notations_are_read() {
        let name = |text: &str| Step::Name(text.to_owned());
        assert_eq!(one("$['store']['book']['title']").unwrap(), [name("store"), name("book"), name("title")]);
        assert_eq!(one("$.location[0].x").unwrap(), [name("location"), Step::Index(0), name("x")]);
        assert_eq!(one("$['a.b c']").unwrap(), [name("a.b c")]);
        assert_eq!(one("$").unwrap(), []);
        assert_eq!(one("$[3]").unwrap(), [Step::Index(3)]);
    }

    #[test]
    fn what_is_no_path_fails() {
        for path in ["", "a", "$.", "$..a", "$['a'", "$[x]", "$[-1]", "$.a*", "$['a'].b"] {
            assert!(one(path).is_err(), "{path}");
        }
        let mixed = br#"{"jsonpaths":["$['a']","$.b"]}"#;
        assert!(parse(mixed).unwrap_err().to_string().contains("mixed"));
        assert!(parse(br#"{"jsonpaths":[1]}"#).is_err());
        assert!(parse(br#"{"jsonpaths":["$.a"]} {}"#).is_err());
        assert_eq!(parse(br#"{"paths":["$.a"]}"#), Ok(None));
    }
}
