//! Counts of what is in quarantine, by reason and event.

use super::Held;
use common::event_name::EventName;
use common::quarantine::Reason;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use time::{Date, OffsetDateTime, UtcOffset};

/// What is in quarantine, summed up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// By reason and, for what COPY refused, event.
    pub groups: BTreeMap<(Reason, Option<EventName>), Group>,
}

/// What shares a reason and an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Records.
    pub records: u64,
    /// Of them, those whose source is replaced already: they go when the loader has loaded it.
    pub replaced: u64,
    /// Quarantine objects.
    pub objects: u64,
    /// Source objects.
    pub sources: u64,
    /// The oldest source's time.
    pub oldest: OffsetDateTime,
    /// The newest source's.
    pub newest: OffsetDateTime,
}

impl Listing {
    /// Takes one source in.
    pub fn add(&mut self, held: &Held) {
        let at = held.seal.source.time;
        let mut seen = BTreeSet::new();
        for object in &held.objects {
            let key = (object.reason, object.event.clone());
            let group = self.groups.entry(key.clone()).or_insert(Group {
                records: 0,
                replaced: 0,
                objects: 0,
                sources: 0,
                oldest: at,
                newest: at,
            });
            group.records += object.selected;
            group.replaced += if object.is_replaced { object.selected } else { 0 };
            group.objects += 1;
            group.sources += u64::from(seen.insert(key));
            group.oldest = group.oldest.min(at);
            group.newest = group.newest.max(at);
        }
    }

    /// Records of all groups.
    pub fn records(&self) -> u64 {
        self.groups.values().map(|group| group.records).sum()
    }
}

/// The largest first.
impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.groups.is_empty() {
            return writeln!(f, "nothing is in quarantine");
        }
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(key, group)| (std::cmp::Reverse(group.records), *key));
        let head = ["reason", "event", "records", "objects", "sources", "oldest", "newest"].map(str::to_owned);
        let lines = groups.iter().map(|((reason, event), group)| {
            let event = event.as_ref().map_or("-", EventName::as_str);
            let counts = [group.records, group.objects, group.sources].map(|count| count.to_string());
            let [records, objects, sources] = counts;
            [reason.to_string(), event.to_owned(), records, objects, sources, date(group.oldest), date(group.newest)]
        });
        let lines: Vec<[String; 7]> = std::iter::once(head).chain(lines).collect();
        let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..7).map(width).collect();
        for line in &lines {
            let cells = line.iter().zip(&widths).enumerate().map(|(at, (cell, width))| match at {
                2..=4 => format!("{cell:>width$}"),
                _ => format!("{cell:<width$}"),
            });
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        let replaced: u64 = groups.iter().map(|(_, group)| group.replaced).sum();
        write!(f, "{} records in quarantine", self.records())?;
        match replaced {
            0 => writeln!(f),
            n => writeln!(f, "; {n} of them belong to sources that are replaced already and wait for the loader"),
        }
    }
}

fn date(at: OffsetDateTime) -> String {
    let date: Date = at.to_offset(UtcOffset::UTC).date();
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn the_table_names_what_there_is_most_of_first() {
        let at = datetime!(2025-06-01 00:00 UTC);
        let group = |records, replaced| Group { records, replaced, objects: 1, sources: 1, oldest: at, newest: at };
        let listing = Listing {
            groups: [
                ((Reason::NotJson, None), group(7, 0)),
                ((Reason::RejectedByCopy, Some(EventName::of_type("order"))), group(1_200, 200)),
            ]
            .into(),
        };
        let expected = [
            "reason            event  records  objects  sources  oldest      newest",
            "rejected_by_copy  order     1200        1        1  2025-06-01  2025-06-01",
            "not_json          -            7        1        1  2025-06-01  2025-06-01",
            "1207 records in quarantine; 200 of them belong to sources that are replaced already and wait for the loader",
        ];
        assert_eq!(listing.to_string().lines().collect::<Vec<_>>(), expected);
        assert_eq!(Listing::default().to_string(), "nothing is in quarantine\n");
    }
}
