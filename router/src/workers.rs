//! Who waits for a worker, and who gets the next one: live objects first, with a share for backfill so that it always
//! ends.

use common::lanes::{PerLane, Turns};
use common::load_request::Lane;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The workers. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Workers(Arc<Mutex<Line<oneshot::Sender<Worker>>>>);

/// The right to use one worker; dropped, it goes to whoever is next.
#[derive(Debug)]
pub(crate) struct Worker(Workers);

impl Workers {
    pub(crate) fn new(count: usize) -> Self {
        Self(Arc::new(Mutex::new(Line::new(count))))
    }

    /// Waits for a worker. Whoever stops waiting loses nothing but the place in the line.
    pub(crate) async fn wait(&self, lane: Lane) -> Worker {
        let turn = {
            let mut line = self.lock();
            if line.take_free() {
                return Worker(self.clone());
            }
            let (sender, turn) = oneshot::channel();
            line.waiting.get_mut(lane).push_back(sender);
            turn
        };
        turn.await.expect("whoever is in the line is given a worker or waits")
    }

    fn lock(&self) -> MutexGuard<'_, Line<oneshot::Sender<Worker>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let next = self.0.lock().next(|waiting| !waiting.is_closed());
        if let Some(next) = next {
            // If it stopped waiting at this very moment, the worker that comes back is dropped, and so goes on.
            drop(next.send(Worker(self.0.clone())));
        }
    }
}

/// Free workers, and who waits while there are none. Pure.
#[derive(Debug)]
struct Line<T> {
    free: usize,
    waiting: PerLane<VecDeque<T>>,
    turns: Turns,
}

impl<T> Line<T> {
    fn new(free: usize) -> Self {
        Self { free, waiting: PerLane::new(VecDeque::new(), VecDeque::new()), turns: Turns::default() }
    }

    /// Takes a worker that nobody waits for, if there is one.
    fn take_free(&mut self) -> bool {
        let is_free = self.free > 0;
        self.free -= usize::from(is_free);
        is_free
    }

    /// Who gets the worker that has become free, of those who still wait; it is free if nobody does.
    fn next(&mut self, still_waits: impl Fn(&T) -> bool) -> Option<T> {
        for lane in [Lane::Live, Lane::Backfill] {
            let line = self.waiting.get_mut(lane);
            while line.front().is_some_and(|first| !still_waits(first)) {
                line.pop_front();
            }
        }
        let wants = |lane| !self.waiting.get(lane).is_empty();
        let contested = wants(Lane::Live) && wants(Lane::Backfill);
        let lane = match contested {
            true => self.turns.next(),
            false if wants(Lane::Backfill) => Lane::Backfill,
            false => Lane::Live,
        };
        let next = self.waiting.get_mut(lane).pop_front();
        match next {
            Some(_) => self.turns.went(lane, contested),
            None => self.free += 1,
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(live: &[u32], backfill: &[u32]) -> Line<u32> {
        let waiting = PerLane::new(live.iter().copied().collect(), backfill.iter().copied().collect());
        Line { waiting, ..Line::new(0) }
    }

    #[test]
    fn live_objects_pass_waiting_backfill_which_has_every_tenth_turn() {
        let (live, backfill): (Vec<u32>, Vec<u32>) = ((0..20).collect(), (100..120).collect());
        let mut line = line(&live, &backfill);
        let order: Vec<u32> = std::iter::from_fn(|| line.next(|_| true)).collect();
        assert_eq!(order[..12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 100, 9, 10]);
        assert_eq!(order[18..24], [16, 101, 17, 18, 19, 102], "and all turns that live objects do not want");
        assert_eq!((order.len(), line.free), (40, 1));
    }

    #[test]
    fn whoever_stopped_waiting_has_no_turn_and_costs_nobody_one() {
        let mut line = line(&[1, 2, 3], &[100]);
        assert_eq!(line.next(|&one| one > 2), Some(3));
        assert_eq!((line.next(|_| true), line.next(|_| true)), (Some(100), None));
        assert!(line.take_free() && !line.take_free());
    }

    #[tokio::test]
    async fn a_worker_goes_to_the_next_in_line_and_past_those_who_left() {
        let workers = Workers::new(1);
        let first = workers.wait(Lane::Backfill).await;
        let mut backfill = Box::pin(workers.wait(Lane::Backfill));
        let mut left = Box::pin(workers.wait(Lane::Live));
        let mut live = Box::pin(workers.wait(Lane::Live));
        for waiting in [&mut backfill, &mut left, &mut live] {
            assert!(futures::poll!(waiting).is_pending());
        }
        drop(left);
        drop(first);
        let second = live.await;
        assert!(futures::poll!(&mut backfill).is_pending());
        drop(second);
        let third = backfill.await;
        // Given a worker, and gone before it knew.
        let mut gone = Box::pin(workers.wait(Lane::Live));
        assert!(futures::poll!(&mut gone).is_pending());
        drop(third);
        drop(gone);
        assert!(workers.lock().take_free(), "nobody has it");
    }
}
