//! The queues of one kind of message: the live one and, where there is one, the backfill lane's.

use super::{Depth, Queue, QueueError};
use crate::aws_error::AwsError;
use crate::load_request::Lane;
use crate::settings::QueueNames;
use aws_sdk_sqs::Client;

/// Both lanes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LaneQueues {
    live: Queue,
    backfill: Option<Queue>,
}

impl LaneQueues {
    /// Opens both; `section` is where they are configured. A backfill queue of the default name need not exist: then
    /// there is no such lane. One that the settings name must, because whoever names it means to use it.
    pub async fn open(sqs: &Client, names: &QueueNames, section: &str) -> Result<Self, QueueError> {
        let [live_setting, backfill_setting] = [Lane::Live, Lane::Backfill].map(|lane| setting(section, lane));
        let live = Queue::open(sqs, &names.live, &live_setting).await?;
        let backfill = match Queue::open(sqs, &names.backfill, &backfill_setting).await {
            Ok(queue) => {
                queue.check_differs(&backfill_setting, &live, &live_setting)?;
                Some(queue)
            }
            Err(QueueError::Missing { .. }) if !names.backfill_is_set => None,
            Err(error) => return Err(error),
        };
        Ok(Self { live, backfill })
    }

    /// The live lane's.
    pub fn live(&self) -> &Queue {
        &self.live
    }

    /// The lane's own, if it has one.
    pub fn get(&self, lane: Lane) -> Option<&Queue> {
        match lane {
            Lane::Live => Some(&self.live),
            Lane::Backfill => self.backfill.as_ref(),
        }
    }

    /// Where messages of this lane are sent: to the live queue where there is no backfill lane.
    pub fn or_live(&self, lane: Lane) -> &Queue {
        self.get(lane).unwrap_or(&self.live)
    }

    /// Each queue that there is.
    pub fn each(&self) -> impl Iterator<Item = (Lane, &Queue)> {
        [Lane::Live, Lane::Backfill].into_iter().filter_map(|lane| Some((lane, self.get(lane)?)))
    }

    /// Fails unless each takes messages of `needed` bytes.
    pub fn check_take(&self, needed: usize, section: &str) -> Result<(), QueueError> {
        self.each().try_for_each(|(lane, queue)| queue.check_takes(needed, &setting(section, lane)))
    }

    /// Fails if a queue of these is one of those.
    pub fn check_differ(&self, section: &str, others: &Self, others_section: &str) -> Result<(), QueueError> {
        for (lane, queue) in self.each() {
            for (other_lane, other) in others.each() {
                queue.check_differs(&setting(section, lane), other, &setting(others_section, other_lane))?;
            }
        }
        Ok(())
    }

    /// How much they hold together.
    pub async fn depth(&self) -> Result<Depth, AwsError> {
        let mut depth = Depth::default();
        for (_, queue) in self.each() {
            depth += queue.depth().await?;
        }
        Ok(depth)
    }
}

fn setting(section: &str, lane: Lane) -> String {
    match lane {
        Lane::Live => format!("{section}.queue"),
        Lane::Backfill => format!("{section}.backfill_queue"),
    }
}
