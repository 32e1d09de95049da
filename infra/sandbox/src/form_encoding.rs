//! The encoding S3 uses for keys in notifications and in listings with `encoding-type=url`.
//!
//! It is Java's `URLEncoder`, with `/` left alone: a space becomes `+`, so a literal `+` becomes `%2B`
//! (S3 user guide, `notification-content-structure`). Only encodes: nothing in the sandbox reads such keys back.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'*').remove(b'_').remove(b'/').remove(b' ');

pub(crate) fn form_encode(key: &str) -> String {
    // Every `+` still in the text after percent-encoding would be `%2B`, so only spaces are replaced.
    utf8_percent_encode(key, KEPT).to_string().replace(' ', "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_become_plus_and_slashes_stay() {
        assert_eq!(form_encode("logs/red flower.jpg"), "logs/red+flower.jpg");
    }

    #[test]
    fn plus_percent_tilde_and_utf8_are_percent_encoded() {
        assert_eq!(form_encode("a+b%c~d=ü*_-.x"), "a%2Bb%25c%7Ed%3D%C3%BC*_-.x");
    }
}
