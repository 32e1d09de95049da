//! What belongs to no raw object of any range: tables whose ledger is gone, rows of sources that nothing knows, and rows that
//! people put there. Looked at once for each table, whatever range is audited.

use super::difference::rebuild;
use super::looked::{Found, highest};
use super::{Audit, AuditError, Difference, Kind};
use crate::bookkeeping::holds_loaded_rows;
use crate::sql::audit as sql;
use common::event_name::EventName;
use common::source::SourceId;
use std::collections::{BTreeMap, BTreeSet};

/// Sources without ledger row that are told one by one: of more, the ledger itself is in doubt.
const STRAYS_MAX: usize = 1_000;

impl Audit<'_> {
    fn wanted(&self) -> Vec<EventName> {
        self.tables.events().into_iter().filter(|event| self.ask.wants(event)).collect()
    }

    /// Tables that hold rows, and have no ledger or gate.
    pub(super) async fn look_for_lost_ledgers(&mut self) -> Result<(), AuditError> {
        for event in self.wanted() {
            let exists = self.tables.of(&event);
            let (gate, ledger) = (exists.gate, exists.there.ledger);
            if gate && ledger {
                continue;
            }
            let (warehouse, names) = (&self.tables.warehouse, &self.tables.names);
            if gate != ledger || (exists.there.table && holds_loaded_rows(warehouse, names, &event).await?) {
                self.no_ledger(&event);
            }
        }
        let gates: Vec<EventName> = self.wanted().into_iter().filter(|event| self.tables.of(event).gate).collect();
        for (event, rows) in self.tables.gates(&gates).await? {
            if rows != 1 {
                self.no_ledger_because(&event, &format!("its gate has {rows} rows instead of one"));
            }
        }
        Ok(())
    }

    /// Tells of a table whose ledger is gone, once.
    pub(super) fn no_ledger(&mut self, event: &EventName) {
        let exists = self.tables.of(event);
        let gone = match (exists.gate, exists.there.ledger) {
            (true, _) => "its ledger is gone",
            (false, true) => "its gate is gone",
            (false, false) => "its ledger and gate are gone",
        };
        self.no_ledger_because(event, gone);
    }

    fn no_ledger_because(&mut self, event: &EventName, why: &str) {
        if self.no_ledger.insert(event.clone()) {
            self.difference(Difference::of_table(Kind::NoLedger, event, why.to_owned(), rebuild(event)));
        }
    }

    /// Rows that no ledger row accounts for.
    pub(super) async fn look_for_strays(&mut self) -> Result<(), AuditError> {
        let (strays, unreadable) = self.tables.strays(self.wanted(), STRAYS_MAX + 1).await?;
        self.unreadable(unreadable);
        for (event, rows) in strays {
            let mut sources: BTreeMap<SourceId, u64> = BTreeMap::new();
            let count = rows.len();
            for (source, rows) in rows {
                let Some(text) = source else {
                    self.audited.balance.own += rows;
                    continue;
                };
                match SourceId::try_from(text.clone()) {
                    Ok(source) => {
                        sources.insert(source, rows);
                    }
                    Err(_) => self.foreign(&event, &text, rows, ""),
                }
            }
            match self.tables.of(&event).there.ledger {
                // Every row is one of them, and the table is told of.
                false => {}
                true if count > STRAYS_MAX + 1 => self.many_strays_of(&event, &sources).await?,
                true => self.strays_of(&event, sources).await?,
            }
        }
        Ok(())
    }

    /// More than are told one by one.
    async fn many_strays_of(&mut self, event: &EventName, sources: &BTreeMap<SourceId, u64>) -> Result<(), AuditError> {
        let wanted = sources.keys().map(|source| (source.clone(), BTreeSet::from([event.clone()]))).collect();
        let found = highest(&self.store, &wanted).await?;
        let is_ours = |one: &Found| matches!(one, Found::Sealed(looked) if looked.events.contains_key(event));
        let detail = format!("of more than {STRAYS_MAX} sources");
        let difference = match found.values().any(is_ours) {
            true => Difference::of_table(Kind::NoLedgerRow, event, detail, rebuild(event)),
            // A ledger made anew would have none of them.
            false => {
                self.audited.balance.foreign += sources.values().sum::<u64>();
                let all = sql::unknown_to_ledger(&self.tables.names, event);
                Difference::of_table(Kind::Foreign, event, detail, all)
            }
        };
        self.difference(difference);
        Ok(())
    }

    async fn strays_of(&mut self, event: &EventName, sources: BTreeMap<SourceId, u64>) -> Result<(), AuditError> {
        let wanted = sources.keys().map(|source| (source.clone(), BTreeSet::from([event.clone()]))).collect();
        let found = highest(&self.store, &wanted).await?;
        for (source, rows) in sources {
            match found.get(&source) {
                Some(Found::Sealed(looked)) if looked.events.contains_key(event) => {
                    let object = &looked.object;
                    let mut difference = Difference::of_source(Kind::NoLedgerRow, event, &source, object, looked.time);
                    difference.rows = rows;
                    match self.ask.is_of(looked.time) {
                        // Those of the range are compared with their seals, unless their index is gone.
                        true => self.strays.entry(source).or_default().push(difference),
                        false => self.difference(difference),
                    }
                }
                Some(Found::Sealed(_)) => {
                    self.foreign(event, source.as_str(), rows, "its seal does not name the event")
                }
                Some(Found::Unusable(why)) => self.foreign(event, source.as_str(), rows, why),
                Some(Found::Nothing) | None => self.foreign(event, source.as_str(), rows, ""),
            }
        }
        Ok(())
    }

    /// What the walk did not come by: no index names it.
    pub(super) fn tell_strays(&mut self) {
        for difference in std::mem::take(&mut self.strays).into_values().flatten() {
            self.difference(difference);
        }
    }

    fn foreign(&mut self, event: &EventName, source: &str, rows: u64, detail: &str) {
        self.audited.balance.foreign += rows;
        let repair = sql::delete_source(&self.tables.names, event, source);
        let mut difference = Difference::of_table(Kind::Foreign, event, detail.to_owned(), repair);
        (difference.source_id, difference.rows) = (Some(source.to_owned()), rows);
        self.difference(difference);
    }
}
