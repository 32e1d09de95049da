//! The lineage member `_lr`, and the one change a routed record may have besides it.

use common::source::SourceId;
use memchr::memchr2;

/// Bytes that lineage adds to a record at most: `"_lr":{"s":"…32…","l":…20…},`.
pub const LINEAGE_MAX_BYTES: usize = 80;

/// Appends a record to a part: one line, `{"_lr":{"s":source id,"l":line},…`.
///
/// The record's own bytes stay as they are, except that raw line breaks between its tokens become
/// spaces (valid JSON has them nowhere else), so that a part is one record per line, always.
pub fn append(out: &mut Vec<u8>, record: &[u8], lineage: Option<&SourceId>, line: u64) {
    let mut from = out.len();
    match lineage {
        None => out.extend_from_slice(record),
        Some(source_id) => {
            let is_empty = record[1..].trim_ascii_start() == b"}";
            out.extend_from_slice(b"{\"_lr\":{\"s\":\"");
            out.extend_from_slice(source_id.as_str().as_bytes());
            out.extend_from_slice(b"\",\"l\":");
            out.extend_from_slice(itoa::Buffer::new().format(line).as_bytes());
            out.extend_from_slice(if is_empty { b"}" } else { b"}," });
            out.extend_from_slice(&record[1..]);
        }
    }
    while let Some(found) = memchr2(b'\n', b'\r', &out[from..]) {
        out[from + found] = b' ';
        from += found + 1;
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(record: &str, lineage: bool) -> String {
        let source_id = SourceId::new("raw", "k", "e");
        let mut out = Vec::new();
        append(&mut out, record.as_bytes(), lineage.then_some(&source_id), u64::MAX);
        assert!(out.len() <= record.len() + LINEAGE_MAX_BYTES + 1);
        String::from_utf8(out).expect("UTF-8").replace(source_id.as_str(), "S")
    }

    #[test]
    fn a_record_is_verbatim_but_for_the_one_member() {
        let record = r#"{ "n": 1.10e+02, "u":"\u00e9" }"#;
        assert_eq!(routed(record, false), format!("{record}\n"));
        assert_eq!(
            routed(record, true),
            r#"{"_lr":{"s":"S","l":18446744073709551615}, "n": 1.10e+02, "u":"\u00e9" }"#.to_owned() + "\n"
        );
    }

    #[test]
    fn an_empty_object_stays_valid_and_line_breaks_become_spaces() {
        assert_eq!(routed("{ }", true), "{\"_lr\":{\"s\":\"S\",\"l\":18446744073709551615} }\n");
        assert_eq!(routed("{\r\n\"a\":\n1}", false), "{  \"a\": 1}\n");
    }
}
