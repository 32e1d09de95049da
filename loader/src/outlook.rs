//! What loading seals would do, for `loader plan`: the same decisions as a load's, carried out nowhere.

use crate::mapping::choice::choose;
use crate::mapping::extend::Seen;
use crate::mapping::frozen::LeftOut;
use crate::mapping::sight::Sight;
use crate::mapping::{Column, LINEAGE_KEY, Mapping};
use crate::schema::{Outlook, Rules, Schema};
use crate::sql::ddl::Change;
use crate::sql::load::Codec;
use crate::sql::{Names, ask};
use crate::warehouse::{Warehouse, WarehouseError, number, required};
use common::event_name::EventName;
use common::seal::{Seal, SealedEvent};
use common::sketch::{SketchNode, Types};
use common::source::SourceId;
use common::telemetry::chain;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One event of one source, as a load request would announce it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned<'s> {
    source_id: &'s SourceId,
    sealed: &'s SealedEvent,
}

/// What would become of one event's table.
#[derive(Debug, Default)]
pub(crate) struct EventOutlook {
    pub(crate) event: String,
    /// Sources that would be loaded, and what they hold.
    pub(crate) sources: usize,
    pub(crate) parts: usize,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// Sources whose rows would be replaced: an earlier generation is loaded.
    pub(crate) replaced: usize,
    /// Sources that the ledger has: nothing would be done.
    pub(crate) loaded: usize,
    /// At least so many: a part that must be split loads as two pieces.
    pub(crate) copies: usize,
    /// Parts whose records need different columns; which, only the records tell.
    pub(crate) split: usize,
    pub(crate) changes: Vec<Change>,
    pub(crate) statements: Vec<String>,
    /// Variant columns that would be filled, each with the rows of the parts that have values for it.
    pub(crate) variants: BTreeMap<String, u64>,
    /// Rows that would be kept whole beside their columns.
    pub(crate) whole_records: u64,
    pub(crate) left_out: LeftOut,
    /// Why the table would stop instead.
    pub(crate) problem: Option<String>,
}

/// What the seals announce, by event. Of several seals of one source only the highest generation's counts.
pub(crate) fn by_event(seals: &[Seal]) -> BTreeMap<&EventName, Vec<Planned<'_>>> {
    let mut highest: BTreeMap<&SourceId, &Seal> = BTreeMap::new();
    for seal in seals {
        let known = highest.entry(&seal.source_id).or_insert(seal);
        if seal.generation > known.generation {
            *known = seal;
        }
    }
    let mut events: BTreeMap<&EventName, Vec<Planned<'_>>> = BTreeMap::new();
    for seal in highest.into_values() {
        for sealed in &seal.events {
            events.entry(&sealed.event).or_default().push(Planned { source_id: &seal.source_id, sealed });
        }
    }
    events
}

/// As the warehouse is now.
pub(crate) async fn online(
    warehouse: &Warehouse,
    names: &Names,
    event: &EventName,
    planned: &[Planned<'_>],
    rules: Rules,
) -> Result<EventOutlook, WarehouseError> {
    let schema = match Schema::look(warehouse, names, event).await {
        Ok(schema) => schema,
        Err(crate::schema::SchemaError::Warehouse(error)) => return Err(error),
        Err(error) => {
            let mut outlook = of(names, event, planned, Schema::of_first_load(), rules);
            outlook.problem = Some(chain(&error));
            return Ok(outlook);
        }
    };
    let mut loaded: HashMap<String, u32> = HashMap::new();
    if schema.has_ledger() {
        for sql in ask::loaded_sources(names, event, planned.iter().map(|planned| planned.source_id)) {
            for row in warehouse.query("plan", &sql).await? {
                loaded.insert(required(&row, 0)?.to_owned(), number(&row, 1)?);
            }
        }
    }
    let generation_of = |planned: &Planned<'_>| loaded.get(planned.source_id.as_str()).copied();
    let (done, owed): (Vec<_>, Vec<_>) = planned
        .iter()
        .copied()
        .partition(|planned| generation_of(planned).is_some_and(|loaded| loaded >= planned.sealed.since));
    let replaced = owed.iter().filter(|planned| generation_of(planned).is_some()).count();
    Ok(EventOutlook { loaded: done.len(), replaced, ..of(names, event, &owed, schema, rules) })
}

/// As if nothing had ever been loaded.
pub(crate) fn offline(names: &Names, event: &EventName, planned: &[Planned<'_>], rules: Rules) -> EventOutlook {
    of(names, event, planned, Schema::of_first_load(), rules)
}

fn of(names: &Names, event: &EventName, planned: &[Planned<'_>], schema: Schema, rules: Rules) -> EventOutlook {
    let parts = || planned.iter().flat_map(|planned| &planned.sealed.parts);
    let mut outlook = EventOutlook {
        event: event.to_string(),
        sources: planned.len(),
        parts: parts().count(),
        rows: parts().map(|part| part.records).sum(),
        bytes: parts().map(|part| part.bytes).sum(),
        ..Default::default()
    };
    let with_parts = planned.iter().filter(|planned| !planned.sealed.parts.is_empty());
    let seen: Vec<Seen<'_>> =
        with_parts.map(|planned| Seen { records: planned.sealed.records, node: &planned.sealed.sketch }).collect();
    let Outlook { changes, statements, schema: after } = match schema.outlook(names, event, &seen, rules) {
        Ok(outlook) => outlook,
        Err(error) => return EventOutlook { problem: Some(chain(&error)), ..outlook },
    };
    outlook.changes = changes;
    outlook.statements = statements;
    outlook.left_out = after.left_out(&seen, rules);
    let mapping = after.loadable(rules);
    let mut groups = BTreeSet::new();
    for SealedEvent { parts, sketch, .. } in planned.iter().map(|planned| planned.sealed) {
        let rows: u64 = parts.iter().map(|part| part.records).sum();
        let codecs = parts.iter().map(|part| Codec::of_key(&part.key));
        match choose(&mapping, sketch) {
            Some(choice) => {
                outlook.whole_records += if choice.keeps_record() { rows } else { 0 };
                groups.extend(codecs.map(|codec| (codec, Some(choice.clone()))));
            }
            None => {
                let is_whole = outlook.left_out.is_empty() && lacks_a_column(&mapping, sketch);
                outlook.whole_records += if is_whole { rows } else { 0 };
                outlook.split += parts.len();
                groups.extend(codecs.map(|codec| (codec, None)));
            }
        }
        for variant in variants(&mapping, sketch) {
            *outlook.variants.entry(variant.name.clone()).or_default() += rows;
        }
    }
    outlook.copies = groups.len();
    outlook
}

/// Whether some records have a field at their root that no column takes.
fn lacks_a_column(mapping: &Mapping, sketch: &SketchNode) -> bool {
    let is_field = |key: &String, node: &SketchNode| key != LINEAGE_KEY && node.has_values();
    let mut keys = sketch.keys.iter();
    sketch.collapsed || keys.any(|(key, node)| is_field(key, node) && mapping.root().child(key).is_none())
}

/// The variants that have values in a part with this sketch.
fn variants<'m>(mapping: &'m Mapping, sketch: &SketchNode) -> Vec<&'m Column> {
    let is_filled = |variant: &&Column| {
        let Some(node) = variant.path.iter().try_fold(sketch, |node, key| node.keys.get(key)) else { return false };
        let base = mapping.columns_at(&variant.path).into_iter().find(|column| column.variant_of.is_none());
        let fits = base.map_or(Types::OBJECT, |base| base.kind.holds());
        let misfits = node.types.without(fits | Types::NULL);
        variant.variant_of.is_some() && !misfits.and(variant.kind.holds()).is_empty()
    };
    mapping.columns().iter().filter(is_filled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::tests::sketch;
    use common::seal::{Counts, Part};
    use common::settings::Evolve;
    use common::sketch::{Sketch, Types};
    use common::source::SourceObject;
    use time::macros::datetime;

    const RULES: Rules = Rules { evolve: Evolve::Add, max_depth: 3 };

    fn seal(key: &str, generation: u32, records: u64, sketch: Sketch) -> Seal {
        let at = datetime!(2025-06-01 00:00 UTC);
        let parts = vec![Part { key: format!("routed/order/{key}.json.gz"), records, bytes: 100 }];
        let event = EventName::of_type("order");
        Seal {
            version: 1,
            source_id: SourceId::new("raw", key, "e"),
            source: SourceObject {
                bucket: "raw".into(),
                key: key.into(),
                etag: "e".into(),
                version_id: None,
                time: at,
                bytes: 1,
            },
            generation,
            routing_id: "00000000".into(),
            sealed_at: at,
            counts: Counts::default(),
            events: vec![SealedEvent { event, since: generation, records, parts, sketch }],
            quarantine: vec![],
            replace_id: None,
        }
    }

    fn plan(seals: &[Seal]) -> Vec<EventOutlook> {
        let names = crate::sql::tests::names();
        by_event(seals).into_iter().map(|(event, planned)| offline(&names, event, &planned, RULES)).collect()
    }

    #[test]
    fn a_first_load_makes_the_table_with_every_field() {
        let found = plan(&[seal("a", 0, 7, sketch(&[("id", Types::INTEGER), ("at", Types::TIMESTAMP)]))]);
        let [order] = found.as_slice() else { panic!("one event") };
        assert_eq!((order.sources, order.parts, order.rows, order.copies), (1, 1, 7, 1));
        let changes: Vec<&str> = order.changes.iter().map(|change| change.what).collect();
        assert_eq!(changes, ["new table", "new column", "new column"]);
        assert!(order.statements[0].contains("\"at\" TIMESTAMPTZ, \"id\" BIGINT"), "{:?}", order.statements);
        assert_eq!(order.problem, None);
    }

    #[test]
    fn parts_that_disagree_are_shown_with_the_variant_they_need() {
        let text = seal("b", 0, 1, sketch(&[("id", Types::STRING)]));
        let found = plan(&[seal("a", 0, 7, sketch(&[("id", Types::INTEGER)])), text]);
        assert_eq!(found[0].variants, BTreeMap::from([("id__varchar".to_owned(), 1)]));
        assert_eq!((found[0].copies, found[0].whole_records), (2, 0));
    }

    #[test]
    fn keys_without_a_column_keep_their_records_whole() {
        let found = plan(&[seal("a", 0, 7, sketch(&[("it's", Types::STRING)]))]);
        assert_eq!(found[0].whole_records, 7);
    }

    #[test]
    fn a_part_that_mixes_types_is_shown_as_one_to_split() {
        let mixed = sketch(&[("id", Types::INTEGER), ("n", Types::STRING | Types::INTEGER)]);
        let plain = sketch(&[("id", Types::INTEGER), ("n", Types::INTEGER)]);
        let found = plan(&[seal("a", 0, 9, plain), seal("b", 0, 2, mixed)]);
        assert_eq!(found[0].variants, BTreeMap::from([("n__varchar".to_owned(), 2)]));
        assert_eq!(found[0].split, 1);
    }

    #[test]
    fn of_one_source_only_the_highest_generation_counts() {
        let found = plan(&[
            seal("a", 1, 5, sketch(&[("id", Types::INTEGER)])),
            seal("a", 0, 7, sketch(&[("old", Types::INTEGER)])),
        ]);
        assert_eq!((found[0].sources, found[0].rows), (1, 5));
    }
}
