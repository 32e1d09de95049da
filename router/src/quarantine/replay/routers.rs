//! Sources routed by whoever reads the queue: asked for by messages, and known to be done when their seals are there.

use super::super::due::Due;
use super::super::raw::{Raw, Refusal};
use super::super::{Notice, Quarantine, QuarantineError};
use super::{Progress, ReplayError, Run};
use common::queue::Queue;
use common::seal::Seal;
use common::source::SourceId;
use futures::{StreamExt, stream};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Sources that are asked for and not sealed yet; bounds memory, and what a queue holds of a replay.
const ASKED_MAX: usize = 1_000;

/// Seals that are looked for at once.
const LOOKS: usize = 32;

/// Between two looks for the same seals.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// After this long without its seal a source's raw object is looked for again: it may have been deleted meanwhile.
const RAW_PAUSE: Duration = Duration::from_secs(30);

/// A source that is asked for.
struct Asked {
    due: Due,
    raw_seen: Instant,
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
        let (mut settled, mut moved_at) = (0, Instant::now());
        loop {
            self.ask(queue, &mut asked).await?;
            if asked.is_empty() || self.shutdown.is_cancelled() || moved_at.elapsed() > patience {
                return Ok(());
            }
            let earliest = Instant::now() + LOOK_PAUSE;
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

    /// Asks for as many sources as may be asked for at once.
    async fn ask(&mut self, queue: &Queue, asked: &mut HashMap<SourceId, Asked>) -> Result<(), ReplayError> {
        let mut bodies = Vec::new();
        while asked.len() < ASKED_MAX && !self.shutdown.is_cancelled() {
            let Some(due) = self.sources.next()? else { break };
            bodies.push(due.request(&self.id, &self.routing_id).to_json());
            asked.insert(due.source_id(), Asked { due, raw_seen: Instant::now() });
        }
        Ok(queue.send_all(bodies).await?)
    }

    /// Looks for the seals of all that is asked for.
    async fn look(&mut self, asked: &mut HashMap<SourceId, Asked>) -> Result<(), ReplayError> {
        let quarantine = self.quarantine;
        let looks = asked.iter().map(|(source_id, one)| async move {
            let found = quarantine.look_for(source_id, one).await;
            found.map(|found| (source_id.clone(), found))
        });
        let found: Vec<_> = stream::iter(looks).buffer_unordered(LOOKS).collect().await;
        for one in found {
            let (source_id, found) = one?;
            match found {
                Found::Nothing { looked_at_raw } => {
                    if let Some(one) = asked.get_mut(&source_id).filter(|_| looked_at_raw) {
                        one.raw_seen = Instant::now();
                    }
                }
                Found::Seal(seal) => {
                    asked.remove(&source_id);
                    self.sealed(&seal);
                }
                Found::Refused(why) => {
                    if let Some(one) = asked.remove(&source_id) {
                        self.refused(one.due.uri(), why);
                    }
                }
            }
        }
        Ok(())
    }
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
