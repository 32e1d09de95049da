//! Through the raw backfill queue: routers route, and this process sends and watches.

use super::Cause;
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

/// Messages gathered for a call.
const GATHERED: usize = 10;

/// Pause between two rounds of looking at what was sent.
const ROUND: Duration = Duration::from_millis(250);

pub(super) struct Enqueue {
    queue: Queue,
    room: Room,
    rate: Rate,
    gathered: Vec<String>,
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
            gathered: Vec::new(),
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
        loop {
            if desk.shutdown.is_cancelled() {
                self.flush().await?;
                return Ok(Some(Drained::Interrupted));
            }
            if self.rounded_at.elapsed() >= ROUND {
                self.round(desk).await?;
            }
            let wait = match self.outstanding.len() < OUTSTANDING_MAX {
                false => ROUND,
                true => match self.rate.take() {
                    wait if !wait.is_zero() => wait,
                    _ => break,
                },
            };
            self.pause(wait, desk).await?;
            if desk.tracker.idle() > self.patience {
                return Ok(Some(Drained::Stuck));
            }
        }
        while !self.room.take().await? {
            if desk.shutdown.is_cancelled() {
                self.flush().await?;
                return Ok(Some(Drained::Interrupted));
            }
            self.pause(ROUND, desk).await?;
            self.round(desk).await?;
            if desk.tracker.idle() > self.patience {
                return Ok(Some(Drained::Stuck));
            }
        }
        self.gathered.push(request.to_json());
        self.outstanding.push(object, generation, desk.tracker.typical);
        desk.tracker.begun();
        if self.gathered.len() >= GATHERED {
            self.flush().await?;
        }
        Ok(None)
    }

    /// Waits until all that was sent is sealed, or will not be.
    pub(super) async fn drain(&mut self, desk: &mut Desk<'_>) -> Result<Drained, Cause> {
        self.flush().await?;
        let mut empty_since: Option<Instant> = None;
        while self.outstanding.len() > 0 {
            if desk.shutdown.is_cancelled() {
                return Ok(Drained::Interrupted);
            }
            self.round(desk).await?;
            if desk.tracker.idle() > self.patience {
                self.outstanding.look(desk.tracker, true).await?;
                break;
            }
            match self.queue.depth().await?.is_empty() {
                false => empty_since = None,
                true => {
                    let since = *empty_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= self.empty_for {
                        // Whoever had the messages is done with them: what has no seal now gets none.
                        self.outstanding.look(desk.tracker, true).await?;
                        let lost = self.outstanding.len() as u64;
                        self.outstanding.clear();
                        return Ok(Drained::Unsealed(lost));
                    }
                }
            }
            self.pause(ROUND.max(desk.tracker.typical.min(Duration::from_secs(1))), desk).await?;
        }
        Ok(if self.outstanding.len() > 0 { Drained::Stuck } else { Drained::Unsealed(0) })
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
        // What is gathered must not wait with us.
        self.flush().await?;
        tokio::select! {
            () = tokio::time::sleep(wait.min(Duration::from_secs(1))) => {}
            () = desk.shutdown.cancelled() => {}
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Cause> {
        Ok(self.queue.send_all(std::mem::take(&mut self.gathered)).await?)
    }
}
