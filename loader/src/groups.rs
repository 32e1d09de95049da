//! The COPY groups of a batch: parts of one codec and one choice of columns load together. Pure.

use crate::contents::Contents;
use crate::mapping::choice::{Choice, NoRecordColumn, choose};
use crate::mapping::{Column, LINEAGE_KEY, Mapping, RECORD_COLUMN};
use crate::sql::load::Codec;
use crate::transaction::COPIES_MAX;
use std::collections::BTreeMap;

/// One COPY to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) codec: Codec,
    /// The column list.
    pub(crate) columns: Vec<String>,
    /// One JSONPaths expression per column.
    pub(crate) jsonpaths: Vec<String>,
    /// Keys of the parts, in order.
    pub(crate) parts: Vec<String>,
    /// Records in them.
    pub(crate) records: u64,
}

/// A batch that cannot be grouped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GroupError {
    #[error(transparent)]
    Mapping(#[from] NoRecordColumn),
    #[error("part {0} is neither .gz nor .zst")]
    Codec(String),
    #[error("the parts make more than {COPIES_MAX} different choices of columns")]
    TooMany,
}

/// Groups the parts of all requests, whose contents these are.
pub(crate) fn group(mapping: &Mapping, contents: &[Contents<'_>], max_depth: usize) -> Result<Vec<Group>, GroupError> {
    let mut groups: BTreeMap<(Codec, Choice), Vec<(String, u64)>> = BTreeMap::new();
    for Contents { parts, sketch } in contents {
        if parts.is_empty() {
            continue;
        }
        let choice = choose(mapping, sketch, max_depth)?;
        for part in parts.iter() {
            let codec = Codec::of_key(&part.key).ok_or_else(|| GroupError::Codec(part.key.clone()))?;
            groups.entry((codec, choice.clone())).or_default().push((part.key.clone(), part.records));
        }
    }
    if groups.len() > COPIES_MAX {
        return Err(GroupError::TooMany);
    }
    let group = |((codec, choice), mut parts): ((Codec, Choice), Vec<(String, u64)>)| {
        parts.sort();
        let chosen = choice.columns(mapping);
        let lineage = [("_source", "s"), ("_line", "l")]
            .map(|(column, key)| (column.to_owned(), expression(&[LINEAGE_KEY.to_owned(), key.to_owned()])));
        let own = chosen.into_iter().map(|column| (column.name.clone(), source_of(column)));
        let (columns, jsonpaths) = lineage.into_iter().chain(own).unzip();
        let records = parts.iter().map(|(_, records)| records).sum();
        Group { codec, columns, jsonpaths, parts: parts.into_iter().map(|(key, _)| key).collect(), records }
    };
    Ok(groups.into_iter().map(group).collect())
}

fn source_of(column: &Column) -> String {
    match column.name.as_str() {
        RECORD_COLUMN => "$".to_owned(),
        _ => expression(&column.path),
    }
}

/// Bracket notation: any key without quotes and backslashes (database developer guide,
/// `copy-usage_notes-copy-from-json`); the mapping has no others.
fn expression(path: &[String]) -> String {
    path.iter().fold("$".to_owned(), |text, key| format!("{text}['{key}']"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::kind::Kind;
    use crate::mapping::tests::{column, sketch, variant};
    use common::seal::Part;
    use common::sketch::{Sketch, Types};
    use std::borrow::Cow;

    /// One record in a part of this name.
    fn contents<'s>(part: &str, sketch: &'s Sketch) -> Contents<'s> {
        let parts = vec![Part { key: format!("routed/x/{part}"), records: 1, bytes: 100 }];
        Contents { parts: Cow::Owned(parts), sketch: Cow::Borrowed(sketch) }
    }

    #[test]
    fn parts_that_need_a_variant_load_apart() {
        let mapping = Mapping::new([
            column("a", "a", Kind::Bigint),
            column("b.c", "b_c", Kind::Bigint),
            variant("a", "a", "a__varchar", Kind::Varchar),
        ]);
        let fits = sketch(&[("a", Types::INTEGER)]);
        let text = sketch(&[("a", Types::STRING)]);
        let contents = [contents("x.json.gz", &fits), contents("y.json.gz", &text), contents("z.json.gz", &fits)];
        let groups = group(&mapping, &contents, 3).expect("groups");
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].columns, ["_source", "_line", "a", "b_c"]);
        assert_eq!(groups[0].jsonpaths, ["$['_lr']['s']", "$['_lr']['l']", "$['a']", "$['b']['c']"]);
        assert_eq!((groups[0].parts.len(), groups[0].records), (2, 2));
        assert_eq!(groups[1].columns, ["_source", "_line", "b_c", "a__varchar"]);
    }

    #[test]
    fn parts_of_two_codecs_load_apart() {
        let sketch = Sketch::default();
        let contents = ["b.json.zst", "a.json.gz", "a.json.zst"].map(|part| contents(part, &sketch));
        let groups = group(&Mapping::default(), &contents, 3).expect("groups");
        let found: Vec<_> = groups.iter().map(|group| (group.codec, group.parts.len(), group.records)).collect();
        assert_eq!(found, [(Codec::Gzip, 1, 1), (Codec::Zstd, 2, 2)]);
        assert_eq!(groups[1].parts, ["routed/x/a.json.zst", "routed/x/b.json.zst"]);
    }

    #[test]
    fn a_part_of_an_unknown_codec_is_refused_by_name() {
        let sketch = Sketch::default();
        let error = group(&Mapping::default(), &[contents("part.json", &sketch)], 3).unwrap_err();
        assert_eq!(error.to_string(), "part routed/x/part.json is neither .gz nor .zst");
    }

    #[test]
    fn a_request_without_parts_has_no_copy() {
        let nothing = Contents { parts: Cow::Owned(vec![]), sketch: Cow::Owned(Sketch::default()) };
        let groups = group(&Mapping::default(), &[nothing], 3);
        assert_eq!(groups.expect("groups"), []);
    }
}
