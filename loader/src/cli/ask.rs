//! What is asked of a person, and what people write.

use common::timestamp;
use std::io::{BufRead, IsTerminal, Write, stderr, stdin};
use time::OffsetDateTime;

/// Asks on a terminal; where nobody can answer, the command was meant.
pub(super) fn agreed(question: &str) -> Result<bool, String> {
    if !stdin().is_terminal() {
        return Ok(true);
    }
    let failed = |error: std::io::Error| format!("could not ask: {error}");
    let mut to = stderr();
    write!(to, "{question} [y/N] ").and_then(|()| to.flush()).map_err(failed)?;
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A date, or an RFC 3339 time.
pub(super) fn moment(text: &str) -> Result<OffsetDateTime, String> {
    let whole = if text.len() == "2025-06-01".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
    timestamp::parse(&whole)
        .map_err(|_| format!("{text:?} is neither a date (2025-06-01) nor a time (2025-06-01T09:00:00Z)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_date_is_its_first_moment() {
        assert_eq!(moment("2025-06-01"), Ok(datetime!(2025-06-01 00:00 UTC)));
        assert_eq!(moment("2025-06-01T02:00:00+02:00"), Ok(datetime!(2025-06-01 00:00 UTC)));
        assert!(moment("yesterday").is_err() && moment("2025-13-01").is_err());
    }
}
