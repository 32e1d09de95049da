//! Column kinds: which values a kind holds without changing them, and which kind a path asks for.

use common::sketch::{SketchNode, Types};

/// Steps of VARCHAR sizes in bytes; the last is Redshift's longest (database developer guide, `r_Character_types`).
pub(crate) const VARCHAR_SIZES: [u32; 3] = [256, 4096, 65535];

/// What a column holds. The order settles ties, so it must stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Boolean,
    Bigint,
    Double,
    /// The exact text of numbers that no numeric column holds unchanged.
    Number,
    Timestamp,
    Varchar,
    /// Any JSON.
    Super,
}

const NAMES: [(Kind, &str); 7] = [
    (Kind::Boolean, "boolean"),
    (Kind::Bigint, "bigint"),
    (Kind::Double, "double"),
    (Kind::Number, "number"),
    (Kind::Timestamp, "timestamp"),
    (Kind::Varchar, "varchar"),
    (Kind::Super, "super"),
];

impl Kind {
    /// As the mapping's rows and variant columns spell it.
    pub(crate) fn name(self) -> &'static str {
        NAMES.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }

    /// The types whose values it holds unchanged.
    pub(crate) fn holds(self) -> Types {
        match self {
            Kind::Boolean => Types::BOOLEAN,
            Kind::Bigint => Types::INTEGER | Types::BIGINT,
            Kind::Double => Types::INTEGER | Types::DECIMAL,
            Kind::Number => Types::INTEGER | Types::BIGINT | Types::HUGE_INTEGER | Types::DECIMAL | Types::LONG_DECIMAL,
            Kind::Timestamp => Types::TIMESTAMP,
            Kind::Varchar => Types::STRING | Types::TIMESTAMP,
            Kind::Super => {
                Kind::Boolean.holds() | Kind::Number.holds() | Kind::Varchar.holds() | Types::ARRAY | Types::OBJECT
            }
        }
    }

    /// Kinds for values that another kind does not hold, as few as will do: numbers share one, strings share one.
    pub(crate) fn of_misfits(types: Types) -> impl Iterator<Item = (Kind, Types)> {
        let numbers = Kind::Number.holds();
        let families = [Types::BOOLEAN, numbers, Kind::Varchar.holds(), Types::ARRAY | Types::OBJECT];
        families
            .into_iter()
            .filter_map(move |family| {
                let found = types.and(family);
                NAMES.iter().map(|(kind, _)| *kind).find(|kind| found.within(kind.holds())).map(|kind| (kind, found))
            })
            .filter(|(_, found)| !found.is_empty())
    }
}

/// What a path is, as one part shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shape {
    /// Values of one kind.
    Column(Kind),
    /// Objects only, to be flattened.
    Object,
}

/// The shape of a node that has values; `depth` is the number of keys that lead to it.
pub(crate) fn shape(node: &SketchNode, depth: usize, max_depth: usize) -> Shape {
    shape_of(node.types, node.collapsed, depth, max_depth)
}

/// The same for types gathered from several parts.
pub(crate) fn shape_of(types: Types, collapsed: bool, depth: usize, max_depth: usize) -> Shape {
    let types = types.without(Types::NULL);
    if types == Types::OBJECT {
        let flattens = !collapsed && depth <= max_depth;
        return if flattens { Shape::Object } else { Shape::Column(Kind::Super) };
    }
    let narrowest = NAMES.iter().map(|(kind, _)| *kind).find(|kind| types.within(kind.holds()));
    Shape::Column(narrowest.unwrap_or(Kind::Super))
}

/// The smallest VARCHAR step that holds strings of this many bytes.
pub(crate) fn varchar_size(max_bytes: u32) -> u32 {
    let [.., longest] = VARCHAR_SIZES;
    VARCHAR_SIZES.into_iter().find(|size| max_bytes <= *size).unwrap_or(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(types: Types) -> Kind {
        match shape(&SketchNode { types, ..Default::default() }, 1, 3) {
            Shape::Column(kind) => kind,
            Shape::Object => panic!("an object"),
        }
    }

    #[test]
    fn a_path_gets_the_narrowest_kind_that_alters_nothing() {
        for (types, kind) in [
            (Types::BOOLEAN, Kind::Boolean),
            (Types::INTEGER, Kind::Bigint),
            (Types::INTEGER | Types::BIGINT, Kind::Bigint),
            (Types::DECIMAL, Kind::Double),
            (Types::INTEGER | Types::DECIMAL, Kind::Double),
            (Types::BIGINT | Types::DECIMAL, Kind::Number),
            (Types::HUGE_INTEGER, Kind::Number),
            (Types::LONG_DECIMAL | Types::INTEGER, Kind::Number),
            (Types::TIMESTAMP, Kind::Timestamp),
            (Types::TIMESTAMP | Types::STRING, Kind::Varchar),
            (Types::STRING, Kind::Varchar),
            (Types::ARRAY, Kind::Super),
            (Types::STRING | Types::INTEGER, Kind::Super),
            (Types::OBJECT | Types::STRING, Kind::Super),
            (Types::BOOLEAN | Types::INTEGER, Kind::Super),
        ] {
            assert_eq!(column(types), kind, "{types:?}");
            assert_eq!(column(types | Types::NULL), kind, "null changes nothing: {types:?}");
        }
    }

    #[test]
    fn objects_flatten_until_they_are_too_deep_or_too_wide() {
        let object = SketchNode { types: Types::OBJECT | Types::NULL, ..Default::default() };
        assert_eq!(shape(&object, 3, 3), Shape::Object);
        assert_eq!(shape(&object, 4, 3), Shape::Column(Kind::Super));
        assert_eq!(shape(&SketchNode { collapsed: true, ..object }, 1, 3), Shape::Column(Kind::Super));
    }

    #[test]
    fn kinds_survive_their_names() {
        for (kind, name) in NAMES {
            assert_eq!(Kind::from_name(name), Some(kind));
            assert_eq!(kind.name(), name);
        }
        assert_eq!(Kind::from_name("money"), None);
    }

    #[test]
    fn varchar_sizes_grow_by_steps() {
        assert_eq!([0, 256, 257, 4096, 4097, 70_000].map(varchar_size), [256, 256, 4096, 4096, 65535, 65535]);
    }
}
