//! What a sweep found and did, for people, logs and `--json`.

use common::load_request::Lane;
use common::swept::Unsealed;
use serde::Serialize;
use std::fmt;
use time::OffsetDateTime;

/// Objects named in a text; `--json` names all.
const SHOWN: usize = 20;

/// What a sweep found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The first hour that was looked at.
    pub from: String,
    /// Whether every folder was looked into, and not only those where something of these hours is likely.
    pub full: bool,
    /// Raw objects listed.
    pub listed: u64,
    /// Of them, of these hours and old enough to be sealed.
    pub objects: u64,
    /// Without a seal: of these hours, and what earlier sweeps left of others.
    pub unsealed: u64,
    /// Due to be asked for.
    pub due: u64,
    /// Of them, asked for by this sweep.
    pub asked: Asked,
    /// Asked for by an earlier one, and not due yet.
    pub waiting: u64,
    /// Left for a later sweep: the queue has enough to do.
    pub left: u64,
    /// Archived: a router cannot read them before they are restored.
    pub archived: u64,
    /// Gone or overwritten before anybody routed them.
    pub lost: u64,
    /// Given up: asked for three times, and still without a seal.
    pub given_up: Vec<GivenUp>,
    /// Marks written or changed.
    pub marks: u64,
    /// Hours that have objects without a seal.
    pub open_hours: u64,
}

/// Requests by lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// On the live lane.
    pub live: u64,
    /// On the backfill lane.
    pub backfill: u64,
}

impl Asked {
    /// Both.
    pub fn total(self) -> u64 {
        self.live + self.backfill
    }

    pub(super) fn add(&mut self, lane: Lane) {
        match lane {
            Lane::Live => self.live += 1,
            Lane::Backfill => self.backfill += 1,
        }
    }
}

/// A raw object that no router could seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GivenUp {
    /// Its key.
    pub key: String,
    /// Its ETag.
    pub etag: String,
    /// Its bytes.
    pub bytes: u64,
    /// Its Last-Modified.
    #[serde(with = "common::timestamp")]
    pub time: OffsetDateTime,
}

impl GivenUp {
    pub(super) fn of(object: &Unsealed) -> Self {
        let Unsealed { key, etag, bytes, time, .. } = object.clone();
        Self { key, etag, bytes, time }
    }
}

impl Report {
    /// The keys of what was given up, as many as a line holds.
    pub(super) fn given_up_keys(&self) -> String {
        let keys: Vec<&str> = self.given_up.iter().take(3).map(|one| one.key.as_str()).collect();
        let more = self.given_up.len().saturating_sub(keys.len());
        if more == 0 { keys.join(", ") } else { format!("{} and {more} more", keys.join(", ")) }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, listed, objects, unsealed, due, asked, waiting, left, archived, lost, .. } = self;
        let folders = if self.full { "every folder" } else { "folders of recent or no date" };
        writeln!(f, "listed {} in {folders}: {objects} of {from} and later", count(*listed, "raw object"))?;
        if *unsealed == 0 {
            writeln!(f, "all of them are sealed")?;
        } else {
            writeln!(f, "{unsealed} without a seal, in {}", count(self.open_hours, "hour"))?;
        }
        for (n, what) in [
            (due - asked.total() - left, "to be asked for"),
            (asked.live, "asked for on the live lane"),
            (asked.backfill, "asked for on the backfill lane"),
            (*waiting, "asked for before, and not due yet"),
            (*left, "left for a later sweep: the queue has enough to do"),
            (*archived, "archived: restore them, or nobody can read them"),
            (*lost, "gone or overwritten before they were routed"),
            (self.given_up.len() as u64, "given up: a router could not seal them"),
        ] {
            if n > 0 {
                writeln!(f, "  {n:>10} {what}")?;
            }
        }
        for GivenUp { key, bytes, time, .. } in self.given_up.iter().take(SHOWN) {
            writeln!(f, "    {key} ({bytes} bytes, {})", common::timestamp::format(*time))?;
        }
        if self.given_up.len() > SHOWN {
            writeln!(f, "    and {} more: --json names all", self.given_up.len() - SHOWN)?;
        }
        writeln!(f, "{} written or changed", count(self.marks, "mark"))
    }
}

fn count(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
