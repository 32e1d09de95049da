//! JSON numbers: grammar, and which column type would keep them unchanged.

use super::{Fault, STRING_MAX_BYTES};
use common::quarantine::Reason;
use common::sketch::Types;

/// Digits that an f64 always gives back.
const DIGITS_ALWAYS_KEPT: usize = 15;

/// Scans the number at `at`. Returns its type and where it ends.
pub(super) fn scan(record: &[u8], at: usize) -> Result<(Types, usize), Fault> {
    let digits = |from: usize| record[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let whole_at = at + usize::from(record[at] == b'-');
    let whole = digits(whole_at);
    if whole == 0 {
        return Err(Fault::grammar(whole_at, "a number without digits"));
    }
    if whole > 1 && record[whole_at] == b'0' {
        return Err(Fault::grammar(whole_at, "a number with a leading zero"));
    }
    let mut end = whole_at + whole;
    let mut is_integer = true;
    if record.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        if fraction == 0 {
            return Err(Fault::grammar(end, "a decimal point without digits behind it"));
        }
        is_integer = false;
        end += 1 + fraction;
    }
    if let Some(b'e' | b'E') = record.get(end) {
        let sign = usize::from(matches!(record.get(end + 1), Some(b'+' | b'-')));
        let exponent = record.get(end + 1 + sign..).map_or(0, |_| digits(end + 1 + sign));
        if exponent == 0 {
            return Err(Fault::grammar(end, "an exponent without digits"));
        }
        is_integer = false;
        end += 1 + sign + exponent;
    }
    let text = &record[at..end];
    // A number that no numeric type keeps is loaded as its text, and no text is longer than a string may be.
    if text.len() > STRING_MAX_BYTES {
        return Err(Fault { reason: Reason::StringTooLong, at, what: "a number of more than 65,535 characters" });
    }
    Ok((if is_integer { integer(text, whole) } else { decimal(text) }, end))
}

fn integer(text: &[u8], digits: usize) -> Types {
    if digits <= DIGITS_ALWAYS_KEPT {
        return Types::INTEGER;
    }
    match std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok()) {
        Some(n) if n.unsigned_abs() <= 1 << 53 => Types::INTEGER,
        Some(_) => Types::BIGINT,
        None => Types::HUGE_INTEGER,
    }
}

fn decimal(text: &[u8]) -> Types {
    let text = std::str::from_utf8(text).expect("digits, sign, point and exponent are ASCII");
    let written = Normal::of(text);
    // Within this range and length an f64 never loses a digit.
    let safe = written.digits.len() <= DIGITS_ALWAYS_KEPT && (-290..=290).contains(&written.exponent);
    if safe || written.digits.is_empty() {
        return Types::DECIMAL;
    }
    // Redshift's DOUBLE PRECISION holds no subnormal numbers for certain: their text does.
    let kept = text.parse::<f64>().ok().filter(|n| n.is_normal()).map(|n| Normal::of(&format!("{n:e}")));
    if kept.is_some_and(|kept| kept == written) { Types::DECIMAL } else { Types::LONG_DECIMAL }
}

/// A decimal number as its significant digits and the power of ten of the last one.
#[derive(PartialEq, Eq)]
struct Normal {
    digits: Vec<u8>,
    exponent: i64,
}

impl Normal {
    fn of(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        // Beyond any f64: the value only has to be out of the safe range.
        let mut exponent =
            exponent.parse::<i64>().unwrap_or(if exponent.starts_with('-') { -1 << 40 } else { 1 << 40 });
        let (whole, fraction) =
            mantissa.trim_start_matches('-').split_once('.').unwrap_or((mantissa.trim_start_matches('-'), ""));
        exponent -= fraction.len() as i64;
        let digits = whole.bytes().chain(fraction.bytes()).skip_while(|b| *b == b'0').collect::<Vec<_>>();
        let kept = digits.iter().rposition(|b| *b != b'0').map_or(0, |last| last + 1);
        exponent += (digits.len() - kept) as i64;
        Self { digits: digits[..kept].to_vec(), exponent }
    }
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
            assert_eq!(scan(text.as_bytes(), 0).expect(text), (types, text.len()), "{text}");
        }
    }

    #[test]
    fn a_number_too_long_for_any_column_is_refused() {
        let digits = |n: usize| "7".repeat(n);
        assert_eq!(scan(digits(65_535).as_bytes(), 0), Ok((Types::HUGE_INTEGER, 65_535)));
        assert_eq!(scan(digits(65_536).as_bytes(), 0).map_err(|f| f.reason), Err(Reason::StringTooLong));
    }

    #[test]
    fn numbers_that_json_does_not_know_are_refused() {
        for text in ["-", "01", "1.", "1e", "1e+", "-x", "00"] {
            assert!(scan(text.as_bytes(), 0).is_err(), "{text}");
        }
    }
}
