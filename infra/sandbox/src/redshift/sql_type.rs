//! Redshift's column types, their names in each of the places that show them, and how a value of each is stored.
//!
//! Stored forms are chosen so that the embedded database compares, sorts and groups them rightly by itself:
//! integers and booleans as integers, DATE as days and TIMESTAMP(TZ) as microseconds since 1970, DECIMAL as an
//! order-preserving 16-byte blob (see `values::decimal`), text as UTF-8, SUPER as JSON text.

use sqlparser::ast::{CharacterLength, DataType, ExactNumberInfo, TimezoneInfo};

use super::error::{SqlError, SqlResult};

pub(crate) const VARCHAR_MAX: u32 = 65_535;
const CHAR_MAX: u32 = 4_096;
/// `VARCHAR` and `TEXT` without a length (Developer Guide: `r_Character_types`).
const VARCHAR_DEFAULT: u32 = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SqlType {
    Boolean,
    SmallInt,
    Integer,
    BigInt,
    Real,
    Double,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Char(u32),
    Varchar(u32),
    Date,
    Timestamp,
    TimestampTz,
    Super,
    /// A quoted literal or NULL whose place decides what it is.
    Unknown,
}

impl SqlType {
    pub(crate) fn from_ast(data_type: &DataType) -> SqlResult<SqlType> {
        Ok(match data_type {
            DataType::Bool | DataType::Boolean => SqlType::Boolean,
            DataType::SmallInt(None) | DataType::Int2(None) => SqlType::SmallInt,
            DataType::Int(None) | DataType::Integer(None) | DataType::Int4(None) => SqlType::Integer,
            DataType::BigInt(None) | DataType::Int8(None) => SqlType::BigInt,
            DataType::Real | DataType::Float4 => SqlType::Real,
            DataType::DoublePrecision | DataType::Float8 | DataType::Double(ExactNumberInfo::None) => SqlType::Double,
            DataType::Float(ExactNumberInfo::Precision(bits)) if *bits <= 24 => SqlType::Real,
            DataType::Float(_) => SqlType::Double,
            DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => decimal(info)?,
            DataType::Char(length) | DataType::Character(length) => {
                SqlType::Char(bounded(character_length(length, 1)?, CHAR_MAX, "char")?)
            }
            DataType::Varchar(length)
            | DataType::CharVarying(length)
            | DataType::CharacterVarying(length)
            | DataType::Nvarchar(length) => {
                SqlType::Varchar(bounded(character_length(length, VARCHAR_DEFAULT)?, VARCHAR_MAX, "varchar")?)
            }
            DataType::Text => SqlType::Varchar(VARCHAR_DEFAULT),
            DataType::Date => SqlType::Date,
            DataType::Timestamp(None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => SqlType::Timestamp,
            DataType::Timestamp(None, _) => SqlType::TimestampTz,
            DataType::Custom(name, arguments) => return from_custom(&name.to_string(), arguments),
            other => {
                return Err(SqlError::unsupported(
                    format!("the type {other}"),
                    "use a numeric type, BOOLEAN, CHAR, VARCHAR, DATE, TIMESTAMP, TIMESTAMPTZ or SUPER",
                ));
            }
        })
    }

    /// As the catalog views spell it (`information_schema.columns.data_type`), without a length.
    pub(crate) fn catalog_name(self) -> &'static str {
        match self {
            SqlType::Boolean => "boolean",
            SqlType::SmallInt => "smallint",
            SqlType::Integer => "integer",
            SqlType::BigInt => "bigint",
            SqlType::Real => "real",
            SqlType::Double => "double precision",
            SqlType::Decimal { .. } => "numeric",
            SqlType::Char(_) => "character",
            SqlType::Varchar(_) | SqlType::Unknown => "character varying",
            SqlType::Date => "date",
            SqlType::Timestamp => "timestamp without time zone",
            SqlType::TimestampTz => "timestamp with time zone",
            SqlType::Super => "super",
        }
    }

    /// As drivers and the load error views spell it.
    pub(crate) fn driver_name(self) -> &'static str {
        match self {
            SqlType::Boolean => "bool",
            SqlType::SmallInt => "int2",
            SqlType::Integer => "int4",
            SqlType::BigInt => "int8",
            SqlType::Real => "float4",
            SqlType::Double => "float8",
            SqlType::Decimal { .. } => "numeric",
            SqlType::Char(_) => "bpchar",
            SqlType::Varchar(_) | SqlType::Unknown => "varchar",
            SqlType::Date => "date",
            SqlType::Timestamp => "timestamp",
            SqlType::TimestampTz => "timestamptz",
            SqlType::Super => "super",
        }
    }

    /// With its length, as `pg_table_def` shows it; [`SqlType::from_full_name`] reads it back.
    pub(crate) fn full_name(self) -> String {
        match self {
            SqlType::Char(length) | SqlType::Varchar(length) => format!("{}({length})", self.catalog_name()),
            SqlType::Decimal { precision, scale } => format!("numeric({precision},{scale})"),
            other => other.catalog_name().to_owned(),
        }
    }

    pub(crate) fn from_full_name(name: &str) -> Option<SqlType> {
        let (base, arguments) = match name.split_once('(') {
            Some((base, rest)) => (base, rest.strip_suffix(')')?),
            None => (name, ""),
        };
        Some(match base {
            "boolean" => SqlType::Boolean,
            "smallint" => SqlType::SmallInt,
            "integer" => SqlType::Integer,
            "bigint" => SqlType::BigInt,
            "real" => SqlType::Real,
            "double precision" => SqlType::Double,
            "numeric" => {
                let (precision, scale) = arguments.split_once(',')?;
                SqlType::Decimal { precision: precision.parse().ok()?, scale: scale.parse().ok()? }
            }
            "character" => SqlType::Char(arguments.parse().ok()?),
            "character varying" => SqlType::Varchar(arguments.parse().ok()?),
            "date" => SqlType::Date,
            "timestamp without time zone" => SqlType::Timestamp,
            "timestamp with time zone" => SqlType::TimestampTz,
            "super" => SqlType::Super,
            _ => return None,
        })
    }

    /// The length or precision the Data API and the load error views show; 0 where a type has none.
    pub(crate) fn length(self) -> u32 {
        match self {
            SqlType::Char(length) | SqlType::Varchar(length) => length,
            _ => 0,
        }
    }

    pub(crate) fn is_integer(self) -> bool {
        matches!(self, SqlType::SmallInt | SqlType::Integer | SqlType::BigInt)
    }

    pub(crate) fn is_float(self) -> bool {
        matches!(self, SqlType::Real | SqlType::Double)
    }

    pub(crate) fn is_numeric(self) -> bool {
        self.is_integer() || self.is_float() || matches!(self, SqlType::Decimal { .. })
    }

    pub(crate) fn is_text(self) -> bool {
        matches!(self, SqlType::Char(_) | SqlType::Varchar(_))
    }

    pub(crate) fn is_time(self) -> bool {
        matches!(self, SqlType::Date | SqlType::Timestamp | SqlType::TimestampTz)
    }

    /// Width of an integer type in bits.
    pub(crate) fn integer_bits(self) -> u8 {
        match self {
            SqlType::SmallInt => 16,
            SqlType::Integer => 32,
            _ => 64,
        }
    }

    /// The DECIMAL an exact number takes part in arithmetic as (Developer Guide: `r_numeric_computations201`).
    pub(crate) fn as_decimal(self) -> (u8, u8) {
        match self {
            SqlType::SmallInt => (5, 0),
            SqlType::Integer => (10, 0),
            SqlType::Decimal { precision, scale } => (precision, scale),
            _ => (19, 0),
        }
    }
}

fn decimal(info: &ExactNumberInfo) -> SqlResult<SqlType> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => (18, 0),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    if !(1..=38).contains(&precision) {
        return Err(SqlError::new(format!("DECIMAL precision {precision} must be between 1 and 38")));
    }
    if scale < 0 || scale as u64 > precision.min(37) {
        return Err(SqlError::new(format!("DECIMAL scale {scale} must be between 0 and precision {precision}")));
    }
    Ok(SqlType::Decimal { precision: precision as u8, scale: scale as u8 })
}

fn character_length(length: &Option<CharacterLength>, default: u32) -> SqlResult<u64> {
    match length {
        None => Ok(u64::from(default)),
        Some(CharacterLength::IntegerLength { length, .. }) => Ok(*length),
        Some(CharacterLength::Max) => Ok(u64::from(VARCHAR_MAX)),
    }
}

fn bounded(length: u64, maximum: u32, name: &str) -> SqlResult<u32> {
    match u32::try_from(length) {
        Ok(0) => Err(SqlError::new(format!("length for type {name} must be at least 1"))),
        Ok(length) if length <= maximum => Ok(length),
        _ => Err(SqlError::new(format!("length for type {name} cannot exceed {maximum}"))),
    }
}

fn from_custom(name: &str, arguments: &[String]) -> SqlResult<SqlType> {
    let name = name.to_ascii_lowercase();
    let length = |default: u32| match arguments.first() {
        None => Ok(u64::from(default)),
        Some(text) if text.eq_ignore_ascii_case("max") => Ok(u64::from(VARCHAR_MAX)),
        Some(text) => text.parse().map_err(|_| SqlError::new(format!("invalid length for type {name}"))),
    };
    match name.as_str() {
        "super" if arguments.is_empty() => Ok(SqlType::Super),
        "timestamptz" => Ok(SqlType::TimestampTz),
        "bpchar" => Ok(SqlType::Char(bounded(length(VARCHAR_DEFAULT)?, CHAR_MAX, "char")?)),
        "nchar" => Ok(SqlType::Char(bounded(length(1)?, CHAR_MAX, "char")?)),
        "nvarchar" => Ok(SqlType::Varchar(bounded(length(VARCHAR_DEFAULT)?, VARCHAR_MAX, "varchar")?)),
        _ => Err(SqlError::new(format!("type \"{name}\" does not exist"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stored_type_name_reads_back() {
        for ty in [
            SqlType::Boolean,
            SqlType::SmallInt,
            SqlType::Integer,
            SqlType::BigInt,
            SqlType::Real,
            SqlType::Double,
            SqlType::Decimal { precision: 38, scale: 10 },
            SqlType::Char(4),
            SqlType::Varchar(65_535),
            SqlType::Date,
            SqlType::Timestamp,
            SqlType::TimestampTz,
            SqlType::Super,
        ] {
            assert_eq!(SqlType::from_full_name(&ty.full_name()), Some(ty));
        }
        assert_eq!(SqlType::from_full_name("hyperloglog"), None);
    }
}
