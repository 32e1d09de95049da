//! What really exists of an event in the warehouse: its columns as `svv_columns` shows them, gate and ledger.

use crate::mapping::extend::Existing;
use crate::mapping::kind::Kind;
use crate::mapping::{Column, Mapping, SYSTEM_COLUMNS};
use crate::sql::{gate_name, ledger_name};
use crate::warehouse::{Row, WarehouseError, required};
use common::event_name::EventName;
use std::collections::BTreeMap;

/// The longest VARCHAR; number text needs it.
const LONGEST: u32 = 65_535;

/// A source id is so many hex digits.
const SOURCE_ID_BYTES: u32 = 32;

/// What exists of one event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Actual {
    /// Columns of the event's table by name; empty where there is no table.
    columns: BTreeMap<String, ActualColumn>,
    pub(crate) has_gate: bool,
    pub(crate) has_ledger: bool,
}

#[derive(Clone, Debug)]
struct ActualColumn {
    /// As `svv_columns` spells it.
    data_type: String,
    kind: Option<Kind>,
    size: u32,
}

/// A system column of another type: every record would be refused, or come from nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnlikeSystem {
    pub(crate) column: &'static str,
    /// The type it really has.
    pub(crate) found: String,
}

/// A mapped column that would not hold its values unchanged: a person made it anew, or before us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unlike<'a> {
    pub(crate) column: &'a Column,
    /// The type it really has.
    pub(crate) data_type: &'a str,
}

/// A change that the table needs to follow its mapping.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missing<'m> {
    /// There is no table.
    Table,
    /// A system column of a table that a person made.
    SystemColumn(&'static str),
    Column(&'m Column),
    /// The column is shorter than recorded.
    Size(&'m Column),
}

impl Actual {
    /// Reads the rows of [`crate::sql::ask::columns_of`].
    pub(crate) fn new(event: &EventName, rows: &[Row]) -> Result<Self, WarehouseError> {
        let mut actual = Self::default();
        for row in rows {
            let (table, name) = (required(row, 0)?, required(row, 1)?);
            if table == event.as_str() {
                let number = |at: usize| row.get(at).and_then(Option::as_deref).and_then(|n| n.parse::<u32>().ok());
                let data_type = required(row, 2)?.to_owned();
                let kind = kind_of(&data_type, number(4), number(5));
                actual.columns.insert(name.to_owned(), ActualColumn { kind, data_type, size: number(3).unwrap_or(0) });
            }
            actual.has_gate |= table == gate_name(event);
            actual.has_ledger |= table == ledger_name(event);
        }
        Ok(actual)
    }

    pub(crate) fn has_table(&self) -> bool {
        !self.columns.is_empty()
    }

    /// Bytes that a VARCHAR column takes.
    pub(crate) fn text_size(&self, column: &str) -> Option<u32> {
        self.columns.get(column).filter(|column| column.kind == Some(Kind::Varchar)).map(|column| column.size)
    }

    pub(crate) fn has_column(&self, name: &str) -> bool {
        self.columns.contains_key(name)
    }

    /// Whether rows of this product may be in the table.
    pub(crate) fn has_source_column(&self) -> bool {
        self.columns.contains_key("_source")
    }

    pub(crate) fn has_loaded_at_column(&self) -> bool {
        self.columns.contains_key("_loaded_at")
    }

    /// Columns that the mapping does not know: a person's.
    pub(crate) fn beside(&self, mapping: &Mapping) -> Existing {
        let mut existing: Existing =
            self.columns.iter().map(|(name, column)| (name.clone(), (column.kind, column.size))).collect();
        for name in mapping.columns().iter().map(|column| column.name.as_str()).chain(SYSTEM_COLUMNS) {
            existing.remove(name);
        }
        existing
    }

    /// The first mapped column whose real type is another than its kind asks for.
    pub(crate) fn unlike<'a>(&'a self, mapping: &'a Mapping) -> Option<Unlike<'a>> {
        mapping.columns().iter().find_map(|column| {
            let found = self.columns.get(&column.name)?;
            (found.kind != Some(stored_kind(column))).then_some(Unlike { column, data_type: &found.data_type })
        })
    }

    /// The first system column, of those that are there, that does not take what is loaded into it.
    pub(crate) fn unlike_system(&self) -> Option<UnlikeSystem> {
        SYSTEM_COLUMNS.into_iter().find_map(|column| {
            let ActualColumn { data_type, size, .. } = self.columns.get(column)?;
            let (is_like, found) = match column {
                "_source" => {
                    (data_type == "character varying" && *size >= SOURCE_ID_BYTES, format!("{data_type}({size})"))
                }
                "_line" => (data_type == "bigint", data_type.clone()),
                _ => (data_type == "timestamp without time zone", data_type.clone()),
            };
            (!is_like).then_some(UnlikeSystem { column, found })
        })
    }

    /// What the table lacks of the mapping.
    pub(crate) fn missing<'m>(&self, mapping: &'m Mapping) -> Vec<Missing<'m>> {
        if !self.has_table() {
            return vec![Missing::Table];
        }
        let system = SYSTEM_COLUMNS.into_iter().filter(|name| !self.columns.contains_key(*name));
        let own = mapping.columns().iter().filter_map(|column| match self.columns.get(&column.name) {
            None => Some(Missing::Column(column)),
            Some(found) if found.kind == Some(Kind::Varchar) && found.size < wanted_size(column) => {
                Some(Missing::Size(column))
            }
            Some(_) => None,
        });
        system.map(Missing::SystemColumn).chain(own).collect()
    }
}

/// The kind of the column's type: the text of numbers is in a VARCHAR.
fn stored_kind(column: &Column) -> Kind {
    match column.kind {
        Kind::Number => Kind::Varchar,
        kind => kind,
    }
}

fn wanted_size(column: &Column) -> u32 {
    match column.kind {
        Kind::Number => LONGEST,
        _ => column.size,
    }
}

/// The kind of values that a column of this type holds without changing them, if any. Number text is only
/// ever put where the mapping says so.
fn kind_of(data_type: &str, precision: Option<u32>, scale: Option<u32>) -> Option<Kind> {
    match data_type {
        "smallint" => Some(Kind::Smallint),
        "integer" => Some(Kind::Integer),
        "date" => Some(Kind::Date),
        "numeric" => {
            let (precision, scale) = (precision?.try_into().ok()?, scale?.try_into().ok()?);
            Some(Kind::Decimal { precision, scale })
        }
        "boolean" => Some(Kind::Boolean),
        "bigint" => Some(Kind::Bigint),
        "double precision" => Some(Kind::Double),
        "timestamp with time zone" => Some(Kind::Timestamp),
        "character varying" => Some(Kind::Varchar),
        "super" => Some(Kind::Super),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::tests::column;

    fn row(table: &str, name: &str, data_type: &str, size: Option<&str>) -> Row {
        vec![Some(table.into()), Some(name.into()), Some(data_type.into()), size.map(str::to_owned)]
    }

    fn event() -> EventName {
        EventName::of_type("x")
    }

    #[test]
    fn a_table_follows_its_mapping_by_what_it_lacks() {
        let mut wide = column("s", "s", Kind::Varchar);
        wide.size = 4096;
        let mapping = Mapping::new([wide, column("n", "n", Kind::Bigint), column("t", "t", Kind::Number)]);
        assert_eq!(Actual::default().missing(&mapping), [Missing::Table]);
        let rows = [
            row("x", "_source", "character varying", Some("32")),
            row("x", "_loaded_at", "timestamp without time zone", None),
            row("x", "s", "character varying", Some("256")),
            row("x", "t", "character varying", Some("65535")),
            row("gate_x", "holder", "character varying", Some("256")),
        ];
        let actual = Actual::new(&event(), &rows).expect("reads");
        let missing = actual.missing(&mapping);
        let columns = mapping.columns();
        assert_eq!(missing, [Missing::SystemColumn("_line"), Missing::Size(&columns[0]), Missing::Column(&columns[1])]);
        assert!(actual.has_gate && !actual.has_ledger && actual.has_source_column());
    }

    #[test]
    fn a_mapped_column_of_another_type_is_noticed() {
        let rows = [row("x", "n", "character varying", Some("65535")), row("x", "d", "numeric", None)];
        let actual = Actual::new(&event(), &rows).expect("reads");
        let like = Mapping::new([column("n", "n", Kind::Number), column("b", "b", Kind::Bigint)]);
        assert_eq!(actual.unlike(&like), None);
        let mapping = Mapping::new([column("n", "n", Kind::Number), column("d", "d", Kind::Double)]);
        let expected = Unlike { column: &mapping.columns()[1], data_type: "numeric" };
        assert_eq!(actual.unlike(&mapping), Some(expected));
    }

    #[test]
    fn a_system_column_of_another_type_is_noticed() {
        let unlike = |name: &str, data_type: &str, size: Option<&str>| {
            let actual = Actual::new(&event(), &[row("x", name, data_type, size)]).expect("reads");
            actual.unlike_system().map(|UnlikeSystem { column, found }| (column, found))
        };
        assert_eq!(unlike("_source", "character varying", Some("256")), None);
        assert_eq!(unlike("_line", "bigint", None), None);
        assert_eq!(unlike("_loaded_at", "timestamp without time zone", None), None);
        assert_eq!(unlike("other", "character varying", Some("1")), None);
        let short = ("_source", "character varying(16)".to_owned());
        assert_eq!(unlike("_source", "character varying", Some("16")), Some(short));
        assert_eq!(unlike("_line", "character varying", Some("32")), Some(("_line", "character varying".to_owned())));
        let zoned = "timestamp with time zone";
        assert_eq!(unlike("_loaded_at", zoned, None), Some(("_loaded_at", zoned.to_owned())));
    }

    #[test]
    fn a_persons_columns_are_known_by_what_they_hold() {
        let rows = [
            row("x", "amount", "numeric", None),
            row("x", "id", "bigint", None),
            row("x", "mapped", "bigint", None),
            row("x", "_line", "bigint", None),
        ];
        let actual = Actual::new(&event(), &rows).expect("reads");
        let mapping = Mapping::new([column("mapped", "mapped", Kind::Bigint)]);
        let expected = Existing::from([("amount".to_owned(), (None, 0)), ("id".to_owned(), (Some(Kind::Bigint), 0))]);
        assert_eq!(actual.beside(&mapping), expected);
    }
}
