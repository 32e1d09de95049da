//! Seals by the thousand: read some at a time, each reduced to what the sweep asks of it.

use common::event_name::EventName;
use common::keys::KeyLayout;
use common::seals::{self, SealReadError};
use common::source::SourceId;
use std::collections::VecDeque;
use std::sync::Arc;
use time::OffsetDateTime;
use tokio::task::JoinSet;

/// Seals in hand at once; each may be some MiB.
pub(super) const READS: usize = 16;

/// What the sweep keeps of a seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) source_id: SourceId,
    pub(super) generation: u32,
    pub(super) source_time: OffsetDateTime,
    pub(super) sealed_at: OffsetDateTime,
    /// Each event and the generation that its parts belong to.
    pub(super) events: Vec<(EventName, u32)>,
}

/// Where seals lie.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) s3: aws_sdk_s3::Client,
    pub(super) bucket: String,
    pub(super) keys: KeyLayout,
}

/// Seals being read, in no order.
#[derive(Debug)]
pub(super) struct Reading {
    store: Arc<Store>,
    waiting: VecDeque<(SourceId, u32)>,
    reads: JoinSet<Result<Sealed, SealReadError>>,
}

impl Reading {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store, waiting: VecDeque::new(), reads: JoinSet::new() }
    }

    pub(super) fn push(&mut self, source_id: SourceId, generation: u32) {
        self.waiting.push_back((source_id, generation));
    }

    /// The next seal; `None` when all that was pushed has been read.
    pub(super) async fn next(&mut self) -> Option<Result<Sealed, SealReadError>> {
        while self.reads.len() < READS {
            let Some((source_id, generation)) = self.waiting.pop_front() else { break };
            let store = self.store.clone();
            self.reads.spawn(async move {
                let key = store.keys.seal(&source_id, generation);
                let seal = seals::read(&store.s3, &store.bucket, &key).await?;
                let events = seal.events.into_iter().map(|sealed| (sealed.event, sealed.since)).collect();
                let (source_time, sealed_at) = (seal.source.time, seal.sealed_at);
                Ok(Sealed { source_id, generation, source_time, sealed_at, events })
            });
        }
        let read = self.reads.join_next().await?;
        Some(read.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())))
    }
}
