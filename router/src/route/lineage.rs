//! The lineage member `_lr`, and the one change a routed record may have besides it.

use common::source::SourceId;
use memchr::memchr2;

/// Bytes that lineage adds to a record at most: `"_lr":{"s":"…32…","l":…20…},`.
pub const LINEAGE_MAX_BYTES: usize = 80;

/// Makes the lines of parts from the records of one source object: `{"_lr":{"s":source id,"l":line},…`.
///
/// The record's own bytes stay as they are, except that raw line breaks between its tokens become
/// spaces (valid JSON has them nowhere else), so that a part is one record per line, always.
pub struct Lineage {
    /// The member up to the line; empty without lineage. Behind `constant` it is the record's own.
    member: Vec<u8>,
    constant: usize,
    /// A record whose line breaks were taken out.
    unbroken: Vec<u8>,
}

impl Lineage {
    /// Lineage of this source object, or none.
    pub fn new(source_id: Option<&SourceId>) -> Self {
        let member = source_id.map_or_else(Vec::new, |id| format!("{{\"_lr\":{{\"s\":\"{id}\",\"l\":").into_bytes());
        Self { constant: member.len(), member, unbroken: Vec::new() }
    }

    /// The line for a record, in pieces: nothing of it is copied, as a rule.
    pub fn line<'a>(&'a mut self, record: &'a [u8], line: u64) -> [&'a [u8]; 3] {
        let mut record = record;
        if memchr2(b'\n', b'\r', record).is_some() {
            self.unbroken.clear();
            self.unbroken.extend(record.iter().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { *b }));
            record = &self.unbroken;
        }
        if self.constant == 0 {
            return [b"", record, b"\n"];
        }
        let is_empty = record[1..].trim_ascii_start() == b"}";
        self.member.truncate(self.constant);
        self.member.extend_from_slice(itoa::Buffer::new().format(line).as_bytes());
        self.member.extend_from_slice(if is_empty { b"}" } else { b"}," });
        [&self.member, &record[1..], b"\n"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(record: &str, lineage: bool) -> String {
        let source_id = SourceId::new("raw", "k", "e");
        let out = Lineage::new(lineage.then_some(&source_id)).line(record.as_bytes(), u64::MAX).concat();
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
