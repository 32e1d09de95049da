//! Text functions whose built-in cousins differ: LIKE is case-sensitive and knows `\`, case mapping knows Unicode,
//! positions count characters.

use rusqlite::types::Value;

use super::{Arguments, Entry};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::sql_type::VARCHAR_MAX;

pub(super) const FUNCTIONS: &[Entry] = &[
    ("rs_like", 3, |a| Ok(Value::from(like(a.text(0)?, a.text(1)?, a.text(2)?)?))),
    ("rs_ilike", 3, |a| Ok(Value::from(like(&a.text(0)?.to_lowercase(), &a.text(1)?.to_lowercase(), a.text(2)?)?))),
    ("rs_upper", 1, |a| Ok(Value::from(a.text(0)?.to_uppercase()))),
    ("rs_lower", 1, |a| Ok(Value::from(a.text(0)?.to_lowercase()))),
    ("rs_initcap", 1, |a| Ok(Value::from(initcap(a.text(0)?)))),
    ("rs_length", 1, |a| count(a.text(0)?.chars().count())),
    ("rs_octet_length", 1, |a| count(a.text(0)?.len())),
    ("rs_substring", 2, |a| Ok(Value::from(substring(a.text(0)?, a.integer(1)?, i64::MAX)))),
    ("rs_substring", 3, |a| match a.integer(2)? {
        negative if negative < 0 => Err(SqlError::new("negative substring length not allowed")),
        length => Ok(Value::from(substring(a.text(0)?, a.integer(1)?, length))),
    }),
    ("rs_left", 2, |a| Ok(Value::from(left(a.text(0)?, a.integer(1)?)))),
    ("rs_right", 2, |a| Ok(Value::from(right(a.text(0)?, a.integer(1)?)))),
    ("rs_split_part", 3, split_part),
    ("rs_strpos", 2, |a| {
        let (text, wanted) = (a.text(0)?, a.text(1)?);
        count(text.find(wanted).map_or(0, |at| text[..at].chars().count() + 1))
    }),
    ("rs_lpad", 3, |a| pad(a, true)),
    ("rs_rpad", 3, |a| pad(a, false)),
    ("rs_reverse", 1, |a| Ok(Value::from(a.text(0)?.chars().rev().collect::<String>()))),
    ("rs_repeat", 2, repeat),
    ("rs_translate", 3, translate),
    ("rs_ascii", 1, |a| Ok(Value::from(a.text(0)?.chars().next().map_or(0, |c| i64::from(u32::from(c)))))),
    ("rs_chr", 1, |a| {
        let character = u32::try_from(a.integer(0)?).ok().filter(|code| *code != 0).and_then(char::from_u32);
        character
            .map(|c| Value::from(c.to_string()))
            .ok_or_else(|| SqlError::new("requested character is out of range"))
    }),
];

fn count(value: usize) -> SqlResult<Value> {
    i64::try_from(value).map(Value::from).map_err(|_| SqlError::new("text is too long"))
}

/// `%` any run, `_` one character, the escape character makes the next one literal.
fn like(text: &str, pattern: &str, escape: &str) -> SqlResult<bool> {
    #[derive(PartialEq)]
    enum Part {
        Any,
        One,
        Literal(char),
    }
    let escape = escape.chars().next();
    let mut parts = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        parts.push(match character {
            c if Some(c) == escape => match characters.next() {
                Some(literal) => Part::Literal(literal),
                None => return Err(SqlError::new("LIKE pattern must not end with escape character")),
            },
            '%' => Part::Any,
            '_' => Part::One,
            c => Part::Literal(c),
        });
    }
    let text: Vec<char> = text.chars().collect();
    // Greedy with one place to come back to: after the latest `%`.
    let (mut at, mut part, mut retry) = (0, 0, None);
    while at < text.len() {
        match parts.get(part) {
            Some(Part::Any) => {
                retry = Some((part, at));
                part += 1;
            }
            Some(Part::One) => (at, part) = (at + 1, part + 1),
            Some(Part::Literal(c)) if *c == text[at] => (at, part) = (at + 1, part + 1),
            _ => match retry {
                Some((any, from)) => {
                    retry = Some((any, from + 1));
                    (at, part) = (from + 1, any + 1);
                }
                None => return Ok(false),
            },
        }
    }
    Ok(parts[part..].iter().all(|part| *part == Part::Any))
}

/// Counted in characters from 1; a start below 1 uses up the length before the text begins.
fn substring(text: &str, start: i64, length: i64) -> String {
    let end = start.saturating_add(length).max(1);
    let skipped = usize::try_from(start.max(1) - 1).unwrap_or(usize::MAX);
    let taken = usize::try_from(end - start.max(1)).unwrap_or(0);
    text.chars().skip(skipped).take(taken).collect()
}

fn left(text: &str, length: i64) -> String {
    match usize::try_from(length) {
        Ok(length) => text.chars().take(length).collect(),
        Err(_) => text.chars().take(text.chars().count().saturating_sub(length.unsigned_abs() as usize)).collect(),
    }
}

fn right(text: &str, length: i64) -> String {
    let total = text.chars().count();
    let skipped = match usize::try_from(length) {
        Ok(length) => total.saturating_sub(length),
        Err(_) => length.unsigned_abs() as usize,
    };
    text.chars().skip(skipped).collect()
}

fn split_part(a: &Arguments<'_>) -> SqlResult<Value> {
    let (text, delimiter, part) = (a.text(0)?, a.text(1)?, a.integer(2)?);
    let index = usize::try_from(part).ok().filter(|part| *part > 0);
    let index = index.ok_or_else(|| SqlError::new("field position must be greater than zero"))?;
    let found = if delimiter.is_empty() { (index == 1).then_some(text) } else { text.split(delimiter).nth(index - 1) };
    Ok(Value::from(found.unwrap_or("").to_owned()))
}

fn pad(a: &Arguments<'_>, before: bool) -> SqlResult<Value> {
    let (text, fill) = (a.text(0)?, a.text(2)?);
    let wanted = usize::try_from(a.integer(1)?.clamp(0, i64::from(VARCHAR_MAX))).unwrap_or(0);
    let length = text.chars().count();
    if length >= wanted || fill.is_empty() {
        return Ok(Value::from(text.chars().take(wanted).collect::<String>()));
    }
    let padding: String = fill.chars().cycle().take(wanted - length).collect();
    Ok(Value::from(if before { padding + text } else { text.to_owned() + &padding }))
}

fn repeat(a: &Arguments<'_>) -> SqlResult<Value> {
    let times = usize::try_from(a.integer(1)?.max(0)).unwrap_or(0);
    match a.text(0)?.len().checked_mul(times) {
        Some(length) if length <= VARCHAR_MAX as usize => Ok(Value::from(a.text(0)?.repeat(times))),
        _ => Err(SqlError::new("Result size exceeds max varchar size")),
    }
}

fn translate(a: &Arguments<'_>) -> SqlResult<Value> {
    let (from, to): (Vec<char>, Vec<char>) = (a.text(1)?.chars().collect(), a.text(2)?.chars().collect());
    let mapped = a.text(0)?.chars().filter_map(|c| match from.iter().position(|wanted| *wanted == c) {
        Some(at) => to.get(at).copied(),
        None => Some(c),
    });
    Ok(Value::from(mapped.collect::<String>()))
}

fn initcap(text: &str) -> String {
    let mut inside = false;
    let mut result = String::with_capacity(text.len());
    for character in text.chars() {
        if inside {
            result.extend(character.to_lowercase())
        } else {
            result.extend(character.to_uppercase())
        }
        inside = character.is_alphanumeric();
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_is_case_sensitive_and_knows_its_escape() {
        let matches = |text, pattern| like(text, pattern, "\\").unwrap();
        assert!(matches("checkout", "check%"));
        assert!(!matches("Checkout", "check%"));
        assert!(matches("a_b", "a\\_b"));
        assert!(!matches("axb", "a\\_b"));
        assert!(matches("aXbXc", "a%b_c"));
        assert!(matches("", "%"));
        assert!(!matches("abc", "%b"));
        assert!(like("a", "a\\", "\\").is_err());
    }

    #[test]
    fn a_substring_counts_characters_and_clips_at_the_start() {
        assert_eq!(substring("häuser", 2, 3), "äus");
        assert_eq!(substring("abcdef", -1, 4), "ab");
        assert_eq!(substring("abc", 5, 2), "");
        assert_eq!(left("abcdef", -2), "abcd");
        assert_eq!(right("abcdef", 2), "ef");
        assert_eq!(initcap("the URL of x"), "The Url Of X");
    }
}
