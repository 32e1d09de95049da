//! Tables that keep the columns they have: because the settings say so, or because they are somebody else's.

use super::{Rules, Schema};
use crate::actual::Missing;
use crate::mapping::extend::{Existing, Seen, extend};
use crate::mapping::frozen::{LeftOut, extend_known, known};
use crate::mapping::{Column, Mapping};
use common::settings::Evolve;
use tokio::time::Instant;

/// Columns that are committed, and that the loader may not add to a table of somebody else's.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) columns: Vec<Column>,
    pub(super) since: Instant,
}

impl Schema {
    /// Rows that the mapping lacks for these parts.
    pub(super) fn wanted(&self, parts: &[Seen<'_>], rules: Rules) -> Vec<Column> {
        let mut existing = self.actual.beside(&self.mapping);
        // Names that are given stay given, also where the column could not be made.
        let refused = self.refused.iter().flat_map(|refused| &refused.columns);
        existing.extend(refused.map(|column| (column.name.clone(), (None, 0))).collect::<Existing>());
        let mut rows = match self.is_frozen(rules.evolve) {
            true => extend_known(&self.mapping, &existing, parts, rules.max_depth),
            false => extend(&self.mapping, &existing, parts, rules.max_depth),
        };
        // The column for whole records has one name only: where it was refused, it is not committed again at each try.
        let is_refused = |row: &Column| self.refused.iter().any(|refused| refused.columns.contains(row));
        rows.retain(|row| !(row.path.is_empty() && is_refused(row)));
        rows
    }

    /// Whether the table keeps the columns it has. One that is not there yet gets those of its first load.
    fn is_frozen(&self, evolve: Evolve) -> bool {
        self.has_table() && (evolve == Evolve::Freeze || self.refused.is_some())
    }

    pub(super) fn leaves_out(&self, parts: &[Seen<'_>], rules: Rules) -> bool {
        !self.left_out(parts, rules).is_empty()
    }

    /// The fields of these parts that a frozen table has no column for.
    pub(crate) fn left_out(&self, parts: &[Seen<'_>], rules: Rules) -> LeftOut {
        let mut fields = LeftOut::new();
        if self.is_frozen(rules.evolve) {
            for part in parts.iter().filter(|part| part.records > 0) {
                known(&self.mapping, part.node, &mut fields);
            }
        }
        fields
    }

    /// The mapping as loads use it.
    pub(crate) fn loadable(&self, rules: Rules) -> Mapping {
        self.mapping.clone().frozen(self.is_frozen(rules.evolve))
    }

    /// The mapping as these parts alone would make it.
    pub(crate) fn foreseen(&self, parts: &[Seen<'_>], rules: Rules) -> Mapping {
        let mut mapping = self.loadable(rules);
        mapping.add(self.wanted(parts, rules));
        mapping
    }

    /// Why fields are left out, for the table `changes`.
    pub(crate) fn frozen_by(&self) -> &'static str {
        match self.refused {
            Some(_) => "the loader may not ALTER the table",
            None => "the table is frozen",
        }
    }

    pub(super) fn do_without(&mut self, columns: Vec<Column>) {
        if !columns.is_empty() {
            let kept = self.mapping.columns().iter().filter(|column| !columns.contains(column)).cloned();
            self.mapping = Mapping::new(kept.collect::<Vec<_>>());
        }
        let since = Instant::now();
        self.refused.get_or_insert(Refused { columns: Vec::new(), since }).columns.extend(columns);
    }

    /// Columns that were refused to the loader, and that somebody else made.
    pub(super) fn take_back_what_exists(&mut self) {
        let Some(refused) = &mut self.refused else { return };
        let made: Vec<Column> = refused.columns.extract_if(.., |column| self.actual.has_column(&column.name)).collect();
        self.mapping.add(made);
    }
}

/// The columns among what is missing.
pub(super) fn columns_of(missing: Vec<Missing<'_>>) -> Vec<Column> {
    let columns = missing.into_iter().filter_map(|missing| match missing {
        Missing::Column(column) => Some(column.clone()),
        _ => None,
    });
    columns.collect()
}

/// Whether loads go on without these. New fields stay out, with what else they would have; a string that is too long
/// for its column is refused by COPY with its record. A value of a known field that needs a variant has no other place.
pub(super) fn can_do_without(missing: &[Missing<'_>]) -> bool {
    let is_new_field = |path: &[String]| {
        missing
            .iter()
            .any(|other| matches!(other, Missing::Column(base) if base.variant_of.is_none() && base.path == path))
    };
    missing.iter().all(|missing| match missing {
        Missing::Column(column) => column.variant_of.is_none() || is_new_field(&column.path),
        Missing::Size(_) => true,
        Missing::Table | Missing::SystemColumn(_) => false,
    })
}
