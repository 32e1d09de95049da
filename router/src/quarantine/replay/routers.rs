//! Sources routed by whoever reads the queue: asked for by messages, and known to be done when their seals are there.

use super::super::due::Due;
use super::super::raw::{Raw, Refusal};
use super::super::{Notice, Quarantine, QuarantineError};
use super::{Progress, ReplayError, Run};
use common::queue::Queue;
use common::seal::Seal;
use common::source::SourceId;
use common::telemetry::chain;
use futures::{StreamExt, stream};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Sources that are asked for and not sealed yet; bounds memory, and what a queue holds of a replay.
const ASKED_MAX: usize = 1_000;

/// Messages sent together, in calls of ten.
const SENT_AT_ONCE: usize = 100;

/// Seals that are looked for at once.
const LOOKS: usize = 32;

/// Between two looks for the same seal: at first this long, then longer and longer.
const LOOK_MIN: Duration = Duration::from_millis(500);
const LOOK_MAX: Duration = Duration::from_secs(30);

/// After this long without its seal a source's raw object is looked for again: it may have been deleted meanwhile.
const RAW_PAUSE: Duration = Duration::from_secs(30);

/// A source that is asked for.
struct Asked {
    due: Due,
    asked_at: Instant,
    look_at: Instant,
    raw_seen: Instant,
}

impl Asked {
    fn now(due: Due) -> Self {
        let now = Instant::now();
        Self { due, asked_at: now, look_at: now + LOOK_MIN, raw_seen: now }
    }

    fn look_later(&mut self) {
        self.look_at = Instant::now() + (self.asked_at.elapsed() / 2).clamp(LOOK_MIN, LOOK_MAX);
    }
}

/// What was found about a source that is asked for.
enum Found {
    Seal(Box<Seal>),
    Refused(Refusal),
    Nothing { looked_at_raw: bool },
}

impl<F: FnMut(&Progress, Option<Notice>)> Run<'_, F> {
    pub(super) async fn by_routers(&mut self, queue: &Queue, patience: Duration) -> Result<(), ReplayError> {
        let mut asked: HashMap<SourceId, Asked> = HashMap::new();
        let mut unsent = Vec::new();
        let (mut settled, mut moved_at) = (0, Instant::now());
        loop {
            self.ask(queue, &mut asked, &mut unsent).await?;
            if asked.is_empty() || self.shutdown.is_cancelled() || moved_at.elapsed() > patience {
                return Ok(());
            }
            let earliest = Instant::now() + LOOK_MIN;
            self.look(&mut asked).await?;
            if self.progress.settled() > settled {
                (settled, moved_at) = (self.progress.settled(), Instant::now());
            }
            (self.tell)(&self.progress, None);
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = tokio::time::sleep_until(earliest) => {}
            }
        }
    }

    /// Asks for as many sources as may be asked for at once. What cannot be sent at the moment is kept in `unsent`.
    async fn ask(
        &mut self,
        queue: &Queue,
        asked: &mut HashMap<SourceId, Asked>,
        unsent: &mut Vec<String>,
    ) -> Result<(), ReplayError> {
        while unsent.is_empty() && asked.len() < ASKED_MAX && !self.shutdown.is_cancelled() {
            while unsent.len() < SENT_AT_ONCE && asked.len() < ASKED_MAX {
                let Some(due) = self.sources.next()? else { break };
                unsent.push(due.request(&self.id, &self.routing_id).to_json());
                asked.insert(due.source_id(), Asked::now(due));
            }
            if unsent.is_empty() {
                return Ok(());
            }
            send(queue, unsent).await?;
        }
        send(queue, unsent).await
    }

    /// Looks for the seals that may be there by now.
    async fn look(&mut self, asked: &mut HashMap<SourceId, Asked>) -> Result<(), ReplayError> {
        let (quarantine, now) = (self.quarantine, Instant::now());
        let due = asked.iter().filter(|(_, one)| one.look_at <= now);
        let looks = due.map(|(source_id, one)| async move {
            let found = quarantine.look_for(source_id, one).await;
            (source_id.clone(), found)
        });
        let found: Vec<_> = stream::iter(looks).buffer_unordered(LOOKS).collect().await;
        for (source_id, found) in found {
            match found {
                Ok(Found::Seal(seal)) => {
                    asked.remove(&source_id);
                    self.sealed(&seal);
                }
                Ok(Found::Refused(why)) => {
                    if let Some(one) = asked.remove(&source_id) {
                        self.refused(one.due.uri(), why);
                    }
                }
                Ok(Found::Nothing { looked_at_raw }) => {
                    if let Some(one) = asked.get_mut(&source_id) {
                        one.look_later();
                        if looked_at_raw {
                            one.raw_seen = Instant::now();
                        }
                    }
                }
                Err(error) if error.is_transient() => {
                    tracing::warn!(error = chain(&error), "could not look for a seal; it is looked for again");
                    if let Some(one) = asked.get_mut(&source_id) {
                        one.look_later();
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Sends all of it, or none as far as anybody can tell: who gets a message twice finds the seal.
async fn send(queue: &Queue, unsent: &mut Vec<String>) -> Result<(), ReplayError> {
    match queue.send_all(unsent.clone()).await {
        Ok(()) => unsent.clear(),
        Err(error) if error.is_transient() => tracing::warn!(%error, "could not send; tried again"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

impl Quarantine {
    async fn look_for(&self, source_id: &SourceId, asked: &Asked) -> Result<Found, QuarantineError> {
        if let Some(seal) = self.seal_of(source_id, asked.due.generation).await? {
            return Ok(Found::Seal(Box::new(seal)));
        }
        if asked.raw_seen.elapsed() < RAW_PAUSE {
            return Ok(Found::Nothing { looked_at_raw: false });
        }
        Ok(match self.find_raw(asked.due.contents()).await? {
            Raw::Refused(why) => Found::Refused(why),
            Raw::Current | Raw::Version(_) => Found::Nothing { looked_at_raw: true },
        })
    }
}
