//! Turns to be routed: `workers` objects at once, each on a thread of its own. An object comes up for its turn
//! with its first bytes at hand, and gives it back before anything is uploaded. Live objects come before
//! backfill.

use crate::fetch::{ChunkReader, Fetched};
use crate::route::object::{RouteError, RoutedObject, Rules, route_object};
use crate::route::pieces::Workbench;
use aws_sdk_s3::Client;
use common::load_request::Lane;
use common::slots::{Slot, Slots};
use common::source::SourceObject;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::DropGuard;

pub(crate) struct Turns {
    rules: Arc<Rules>,
    workers: Slots,
    /// Workbenches not in use; never more than there were objects in flight.
    benches: Mutex<Vec<Workbench>>,
}

/// An object that may be routed now.
pub(crate) struct Turn {
    pub source: SourceObject,
    reader: ChunkReader,
    fetching: DropGuard,
    worker: Slot,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum TurnError {
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error("this is a bug of the router: please report it with the object")]
    Panicked(#[source] tokio::task::JoinError),
    #[error("could not prepare a workbench: check the space left under router.spool_dir")]
    Workbench(#[source] std::io::Error),
}

impl Turns {
    pub(crate) fn new(rules: Arc<Rules>, workers: usize) -> Self {
        Self { rules, workers: Slots::new(workers), benches: Mutex::new(Vec::new()) }
    }

    /// Reads ahead and waits. An object whose bytes do not come keeps no other from its turn.
    pub(crate) async fn wait(&self, fetched: Fetched, lane: Lane, s3: Client) -> Result<Turn, TurnError> {
        let source = fetched.source.clone();
        let (mut reader, fetching) = fetched.into_reader(s3);
        reader.first_bytes().await.map_err(RouteError::Fetch)?;
        let worker = self.workers.wait(lane).await;
        Ok(Turn { source, reader, fetching, worker })
    }

    /// Routes the object as this generation. The pieces are in the workbench, which is to be put back when they are uploaded.
    pub(crate) async fn route(&self, turn: Turn, generation: u32) -> Result<(Workbench, RoutedObject), TurnError> {
        // Held by this future: where that is dropped, the thread's next read fails and it ends.
        let Turn { source, reader, fetching: _fetching, worker } = turn;
        tracing::debug!(source.key, "routing {}", source.uri());
        let mut bench = self.take_bench().map_err(TurnError::Workbench)?;
        let rules = self.rules.clone();
        let routing = tokio::task::spawn_blocking(move || {
            let routed = route_object(&rules, &source, generation, reader, &mut bench);
            drop(worker);
            routed.map(|routed| (bench, routed))
        });
        Ok(routing.await.map_err(TurnError::Panicked)??)
    }

    fn take_bench(&self) -> std::io::Result<Workbench> {
        let free = self.benches.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.map_or_else(|| self.rules.workbench(), Ok)
    }

    /// For the next object. What is in the spool is not needed any more.
    pub(crate) fn put_back(&self, mut bench: Workbench) {
        if let Err(error) = bench.clear() {
            tracing::warn!(%error, "could not empty a spool file; the next object gets another");
            return;
        }
        self.benches.lock().unwrap_or_else(PoisonError::into_inner).push(bench);
    }
}
