//! Folders that a listing leaves aside because of the dates in their names. Only a date tells: what has none is listed.

use super::dates::date_in;
use time::{Date, Month};

/// Folders without a whole date that are looked into one by one, with a request each; after that what is left is listed
/// as it comes.
pub(super) const LOOKS_MAX: usize = 1_000;

/// What becomes of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Listed with everything below it.
    Whole,
    /// The folders in it tell more.
    Within,
    /// Not listed.
    Aside,
}

impl Choice {
    /// Aside is what says in its name that it is of an earlier day than this.
    pub(super) fn of(folder: &str, from: Date) -> Self {
        let Some((year, month, day, _)) = date_in(folder) else { return Self::Within };
        let first = (from.year(), u8::from(from.month()), from.day());
        let year = i32::from(year);
        match (month, day) {
            (0, _) if year < first.0 => Self::Aside,
            (month, 0) if month > 0 && (year, month) < (first.0, first.1) => Self::Aside,
            (0, _) | (_, 0) => Self::Within,
            (month, day) if (year, month, day) < first => Self::Aside,
            // What is no day of the calendar is no date.
            (month, day) => match Month::try_from(month).and_then(|month| Date::from_calendar_date(year, month, day)) {
                Ok(_) => Self::Whole,
                Err(_) => Self::Within,
            },
        }
    }
}

/// Whether a listing from this day on would leave the object aside.
pub(crate) fn is_aside(key: &str, from: Date) -> bool {
    let folders = key.rsplit_once('/').map_or("", |(folders, _)| folders);
    let mut ends = folders.match_indices('/').map(|(at, _)| at + 1).chain([folders.len()]);
    ends.any(|end| Choice::of(&folders[..end], from) == Choice::Aside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    #[test]
    fn a_folder_is_left_aside_only_for_a_date_that_is_over() {
        let from = date!(2025 - 06 - 10);
        for (folder, choice) in [
            ("logs/", Choice::Within),
            ("logs/2024/", Choice::Aside),
            ("logs/2025/", Choice::Within),
            ("logs/2025/05/", Choice::Aside),
            ("logs/2025/06/", Choice::Within),
            ("logs/2025/06/09/", Choice::Aside),
            ("logs/2025/06/10/", Choice::Whole),
            ("logs/2025/06/10/07/", Choice::Whole),
            ("dt=2025-06-09/", Choice::Aside),
            ("dt=20250611/", Choice::Whole),
            ("2025/06/31/", Choice::Within),
            ("2026/01/", Choice::Within),
        ] {
            assert_eq!(Choice::of(folder, from), choice, "{folder}");
        }
        for (key, aside) in [
            ("2025-06-01.json", false),
            ("a/2025-06-01.json", false),
            ("2025/06/01/x", true),
            ("2025/06/01/2025/07/01/x", true),
            ("2024/x", true),
            ("x", false),
        ] {
            assert_eq!(is_aside(key, from), aside, "{key}");
        }
    }
}
