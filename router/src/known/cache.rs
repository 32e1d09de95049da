//! Hours that were listed already, within a budget of bytes.

use super::ids::Ids;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Cache {
    hours: HashMap<OffsetDateTime, Entry>,
    bytes: usize,
    budget: usize,
    /// How long an hour is taken to be as it was: later seals of it are not seen.
    fresh_for: Duration,
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    ids: Arc<Ids>,
    listed_at: Instant,
    used: u64,
}

impl Cache {
    pub(super) fn new(budget: usize, fresh_for: Duration) -> Self {
        Self { hours: HashMap::new(), bytes: 0, budget, fresh_for, clock: 0 }
    }

    pub(super) fn get(&mut self, hour: OffsetDateTime) -> Option<Arc<Ids>> {
        let is_stale = self.hours.get(&hour)?.listed_at.elapsed() >= self.fresh_for;
        if is_stale {
            self.remove(hour);
            return None;
        }
        self.clock += 1;
        let entry = self.hours.get_mut(&hour)?;
        entry.used = self.clock;
        Some(entry.ids.clone())
    }

    /// Keeps an hour, and forgets those longest not asked for where there is no room. One beyond all room is not kept.
    pub(super) fn put(&mut self, hour: OffsetDateTime, ids: Arc<Ids>, listed_at: Instant) {
        self.remove(hour);
        while self.bytes + ids.bytes() > self.budget {
            let Some(oldest) = self.hours.iter().min_by_key(|(_, entry)| entry.used).map(|(hour, _)| *hour) else {
                return;
            };
            self.remove(oldest);
        }
        self.clock += 1;
        self.bytes += ids.bytes();
        self.hours.insert(hour, Entry { ids, listed_at, used: self.clock });
    }

    fn remove(&mut self, hour: OffsetDateTime) {
        if let Some(entry) = self.hours.remove(&hour) {
            self.bytes -= entry.ids.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn ids(n: u128) -> Arc<Ids> {
        let mut ids = Ids::default();
        (0..n).for_each(|id| ids.add(id, 0, false));
        Arc::new(ids.finish())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_asked_for_makes_room_and_nothing_is_believed_for_ever() {
        let hours = [9, 10, 11].map(|hour| datetime!(2025-06-01 00:00 UTC).replace_hour(hour).unwrap());
        let mut cache = Cache::new(2 * ids(100).bytes(), Duration::from_secs(60));
        cache.put(hours[0], ids(100), Instant::now());
        cache.put(hours[1], ids(100), Instant::now());
        assert!(cache.get(hours[0]).is_some());
        cache.put(hours[2], ids(100), Instant::now());
        assert_eq!(hours.map(|hour| cache.get(hour).is_some()), [true, false, true]);
        cache.put(hours[1], ids(1_000), Instant::now());
        assert_eq!(cache.bytes, 0, "one larger than the budget was not kept, and nothing else was counted");
        cache.put(hours[1], ids(1), Instant::now());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(cache.get(hours[1]).is_none() && cache.bytes == 0);
    }
}
