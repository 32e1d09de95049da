//! Names as Redshift keeps them: ASCII letters in lower case even when quoted, at most 127 bytes (Developer Guide:
//! `r_names`).

use std::fmt;

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use crate::redshift::error::{SqlError, SqlResult};

const MAX_BYTES: usize = 127;

/// Developer Guide: `r_pg_keywords`; sorted.
const RESERVED: [&str; 159] = [
    "aes128",
    "aes256",
    "all",
    "allowoverwrite",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "authorization",
    "az64",
    "backup",
    "between",
    "binary",
    "blanksasnull",
    "both",
    "bytedict",
    "bzip2",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "connect",
    "constraint",
    "create",
    "credentials",
    "cross",
    "current_date",
    "current_time",
    "current_timestamp",
    "current_user",
    "current_user_id",
    "default",
    "deferrable",
    "deflate",
    "defrag",
    "delta",
    "delta32k",
    "desc",
    "disable",
    "distinct",
    "do",
    "else",
    "emptyasnull",
    "enable",
    "encode",
    "encrypt",
    "encryption",
    "end",
    "except",
    "explicit",
    "false",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "globaldict256",
    "globaldict64k",
    "grant",
    "group",
    "gzip",
    "having",
    "identity",
    "ignore",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "language",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "lun",
    "luns",
    "lzo",
    "lzop",
    "minus",
    "mostly16",
    "mostly32",
    "mostly8",
    "natural",
    "new",
    "not",
    "notnull",
    "null",
    "nulls",
    "off",
    "offline",
    "offset",
    "oid",
    "old",
    "on",
    "only",
    "open",
    "or",
    "order",
    "outer",
    "overlaps",
    "parallel",
    "partition",
    "percent",
    "permissions",
    "pivot",
    "placing",
    "primary",
    "raw",
    "readratio",
    "recover",
    "references",
    "rejectlog",
    "resort",
    "respect",
    "restore",
    "right",
    "select",
    "session_user",
    "similar",
    "snapshot",
    "some",
    "start",
    "sysdate",
    "system",
    "table",
    "tag",
    "tdes",
    "text255",
    "text32k",
    "then",
    "timestamp",
    "to",
    "top",
    "trailing",
    "true",
    "truncatecolumns",
    "union",
    "unique",
    "unnest",
    "unpivot",
    "user",
    "using",
    "verbose",
    "wallet",
    "when",
    "where",
    "with",
    "without",
];

/// Whether an unquoted word cannot name anything.
pub(crate) fn is_reserved(word: &str) -> bool {
    RESERVED.binary_search(&word.to_ascii_lowercase().as_str()).is_ok()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RelationName {
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
}

impl fmt::Display for RelationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

pub(crate) fn fold(name: &str) -> String {
    let mut end = name.len().min(MAX_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_ascii_lowercase()
}

pub(crate) fn fold_ident(ident: &Ident) -> String {
    fold(&ident.value)
}

/// `[[database.]schema.]name`
pub(crate) fn object_name(name: &ObjectName) -> SqlResult<RelationName> {
    let parts = name.0.iter().map(|part| match part {
        ObjectNamePart::Identifier(ident) => Ok(fold_ident(ident)),
        ObjectNamePart::Function(function) => Err(SqlError::new(format!("syntax error at or near \"{function}\""))),
    });
    relation_name(parts.collect::<SqlResult<_>>()?)
}

pub(crate) fn relation_name(mut parts: Vec<String>) -> SqlResult<RelationName> {
    if parts.len() > 3 {
        return Err(SqlError::new(format!("improper qualified name (too many dotted names): {}", parts.join("."))));
    }
    let name = parts.pop().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| SqlError::new("zero-length delimited identifier"))?;
    Ok(RelationName { schema: parts.pop(), name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_words_are_found_in_any_case() {
        assert!(RESERVED.is_sorted());
        assert!(is_reserved("Timestamp") && is_reserved("WHERE"));
        assert!(!is_reserved("events"));
    }
}
