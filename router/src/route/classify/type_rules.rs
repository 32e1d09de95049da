//! `rename`, `allow` and `deny`: what settings say about event types, which they name as found.

use common::event_name::EventName;
use common::settings::EventRules;
use std::collections::{BTreeMap, HashSet};

/// Compiled rules; the default lets every type through under its own name.
#[derive(Clone, Debug, Default)]
pub struct TypeRules {
    rename: BTreeMap<String, EventName>,
    allow: Patterns,
    deny: Patterns,
}

impl TypeRules {
    /// The rules of these settings.
    pub fn new(rules: &EventRules) -> Self {
        Self { rename: rules.rename.clone(), allow: Patterns::new(&rules.allow), deny: Patterns::new(&rules.deny) }
    }

    /// The event name of a type, or why it has none.
    pub(super) fn name_of(&self, event_type: &str) -> Result<EventName, &'static str> {
        if self.deny.matches(event_type) {
            return Err("router.deny excludes the event type");
        }
        if !self.allow.is_empty() && !self.allow.matches(event_type) {
            return Err("router.allow does not name the event type");
        }
        Ok(self.renamed(event_type))
    }

    /// The event name that a type has, or would have if it were let through.
    pub(crate) fn renamed(&self, event_type: &str) -> EventName {
        self.rename.get(event_type).cloned().unwrap_or_else(|| EventName::of_type(event_type))
    }
}

/// Event types as written, and prefixes of them.
#[derive(Clone, Debug, Default)]
struct Patterns {
    exact: HashSet<String>,
    prefixes: Vec<String>,
}

impl Patterns {
    fn new(patterns: &[String]) -> Self {
        let mut compiled = Self::default();
        for pattern in patterns {
            match pattern.strip_suffix('*') {
                Some(prefix) => compiled.prefixes.push(prefix.to_owned()),
                None => drop(compiled.exact.insert(pattern.clone())),
            }
        }
        compiled
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty()
    }

    fn matches(&self, event_type: &str) -> bool {
        self.exact.contains(event_type) || self.prefixes.iter().any(|prefix| event_type.starts_with(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow: &[&str], deny: &[&str]) -> TypeRules {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let rename = BTreeMap::from([("View".to_owned(), EventName::of_type("seen"))]);
        TypeRules::new(&EventRules { rename, allow: texts(allow), deny: texts(deny), ..EventRules::default() })
    }

    #[test]
    fn deny_wins_over_allow_and_a_trailing_star_stands_for_any_rest() {
        let rules = rules(&["shop.*", "View", "a*b"], &["shop.internal*"]);
        for allowed in ["shop.", "shop.order", "View", "a*b"] {
            assert!(rules.name_of(allowed).is_ok(), "{allowed}");
        }
        for denied in ["shop.internal", "shop.internal.x"] {
            assert_eq!(rules.name_of(denied), Err("router.deny excludes the event type"), "{denied}");
        }
        for unnamed in ["shop", "view", "Viewer", "axb", ""] {
            assert_eq!(rules.name_of(unnamed), Err("router.allow does not name the event type"), "{unnamed}");
        }
    }

    #[test]
    fn rules_go_by_the_type_as_found_and_a_rename_names_exactly_that() {
        let rules = rules(&[], &["view"]);
        assert_eq!(rules.name_of("View").map(String::from), Ok("seen".to_owned()));
        assert_eq!(rules.name_of("VIEW").map(String::from), Ok("view".to_owned()));
        assert!(rules.name_of("view").is_err());
    }
}
