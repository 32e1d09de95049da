//! What a refused line says of itself: the record as its source holds it, its line there, the length of a string. Pure.

use crate::mapping::LINEAGE_KEY;
use crate::record::{Record, Value};
use crate::split::restored;
use common::sketch::Types;
use std::borrow::Cow;

/// The record without lineage, and the line that its lineage names. A line that has none is the record itself.
pub(super) fn without_lineage(line: &[u8]) -> (Cow<'_, [u8]>, Option<u64>) {
    let (Some(number), Ok(record)) = (line_number(line), restored(line)) else { return (Cow::Borrowed(line), None) };
    (Cow::Owned(record), number)
}

/// The line that the lineage names; `None` where there is no lineage.
fn line_number(line: &[u8]) -> Option<Option<u64>> {
    let record = Record::read(line).ok()?;
    let (_, lineage) = record.root.keys.first().filter(|(key, _)| key == LINEAGE_KEY)?;
    let number = lineage.keys.iter().find(|(key, _)| key == "l");
    Some(number.and_then(|(_, number)| std::str::from_utf8(number.text).ok()?.parse().ok()))
}

/// Decoded bytes of the string at this path, if there is one.
pub(super) fn string_bytes(record: &Record<'_>, path: &[String]) -> Option<usize> {
    let mut value: &Value<'_> = &record.root;
    for key in path {
        value = value.keys.iter().find(|(name, _)| name == key).map(|(_, value)| value)?;
    }
    value.types.within(Types::STRING | Types::TIMESTAMP).then_some(value.max_bytes as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(line: &str) -> (String, Option<u64>) {
        let (record, line) = without_lineage(line.as_bytes());
        (String::from_utf8(record.into_owned()).expect("UTF-8"), line)
    }

    #[test]
    fn a_refused_record_is_kept_as_its_source_has_it() {
        for (line, record, number) in [
            (r#"{"_lr":{"s":"ab","l":7}, "n": 1.10e+02 }"#, r#"{ "n": 1.10e+02 }"#, Some(7)),
            (r#"{"_lr":{"s":"ab","l":18446744073709551615} }"#, "{ }", Some(u64::MAX)),
            (r#"{"_lr":{"s":"ab","l":3,"m":{"}":"\"}"}},"a":{"_lr":1}}"#, r#"{"a":{"_lr":1}}"#, Some(3)),
            (r#"{"_lr":{"s":"ab","l":4,"m":{"n":1e400}},"n":1e400}"#, r#"{"n":1e400}"#, Some(4)),
            (r#"{"n":1}"#, r#"{"n":1}"#, None),
            (r#"{"_lr":{"s":"ab","l":7"#, r#"{"_lr":{"s":"ab","l":7"#, None),
        ] {
            assert_eq!(stripped(line), (record.to_owned(), number), "{line}");
        }
    }

    #[test]
    fn lengths_are_of_decoded_strings() {
        let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
        let line =
            format!(r#"{{"a":{{"b":"\u00e9|\""}},"n":12,"huge":1e400,"deep":{deep},"t":"2025-06-01T09:00:00Z"}}"#);
        let record = Record::read(line.as_bytes()).expect("a record, whatever else it holds");
        let bytes =
            |path: &[&str]| string_bytes(&record, &path.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
        assert_eq!([bytes(&["a", "b"]), bytes(&["n"]), bytes(&["a"]), bytes(&["x", "b"])], [Some(4), None, None, None]);
        assert_eq!(bytes(&["t"]), Some(20));
    }
}
