//! One page of a bucket's keys: prefix, delimiter, and going on after the last thing a page showed.
//!
//! Under a delimiter a whole common prefix costs one seek, whatever is below it.

use rusqlite::{Transaction, params};
use s3s::S3Result;

use super::index::db;
use super::storage::Storage;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) key: String,
    pub(super) size: i64,
    pub(super) etag: String,
    pub(super) modified_ms: i64,
    pub(super) storage: Storage,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) objects: Vec<Listed>,
    pub(super) common_prefixes: Vec<String>,
    /// The last key or common prefix shown, when there is more: the `after` of the next page.
    pub(super) next: Option<String>,
}

pub(super) struct PageRequest<'a> {
    pub(super) bucket: &'a str,
    pub(super) prefix: &'a str,
    /// Empty: none.
    pub(super) delimiter: &'a str,
    /// Empty: from the start. A common prefix that `after` is, or lies in, is not shown again.
    pub(super) after: &'a str,
    pub(super) limit: usize,
}

pub(super) fn page(tx: &Transaction<'_>, request: &PageRequest<'_>) -> S3Result<Page> {
    let mut page = Page::default();
    if request.limit == 0 {
        return Ok(page);
    }
    let mut last_shown: Option<String> = None;
    let mut from = first_key(request);
    let mut select = tx
        .prepare_cached(
            "SELECT key, size, etag, modified_ms, class, restored_until_ms
             FROM objects WHERE bucket = ?1 AND key >= ?2 ORDER BY key",
        )
        .map_err(db)?;
    // Each round reads rows until the end, or until a common prefix to jump over.
    loop {
        let mut jump = None;
        let mut rows = select.query(params![request.bucket, from]).map_err(db)?;
        while let Some(row) = rows.next().map_err(db)? {
            let key: Vec<u8> = row.get(0).map_err(db)?;
            let key = String::from_utf8(key).map_err(s3s::S3Error::internal_error)?;
            let Some(rest) = key.strip_prefix(request.prefix) else { return Ok(page) };
            let rolled_up = (!request.delimiter.is_empty()).then(|| rest.find(request.delimiter)).flatten();
            let full = page.objects.len() + page.common_prefixes.len() == request.limit;
            if let Some(at) = rolled_up {
                let common = &key[..request.prefix.len() + at + request.delimiter.len()];
                if !request.after.starts_with(common) {
                    if full {
                        page.next = last_shown;
                        return Ok(page);
                    }
                    page.common_prefixes.push(common.to_owned());
                    last_shown = Some(common.to_owned());
                }
                jump = Some(after_prefix(common));
                break;
            }
            if full {
                page.next = last_shown;
                return Ok(page);
            }
            page.objects.push(Listed {
                size: row.get(1).map_err(db)?,
                etag: row.get(2).map_err(db)?,
                modified_ms: row.get(3).map_err(db)?,
                storage: Storage { class: row.get(4).map_err(db)?, restored_until_ms: row.get(5).map_err(db)? },
                key: key.clone(),
            });
            last_shown = Some(key);
        }
        match jump {
            Some(next) => from = next,
            None => return Ok(page),
        }
    }
}

fn first_key(request: &PageRequest<'_>) -> Vec<u8> {
    if request.after.is_empty() || request.after < request.prefix {
        return request.prefix.as_bytes().to_vec();
    }
    // The smallest key greater than `after`.
    let mut key = request.after.as_bytes().to_vec();
    key.push(0);
    key
}

/// The smallest byte string greater than everything that starts with `prefix`.
fn after_prefix(prefix: &str) -> Vec<u8> {
    let mut bytes = prefix.as_bytes().to_vec();
    // UTF-8 never holds 0xFF, so the last byte can always grow.
    if let Some(last) = bytes.last_mut() {
        *last += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    fn bucket_of(keys: &[&str]) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE objects (bucket, key BLOB, size, etag, modified_ms, class, restored_until_ms,
                                       PRIMARY KEY (bucket, key))",
            )
            .unwrap();
        for key in keys {
            connection
                .execute("INSERT INTO objects VALUES ('b', ?1, 1, 'e', 0, 'STANDARD', NULL)", [key.as_bytes()])
                .unwrap();
        }
        connection
    }

    /// All pages of `limit`, as "key" and "prefix/…" in the order shown.
    fn walk(keys: &[&str], prefix: &str, delimiter: &str, limit: usize) -> Vec<Vec<String>> {
        let mut connection = bucket_of(keys);
        let tx = connection.transaction().unwrap();
        let mut pages = Vec::new();
        let mut after = String::new();
        loop {
            let request = PageRequest { bucket: "b", prefix, delimiter, after: &after, limit };
            let page = page(&tx, &request).unwrap();
            let mut shown: Vec<String> = page.objects.into_iter().map(|o| o.key).collect();
            shown.extend(page.common_prefixes.into_iter().map(|p| format!("{p}…")));
            pages.push(shown);
            match page.next {
                Some(next) => after = next,
                None => return pages,
            }
        }
    }

    #[test]
    fn keys_come_in_utf8_binary_order_page_by_page() {
        let keys = ["b", "a", "Z", "ä", "a/b", "\u{10000}", "\u{FFFD}"];
        let pages = walk(&keys, "", "", 3);
        assert_eq!(pages, [vec!["Z", "a", "a/b"], vec!["b", "ä", "\u{FFFD}"], vec!["\u{10000}"]]);
    }

    #[test]
    fn a_common_prefix_is_shown_once_across_pages() {
        let keys = ["a", "d/1", "d/2", "d/3", "e", "f/1"];
        assert_eq!(walk(&keys, "", "/", 1), [vec!["a"], vec!["d/…"], vec!["e"], vec!["f/…"]]);
        assert_eq!(walk(&keys, "", "/", 10), [vec!["a", "e", "d/…", "f/…"]]);
        assert_eq!(walk(&keys, "d/", "/", 2), [vec!["d/1", "d/2"], vec!["d/3"]]);
    }

    #[test]
    fn a_page_that_ends_exactly_at_the_last_key_is_not_truncated() {
        assert_eq!(walk(&["a", "b"], "", "", 2), [vec!["a", "b"]]);
        assert_eq!(walk(&["d/1", "d/2"], "", "/", 1), [vec!["d/…"]]);
    }

    #[test]
    fn starting_inside_a_common_prefix_leaves_it_out() {
        let mut connection = bucket_of(&["d/1", "d/2", "e"]);
        let tx = connection.transaction().unwrap();
        let request = PageRequest { bucket: "b", prefix: "", delimiter: "/", after: "d/1", limit: 10 };
        let page = page(&tx, &request).unwrap();
        assert_eq!(page.common_prefixes, Vec::<String>::new());
        assert_eq!(page.objects[0].key, "e");
    }
}
