//! Column kinds: which values a kind holds without changing them, and which kind a path asks for.

use common::sketch::{SketchNode, Types};
use common::value_type::is_timestamp;
use std::borrow::Cow;

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
    /// Of a person's making, as what follows: never made by us, and filled with those values that fit.
    Smallint,
    Integer,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Date,
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
    pub(crate) fn name(self) -> Cow<'static, str> {
        match self {
            Kind::Smallint => "smallint".into(),
            Kind::Integer => "integer".into(),
            Kind::Decimal { precision, scale } => format!("decimal({precision},{scale})").into(),
            Kind::Date => "date".into(),
            own => NAMES.iter().find(|(kind, _)| *kind == own).map_or("", |(_, name)| name).into(),
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "smallint" => Some(Kind::Smallint),
            "integer" => Some(Kind::Integer),
            "date" => Some(Kind::Date),
            name => match name.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')')) {
                Some(digits) => {
                    let (precision, scale) = digits.split_once(',')?;
                    Some(Kind::Decimal { precision: precision.parse().ok()?, scale: scale.parse().ok()? })
                }
                None => NAMES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind),
            },
        }
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
            Kind::Smallint | Kind::Integer | Kind::Decimal { .. } | Kind::Date => Types::NONE,
        }
    }

    /// The types of which it holds some values unchanged: which, only their texts tell.
    pub(crate) fn holds_some(self) -> Types {
        match self {
            Kind::Smallint | Kind::Integer => Types::INTEGER,
            Kind::Decimal { .. } => Kind::Number.holds(),
            Kind::Date => Types::STRING,
            _ => Types::NONE,
        }
    }

    /// Whether it holds the value with this text, which is of such a type. An exponent is never taken: COPY documents none
    /// for DECIMAL.
    pub(crate) fn holds_text(self, text: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(text) else { return false };
        match self {
            Kind::Smallint => text.parse::<i16>().is_ok(),
            Kind::Integer => text.parse::<i32>().is_ok(),
            Kind::Decimal { precision, scale } => {
                let (whole, fraction) =
                    text.trim_start_matches('-').split_once('.').unwrap_or((text.trim_start_matches('-'), ""));
                let is_plain = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
                let whole = whole.trim_start_matches('0').len();
                let fraction = fraction.trim_end_matches('0').len();
                is_plain && whole + usize::from(scale) <= usize::from(precision) && fraction <= usize::from(scale)
            }
            Kind::Date => {
                let date = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
                date.is_some_and(|date| is_timestamp(format!("{date}T00:00:00Z").as_bytes()))
            }
            _ => false,
        }
    }

    /// Whether values of a new path that asks for `wanted` may go to a person's column of this kind.
    pub(crate) fn takes(self, wanted: Kind) -> bool {
        match self {
            Kind::Smallint | Kind::Integer | Kind::Decimal { .. } => {
                matches!(wanted, Kind::Bigint | Kind::Double | Kind::Number)
            }
            Kind::Date => wanted == Kind::Varchar,
            own => own == wanted,
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
        for kind in [Kind::Smallint, Kind::Integer, Kind::Decimal { precision: 38, scale: 37 }, Kind::Date] {
            assert_eq!(Kind::from_name(&kind.name()), Some(kind));
            assert!(kind.name().len() <= 16, "the column of the mapping takes no more");
        }
        assert_eq!(Kind::from_name("money"), None);
        assert_eq!(Kind::from_name("decimal(8)"), None);
    }

    #[test]
    fn a_persons_column_takes_only_what_it_keeps_unchanged() {
        let decimal = Kind::Decimal { precision: 5, scale: 2 };
        for (kind, fits, misfits) in [
            (Kind::Smallint, &["0", "-32768", "-0"][..], &["32768", "1.0", "1e1"][..]),
            (Kind::Integer, &["2147483647"], &["2147483648", "9007199254740993"]),
            (decimal, &["0", "-999.99", "12.30", "1.500", "0001", "-0.0"], &["1000", "0.125", "1e2", "999.999"]),
            (Kind::Decimal { precision: 38, scale: 0 }, &["123456789012345678901234567890"], &["0.5"]),
            (Kind::Date, &["\"2024-02-29\""], &["\"2025-02-29\"", "\"2025-06-01T09:00:00\"", "\"\"", "\"20250601\""]),
        ] {
            for text in fits {
                assert!(kind.holds_text(text.as_bytes()), "{text} fits {kind:?}");
            }
            for text in misfits {
                assert!(!kind.holds_text(text.as_bytes()), "{text} does not fit {kind:?}");
            }
        }
    }

    #[test]
    fn varchar_sizes_grow_by_steps() {
        assert_eq!([0, 256, 257, 4096, 4097, 70_000].map(varchar_size), [256, 256, 4096, 4096, 65535, 65535]);
    }
}
