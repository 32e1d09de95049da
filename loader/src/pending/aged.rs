//! Requests that were held for too long to be held on.

use super::{Pending, text_bytes};
use crate::batch::Held;
use tokio::time::Instant;

impl<D> Pending<D> {
    /// Gives up what was received before then, of tables that are not loading it.
    pub(crate) fn drain_received_before(&mut self, before: Instant) -> Vec<Held<D>> {
        let mut aged = Vec::new();
        for queue in self.tables.values_mut() {
            // Not in order: what failed was put back in front.
            if queue.waiting.iter().any(|one| one.received < before) {
                let (old, young) =
                    std::mem::take(&mut queue.waiting).into_iter().partition(|one| one.received < before);
                queue.waiting = young;
                aged.extend::<std::collections::VecDeque<_>>(old);
            }
            queue.suspects.retain_mut(|(_, held)| {
                let (old, young): (Vec<_>, Vec<_>) =
                    std::mem::take(held).into_iter().partition(|one| one.received < before);
                *held = young;
                aged.extend(old);
                !held.is_empty()
            });
        }
        self.held -= aged.len();
        self.held_bytes -= text_bytes(&aged);
        aged
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::held;
    use common::settings::TableSettings;
    use std::time::Duration;

    #[test]
    fn only_what_is_too_old_is_given_up_and_it_counts_no_more() {
        let settings = TableSettings { flush_age: Duration::from_secs(1), flush_bytes: 1 << 30, flush_parts: 100 };
        let mut pending = Pending::new();
        let (start, hour) = (Instant::now(), Duration::from_secs(3600));
        for n in 0..4 {
            let mut one = held(&n.to_string(), 0, n);
            one.received = start + hour * n;
            assert!(pending.accept(one, |_| settings.clone()).is_ok());
        }
        let mut deliveries = |before| -> Vec<u32> {
            pending.drain_received_before(before).into_iter().map(|one| one.delivery).collect()
        };
        assert_eq!(deliveries(start + 2 * hour), [0, 1]);
        assert!(deliveries(start + 2 * hour).is_empty());
        assert_eq!(pending.drain_all().len(), 2);
        assert!(pending.is_empty());

        let old = held("5", 0, 5);
        let (event, received) = (old.request.event.clone(), old.received);
        assert!(pending.accept(old, |_| settings.clone()).is_ok());
        let (_, taken) = pending.take_due(received + hour).expect("due");
        pending.put_back(&event, Vec::new(), vec![(received, taken)], None);
        assert_eq!(pending.drain_received_before(received + hour).len(), 1, "a suspect too");
        assert!(pending.is_empty());
    }
}
