//! Which columns one part loads: every mapped column, except where a variant takes over for this part.

use super::kind::{Kind, Shape, has_values, shape};
use super::{Column, LINEAGE_KEY, Mapping, Node};
use common::sketch::SketchNode;
use std::collections::BTreeSet;

/// A part's choice. Parts of one choice load in one COPY.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Choice {
    /// Mapped columns that this part must leave out: its values would not fit.
    left_out: BTreeSet<usize>,
    /// Variants it fills instead.
    variants: BTreeSet<usize>,
    /// Whether whole records are kept too, because not every value has a column.
    record: bool,
}

/// The mapping has no column for whole records although a part needs one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the mapping lacks the column {}: it was changed by hand", super::RECORD_COLUMN)]
pub(crate) struct NoRecordColumn;

/// Chooses for a part with this sketch.
pub(crate) fn choose(mapping: &Mapping, sketch: &SketchNode, max_depth: usize) -> Result<Choice, NoRecordColumn> {
    let mut chooser = Chooser { mapping, max_depth, choice: Choice::default() };
    if sketch.collapsed {
        // What the records hold is unknown, so no column but the one for all of it is safe.
        for child in mapping.root.children.values() {
            chooser.leave_out(child);
        }
        chooser.choice.record = true;
    } else {
        chooser.keys(&mapping.root, sketch, 0, false);
    }
    match chooser.choice.record && mapping.root.base.is_none() {
        true => Err(NoRecordColumn),
        false => Ok(chooser.choice),
    }
}

impl Choice {
    /// The columns to load, in the mapping's order.
    pub(crate) fn columns<'m>(&self, mapping: &'m Mapping) -> Vec<&'m Column> {
        let chosen = |at: usize, column: &Column| match (&column.variant_of, column.path.is_empty()) {
            (Some(_), _) => self.variants.contains(&at),
            (None, true) => self.record,
            (None, false) => !self.left_out.contains(&at),
        };
        let all = mapping.columns().iter().enumerate();
        all.filter(|(at, column)| chosen(*at, column)).map(|(_, column)| column).collect()
    }
}

struct Chooser<'m> {
    mapping: &'m Mapping,
    max_depth: usize,
    choice: Choice,
}

impl Chooser<'_> {
    /// Below a flattened object. `covered`: a SUPER column above holds everything anyway.
    fn keys(&mut self, at: &Node, object: &SketchNode, depth: usize, covered: bool) {
        for (key, node) in &object.keys {
            if depth == 0 && key == LINEAGE_KEY {
                continue;
            }
            match (at.children.get(key), has_values(node)) {
                (Some(child), true) => self.node(child, node, depth + 1, covered),
                (Some(child), false) => self.without_values(child, node),
                (None, true) => self.choice.record |= !covered,
                (None, false) => {}
            }
        }
    }

    /// Nulls and objects that hold nothing else are NULL in every column but SUPER: COPY would refuse such an
    /// object for a number, and write its text into a VARCHAR.
    fn without_values(&mut self, at: &Node, node: &SketchNode) {
        let base = at.base.filter(|base| !self.mapping.columns[*base].kind.fits(node));
        self.choice.left_out.extend(base);
        for (key, below) in &node.keys {
            if let Some(child) = at.children.get(key) {
                self.without_values(child, below);
            }
        }
    }

    fn node(&mut self, at: &Node, node: &SketchNode, depth: usize, covered: bool) {
        let objects = shape(node, depth, self.max_depth) == Shape::Object;
        match at.base {
            Some(base) if self.mapping.columns[base].kind.fits(node) => {
                if objects {
                    self.keys(at, node, depth, true);
                } else {
                    at.children.values().for_each(|child| self.leave_out(child));
                }
            }
            None if at.is_flattened() && objects => self.keys(at, node, depth, covered),
            _ => {
                self.leave_out(at);
                let kind = variant_kind(node, depth, self.max_depth);
                match at.variants.get(&kind) {
                    Some(variant) => self.choice.variants.extend([*variant]),
                    None => self.choice.record |= !covered,
                }
            }
        }
    }

    fn leave_out(&mut self, at: &Node) {
        at.bases(&mut |column| {
            self.choice.left_out.insert(column);
        });
    }
}

/// The kind of the variant that a part needs whose values do not fit: the kind of this part's values alone.
pub(super) fn variant_kind(node: &SketchNode, depth: usize, max_depth: usize) -> Kind {
    match shape(node, depth, max_depth) {
        Shape::Column(kind) => kind,
        Shape::Object => Kind::Super,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::tests::{column, sketch, variant};
    use common::sketch::Types;

    fn chosen(mapping: &Mapping, sketch: &SketchNode) -> Vec<String> {
        let choice = choose(mapping, sketch, 3).expect("a choice");
        choice.columns(mapping).into_iter().map(|c| c.name.clone()).collect()
    }

    #[test]
    fn a_part_that_fits_loads_all_mapped_columns() {
        let mapping = Mapping::new([column("a", "a", Kind::Bigint), column("b.c", "b_c", Kind::Varchar)]);
        assert_eq!(chosen(&mapping, &sketch(&[("a", Types::INTEGER)])), ["a", "b_c"]);
        assert_eq!(chosen(&mapping, &sketch(&[("b", Types::NULL), ("d", Types::NULL)])), ["a", "b_c"]);
        assert_eq!(chosen(&mapping, &sketch(&[("_lr.s", Types::STRING)])), ["a", "b_c"], "lineage is no field");
    }

    #[test]
    fn a_misfit_takes_the_place_of_its_column() {
        let mapping = Mapping::new([column("a", "a", Kind::Bigint), variant("a", "a", "a__varchar", Kind::Varchar)]);
        assert_eq!(chosen(&mapping, &sketch(&[("a", Types::STRING)])), ["a__varchar"]);
        assert_eq!(chosen(&mapping, &sketch(&[("a", Types::INTEGER)])), ["a"]);
    }

    #[test]
    fn an_object_without_values_is_null_in_every_column_but_super() {
        let mapping = Mapping::new([
            column("a", "a", Kind::Bigint),
            column("t", "t", Kind::Varchar),
            column("s", "s", Kind::Super),
            column("o.n", "o_n", Kind::Number),
            column("s.b", "s_b", Kind::Boolean),
        ]);
        for path in ["a", "a.b"] {
            let types = if path == "a" { Types::OBJECT } else { Types::NULL };
            assert_eq!(chosen(&mapping, &sketch(&[(path, types)])), ["t", "s", "o_n", "s_b"], "{path}");
        }
        let deep = [("t", Types::OBJECT | Types::NULL), ("o.n", Types::OBJECT), ("s.b", Types::OBJECT)];
        assert_eq!(chosen(&mapping, &sketch(&deep)), ["a", "s"]);
        let beside = [("s.b", Types::OBJECT), ("s.c", Types::STRING), ("a", Types::NULL)];
        assert_eq!(chosen(&mapping, &sketch(&beside)), ["a", "t", "s", "o_n"]);
    }

    #[test]
    fn a_scalar_where_objects_were_leaves_the_objects_columns_out() {
        let mapping = Mapping::new([
            column("a.b", "a_b", Kind::Bigint),
            column("a.c.d", "a_c_d", Kind::Bigint),
            variant("a", "a", "a__boolean", Kind::Boolean),
            column("e", "e", Kind::Bigint),
        ]);
        assert_eq!(chosen(&mapping, &sketch(&[("a", Types::BOOLEAN)])), ["a__boolean", "e"]);
        assert_eq!(chosen(&mapping, &sketch(&[("a.b", Types::BIGINT)])), ["a_b", "a_c_d", "e"]);
    }

    #[test]
    fn values_without_a_column_bring_the_whole_record() {
        let mapping = Mapping::new([column("", "_record", Kind::Super), column("a", "a", Kind::Bigint)]);
        assert_eq!(chosen(&mapping, &sketch(&[("a", Types::INTEGER)])), ["a"]);
        assert_eq!(chosen(&mapping, &sketch(&[("a", Types::INTEGER), ("it's", Types::STRING)])), ["_record", "a"]);
        assert_eq!(chosen(&mapping, &sketch(&[("a", Types::STRING)])), ["_record"], "no variant could be made");
        let collapsed = SketchNode { types: Types::OBJECT, collapsed: true, ..Default::default() };
        assert_eq!(chosen(&mapping, &collapsed), ["_record"]);
        assert_eq!(choose(&Mapping::default(), &collapsed, 3), Err(NoRecordColumn));
    }

    #[test]
    fn a_super_column_beside_flattened_ones_covers_what_they_cannot() {
        let mapping = Mapping::new([column("a.b", "a_b", Kind::Bigint), column("a", "a", Kind::Super)]);
        assert_eq!(chosen(&mapping, &sketch(&[("a.b", Types::INTEGER), ("a.it's", Types::STRING)])), ["a_b", "a"]);
        assert_eq!(chosen(&mapping, &sketch(&[("a.b", Types::STRING)])), ["a"], "a_b cannot hold it, a does");
        assert_eq!(chosen(&mapping, &sketch(&[("a", Types::ARRAY)])), ["a"]);
    }

    #[test]
    fn parts_with_the_same_needs_make_the_same_choice() {
        let mapping = Mapping::new([column("a", "a", Kind::Bigint), column("b", "b", Kind::Bigint)]);
        let one = choose(&mapping, &sketch(&[("a", Types::INTEGER)]), 3);
        assert_eq!(one, choose(&mapping, &sketch(&[("b", Types::BIGINT | Types::NULL)]), 3));
    }
}
