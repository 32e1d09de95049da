//! What a batch adds to the mapping: new columns, variants and wider sizes.
//!
//! Looks at all parts of the batch at once, so the outcome never depends on which part came first. A path
//! that parts of one batch show in kinds that do not mix gets the kind of most records; for what does not
//! fit it there are variants.

use super::kind::{Kind, Shape, shape, shape_of, varchar_size};
use super::name::{free_name, is_addressable, plain_name, variant_name};
use super::sight::Sight;
use super::{Column, LINEAGE_KEY, Mapping, Node, RECORD_COLUMN, SYSTEM_COLUMNS};
use common::sketch::{SketchNode, Types};
use std::collections::{BTreeMap, BTreeSet};

/// Redshift's limit (database developer guide, `r_CREATE_TABLE_NEW`).
const COLUMNS_MAX: usize = 1_600;

/// Bytes of all quoted names together, so that a COPY's column list stays within one statement.
const NAMES_MAX_BYTES: usize = 85_000;

/// One part's view of a path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    /// Records of the part: its weight where kinds compete. 0 where it shows nothing but values that were found not to fit.
    pub(crate) records: u64,
    /// What was seen.
    pub(crate) node: &'a SketchNode,
}

/// What the table has beyond the mapping, as names are given: columns by name with the kind they hold, if any,
/// and their size.
pub(crate) type Existing = BTreeMap<String, (Option<Kind>, u32)>;

/// The rows that the mapping needs before all of these parts can be loaded; none where nothing is new.
pub(crate) fn extend(mapping: &Mapping, existing: &Existing, parts: &[Seen<'_>], max_depth: usize) -> Vec<Column> {
    let mut wants = Wants { mapping, max_depth, columns: BTreeMap::new(), record: false };
    wants.record |= parts.iter().any(|part| part.node.collapsed);
    wants.record |= wants.keys(&mut Vec::new(), Some(&mapping.root), parts);
    wants.named(existing)
}

/// Short paths first, so that they get the plain names; the column of a path itself (`None`) before its variants.
type Want = (usize, Vec<String>, Option<Kind>);

struct Wants<'m> {
    mapping: &'m Mapping,
    max_depth: usize,
    /// With the kind, and the longest string it must hold.
    columns: BTreeMap<Want, (Kind, u32)>,
    record: bool,
}

impl Wants<'_> {
    /// The keys of objects at `path`. Tells whether some keys with values cannot have columns.
    fn keys(&mut self, path: &mut Vec<String>, at: Option<&Node>, objects: &[Seen<'_>]) -> bool {
        let mut keys: BTreeMap<&str, Vec<Seen<'_>>> = BTreeMap::new();
        for object in objects {
            for (key, node) in object.node.keys.iter().filter(|(_, node)| node.has_values()) {
                keys.entry(key).or_default().push(Seen { node, ..*object });
            }
        }
        let mut left_over = false;
        for (key, seen) in keys {
            if path.is_empty() && key == LINEAGE_KEY {
                continue;
            }
            if !is_addressable(path, key) {
                left_over = true;
                continue;
            }
            path.push(key.to_owned());
            self.path(path, at.and_then(|at| at.children.get(key)), &seen);
            path.pop();
        }
        left_over
    }

    fn path(&mut self, path: &mut Vec<String>, at: Option<&Node>, seen: &[Seen<'_>]) {
        let base = at.and_then(|at| at.base).map(|base| &self.mapping.columns[base]);
        let flattened = at.is_some_and(Node::is_flattened);
        let settled = match base {
            Some(column) => Shape::Column(column.kind),
            None if flattened => Shape::Object,
            None => self.settle(path, seen),
        };
        let (fits, may_fit) = match settled {
            Shape::Column(kind) => (kind.holds(), kind.holds_some()),
            Shape::Object => (Types::OBJECT, Types::NONE),
        };
        for part in seen {
            let holds_nothing = !part.node.collapsed && !part.node.keys.values().any(Sight::has_values);
            let nothing = if holds_nothing { Types::NULL | Types::OBJECT } else { Types::NULL };
            let fits = if part.records == 0 { fits } else { fits | may_fit };
            self.variants(path, at, part.node.types.without(fits | nothing), part.node);
        }
        let fitting: Vec<Seen<'_>> =
            seen.iter().filter(|part| !part.node.types.and(fits).is_empty()).copied().collect();
        match settled {
            Shape::Column(kind) => {
                for part in &fitting {
                    self.want(path, None, kind, part.node);
                }
                // A SUPER column beside flattened ones: those that are there keep being filled, none are added.
                if let (Some(at), true) = (at, flattened) {
                    self.children_beside(path, at, &fitting);
                }
            }
            Shape::Object => {
                let hidden = fitting.iter().any(|part| part.node.collapsed);
                if self.keys(path, at, &fitting) || hidden {
                    let everything = SketchNode::default();
                    self.want(path, None, Kind::Super, &everything);
                }
            }
        }
    }

    /// Variants for a part's values that do not fit: those that are there if they hold them, else new ones.
    fn variants(&mut self, path: &[String], at: Option<&Node>, misfits: Types, node: &SketchNode) {
        let known: Vec<Kind> = at.iter().flat_map(|at| at.variants.keys().copied()).collect();
        for (kind, found) in Kind::of_misfits(misfits) {
            let alike = |known: &&Kind| **known != Kind::Super || kind == Kind::Super;
            let held = known.iter().filter(alike).fold(Types::NONE, |held, known| held | known.holds());
            if !found.within(held) {
                self.want(path, Some(kind), kind, node);
            }
            if known.contains(&Kind::Varchar) && !found.and(Kind::Varchar.holds()).is_empty() {
                self.want(path, Some(Kind::Varchar), Kind::Varchar, node);
            }
        }
    }

    /// Strings may outgrow the columns and variants below a SUPER one too: all that [`super::choice`] may choose.
    fn children_beside(&mut self, path: &mut Vec<String>, at: &Node, parts: &[Seen<'_>]) {
        for (key, child) in &at.children {
            let seen: Vec<_> =
                parts.iter().filter_map(|part| Some(Seen { node: part.node.keys.get(key)?, ..*part })).collect();
            path.push(key.clone());
            let base = child.base.map(|base| (None, self.mapping.columns[base].kind));
            let variants = child.variants.keys().map(|kind| (Some(*kind), *kind));
            for (variant, kind) in base.into_iter().chain(variants).filter(|(_, kind)| *kind == Kind::Varchar) {
                for part in &seen {
                    self.want(path, variant, kind, part.node);
                }
            }
            self.children_beside(path, child, &seen);
            path.pop();
        }
    }

    /// What a new path becomes.
    fn settle(&self, path: &[String], seen: &[Seen<'_>]) -> Shape {
        let depth = path.len();
        let types = seen.iter().fold(Types::NONE, |types, part| types | part.node.types);
        let collapsed = seen.iter().any(|part| part.node.collapsed);
        let together = shape_of(types, collapsed, depth, self.max_depth);
        let settled = if together == Shape::Column(Kind::Super) {
            let mut weights: BTreeMap<Shape, u64> = BTreeMap::new();
            for part in seen {
                *weights.entry(shape(part.node, depth, self.max_depth)).or_default() += part.records;
            }
            let heaviest = weights.into_iter().max_by_key(|(shape, records)| (*records, *shape));
            heaviest.map_or(together, |(shape, _)| shape)
        } else {
            together
        };
        let awkward =
            |part: &Seen<'_>| part.node.keys.iter().any(|(key, node)| node.has_values() && !is_addressable(path, key));
        match settled {
            Shape::Object if seen.iter().any(awkward) => Shape::Column(Kind::Super),
            settled => settled,
        }
    }

    fn want(&mut self, path: &[String], variant: Option<Kind>, kind: Kind, node: &SketchNode) {
        let (_, max_bytes) = self.columns.entry((path.len(), path.to_vec(), variant)).or_insert((kind, 0));
        *max_bytes = node.max_bytes.max(*max_bytes);
    }

    /// Gives names in order, and leaves to whole records what has no room.
    fn named(self, existing: &Existing) -> Vec<Column> {
        let Wants { mapping, columns, mut record, .. } = self;
        let mut names: BTreeSet<String> = SYSTEM_COLUMNS.iter().map(|name| (*name).to_owned()).collect();
        names.insert(RECORD_COLUMN.to_owned());
        names.extend(mapping.columns.iter().map(|column| column.name.clone()));
        let mut room = Room::beside(names.iter().chain(existing.keys()).collect());
        let mut rows = Vec::new();
        let mut made: BTreeMap<Vec<String>, String> = BTreeMap::new();
        for ((_, path, variant), (kind, max_bytes)) in columns {
            let size = if kind == Kind::Varchar { varchar_size(max_bytes) } else { 0 };
            if let Some(known) = mapping.at(&path, variant) {
                if max_bytes > known.size && size > known.size {
                    rows.push(Column { size, ..known.clone() });
                }
                continue;
            }
            let base = mapping.at(&path, None).map(|column| column.name.clone()).or_else(|| made.get(&path).cloned());
            let plain = base.unwrap_or_else(|| plain_name(&path));
            let mut wish = match variant {
                Some(kind) => variant_name(&plain, kind, &path),
                None => plain.clone(),
            };
            // A person's column that holds at least some of it is used, and what does not fit finds its variant later.
            let taken = existing.get(&wish).and_then(|(holds, _)| *holds);
            if let (None, Some(narrow), false) =
                (variant, taken.filter(|narrow| *narrow != kind && narrow.takes(kind)), names.contains(&wish))
            {
                names.insert(wish.clone());
                made.insert(path.clone(), wish.clone());
                rows.push(Column { path, name: wish, kind: narrow, size: 0, variant_of: None });
                continue;
            }
            // A person's column of this name is used if it holds the same; else ours goes beside it.
            if !names.contains(&wish) && existing.get(&wish).is_some_and(|(holds, _)| *holds != Some(kind)) {
                wish = variant_name(&wish, kind, &path);
            }
            let name = free_name(&wish, &path, |name| {
                names.contains(name) || existing.get(name).is_some_and(|(holds, _)| *holds != Some(kind))
            });
            if !existing.contains_key(&name) && !room.take(&name) {
                record = true;
                continue;
            }
            // A person's column keeps its size while that suffices.
            let size = match existing.get(&name) {
                Some((Some(Kind::Varchar), found)) if *found >= max_bytes => *found,
                _ => size,
            };
            names.insert(name.clone());
            if variant.is_none() {
                made.insert(path.clone(), name.clone());
            }
            rows.push(Column { path, name, kind, size, variant_of: variant.map(|_| plain) });
        }
        if record && !mapping.has(RECORD_COLUMN) {
            let name = RECORD_COLUMN.to_owned();
            rows.push(Column { path: Vec::new(), name, kind: Kind::Super, size: 0, variant_of: None });
        }
        rows
    }
}

/// How many more columns a table takes. [`RECORD_COLUMN`] always has its place.
struct Room {
    columns: usize,
    bytes: usize,
}

impl Room {
    fn beside(names: BTreeSet<&String>) -> Self {
        let bytes: usize = names.iter().map(|name| name.len() + QUOTES).sum();
        Self { columns: COLUMNS_MAX.saturating_sub(names.len()), bytes: NAMES_MAX_BYTES.saturating_sub(bytes) }
    }

    fn take(&mut self, name: &str) -> bool {
        let fits = self.columns > 0 && self.bytes >= name.len() + QUOTES;
        if fits {
            self.columns -= 1;
            self.bytes -= name.len() + QUOTES;
        }
        fits
    }
}

/// Two quotes, a comma and a space around each name of a list.
const QUOTES: usize = 4;

impl Mapping {
    fn at(&self, path: &[String], variant: Option<Kind>) -> Option<&Column> {
        let node = path.iter().try_fold(&self.root, |node, key| node.children.get(key))?;
        let column = match variant {
            None => node.base,
            Some(kind) => node.variants.get(&kind).copied(),
        };
        column.map(|at| &self.columns[at])
    }
}

#[cfg(test)]
mod tests;
