//! What is seen at a path: over a whole part in its sketch, or in one record. Columns are chosen from either by the same
//! rules.

use crate::record::Value;
use common::sketch::{SketchNode, Types};

/// The values at one path.
pub(crate) trait Sight: Sized {
    /// Their types.
    fn types(&self) -> Types;

    /// The longest string.
    fn max_bytes(&self) -> u32;

    /// Whether keys of the objects here are not told.
    fn hides_keys(&self) -> bool;

    /// The keys of the objects here that are told.
    fn keys(&self) -> impl Iterator<Item = (&str, &Self)>;

    /// The text of the value, where it is one.
    fn text(&self) -> Option<&[u8]>;

    /// Whether anything but nulls and empty objects was seen: what has no values needs no column.
    fn has_values(&self) -> bool {
        let scalars = self.types().without(Types::NULL | Types::OBJECT);
        self.hides_keys() || !scalars.is_empty() || self.keys().any(|(_, below)| below.has_values())
    }
}

impl Sight for SketchNode {
    fn text(&self) -> Option<&[u8]> {
        None
    }

    fn types(&self) -> Types {
        self.types
    }

    fn max_bytes(&self) -> u32 {
        self.max_bytes
    }

    fn hides_keys(&self) -> bool {
        self.collapsed
    }

    fn keys(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.keys.iter().map(|(key, node)| (key.as_str(), node))
    }
}

impl Sight for Value<'_> {
    fn text(&self) -> Option<&[u8]> {
        Some(self.text)
    }

    fn types(&self) -> Types {
        self.types
    }

    fn max_bytes(&self) -> u32 {
        self.max_bytes
    }

    fn hides_keys(&self) -> bool {
        self.is_whole
    }

    fn keys(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.keys.iter().map(|(key, value)| (&**key, value))
    }
}
