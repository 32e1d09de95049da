//! Wall-clock time as the services store it: milliseconds since the epoch.

use std::time::{SystemTime, UNIX_EPOCH};

/// A clock set before 1970 reads as 0: better than a panic in a development tool.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

/// `2026-11-21T10:00:00.000Z`, the form S3 uses in its notifications.
pub(crate) fn iso_millis(ms: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_always_three_digits() {
        assert_eq!(iso_millis(1_732_183_200_007), "2024-11-21T10:00:00.007Z");
    }
}
