//! Files with a fixed event: where settings say so, the key names the event type and the record does not.

/// Who names the event type of an object's records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FixedType<'a> {
    /// Each record, under the pointers of settings.
    InRecords,
    /// The key: the segment behind the prefix.
    Named(&'a str),
    /// Nobody: the key is under this prefix, but has no segment behind it.
    Unnamed(&'a str),
}

/// The prefixes of `[[raw.fixed]]`.
#[derive(Clone, Debug, Default)]
pub struct FixedPrefixes(Vec<String>);

impl FixedPrefixes {
    /// Of two prefixes that fit a key, the longer one counts.
    pub fn new(prefixes: &[String]) -> Self {
        let mut prefixes = prefixes.to_vec();
        prefixes.sort_by_key(|prefix| std::cmp::Reverse(prefix.len()));
        Self(prefixes)
    }

    /// Who names the event type of the records under `key`.
    pub fn of_key<'a>(&'a self, key: &'a str) -> FixedType<'a> {
        let found = self.0.iter().find_map(|prefix| Some((prefix, key.strip_prefix(prefix.as_str())?)));
        let Some((prefix, rest)) = found else { return FixedType::InRecords };
        match rest.split_once('/') {
            Some((segment, _)) if !segment.is_empty() => FixedType::Named(segment),
            _ => FixedType::Unnamed(prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_segment_behind_the_longest_prefix_names_the_type() {
        let prefixes = FixedPrefixes::new(&["drop/".to_owned(), "drop/by hand/".to_owned()]);
        for (key, expected) in [
            ("drop/page_view/x.json.gz", FixedType::Named("page_view")),
            ("drop/Page View/2025/06/x.json", FixedType::Named("Page View")),
            ("drop/by hand/order/x", FixedType::Named("order")),
            ("drop/page_view/", FixedType::Named("page_view")),
            ("drop/x.json", FixedType::Unnamed("drop/")),
            ("drop//x.json", FixedType::Unnamed("drop/")),
            ("drop/by hand/x.json", FixedType::Unnamed("drop/by hand/")),
            ("logs/drop/page_view/x.json", FixedType::InRecords),
            ("drop", FixedType::InRecords),
        ] {
            assert_eq!(prefixes.of_key(key), expected, "{key}");
        }
        assert_eq!(FixedPrefixes::default().of_key("drop/a/b"), FixedType::InRecords);
    }
}
