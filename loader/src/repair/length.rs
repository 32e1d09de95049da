//! Strings that COPY refused because their column is too short: no bad data as long as the column can be made longer.
//! Another loader may be about to widen it, a person may have made it anew, a sketch may have told too little.

use super::check::Refused;
use super::record::string_bytes;
use super::split::Split;
use crate::Loader;
use crate::load::LoadFailure;
use crate::mapping::Column;
use crate::mapping::extend::Seen;
use crate::mapping::kind::Kind;
use crate::pieces;
use crate::record::Record;
use crate::schema::{Rules, Schema};
use crate::split::restored;
use common::event_name::EventName;
use common::sketch::{SketchNode, Types};
use std::collections::{BTreeMap, BTreeSet};

/// "String length exceeds DDL length" (database developer guide, `r_Load_Error_Reference`). Numbers have it too.
const TOO_LONG: u32 = 1204;

/// A line whose string did not fit.
struct Outgrown<'a> {
    part: &'a str,
    line: u64,
    column: Column,
    bytes: usize,
}

/// Makes columns hold the strings that they were too short for; gives the lines that fit now.
pub(super) async fn make_room(
    loader: &Loader,
    event: &EventName,
    schema: &mut Schema,
    splits: &[Split],
    refused: &Refused,
) -> Result<BTreeMap<String, BTreeSet<u64>>, LoadFailure> {
    let mut outgrown = Vec::new();
    for split in splits {
        outgrown.extend(outgrown_of(loader, schema, split, refused).await?);
    }
    if outgrown.is_empty() {
        return Ok(BTreeMap::new());
    }
    let Loader { warehouse, names, settings, .. } = loader;
    *schema = Schema::read(warehouse, names, event).await?;
    let node = sketch_of(&outgrown);
    schema.grow(warehouse, names, event, &[Seen { records: 1, node: &node }], Rules::of(settings, event)).await?;
    let mut fitting: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for Outgrown { part, line, column, bytes } in outgrown {
        if schema.text_size(&column.name).is_some_and(|size| size as usize >= bytes) {
            fitting.entry(part.to_owned()).or_default().insert(line);
        }
    }
    Ok(fitting)
}

async fn outgrown_of<'a>(
    loader: &Loader,
    schema: &Schema,
    split: &'a Split,
    refused: &Refused,
) -> Result<Vec<Outgrown<'a>>, LoadFailure> {
    let Some(refusals) = refused.get(&split.of.key) else { return Ok(Vec::new()) };
    let column_of = |line: &u64| -> Option<Column> {
        let refusal = refusals.get(line).filter(|refusal| refusal.code == TOO_LONG)?;
        let is_text = |column: &&Column| column.name == refusal.column && column.kind == Kind::Varchar;
        schema.mapping.columns().iter().find(is_text).cloned()
    };
    let columns: BTreeMap<u64, Column> =
        (1..).zip(&split.lines).filter_map(|(at, line)| Some((at, column_of(line)?))).collect();
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let found = pieces::with_lines(&loader.s3, &loader.settings.routed.bucket, &split.taken, move |lines, _| {
        let mut found = Vec::new();
        while let Some((at, line)) = lines.next_line()? {
            let Some(column) = columns.get(&at) else { continue };
            let restored = restored(line)?;
            let bytes = string_bytes(&Record::read(&restored)?, &column.path);
            found.extend(bytes.map(|bytes| (at, column.clone(), bytes)));
        }
        Ok(found)
    });
    let outgrown = found.await?.into_iter().map(|(at, column, bytes)| {
        let line = split.lines[at as usize - 1];
        Outgrown { part: &split.of.key, line, column, bytes }
    });
    Ok(outgrown.collect())
}

/// Records with such strings, as the router would describe them.
fn sketch_of(outgrown: &[Outgrown<'_>]) -> SketchNode {
    let mut root = SketchNode { types: Types::OBJECT, ..Default::default() };
    for Outgrown { column, bytes, .. } in outgrown {
        let node = column.path.iter().fold(&mut root, |node, key| {
            node.types |= Types::OBJECT;
            node.keys.entry(key.clone()).or_default()
        });
        node.types |= Types::STRING;
        node.max_bytes = node.max_bytes.max(u32::try_from(*bytes).unwrap_or(u32::MAX));
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::tests::column;

    #[test]
    fn the_longest_string_of_each_column_is_asked_for() {
        let outgrown =
            |path: &str, bytes| Outgrown { part: "p", line: 1, column: column(path, "c", Kind::Varchar), bytes };
        let sketch = sketch_of(&[outgrown("a.b", 300), outgrown("a.b", 200), outgrown("c", 5_000)]);
        assert_eq!((sketch.types, sketch.keys["a"].types), (Types::OBJECT, Types::OBJECT));
        let leaf = &sketch.keys["a"].keys["b"];
        assert_eq!((leaf.types, leaf.max_bytes, sketch.keys["c"].max_bytes), (Types::STRING, 300, 5_000));
    }
}
