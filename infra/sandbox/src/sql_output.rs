//! Rows as a table for people, as CSV or as JSON for programs.

use std::fmt::Write;

use clap::ValueEnum;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns
    Table,
    /// RFC 4180, NULL as nothing
    Csv,
    /// One array of objects
    Json,
}

#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) columns: Vec<String>,
    pub(crate) values: Vec<Vec<Value>>,
}

#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    Double(f64),
    Text(String),
}

impl Value {
    fn text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Boolean(value) => Some(value.to_string()),
            Self::Integer(value) => Some(value.to_string()),
            Self::Double(value) => Some(value.to_string()),
            Self::Text(value) => Some(value.clone()),
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Integer(_) | Self::Double(_))
    }

    fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Boolean(value) => (*value).into(),
            Self::Integer(value) => (*value).into(),
            Self::Double(value) => (*value).into(),
            Self::Text(value) => value.as_str().into(),
        }
    }
}

impl Rows {
    /// The one whole number that a `SELECT COUNT(*)` or `SUM` gives.
    pub(crate) fn number(&self) -> Option<u64> {
        self.values.first()?.first()?.text()?.parse().ok()
    }
}

impl Format {
    pub(crate) fn render(self, rows: &Rows) -> String {
        match self {
            Self::Table => table(rows),
            Self::Csv => csv(rows),
            Self::Json => json(rows),
        }
    }
}

fn table(rows: &Rows) -> String {
    // A line break inside a value would break the table, so it is shown as it is written in JSON.
    let cell = |value: &Value| {
        value.text().unwrap_or_else(|| "NULL".to_owned()).replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t")
    };
    let cells: Vec<Vec<String>> = rows.values.iter().map(|row| row.iter().map(cell).collect()).collect();
    let width = |column: usize| {
        let of = |text: &String| text.chars().count();
        let widest = cells.iter().filter_map(|row| row.get(column)).map(of).max().unwrap_or(0);
        widest.max(rows.columns.get(column).map_or(0, of))
    };
    let widths: Vec<usize> = (0..rows.columns.len()).map(width).collect();
    let mut out = String::new();
    let header: Vec<String> = rows.columns.iter().zip(&widths).map(|(name, width)| format!("{name:<width$}")).collect();
    push_line(&mut out, header.join(" | ").trim_end());
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    push_line(&mut out, &rule.join("-+-"));
    for (row, texts) in rows.values.iter().zip(&cells) {
        let aligned: Vec<String> = row
            .iter()
            .zip(texts)
            .zip(&widths)
            .map(
                |((value, text), width)| {
                    if value.is_number() { format!("{text:>width$}") } else { format!("{text:<width$}") }
                },
            )
            .collect();
        push_line(&mut out, aligned.join(" | ").trim_end());
    }
    let count = rows.values.len();
    push_line(&mut out, &format!("({count} row{})", if count == 1 { "" } else { "s" }));
    out
}

fn csv(rows: &Rows) -> String {
    let quoted = |text: &str| {
        // An empty text is quoted to tell it from NULL, as Redshift's own UNLOAD does.
        if text.is_empty() || text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    let mut out = String::new();
    let header: Vec<String> = rows.columns.iter().map(|name| quoted(name)).collect();
    push_line(&mut out, &header.join(","));
    for row in &rows.values {
        let line: Vec<String> =
            row.iter().map(|value| value.text().map_or_else(String::new, |text| quoted(&text))).collect();
        push_line(&mut out, &line.join(","));
    }
    out
}

fn json(rows: &Rows) -> String {
    // Written by hand around serde_json's values, since its map would reorder the columns.
    let mut out = String::from("[");
    for (n, row) in rows.values.iter().enumerate() {
        out.push_str(if n == 0 { "\n  {" } else { ",\n  {" });
        for (m, (column, value)) in rows.columns.iter().zip(row).enumerate() {
            let separator = if m == 0 { "" } else { ", " };
            // Writing to a String cannot fail.
            write!(out, "{separator}{}: {}", serde_json::Value::from(column.as_str()), value.to_json())
                .unwrap_or_default();
        }
        out.push('}');
    }
    out.push_str(if rows.values.is_empty() { "]\n" } else { "\n]\n" });
    out
}

fn push_line(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        Rows {
            columns: vec!["name".to_owned(), "n".to_owned()],
            values: vec![
                vec![Value::Text("a \"b\", c".to_owned()), Value::Integer(12)],
                vec![Value::Null, Value::Double(0.5)],
                vec![Value::Text(String::new()), Value::Boolean(true)],
            ],
        }
    }

    #[test]
    fn a_table_aligns_numbers_right_and_counts_its_rows() {
        let expected = "\
name     | n
---------+-----
a \"b\", c |   12
NULL     |  0.5
         | true
(3 rows)
";
        assert_eq!(Format::Table.render(&rows()), expected);
    }

    #[test]
    fn csv_quotes_what_needs_it_and_tells_null_from_empty() {
        assert_eq!(Format::Csv.render(&rows()), "name,n\n\"a \"\"b\"\", c\",12\n,0.5\n\"\",true\n");
    }

    #[test]
    fn json_keeps_types_and_the_order_of_columns() {
        let text = Format::Json.render(&rows());
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed[0]["n"], 12);
        assert!(parsed[1]["name"].is_null());
        assert!(text.contains(r#"{"name": "", "n": true}"#));
    }
}
