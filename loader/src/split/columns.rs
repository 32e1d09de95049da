//! The column list of a COPY, and where in the records each column's values stand.

use super::Layout;
use super::rewrite::rewritten_path;
use crate::mapping::{Column, LINEAGE_KEY, Mapping, RECORD_COLUMN};

/// What a COPY fills, and from where. Says all by itself: the mapping may have grown since.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Columns {
    pub(crate) names: Vec<String>,
    /// One JSONPaths expression per name.
    pub(crate) jsonpaths: Vec<String>,
}

impl Columns {
    /// For records of this layout.
    pub(super) fn of(mapping: &Mapping, layout: &Layout) -> Self {
        let lineage = [("_source", "s"), ("_line", "l")]
            .map(|(column, key)| (column.to_owned(), expression(&[LINEAGE_KEY.to_owned(), key.to_owned()])));
        let own: Vec<(String, String)> = match layout {
            Layout::Chosen(choice) => {
                choice.columns(mapping).into_iter().map(|column| (column.name.clone(), source_of(column))).collect()
            }
            Layout::Rewritten => {
                let path = |column: &Column| expression(&rewritten_path(mapping, column));
                mapping.columns().iter().map(|column| (column.name.clone(), path(column))).collect()
            }
        };
        let (names, jsonpaths) = lineage.into_iter().chain(own).unzip();
        Self { names, jsonpaths }
    }
}

fn source_of(column: &Column) -> String {
    match column.name.as_str() {
        RECORD_COLUMN => "$".to_owned(),
        _ => expression(&column.path),
    }
}

/// Bracket notation: any key without quotes and backslashes (database developer guide,
/// `copy-usage_notes-copy-from-json`); the mapping has no others.
fn expression(path: &[String]) -> String {
    path.iter().fold("$".to_owned(), |text, key| format!("{text}['{key}']"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::kind::Kind;
    use crate::mapping::tests::{column, variant};

    #[test]
    fn rewritten_records_have_their_values_apart() {
        let mapping = Mapping::new([
            column("a", "a", Kind::Bigint),
            column("b.c", "b_c", Kind::Bigint),
            column("b", "b", Kind::Super),
            column("", "_record", Kind::Super),
            variant("a", "a", "a__varchar", Kind::Varchar),
        ]);
        let columns = Columns::of(&mapping, &Layout::Rewritten);
        assert_eq!(columns.names[2..], ["a", "b_c", "b", "_record", "a__varchar"]);
        let apart = ["b", "_record", "a__varchar"].map(|name| format!("$['_lr']['m']['{name}']"));
        assert_eq!(columns.jsonpaths[2..4], ["$['a']", "$['b']['c']"]);
        assert_eq!(columns.jsonpaths[4..], apart);
    }
}
