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
    if is_integer && whole <= DIGITS_ALWAYS_KEPT {
        return Ok((Types::INTEGER, end));
    }
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
    let written = match Normal::of(text) {
        // Zero, or within what an f64 never loses a digit of.
        Some(n) if n.digits <= DIGITS_ALWAYS_KEPT && (n.mantissa == 0 || (-290..=290).contains(&n.exponent)) => {
            return Types::DECIMAL;
        }
        Some(written) => written,
        None => return Types::LONG_DECIMAL,
    };
    let text = std::str::from_utf8(text).expect("digits, sign, point and exponent are ASCII");
    // Redshift's DOUBLE PRECISION holds no subnormal numbers for certain: their text does.
    let kept = text.parse::<f64>().ok().filter(|n| n.is_normal());
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
