//! What everybody at work has: where progress goes, and the word to stop.

use super::board::Board;
use super::progress::{Progress, Tracker};
use tokio_util::sync::CancellationToken;

pub(super) struct Desk<'a> {
    pub(super) tracker: &'a mut Tracker,
    pub(super) board: &'a mut Board,
    pub(super) tell: &'a mut (dyn FnMut(&Progress) + Send),
    pub(super) shutdown: &'a CancellationToken,
}

impl Desk<'_> {
    pub(super) async fn tell(&mut self, in_work: u64) {
        let progress = self.tracker.progress(in_work);
        (self.tell)(&progress);
        self.board.renew(&progress).await;
    }
}
