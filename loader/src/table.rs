//! What the loader remembers of one table between loads. Losing it costs a few questions, never a row.

use crate::left_out::Told;
use crate::schema::Schema;
use common::event_name::EventName;
use common::load_request::LoadRequest;
use common::source::SourceId;
use std::collections::HashMap;

/// One table's memory. Travels with the table's load, of which there is one at a time.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) event: EventName,
    /// As last read; `None` before the first load and after a failure.
    pub(crate) schema: Option<Schema>,
    /// Whether the schema was read since the batch in work was taken up.
    pub(crate) is_fresh: bool,
    /// How often each request failed alone.
    tries: HashMap<(SourceId, u32), u32>,
    /// Consecutive batches that had to wait; 0 while all is well.
    pub(crate) waits: u32,
    /// Fields left out that people know of.
    pub(crate) told: Told,
    /// Whether people were granted what the settings say.
    pub(crate) is_granted: bool,
}

impl Table {
    pub(crate) fn new(event: EventName) -> Self {
        Self {
            event,
            schema: None,
            is_fresh: false,
            tries: HashMap::new(),
            waits: 0,
            told: Told::default(),
            is_granted: false,
        }
    }

    /// Counts a failure of this request alone, and tells how many there were.
    pub(crate) fn failed_alone(&mut self, request: &LoadRequest) -> u32 {
        let tries = self.tries.entry((request.source_id.clone(), request.generation)).or_default();
        *tries += 1;
        *tries
    }

    /// The request has its fate, and with it every earlier generation of its source: their failures no longer count.
    pub(crate) fn forget(&mut self, request: &LoadRequest) {
        self.tries.retain(|(source, generation), _| *source != request.source_id || *generation > request.generation);
    }

    /// None of its requests is held any more: they may come back another way, to another loader, or never.
    pub(crate) fn forget_all(&mut self) {
        self.tries.clear();
    }

    /// Whether a request that failed alone is still without its fate.
    pub(crate) fn has_suspects(&self) -> bool {
        !self.tries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::held;

    #[test]
    fn tries_count_per_request_until_it_has_its_fate() {
        let (a, b) = (held("a", 0, 1).request, held("b", 0, 1).request);
        let mut table = Table::new(a.event.clone());
        assert_eq!([table.failed_alone(&a), table.failed_alone(&b), table.failed_alone(&a)], [1, 1, 2]);
        table.forget(&a);
        assert!(table.has_suspects());
        table.forget(&b);
        assert!(!table.has_suspects());
        assert_eq!(table.failed_alone(&a), 1);
    }

    #[test]
    fn a_fate_counts_for_earlier_generations_and_not_for_later_ones() {
        let generations = [0, 1, 2].map(|n| held("a", n, 1).request);
        let mut table = Table::new(generations[0].event.clone());
        for request in &generations {
            table.failed_alone(request);
        }
        table.forget(&generations[1]);
        assert_eq!(generations.map(|request| table.failed_alone(&request)), [1, 1, 2]);
    }

    #[test]
    fn a_table_that_gave_up_its_requests_has_no_suspects() {
        let a = held("a", 0, 1).request;
        let mut table = Table::new(a.event.clone());
        table.failed_alone(&a);
        table.forget_all();
        assert!(!table.has_suspects());
    }
}
