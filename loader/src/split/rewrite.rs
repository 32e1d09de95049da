//! Rewrites a record so that one COPY of all columns loads it, whatever it needs: values that do not stand under the path
//! of their column are put under `_lr`, by the column's name, and `null` takes their place.
//!
//! `{"_lr":{"s":…,"l":7},"price":"12 EUR"}` becomes
//! `{"_lr":{"s":…,"l":7,"m":{"price__varchar":"12 EUR"},"h":{"8":"12 EUR"}},"price":null}`. Every value keeps its bytes,
//! and what `null` stands for is kept with its place, so that the record can be had back as it was.

use crate::mapping::choice::Needs;
use crate::mapping::{Column, LINEAGE_KEY, Mapping, RECORD_COLUMN};
use crate::record::{NotARecord, Record, Value};
use common::sketch::Types;
use std::ops::Range;

/// The member of the lineage that holds values by column name.
pub(crate) const APART_KEY: &str = "m";

/// The member of the lineage that holds values by their place behind it, each where a `null` is.
const HIDDEN_KEY: &str = "h";

const NULL: &[u8] = b"null";

/// What COPY takes of a record, as the router counts it: 4 MB, `|` counting twice (database developer guide, `r_COPY`).
const RECORD_MAX_BYTES: usize = 4_000_000;

/// SUPER's nesting limit (database developer guide, `limitations-super`), less the two levels that are put around values.
const LEVELS_MAX: usize = 1_000 - 2;

/// The path of a column's values in rewritten records.
pub(super) fn rewritten_path(mapping: &Mapping, column: &Column) -> Vec<String> {
    match mapping.stands_apart(column) {
        true => [LINEAGE_KEY, APART_KEY, &column.name].map(str::to_owned).to_vec(),
        false => column.path.clone(),
    }
}

/// Writes the rewritten record to `text`; tells whether COPY takes it.
pub(super) fn rewrite(
    mapping: &Mapping,
    line: &[u8],
    record: &Record<'_>,
    needs: Needs<'_, Value<'_>>,
    text: &mut Vec<u8>,
) -> bool {
    text.clear();
    let (known, mut rest) = match record.root.keys.iter().position(|(key, _)| key == LINEAGE_KEY) {
        Some(0) if record.root.keys[0].1.types == Types::OBJECT => {
            let place = &record.root.keys[0].1.place;
            (line[place.start + 1..place.end - 1].trim_ascii(), place.end)
        }
        None => (&b""[..], record.root.place.start + 1),
        // Not the router's: nothing of it is touched.
        Some(_) => return false,
    };
    let has_lineage = rest > record.root.place.start + 1;
    text.extend_from_slice(b"{\"_lr\":{");
    text.extend_from_slice(known);
    text.extend_from_slice(if known.is_empty() { b"\"m\":{" } else { b",\"m\":{" });
    let whole = needs.choice.keeps_record().then_some((RECORD_COLUMN, record.root.place.clone()));
    let apart =
        needs.apart.iter().map(|(column, value)| (mapping.columns()[*column].name.as_str(), value.place.clone()));
    for (n, (name, place)) in whole.into_iter().chain(apart).enumerate() {
        // Names of columns are snake case: nothing in them is escaped.
        text.extend_from_slice(if n == 0 { b"\"" } else { b",\"" });
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b"\":");
        text.extend_from_slice(&line[place]);
    }
    text.push(b'}');
    // Places are counted behind the comma that follows the lineage.
    rest += usize::from(line.get(rest) == Some(&b','));
    let mut hidden: Vec<Range<usize>> = needs.hidden.iter().map(|value| value.place.clone()).collect();
    hidden.sort_by_key(|place| place.start);
    let mut saved = rest;
    for (n, place) in hidden.iter().enumerate() {
        text.extend_from_slice(if n == 0 { b",\"h\":{\"" } else { b",\"" });
        text.extend_from_slice((place.start - saved).to_string().as_bytes());
        text.extend_from_slice(b"\":");
        text.extend_from_slice(&line[place.clone()]);
        saved = saved + place.len() - NULL.len();
    }
    text.extend_from_slice(if hidden.is_empty() { b"}" } else { b"}}" });
    if record.root.keys.len() > usize::from(has_lineage) {
        text.push(b',');
    }
    for place in hidden {
        text.extend_from_slice(&line[rest..place.start]);
        text.extend_from_slice(NULL);
        rest = place.end;
    }
    text.extend_from_slice(&line[rest..]);
    let counted = text.len() + text.iter().filter(|b| **b == b'|').count();
    counted <= RECORD_MAX_BYTES && record.levels <= LEVELS_MAX
}

/// A line's record as its source has it, without lineage and with every value in its place.
pub(crate) fn restored(line: &[u8]) -> Result<Vec<u8>, NotARecord> {
    let record = Record::read(line)?;
    let Some((key, lineage)) = record.root.keys.first() else { return Ok(line.to_vec()) };
    if key != LINEAGE_KEY {
        return Ok(line.to_vec());
    }
    let mut rest = &line[lineage.place.end..];
    rest = rest.strip_prefix(b",").unwrap_or(rest);
    let hidden = lineage.keys.iter().find(|(key, _)| key == HIDDEN_KEY).map(|(_, hidden)| hidden.keys.as_slice());
    let (mut text, mut from) = (vec![b'{'], 0);
    for (place, value) in hidden.unwrap_or_default() {
        // Places that are none would be somebody else's lineage: such a record is left as it is.
        let Some(before) = place.parse().ok().and_then(|at: usize| rest.get(from..at)) else {
            return Ok(line.to_vec());
        };
        text.extend_from_slice(before);
        text.extend_from_slice(&line[value.place.clone()]);
        from += before.len() + NULL.len();
    }
    text.extend_from_slice(rest.get(from..).unwrap_or_default());
    Ok(text)
}
