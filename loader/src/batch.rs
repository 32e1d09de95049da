//! A batch: the requests of one load transaction, one per source. Pure.

use common::load_request::{LoadRequest, PartsSource};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// A load request that waits here, with the delivery (`D`) it came in.
#[derive(Debug)]
pub(crate) struct Held<D> {
    pub(crate) request: LoadRequest,
    pub(crate) delivery: D,
    pub(crate) received: Instant,
    /// What it counts where held text is bounded.
    pub(crate) text_bytes: usize,
}

/// What a request counts as text whose contents are read from its seal: a sketch that its message could not hold, and
/// each part that is not in the message.
const SEALED_BYTES: usize = 1 << 20;
const SEALED_PART_BYTES: usize = 256;

impl<D> Held<D> {
    /// A request just received; `body_bytes` is the length of its message.
    pub(crate) fn new(request: LoadRequest, delivery: D, body_bytes: usize, received: Instant) -> Self {
        let sealed_bytes = request.seal_key().map_or(0, |_| SEALED_BYTES);
        let part_bytes = match &request.parts {
            PartsSource::Inline(_) => 0,
            PartsSource::Seal(parts) => parts.count * SEALED_PART_BYTES,
        };
        Self { request, delivery, received, text_bytes: body_bytes + sealed_bytes + part_bytes }
    }
}

/// One source of a batch: the request with the highest generation, and whoever shares its fate: its own
/// copies and lower generations, which are superseded when it commits.
#[derive(Debug)]
pub(crate) struct Member<D> {
    /// Highest generation first, never empty.
    held: Vec<Held<D>>,
}

impl<D> Member<D> {
    pub(crate) fn request(&self) -> &LoadRequest {
        &self.held[0].request
    }

    /// Everything that came in for this source.
    pub(crate) fn into_held(self) -> Vec<Held<D>> {
        self.held
    }
}

/// One member per source, in the order of sources.
pub(crate) fn members<D>(held: Vec<Held<D>>) -> Vec<Member<D>> {
    let mut sources: BTreeMap<_, Vec<Held<D>>> = BTreeMap::new();
    for one in held {
        sources.entry(one.request.source_id.clone()).or_default().push(one);
    }
    let member = |mut held: Vec<Held<D>>| {
        held.sort_by_key(|one| std::cmp::Reverse(one.request.generation));
        Member { held }
    };
    sources.into_values().map(member).collect()
}

/// Both halves of at least two members.
pub(crate) fn halves<D>(mut members: Vec<Member<D>>) -> (Vec<Member<D>>, Vec<Member<D>>) {
    let second = members.split_off(members.len() / 2);
    (members, second)
}

/// A name that no other attempt has, so that statements of this one can be found again.
pub(crate) fn new_name(prefix: &str) -> String {
    format!("{prefix}-{}", uuid::Uuid::new_v4())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use common::event_name::EventName;
    use common::load_request::{Lane, SealedParts, SketchSource};
    use common::seal::Part;
    use common::source::SourceId;
    use time::macros::datetime;

    /// A request of one part (100 bytes) for the event `x`; the delivery is a number.
    pub(crate) fn held(source: &str, generation: u32, delivery: u32) -> Held<u32> {
        let source_id = SourceId::new("raw", source, "e");
        let parts = vec![Part { key: format!("routed/x/{source_id}.json.gz"), records: 1, bytes: 100 }];
        let request = LoadRequest {
            version: 1,
            source_id,
            source_time: datetime!(2025-06-01 00:00 UTC),
            generation,
            event: EventName::of_type("x"),
            lane: Lane::Live,
            parts: PartsSource::Inline(parts),
            sketch: SketchSource::Inline(Default::default()),
        };
        Held::new(request, delivery, 10, Instant::now())
    }

    #[test]
    fn what_its_message_could_not_hold_counts_as_text() {
        let mut request = held("a", 0, 1).request;
        assert_eq!(Held::new(request.clone(), 1, 10, Instant::now()).text_bytes, 10);
        request.sketch = SketchSource::Seal("seals/a.json".into());
        assert_eq!(Held::new(request.clone(), 1, 10, Instant::now()).text_bytes, 10 + SEALED_BYTES);
        let parts = SealedParts { seal: "seals/a.json".into(), count: 3_000, records: 9_000, bytes: 90_000 };
        request.parts = PartsSource::Seal(parts);
        let text_bytes = Held::new(request, 1, 10, Instant::now()).text_bytes;
        assert_eq!(text_bytes, 10 + SEALED_BYTES + 3_000 * SEALED_PART_BYTES);
    }

    #[test]
    fn a_source_is_in_a_batch_once_with_its_highest_generation() {
        let members =
            members(vec![held("a", 0, 1), held("b", 0, 2), held("a", 2, 3), held("a", 1, 4), held("a", 2, 5)]);
        assert_eq!(members.len(), 2);
        let a = members.into_iter().find(|member| member.request().generation == 2).expect("the source with three");
        let deliveries: Vec<u32> = a.into_held().into_iter().map(|held| held.delivery).collect();
        assert_eq!(deliveries, [3, 5, 4, 1], "copies and lower generations ride along");
    }

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        let sources =
            |held| members(held).iter().map(|m: &Member<u32>| m.request().source_id.clone()).collect::<Vec<_>>();
        assert_eq!(sources(vec![held("a", 0, 1), held("b", 0, 2)]), sources(vec![held("b", 0, 1), held("a", 0, 2)]));
    }

    #[test]
    fn halving_ends_with_one_alone() {
        let (first, second) = halves(members(vec![held("a", 0, 1), held("b", 0, 2), held("c", 0, 3)]));
        assert_eq!((first.len(), second.len()), (1, 2));
    }
}
