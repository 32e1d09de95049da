//! Through the raw backfill queue: routers route, and this process sends and watches.

use super::Cause;
use super::batch::Batch;
use super::desk::Desk;
use super::outstanding::{OUTSTANDING_MAX, Outstanding};
use super::progress::Tracker;
use super::room::{Rate, Room};
use super::work::Drained;
use crate::listing::RawObject;
use common::queue::Queue;
use common::route_request::RouteRequest;
use std::time::Duration;
use tokio::time::Instant;

/// Pause between two rounds of looking at what was sent.
const ROUND: Duration = Duration::from_millis(250);

pub(super) struct Enqueue {
    queue: Queue,
    room: Room,
    rate: Rate,
    batch: Batch,
    outstanding: Outstanding,
    patience: Duration,
    /// A queue is empty when it has been for this long: what SQS says of it may be a minute old (SQS developer guide,
    /// approximate number of messages).
    empty_for: Duration,
    rounded_at: Instant,
}

impl Enqueue {
    pub(super) fn new(
        queue: Queue,
        rate: Option<f64>,
        outstanding: Outstanding,
        patience: Duration,
        empty_for: Duration,
    ) -> Self {
        Self {
            room: Room::new(queue.clone()),
            queue,
            rate: Rate::new(rate),
            batch: Batch::default(),
            outstanding,
            patience,
            empty_for,
            rounded_at: Instant::now(),
        }
    }

    pub(super) fn in_work(&self) -> u64 {
        self.outstanding.len() as u64
    }

    /// Sends a request as soon as it may be sent. `None`: it was; else why the work ends before.
    pub(super) async fn begin(
        &mut self,
        object: RawObject,
        generation: u32,
        request: &RouteRequest,
        desk: &mut Desk<'_>,
    ) -> Result<Option<Drained>, Cause> {
        let mut full_since: Option<Instant> = None;
        loop {
            if desk.shutdown.is_cancelled() {
                self.flush().await?;
                return Ok(Some(Drained::Interrupted));
            }
            if self.rounded_at.elapsed() >= ROUND {
                self.round(desk).await?;
            }
            let wait = match self.has_room().await? {
                true => self.rate.take(),
                false => {
                    // The walk that led here may have taken long: that was no standstill.
                    let since = *full_since.get_or_insert_with(Instant::now);
                    if since.elapsed().min(desk.tracker.idle()) > self.patience {
                        return Ok(Some(Drained::Stuck));
                    }
                    ROUND
                }
            };
            if wait.is_zero() {
                break;
            }
            self.pause(wait, desk).await?;
        }
        self.room.take();
        self.batch.push(request.to_json());
        self.outstanding.push(object, generation, desk.tracker.typical);
        desk.tracker.moves();
        if self.batch.is_full() {
            self.flush().await?;
        }
        Ok(None)
    }

    async fn has_room(&mut self) -> Result<bool, Cause> {
        // A call that failed is made good before anything is added to it.
        let has_sent = !self.batch.is_full() || self.flush().await?;
        Ok(has_sent && self.outstanding.len() < OUTSTANDING_MAX && self.room.is_there().await?)
    }

    /// Waits until all that was sent is sealed, or will not be. What will not is named on the last walk.
    pub(super) async fn drain(&mut self, is_last: bool, desk: &mut Desk<'_>) -> Result<Drained, Cause> {
        let mut empty_since: Option<Instant> = None;
        while self.outstanding.len() > 0 {
            let is_sent = self.flush().await?;
            if desk.shutdown.is_cancelled() {
                return Ok(Drained::Interrupted);
            }
            self.round(desk).await?;
            if desk.tracker.idle() > self.patience {
                self.outstanding.look(desk.tracker, true).await?;
                break;
            }
            match is_sent && self.is_empty().await? {
                false => empty_since = None,
                true => {
                    let since = *empty_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= self.empty_for {
                        // Whoever had the messages is done with them: what has no seal now gets none.
                        self.outstanding.look(desk.tracker, true).await?;
                        let lost = self.outstanding.len() as u64;
                        match is_last {
                            true => drop(self.outstanding.give_up(desk.tracker)),
                            false => self.outstanding.clear(),
                        }
                        return Ok(Drained::Unsealed(lost));
                    }
                }
            }
            self.pause(ROUND.max(desk.tracker.typical.min(Duration::from_secs(1))), desk).await?;
        }
        Ok(if self.outstanding.len() > 0 { Drained::Stuck } else { Drained::Unsealed(0) })
    }

    async fn is_empty(&self) -> Result<bool, Cause> {
        match self.queue.depth().await {
            Ok(depth) => Ok(depth.is_empty()),
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "could not see whether the queue is empty; it is looked at again");
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What is left when the work ends.
    pub(super) fn give_up(&mut self, tracker: &mut Tracker) -> u64 {
        self.outstanding.give_up(tracker)
    }

    async fn round(&mut self, desk: &mut Desk<'_>) -> Result<(), Cause> {
        self.rounded_at = Instant::now();
        self.outstanding.look(desk.tracker, false).await?;
        desk.tell(self.in_work()).await;
        Ok(())
    }

    async fn pause(&mut self, wait: Duration, desk: &mut Desk<'_>) -> Result<(), Cause> {
        let wait = wait.min(Duration::from_secs(1));
        if self.batch.is_late_after(wait) {
            self.flush().await?;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = desk.shutdown.cancelled() => {}
        }
        Ok(())
    }

    /// Sends what is gathered. Whether it is sent: what could not be is kept.
    async fn flush(&mut self) -> Result<bool, Cause> {
        if self.batch.bodies().is_empty() {
            return Ok(true);
        }
        match self.queue.send_all(self.batch.bodies().to_vec()).await {
            Ok(()) => {
                self.batch.clear();
                Ok(true)
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "could not send; tried again");
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}
