//! The COPY groups of a batch: files of one codec that fill the same columns in the same way load together. Pure.

use crate::split::{Columns, File};
use crate::sql::load::Codec;
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

/// A file that no COPY reads.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("part {0} is neither .gz nor .zst")]
pub(crate) struct UnknownCodec(String);

/// Groups files.
pub(crate) fn group<'f>(files: impl IntoIterator<Item = &'f File>) -> Result<Vec<Group>, UnknownCodec> {
    let mut groups: BTreeMap<(Codec, &Columns), Vec<(String, u64)>> = BTreeMap::new();
    for File { part, columns } in files {
        let codec = Codec::of_key(&part.key).ok_or_else(|| UnknownCodec(part.key.clone()))?;
        groups.entry((codec, columns)).or_default().push((part.key.clone(), part.records));
    }
    let group = |((codec, columns), mut parts): ((Codec, &Columns), Vec<(String, u64)>)| {
        parts.sort();
        let records = parts.iter().map(|(_, records)| records).sum();
        let (columns, jsonpaths) = (columns.names.clone(), columns.jsonpaths.clone());
        Group { codec, columns, jsonpaths, parts: parts.into_iter().map(|(key, _)| key).collect(), records }
    };
    Ok(groups.into_iter().map(group).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Mapping;
    use crate::mapping::kind::Kind;
    use crate::mapping::tests::{column, sketch, variant};
    use crate::split::tests::columns_of;
    use common::seal::Part;
    use common::sketch::{Sketch, Types};
    use std::sync::Arc;

    /// One record in a file of this name.
    fn file(name: &str, columns: &Arc<Columns>) -> File {
        File { part: Part { key: format!("routed/x/{name}"), records: 1, bytes: 100 }, columns: columns.clone() }
    }

    #[test]
    fn files_of_different_choices_load_apart() {
        let mapping = Mapping::new([
            column("a", "a", Kind::Bigint),
            column("b.c", "b_c", Kind::Bigint),
            variant("a", "a", "a__varchar", Kind::Varchar),
        ]);
        let fits = columns_of(&mapping, &sketch(&[("a", Types::INTEGER)]));
        let text = columns_of(&mapping, &sketch(&[("a", Types::STRING)]));
        let groups = group(&[file("x.json.gz", &fits), file("y.json.gz", &text), file("z.json.gz", &fits)]);
        let groups = groups.expect("groups");
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].columns, ["_source", "_line", "a", "b_c"]);
        assert_eq!(groups[0].jsonpaths, ["$['_lr']['s']", "$['_lr']['l']", "$['a']", "$['b']['c']"]);
        assert_eq!((groups[0].parts.len(), groups[0].records), (2, 2));
        assert_eq!(groups[1].columns, ["_source", "_line", "b_c", "a__varchar"]);
    }

    #[test]
    fn files_of_two_codecs_load_apart() {
        let columns = columns_of(&Mapping::default(), &Sketch::default());
        let files = ["b.json.zst", "a.json.gz", "a.json.zst"].map(|name| file(name, &columns));
        let groups = group(&files).expect("groups");
        let found: Vec<_> = groups.iter().map(|group| (group.codec, group.parts.len(), group.records)).collect();
        assert_eq!(found, [(Codec::Gzip, 1, 1), (Codec::Zstd, 2, 2)]);
        assert_eq!(groups[1].parts, ["routed/x/a.json.zst", "routed/x/b.json.zst"]);
    }

    #[test]
    fn a_file_of_an_unknown_codec_is_refused_by_name() {
        let columns = columns_of(&Mapping::default(), &Sketch::default());
        let error = group(&[file("part.json", &columns)]).unwrap_err();
        assert_eq!(error.to_string(), "part routed/x/part.json is neither .gz nor .zst");
    }
}
