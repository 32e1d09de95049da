//! Column names: from a path to a name that Redshift takes, that reads well, and that no other column has.

use super::kind::Kind;
use common::event_name::snake_case;
use sha2::{Digest, Sha256};

/// Redshift cuts identifiers at 127 bytes (database developer guide, `r_names`).
pub(crate) const COLUMN_NAME_MAX_BYTES: usize = 127;

/// Longest JSON text of a path that gets a column: as many paths as a table has columns are committed in one
/// batch of statements.
pub(crate) const PATH_MAX_BYTES: usize = 1_000;

/// A path's JSON text: how the mapping stores it, and what its suffix is made of.
pub(crate) fn path_text(path: &[String]) -> String {
    serde_json::to_string(path).expect("a list of texts always serialises")
}

/// Whether a JSONPaths expression in bracket notation can name the key below this path.
pub(crate) fn is_addressable(parent: &[String], key: &str) -> bool {
    let plain = !key.is_empty() && !key.chars().any(|c| matches!(c, '\'' | '"' | '\\') || c.is_control());
    let length: usize = parent.iter().map(|k| k.len() + 3).sum();
    plain && length + key.len() + 5 <= PATH_MAX_BYTES
}

/// The name a path asks for: snake case, joined by `_`; where the spelling loses something, with the path's suffix.
pub(crate) fn plain_name(path: &[String]) -> String {
    let mut lossless = true;
    let words: Vec<String> = path
        .iter()
        .map(|key| {
            let (word, kept) = snake_case(key);
            lossless &= kept;
            word
        })
        .filter(|word| !word.is_empty())
        .collect();
    let name = words.join("_");
    if lossless && name.len() <= COLUMN_NAME_MAX_BYTES { name } else { suffixed(&name, path, 6) }
}

/// The name of the variant of a column: holds what a part has there that does not fit.
pub(crate) fn variant_name(base: &str, kind: Kind, path: &[String]) -> String {
    let name = format!("{base}__{}", kind.name());
    if name.len() <= COLUMN_NAME_MAX_BYTES {
        return name;
    }
    let ending = format!("_{}__{}", digest(path, 6), kind.name());
    format!("{}{ending}", cut(base, COLUMN_NAME_MAX_BYTES - ending.len()))
}

/// `wish`, or `wish` with as much of the path's suffix as it takes to be free.
pub(crate) fn free_name(wish: &str, path: &[String], is_taken: impl Fn(&str) -> bool) -> String {
    let suffixes = (6..=64).step_by(2).map(|digits| suffixed(wish, path, digits));
    std::iter::once(wish.to_owned())
        .chain(suffixes)
        .find(|name| !is_taken(name))
        .expect("256 bits of a path's hash are never all taken by other paths")
}

fn suffixed(stem: &str, path: &[String], digits: usize) -> String {
    let stem = if stem.is_empty() { "field" } else { stem };
    format!("{}_{}", cut(stem, COLUMN_NAME_MAX_BYTES - 1 - digits), digest(path, digits))
}

fn cut(stem: &str, max: usize) -> &str {
    // Snake case is ASCII, so every byte is a character.
    stem[..stem.len().min(max)].trim_end_matches('_')
}

fn digest(path: &[String], digits: usize) -> String {
    let hash = Sha256::digest(path_text(path).as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>()[..digits].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|k| (*k).to_owned()).collect()
    }

    #[test]
    fn conventional_paths_read_as_a_person_would_write_them() {
        assert_eq!(plain_name(&path(&["user", "id"])), "user_id");
        assert_eq!(plain_name(&path(&["User-Agent"])), "user_agent");
        assert_eq!(plain_name(&path(&["order"])), "order", "reserved words are quoted, not changed");
    }

    #[test]
    fn what_is_lost_is_told_apart_by_a_suffix_of_the_path() {
        for keys in [&["_id"][..], &["größe"], &["日本"], &["a", "$"]] {
            let name = plain_name(&path(keys));
            let (_, suffix) = name.rsplit_once('_').unwrap();
            assert!(suffix.len() == 6 && suffix.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
            assert!(!name.starts_with('_'), "{name} must not run into the system columns");
        }
        assert_ne!(plain_name(&path(&["日本"])), plain_name(&path(&["日木"])));
    }

    #[test]
    fn names_stay_within_redshifts_limit() {
        let long = path(&[&"x".repeat(300)]);
        assert_eq!(plain_name(&long).len(), COLUMN_NAME_MAX_BYTES);
        assert_eq!(variant_name(&plain_name(&long), Kind::Timestamp, &long).len(), COLUMN_NAME_MAX_BYTES);
        assert_eq!(plain_name(&path(&[&"x".repeat(127)])), "x".repeat(127));
        assert_eq!(variant_name("user_id", Kind::Varchar, &path(&["user_id"])), "user_id__varchar");
    }

    #[test]
    fn a_taken_name_gets_the_suffix_and_always_the_same() {
        let key = path(&["userId"]);
        let first = free_name("user_id", &key, |name| name == "user_id");
        assert_eq!(first, free_name("user_id", &key, |name| name == "user_id"));
        assert!(first.starts_with("user_id_") && first.len() == "user_id_".len() + 6);
        assert_eq!(free_name("user_id", &key, |_| false), "user_id");
    }

    #[test]
    fn keys_that_jsonpaths_cannot_name_are_known() {
        for key in ["", "it's", "a\"b", "a\\b", "tab\t", "del\u{7f}"] {
            assert!(!is_addressable(&[], key), "{key:?}");
        }
        for key in ["a.b", "a[0]", "$", "日本", "with space"] {
            assert!(is_addressable(&[], key), "{key:?}");
        }
        let long = "x".repeat(PATH_MAX_BYTES - 10);
        assert!(is_addressable(&path(&[&long]), "ok") && !is_addressable(&path(&[&long]), "more"));
        assert_eq!(path_text(&path(&[&long, "ok"])).len(), PATH_MAX_BYTES - 1);
    }
}
