//! The documents of `fixtures/json`, each with its verdict, held against the scanner and against `serde_json`.

use super::super::*;
use serde::de::IgnoredAny;
use std::fs;
use std::path::Path;

struct Document {
    /// File and line.
    place: String,
    /// `ok`, or a reason's word.
    verdict: String,
    bytes: Vec<u8>,
}

fn documents() -> Vec<Document> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/json");
    let files = fs::read_dir(&folder).expect("the corpus").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "txt")).collect();
    files.sort();
    files.iter().flat_map(|path| documents_of(path)).collect()
}

fn documents_of(path: &Path) -> Vec<Document> {
    let text = fs::read_to_string(path).expect("UTF-8: bytes that are none are written as escapes");
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(number, line)| {
            let place = format!("{}:{number}", path.display());
            let (verdict, document) = line.split_once(' ').expect(&place);
            let verdict_is_known = verdict == "ok" || Reason::ALL.iter().any(|reason| reason.as_str() == verdict);
            assert!(verdict_is_known && document.trim_end() == document, "{place}");
            Document { verdict: verdict.to_owned(), bytes: bytes_of(document).expect(&place), place }
        })
        .collect()
}

/// Resolves `\xNN` and `\*N(text)`.
fn bytes_of(document: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = document;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        if let Some(behind) = rest.strip_prefix("\\x") {
            bytes.push(u8::from_str_radix(behind.get(..2)?, 16).ok()?);
            rest = &behind[2..];
        } else if let Some(behind) = rest.strip_prefix("\\*") {
            let (times, behind) = behind.split_once('(')?;
            let (repeated, behind) = behind.split_once(')')?;
            bytes.extend(bytes_of(repeated)?.repeat(times.parse().ok()?));
            rest = behind;
        } else {
            // A backslash of the document, and what it escapes, which may be a backslash again.
            let length = 1 + rest.chars().nth(1).filter(char::is_ascii).map_or(0, char::len_utf8);
            bytes.extend_from_slice(&rest.as_bytes()[..length]);
            rest = &rest[length..];
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

fn verdict(scanner: &mut Scanner, document: &[u8]) -> String {
    scanner.scan(document).map_or_else(|fault| fault.reason.as_str().to_owned(), |_| "ok".to_owned())
}

fn scanner() -> Scanner {
    Scanner::new(Pointers::new(&["/event".to_owned()]), true)
}

#[test]
fn every_document_of_the_corpus_gets_its_verdict() {
    let documents = documents();
    assert!(documents.len() > 300, "{}", documents.len());
    let mut warm = scanner();
    for _ in 0..2 {
        for Document { place, verdict: expected, bytes } in &documents {
            assert_eq!(&verdict(&mut scanner(), bytes), expected, "{place}");
            assert_eq!(&verdict(&mut warm, bytes), expected, "{place}, after other documents");
        }
    }
}

/// `serde_json` knows grammar and, where it decodes strings, surrogates; what it skips it does not even take for UTF-8.
#[test]
fn serde_json_says_the_same_as_far_as_it_knows() {
    for Document { place, verdict, bytes } in documents() {
        let is_utf8 = std::str::from_utf8(&bytes).is_ok();
        let is_json = serde_json::from_slice::<IgnoredAny>(&bytes).is_ok();
        let has_lone_surrogate = is_json && serde_json::from_slice::<String>(&first_bad_string(&bytes)).is_err();
        match verdict.as_str() {
            "invalid_utf8" => assert!(!is_utf8 || has_lone_surrogate, "{place}"),
            "not_json" => assert!(is_utf8 && !is_json, "{place}"),
            // Found before the end, which may be missing.
            "too_deep" => assert!(is_utf8, "{place}"),
            _ => assert!(is_utf8 && is_json && !has_lone_surrogate, "{place}"),
        }
    }
}

/// The first string of a valid document that does not decode; an empty one if all do.
fn first_bad_string(document: &[u8]) -> Vec<u8> {
    let (mut from, mut escaped) = (None, false);
    for (at, b) in document.iter().enumerate() {
        match (from, b) {
            (None, b'"') => from = Some(at),
            (Some(start), b'"') if !escaped => {
                let string = &document[start..=at];
                if serde_json::from_slice::<String>(string).is_err() {
                    return string.to_vec();
                }
                from = None;
            }
            _ => {}
        }
        escaped = *b == b'\\' && !escaped;
    }
    b"\"\"".to_vec()
}
