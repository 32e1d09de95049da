//! What `router split` shows a person: one line a file, then a table over all of them.

use common::quarantine::Reason;
use router::split::Report;
use std::collections::BTreeMap;
use std::fmt;

/// One file's outcome.
pub(super) fn file_line(report: &Report) -> String {
    let counts = &report.counts;
    format!(
        "{}: {} records = {} routed + {} quarantined + {} dropped; {} parts",
        report.source, counts.read, counts.routed, counts.quarantined, counts.dropped, report.parts
    )
}

/// Sums over all files.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) files: u64,
    routed: u64,
    dropped: u64,
    /// Records and bytes.
    events: BTreeMap<String, (u64, u64)>,
    by_reason: BTreeMap<Reason, u64>,
}

impl Totals {
    pub(super) fn add(&mut self, report: &Report) {
        self.files += 1;
        self.routed += report.counts.routed;
        self.dropped += report.counts.dropped;
        for (event, records) in &report.events {
            let sums = self.events.entry(event.clone()).or_default();
            sums.0 += records;
            sums.1 += report.event_bytes.get(event).copied().unwrap_or(0);
        }
        for (reason, records) in &report.counts.by_reason {
            *self.by_reason.entry(*reason).or_default() += records;
        }
    }
}

/// Events by share, the largest first.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut events: Vec<_> = self.events.iter().collect();
        events.sort_by_key(|(event, (records, _))| (std::cmp::Reverse(*records), *event));
        let outcomes = self.by_reason.iter().map(|(reason, n)| (format!("quarantined: {reason}"), *n));
        let dropped = (self.dropped > 0).then(|| ("dropped".to_owned(), self.dropped));
        let outcomes: Vec<_> = outcomes.chain(dropped).collect();
        let names = self.events.keys().chain(outcomes.iter().map(|(name, _)| name));
        let width = names.map(String::len).max().unwrap_or(0).max("event".len());

        writeln!(f, "{:<width$}  {:>12}  {:>15}  {:>6}", "event", "records", "bytes", "share")?;
        for (event, (records, bytes)) in events {
            let share = 100.0 * *records as f64 / self.routed.max(1) as f64;
            writeln!(f, "{event:<width$}  {:>12}  {:>15}  {share:>5.1}%", grouped(*records), grouped(*bytes))?;
        }
        for (name, records) in outcomes {
            writeln!(f, "{name:<width$}  {:>12}", grouped(records))?;
        }
        Ok(())
    }
}

/// Digits in groups of three.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    String::from_utf8_lossy(&groups.join(&b","[..])).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_events_by_share_and_then_what_was_not_routed() {
        let totals = Totals {
            files: 2,
            routed: 1_234_568,
            dropped: 3,
            events: [("a".to_owned(), (1, 20)), ("page_view".to_owned(), (1_234_567, 98_765_432))].into(),
            by_reason: [(Reason::NotJson, 4)].into(),
        };
        let expected = [
            "event                       records            bytes   share",
            "page_view                 1,234,567       98,765,432  100.0%",
            "a                                 1               20    0.0%",
            "quarantined: not_json             4",
            "dropped                           3",
        ];
        let table = totals.to_string();
        assert_eq!(table.lines().collect::<Vec<_>>(), expected);
    }
}
