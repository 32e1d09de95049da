//! Which piece of a record goes to which column, found in one walk over the record's bytes.

use std::collections::HashMap;

use super::jsonpaths::{Path, Step};
use crate::redshift::catalog::Column;
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::sql_type::SqlType;
use crate::redshift::values::json::{self, JsonError, Kind};

/// The paths of all columns as one tree.
#[derive(Debug, Default)]
struct Node {
    names: HashMap<Vec<u8>, Node>,
    indexes: Vec<(usize, Node)>,
    /// Columns that take the value here.
    columns: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct Shredder {
    root: Node,
    width: usize,
    ignore_case: bool,
    arrays: bool,
}

/// The values of one record, by column, and where the record ends.
pub(super) type Shredded<'r> = (Vec<Option<&'r [u8]>>, usize);

#[derive(Debug, PartialEq, Eq)]
pub(super) enum ShredError {
    /// Perhaps only because the record's end has not been read yet.
    Malformed(JsonError),
    /// A path's array step found no such element.
    NoElement,
}

impl From<JsonError> for ShredError {
    fn from(error: JsonError) -> ShredError {
        ShredError::Malformed(error)
    }
}

impl Shredder {
    /// 'auto': first-level keys are column names.
    pub(super) fn by_name(columns: &[Column], ignore_case: bool) -> Shredder {
        let mut root = Node::default();
        for (i, column) in columns.iter().enumerate() {
            root.names.entry(column.name.clone().into_bytes()).or_default().columns.push(i);
        }
        Shredder { root, width: columns.len(), ignore_case, arrays: false }
    }

    /// 'noshred': the whole object into the one SUPER column.
    pub(super) fn whole(columns: &[Column]) -> SqlResult<Shredder> {
        match columns {
            [Column { ty: SqlType::Super, .. }] => {
                let root = Node { columns: vec![0], ..Node::default() };
                Ok(Shredder { root, width: 1, ignore_case: false, arrays: true })
            }
            _ => Err(SqlError::new("JSON 'noshred' needs a table or column list of one SUPER column")),
        }
    }

    pub(super) fn by_path(paths: &[Path]) -> Shredder {
        let mut root = Node::default();
        for (i, path) in paths.iter().enumerate() {
            let mut node = &mut root;
            for step in path {
                node = match step {
                    Step::Name(name) => node.names.entry(name.clone().into_bytes()).or_default(),
                    Step::Index(index) => {
                        let at = match node.indexes.iter().position(|(known, _)| known == index) {
                            Some(at) => at,
                            None => {
                                node.indexes.push((*index, Node::default()));
                                node.indexes.len() - 1
                            }
                        };
                        &mut node.indexes[at].1
                    }
                };
            }
            node.columns.push(i);
        }
        Shredder { root, width: paths.len(), ignore_case: false, arrays: true }
    }

    /// Whether a root array is a record; with 'auto' only objects are.
    pub(super) fn takes_arrays(&self) -> bool {
        self.arrays
    }

    /// The values of the record that starts at `at`, and where it ends.
    pub(super) fn shred<'r>(&self, bytes: &'r [u8], at: usize) -> Result<Shredded<'r>, ShredError> {
        let mut values = vec![None; self.width];
        let mut missing = false;
        let end = if bytes[at] == b'{' && self.root.columns.is_empty() && self.root.indexes.is_empty() {
            json::members(bytes, at, |key, value| self.member(&self.root, key, value, &mut values, &mut missing))?
        } else {
            let end = json::skip_value(bytes, at)?;
            self.descend(&self.root, &bytes[at..end], &mut values, &mut missing)?;
            end
        };
        if missing { Err(ShredError::NoElement) } else { Ok((values, end)) }
    }

    fn member<'r>(
        &self,
        node: &Node,
        key: &[u8],
        value: &'r [u8],
        values: &mut [Option<&'r [u8]>],
        missing: &mut bool,
    ) -> Result<(), JsonError> {
        let mut key = json::unescape(key)?;
        if self.ignore_case {
            key.to_mut().make_ascii_lowercase();
        }
        match node.names.get(key.as_ref()) {
            Some(child) => self.descend(child, value, values, missing),
            None => Ok(()),
        }
    }

    fn descend<'r>(
        &self,
        node: &Node,
        value: &'r [u8],
        values: &mut [Option<&'r [u8]>],
        missing: &mut bool,
    ) -> Result<(), JsonError> {
        for column in &node.columns {
            values[*column] = Some(value);
        }
        if !node.names.is_empty() && json::kind(value) == Kind::Object {
            json::members(value, 0, |key, value| self.member(node, key, value, values, missing))?;
        }
        if !node.indexes.is_empty() {
            let mut length = 0;
            if json::kind(value) == Kind::Array {
                json::elements(value, 0, |index, element| {
                    length = index + 1;
                    for (_, child) in node.indexes.iter().filter(|(wanted, _)| *wanted == index) {
                        self.descend(child, element, values, missing)?;
                    }
                    Ok(())
                })?;
            }
            *missing |= node.indexes.iter().any(|(wanted, _)| *wanted >= length);
        }
        Ok(())
    }
}
