//! Asks for what has no seal, while the queues are nearly empty: a router that is merely behind must cost nobody a try.

use super::due::{self, Due};
use super::open::OpenHour;
use super::round::READS;
use super::standing::{self, Standing};
use super::{Mode, Report, SweepError, Sweeper};
use crate::known::Known;
use common::load_request::Lane;
use common::queue::Feed;
use common::route_request::{RouteRequest, Why};
use common::settings::Settings;
use common::swept::Unsealed;
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::HashSet;
use time::OffsetDateTime;

/// One lane's queue.
struct Outlet {
    feed: Feed,
    /// Whether nothing waited in it when it was asked for the first time: then what was asked for before was taken.
    is_idle: Option<bool>,
}

/// The requests of one sweep.
pub(super) struct Asking<'a> {
    settings: &'a Settings,
    known: &'a Known,
    mode: Mode,
    now: OffsetDateTime,
    live: Outlet,
    /// None where there is no such queue: then everything travels on the live one.
    backfill: Option<Outlet>,
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
        let outlet = |lane| {
            let queue = sweeper.queues.or_live(lane).clone();
            Outlet { feed: Feed::new(queue, mode.patience), is_idle: None }
        };
        let backfill = sweeper.queues.get(Lane::Backfill).map(|_| outlet(Lane::Backfill));
        Self { settings: &sweeper.settings, known, mode, now, live: outlet(Lane::Live), backfill, report }
    }

    /// Takes out of the hours what needs nothing, asks for what is due, and writes that to its entry.
    pub(super) async fn run(&mut self, hours: &mut [OpenHour]) -> Result<(), SweepError> {
        for hour in &mut *hours {
            self.settle(hour).await?;
        }
        // First what was asked for before: after that the queues are not empty any more.
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
        self.live.feed.flush().await?;
        if let Some(backfill) = &mut self.backfill {
            backfill.feed.flush().await?;
        }
        Ok(())
    }

    fn due(&self, object: &Unsealed) -> Due {
        Due::of(object, self.now, self.settings.sweep.every)
    }

    /// Drops entries of objects for which nothing is to be done, and counts what is not asked for.
    async fn settle(&mut self, hour: &mut OpenHour) -> Result<(), SweepError> {
        let (known, overwrite) = (self.known, self.settings.raw.overwrite);
        for object in &mut hour.unsealed {
            if self.mode.again && object.given_up {
                (object.tries, object.last_try_at, object.given_up) = (0, None, false);
            }
        }
        let due = hour.unsealed.iter().filter(|object| self.due(object) == Due::Ask).cloned();
        let checks: Vec<_> = due.map(|object| standing::of_due(known, overwrite, object)).collect();
        let checked: Vec<(Unsealed, Standing)> = stream::iter(checks).buffered(READS).try_collect().await?;
        let settled = checked.into_iter().filter(|(_, standing)| *standing == Standing::Settled);
        let settled: HashSet<String> = settled.map(|(object, _)| object.key).collect();
        hour.unsealed.retain(|object| !settled.contains(&object.key));
        for at in 0..hour.unsealed.len() {
            let object = &mut hour.unsealed[at];
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
        Ok(())
    }

    async fn ask(&mut self, object: &mut Unsealed) -> Result<(), SweepError> {
        if self.mode.dry_run {
            return Ok(());
        }
        let lane = due::lane(object.time, self.now);
        let outlet = match (&mut self.backfill, lane) {
            (Some(backfill), Lane::Backfill) => backfill,
            _ => &mut self.live,
        };
        let request = RouteRequest::new(&self.known.raw_bucket, &object.key, &object.etag, Why::Sweep);
        let may_ask = object.tries == 0 || outlet.is_idle().await?;
        if may_ask && outlet.feed.take(request.to_json()).await? {
            (object.tries, object.last_try_at) = (object.tries + 1, Some(self.now));
            self.report.asked.add(lane);
        } else {
            self.report.left += 1;
        }
        Ok(())
    }
}

impl Outlet {
    async fn is_idle(&mut self) -> Result<bool, SweepError> {
        match self.is_idle {
            Some(known) => Ok(known),
            None => Ok(*self.is_idle.insert(self.feed.is_idle().await?)),
        }
    }
}
