//! The mapping: which path of an event's records is in which column. Pure.
//!
//! Append-only: a column never changes once made, its size only grows. What is mapped is decided by
//! [`extend`], which columns one part uses by [`choice`].

pub(crate) mod choice;
pub(crate) mod extend;
pub(crate) mod frozen;
pub(crate) mod kind;
pub(crate) mod name;
pub(crate) mod sight;

use kind::Kind;
use std::collections::BTreeMap;

/// Who a row came from; first in every table, filled from the record's lineage or by default.
pub(crate) const SYSTEM_COLUMNS: [&str; 3] = ["_source", "_line", "_loaded_at"];

/// Holds whole records of parts that columns alone cannot hold.
pub(crate) const RECORD_COLUMN: &str = "_record";

/// Member that the router adds to each record: source id and line.
pub(crate) const LINEAGE_KEY: &str = "_lr";

/// One column of an event's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// Keys from the record's root; empty for [`RECORD_COLUMN`].
    pub(crate) path: Vec<String>,
    /// Its name, never shared.
    pub(crate) name: String,
    /// What it holds.
    pub(crate) kind: Kind,
    /// Bytes; 0 for everything but VARCHAR.
    pub(crate) size: u32,
    /// The column whose misfits it holds.
    pub(crate) variant_of: Option<String>,
}

/// All columns of an event's table, in the order they were made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mapping {
    columns: Vec<Column>,
    by_name: BTreeMap<String, usize>,
    root: Node,
    /// Fields without a column are left out; else records that have such are kept whole.
    leaves_out: bool,
}

/// What is mapped at one path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    /// The column of the path itself.
    base: Option<usize>,
    /// Columns for values that do not fit, by their kind.
    variants: BTreeMap<Kind, usize>,
    /// Mapped paths below.
    children: BTreeMap<String, Node>,
}

impl Mapping {
    /// The mapping of committed rows, in any order: of several rows for one column the largest size counts.
    pub(crate) fn new(rows: impl IntoIterator<Item = Column>) -> Self {
        let mut mapping = Self::default();
        mapping.add(rows);
        mapping
    }

    /// Takes further rows in.
    pub(crate) fn add(&mut self, rows: impl IntoIterator<Item = Column>) {
        for row in rows {
            if let Some(known) = self.by_name.get(&row.name) {
                let known = &mut self.columns[*known];
                known.size = known.size.max(row.size);
                continue;
            }
            let at = self.columns.len();
            let node = row.path.iter().fold(&mut self.root, |node, key| node.children.entry(key.clone()).or_default());
            match row.variant_of {
                None => node.base = Some(at),
                Some(_) => node.variants.extend([(row.kind, at)]),
            }
            self.by_name.insert(row.name.clone(), at);
            self.columns.push(row);
        }
    }

    /// The same for a table that keeps the columns it has, or for one that does not.
    pub(crate) fn frozen(self, leaves_out: bool) -> Self {
        Self { leaves_out, ..self }
    }

    /// All columns, in the order they were made.
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Where records start.
    pub(crate) fn root(&self) -> &Node {
        &self.root
    }

    /// Whether there is a column for whole records.
    pub(crate) fn has_record_column(&self) -> bool {
        self.root.base.is_some()
    }

    /// Whether the column holds what other columns hold too, or what does not fit one of them.
    pub(crate) fn stands_apart(&self, column: &Column) -> bool {
        let node = column.path.iter().try_fold(&self.root, |node, key| node.children.get(key));
        column.variant_of.is_some() || column.path.is_empty() || node.is_some_and(Node::is_flattened)
    }

    /// The column of a path and its variants; none where the path has none of its own.
    pub(crate) fn columns_at(&self, path: &[String]) -> Vec<&Column> {
        let node = path.iter().try_fold(&self.root, |node, key| node.children.get(key));
        let numbers = node.into_iter().flat_map(|node| node.base.iter().chain(node.variants.values()));
        numbers.map(|at| &self.columns[*at]).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }
}

impl Node {
    /// Objects at this path are taken apart into columns of their own.
    pub(crate) fn is_flattened(&self) -> bool {
        !self.children.is_empty()
    }

    /// What is mapped at a key.
    pub(crate) fn child(&self, key: &str) -> Option<&Node> {
        self.children.get(key)
    }

    /// The columns of this path and everything below, without variants.
    fn bases(&self, visit: &mut impl FnMut(usize)) {
        self.base.into_iter().for_each(&mut *visit);
        for child in self.children.values() {
            child.bases(visit);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use common::sketch::{SketchNode, Types};

    /// A column as tests write it: `a.b` is a path of two keys.
    pub(crate) fn column(path: &str, name: &str, kind: Kind) -> Column {
        let path = path.split('.').filter(|k| !k.is_empty()).map(str::to_owned).collect();
        let size = if kind == Kind::Varchar { 256 } else { 0 };
        Column { path, name: name.into(), kind, size, variant_of: None }
    }

    pub(crate) fn variant(of: &str, path: &str, name: &str, kind: Kind) -> Column {
        Column { variant_of: Some(of.into()), ..column(path, name, kind) }
    }

    /// A sketch of records with these paths.
    pub(crate) fn sketch(paths: &[(&str, Types)]) -> SketchNode {
        let mut root = SketchNode { types: Types::OBJECT, ..Default::default() };
        for (path, types) in paths {
            let mut node = &mut root;
            for key in path.split('.') {
                node.types |= Types::OBJECT;
                node = node.keys.entry(key.to_owned()).or_default();
            }
            node.types |= *types;
        }
        root
    }

    #[test]
    fn later_rows_of_a_column_only_make_it_larger() {
        let mut wide = column("a", "a", Kind::Varchar);
        wide.size = 4096;
        let mapping = Mapping::new([wide, column("a", "a", Kind::Varchar), column("b", "b", Kind::Bigint)]);
        assert_eq!(mapping.columns().iter().map(|c| (&*c.name, c.size)).collect::<Vec<_>>(), [("a", 4096), ("b", 0)]);
    }
}
