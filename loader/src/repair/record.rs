//! What a refused line says of itself: the record as its source holds it, its line there, the length of a string. Pure.

use crate::split::restored;
use serde_json::Value;
use std::borrow::Cow;

/// What the router puts in front of a record's own members.
const LINEAGE: &[u8] = br#"{"_lr":"#;

/// The record without lineage, and the line that its lineage names. A line that has none is the record itself.
pub(super) fn without_lineage(line: &[u8]) -> (Cow<'_, [u8]>, Option<u64>) {
    let (Some(lineage), Ok(record)) = (lineage(line), restored(line)) else { return (Cow::Borrowed(line), None) };
    (Cow::Owned(record), lineage.get("l").and_then(Value::as_u64))
}

fn lineage(line: &[u8]) -> Option<Value> {
    let member = line.strip_prefix(LINEAGE)?;
    serde_json::Deserializer::from_slice(member).into_iter::<Value>().next()?.ok()
}

/// Decoded bytes of the string at this path, if there is one.
pub(super) fn string_bytes(record: &Value, path: &[String]) -> Option<usize> {
    Some(path.iter().try_fold(record, |value, key| value.get(key))?.as_str()?.len())
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
            (r#"{"n":1}"#, r#"{"n":1}"#, None),
            (r#"{"_lr":{"s":"ab","l":7"#, r#"{"_lr":{"s":"ab","l":7"#, None),
        ] {
            assert_eq!(stripped(line), (record.to_owned(), number), "{line}");
        }
    }

    #[test]
    fn lengths_are_of_decoded_strings() {
        let record = serde_json::json!({"a": {"b": "\u{e9}|\""}, "n": 12});
        let bytes =
            |path: &[&str]| string_bytes(&record, &path.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
        assert_eq!([bytes(&["a", "b"]), bytes(&["n"]), bytes(&["a"]), bytes(&["x", "b"])], [Some(4), None, None, None]);
    }
}
