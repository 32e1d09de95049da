//! Settings of kinds that several sections have: buckets, counts, sizes, names of schemas.

use super::reader::{ByteSize, Section};

pub(super) fn bucket(section: &mut Section<'_>) -> String {
    let bucket: String = section.required("bucket");
    if bucket.contains(['/', ':']) {
        section.problem("bucket", format!("{bucket:?} is not the name of a bucket: leave out s3:// and any path"));
    }
    not_empty(section, "bucket", &bucket);
    bucket
}

/// Given, and given as nothing: an empty environment variable, mostly.
pub(super) fn not_empty(section: &mut Section<'_>, key: &'static str, text: &str) {
    if text.is_empty() && section.was_given(key) {
        section.problem(key, "is empty: set it, or leave it out");
    }
}

pub(super) fn count(section: &mut Section<'_>, key: &'static str, default: usize) -> usize {
    let n = section.or(key, default as u64);
    if !(1..=1_000_000).contains(&n) {
        section.problem(key, format!("{n} is not between 1 and 1000000"));
    }
    n as usize
}

pub(super) fn bytes(section: &mut Section<'_>, key: &'static str, default: u64, least: u64) -> u64 {
    let ByteSize(n) = section.or(key, ByteSize(default));
    if n < least {
        section.problem(key, format!("{n} bytes is too small: at least {least}"));
    }
    n
}

/// Redshift folds identifiers to lower case and cuts them at 127 bytes (database guide, `r_names`).
pub(super) fn identifier(section: &mut Section<'_>, key: &'static str, default: &str) -> String {
    let name = section.or(key, default.to_owned());
    let valid = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !valid || name.is_empty() || name.len() > 127 {
        section.problem(key, format!("{name:?} is not a schema name: use a-z, 0-9 and _, at most 127"));
    }
    name
}
