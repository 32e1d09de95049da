//! Event types as they are kept: at full length up to a limit, so that memory and seals stay small.

use common::source::hex16;
use std::borrow::Cow;

/// Longest event type kept whole.
const KEPT_MAX_BYTES: usize = 256;

/// The type itself, or its beginning with `…` and 16 hex digits of its hash. A shortened form is longer than any type
/// that is kept whole, so the two never meet.
pub(super) fn bounded(event_type: &str) -> Cow<'_, str> {
    if event_type.len() <= KEPT_MAX_BYTES {
        return Cow::Borrowed(event_type);
    }
    let beginning = &event_type[..event_type.floor_char_boundary(KEPT_MAX_BYTES)];
    Cow::Owned(format!("{beginning}…{}", hex16(&[event_type.as_bytes()])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_type_is_kept_as_its_beginning_and_hash() {
        assert_eq!(bounded(&"x".repeat(256)), "x".repeat(256));
        let (a, b) = ("é".repeat(30_000), "é".repeat(30_001));
        let kept = bounded(&a).into_owned();
        assert!(kept.starts_with(&"é".repeat(128)) && kept.len() == 256 + 3 + 16, "{kept}");
        assert_eq!(bounded(&a), kept, "the same each time");
        assert_ne!(bounded(&b), kept);
    }

    #[test]
    fn no_type_can_pass_for_a_shortened_one() {
        // One byte short of the limit, because a character would be cut: still longer than what is kept whole.
        let shortest = bounded(&format!("x{}", "🛒".repeat(64))).into_owned();
        assert!(shortest.len() > KEPT_MAX_BYTES, "{}", shortest.len());
        assert_ne!(bounded(&shortest), shortest, "the form itself, sent as a type, is shortened again");
    }
}
