//! The queues of load requests: the live one and, where there is one, the backfill lane's.

use common::aws_error::AwsError;
use common::clients::Clients;
use common::load_request::Lane;
use common::queue::{Depth, Queue, QueueError};
use common::settings::QueueNames;

/// Both lanes. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Queues {
    live: Queue,
    backfill: Option<Queue>,
}

impl Queues {
    /// Opens both. A backfill queue of the default name need not exist: then there is no such lane. One that the
    /// settings name must, because whoever names it means to use it.
    pub(crate) async fn open(clients: &Clients, names: &QueueNames) -> Result<Self, QueueError> {
        let live = Queue::open(&clients.sqs, &names.live, "routed.queue").await?;
        let backfill = match Queue::open(&clients.sqs, &names.backfill, "routed.backfill_queue").await {
            Ok(queue) => {
                queue.check_differs("routed.backfill_queue", &live, "routed.queue")?;
                Some(queue)
            }
            Err(QueueError::Missing { queue, .. }) if !names.backfill_is_set => {
                tracing::warn!(queue, "there is no backfill lane: create the queue before old logs are loaded again");
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Self { live, backfill })
    }

    pub(crate) fn live(&self) -> &Queue {
        &self.live
    }

    pub(crate) fn get(&self, lane: Lane) -> Option<&Queue> {
        match lane {
            Lane::Live => Some(&self.live),
            Lane::Backfill => self.backfill.as_ref(),
        }
    }

    /// How much both hold.
    pub(crate) async fn depth(&self) -> Result<Depth, AwsError> {
        let mut depth = self.live.depth().await?;
        if let Some(backfill) = &self.backfill {
            let Depth { visible, in_flight, delayed } = backfill.depth().await?;
            depth.visible += visible;
            depth.in_flight += in_flight;
            depth.delayed += delayed;
        }
        Ok(depth)
    }
}
