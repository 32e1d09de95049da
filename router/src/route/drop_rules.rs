//! Drop rules: which valid records are removed without keeping a byte of them.

use super::scan::Scanner;
use common::settings::DropRule;
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, HashSet};

/// Compiled rules, one a pointer.
#[derive(Clone, Debug, Default)]
pub struct DropRules(Vec<(String, HashSet<String, RandomState>)>);

impl DropRules {
    /// Rules on one pointer become one.
    pub fn new(rules: &[DropRule]) -> Self {
        let mut by_pointer: BTreeMap<_, HashSet<_, RandomState>> = BTreeMap::new();
        for DropRule { pointer, values } in rules {
            by_pointer.entry(pointer.clone()).or_default().extend(values.iter().cloned());
        }
        Self(by_pointer.into_iter().collect())
    }

    /// The pointers of the rules, which the scanner has to watch in this order.
    pub fn pointers(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(pointer, _)| pointer.as_str())
    }

    /// Pointer of the first rule that removes `record`, which `scanner` scanned last.
    pub fn removing(&self, scanner: &Scanner, record: &[u8]) -> Option<&str> {
        self.0.iter().enumerate().find_map(|(n, (pointer, values))| {
            let value = scanner.watched(n, record)?;
            values.contains(&*value).then_some(pointer.as_str())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::scan::{EventType, Pointers};

    fn removing(rules: &[(&str, &[&str])], record: &str) -> Option<String> {
        let rules: Vec<_> = rules
            .iter()
            .map(|(pointer, values)| DropRule {
                pointer: (*pointer).to_owned(),
                values: values.iter().map(|v| (*v).to_owned()).collect(),
            })
            .collect();
        let rules = DropRules::new(&rules);
        let mut scanner = Scanner::new(Pointers::new(&["/event".to_owned()]).watching(rules.pointers()), true);
        let event_type = scanner.scan(record.as_bytes()).expect("valid");
        assert_eq!(event_type, EventType::Found("a".into()), "a watched value is never an event type");
        rules.removing(&scanner, record.as_bytes()).map(str::to_owned)
    }

    #[test]
    fn a_value_is_told_by_its_text_however_it_is_written() {
        let rules: &[(&str, &[&str])] = &[("/user/id", &["u-1", "42"]), ("/list/1", &["x"]), ("/user/id", &["ü"])];
        for (record, rule) in [
            (r#"{"event":"a","user":{"id":"u-1"}}"#, Some("/user/id")),
            (r#"{"user":{"id":42},"event":"a"}"#, Some("/user/id")),
            (r#"{"user":{"id":"42"},"event":"a"}"#, Some("/user/id")),
            (r#"{"\u0075ser":{"id":"\u00fc"},"event":"a"}"#, Some("/user/id")),
            (r#"{"event":"a","list":["y","x"]}"#, Some("/list/1")),
            (r#"{"event":"a","list":["x"],"user":{"id":"u-1"}}"#, Some("/user/id")),
            (r#"{"event":"a","list":["x","y"]}"#, None),
            (r#"{"event":"a","user":{"id":"u-11"}}"#, None),
            (r#"{"event":"a","user":{"id":42.0}}"#, None),
            (r#"{"event":"a","user":{"id":["u-1"]}}"#, None),
            (r#"{"event":"a","user":{"id":null}}"#, None),
            (r#"{"event":"a","id":"u-1"}"#, None),
            (r#"{"event":"a"}"#, None),
        ] {
            assert_eq!(removing(rules, record).as_deref(), rule, "{record}");
        }
    }

    #[test]
    fn a_record_that_meets_several_rules_counts_for_the_first_pointer() {
        let rules: &[(&str, &[&str])] = &[("/b", &["1"]), ("/a", &["1"])];
        assert_eq!(removing(rules, r#"{"b":1,"a":1,"event":"a"}"#).as_deref(), Some("/a"));
    }
}
