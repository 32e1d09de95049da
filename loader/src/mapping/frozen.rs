//! Tables whose columns stay as they are: what parts look like to them, and what of it is left out. Pure.
//!
//! Only a field without any column is left out. Values of a field that has one keep their place: a wider
//! column or a variant, as in every table.

use super::extend::{Existing, Seen, extend};
use super::sight::Sight;
use super::{Column, LINEAGE_KEY, Mapping, Node};
use common::sketch::SketchNode;
use std::collections::{BTreeMap, BTreeSet};

/// Fields left out, each by the keys that lead to it: of a whole object without columns, the object.
pub(crate) type LeftOut = BTreeSet<Vec<String>>;

/// The rows that a frozen mapping needs for these parts: for columns that are there already, wider sizes, variants.
pub(crate) fn extend_known(
    mapping: &Mapping,
    existing: &Existing,
    parts: &[Seen<'_>],
    max_depth: usize,
) -> Vec<Column> {
    let is_known = |row: &Column| {
        row.variant_of.is_some() || row.path.is_empty() || mapping.has(&row.name) || existing.contains_key(&row.name)
    };
    // A person's column that takes a field is found by its name, and names are given in `extend` only.
    let found = extend(mapping, existing, parts, max_depth).into_iter().filter(is_known);
    let with_found = Mapping::new(mapping.columns().iter().cloned().chain(found));
    // Fields without a column are left out. A misfit that nothing but its whole record can hold is not.
    let needs_record = |part: &Seen<'_>| part.records == 0 && part.node.collapsed;
    let pruned = |part: &Seen<'_>| SketchNode {
        collapsed: needs_record(part),
        ..known(&with_found, part.node, &mut LeftOut::new())
    };
    let nodes: Vec<SketchNode> = parts.iter().map(pruned).collect();
    let seen: Vec<Seen<'_>> =
        parts.iter().zip(&nodes).map(|(part, node)| Seen { records: part.records, node }).collect();
    extend(mapping, existing, &seen, max_depth)
}

/// The sketch without the fields that the mapping has no column for; they are added to `left_out`.
pub(crate) fn known(mapping: &Mapping, sketch: &SketchNode, left_out: &mut LeftOut) -> SketchNode {
    Pruner { path: Vec::new(), left_out }.object(&mapping.root, sketch)
}

struct Pruner<'l> {
    path: Vec<String>,
    left_out: &'l mut LeftOut,
}

impl Pruner<'_> {
    /// An object whose keys are columns of their own.
    fn object(&mut self, at: &Node, object: &SketchNode) -> SketchNode {
        if object.collapsed {
            // Keys that are not told: those that have columns were looked for in the records.
            self.left_out.insert(self.path.clone());
        }
        let mut kept = SketchNode { keys: BTreeMap::new(), collapsed: false, ..object.clone() };
        for (key, node) in &object.keys {
            let is_lineage = self.path.is_empty() && key == LINEAGE_KEY;
            if is_lineage || !node.has_values() {
                kept.keys.insert(key.clone(), node.clone());
                continue;
            }
            self.path.push(key.clone());
            match at.children.get(key) {
                Some(child) if child.base.is_some() => {
                    kept.keys.insert(key.clone(), node.clone());
                }
                Some(child) if child.is_flattened() => {
                    kept.keys.insert(key.clone(), self.object(child, node));
                }
                _ => {
                    self.left_out.insert(self.path.clone());
                }
            }
            self.path.pop();
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::RECORD_COLUMN;
    use crate::mapping::choice::choose;
    use crate::mapping::kind::Kind;
    use crate::mapping::tests::{column, sketch, variant};
    use common::sketch::Types;

    fn left_out(mapping: &Mapping, sketch: &SketchNode) -> Vec<String> {
        let mut fields = LeftOut::new();
        known(mapping, sketch, &mut fields);
        fields.into_iter().map(|path| path.join(".")).collect()
    }

    fn rows(mapping: &Mapping, existing: &Existing, sketch: &SketchNode) -> Vec<(String, Kind, u32)> {
        let rows = extend_known(mapping, existing, &[Seen { records: 1, node: sketch }], 3);
        rows.into_iter().map(|row| (row.name, row.kind, row.size)).collect()
    }

    #[test]
    fn new_fields_are_left_out_and_everything_else_is_kept() {
        let mapping = Mapping::new([column("a", "a", Kind::Bigint), column("o.b", "o_b", Kind::Bigint)]);
        let seen = sketch(&[
            ("a", Types::INTEGER),
            ("new", Types::STRING),
            ("o.b", Types::INTEGER),
            ("o.c", Types::STRING),
            ("p.q.r", Types::STRING),
            ("nothing", Types::NULL),
            ("it's", Types::STRING),
            ("_lr.s", Types::STRING),
        ]);
        assert_eq!(left_out(&mapping, &seen), ["it's", "new", "o.c", "p"]);
        assert_eq!(rows(&mapping, &Existing::new(), &seen), []);
        let kept = known(&mapping, &seen, &mut LeftOut::new());
        assert_eq!(kept.keys.keys().collect::<Vec<_>>(), ["_lr", "a", "nothing", "o"]);
        assert_eq!(choose(&mapping, &seen), None, "some records would be kept whole");
        let frozen = mapping.frozen(true);
        let chosen = choose(&frozen, &seen).expect("all load alike");
        assert_eq!(chosen.columns(&frozen).len(), 2);
    }

    #[test]
    fn values_that_do_not_fit_a_column_still_get_their_variant() {
        let mapping = Mapping::new([column("a", "a", Kind::Bigint), column("o.b", "o_b", Kind::Bigint)]);
        let text = sketch(&[("a", Types::STRING), ("o", Types::BOOLEAN)]);
        assert_eq!(left_out(&mapping, &text), Vec::<String>::new());
        let expected = [("a__varchar".to_owned(), Kind::Varchar, 256), ("o__boolean".to_owned(), Kind::Boolean, 0)];
        assert_eq!(rows(&mapping, &Existing::new(), &text), expected);
    }

    #[test]
    fn records_that_load_whole_only_get_their_column_and_hidden_fields_do_not() {
        let mapping = Mapping::new([column("a", "a", Kind::Bigint)]);
        let node = SketchNode { collapsed: true, ..sketch(&[]) };
        let wanted = |records| {
            let rows = extend_known(&mapping, &Existing::new(), &[Seen { records, node: &node }], 3);
            rows.into_iter().map(|row| row.name).collect::<Vec<_>>()
        };
        assert_eq!(wanted(0), [RECORD_COLUMN], "misfits, found in the records");
        assert_eq!(wanted(9), [""; 0], "a sketch of more keys than it tells");
    }

    #[test]
    fn strings_that_outgrow_a_column_widen_it() {
        let mapping = Mapping::new([column("a", "a", Kind::Varchar)]);
        let mut long = sketch(&[("a", Types::STRING), ("b", Types::STRING)]);
        long.keys.get_mut("a").unwrap().max_bytes = 300;
        assert_eq!(rows(&mapping, &Existing::new(), &long), [("a".to_owned(), Kind::Varchar, 4096)]);
    }

    #[test]
    fn a_persons_column_takes_the_field_of_its_name_and_type_and_no_other() {
        let existing = Existing::from([
            ("id".to_owned(), (Some(Kind::Bigint), 0)),
            ("price".to_owned(), (None, 0)),
            ("user_name".to_owned(), (Some(Kind::Varchar), 100)),
        ]);
        let seen = sketch(&[("id", Types::INTEGER), ("price", Types::DECIMAL), ("user.name", Types::STRING)]);
        let expected = [("id".to_owned(), Kind::Bigint, 0), ("user_name".to_owned(), Kind::Varchar, 100)];
        assert_eq!(rows(&Mapping::default(), &existing, &seen), expected);
    }

    #[test]
    fn what_a_super_column_holds_is_not_left_out() {
        let mapping = Mapping::new([column("s", "s", Kind::Super), column("s.b", "s_b", Kind::Boolean)]);
        assert_eq!(left_out(&mapping, &sketch(&[("s.b", Types::BOOLEAN), ("s.new", Types::STRING)])), [""; 0]);
    }

    #[test]
    fn a_variant_without_its_column_is_no_place_for_a_field() {
        let mapping = Mapping::new([variant("a", "a", "a__varchar", Kind::Varchar)]);
        assert_eq!(left_out(&mapping, &sketch(&[("a", Types::STRING)])), ["a"]);
    }
}
