//! `loader tables`: which tables there are, what is in them, how fresh they are.

use super::connection;
use crate::inventory::{ColumnInfo, Filled, TableInfo, tables};
use clap::Args;
use common::settings::Settings;
use common::telemetry::chain;
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct TablesArgs {
    /// Only these events, with their columns
    #[arg(value_name = "EVENT")]
    events: Vec<String>,
    /// Print one JSON object with everything, columns included
    #[arg(long)]
    json: bool,
}

impl TablesArgs {
    pub(super) async fn run(&self, settings: &Settings) -> Result<(), String> {
        let (warehouse, names) = connection(settings).await?;
        let found = tables(&warehouse, &names, &self.events).await.map_err(|error| chain(&error))?;
        let unknown: Vec<&str> =
            self.events.iter().map(String::as_str).filter(|event| !found.iter().any(|t| t.event == *event)).collect();
        if self.json {
            let tables: Vec<Value> = found.iter().map(|table| to_json(&names.schema, table)).collect();
            println!("{}", json!({ "tables": tables }));
        } else if self.events.is_empty() {
            print!("{}", overview(&found));
        } else {
            for table in &found {
                print!("{}", overview(std::slice::from_ref(table)));
                println!("{}", columns(&table.columns));
            }
        }
        match unknown.is_empty() {
            true => Ok(()),
            false => Err(format!("nothing was ever loaded for {}: see loader tables", unknown.join(", "))),
        }
    }
}

/// A line per table.
fn overview(tables: &[TableInfo]) -> String {
    if tables.is_empty() {
        return "nothing was loaded yet\n".to_owned();
    }
    let head = ["event", "rows", "rejected", "files", "columns", "last load", "newest file"].map(str::to_owned);
    let line = |table: &TableInfo| {
        [
            table.event.clone(),
            table.rows.to_string(),
            table.rejected.to_string(),
            table.sources.to_string(),
            table.columns.len().to_string(),
            ago(table.load_age),
            ago(table.source_age),
        ]
    };
    aligned(std::iter::once(head).chain(tables.iter().map(line)).collect(), 1..5)
}

/// A line per column.
fn columns(columns: &[ColumnInfo]) -> String {
    let line = |column: &ColumnInfo| {
        let (field, since) = match &column.filled {
            Filled::System => ("set by the loader".to_owned(), String::new()),
            Filled::Other => ("not filled by the loader".to_owned(), String::new()),
            Filled::Field { path, variant_of, since } => {
                let of = variant_of.as_ref().map(|of| format!(" where it does not fit {of}")).unwrap_or_default();
                (format!("{}{of}", pointer(path)), since.clone())
            }
        };
        [format!("  {}", column.name), column.data_type.clone(), field, since]
    };
    let head = ["  column", "type", "field", "since"].map(str::to_owned);
    aligned(std::iter::once(head).chain(columns.iter().map(line)).collect(), 0..0)
}

/// A path as a JSON pointer; the record itself is `/`.
pub(super) fn pointer(path: &[String]) -> String {
    match path.is_empty() {
        true => "/".to_owned(),
        false => path.iter().map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1"))).collect(),
    }
}

/// Lines of cells under one another; those in `numbers` to the right.
fn aligned<const N: usize>(lines: Vec<[String; N]>, numbers: std::ops::Range<usize>) -> String {
    let widths: Vec<usize> =
        (0..N).map(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).enumerate().map(|(at, (cell, width))| match numbers.contains(&at) {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn ago(seconds: Option<i64>) -> String {
    let Some(seconds) = seconds else { return "never".to_owned() };
    let age = Duration::from_secs(seconds.unsigned_abs());
    // Two units say enough.
    let text = humantime::format_duration(age).to_string();
    let shown: Vec<&str> = text.split(' ').take(2).collect();
    if seconds < 0 { format!("in {}", shown.join(" ")) } else { format!("{} ago", shown.join(" ")) }
}

fn to_json(schema: &str, table: &TableInfo) -> Value {
    let column = |column: &ColumnInfo| {
        let mut value = json!({ "name": column.name, "type": column.data_type });
        match &column.filled {
            Filled::System => value["system"] = json!(true),
            Filled::Other => {}
            Filled::Field { path, variant_of, since } => {
                value["path"] = json!(path);
                value["variant_of"] = json!(variant_of);
                value["since"] = json!(since);
            }
        }
        value
    };
    json!({
        "event": table.event,
        "table": format!("{schema}.{}", table.event),
        "rows": table.rows,
        "rejected": table.rejected,
        "files": table.sources,
        "first_load": table.first_load,
        "last_load": table.last_load,
        "last_load_age_seconds": table.load_age,
        "newest_file": table.newest_source,
        "newest_file_age_seconds": table.source_age,
        "columns": table.columns.iter().map(column).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> TableInfo {
        let field = |path: &[&str], variant_of: Option<&str>| Filled::Field {
            path: path.iter().map(|key| (*key).to_owned()).collect(),
            variant_of: variant_of.map(str::to_owned),
            since: "2025-06-01 09:00:00".into(),
        };
        let column =
            |name: &str, data_type: &str, filled| ColumnInfo { name: name.into(), data_type: data_type.into(), filled };
        TableInfo {
            event: "order".into(),
            columns: vec![
                column("_line", "bigint", Filled::System),
                column("a_b", "bigint", field(&["a", "b/c"], None)),
                column("a_b__varchar", "varchar(256)", field(&["a", "b/c"], Some("a_b"))),
                column("mine", "numeric(8,2)", Filled::Other),
            ],
            sources: 2,
            rows: 1_234,
            rejected: 0,
            first_load: Some("2025-06-01 09:00:00".into()),
            last_load: Some("2025-06-01 10:00:00".into()),
            newest_source: None,
            load_age: Some(3_725),
            source_age: None,
        }
    }

    #[test]
    fn a_table_is_one_line_and_its_columns_say_where_they_come_from() {
        let overview = overview(&[table()]);
        let expected = [
            "event  rows  rejected  files  columns  last load  newest file",
            "order  1234         0      2        4  1h 2m ago  never",
        ];
        assert_eq!(overview.lines().collect::<Vec<_>>(), expected);
        let columns = columns(&table().columns);
        let expected = [
            "  column        type          field                             since",
            "  _line         bigint        set by the loader",
            "  a_b           bigint        /a/b~1c                           2025-06-01 09:00:00",
            "  a_b__varchar  varchar(256)  /a/b~1c where it does not fit a_b  2025-06-01 09:00:00",
            "  mine          numeric(8,2)  not filled by the loader",
        ];
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(columns.lines().map(squeezed).collect::<Vec<_>>(), expected.map(squeezed));
        assert_eq!(super::overview(&[]), "nothing was loaded yet\n");
    }

    #[test]
    fn json_has_everything_by_name() {
        let value = to_json("events", &table());
        assert_eq!(value["table"], "events.order");
        assert_eq!(value["last_load_age_seconds"], 3_725);
        assert_eq!(value["columns"][2]["variant_of"], "a_b");
        assert_eq!(value["columns"][1]["path"], json!(["a", "b/c"]));
        assert_eq!(value["columns"][0]["system"], true);
    }
}
