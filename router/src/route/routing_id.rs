//! The routing id: which settings and which code decided the routed bytes.

use common::settings::{EventRules, RouterSettings};
use common::source::hex16;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Raised with every change of the code that changes routed bytes, names or boundaries: what one
/// version routed must never be mixed with what another routed. `object/golden.rs` fails until it is.
pub const ROUTING_VERSION: u32 = 3;

/// 8 hex digits over the version and every setting that changes routed output. How it is
/// compressed, buffered or uploaded is not among them.
pub fn routing_id(settings: &RouterSettings) -> String {
    let mut output = json!({
        "version": ROUTING_VERSION,
        "event_type": settings.event_type,
        "lineage": settings.lineage,
        "part_max_bytes": settings.part_max_bytes,
        "max_event_types": settings.max_event_types,
        "max_object_bytes": settings.max_object_bytes,
        "codec": settings.part_codec.as_str(),
        "unwrap": settings.unwrap,
    });
    // Where there are no rules, the id is what it was before rules were thought of.
    for (name, rule) in canonical(&settings.rules) {
        output[name] = rule;
    }
    let mut id = hex16(&[output.to_string().as_bytes()]);
    id.truncate(8);
    id
}

/// The rules that are set, in one form for all ways of writing the same.
fn canonical(rules: &EventRules) -> impl Iterator<Item = (&'static str, Value)> {
    let EventRules { rename, allow, deny, drop, fixed } = rules;
    let set = |texts: &[String]| json!(texts.iter().collect::<BTreeSet<_>>());
    let mut dropped: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for rule in drop {
        dropped.entry(&rule.pointer).or_default().extend(rule.values.iter().map(String::as_str));
    }
    let rules = [
        (rename.is_empty(), "rename", json!(rename)),
        (allow.is_empty(), "allow", set(allow)),
        (deny.is_empty(), "deny", set(deny)),
        (drop.is_empty(), "drop", json!(dropped)),
        (fixed.is_empty(), "fixed", set(fixed)),
    ];
    rules.into_iter().filter_map(|(unset, name, rule)| (!unset).then_some((name, rule)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::event_name::EventName;
    use common::settings::DropRule;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn id(rules: EventRules) -> String {
        routing_id(&RouterSettings { rules, ..RouterSettings::default() })
    }

    fn drop_rule(pointer: &str, values: &[&str]) -> DropRule {
        DropRule { pointer: pointer.to_owned(), values: values.iter().map(|v| (*v).to_owned()).collect() }
    }

    #[test]
    fn every_rule_has_its_part_in_the_id() {
        let none = EventRules::default;
        let all = [
            none(),
            EventRules { rename: [("a".to_owned(), EventName::of_type("b"))].into(), ..none() },
            EventRules { allow: texts(&["a"]), ..none() },
            EventRules { deny: texts(&["a"]), ..none() },
            EventRules { drop: vec![drop_rule("/a", &["a"])], ..none() },
            EventRules { drop: vec![drop_rule("/a", &["b"])], ..none() },
            EventRules { fixed: texts(&["a/"]), ..none() },
        ];
        let ids: BTreeSet<String> = all.into_iter().map(id).collect();
        assert_eq!(ids.len(), 7);
    }

    #[test]
    fn rules_written_in_another_order_are_the_same_rules() {
        let one = EventRules {
            allow: texts(&["a", "b"]),
            drop: vec![drop_rule("/x", &["1", "2"]), drop_rule("/y", &["3"])],
            fixed: texts(&["a/", "b/"]),
            ..EventRules::default()
        };
        let other = EventRules {
            allow: texts(&["b", "a", "b"]),
            drop: vec![drop_rule("/y", &["3"]), drop_rule("/x", &["2"]), drop_rule("/x", &["1"])],
            fixed: texts(&["b/", "a/"]),
            ..EventRules::default()
        };
        assert_eq!(id(one), id(other));
    }
}
