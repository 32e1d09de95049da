//! Names and texts as they may stand in a statement.

/// A name, always quoted: reserved words need no list.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text literal. Redshift reads a backslash as an escape, so both quotes and backslashes are doubled
/// (database developer guide, `r_QUOTE_LITERAL`). A NUL cannot be in a statement.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''").replace('\0', "\u{fffd}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_cannot_leave_its_quotes() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"\' OR 1=1 --"), r"'\\'' OR 1=1 --'");
        assert_eq!(literal("a\0b"), "'a\u{fffd}b'");
        assert_eq!(identifier(r#"a"; DROP TABLE x; --"#), r#""a""; DROP TABLE x; --""#);
    }
}
