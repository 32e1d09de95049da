//! Asks for what has no seal, while the queues are nearly empty: a router that is merely behind must cost nobody a try.

use super::due::{self, Due};
use super::open::OpenHour;
use super::{Mode, Report, SweepError, Sweeper};
use crate::known::Known;
use common::load_request::Lane;
use common::queue::{Feed, Idle, Queue};
use common::route_request::{RouteRequest, Why};
use common::settings::Settings;
use common::swept::Unsealed;
use time::OffsetDateTime;

/// The requests of one sweep.
pub(super) struct Asking<'a> {
    settings: &'a Settings,
    known: &'a Known,
    mode: Mode,
    now: OffsetDateTime,
    live: Feed,
    /// None where there is no such queue: then everything travels on the live one.
    backfill: Option<Feed>,
    /// How far the queues were done with what they held when this sweep began to ask.
    idle: Idle,
    report: &'a mut Report,
}

impl<'a> Asking<'a> {
    pub(super) fn new(
        sweeper: &'a Sweeper,
        known: &'a Known,
        mode: Mode,
        now: OffsetDateTime,
        report: &'a mut Report,
    ) -> Self {
        let feed = |queue: &Queue| Feed::new(queue.clone(), mode.patience);
        let live = sweeper.queues.live();
        // Where notifications wait, most of what has no seal is among them.
        let backfill = sweeper.queues.get(Lane::Backfill).map(|queue| feed(queue).beside(live.clone()));
        let (live, idle) = (feed(live), Idle::No);
        Self { settings: &sweeper.settings, known, mode, now, live, backfill, idle, report }
    }

    /// Takes out of the hours what needs nothing, asks for what is due, and writes that to its entry.
    pub(super) async fn run(&mut self, hours: &mut [OpenHour]) -> Result<(), SweepError> {
        for hour in &mut *hours {
            self.count(hour);
        }
        let is_again = |object: &Unsealed| object.tries > 0 && self.due(object) == Due::Ask;
        if !self.mode.dry_run && hours.iter().flat_map(|hour| &hour.unsealed).any(is_again) {
            self.idle = self.backfill.as_ref().unwrap_or(&self.live).idle().await?;
        }
        // First what was asked for before: it is the oldest.
        for again in [true, false] {
            for hour in &mut *hours {
                let archived = &hour.archived;
                let due = hour.unsealed.iter_mut().filter(|object| !archived.contains(&object.key));
                for object in due {
                    if (object.tries > 0) == again && self.due(object) == Due::Ask {
                        self.ask(object).await?;
                    }
                }
            }
        }
        self.live.flush().await?;
        if let Some(backfill) = &mut self.backfill {
            backfill.flush().await?;
        }
        Ok(())
    }

    fn due(&self, object: &Unsealed) -> Due {
        Due::of(object, self.now, self.settings.sweep.every)
    }

    /// Counts what is to be done for each object, and what is not.
    fn count(&mut self, hour: &mut OpenHour) {
        for object in &mut hour.unsealed {
            if self.mode.again && object.given_up {
                (object.tries, object.last_try_at, object.given_up) = (0, None, false);
            }
            if hour.archived.contains(&object.key) {
                self.report.archived += 1;
                continue;
            }
            match Due::of(object, self.now, self.settings.sweep.every) {
                Due::Ask => self.report.due += 1,
                Due::Wait => self.report.waiting += 1,
                Due::GiveUp => object.given_up = true,
            }
        }
    }

    async fn ask(&mut self, object: &mut Unsealed) -> Result<(), SweepError> {
        if self.mode.dry_run {
            return Ok(());
        }
        let lane = due::lane(object.time, self.now);
        let may_ask = due::may_ask(object, self.idle, self.now, self.settings.router.max_object_time);
        let feed = match (&mut self.backfill, lane) {
            (Some(backfill), Lane::Backfill) => backfill,
            _ => &mut self.live,
        };
        let request = RouteRequest::new(&self.known.raw_bucket, &object.key, &object.etag, Why::Sweep);
        if may_ask && feed.take(request.to_json()).await? {
            (object.tries, object.last_try_at) = (object.tries + 1, Some(self.now));
            self.report.asked.add(lane);
        } else {
            self.report.left += 1;
        }
        Ok(())
    }
}
