//! DATE as days and TIMESTAMP(TZ) as microseconds since 1970-01-01, UTC; reading and writing them as Redshift does.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::redshift::error::{SqlError, SqlResult};

pub(crate) const MICROS_PER_SECOND: i64 = 1_000_000;
pub(crate) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    pub(crate) micros: i64,
}

pub(crate) fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Days since 1970-01-01 of a proleptic Gregorian date.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

pub(crate) fn civil(micros: i64) -> Civil {
    let days = micros.div_euclid(MICROS_PER_DAY);
    let in_day = micros.rem_euclid(MICROS_PER_DAY);
    let (year, month, day) = civil_from_days(days);
    let seconds = in_day / MICROS_PER_SECOND;
    Civil {
        year,
        month,
        day,
        hour: seconds / 3_600,
        minute: seconds / 60 % 60,
        second: seconds % 60,
        micros: in_day % MICROS_PER_SECOND,
    }
}

pub(crate) fn micros(civil: Civil) -> i64 {
    days_from_civil(civil.year, civil.month, civil.day) * MICROS_PER_DAY
        + ((civil.hour * 60 + civil.minute) * 60 + civil.second) * MICROS_PER_SECOND
        + civil.micros
}

/// Reads what DATEFORMAT / TIMEFORMAT 'auto' and a cast read (Developer Guide: `automatic-recognition`): ISO 8601
/// with `T` or a space, `YYYYMMDD [HHMISS]`, `/` or `.` between year, month and day, a fraction of at most six
/// digits, and an offset. Returns the wall clock time and the offset. The guide's other spellings are refused.
pub(crate) fn parse(text: &str) -> Option<(i64, Option<i64>)> {
    let mut rest = text.trim_matches(' ');
    let (year, month, day) = take_date(&mut rest)?;
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    let midnight = days_from_civil(year, month, day) * MICROS_PER_DAY;
    if rest.is_empty() {
        return Some((midnight, None));
    }
    rest = rest.strip_prefix(['T', 't', ' '])?.trim_start_matches(' ');
    let time = take_time(&mut rest)?;
    let offset = take_offset(rest.trim_start_matches(' '))?;
    Some((midnight + time, offset))
}

/// TIMESTAMP: a zone in the text is ignored, as in `PostgreSQL`, whose input routine Redshift has.
pub(crate) fn parse_timestamp(text: &str) -> Option<i64> {
    parse(text).map(|(local, _)| local)
}

pub(crate) fn parse_timestamp_tz(text: &str) -> Option<i64> {
    parse(text).map(|(local, offset)| local - offset.unwrap_or(0))
}

/// DATE: a time in the text is cut off.
pub(crate) fn parse_date(text: &str) -> Option<i64> {
    parse(text).map(|(local, _)| local.div_euclid(MICROS_PER_DAY))
}

fn take_digits(rest: &mut &str, least: usize, most: usize) -> Option<i64> {
    let count = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if count < least {
        return None;
    }
    let (digits, after) = rest.split_at(count);
    *rest = after;
    digits.parse().ok()
}

fn take_date(rest: &mut &str) -> Option<(i64, i64, i64)> {
    let year = take_digits(rest, 4, 4)?;
    match rest.bytes().next()? {
        separator @ (b'-' | b'/' | b'.') => {
            *rest = &rest[1..];
            let month = take_digits(rest, 1, 2)?;
            *rest = rest.strip_prefix(char::from(separator))?;
            Some((year, month, take_digits(rest, 1, 2)?))
        }
        b'0'..=b'9' => Some((year, take_digits(rest, 2, 2)?, take_digits(rest, 2, 2)?)),
        _ => None,
    }
}

fn take_time(rest: &mut &str) -> Option<i64> {
    let hour = take_digits(rest, 1, 2)?;
    let compact = rest.bytes().next().is_some_and(|b| b.is_ascii_digit());
    let mut field = |required: bool| -> Option<i64> {
        if compact {
            return take_digits(rest, 2, 2);
        }
        match rest.strip_prefix(':') {
            Some(after) => {
                *rest = after;
                take_digits(rest, 2, 2)
            }
            None if required => None,
            None => Some(0),
        }
    };
    let minute = field(true)?;
    let second = field(false)?;
    let mut fraction = 0;
    if let Some(after) = rest.strip_prefix('.') {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        // Finer than a microsecond is rejected, not rounded.
        if !(1..=6).contains(&digits) {
            return None;
        }
        fraction = after[..digits].parse::<i64>().ok()? * 10_i64.pow(6 - digits as u32);
        *rest = &after[digits..];
    }
    let in_range = (hour < 24 && minute < 60 && second < 60) || (hour == 24 && minute + second + fraction == 0);
    in_range.then_some(((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + fraction)
}

fn take_offset(text: &str) -> Option<Option<i64>> {
    if text.is_empty() {
        return Some(None);
    }
    if ["z", "utc", "gmt"].iter().any(|name| text.eq_ignore_ascii_case(name)) {
        return Some(Some(0));
    }
    let (sign, mut rest) = match text.as_bytes()[0] {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let hours = take_digits(&mut rest, 1, 2)?;
    rest = rest.strip_prefix(':').unwrap_or(rest);
    let minutes = if rest.is_empty() { 0 } else { take_digits(&mut rest, 2, 2)? };
    let in_range = rest.is_empty() && hours <= 15 && minutes < 60;
    in_range.then_some(Some(sign * (hours * 60 + minutes) * 60 * MICROS_PER_SECOND))
}

pub(crate) fn format_date(days: i64) -> String {
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `YYYY-MM-DD HH:MI:SS[.ffffff]`, trailing zeros of the fraction left out.
pub(crate) fn format_timestamp(micros: i64) -> String {
    let c = civil(micros);
    let mut text = format!("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", c.year, c.month, c.day, c.hour, c.minute, c.second);
    if c.micros != 0 {
        let fraction = format!("{:06}", c.micros);
        text.push('.');
        text.push_str(fraction.trim_end_matches('0'));
    }
    text
}

pub(crate) fn format_timestamp_tz(micros: i64) -> String {
    format!("{}+00", format_timestamp(micros))
}

/// Moves by whole months first, then by an exact duration; a day that the new month lacks becomes its last one.
pub(crate) fn shift(at: i64, months: i64, duration: i64) -> SqlResult<i64> {
    let out_of_range = || SqlError::new("timestamp out of range");
    let mut c = civil(at);
    let month = c.year.checked_mul(12).and_then(|m| m.checked_add(c.month - 1 + months)).ok_or_else(out_of_range)?;
    c.year = month.div_euclid(12);
    c.month = month.rem_euclid(12) + 1;
    if !(1..=9999).contains(&c.year) {
        return Err(out_of_range());
    }
    c.day = c.day.min(days_in_month(c.year, c.month));
    let shifted = micros(c).checked_add(duration).ok_or_else(out_of_range)?;
    if (1..=9999).contains(&civil(shifted).year) { Ok(shifted) } else { Err(out_of_range()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_dates_and_days_are_inverse() {
        for days in (-800_000..3_000_000).step_by(997) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
        assert_eq!(civil_from_days(0), (1970, 1, 1));
        assert_eq!(civil_from_days(19_782), (2024, 2, 29));
    }

    #[test]
    fn iso_8601_is_read_with_offset_and_fraction() {
        let shown = |text: &str| parse_timestamp_tz(text).map(format_timestamp_tz);
        assert_eq!(shown("2019-02-11T05:09:12.195Z").as_deref(), Some("2019-02-11 05:09:12.195+00"));
        assert_eq!(shown("2019-02-11 05:09:12+02:30").as_deref(), Some("2019-02-11 02:39:12+00"));
        assert_eq!(shown("2019-02-11T05:09:12-0800").as_deref(), Some("2019-02-11 13:09:12+00"));
        assert_eq!(shown("19960108 040809").as_deref(), Some("1996-01-08 04:08:09+00"));
        assert_eq!(shown("2019/02/11").as_deref(), Some("2019-02-11 00:00:00+00"));
    }

    #[test]
    fn wrong_dates_and_too_fine_fractions_are_rejected() {
        for wrong in [
            "2019-02-30",
            "2019-13-01",
            "2019-02-11T25:00:00",
            "2019-02-11T05:09:12.1234567Z",
            "1549861752",
            "",
            "2019-02-11T05:09:12X",
            "12 May 2019",
            "2019-02-11T",
            "0000-01-01",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_timestamp_without_zone_ignores_the_offset_in_the_text() {
        assert_eq!(parse_timestamp("2019-02-11T05:00:00+05:00"), parse_timestamp("2019-02-11 05:00:00"));
    }

    #[test]
    fn shifting_by_months_stays_in_the_month() {
        let at = parse_timestamp("2024-01-31 12:00:00").unwrap();
        assert_eq!(format_timestamp(shift(at, 1, 0).unwrap()), "2024-02-29 12:00:00");
        assert_eq!(format_timestamp(shift(at, -12, MICROS_PER_DAY).unwrap()), "2023-02-01 12:00:00");
        assert!(shift(at, 12 * 9_000, 0).is_err());
    }
}
