//! Which columns a part or a record loads: every mapped column, except where a value does not fit its own and a variant
//! takes it instead.
//!
//! A part is told by its sketch as long as all its records need the same; where they differ, or where the sketch does not
//! say, each record is asked. What a value needs depends on the value and the mapping alone, never on its neighbours.

use super::sight::Sight;
use super::{Column, LINEAGE_KEY, Mapping, Node};
use crate::mapping::kind::Kind;
use crate::record::Value;
use common::sketch::{SketchNode, Types};
use std::collections::BTreeSet;

/// A choice of columns. Parts of one choice load in one COPY.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Choice {
    /// Mapped columns that must be left out: the values at their path would not fit.
    left_out: BTreeSet<usize>,
    /// Variants that are filled instead.
    variants: BTreeSet<usize>,
    /// Whether whole records are kept too, because not every value has a column.
    record: bool,
}

/// What one record needs.
#[derive(Debug)]
pub(crate) struct Needs<'s, S> {
    pub(crate) choice: Choice,
    /// Values of variants, and of columns that hold what others hold too.
    pub(crate) apart: Vec<(usize, &'s S)>,
    /// Values that no column may find under their own path.
    pub(crate) hidden: Vec<&'s S>,
    /// Values of mapped paths that a variant could hold, if there were one.
    pub(crate) lacking: Vec<(Vec<&'s str>, &'s S)>,
    /// Whether values of other paths are only in the whole record.
    pub(crate) has_unmapped: bool,
}

/// The choice for all records of a part with this sketch; `None` where they differ, or where the sketch does not say.
pub(crate) fn choose(mapping: &Mapping, sketch: &SketchNode) -> Option<Choice> {
    let mut chooser = Chooser::new(mapping);
    if sketch.collapsed && !mapping.root.is_flattened() {
        chooser.needs.choice.record = !mapping.leaves_out;
    } else {
        chooser.keys(&mapping.root, sketch, false);
    }
    (!chooser.differs).then_some(chooser.needs.choice)
}

/// What a record needs.
pub(crate) fn needs<'s>(mapping: &Mapping, root: &'s Value<'s>) -> Needs<'s, Value<'s>> {
    let mut chooser = Chooser::new(mapping);
    chooser.keys(&mapping.root, root, false);
    chooser.needs
}

impl Choice {
    /// Nothing but whole records.
    pub(crate) fn whole_records(mapping: &Mapping) -> Self {
        let mut choice = Self { record: true, ..Self::default() };
        for child in mapping.root.children.values() {
            child.bases(&mut |column| choice.left_out.extend([column]));
        }
        choice
    }

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

    /// Whether whole records are kept.
    pub(crate) fn keeps_record(&self) -> bool {
        self.record
    }
}

/// Where values of one type go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Into the column of the path.
    Base(usize),
    /// Into the columns of the keys below.
    Below,
    /// Into both.
    BaseAndBelow(usize),
    Variant(usize),
    /// Nowhere: an object that holds nothing.
    Nowhere,
    /// No column holds it.
    NoColumn,
}

struct Chooser<'m, 's, S> {
    mapping: &'m Mapping,
    needs: Needs<'s, S>,
    path: Vec<&'s str>,
    /// Records may need different choices.
    differs: bool,
}

impl<'m, 's, S: Sight> Chooser<'m, 's, S> {
    fn new(mapping: &'m Mapping) -> Self {
        let needs = Needs {
            choice: Choice::default(),
            apart: Vec::new(),
            hidden: Vec::new(),
            lacking: Vec::new(),
            has_unmapped: false,
        };
        Self { mapping, needs, path: Vec::new(), differs: false }
    }

    /// Below a flattened object. `covered`: a SUPER column above holds everything anyway.
    fn keys(&mut self, at: &Node, object: &'s S, covered: bool) {
        for (key, node) in object.keys() {
            if self.path.is_empty() && key == LINEAGE_KEY {
                continue;
            }
            self.path.push(key);
            match (at.children.get(key), node.has_values()) {
                (Some(child), true) => self.node(child, node, covered),
                (Some(child), false) => self.without_values(child, node, false),
                (None, true) => self.unmapped(covered),
                (None, false) => {}
            }
            self.path.pop();
        }
        if object.hides_keys() {
            // Which columns they would fill, only the records know.
            self.differs = true;
            self.unmapped(covered);
        }
    }

    /// Without a column, a value is in the whole record, and which records need that, only they know. A frozen table
    /// leaves it out.
    fn unmapped(&mut self, covered: bool) {
        if !covered && !self.mapping.leaves_out {
            self.needs.choice.record = true;
            self.needs.has_unmapped = true;
            self.differs = true;
        }
    }

    /// Nulls and objects that hold nothing else are NULL in every column but SUPER: COPY would refuse such an
    /// object for a number, and write its text into a VARCHAR.
    fn without_values(&mut self, at: &Node, node: &'s S, is_hidden: bool) {
        let found = node.types().without(Types::NULL);
        let base = at.base.map(|base| (base, found.within(self.mapping.columns[base].kind.holds())));
        match base {
            Some((base, false)) => {
                self.needs.choice.left_out.insert(base);
                if !is_hidden {
                    self.needs.hidden.push(node);
                }
            }
            Some((base, true)) if at.is_flattened() && !found.is_empty() => self.needs.apart.push((base, node)),
            _ => {}
        }
        let is_hidden = is_hidden || matches!(base, Some((_, false)));
        for (key, below) in node.keys() {
            if let Some(child) = at.children.get(key) {
                self.without_values(child, below, is_hidden);
            }
        }
    }

    fn node(&mut self, at: &Node, node: &'s S, covered: bool) {
        let mut places = node.types().without(Types::NULL).each().map(|types| self.place(at, node, types));
        let Some(first) = places.next() else { return };
        let place = match places.all(|place| place == first) {
            true => first,
            false => None,
        };
        match place {
            None => self.differs = true,
            Some(Place::Base(base)) => {
                if at.is_flattened() {
                    self.needs.apart.push((base, node));
                    self.needs.hidden.push(node);
                    at.children.values().for_each(|child| self.leave_out(child));
                }
            }
            Some(Place::Below) => self.keys(at, node, covered),
            Some(Place::BaseAndBelow(base)) => {
                self.needs.apart.push((base, node));
                self.keys(at, node, true);
            }
            Some(Place::Nowhere) => self.without_values(at, node, false),
            Some(Place::Variant(variant)) => {
                self.leave_out(at);
                self.needs.hidden.push(node);
                self.needs.apart.push((variant, node));
                self.needs.choice.variants.insert(variant);
            }
            Some(Place::NoColumn) => {
                self.leave_out(at);
                self.needs.hidden.push(node);
                if !covered {
                    self.needs.lacking.push((self.path.clone(), node));
                    self.needs.choice.record = true;
                    self.differs = true;
                }
            }
        }
    }

    /// Where the node's values of this type go, if it can be told.
    fn place(&self, at: &Node, node: &S, types: Types) -> Option<Place> {
        let is_object = types == Types::OBJECT;
        if let Some(base) = at.base {
            match self.holds(base, node, types) {
                None => return None,
                Some(true) if is_object && at.is_flattened() => return Some(Place::BaseAndBelow(base)),
                Some(true) => return Some(Place::Base(base)),
                Some(false) => {}
            }
        } else if is_object && at.is_flattened() {
            return Some(Place::Below);
        }
        if is_object && !node.has_values() {
            return Some(Place::Nowhere);
        }
        for variant in at.variants.values() {
            match self.holds(*variant, node, types) {
                None => return None,
                Some(true) => return Some(Place::Variant(*variant)),
                Some(false) => {}
            }
        }
        Some(Place::NoColumn)
    }

    /// Whether the column holds the node's values of this type, if that is the same for all of them.
    fn holds(&self, column: usize, node: &S, types: Types) -> Option<bool> {
        let Column { kind, size, .. } = &self.mapping.columns[column];
        if types.within(kind.holds_some()) {
            return node.text().map(|text| kind.holds_text(text));
        }
        match types.within(kind.holds()) {
            true if *kind == Kind::Varchar && node.max_bytes() > *size => node.text().map(|_| false),
            holds => Some(holds),
        }
    }

    fn leave_out(&mut self, at: &Node) {
        at.bases(&mut |column| {
            self.needs.choice.left_out.insert(column);
        });
    }
}

#[cfg(test)]
mod tests;
