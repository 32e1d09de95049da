//! Settings that decide which event a record belongs to, and whether it is kept: `rename`, `allow`, `deny` and
//! `[[router.drop]]` of `[router]`, `[[raw.fixed]]` of `[raw]`.
//!
//! What they mean for a record is the router's; here they are read and refused where they could not work.

use super::reader::{Section, Setting};
use crate::event_name::{EventName, snake_case};
use std::collections::{BTreeMap, BTreeSet};
use toml::Value;

/// Pointers that the scanner follows at once, those of event types and of drop rules together.
pub const POINTERS_MAX: usize = 32;

/// The rules of one deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventRules {
    /// `[router.rename]`: event type as found → the event name wanted.
    pub rename: BTreeMap<String, EventName>,
    /// `router.allow`: the event types routed, a trailing `*` standing for any rest; empty: all.
    pub allow: Vec<String>,
    /// `router.deny`: event types never routed, even if allowed.
    pub deny: Vec<String>,
    /// `[[router.drop]]`.
    pub drop: Vec<DropRule>,
    /// `[[raw.fixed]]`: prefixes under which the key, not the record, says the event type.
    pub fixed: Vec<String>,
}

/// One `[[router.drop]]`: records whose value under the pointer is one of these are removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropRule {
    /// JSON pointer to the value.
    pub pointer: String,
    /// The values, integers by their digits.
    pub values: BTreeSet<String>,
}

impl EventRules {
    /// Reads what `[router]` says; `fixed` comes from `[raw]`.
    pub(super) fn read(section: &mut Section<'_>, fixed: Vec<String>) -> Self {
        let wanted = section.or("rename", BTreeMap::new());
        let rename = wanted.into_iter().filter_map(|(found, name)| renamed(section, found, &name)).collect();
        let rules = Self {
            rename,
            allow: section.or("allow", Vec::new()),
            deny: section.or("deny", Vec::new()),
            drop: section.or("drop", Vec::new()),
            fixed,
        };
        for (key, patterns) in [("allow", &rules.allow), ("deny", &rules.deny)] {
            if patterns.iter().any(String::is_empty) {
                section.problem(key, "\"\" names no event type: leave it out");
            }
        }
        for (key, patterns) in [("allow", &rules.allow), ("deny", &rules.deny)] {
            for pattern in
                patterns.iter().filter(|pattern| pattern.trim_end_matches('*').contains('*') || pattern.ends_with("**"))
            {
                section.problem(key, format!("{pattern:?}: a * stands at the end, for any rest, and nowhere else"));
            }
        }
        if rules.deny.iter().any(|pattern| pattern == "*") {
            section.problem("deny", "\"*\" excludes every event type: no record would be routed");
        }
        for rule in &rules.drop {
            check_pointer(section, "drop", &rule.pointer);
            if rule.values.is_empty() {
                section.problem(
                    "drop",
                    format!("the rule on {:?} has no values: give some, or leave it out", rule.pointer),
                );
            }
        }
        rules
    }

    /// How many pointers the drop rules need, of [`POINTERS_MAX`].
    pub fn drop_pointers(&self) -> usize {
        self.drop.iter().map(|rule| rule.pointer.as_str()).collect::<BTreeSet<_>>().len()
    }
}

fn renamed(section: &mut Section<'_>, found: String, name: &str) -> Option<(String, EventName)> {
    match EventName::try_from(name.to_owned()) {
        Ok(name) => Some((found, name)),
        Err(error) => {
            let nearest = EventName::try_from(snake_case(name).0).unwrap_or_else(|_| EventName::of_type(name));
            section.problem("rename", format!("{error}: write {:?}", nearest.as_str()));
            None
        }
    }
}

/// Reports a text that is no pointer to something inside a record.
pub(super) fn check_pointer(section: &mut Section<'_>, key: &str, pointer: &str) {
    if let Some(problem) = pointer_problem(pointer) {
        section.problem(key, problem);
    }
}

/// What is wrong with a text that should be a JSON pointer (RFC 6901) to something inside a record: one check for
/// file, environment and command line.
pub fn pointer_problem(pointer: &str) -> Option<String> {
    if !pointer.starts_with('/') || pointer.len() < 2 {
        return Some(format!("{pointer:?} is not a JSON pointer: write it like \"/event\""));
    }
    // Section 3: `~` begins an escape, and there are two.
    let is_wrong = pointer.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1']));
    is_wrong.then(|| format!("{pointer:?} is not a JSON pointer: a ~ in a name is written ~0, and a / in a name ~1"))
}

/// `[[raw.fixed]]`, checked against the prefix of all raw objects.
pub(super) fn fixed_prefixes(section: &mut Section<'_>, raw_prefix: &str) -> Vec<String> {
    let FixedPrefixes(prefixes) = section.or("fixed", FixedPrefixes(Vec::new()));
    for (at, prefix) in prefixes.iter().enumerate() {
        if !prefix.is_empty() && !prefix.ends_with('/') {
            section.problem("fixed", format!("{prefix:?} must be a folder like \"drop/\", ending in /"));
        }
        if !prefix.starts_with(raw_prefix) && !raw_prefix.starts_with(prefix.as_str()) {
            section
                .problem("fixed", format!("{prefix:?} is outside raw.prefix {raw_prefix:?}: nothing under it is read"));
        }
        if prefixes[..at].contains(prefix) {
            section.problem("fixed", format!("{prefix:?} is named twice"));
        }
    }
    prefixes
}

struct FixedPrefixes(Vec<String>);

impl Setting for FixedPrefixes {
    fn from_toml(value: &Value) -> Result<Self, String> {
        let expected = || format!("entries like [[raw.fixed]] with prefix = \"drop/\" and nothing else, found {value}");
        let prefix = |entry: &Value| match entry.as_table() {
            Some(table) if table.len() == 1 => table.get("prefix")?.as_str().map(str::to_owned),
            _ => None,
        };
        value.as_array().and_then(|a| a.iter().map(prefix).collect()).map(Self).ok_or_else(expected)
    }
    fn to_toml(&self) -> Value {
        let entry = |prefix: &String| toml::Table::from_iter([("prefix".to_owned(), Value::String(prefix.clone()))]);
        Value::Array(self.0.iter().map(|prefix| Value::Table(entry(prefix))).collect())
    }
}

impl Setting for BTreeMap<String, String> {
    fn from_toml(value: &Value) -> Result<Self, String> {
        let entry = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        let texts = value.as_table().and_then(|table| table.iter().map(entry).collect());
        texts.ok_or_else(|| format!("texts by text like {{ OldName = \"new_name\" }}, found {value}"))
    }
    fn to_toml(&self) -> Value {
        Value::Table(self.iter().map(|(key, text)| (key.clone(), Value::String(text.clone()))).collect())
    }
}

impl Setting for Vec<DropRule> {
    /// The message never holds the values: they tend to name persons.
    fn from_toml(value: &Value) -> Result<Self, String> {
        let expected = "rules like [[router.drop]] with pointer = \"/user/id\" and values = [\"u-17\", 42]";
        let rules = value.as_array().ok_or_else(|| expected.to_owned())?;
        let read = |(at, rule)| drop_rule(rule).ok_or_else(|| format!("{expected}; rule {} is none", at + 1));
        rules.iter().enumerate().map(read).collect()
    }
    fn to_toml(&self) -> Value {
        let rule = |rule: &DropRule| {
            let values = rule.values.iter().cloned().map(Value::String).collect();
            let pointer = Value::String(rule.pointer.clone());
            Value::Table(
                [("pointer".to_owned(), pointer), ("values".to_owned(), Value::Array(values))].into_iter().collect(),
            )
        };
        Value::Array(self.iter().map(rule).collect())
    }
}

fn drop_rule(rule: &Value) -> Option<DropRule> {
    let table = rule.as_table().filter(|table| table.len() == 2)?;
    let value = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(n) => Some(n.to_string()),
        _ => None,
    };
    let values = table.get("values")?.as_array()?.iter().map(value).collect::<Option<_>>()?;
    Some(DropRule { pointer: table.get("pointer")?.as_str()?.to_owned(), values })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{MINIMAL, parse, problems};

    #[test]
    fn rules_are_read_and_shown_as_they_will_be_used() {
        let text = MINIMAL.replace("[routed]", "[[raw.fixed]]\nprefix = \"drop/\"\n[routed]").replace(
            "[loader]",
            "allow = [\"View\", \"shop.*\"]\ndeny = [\"shop.internal\"]\n\
             [router.rename]\n\"View\" = \"page_view\"\n\
             [[router.drop]]\npointer = \"/user/id\"\nvalues = [\"u-17\", 42]\n[loader]",
        );
        let settings = parse(&text, &[]).expect("valid");
        let rules = &settings.router.rules;
        assert_eq!(rules.rename["View"].as_str(), "page_view");
        assert_eq!((rules.allow.len(), rules.deny.len(), &rules.fixed[..]), (2, 1, &["drop/".to_owned()][..]));
        assert!(rules.drop[0].values.contains("42") && rules.drop[0].values.contains("u-17"));
        let shown = parse(&settings.show(), &[]).expect("what is shown is valid");
        assert_eq!(&shown.router.rules, rules);
    }

    #[test]
    fn the_environment_gives_rules_too() {
        let env = [
            ("LOG_ROUTER_ROUTER_RENAME", "{ View = \"page_view\" }"),
            ("LOG_ROUTER_ROUTER_DENY", "[\"internal.*\"]"),
            ("LOG_ROUTER_ROUTER_DROP", "[{ pointer = \"/user\", values = [7] }]"),
            ("LOG_ROUTER_RAW_FIXED", "[{ prefix = \"drop/\" }]"),
        ];
        let rules = parse(MINIMAL, &env).expect("valid").router.rules;
        assert_eq!((rules.rename.len(), rules.deny.len(), rules.drop.len(), rules.fixed.len()), (1, 1, 1, 1));
    }

    #[test]
    fn rules_that_could_not_work_are_refused_with_the_fix() {
        let pointers: Vec<String> = (0..32).map(|n| format!("\"/p{n}\"")).collect();
        let pointers = format!("[{}]", pointers.join(","));
        for (variable, value, named) in [
            ("ROUTER_RENAME", "{ a = \"Page View\" }", "router.rename: \"Page View\" is not an event name: expected"),
            ("ROUTER_RENAME", "{ a = \"_x\" }", "router.rename: \"_x\" is not an event name: expected"),
            ("ROUTER_RENAME", "{ a = 1 }", "LOG_ROUTER_ROUTER_RENAME: expected texts by text"),
            ("ROUTER_ALLOW", "[\"\"]", "router.allow: \"\" names no event type"),
            ("ROUTER_DENY", "[\"*\"]", "router.deny: \"*\" excludes every event type"),
            ("ROUTER_ALLOW", "[\"shop.*.internal\"]", "router.allow: \"shop.*.internal\": a * stands at the end"),
            ("ROUTER_DENY", "[\"shop.**\"]", "router.deny: \"shop.**\": a * stands at the end"),
            ("ROUTER_DROP", "[{ pointer = \"user\", values = [1] }]", "router.drop: \"user\" is not a JSON pointer"),
            ("ROUTER_DROP", "[{ pointer = \"/a~\", values = [1] }]", "router.drop: \"/a~\" is not a JSON pointer: a ~"),
            (
                "ROUTER_DROP",
                "[{ pointer = \"/user\", values = [] }]",
                "router.drop: the rule on \"/user\" has no values",
            ),
            ("ROUTER_DROP", "[{ pointer = \"/user\", values = [1.5] }]", "LOG_ROUTER_ROUTER_DROP: expected rules like"),
            ("ROUTER_DROP", "[{ pointer = \"/user\", value = [1] }]", "LOG_ROUTER_ROUTER_DROP: expected rules like"),
            ("RAW_FIXED", "[{ prefix = \"drop\" }]", "raw.fixed: \"drop\" must be a folder"),
            ("RAW_FIXED", "[{ prefix = \"a/\" }, { prefix = \"a/\" }]", "raw.fixed: \"a/\" is named twice"),
            ("RAW_FIXED", "[{ prefix = \"a/\", event = \"b\" }]", "LOG_ROUTER_RAW_FIXED: expected entries like"),
        ] {
            let found = problems(MINIMAL, &[(&format!("LOG_ROUTER_{variable}"), value)]);
            assert!(found.iter().any(|problem| problem.starts_with(named)), "{variable}={value}: {found:?}");
        }
        let env = [
            ("LOG_ROUTER_ROUTER_EVENT_TYPE", pointers.as_str()),
            ("LOG_ROUTER_ROUTER_DROP", "[{ pointer = \"/user\", values = [1] }]"),
        ];
        assert!(problems(MINIMAL, &env)[0].starts_with("router.event_type: with drop rules"));
        let outside = MINIMAL.replace("[raw]", "[raw]\nprefix = \"logs/\"\nfixed = [{ prefix = \"drop/\" }]");
        assert!(problems(&outside, &[])[0].contains("outside raw.prefix"), "nothing there is ever read");
    }

    #[test]
    fn a_refused_name_comes_with_the_nearest_valid_one() {
        let problem =
            |name: &str| problems(MINIMAL, &[("LOG_ROUTER_ROUTER_RENAME", &format!("{{ a = {name:?} }}"))]).remove(0);
        assert!(problem("Page View").ends_with("write \"page_view\""));
        assert!(problem("_Private!").ends_with("write \"private\""));
        assert!(problem("日本").contains("write \"event_"));
    }
}
