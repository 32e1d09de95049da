//! The second look at whatever is not plainly loaded. Only what is wrong twice, with a pause in between, is accused.

use super::counts::Answers;
use super::judge::{Circumstances, Judged, Sealed, judge, owed};
use super::looked::{Found, Looked, gone_parts, highest};
use super::tally::Tally;
use super::window::Pairs;
use super::{Audit, AuditError, COUNTED_LATE, Difference, Kind, total};
use crate::sql::sweep as sql;
use crate::warehouse::required;
use common::event_name::EventName;
use common::source::SourceId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// Between two looks: whatever was between its seal and its message, or its commit and the deletion of its message, has
/// arrived.
const PAUSE: Duration = Duration::from_secs(2);

/// Looks at a source that is replaced again and again under the audit.
const ROUNDS: usize = 3;

/// Pairs that are looked at together.
const LOOKED_MAX: usize = 5_000;

type Pair = (EventName, SourceId);

impl Audit<'_> {
    /// Looks at these again, and says of each what it comes to. `window`: sources that were read in this range.
    pub(super) async fn look_again(
        &mut self,
        mut suspects: Pairs,
        window: &BTreeSet<SourceId>,
    ) -> Result<(), AuditError> {
        suspects.retain(|(event, _)| !self.unreadable.contains(event));
        for round in 1..=ROUNDS {
            if suspects.is_empty() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            self.messages = self.messages.max(total(self.queues.depth().await?));
            let mut ahead = Pairs::new();
            let pairs: Vec<Pair> = std::mem::take(&mut suspects).into_iter().collect();
            for some in pairs.chunks(LOOKED_MAX) {
                self.look_at(some, window, round == ROUNDS, &mut ahead).await?;
            }
            suspects = ahead;
        }
        Ok(())
    }

    async fn look_at(
        &mut self,
        pairs: &[Pair],
        window: &BTreeSet<SourceId>,
        is_last: bool,
        ahead: &mut Pairs,
    ) -> Result<(), AuditError> {
        let mut by_source: BTreeMap<SourceId, BTreeSet<EventName>> = BTreeMap::new();
        let mut by_event: BTreeMap<EventName, Vec<SourceId>> = BTreeMap::new();
        for (event, source) in pairs {
            by_source.entry(source.clone()).or_default().insert(event.clone());
            by_event.entry(event.clone()).or_default().push(source.clone());
        }
        // The seal first: what is loaded after it was read is not behind it.
        let found = highest(&self.store, &by_source).await?;
        let mut answers = self.tables.of_sources(&by_event).await?;
        self.unreadable(std::mem::take(&mut answers.unreadable));
        let mut unusable = BTreeSet::new();
        let mut still_owed: Vec<(&Pair, &Looked)> = Vec::new();
        for pair @ (event, source) in pairs {
            if self.unreadable.contains(event) {
                continue;
            }
            let looked = match found.get(source) {
                Some(Found::Sealed(looked)) => looked,
                Some(Found::Unusable(why)) => {
                    if unusable.insert(source) {
                        self.seal_unusable(source, why);
                    }
                    continue;
                }
                Some(Found::Nothing) | None => {
                    self.no_seal(pair, &answers, "");
                    continue;
                }
            };
            let Some((since, records, _)) = looked.events.get(event) else {
                self.no_seal(pair, &answers, "its seal does not name the event");
                continue;
            };
            if !window.contains(source) {
                // Sealed anew with another time, or without its index: the audit of that time compares it.
                continue;
            }
            let Looked { generation, sealed_at, .. } = *looked;
            let sealed = Sealed { generation, since: *since, records: *records, sealed_at };
            let count = answers.of(event, source);
            match judge(&sealed, &count) {
                Judged::Ahead if !is_last => {
                    ahead.insert(pair.clone());
                }
                Judged::Ahead => {
                    let loaded = count.lines.min(*records);
                    let tally = Tally { routed: *records, loaded, missing: *records - loaded, ..Tally::default() };
                    let detail = "the ledger has a generation that no seal has".to_owned();
                    self.accuse(pair, looked, tally, Some(Kind::LedgerDiffers), detail);
                }
                Judged::Loaded(tally, kind) => self.accuse(pair, looked, tally, kind, String::new()),
                // The table as a whole is told of.
                Judged::Unledgered(tally) if !self.tables.of(event).there.ledger => {
                    self.no_ledger(event);
                    self.add(looked.time, event, tally);
                }
                Judged::Unledgered(tally) => self.accuse(pair, looked, tally, Some(Kind::NoLedgerRow), String::new()),
                Judged::Owed => still_owed.push((pair, looked)),
            }
        }
        self.look_at_owed(still_owed).await
    }

    async fn look_at_owed(&mut self, still_owed: Vec<(&Pair, &Looked)>) -> Result<(), AuditError> {
        let failed = self.set_aside(still_owed.iter().map(|((_, source), _)| source)).await?;
        let parts = still_owed.iter().filter_map(|(pair, looked)| {
            let (_, _, parts) = looked.events.get(&pair.0)?;
            Some(((*pair).clone(), parts.clone()))
        });
        let gone = gone_parts(&self.store, parts.collect()).await?;
        for (pair, looked) in still_owed {
            let Some((since, records, _)) = looked.events.get(&pair.0) else { continue };
            let Looked { generation, sealed_at, .. } = *looked;
            let sealed = Sealed { generation, since: *since, records: *records, sealed_at };
            let part = gone.get(pair);
            let is_failed = failed.get(pair).is_some_and(|generation| generation >= since);
            let circumstances = Circumstances {
                failed: is_failed,
                part_gone: part.is_some(),
                on_its_way: part.is_none() && !is_failed && self.is_on_its_way(&sealed),
            };
            let (tally, kind) = owed(&sealed, circumstances);
            self.accuse(pair, looked, tally, kind, part.cloned().unwrap_or_default());
        }
        Ok(())
    }

    /// Whether a message brings it. Of what is young any may; what is older takes one of those that there were.
    fn is_on_its_way(&mut self, sealed: &Sealed) -> bool {
        let lag = self.settings.sweep.lag;
        let is_younger = |than: Duration| sealed.sealed_at > self.started_at - than;
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
