//! Slots that live and backfill share, and who gets the next one: live first, with a share for backfill so that it always
//! ends.

use crate::lanes::{PerLane, Turns};
use crate::load_request::Lane;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The slots. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Slots(Arc<Mutex<Line<oneshot::Sender<Slot>>>>);

/// The right to one slot; dropped, it goes to whoever is next.
#[derive(Debug)]
pub struct Slot(Slots);

impl Slots {
    /// So many.
    pub fn new(count: usize) -> Self {
        Self(Arc::new(Mutex::new(Line::new(count))))
    }

    /// Waits for a slot. Whoever stops waiting loses nothing but the place in the line.
    pub async fn wait(&self, lane: Lane) -> Slot {
        let turn = {
            let mut line = self.lock();
            if line.take_free() {
                return Slot(self.clone());
            }
            let (sender, turn) = oneshot::channel();
            line.waiting.get_mut(lane).push_back(sender);
            turn
        };
        turn.await.expect("whoever is in the line is given a slot or waits")
    }

    /// A slot that nobody waits for, if there is one.
    pub fn take_free(&self) -> Option<Slot> {
        let is_free = self.lock().take_free();
        is_free.then(|| Slot(self.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, Line<oneshot::Sender<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let next = self.0.lock().next(|waiting| !waiting.is_closed());
        if let Some(next) = next {
            // If it stopped waiting at this very moment, the slot that comes back is dropped, and so goes on.
            drop(next.send(Slot(self.0.clone())));
        }
    }
}

/// Free slots, and who waits while there are none. Pure.
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

    /// Takes a slot that nobody waits for, if there is one.
    fn take_free(&mut self) -> bool {
        let is_free = self.free > 0;
        self.free -= usize::from(is_free);
        is_free
    }

    /// Who gets the slot that has become free, of those who still wait; it is free if nobody does.
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
    fn live_passes_waiting_backfill_which_has_every_tenth_turn() {
        let (live, backfill): (Vec<u32>, Vec<u32>) = ((0..20).collect(), (100..120).collect());
        let mut line = line(&live, &backfill);
        let order: Vec<u32> = std::iter::from_fn(|| line.next(|_| true)).collect();
        assert_eq!(order[..12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 100, 9, 10]);
        assert_eq!(order[18..24], [17, 101, 18, 19, 102, 103], "and all turns that live does not want");
        assert_eq!((order.len(), line.free), (40, 1));
    }

    #[test]
    fn whoever_stopped_waiting_has_no_turn_and_costs_nobody_one() {
        let mut line = line(&[1, 2, 3], &[100]);
        assert_eq!(line.next(|&one| one > 2), Some(3));
        assert_eq!((line.next(|_| true), line.next(|_| true)), (Some(100), None));
        assert!(line.take_free() && !line.take_free());
    }

    /// Whether it is given a slot, or has to wait on.
    async fn polled(waiting: &mut (impl Future<Output = Slot> + Unpin)) -> Option<Slot> {
        std::future::poll_fn(|context| match std::pin::Pin::new(&mut *waiting).poll(context) {
            std::task::Poll::Ready(slot) => std::task::Poll::Ready(Some(slot)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }

    #[tokio::test]
    async fn a_slot_goes_to_the_next_in_line_and_past_those_who_left() {
        let slots = Slots::new(1);
        let first = slots.wait(Lane::Backfill).await;
        let mut backfill = Box::pin(slots.wait(Lane::Backfill));
        let mut left = Box::pin(slots.wait(Lane::Live));
        let mut live = Box::pin(slots.wait(Lane::Live));
        for waiting in [&mut backfill, &mut left, &mut live] {
            assert!(polled(waiting).await.is_none());
        }
        drop(left);
        drop(first);
        let second = live.await;
        assert!(polled(&mut backfill).await.is_none() && slots.take_free().is_none());
        drop(second);
        let third = backfill.await;
        // Given a slot, and gone before it knew.
        let mut gone = Box::pin(slots.wait(Lane::Live));
        assert!(polled(&mut gone).await.is_none());
        drop(third);
        drop(gone);
        assert!(slots.take_free().is_some(), "nobody has it");
    }
}
