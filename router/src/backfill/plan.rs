//! The plan: what there is, what is to be done about it, and what that takes. Making it changes nothing.

use super::Cause;
use super::expected::{Expected, Task};
use super::pass::{Judged, Listed, Pass};
use super::sample::{Basis, Chosen, sample};
use super::standing::{Seals, Standing};
use common::settings::Settings;
use serde::Serialize;
use std::time::Instant;

/// Objects, and their stored bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Objects.
    pub objects: u64,
    /// Stored bytes.
    pub bytes: u64,
}

impl Amount {
    pub(super) fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// What a backfill would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Which objects.
    pub what: String,
    /// The replace's id, if it was begun before.
    pub replace_id: Option<String>,
    /// Whether the same replace was finished before.
    pub was_finished: bool,
    /// Objects listed, in the range or not.
    pub listed: u64,
    /// How long that took, with the look at what is sealed.
    pub listed_seconds: f64,
    /// All of the range.
    pub range: Amount,
    /// Of them, sealed already; with `--replace`, those that it has been through with.
    pub done: Amount,
    /// To be routed for the first time.
    pub unsealed: Amount,
    /// To be routed again.
    pub replaced: Amount,
    /// Replaced by others since this replace began: left alone.
    pub by_others: Amount,
    /// To be routed, and to be restored before anybody can.
    pub archived: Amount,
    /// What the expectations rest on.
    pub basis: Basis,
    /// On how many seals.
    pub basis_seals: u64,
    /// What it takes.
    pub expected: Expected,
}

impl Plan {
    /// What will be routed.
    pub fn to_route(&self) -> Amount {
        let (first, again) = (self.unsealed, self.replaced);
        Amount { objects: first.objects + again.objects, bytes: first.bytes + again.bytes }
    }
}

/// What a pass counts, before anything is expected of it.
#[derive(Debug, Default)]
pub(super) struct Counts {
    range: Amount,
    done: Amount,
    unsealed: Amount,
    replaced: Amount,
    by_others: Amount,
    archived: Amount,
}

impl Counts {
    fn add(&mut self, judged: &Judged) {
        let bytes = judged.object.bytes;
        self.range.add(bytes);
        match judged.standing {
            Standing::Done => self.done.add(bytes),
            Standing::Unsealed => self.unsealed.add(bytes),
            Standing::Replace(_) => self.replaced.add(bytes),
            Standing::Others => self.by_others.add(bytes),
            Standing::Archived => self.archived.add(bytes),
        }
    }
}

/// What a plan is made for.
pub(super) struct Asked<'a> {
    pub(super) settings: &'a Settings,
    pub(super) seals: &'a Seals,
    pub(super) what: &'a str,
    pub(super) replace_id: Option<String>,
    pub(super) was_finished: bool,
    pub(super) rate: Option<f64>,
    pub(super) is_direct: bool,
}

/// Walks over the range once, and counts.
pub(super) async fn plan(asked: Asked<'_>, pass: &mut Pass) -> Result<Plan, Cause> {
    let (began, mut counts, mut chosen) = (Instant::now(), Counts::default(), Chosen::default());
    while let Some(some) = pass.next().await? {
        for judged in &some {
            counts.add(judged);
            if let Some(generation) = judged.generation {
                chosen.offer(|| judged.object.source_id(&asked.seals.raw_bucket), generation);
            }
        }
    }
    let listed_seconds = began.elapsed().as_secs_f64();
    let Listed { objects: listed, pages } = pass.listed;
    let (basis, seals) = sample(asked.seals, chosen).await?;
    let Counts { range, done, unsealed, replaced, by_others, archived } = counts;
    let task = Task {
        objects: unsealed.objects + replaced.objects,
        first: unsealed.objects,
        bytes: unsealed.bytes + replaced.bytes,
        lists: pages + pass.index_requests(),
        rate: asked.rate,
        is_direct: asked.is_direct,
    };
    Ok(Plan {
        what: asked.what.to_owned(),
        replace_id: asked.replace_id,
        was_finished: asked.was_finished,
        listed,
        listed_seconds,
        range,
        done,
        unsealed,
        replaced,
        by_others,
        archived,
        basis,
        basis_seals: seals.seals,
        expected: Expected::of(task, &seals, asked.settings),
    })
}
