//! JSON numbers: their grammar. Which column type would keep one unchanged is told in `common::value_type`.

use super::{Fault, STRING_MAX_BYTES};
use common::quarantine::Reason;
use common::sketch::Types;
use common::value_type::{DIGITS_ALWAYS_KEPT, of_decimal, of_integer};

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
    // Digits that may count; fewer do where zeros stand in front. Unknown with an exponent.
    let mut significant = whole;
    if record.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        if fraction == 0 {
            return Err(Fault::grammar(end, "a decimal point without digits behind it"));
        }
        is_integer = false;
        significant += fraction;
        end += 1 + fraction;
    }
    if let Some(b'e' | b'E') = record.get(end) {
        let sign = usize::from(matches!(record.get(end + 1), Some(b'+' | b'-')));
        let exponent = record.get(end + 1 + sign..).map_or(0, |_| digits(end + 1 + sign));
        if exponent == 0 {
            return Err(Fault::grammar(end, "an exponent without digits"));
        }
        is_integer = false;
        significant = usize::MAX;
        end += 1 + sign + exponent;
    }
    if significant <= DIGITS_ALWAYS_KEPT {
        return Ok((if is_integer { Types::INTEGER } else { Types::DECIMAL }, end));
    }
    let text = &record[at..end];
    // A number that no numeric type keeps is loaded as its text, and no text is longer than a string may be.
    if text.len() > STRING_MAX_BYTES {
        return Err(Fault { reason: Reason::StringTooLong, at, what: "a number of more than 65,535 characters" });
    }
    Ok((if is_integer { of_integer(text) } else { of_decimal(text) }, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_ends_where_its_grammar_says_and_has_its_type() {
        let cases = [
            ("0", Types::INTEGER),
            ("-7", Types::INTEGER),
            ("9007199254740992", Types::INTEGER),
            ("9007199254740993", Types::BIGINT),
            ("9223372036854775808", Types::HUGE_INTEGER),
            ("1.10", Types::DECIMAL),
            ("1e3", Types::DECIMAL),
            ("1E-3", Types::DECIMAL),
            ("0.30000000000000005", Types::LONG_DECIMAL),
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
