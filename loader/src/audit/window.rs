//! Sources that are compared together, and the first look at them: whatever is plainly loaded is done with.

use super::judge::{Judged, Sealed, judge};
use super::seals::Source;
use super::{Ask, Audit, AuditError};
use common::event_name::EventName;
use common::source::SourceId;
use std::collections::{BTreeMap, BTreeSet};
use time::OffsetDateTime;

/// Pairs of event and source.
pub(super) type Pairs = BTreeSet<(EventName, SourceId)>;

/// Some sources, by event.
#[derive(Debug, Default)]
pub(super) struct Window {
    events: BTreeMap<EventName, Vec<(SourceId, Sealed, OffsetDateTime)>>,
    sources: BTreeSet<SourceId>,
    pairs: usize,
}

impl Window {
    pub(super) fn add(&mut self, source: Source, ask: &Ask) {
        let Source { id, generation, time, sealed_at, events, .. } = source;
        // A source without events takes room too.
        self.pairs += events.len().max(1);
        for (event, since, records) in events.into_iter().filter(|(event, ..)| ask.wants(event)) {
            let sealed = Sealed { generation, since, records, sealed_at };
            self.events.entry(event).or_default().push((id.clone(), sealed, time));
        }
        self.sources.insert(id);
    }

    pub(super) fn pairs(&self) -> usize {
        self.pairs
    }
}

impl Audit<'_> {
    /// Compares the window's sources with what the warehouse has of their time.
    pub(super) async fn compare(
        &mut self,
        window: Window,
        from: OffsetDateTime,
        to: OffsetDateTime,
    ) -> Result<(), AuditError> {
        let events: BTreeSet<EventName> =
            self.tables.events().into_iter().filter(|event| self.ask.wants(event)).collect();
        let mut answers = self.tables.of_time(events, from, to).await?;
        self.unreadable(std::mem::take(&mut answers.unreadable));
        let mut suspects = Pairs::new();
        for (event, pairs) in window.events {
            let mut counts = answers.counts.remove(&event).unwrap_or_default();
            for (source, sealed, time) in pairs {
                match judge(&sealed, &counts.remove(&source).unwrap_or_default()) {
                    Judged::Loaded(tally, None) => self.add(time, &event, tally),
                    _ => {
                        suspects.insert((event.clone(), source));
                    }
                }
            }
            suspects.extend(counts.into_keys().map(|source| (event.clone(), source)));
        }
        // Loaded at this time, and of no seal of this time.
        for (event, counts) in answers.counts {
            suspects.extend(counts.into_keys().map(|source| (event.clone(), source)));
        }
        self.look_again(suspects, &window.sources).await
    }

    /// Tables that nothing can be said of: told once each.
    pub(super) fn unreadable(&mut self, events: BTreeMap<EventName, String>) {
        for (event, why) in events {
            if self.unreadable.insert(event.clone()) {
                let repair = "let the loader read the table and its ledger".to_owned();
                self.difference(super::Difference::of_table(super::Kind::Unreadable, &event, why, repair));
            }
        }
    }
}
