//! `TO_CHAR` of a point in time: the datetime format strings of the Developer Guide (`r_FORMAT_strings`) that the
//! sandbox knows. An unknown letter is an error, so a pattern is never half understood.

use super::timestamp::{civil, days_from_civil};
use crate::redshift::error::{SqlError, SqlResult};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Longest first, so that `MONTH` is not read as `MON` and `TH`.
const PATTERNS: [&str; 33] = [
    "MONTH", "Month", "month", "YYYY", "HH24", "HH12", "MON", "Mon", "mon", "DAY", "Day", "day", "DDD", "IW", "DY",
    "Dy", "dy", "YY", "MM", "DD", "HH", "MI", "SS", "MS", "US", "AM", "PM", "am", "pm", "CC", "D", "Q", "J",
];

pub(crate) fn to_char(micros: i64, pattern: &str) -> SqlResult<String> {
    let mut text = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"').unwrap_or(quoted.len());
            text.push_str(&quoted[..end]);
            rest = quoted.get(end + 1..).unwrap_or("");
            continue;
        }
        let token = PATTERNS.iter().copied().chain(LOWER).find(|token| rest.starts_with(token));
        match token {
            Some(token) => {
                text.push_str(&part(micros, token));
                rest = &rest[token.len()..];
            }
            None if first.is_alphabetic() => {
                return Err(SqlError::unsupported(
                    format!("the TO_CHAR pattern at '{rest}'"),
                    "use YYYY YY MM MON MONTH DD DDD D DY DAY HH24 HH12 MI SS MS US AM Q IW CC J or quoted text",
                ));
            }
            None => {
                text.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    Ok(text)
}

/// Numbers have no case, so these mean what their capitals mean.
const LOWER: [&str; 14] = ["yyyy", "hh24", "hh12", "ddd", "yy", "mm", "dd", "hh", "mi", "ss", "ms", "us", "iw", "q"];

fn part(micros: i64, token: &str) -> String {
    let c = civil(micros);
    let days = days_from_civil(c.year, c.month, c.day);
    let weekday = (days + 4).rem_euclid(7);
    let month_name = MONTHS[(c.month - 1) as usize];
    let day_name = DAYS[weekday as usize];
    let hour12 = if c.hour % 12 == 0 { 12 } else { c.hour % 12 };
    let half = if c.hour < 12 { "am" } else { "pm" };
    match token {
        // Names of months and days are blank-padded to nine characters.
        "MONTH" => format!("{:<9}", month_name.to_uppercase()),
        "Month" => format!("{month_name:<9}"),
        "month" => format!("{:<9}", month_name.to_lowercase()),
        "DAY" => format!("{:<9}", day_name.to_uppercase()),
        "Day" => format!("{day_name:<9}"),
        "day" => format!("{:<9}", day_name.to_lowercase()),
        "MON" => month_name[..3].to_uppercase(),
        "Mon" => month_name[..3].to_owned(),
        "mon" => month_name[..3].to_lowercase(),
        "DY" => day_name[..3].to_uppercase(),
        "Dy" => day_name[..3].to_owned(),
        "dy" => day_name[..3].to_lowercase(),
        "AM" | "PM" => half.to_uppercase(),
        "am" | "pm" => half.to_owned(),
        other => match other.to_ascii_uppercase().as_str() {
            "YYYY" => format!("{:04}", c.year),
            "YY" => format!("{:02}", c.year % 100),
            "CC" => format!("{:02}", (c.year + 99) / 100),
            "MM" => format!("{:02}", c.month),
            "DD" => format!("{:02}", c.day),
            "DDD" => format!("{:03}", days - days_from_civil(c.year, 1, 1) + 1),
            "D" => (weekday + 1).to_string(),
            "HH24" => format!("{:02}", c.hour),
            "HH" | "HH12" => format!("{hour12:02}"),
            "MI" => format!("{:02}", c.minute),
            "SS" => format!("{:02}", c.second),
            "MS" => format!("{:03}", c.micros / 1_000),
            "US" => format!("{:06}", c.micros),
            "Q" => ((c.month + 2) / 3).to_string(),
            "IW" => format!("{:02}", iso_week(days)),
            _ => (days + 2_440_588).to_string(),
        },
    }
}

/// Week of the year that holds its Thursday (ISO 8601), 1 to 53.
pub(crate) fn iso_week(days: i64) -> i64 {
    let thursday = days - (days + 3).rem_euclid(7) + 3;
    let (year, _, _) = super::timestamp::civil_from_days(thursday);
    (thursday - days_from_civil(year, 1, 1)) / 7 + 1
}

#[cfg(test)]
mod tests {
    use super::super::timestamp::parse_timestamp;
    use super::*;

    #[test]
    fn common_patterns_are_written_and_unknown_ones_refused() {
        let at = parse_timestamp("2026-11-05 14:07:09.012345").unwrap();
        assert_eq!(to_char(at, "YYYY-MM-DD HH24:MI:SS.US").unwrap(), "2026-11-05 14:07:09.012345");
        assert_eq!(to_char(at, "Dy, DD Mon YYYY HH12:MI AM").unwrap(), "Thu, 05 Nov 2026 02:07 PM");
        assert_eq!(to_char(at, "yyyymmdd\"T\"hh24").unwrap(), "20261105T14");
        assert_eq!(to_char(at, "Q IW DDD").unwrap(), "4 45 309");
        assert!(to_char(at, "FMDD").is_err());
    }

    #[test]
    fn iso_weeks_belong_to_the_year_of_their_thursday() {
        let week = |text| iso_week(super::super::timestamp::parse_date(text).unwrap());
        assert_eq!(week("2021-01-03"), 53);
        assert_eq!(week("2021-01-04"), 1);
        assert_eq!(week("2024-12-30"), 1);
    }
}
