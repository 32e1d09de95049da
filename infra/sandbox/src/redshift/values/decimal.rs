//! DECIMAL(p, s) as a scaled 128-bit integer, and its stored form: 16 bytes, big-endian, sign bit flipped, so that
//! comparing the bytes compares the numbers. The scale is the column's, never the value's.

use crate::redshift::error::{SqlError, SqlResult};

const MAX_DIGITS: usize = 38;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// Away from zero at one half: INSERT, casts, ROUNDEC.
    HalfUp,
    /// COPY's default (Developer Guide: `copy-parameters-data-conversion`, ROUNDEC).
    Truncate,
}

pub(crate) fn encode(unscaled: i128) -> [u8; 16] {
    ((unscaled as u128) ^ (1 << 127)).to_be_bytes()
}

pub(crate) fn decode(stored: &[u8]) -> SqlResult<i128> {
    let bytes: [u8; 16] = stored.try_into().map_err(|_| SqlError::new("stored DECIMAL is damaged"))?;
    Ok((u128::from_be_bytes(bytes) ^ (1 << 127)) as i128)
}

/// `x'…'`: the literal that stands for it in the embedded database's SQL.
pub(crate) fn sql_literal(unscaled: i128) -> String {
    let mut literal = String::from("x'");
    for byte in encode(unscaled) {
        literal.push_str(&format!("{byte:02x}"));
    }
    literal.push('\'');
    literal
}

/// Reads `[+-]digits[.digits][e[+-]digits]`: all digits kept, as (unscaled, scale). `None`: not a number or longer
/// than any DECIMAL.
pub(crate) fn parse(text: &str) -> Option<(i128, i32)> {
    let text = text.trim_matches(' ');
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], rest[at + 1..].parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut unscaled: i128 = 0;
    let mut digits = 0;
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return None;
        }
        digits += usize::from(digits > 0 || byte != b'0');
        if digits > MAX_DIGITS {
            return None;
        }
        unscaled = unscaled * 10 + i128::from(byte - b'0');
    }
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    Some((if negative { -unscaled } else { unscaled }, scale))
}

/// The same number with another scale; `None` on overflow of 38 digits.
pub(crate) fn rescale(unscaled: i128, from: i32, to: i32, rounding: Rounding) -> Option<i128> {
    if unscaled == 0 {
        return Some(0);
    }
    if to >= from {
        return unscaled.checked_mul(power_of_ten(to - from)?);
    }
    let Some(divisor) = power_of_ten(from - to) else { return Some(0) };
    let quotient = unscaled / divisor;
    let remainder = (unscaled % divisor).abs();
    let up = rounding == Rounding::HalfUp && remainder >= divisor - remainder;
    Some(if up { quotient + unscaled.signum() } else { quotient })
}

/// Whether the number fits DECIMAL(precision, _) at its own scale.
pub(crate) fn fits(unscaled: i128, precision: u8) -> bool {
    power_of_ten(i32::from(precision)).is_none_or(|limit| unscaled.unsigned_abs() < limit.unsigned_abs())
}

pub(crate) fn power_of_ten(exponent: i32) -> Option<i128> {
    10_i128.checked_pow(u32::try_from(exponent).ok()?)
}

pub(crate) fn format(unscaled: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = unscaled.unsigned_abs().to_string();
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

pub(crate) fn to_f64(unscaled: i128, scale: u8) -> f64 {
    // Through text: dividing two rounded floats would round twice.
    format(unscaled, scale).parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_bytes_sort_as_the_numbers_do() {
        let numbers = [i128::MIN / 2, -10_i128.pow(37), -1, 0, 1, 255, 256, 10_i128.pow(37)];
        let stored: Vec<_> = numbers.iter().map(|n| encode(*n)).collect();
        assert!(stored.is_sorted());
        for number in numbers {
            assert_eq!(decode(&encode(number)), Ok(number));
        }
    }

    #[test]
    fn text_keeps_every_digit_and_refuses_what_is_no_number() {
        assert_eq!(parse("-12.50"), Some((-1250, 2)));
        assert_eq!(parse("1.5e3"), Some((15, -2)));
        assert_eq!(parse("0.000001"), Some((1, 6)));
        for wrong in ["", ".", "-", "1e", "1.2.3", "0x10", "NaN", "123456789012345678901234567890123456789"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn rescaling_rounds_half_away_from_zero_or_truncates() {
        assert_eq!(rescale(125, 2, 1, Rounding::HalfUp), Some(13));
        assert_eq!(rescale(-125, 2, 1, Rounding::HalfUp), Some(-13));
        assert_eq!(rescale(129, 2, 1, Rounding::Truncate), Some(12));
        assert_eq!(rescale(5, 0, 3, Rounding::HalfUp), Some(5000));
        assert_eq!(rescale(1, 0, 39, Rounding::HalfUp), None);
    }

    #[test]
    fn formatting_shows_the_whole_scale() {
        assert_eq!(format(-5, 2), "-0.05");
        assert_eq!(format(1250, 2), "12.50");
        assert_eq!(format(7, 0), "7");
    }
}
