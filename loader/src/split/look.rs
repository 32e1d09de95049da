//! Looks into a part whose sketch does not tell the keys of some object: which mapped paths its records fill, with what.

use crate::mapping::sight::Sight;
use crate::mapping::{LINEAGE_KEY, Mapping, Node};
use crate::pieces::Lines;
use crate::record::{Record, Value};
use common::sketch::SketchNode;
use std::io;

/// Whether the sketch hides what is under some mapped path.
pub(crate) fn hides_columns(mapping: &Mapping, sketch: &SketchNode) -> bool {
    hides(mapping.root(), sketch)
}

fn hides(at: &Node, node: &SketchNode) -> bool {
    (node.collapsed && at.is_flattened())
        || node.keys.iter().any(|(key, below)| at.child(key).is_some_and(|child| hides(child, below)))
}

/// The sketch of the mapped paths alone, however many others there are: as large as the mapping. An object with other
/// keys than these is marked as one that hides some. Goes on from what was seen so far.
pub(super) fn look(mapping: &Mapping, lines: &mut Lines<'_>, mut sketch: SketchNode) -> io::Result<SketchNode> {
    while let Some((_, line)) = lines.next_line()? {
        let mut record = Record::read(line)?;
        record.root.keys.retain(|(key, _)| key != LINEAGE_KEY);
        fold(mapping.root(), &record.root, &mut sketch);
    }
    Ok(sketch)
}

fn fold(at: &Node, value: &Value<'_>, into: &mut SketchNode) {
    into.types |= value.types;
    into.max_bytes = into.max_bytes.max(value.max_bytes);
    into.collapsed |= value.is_whole;
    for (key, below) in &value.keys {
        match at.child(key) {
            Some(child) => fold(child, below, into.keys.entry(key.to_string()).or_default()),
            None => into.collapsed |= below.has_values(),
        }
    }
}
