//! RFC 3339 timestamps that COPY's TIMEFORMAT 'auto' takes without losing anything.

/// `YYYY-MM-DDThh:mm:ss[.f{1,6}](Z|±hh:mm)` with a valid calendar date; years from 0001, no leap second.
/// More than six fractional digits are refused by COPY for TIMESTAMPTZ (public connector sources).
pub(super) fn is_timestamp(text: &[u8]) -> bool {
    if !(20..=32).contains(&text.len()) || text[4] != b'-' || text[10] != b'T' {
        return false;
    }
    parse(text).unwrap_or(false)
}

fn parse(text: &[u8]) -> Option<bool> {
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
