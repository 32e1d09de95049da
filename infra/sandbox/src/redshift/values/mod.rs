//! Values outside any column: exact decimals, points in time, numbers as text, JSON. Pure functions, no database.

pub(crate) mod decimal;
pub(crate) mod json;
pub(crate) mod number;
pub(crate) mod time_format;
pub(crate) mod timestamp;
