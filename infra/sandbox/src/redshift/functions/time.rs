//! Parts of dates: truncating, adding, differing, extracting. Everything here works on microseconds; the planner turns
//! a DATE into them first.

use rusqlite::types::Value;

use super::Entry;
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::values::time_format::{iso_week, to_char};
use crate::redshift::values::timestamp::{
    MICROS_PER_DAY, MICROS_PER_SECOND, civil, civil_from_days, days_from_civil, days_in_month, micros, shift,
};

pub(super) const FUNCTIONS: &[Entry] = &[
    ("rs_date_trunc", 2, |a| Ok(Value::from(truncate(a.text(0)?, a.integer(1)?)?))),
    ("rs_date_add", 3, |a| Ok(Value::from(add(a.text(0)?, a.integer(1)?, a.integer(2)?)?))),
    ("rs_shift", 3, |a| Ok(Value::from(shift(a.integer(0)?, a.integer(1)?, a.integer(2)?)?))),
    ("rs_date_diff", 3, |a| Ok(Value::from(difference(a.text(0)?, a.integer(1)?, a.integer(2)?)?))),
    ("rs_date_part", 2, |a| Ok(Value::from(part(a.text(0)?, a.integer(1)?)?))),
    ("rs_epoch", 1, |a| Ok(Value::from(a.integer(0)? as f64 / MICROS_PER_SECOND as f64))),
    ("rs_to_char", 2, |a| Ok(Value::from(to_char(a.integer(0)?, a.text(1)?)?))),
    ("rs_last_day", 1, |a| {
        let c = civil(a.integer(0)?);
        Ok(Value::from(days_from_civil(c.year, c.month, days_in_month(c.year, c.month))))
    }),
];

/// The one name of a date part (Developer Guide: `r_Dateparts_for_datetime_functions`).
pub(crate) fn part_name(written: &str) -> SqlResult<&'static str> {
    Ok(match written.to_ascii_lowercase().as_str() {
        "millennium" | "millennia" | "mil" | "mils" => "millennium",
        "century" | "centuries" | "c" | "cent" | "cents" => "century",
        "decade" | "decades" | "dec" | "decs" => "decade",
        "epoch" => "epoch",
        "year" | "years" | "y" | "yr" | "yrs" => "year",
        "quarter" | "quarters" | "qtr" | "qtrs" => "quarter",
        "month" | "months" | "mon" | "mons" => "month",
        "week" | "weeks" | "w" => "week",
        "dayofweek" | "dow" | "dw" | "weekday" => "dow",
        "dayofyear" | "doy" | "dy" | "yearday" => "doy",
        "day" | "days" | "d" => "day",
        "hour" | "hours" | "h" | "hr" | "hrs" => "hour",
        "minute" | "minutes" | "m" | "min" | "mins" => "minute",
        "second" | "seconds" | "s" | "sec" | "secs" => "second",
        "millisecond" | "milliseconds" | "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisec"
        | "millisecs" | "millisecon" => "millisecond",
        "microsecond" | "microseconds" | "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsec"
        | "microsecs" | "microsecond(s)" => "microsecond",
        other => return Err(SqlError::new(format!("timestamp units \"{other}\" not recognized"))),
    })
}

fn truncate(unit: &str, at: i64) -> SqlResult<i64> {
    let mut c = civil(at);
    let days = at.div_euclid(MICROS_PER_DAY);
    let exact = match unit {
        "microsecond" => Some(1),
        "millisecond" => Some(1_000),
        "second" => Some(MICROS_PER_SECOND),
        "minute" => Some(60 * MICROS_PER_SECOND),
        "hour" => Some(3_600 * MICROS_PER_SECOND),
        "day" => Some(MICROS_PER_DAY),
        _ => None,
    };
    if let Some(unit) = exact {
        return Ok(at.div_euclid(unit) * unit);
    }
    (c.day, c.hour, c.minute, c.second, c.micros) = (1, 0, 0, 0, 0);
    match unit {
        "week" => return Ok((days - (days + 3).rem_euclid(7)) * MICROS_PER_DAY),
        "month" => {}
        "quarter" => c.month = (c.month - 1) / 3 * 3 + 1,
        "year" => c.month = 1,
        "decade" => (c.year, c.month) = (c.year / 10 * 10, 1),
        "century" => (c.year, c.month) = ((c.year - 1) / 100 * 100 + 1, 1),
        "millennium" => (c.year, c.month) = ((c.year - 1) / 1_000 * 1_000 + 1, 1),
        other => return Err(SqlError::new(format!("timestamp units \"{other}\" not supported"))),
    }
    Ok(micros(c))
}

/// How much one of a part moves: whole months and an exact duration.
pub(crate) fn part_size(unit: &str) -> SqlResult<(i64, i64)> {
    Ok(match unit {
        "millennium" => (12_000, 0),
        "century" => (1_200, 0),
        "decade" => (120, 0),
        "year" => (12, 0),
        "quarter" => (3, 0),
        "month" => (1, 0),
        "week" => (0, 7 * MICROS_PER_DAY),
        "day" | "dow" | "doy" => (0, MICROS_PER_DAY),
        "hour" => (0, 3_600 * MICROS_PER_SECOND),
        "minute" => (0, 60 * MICROS_PER_SECOND),
        "second" => (0, MICROS_PER_SECOND),
        "millisecond" => (0, 1_000),
        "microsecond" => (0, 1),
        other => return Err(SqlError::new(format!("timestamp units \"{other}\" not supported"))),
    })
}

fn add(unit: &str, count: i64, at: i64) -> SqlResult<i64> {
    let out_of_range = || SqlError::new("timestamp out of range");
    let (months, duration) = part_size(unit)?;
    let months = count.checked_mul(months).ok_or_else(out_of_range)?;
    shift(at, months, count.checked_mul(duration).ok_or_else(out_of_range)?)
}

/// Boundaries crossed from `from` to `to`, not elapsed time (Developer Guide: `r_DATEDIFF_function`).
fn difference(unit: &str, from: i64, to: i64) -> SqlResult<i64> {
    let index = |at: i64| -> SqlResult<i64> {
        let c = civil(at);
        Ok(match unit {
            "millennium" => (c.year - 1).div_euclid(1_000),
            "century" => (c.year - 1).div_euclid(100),
            "decade" => c.year.div_euclid(10),
            "year" => c.year,
            "quarter" => c.year * 4 + (c.month - 1) / 3,
            "month" => c.year * 12 + c.month,
            // Weeks start on Sunday here.
            "week" => (at.div_euclid(MICROS_PER_DAY) + 4).div_euclid(7),
            "day" => at.div_euclid(MICROS_PER_DAY),
            "hour" => at.div_euclid(3_600 * MICROS_PER_SECOND),
            "minute" => at.div_euclid(60 * MICROS_PER_SECOND),
            "second" => at.div_euclid(MICROS_PER_SECOND),
            "millisecond" => at.div_euclid(1_000),
            "microsecond" => at,
            other => return Err(SqlError::new(format!("timestamp units \"{other}\" not supported"))),
        })
    };
    Ok(index(to)? - index(from)?)
}

fn part(unit: &str, at: i64) -> SqlResult<i64> {
    let c = civil(at);
    let days = at.div_euclid(MICROS_PER_DAY);
    Ok(match unit {
        "millennium" => (c.year - 1) / 1_000 + 1,
        "century" => (c.year - 1) / 100 + 1,
        "decade" => c.year / 10,
        "epoch" => at.div_euclid(MICROS_PER_SECOND),
        "year" => c.year,
        "quarter" => (c.month + 2) / 3,
        "month" => c.month,
        "week" => iso_week(days),
        "day" => c.day,
        "dow" => (days + 4).rem_euclid(7),
        "doy" => days - days_from_civil(civil_from_days(days).0, 1, 1) + 1,
        "hour" => c.hour,
        "minute" => c.minute,
        "second" => c.second,
        "millisecond" => c.micros / 1_000,
        "microsecond" => c.micros,
        other => return Err(SqlError::new(format!("timestamp units \"{other}\" not supported"))),
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::values::timestamp::{format_timestamp, parse_timestamp};
    use super::*;

    fn at(text: &str) -> i64 {
        parse_timestamp(text).unwrap()
    }

    #[test]
    fn truncating_goes_to_the_start_of_the_part() {
        let shown = |unit| format_timestamp(truncate(unit, at("2026-11-19 14:35:07.5")).unwrap());
        assert_eq!(shown("hour"), "2026-11-19 14:00:00");
        assert_eq!(shown("week"), "2026-11-16 00:00:00");
        assert_eq!(shown("quarter"), "2026-10-01 00:00:00");
        assert_eq!(shown("century"), "2001-01-01 00:00:00");
        assert!(truncate("dow", 0).is_err());
    }

    #[test]
    fn differences_count_boundaries() {
        assert_eq!(difference("year", at("2025-12-31"), at("2026-01-01")), Ok(1));
        assert_eq!(difference("week", at("2026-11-14"), at("2026-11-15")), Ok(1));
        assert_eq!(difference("hour", at("2026-01-01 10:59:59"), at("2026-01-01 11:00:00")), Ok(1));
        assert_eq!(difference("day", at("2026-03-01"), at("2026-02-28")), Ok(-1));
    }

    #[test]
    fn parts_have_many_spellings_and_one_name() {
        assert_eq!(part_name("Mons"), Ok("month"));
        assert_eq!(part(part_name("weekday").unwrap(), at("2026-11-22")), Ok(0));
        assert_eq!(part("doy", at("2024-12-31")), Ok(366));
        assert!(part_name("fortnight").is_err());
    }
}
