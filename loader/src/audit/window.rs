//! Sources that are compared together, and the first look at them: whatever is plainly loaded is done with.

use super::judge::{Judged, Sealed, judge};
use super::seals::Source;
use super::tally::{ReadTally, Tally};
use super::{Ask, Audit, AuditError};
use crate::sql::audit::Place;
use common::event_name::EventName;
use common::source::SourceId;
use std::collections::{BTreeMap, BTreeSet};
use time::OffsetDateTime;

/// Events of sources.
pub(super) type Suspects = BTreeMap<SourceId, BTreeSet<EventName>>;

/// A source of a window, as its highest seal says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) generation: u32,
    pub(super) time: OffsetDateTime,
    pub(super) read: ReadTally,
    /// It was sealed again since it was first read: what was said of it by its seal before does not count.
    pub(super) has_changed: bool,
}

impl Known {
    pub(super) fn of(source: &Source, has_changed: bool) -> Self {
        Self { generation: source.generation, time: source.time, read: source.read, has_changed }
    }
}

/// Some sources, by event.
#[derive(Debug, Default)]
pub(super) struct Window {
    events: BTreeMap<EventName, Vec<(SourceId, Sealed)>>,
    sources: BTreeMap<SourceId, Known>,
    pairs: usize,
}

impl Window {
    pub(super) fn add(&mut self, source: Source, ask: &Ask) {
        // A source without events takes room too.
        self.pairs += source.events.len().max(1);
        self.sources.insert(source.id.clone(), Known::of(&source, false));
        let Source { id, generation, sealed_at, events, .. } = source;
        for (event, since, records) in events.into_iter().filter(|(event, ..)| ask.wants(event)) {
            let sealed = Sealed { generation, since, records, sealed_at };
            self.events.entry(event).or_default().push((id.clone(), sealed));
        }
    }

    pub(super) fn pairs(&self) -> usize {
        self.pairs
    }
}

impl Audit<'_> {
    /// Compares the window's sources with what the warehouse has from one place on and before another.
    pub(super) async fn compare(&mut self, window: Window, from: &Place, to: &Place) -> Result<(), AuditError> {
        let events: BTreeSet<EventName> =
            self.tables.events().into_iter().filter(|event| self.ask.wants(event)).collect();
        let mut answers = self.tables.of_time(events, from, to).await?;
        self.unreadable(std::mem::take(&mut answers.unreadable));
        let Window { events, mut sources, .. } = window;
        let mut suspects = Suspects::new();
        let mut plain: Vec<(SourceId, EventName, Tally)> = Vec::new();
        for (event, pairs) in events {
            let mut counts = answers.counts.remove(&event).unwrap_or_default();
            for (source, sealed) in pairs {
                match judge(&sealed, &counts.remove(&source).unwrap_or_default()) {
                    Judged::Loaded(tally, None) => plain.push((source, event.clone(), tally)),
                    _ => {
                        suspects.entry(source).or_default().insert(event.clone());
                    }
                }
            }
            for source in counts.into_keys() {
                suspects.entry(source).or_default().insert(event.clone());
            }
        }
        // Loaded at this time, and of no seal of this time.
        for (event, counts) in answers.counts {
            for source in counts.into_keys() {
                suspects.entry(source).or_default().insert(event.clone());
            }
        }
        self.strays.retain(|source, _| !sources.contains_key(source));
        self.look_again(suspects, &mut sources).await?;
        for (source, event, tally) in plain {
            if let Some(known) = sources.get(&source).filter(|known| !known.has_changed) {
                self.add(known.time, &event, tally);
            }
        }
        for Known { time, read, .. } in sources.into_values() {
            self.read(time, read);
        }
        Ok(())
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
