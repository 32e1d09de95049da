//! Dates that people write into keys. They order work and decide nothing: what counts is an object's own time.

/// The date that a key or folder seems to be of, as far as it goes: year, month, day, hour.
pub(crate) type KeyDate = (u16, u8, u8, u8);

/// Finds `2025/06/01/09`, `2025-06-01`, `dt=20250601`, `year=2025/month=6/day=1` and the like: the first number that can
/// be a year, and what follows it. What a folder does not say is 0, so that it comes before what is in it.
pub(crate) fn date_in(key: &str) -> Option<KeyDate> {
    let numbers = numbers(key);
    numbers.iter().enumerate().find_map(|(at, number)| whole(number).or_else(|| pieces(&numbers[at..])))
}

/// The runs of digits.
fn numbers(key: &str) -> Vec<&str> {
    key.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty()).collect()
}

/// `20250601`, with what may follow at once.
fn whole(number: &str) -> Option<KeyDate> {
    if number.len() < 8 {
        return None;
    }
    let (year, month, day) = (year(&number[..4])?, within(&number[4..6], 1..=12)?, within(&number[6..8], 1..=31)?);
    let hour = number.get(8..10).and_then(|hour| within(hour, 0..=23)).unwrap_or(0);
    Some((year, month, day, hour))
}

fn pieces(numbers: &[&str]) -> Option<KeyDate> {
    let (first, rest) = numbers.split_first()?;
    let year = year(first)?;
    let mut rest = rest.iter();
    let mut next = |range| rest.next().and_then(|number| within(number, range));
    let Some(month) = next(1..=12) else { return Some((year, 0, 0, 0)) };
    let Some(day) = next(1..=31) else { return Some((year, month, 0, 0)) };
    Some((year, month, day, next(0..=23).unwrap_or(0)))
}

fn year(text: &str) -> Option<u16> {
    let year = (text.len() == 4).then(|| text.parse().ok())??;
    (1990..2100).contains(&year).then_some(year)
}

fn within(text: &str, range: std::ops::RangeInclusive<u8>) -> Option<u8> {
    let number = (text.len() <= 2).then(|| text.parse().ok())??;
    range.contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_found_as_people_write_them() {
        for (key, date) in [
            ("app/2025/06/01/09/x.gz", Some((2025, 6, 1, 9))),
            ("logs-2025-06-01.json", Some((2025, 6, 1, 0))),
            ("dt=20250601/part-1.gz", Some((2025, 6, 1, 0))),
            ("v12/year=2025/month=6/day=1/hour=23/", Some((2025, 6, 1, 23))),
            ("2025060109-host", Some((2025, 6, 1, 9))),
            ("2025/06/", Some((2025, 6, 0, 0))),
            ("2025/", Some((2025, 0, 0, 0))),
            ("user/1234/20", None),
            ("99999999.gz", None),
            ("é/", None),
        ] {
            assert_eq!(date_in(key), date, "{key}");
        }
    }
}
