//! The sketch: which types and string lengths were seen under each path of one event's records.
//!
//! The router folds it while it validates; the loader derives columns from it. It describes objects
//! at every depth, and never looks into arrays, which become SUPER whole.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::{BitOr, BitOrAssign};

/// Levels of objects that are sketched; an object that more keys lead to is one JSON value. Far more than any table
/// flattens, and few enough that every JSON reader takes the seal (`serde_json` stops at 128 levels).
pub const SKETCH_DEPTH_MAX: usize = 32;

/// A set of value types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<&'static str>")]
pub struct Types(u16);

const NAMES: [(Types, &str); 11] = [
    (Types::NULL, "null"),
    (Types::BOOLEAN, "boolean"),
    (Types::INTEGER, "integer"),
    (Types::BIGINT, "bigint"),
    (Types::HUGE_INTEGER, "huge_integer"),
    (Types::DECIMAL, "decimal"),
    (Types::LONG_DECIMAL, "long_decimal"),
    (Types::TIMESTAMP, "timestamp"),
    (Types::STRING, "string"),
    (Types::ARRAY, "array"),
    (Types::OBJECT, "object"),
];

impl Types {
    /// Nothing seen.
    pub const NONE: Types = Types(0);
    /// `null`.
    pub const NULL: Types = Types(1);
    /// `true` or `false`.
    pub const BOOLEAN: Types = Types(1 << 1);
    /// An integer within ±2^53: exact in a DOUBLE.
    pub const INTEGER: Types = Types(1 << 2);
    /// An integer beyond ±2^53 and within BIGINT.
    pub const BIGINT: Types = Types(1 << 3);
    /// An integer beyond BIGINT.
    pub const HUGE_INTEGER: Types = Types(1 << 4);
    /// A number with a fraction or exponent that survives an f64 unchanged.
    pub const DECIMAL: Types = Types(1 << 5);
    /// A number that an f64 would alter.
    pub const LONG_DECIMAL: Types = Types(1 << 6);
    /// An RFC 3339 timestamp with at most 6 fractional digits and a valid calendar date.
    pub const TIMESTAMP: Types = Types(1 << 7);
    /// Any other string.
    pub const STRING: Types = Types(1 << 8);
    /// An array.
    pub const ARRAY: Types = Types(1 << 9);
    /// An object.
    pub const OBJECT: Types = Types(1 << 10);

    /// Whether nothing is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every type of `other` is in the set.
    pub fn contains(self, other: Types) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether all of the set is in `other`.
    pub fn within(self, other: Types) -> bool {
        other.contains(self)
    }

    /// Each type of the set alone.
    pub fn each(self) -> impl Iterator<Item = Types> {
        NAMES.into_iter().map(|(types, _)| types).filter(move |types| self.contains(*types))
    }

    /// What is in both sets.
    pub fn and(self, other: Types) -> Types {
        Types(self.0 & other.0)
    }

    /// The set without `other`.
    pub fn without(self, other: Types) -> Types {
        Types(self.0 & !other.0)
    }
}

impl BitOr for Types {
    type Output = Types;

    fn bitor(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }
}

impl BitOrAssign for Types {
    fn bitor_assign(&mut self, other: Types) {
        self.0 |= other.0;
    }
}

impl From<Types> for Vec<&'static str> {
    fn from(types: Types) -> Self {
        NAMES.iter().filter(|(t, _)| types.contains(*t)).map(|(_, name)| *name).collect()
    }
}

impl TryFrom<Vec<String>> for Types {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, Self::Error> {
        names.iter().try_fold(Types::NONE, |types, name| {
            let (found, _) = NAMES.iter().find(|(_, n)| n == name).ok_or(format!("unknown sketch type {name:?}"))?;
            Ok(types | *found)
        })
    }
}

/// What was seen at one path, over all records of one event of one source object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SketchNode {
    /// Types seen.
    pub types: Types,
    /// Longest string in decoded bytes; 0 where no string was seen.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub max_bytes: u32,
    /// Keys of the objects seen here.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub keys: BTreeMap<String, SketchNode>,
    /// The objects here had too many keys to list: `keys` is empty and the path is one JSON value.
    #[serde(skip_serializing_if = "is_false", default)]
    pub collapsed: bool,
}

/// The sketch of one event of one source object: the node of the records themselves.
pub type Sketch = SketchNode;

impl SketchNode {
    /// Folds another sketch of the same path in.
    pub fn merge(&mut self, other: &SketchNode) {
        self.types |= other.types;
        self.max_bytes = self.max_bytes.max(other.max_bytes);
        self.collapsed |= other.collapsed;
        if self.collapsed {
            self.keys.clear();
            return;
        }
        for (key, node) in &other.keys {
            self.keys.entry(key.clone()).or_default().merge(node);
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(b: &bool) -> bool {
    !*b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_survive_json_by_name() {
        let types = Types::NULL | Types::TIMESTAMP | Types::OBJECT;
        let json = serde_json::to_string(&types).expect("serialises");
        assert_eq!(json, r#"["null","timestamp","object"]"#);
        assert_eq!(serde_json::from_str::<Types>(&json).expect("parses"), types);
        assert!(serde_json::from_str::<Types>(r#"["colour"]"#).is_err());
    }

    #[test]
    fn merging_keeps_the_widest_of_both() {
        let leaf = |types, max_bytes| SketchNode { types, max_bytes, ..Default::default() };
        let mut a = leaf(Types::OBJECT, 0);
        a.keys.insert("x".into(), leaf(Types::STRING, 3));
        let mut b = leaf(Types::OBJECT, 0);
        b.keys.insert("x".into(), leaf(Types::NULL, 0));
        b.keys.insert("y".into(), leaf(Types::INTEGER, 0));
        a.merge(&b);
        assert_eq!(a.keys["x"], leaf(Types::STRING | Types::NULL, 3));
        assert_eq!(a.keys["y"], leaf(Types::INTEGER, 0));
        b.collapsed = true;
        a.merge(&b);
        assert!(a.collapsed && a.keys.is_empty());
    }
}
