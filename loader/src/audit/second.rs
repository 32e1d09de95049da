//! The second look at whatever is not plainly loaded. Only what is wrong twice, with a pause in between, is accused.

use super::counts::Answers;
use super::judge::{Circumstances, Judged, Sealed, judge, owed};
use super::looked::{Found, Looked, gone_parts, highest};
use super::seals::Source;
use super::tally::{ReadTally, Tally};
use super::window::{Known, Suspects};
use super::{Audit, AuditError, COUNTED_LATE, Difference, Kind, total};
use crate::sql::sweep as sql;
use crate::warehouse::required;
use common::event_name::EventName;
use common::seals::{self, SealReadError};
use common::source::SourceId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// Between two looks: whatever was between its seal and its message, or its commit and the deletion of its message, has
/// arrived.
const PAUSE: Duration = Duration::from_secs(2);

/// Looks at a source that is replaced again and again under the audit.
const ROUNDS: usize = 4;

/// Pairs that are looked at together, but for those of one source.
const LOOKED_MAX: usize = 5_000;

type Pair = (EventName, SourceId);

/// Sources of a window.
type Sources = BTreeMap<SourceId, Known>;

impl Audit<'_> {
    /// Looks at these again, and says of each what it comes to. `window`: sources that were read of this range; those that are
    /// left out of all sums are taken out of it.
    pub(super) async fn look_again(&mut self, mut suspects: Suspects, window: &mut Sources) -> Result<(), AuditError> {
        for round in 1..=ROUNDS {
            if suspects.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
            self.messages = self.messages.max(total(self.queues.depth().await?));
            let mut again = Suspects::new();
            let mut waiting = std::mem::take(&mut suspects).into_iter();
            loop {
                let (mut some, mut pairs) = (Suspects::new(), 0);
                while pairs < LOOKED_MAX {
                    let Some((source, mut events)) = waiting.next() else { break };
                    events.retain(|event| !self.unreadable.contains(event));
                    pairs += events.len();
                    some.insert(source, events);
                }
                if some.is_empty() {
                    break;
                }
                self.look_at(some, window, round == ROUNDS, &mut again).await?;
            }
            suspects = again;
        }
        for source in suspects.into_keys() {
            self.leave_out(&source, window);
        }
        Ok(())
    }

    /// It was sealed again and again: no two looks at it speak of the same.
    fn leave_out(&mut self, source: &SourceId, window: &mut Sources) {
        if let Some(known) = window.remove(source) {
            self.read(known.time, ReadTally { changed: 1, ..ReadTally::default() });
        }
    }

    /// All events of a source together: what is said of one must be of the same seal as what is said of the others.
    async fn look_at(
        &mut self,
        some: Suspects,
        window: &mut Sources,
        is_last: bool,
        again: &mut Suspects,
    ) -> Result<(), AuditError> {
        let mut by_event: BTreeMap<EventName, Vec<SourceId>> = BTreeMap::new();
        for (source, events) in &some {
            for event in events {
                by_event.entry(event.clone()).or_default().push(source.clone());
            }
        }
        // The seal first: what is loaded after it was read is not behind it.
        let found = highest(&self.store, &some).await?;
        let mut answers = self.tables.of_sources(&by_event).await?;
        self.unreadable(std::mem::take(&mut answers.unreadable));
        let mut still_owed: Vec<(Pair, &Looked)> = Vec::new();
        for (source, mut events) in some {
            events.retain(|event| !self.unreadable.contains(event));
            let looked = match found.get(&source) {
                Some(Found::Sealed(looked)) => looked,
                Some(Found::Unusable(why)) => {
                    window.remove(&source);
                    self.seal_unusable(&source, why);
                    continue;
                }
                Some(Found::Nothing) | None => {
                    events.into_iter().for_each(|event| self.no_seal(&(event, source.clone()), &answers, ""));
                    continue;
                }
            };
            match window.get(&source) {
                Some(known) if known.generation != looked.generation => {
                    self.sealed_again(&source, window, events, again).await?;
                    continue;
                }
                Some(_) => {}
                // Sealed anew with another time: the audit of that time compares it.
                None if !self.ask.is_of(looked.time) => continue,
                None => {
                    self.no_index(&source, looked, &events, &answers);
                    continue;
                }
            }
            let judged = |event: &EventName| {
                let (since, records, _) = looked.events.get(event)?;
                let Looked { generation, sealed_at, .. } = *looked;
                let sealed = Sealed { generation, since: *since, records: *records, sealed_at };
                let count = answers.of(event, &source);
                Some((judge(&sealed, &count), *records, count))
            };
            if !is_last && events.iter().any(|event| judged(event).is_some_and(|(judged, ..)| judged == Judged::Ahead))
            {
                again.insert(source, events);
                continue;
            }
            for event in events {
                let judged = judged(&event);
                let pair = (event, source.clone());
                let event = &pair.0;
                match judged {
                    None => self.no_seal(&pair, &answers, "its seal does not name the event"),
                    Some((Judged::Ahead, records, count)) => {
                        let loaded = count.lines.min(records);
                        let tally = Tally { routed: records, loaded, missing: records - loaded, ..Tally::default() };
                        let detail = "the ledger has a generation that no seal has".to_owned();
                        self.accuse(&pair, looked, tally, Some(Kind::LedgerDiffers), detail);
                    }
                    Some((Judged::Loaded(tally, kind), ..)) => self.accuse(&pair, looked, tally, kind, String::new()),
                    // The table as a whole is told of.
                    Some((Judged::Unledgered(tally), ..)) if !self.tables.of(event).there.ledger => {
                        self.no_ledger(event);
                        self.add(looked.time, event, tally);
                    }
                    Some((Judged::Unledgered(tally), ..)) => {
                        self.accuse(&pair, looked, tally, Some(Kind::NoLedgerRow), String::new());
                    }
                    Some((Judged::Owed, ..)) => still_owed.push((pair, looked)),
                }
            }
        }
        self.look_at_owed(still_owed).await
    }

    async fn look_at_owed(&mut self, still_owed: Vec<(Pair, &Looked)>) -> Result<(), AuditError> {
        let failed = self.set_aside(still_owed.iter().map(|((_, source), _)| source)).await?;
        let parts = still_owed.iter().filter_map(|(pair, looked)| {
            let (_, _, parts) = looked.events.get(&pair.0)?;
            Some((pair.clone(), parts.clone()))
        });
        let gone = gone_parts(&self.store, parts.collect()).await?;
        for (pair, looked) in still_owed {
            let Some((since, records, _)) = looked.events.get(&pair.0) else { continue };
            let Looked { generation, sealed_at, .. } = *looked;
            let sealed = Sealed { generation, since: *since, records: *records, sealed_at };
            let part = gone.get(&pair);
            let is_failed = failed.get(&pair).is_some_and(|generation| generation >= since);
            let circumstances = Circumstances {
                failed: is_failed,
                part_gone: part.is_some(),
                on_its_way: part.is_none() && !is_failed && self.is_on_its_way(&sealed),
            };
            let (tally, kind) = owed(&sealed, circumstances);
            self.accuse(&pair, looked, tally, kind, part.cloned().unwrap_or_default());
        }
        Ok(())
    }

    /// Takes the seal of now for the one that was read first, and has all its events looked at.
    async fn sealed_again(
        &mut self,
        source: &SourceId,
        window: &mut Sources,
        mut events: BTreeSet<EventName>,
        again: &mut Suspects,
    ) -> Result<(), AuditError> {
        let store = self.store.clone();
        let seal = match seals::highest(&store.s3, &store.bucket, &store.keys, source).await {
            Ok(Some(seal)) => Source::of(&seal),
            // Told by the next look.
            Ok(None) => return Ok(()),
            Err(SealReadError::Aws(error)) => return Err(error.into()),
            Err(_) => {
                again.insert(source.clone(), events);
                return Ok(());
            }
        };
        if !self.ask.is_of(seal.time) {
            self.leave_out(source, window);
            return Ok(());
        }
        window.insert(source.clone(), Known::of(&seal, true));
        events.extend(seal.events.into_iter().map(|(event, ..)| event).filter(|event| self.ask.wants(event)));
        again.insert(source.clone(), events);
        Ok(())
    }

    /// A source of the range that its index of hours does not name. Of one that is sealed just now it was not there yet.
    fn no_index(&mut self, source: &SourceId, looked: &Looked, events: &BTreeSet<EventName>, answers: &Answers) {
        if looked.sealed_at > self.started_at - self.settings.sweep.lag.max(COUNTED_LATE) {
            return;
        }
        for event in events {
            let mut difference = Difference::of_source(Kind::NoIndex, event, source, &looked.object, looked.time);
            difference.rows = answers.of(event, source).rows;
            self.difference(difference);
        }
    }

    /// Whether a message brings it. Of what is young any may; what is older takes one of those that there were.
    fn is_on_its_way(&mut self, sealed: &Sealed) -> bool {
        let lag = self.settings.sweep.lag;
        let is_younger = |than: Duration| sealed.sealed_at > self.started_at - than;
        // A replace may announce some of its events only; the loader's sweep announces the others when they are so old.
        if sealed.since > 0 && is_younger(lag.saturating_add(self.settings.sweep.every)) {
            return true;
        }
        if is_younger(lag) && (self.messages > 0 || is_younger(lag.min(COUNTED_LATE))) {
            return true;
        }
        self.owed += 1;
        self.owed <= self.messages
    }

    /// What was set aside of these sources, each with its highest generation.
    async fn set_aside<'s>(
        &self,
        sources: impl Iterator<Item = &'s SourceId>,
    ) -> Result<HashMap<Pair, u32>, AuditError> {
        let sources: BTreeSet<&SourceId> = sources.collect();
        let mut failed = HashMap::new();
        for statement in sql::failed_of(&self.tables.names, sources) {
            for row in self.tables.warehouse.query("audit", &statement).await? {
                let event = EventName::try_from(required(&row, 0)?.to_owned());
                let source = SourceId::try_from(required(&row, 1)?.to_owned());
                // Whatever else is there, nobody of ours wrote it.
                if let (Ok(event), Ok(source)) = (event, source) {
                    failed.insert((event, source), crate::warehouse::number(&row, 2)?);
                }
            }
        }
        Ok(failed)
    }

    /// Counts what it comes to and, if there is something wrong, tells.
    fn accuse(&mut self, pair: &Pair, looked: &Looked, tally: Tally, kind: Option<Kind>, detail: String) {
        let (event, source) = pair;
        self.add(looked.time, event, tally);
        let Some(kind) = kind else { return };
        let mut difference = Difference::of_source(kind, event, source, &looked.object, looked.time);
        difference.rows = match kind {
            Kind::RowsDoubled => tally.doubled,
            Kind::NoLedgerRow => tally.loaded + tally.doubled,
            Kind::Failed => tally.failed,
            Kind::LedgerDiffers => tally.routed,
            _ => tally.missing,
        };
        if kind == Kind::Failed {
            difference.repair = format!("loader redrive --event {event} --source {source}");
        }
        difference.detail = match (kind, tally.doubled) {
            (Kind::RowsMissing, 1..) => format!("and {} too many", tally.doubled),
            _ => detail,
        };
        self.difference(difference);
    }

    fn no_seal(&mut self, (event, source): &Pair, answers: &Answers, detail: &str) {
        let count = answers.of(event, source);
        if count.ledger.is_none() && count.rows == 0 {
            return;
        }
        self.audited.balance.foreign += count.rows;
        let repair = "see the runbook: A ledger row without a seal".to_owned();
        let mut difference = Difference::of_table(Kind::NoSeal, event, detail.to_owned(), repair);
        (difference.source_id, difference.rows) = (Some(source.to_string()), count.rows);
        self.difference(difference);
    }

    fn seal_unusable(&mut self, source: &SourceId, why: &str) {
        let object = format!("s3://{}/{}", self.store.bucket, self.store.keys.seals_of(source));
        let repair = "upgrade the loader, or see the runbook: A seal cannot be used".to_owned();
        self.difference(Difference::of_object(Kind::SealUnusable, object, why.to_owned(), repair));
    }
}
