//! The work: the range is walked over until a walk finds nothing to begin. The last walk is the proof that all is sealed.

use super::desk::Desk;
use super::direct::Direct;
use super::enqueue::Enqueue;
use super::pass::{Judged, Manner, Pass, SOME_LOOKS};
use super::standing::{Replacing, Seals, Standing};
use super::{Cause, Options};
use crate::listing::{Order, RawObject};
use common::route_request::{Replace, RouteRequest, Why};
use common::settings::Settings;
use std::time::Duration;

/// Walks at most: after the first, each tries again what has no seal although nobody works on it any more.
const PASSES: usize = 4;

/// Objects judged together. Few, so that what is known of them is young when they are sent.
const AT_ONCE: usize = 4_096;

/// How long what is known of an hour is believed.
const FRESH_FOR: Duration = Duration::from_secs(60);

/// How what was begun has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drained {
    /// Nobody works on anything any more, and so many have no seal.
    Unsealed(u64),
    /// Nothing has been sealed for too long.
    Stuck,
    Interrupted,
}

/// Who routes.
pub(super) enum Way {
    Queue(Box<Enqueue>),
    Direct(Box<Direct>),
}

/// What is worked on.
pub(super) struct Work<'a> {
    pub(super) settings: &'a Settings,
    pub(super) seals: &'a Seals,
    pub(super) options: &'a Options,
    pub(super) prefix: &'a str,
    pub(super) replacing: Option<&'a Replacing>,
    pub(super) order: Order,
    /// Objects that the plan found done.
    pub(super) done: u64,
}

/// How the work has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The last walk found nothing to begin.
    Proven,
    /// Before such a walk; so many of what was begun have no seal.
    Left(u64),
    Interrupted,
}

impl Work<'_> {
    pub(super) async fn run(&self, way: &mut Way, desk: &mut Desk<'_>) -> Result<Ended, Cause> {
        let mut unsealed = 0;
        for number in 0..PASSES {
            let begun = match self.pass(number, way, desk).await? {
                Ok(begun) => begun,
                Err(Drained::Interrupted) => {
                    // What is routed here is sealed first, as far as there is time.
                    way.drain(false, desk).await?;
                    return Ok(Ended::Interrupted);
                }
                Err(_) => return Ok(Ended::Left(way.give_up(desk.tracker))),
            };
            if begun == 0 {
                return Ok(Ended::Proven);
            }
            unsealed = match way.drain(number + 1 == PASSES, desk).await? {
                Drained::Unsealed(unsealed) => unsealed,
                Drained::Interrupted => return Ok(Ended::Interrupted),
                Drained::Stuck => return Ok(Ended::Left(way.give_up(desk.tracker))),
            };
        }
        Ok(Ended::Left(unsealed))
    }

    /// One walk. How many objects were begun, or why it ended before its end.
    async fn pass(&self, number: usize, way: &mut Way, desk: &mut Desk<'_>) -> Result<Result<u64, Drained>, Cause> {
        // After the first walk, what the index does not show is little, or was routed under another hour.
        let looks = if number == 0 { SOME_LOOKS } else { usize::MAX };
        let manner = Manner { order: self.order, at_once: AT_ONCE, fresh_for: FRESH_FOR, looks };
        let Self { settings, seals, options, prefix, replacing, .. } = *self;
        let mut pass = Pass::start(settings, seals, options, prefix, replacing, manner);
        let (mut begun, mut done) = (0, 0);
        desk.tracker.walks_again();
        loop {
            let some = tokio::select! {
                some = pass.next() => some?,
                () = desk.shutdown.cancelled() => return Ok(Err(Drained::Interrupted)),
            };
            let Some(some) = some else { break };
            let begun_before = begun;
            for Judged { object, standing, .. } in some {
                let generation = match standing {
                    Standing::Done => {
                        done += 1;
                        // On the first walk, what is done beyond the plan was done by others meanwhile.
                        if number == 0 && done > self.done {
                            desk.tracker.by_others(1);
                        }
                        continue;
                    }
                    Standing::Archived => {
                        desk.tracker.left.archived += 1;
                        desk.tracker.left.name("archived", &object.key);
                        continue;
                    }
                    Standing::Others => {
                        desk.tracker.lost_claim(&object.key);
                        continue;
                    }
                    Standing::Unsealed => 0,
                    Standing::Replace(generation) => generation,
                };
                if desk.tracker.is_ignored(&object.source_id(&seals.raw_bucket)) {
                    continue;
                }
                let request = self.request(&object, generation, standing == Standing::Unsealed);
                let ended = match way {
                    Way::Queue(queue) => queue.begin(object, generation, &request, desk).await?,
                    Way::Direct(direct) => direct.begin(object, request, desk).await?,
                };
                if let Some(ended) = ended {
                    return Ok(Err(ended));
                }
                begun += 1;
            }
            if begun == begun_before {
                // Nobody waited for anybody while these were looked at.
                desk.tracker.moves();
            }
            desk.tell(way.in_work()).await;
        }
        if begun == 0 {
            pass.mark().await?;
        }
        Ok(Ok(begun))
    }

    fn request(&self, object: &RawObject, generation: u32, is_first: bool) -> RouteRequest {
        let mut request = RouteRequest::new(&self.seals.raw_bucket, &object.key, &object.etag, Why::Backfill);
        request.events.clone_from(&self.options.events);
        request.replace = self.replacing.filter(|_| !is_first).map(|replacing| Replace {
            id: replacing.document.id.clone(),
            generation,
            routing_id: Some(replacing.routing_id.clone()),
        });
        request
    }
}

impl Way {
    pub(super) fn in_work(&self) -> u64 {
        match self {
            Self::Queue(queue) => queue.in_work(),
            Self::Direct(direct) => direct.in_work(),
        }
    }

    async fn drain(&mut self, is_last: bool, desk: &mut Desk<'_>) -> Result<Drained, Cause> {
        match self {
            Self::Queue(queue) => queue.drain(is_last, desk).await,
            Self::Direct(direct) => Ok(direct.drain(desk).await),
        }
    }

    fn give_up(&mut self, tracker: &mut super::progress::Tracker) -> u64 {
        match self {
            Self::Queue(queue) => queue.give_up(tracker),
            Self::Direct(direct) => direct.give_up(),
        }
    }
}
