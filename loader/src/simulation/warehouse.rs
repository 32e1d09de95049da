//! How long a load takes. Numbers of a model, each with where it is from; change them and run again.

use crate::pending::Load;
use std::time::Duration;
use tokio::time::Instant;

/// One commit, and only one at a time over the whole warehouse: the sample of `STL_COMMIT_STATS` in the database
/// developer guide shows one of 617 ms.
pub(super) const COMMIT: Duration = Duration::from_millis(617);

/// Before the transaction, for all its tables at once: asking the ledgers through the Data API, and two small objects
/// on S3 each. Assumed.
const PREPARE: Duration = Duration::from_millis(700);

/// A COPY of nearly nothing: planning, reading the manifest, one slice. Assumed.
const COPY: Duration = Duration::from_millis(1_000);

/// Decompressed JSON that COPY reads in a second, on a small warehouse. Assumed.
const COPY_BYTES_A_SECOND: f64 = 100e6;

/// The statements around a COPY. Assumed.
const STATEMENTS: Duration = Duration::from_millis(150);

#[derive(Debug, Default)]
pub(super) struct Warehouse {
    /// When the commit that was last queued is done.
    committed: Option<Instant>,
    /// What commits took together.
    pub(super) committing: Duration,
}

impl Warehouse {
    /// When the statements of a load are done that begins now.
    pub(super) fn begin<D>(&self, now: Instant, load: &Load<D>) -> Instant {
        let tables = load.tables.len() as u32;
        let bytes: u64 = load.tables.iter().flat_map(|(_, held)| held).map(|one| one.request.bytes()).sum();
        now + PREPARE + (COPY + STATEMENTS) * tables + Duration::from_secs_f64(bytes as f64 / COPY_BYTES_A_SECOND)
    }

    /// When the commit is done that is asked for now.
    pub(super) fn commit(&mut self, now: Instant) -> Instant {
        let done = self.committed.map_or(now, |free| free.max(now)) + COMMIT;
        self.committed = Some(done);
        self.committing += COMMIT;
        done
    }
}
