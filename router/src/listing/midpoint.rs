//! Where to divide a range of keys of which only the beginning is known. Any point between both ends is right; the nearer
//! to the middle, the sooner all listers have something to do.

use std::collections::BTreeSet;

/// A text after `lo` and before `hi` (`None`: no end), in the order of UTF-8 bytes, or `None` where there is none worth
/// trying. `seen`: characters that keys of the range are made of.
pub(super) fn between(lo: &str, hi: Option<&str>, seen: &BTreeSet<char>) -> Option<String> {
    let lo: Vec<char> = lo.chars().collect();
    let Some(hi) = hi else { return upper_half(&lo, 0, seen) };
    let hi: Vec<char> = hi.chars().collect();
    let shared = lo.iter().zip(&hi).take_while(|(a, b)| a == b).count();
    let end = *hi.get(shared)?;
    let amid: Vec<char> = match lo.get(shared) {
        Some(start) => seen.iter().copied().filter(|c| start < c && *c < end).collect(),
        None => seen.iter().copied().filter(|c| *c < end).collect(),
    };
    if let Some(middle) = amid.get(amid.len() / 2) {
        return Some(text(&lo[..shared], *middle));
    }
    let below = if lo.len() > shared { upper_half(&lo, shared + 1, seen) } else { None };
    // All that is left begins as `hi` does.
    below.or_else(|| (hi.len() > shared + 1).then(|| text(&hi[..shared], end)))
}

/// Keeps as many characters of `lo` as it must, but at least `from`, and then goes half of the way up.
fn upper_half(lo: &[char], from: usize, seen: &BTreeSet<char>) -> Option<String> {
    (from..lo.len()).find_map(|at| {
        let above: Vec<char> = seen.iter().copied().filter(|c| *c > lo[at]).collect();
        above.get(above.len() / 2).map(|middle| text(&lo[..at], *middle))
    })
}

fn text(start: &[char], last: char) -> String {
    start.iter().copied().chain([last]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seen(text: &str) -> BTreeSet<char> {
        text.chars().collect()
    }

    #[test]
    fn digits_are_halved_as_numbers_are() {
        let hex = seen("0123456789abcdef");
        assert_eq!(between("0f3a", None, &hex).as_deref(), Some("8"));
        assert_eq!(between("0f3a", Some("8"), &hex).as_deref(), Some("4"));
        assert_eq!(between("7fff", Some("8"), &hex), None, "nothing of what was seen lies between");
        assert_eq!(between("a", Some("abc"), &seen("abc")).as_deref(), Some("aa"));
        assert_eq!(between("ab", Some("abb"), &seen("b")), None);
    }

    #[test]
    fn a_counter_behind_a_name_is_found_in_a_few_steps() {
        let (lo, end) = ("part-0001000", "part-0999999");
        let (seen, mut hi, mut steps) = (seen("part-0123456789"), None, 0);
        loop {
            steps += 1;
            let middle = between(lo, hi.as_deref(), &seen).expect("there is something between");
            if middle.as_str() < end {
                break assert!(steps < 20, "{steps} steps to {middle}");
            }
            hi = Some(middle);
        }
    }

    proptest! {
        #[test]
        fn the_point_lies_strictly_between(a in "[a-d/é𝄞]{0,5}", b in "[a-d/é𝄞]{0,5}", characters in "[a-f/é𝄞\u{10ffff}]{0,6}") {
            let (lo, hi) = if a < b { (a, b) } else { (b, a) };
            let seen = seen(&characters);
            if let Some(middle) = between(&lo, None, &seen) {
                prop_assert!(lo < middle);
            }
            if lo < hi && let Some(middle) = between(&lo, Some(&hi), &seen) {
                prop_assert!(lo < middle && middle < hi, "{lo:?} {middle:?} {hi:?}");
            }
        }
    }
}
