//! Seals minus ledger: what of some sealed sources is not loaded.

use super::reading::Sealed;
use crate::sql::{Names, sweep as sql};
use crate::verdict::Class;
use crate::warehouse::{Classed as _, Row, Warehouse, WarehouseError, number, required};
use common::event_name::EventName;
use common::source::SourceId;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Pairs of source and event that are asked about together; bounds memory and the warehouse's answers.
pub(super) const PAIRS_MAX: usize = 50_000;

/// The ledgers: which there are, and what they have.
#[derive(Clone, Debug)]
pub(crate) struct Ledgers {
    warehouse: Warehouse,
    names: Names,
    events: BTreeSet<EventName>,
}

/// Highest generation of each event and source, where there is any.
pub(super) type Generations = HashMap<(EventName, SourceId), u32>;

/// What the ledgers have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loaded {
    generations: Generations,
    /// Events whose ledgers could not be read: nothing can be said of them.
    pub(super) unknown: BTreeSet<EventName>,
}

impl Loaded {
    /// The source's highest generation in the event's ledger.
    pub(crate) fn generation(&self, event: &EventName, source_id: &SourceId) -> Option<u32> {
        self.generations.get(&(event.clone(), source_id.clone())).copied()
    }

    /// An event of a source is owed while its ledger generation is below its `since`.
    pub(super) fn has(&self, event: &EventName, source_id: &SourceId, since: u32) -> bool {
        self.generation(event, source_id).is_some_and(|generation| generation >= since)
    }
}

/// A source of which something is not loaded.
#[derive(Clone, Debug)]
pub(super) struct Owing {
    pub(super) sealed: Sealed,
    /// Events to be announced, each with the generation of its parts.
    pub(super) owed: Vec<(EventName, u32)>,
    /// Owed too, but set aside.
    pub(super) failed: Vec<EventName>,
    /// Events of which nobody knows whether they are owed.
    pub(super) unknown: Vec<EventName>,
}

impl Ledgers {
    pub(crate) async fn open(warehouse: &Warehouse, names: &Names) -> Result<Self, WarehouseError> {
        let relations = crate::sql::bookkeeping::relations_of(&names.bookkeeping);
        let rows = warehouse.query("sweep", &relations).await?;
        let events = rows.iter().filter_map(|row| sql::event_of_ledger(row.first()?.as_deref()?)).collect();
        Ok(Self { warehouse: warehouse.clone(), names: names.clone(), events })
    }

    /// Events that have a ledger.
    pub(super) fn events(&self) -> &BTreeSet<EventName> {
        &self.events
    }

    /// What the ledgers have of these pairs. An event without a ledger has nothing. A ledger that cannot be read, for
    /// example because its permission is gone, holds no other event up.
    pub(crate) async fn loaded(&self, pairs: &[(&EventName, &SourceId)]) -> Result<Loaded, WarehouseError> {
        let mut wanted: BTreeMap<&EventName, Vec<&SourceId>> = BTreeMap::new();
        for (event, source_id) in pairs.iter().filter(|(event, _)| self.events.contains(*event)) {
            wanted.entry(event).or_default().push(source_id);
        }
        match self.generations(sql::loaded_of_events(&self.names, wanted.clone())).await {
            Ok(generations) => return Ok(Loaded { generations, unknown: BTreeSet::new() }),
            Err(error) if error.class() == Class::Transient => return Err(error),
            Err(_) => {}
        }
        let mut loaded = Loaded::default();
        for (event, sources) in wanted {
            match self.generations(sql::loaded_of_events(&self.names, [(event, sources)])).await {
                Ok(generations) => loaded.generations.extend(generations),
                Err(error) if error.class() == Class::Transient => return Err(error),
                Err(error) => {
                    let event_name = event.as_str();
                    tracing::warn!(event = event_name, %error, "the sweep cannot read the event's ledger: it is left out");
                    loaded.unknown.insert(event.clone());
                }
            }
        }
        Ok(loaded)
    }

    async fn generations(&self, statements: Vec<String>) -> Result<Generations, WarehouseError> {
        let mut found = Generations::new();
        for statement in statements {
            for row in self.warehouse.query("sweep", &statement).await? {
                let (event, source_id) = pair(&row)?;
                let generation = found.entry((event, source_id)).or_insert(0);
                *generation = (*generation).max(number(&row, 2)?);
            }
        }
        Ok(found)
    }

    /// Which of these sources owe something, and what.
    pub(super) async fn owing(&self, sealed: Vec<Sealed>) -> Result<Vec<Owing>, WarehouseError> {
        let mut pairs = Vec::new();
        for one in &sealed {
            pairs.extend(one.events.iter().map(|(event, _)| (event, &one.source_id)));
        }
        let loaded = self.loaded(&pairs).await?;
        let owing: Vec<Owing> = sealed.into_iter().filter_map(|one| owing(one, &loaded)).collect();
        if owing.is_empty() {
            return Ok(owing);
        }
        let statements = sql::failed_of(&self.names, owing.iter().map(|one| &one.sealed.source_id));
        let failed = Loaded { generations: self.generations(statements).await?, ..Loaded::default() };
        Ok(owing.into_iter().map(|one| one.without(&failed)).collect())
    }
}

fn pair(row: &Row) -> Result<(EventName, SourceId), WarehouseError> {
    let (event, source_id) = (required(row, 0)?, required(row, 1)?);
    let unexpected = |expected| WarehouseError::Unexpected { found: format!("{row:?}"), expected };
    let event = EventName::try_from(event.to_owned()).map_err(|_| unexpected("an event name"))?;
    let source_id = SourceId::try_from(source_id.to_owned()).map_err(|_| unexpected("a source id"))?;
    Ok((event, source_id))
}

fn owing(sealed: Sealed, loaded: &Loaded) -> Option<Owing> {
    let is_owed = |(event, since): &&(EventName, u32)| !loaded.has(event, &sealed.source_id, *since);
    let owed = sealed.events.iter().filter(is_owed).cloned();
    let (unknown, owed): (Vec<_>, Vec<_>) = owed.partition(|(event, _)| loaded.unknown.contains(event));
    let unknown: Vec<EventName> = unknown.into_iter().map(|(event, _)| event).collect();
    let owes = !(owed.is_empty() && unknown.is_empty());
    owes.then_some(Owing { sealed, owed, failed: Vec::new(), unknown })
}

impl Owing {
    /// What was set aside waits for a person; a higher generation made later is another matter.
    fn without(mut self, failed: &Loaded) -> Self {
        let source_id = &self.sealed.source_id;
        let (failed, owed): (Vec<_>, Vec<_>) =
            self.owed.into_iter().partition(|(event, since)| failed.has(event, source_id, *since));
        self.owed = owed;
        self.failed = failed.into_iter().map(|(event, _)| event).collect();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::OffsetDateTime;

    #[test]
    fn an_event_is_owed_while_its_ledger_generation_is_below_its_since() {
        let [a, b, c, d] = ["a", "b", "c", "d"].map(EventName::of_type);
        let source_id = SourceId::new("raw", "k", "e");
        let at = OffsetDateTime::UNIX_EPOCH;
        let events = vec![(a.clone(), 0), (b.clone(), 1), (c.clone(), 1), (d.clone(), 0)];
        let sealed = Sealed { source_id: source_id.clone(), generation: 1, source_time: at, sealed_at: at, events };
        let have = |event: &EventName, generation| ((event.clone(), source_id.clone()), generation);
        let of = |generations| Loaded { generations: Generations::from(generations), unknown: BTreeSet::new() };
        let mut loaded = of([have(&a, 0), have(&b, 0), have(&c, 2)]);
        let owing = owing(sealed.clone(), &loaded).expect("something is owed");
        assert_eq!(owing.owed, [(b.clone(), 1), (d.clone(), 0)]);

        // Set aside at generation 0: `d` is, and the replace of `b` is not.
        let owing = owing.without(&of([have(&b, 0), have(&d, 0), have(&a, 0)]));
        assert_eq!((owing.owed, owing.failed), (vec![(b.clone(), 1)], vec![d.clone()]));

        loaded.unknown.insert(d.clone());
        let owing = super::owing(sealed.clone(), &loaded).expect("something is owed");
        assert_eq!((owing.owed, owing.unknown), (vec![(b.clone(), 1)], vec![d.clone()]));

        let mut all = of([have(&a, 0), have(&b, 1), have(&c, 1)]);
        all.generations.insert((d.clone(), source_id.clone()), 3);
        assert!(super::owing(sealed, &all).is_none());
    }
}
