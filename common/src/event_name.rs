//! The event name: the normalised form of an event type that names its table and its key segment.
//!
//! The event *type* is the value found in the record. Everything after [`EventName::of_type`] works by
//! name, so two types that share a name share the table and one part sequence.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// Longest event name in bytes: leaves room for `ledger_` within Redshift's 127-byte identifiers.
pub const EVENT_NAME_MAX_BYTES: usize = 100;

/// Lower snake case, ASCII, 1 to 100 bytes, never starting with `_`: safe as a table name and in a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventName(String);

/// The text is not an event name.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not an event name: expected 1 to 100 of a-z, 0-9 and _, not starting with _")]
pub struct InvalidEventName(String);

impl EventName {
    /// Normalises an event type. The mapping is total and deterministic: case boundaries and single
    /// separators become `_`; where anything else had to go, `_` and 6 hex digits of the type's hash follow.
    pub fn of_type(event_type: &str) -> Self {
        let (snake, lossless) = snake_case(event_type);
        if lossless && snake.len() <= EVENT_NAME_MAX_BYTES {
            return Self(snake);
        }
        let digest = Sha256::digest(event_type.as_bytes());
        let suffix = format!("_{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2]);
        let stem = if snake.is_empty() { "event" } else { &snake };
        let stem = stem[..stem.len().min(EVENT_NAME_MAX_BYTES - suffix.len())].trim_end_matches('_');
        Self(format!("{stem}{suffix}"))
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Lower snake case of `text`, and whether a conventional reader would say that nothing was lost.
///
/// Used for event names and, by the loader, for column names.
pub fn snake_case(text: &str) -> (String, bool) {
    let mut out = String::with_capacity(text.len() + 4);
    let mut lossless = !text.is_empty();
    let mut separator = false;
    let chars: Vec<char> = text.chars().collect();
    for (at, &c) in chars.iter().enumerate() {
        if c.is_ascii_alphanumeric() {
            let before = at.checked_sub(1).map(|i| chars[i]);
            let starts_word = c.is_ascii_uppercase()
                && before.is_some_and(|b| {
                    b.is_ascii_lowercase()
                        || b.is_ascii_digit()
                        || (b.is_ascii_uppercase() && chars.get(at + 1).is_some_and(char::is_ascii_lowercase))
                });
            if !out.is_empty() && (separator || starts_word) {
                out.push('_');
            }
            separator = false;
            out.push(c.to_ascii_lowercase());
        } else {
            let conventional = matches!(c, '_' | '-' | '.' | ' ' | '/' | ':');
            // Only one separator between two words is conventional; leading, trailing and doubled ones are lost.
            lossless &= conventional && !separator && !out.is_empty() && at + 1 < chars.len();
            separator = true;
        }
    }
    lossless &= !out.is_empty();
    (out, lossless)
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for EventName {
    type Error = InvalidEventName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let valid = (1..=EVENT_NAME_MAX_BYTES).contains(&text.len())
            && !text.starts_with('_')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if valid { Ok(Self(text)) } else { Err(InvalidEventName(text)) }
    }
}

impl From<EventName> for String {
    fn from(name: EventName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// The contract of DESIGN: lower snake case in ASCII, 1 to 100 bytes, never starting with `_`.
    fn is_valid(name: &str) -> bool {
        let first = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        (1..=100).contains(&name.len())
            && name.bytes().next().is_some_and(first)
            && name.bytes().all(|b| first(b) || b == b'_')
    }

    #[test]
    fn hostile_types_get_valid_names_and_none_shares_anothers() {
        let long = ["x".repeat(10_240), "x".repeat(10_241), "é".repeat(5_120), "_".repeat(10_240)];
        let short = [
            // Path tricks.
            "../../etc/passwd",
            "..",
            ".",
            "/",
            "//",
            "a//b",
            "a/../b",
            "%2e%2e%2f",
            "C:\\temp",
            "a\\b",
            "~",
            "a/",
            // Look-alikes of page_view: Cyrillic, full width, a zero-width space, a combining mark, the Kelvin sign.
            "p\u{430}ge_view",
            "\u{ff50}age_view",
            "page\u{200b}_view",
            "page_vie\u{301}w",
            "page_view\u{212a}",
            // Direction and control characters.
            "\u{202e}weiv_egap",
            "page_view\u{202c}",
            "page\tview",
            "page\nview",
            "page\0view",
            "\u{7f}",
            "\u{feff}page_view",
            // Nothing to go by.
            "",
            " ",
            "   ",
            "\t",
            "\u{a0}",
            "_",
            "__",
            "-",
            "日本",
            "日本語",
            "🛒",
            "é",
            "É",
            // Words that mean something to databases, to us or to file systems.
            "select",
            "table",
            "user",
            "null",
            "true",
            "_lr",
            "_load",
            "_source",
            "gate_x",
            "ledger_x",
            "con",
            "nul.json",
            "x'; DROP TABLE events;--",
            "\"quoted\"",
            "page_view",
            "event",
            "0",
            "-0",
            "-7",
            "1e3",
        ];
        let mut types: BTreeMap<String, String> = BTreeMap::new();
        for event_type in short.iter().map(|t| (*t).to_owned()).chain(long) {
            let name = EventName::of_type(&event_type);
            assert!(is_valid(name.as_str()), "{event_type:?} became {name}");
            if let Some(other) = types.insert(name.to_string(), event_type.clone()) {
                panic!("{event_type:?} and {other:?} share {name}");
            }
        }
    }

    #[test]
    fn words_of_databases_are_names_like_any_other() {
        for word in ["select", "table", "user", "null", "con"] {
            assert_eq!(EventName::of_type(word).as_str(), word, "tables are always named in quotes");
        }
    }

    /// Whoever may write one type may write the other: this guards against accidents, not against producers.
    #[test]
    fn only_a_type_that_spells_out_a_hashed_name_shares_it() {
        let name = EventName::of_type("view!");
        assert_eq!(EventName::of_type(name.as_str()), name);
        let digit = if name.as_str().ends_with('0') { "1" } else { "0" };
        let near = format!("{}{digit}", &name.as_str()[..name.as_str().len() - 1]);
        assert_ne!(EventName::of_type(&near), name);
        assert_ne!(EventName::of_type(&format!("{name}!")), name);
    }

    /// Few characters, so that types are often alike.
    fn hostile_type() -> impl Strategy<Value = String> {
        let characters =
            ["a", "b", "B", "1", "_", "-", ".", " ", "/", ":", "é", "\u{430}", "\u{202e}", "\n", "\0", "!"];
        prop::collection::vec(prop::sample::select(characters.to_vec()), 0..5).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn whatever_the_type_its_name_is_valid_and_names_itself(
            event_type in prop_oneof![".*", hostile_type(), "[a-zA-Z0-9_. -]{90,130}"],
        ) {
            let name = EventName::of_type(&event_type);
            prop_assert!(is_valid(name.as_str()), "{}", name);
            prop_assert_eq!(EventName::of_type(name.as_str()), name);
        }

        #[test]
        fn types_share_a_name_only_as_conventional_spellings_of_it(a in hostile_type(), b in hostile_type()) {
            let (of_a, of_b) = (EventName::of_type(&a), EventName::of_type(&b));
            if a != b && of_a == of_b {
                let plain = (of_a.as_str().to_owned(), true);
                prop_assert_eq!((snake_case(&a), snake_case(&b)), (plain.clone(), plain));
            }
        }
    }

    #[test]
    fn conventional_spellings_share_one_plain_name() {
        for event_type in ["page_view", "PageView", "page-view", "Page View", "page.view", "PAGE_VIEW", "pageView"] {
            assert_eq!(EventName::of_type(event_type).as_str(), "page_view", "{event_type}");
        }
        assert_eq!(EventName::of_type("HTTPServerError").as_str(), "http_server_error");
        assert_eq!(EventName::of_type("404").as_str(), "404");
    }

    #[test]
    fn what_is_lost_is_kept_apart_by_a_hash() {
        let hostile = ["../../etc/passwd", "日本", "日本語", "_private", "a..b", "view!", "", "__", "/", "é"];
        let mut names: Vec<_> = hostile.iter().map(|t| EventName::of_type(t)).collect();
        for name in &names {
            assert!(EventName::try_from(name.as_str().to_owned()).is_ok(), "{name}");
            let suffix = name.as_str().rsplit_once('_').expect("a suffix").1;
            assert!(suffix.len() == 6 && suffix.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), hostile.len());
    }

    #[test]
    fn a_name_never_exceeds_its_limit() {
        let long = "x".repeat(10_000);
        assert!(EventName::of_type(&long).as_str().len() <= EVENT_NAME_MAX_BYTES);
        assert_ne!(EventName::of_type(&long), EventName::of_type(&format!("{long}y")));
        assert_eq!(EventName::of_type(&"x".repeat(100)).as_str(), "x".repeat(100));
    }

    #[test]
    fn names_survive_normalising_again() {
        for event_type in ["PageView", "../../etc/passwd", "日本", "a b"] {
            let name = EventName::of_type(event_type);
            assert_eq!(EventName::of_type(name.as_str()), name);
        }
    }

    #[test]
    fn foreign_text_is_refused_as_a_name() {
        for text in ["", "_x", "Page", "a/b", "é"] {
            assert!(EventName::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
