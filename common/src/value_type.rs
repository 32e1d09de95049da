//! Which type a value's text is: what every word in a sketch means, for whoever writes sketches and whoever reads records
//! by them.
//!
//! The texts are valid JSON: nothing here checks grammar.

use crate::sketch::Types;

/// Digits that an f64 always gives back.
pub const DIGITS_ALWAYS_KEPT: usize = 15;

/// The type of a number's text.
pub fn of_number(text: &[u8]) -> Types {
    match text.iter().any(|b| matches!(b, b'.' | b'e' | b'E')) {
        true => of_decimal(text),
        false => of_integer(text),
    }
}

/// The type of an integer's text.
pub fn of_integer(text: &[u8]) -> Types {
    if text.len() <= DIGITS_ALWAYS_KEPT {
        return Types::INTEGER;
    }
    match std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok()) {
        Some(n) if n.unsigned_abs() <= 1 << 53 => Types::INTEGER,
        Some(_) => Types::BIGINT,
        None => Types::HUGE_INTEGER,
    }
}

/// The type of a number's text that has a fraction or an exponent.
pub fn of_decimal(text: &[u8]) -> Types {
    let written = match Normal::of(text) {
        // Zero, or within what an f64 never loses a digit of.
        Some(n) if n.digits <= DIGITS_ALWAYS_KEPT && (n.mantissa == 0 || (-290..=290).contains(&n.exponent)) => {
            return Types::DECIMAL;
        }
        Some(written) => written,
        None => return Types::LONG_DECIMAL,
    };
    // Redshift's DOUBLE PRECISION holds no subnormal numbers for certain: their text does.
    let kept = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok()).filter(|n| n.is_normal());
    let kept = kept.and_then(|n| Normal::of(zmij::Buffer::new().format_finite(n).as_bytes()));
    let is_kept = kept.is_some_and(|kept| (kept.mantissa, kept.exponent) == (written.mantissa, written.exponent));
    if is_kept { Types::DECIMAL } else { Types::LONG_DECIMAL }
}

/// A decimal number without its sign: `mantissa` × 10^`exponent`, the mantissa without zeros at its end.
struct Normal {
    mantissa: u64,
    digits: usize,
    exponent: i64,
}

/// Digits that a u64 always holds; the shortest text of an f64 has 17 at most.
const DIGITS_HELD: usize = 19;

impl Normal {
    /// `None` where there are more digits than any f64 keeps.
    fn of(text: &[u8]) -> Option<Self> {
        let mut n = Self { mantissa: 0, digits: 0, exponent: 0 };
        // Zeros that count only if another digit follows.
        let mut zeros = 0;
        let mut in_fraction = false;
        for (at, b) in text.iter().enumerate() {
            match b {
                b'.' => in_fraction = true,
                b'e' | b'E' => {
                    n.exponent += written_exponent(&text[at + 1..]);
                    break;
                }
                b'0'..=b'9' => {
                    n.exponent -= i64::from(in_fraction);
                    if *b == b'0' {
                        zeros += usize::from(n.digits > 0);
                        continue;
                    }
                    n.digits += zeros + 1;
                    if n.digits > DIGITS_HELD {
                        return None;
                    }
                    n.mantissa = n.mantissa * 10u64.pow(zeros as u32 + 1) + u64::from(b - b'0');
                    zeros = 0;
                }
                _ => {}
            }
        }
        n.exponent += zeros as i64;
        Some(n)
    }
}

/// Beyond any f64 the value does not matter, only that it is out of range.
fn written_exponent(text: &[u8]) -> i64 {
    let parsed = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    parsed.unwrap_or(if text.first() == Some(&b'-') { -1 << 40 } else { 1 << 40 })
}

/// Whether a string, as it is written between its quotes, is an RFC 3339 timestamp that COPY's TIMEFORMAT 'auto' takes
/// without losing anything.
///
/// `YYYY-MM-DDThh:mm:ss[.f{1,6}](Z|±hh:mm)` with a valid calendar date; years from 0001, no leap second.
/// More than six fractional digits are refused by COPY for TIMESTAMPTZ (public connector sources).
#[inline]
pub fn is_timestamp(text: &[u8]) -> bool {
    if !(20..=32).contains(&text.len()) || text[4] != b'-' || text[10] != b'T' {
        return false;
    }
    is_valid(text).unwrap_or(false)
}

fn is_valid(text: &[u8]) -> Option<bool> {
    let two = |at: usize| -> Option<u32> {
        let (a, b) = (*text.get(at)?, *text.get(at + 1)?);
        (a.is_ascii_digit() && b.is_ascii_digit()).then(|| u32::from(a - b'0') * 10 + u32::from(b - b'0'))
    };
    let is = |at: usize, b: u8| text.get(at) == Some(&b);
    let year = two(0)? * 100 + two(2)?;
    let (month, day, hour, minute, second) = (two(5)?, two(8)?, two(11)?, two(14)?, two(17)?);
    let separated = is(7, b'-') && is(13, b':') && is(16, b':');
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return Some(false),
    };
    let in_range = year >= 1 && (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60;
    let mut at = 19;
    if is(at, b'.') {
        let digits = text[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        if !(1..=6).contains(&digits) {
            return Some(false);
        }
        at += 1 + digits;
    }
    let zone = match text.get(at)? {
        b'Z' => at + 1 == text.len(),
        b'+' | b'-' => is(at + 3, b':') && two(at + 1)? <= 14 && two(at + 4)? < 60 && at + 6 == text.len(),
        _ => false,
    };
    Some(separated && in_range && zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_apart_by_what_keeps_them_unchanged() {
        let cases = [
            ("0", Types::INTEGER),
            ("-7", Types::INTEGER),
            ("9007199254740992", Types::INTEGER),
            ("9007199254740993", Types::BIGINT),
            ("-9223372036854775808", Types::BIGINT),
            ("9223372036854775808", Types::HUGE_INTEGER),
            ("123456789012345678901234567890", Types::HUGE_INTEGER),
            ("0.1", Types::DECIMAL),
            ("-0.0", Types::DECIMAL),
            ("1.10", Types::DECIMAL),
            ("1e3", Types::DECIMAL),
            ("0.30000000000000004", Types::DECIMAL),
            ("0.30000000000000005", Types::LONG_DECIMAL),
            ("3.141592653589793238462643383279", Types::LONG_DECIMAL),
            ("1e400", Types::LONG_DECIMAL),
            ("1e-400", Types::LONG_DECIMAL),
            ("5e-324", Types::LONG_DECIMAL),
            ("2.2250738585072014e-308", Types::DECIMAL),
            ("1.7976931348623157e308", Types::DECIMAL),
        ];
        for (text, types) in cases {
            assert_eq!(of_number(text.as_bytes()), types, "{text}");
        }
    }

    #[test]
    fn only_what_a_timestamptz_keeps_is_a_timestamp() {
        for text in ["2025-06-01T09:00:00Z", "2024-02-29T23:59:59.123456+05:30", "0001-01-01T00:00:00-14:00"] {
            assert!(is_timestamp(text.as_bytes()), "{text}");
        }
        for text in [
            "2025-06-01 09:00:00Z",
            "2025-06-01T09:00:00",
            "2025-02-29T09:00:00Z",
            "2025-13-01T09:00:00Z",
            "2025-06-01T24:00:00Z",
            "2025-06-30T23:59:60Z",
            "2025-06-01T09:00:00.1234567Z",
            "2025-06-01T09:00:00.Z",
            "2025-06-01T09:00:00+0530",
            "2025-06-01T09:00:00Zx",
            "0000-01-01T00:00:00Z",
            "2025-06-01T09:00:00+15:00",
            "aaaa-aa-aaTaa:aa:aaZ",
            "2025-06-01T09:00:00.123456",
        ] {
            assert!(!is_timestamp(text.as_bytes()), "{text}");
        }
    }
}
