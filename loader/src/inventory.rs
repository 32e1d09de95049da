//! What there is in the warehouse, for `loader tables`. Only asks.

use crate::mapping::SYSTEM_COLUMNS;
use crate::sql::{Names, inventory as sql};
use crate::warehouse::{Row, Warehouse, WarehouseError, number, required};
use std::collections::BTreeMap;

/// One event's table.
#[derive(Debug)]
pub(crate) struct TableInfo {
    pub(crate) event: String,
    pub(crate) columns: Vec<ColumnInfo>,
    pub(crate) sources: u64,
    pub(crate) rows: u64,
    pub(crate) rejected: u64,
    /// Nothing was loaded yet: `None`, here and below.
    pub(crate) first_load: Option<String>,
    pub(crate) last_load: Option<String>,
    pub(crate) newest_source: Option<String>,
    /// Seconds, by the warehouse's clock.
    pub(crate) load_age: Option<i64>,
    pub(crate) source_age: Option<i64>,
}

/// One column as it is, and what fills it.
#[derive(Debug)]
pub(crate) struct ColumnInfo {
    pub(crate) name: String,
    /// As SQL spells it.
    pub(crate) data_type: String,
    pub(crate) filled: Filled,
}

/// What fills a column.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// The loader itself.
    System,
    /// A field of the records: the keys that lead to it, the column whose misfits it holds, and since when.
    Field { path: Vec<String>, variant_of: Option<String>, since: String },
    /// Nobody but people.
    Other,
}

/// Every table that was ever loaded; with `events`, those only.
pub(crate) async fn tables(
    warehouse: &Warehouse,
    names: &Names,
    events: &[String],
) -> Result<Vec<TableInfo>, WarehouseError> {
    let rows = warehouse.query("tables", &sql::ledgers(names)).await?;
    let is_wanted = |ledger: &String| events.is_empty() || events.iter().any(|event| *event == event_of(ledger));
    let ledgers: Vec<String> = rows.into_iter().filter_map(|mut row| row.pop().flatten()).filter(is_wanted).collect();
    if ledgers.is_empty() {
        return Ok(Vec::new());
    }
    let mut columns = columns(warehouse, names).await?;
    let mut tables = Vec::with_capacity(ledgers.len());
    for statement in sql::sums(names, &ledgers) {
        for row in warehouse.query("tables", &statement).await? {
            let event = event_of(required(&row, 0)?).to_owned();
            let columns = columns.remove(&event).unwrap_or_default();
            tables.push(table(event, columns, &row)?);
        }
    }
    tables.sort_by(|a, b| a.event.cmp(&b.event));
    Ok(tables)
}

fn event_of(ledger: &str) -> &str {
    ledger.strip_prefix("ledger_").unwrap_or(ledger)
}

fn table(event: String, columns: Vec<ColumnInfo>, row: &Row) -> Result<TableInfo, WarehouseError> {
    let optional = |at: usize| row.get(at).cloned().flatten();
    let sum = |at: usize| if optional(at).is_some() { number(row, at) } else { Ok(0) };
    let age = |at: usize| if optional(at).is_some() { number(row, at).map(Some) } else { Ok(None) };
    Ok(TableInfo {
        event,
        columns,
        sources: number(row, 1)?,
        rows: sum(2)?,
        rejected: sum(3)?,
        first_load: optional(4),
        last_load: optional(5),
        newest_source: optional(6),
        load_age: age(7)?,
        source_age: age(8)?,
    })
}

async fn columns(warehouse: &Warehouse, names: &Names) -> Result<BTreeMap<String, Vec<ColumnInfo>>, WarehouseError> {
    let mut fields = BTreeMap::new();
    for row in warehouse.query("tables", &sql::fields(names)).await? {
        let path = required(&row, 2)?;
        let path = serde_json::from_str(path)
            .map_err(|_| WarehouseError::Unexpected { found: path.to_owned(), expected: "a path" })?;
        let variant_of = row.get(3).cloned().flatten();
        let since = required(&row, 4)?.to_owned();
        let at = (required(&row, 0)?.to_owned(), required(&row, 1)?.to_owned());
        fields.insert(at, Filled::Field { path, variant_of, since });
    }
    let mut columns: BTreeMap<String, Vec<ColumnInfo>> = BTreeMap::new();
    for row in warehouse.query("tables", &sql::columns(names)).await? {
        let (table, name) = (required(&row, 0)?.to_owned(), required(&row, 1)?.to_owned());
        let filled = match fields.remove(&(table.clone(), name.clone())) {
            Some(field) => field,
            None if SYSTEM_COLUMNS.contains(&name.as_str()) => Filled::System,
            None => Filled::Other,
        };
        columns.entry(table).or_default().push(ColumnInfo { name, data_type: data_type(&row)?, filled });
    }
    Ok(columns)
}

/// As SQL spells it: with the length of text, and precision and scale of decimals.
fn data_type(row: &Row) -> Result<String, WarehouseError> {
    let field = |at: usize| row.get(at).and_then(Option::as_deref);
    let size = match (required(row, 2)?, field(3), field(4), field(5)) {
        ("character varying", Some(length), ..) => return Ok(format!("varchar({length})")),
        ("character", Some(length), ..) => return Ok(format!("char({length})")),
        ("numeric", _, Some(precision), Some(scale)) => format!("({precision},{scale})"),
        _ => String::new(),
    };
    Ok(format!("{}{size}", required(row, 2)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_as_they_are_written() {
        let spelled = |data_type: &str, length: Option<&str>, precision: Option<&str>, scale: Option<&str>| {
            let rest = [Some(data_type), length, precision, scale].map(|text| text.map(str::to_owned));
            let row: Row = [Some("t".to_owned()), Some("c".to_owned())].into_iter().chain(rest).collect();
            super::data_type(&row).unwrap()
        };
        assert_eq!(spelled("character varying", Some("256"), None, None), "varchar(256)");
        assert_eq!(spelled("numeric", None, Some("8"), Some("2")), "numeric(8,2)");
        assert_eq!(spelled("bigint", None, Some("64"), Some("0")), "bigint");
    }
}
