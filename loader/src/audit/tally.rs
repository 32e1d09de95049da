//! The sums of an audit, and the one line that they must come to.

use serde::Serialize;
use std::fmt;
use std::ops::AddAssign;

/// What became of the records that were routed. They balance:
/// `routed = loaded + rejected + removed + waiting + replacing + failed + missing`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// In parts, as the highest seals say.
    pub routed: u64,
    /// In the table, each once.
    pub loaded: u64,
    /// Refused by COPY, and in quarantine.
    pub rejected: u64,
    /// Loaded, and removed by people who said so.
    pub removed: u64,
    /// Not loaded yet, and on their way.
    pub waiting: u64,
    /// Of a replace, not loaded yet, and on their way; the rows before are in the table until then.
    pub replacing: u64,
    /// Set aside, until a person acts.
    pub failed: u64,
    /// Nowhere.
    pub missing: u64,
    /// Rows beside those that are loaded. No part of the balance: no record stands for them.
    pub doubled: u64,
}

impl Tally {
    /// Whether every routed record is accounted for.
    pub fn balances(&self) -> bool {
        let Self { routed, loaded, rejected, removed, waiting, replacing, failed, missing, .. } = *self;
        routed == loaded + rejected + removed + waiting + replacing + failed + missing
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        let Self { routed, loaded, rejected, removed, waiting, replacing, failed, missing, doubled } = other;
        self.routed += routed;
        self.loaded += loaded;
        self.rejected += rejected;
        self.removed += removed;
        self.waiting += waiting;
        self.replacing += replacing;
        self.failed += failed;
        self.missing += missing;
        self.doubled += doubled;
    }
}

/// What became of the records that were read; and the raw objects of which nothing was.
/// `read = routed + quarantined + dropped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReadTally {
    /// Raw objects with a seal.
    pub objects: u64,
    /// Records in them.
    pub read: u64,
    /// In parts.
    pub routed: u64,
    /// In the router's quarantine.
    pub quarantined: u64,
    /// Removed by a drop rule.
    pub dropped: u64,
    /// Raw objects that the router's sweep found without seal, and that still have none.
    pub unsealed: u64,
    /// Of them, those that it does not ask for any more.
    pub given_up: u64,
    /// Hours of which no sweep has said yet whether all raw objects are sealed.
    pub hours_not_swept: u64,
    /// Raw objects that were replaced again and again while they were looked at: in no other sum.
    pub changed: u64,
}

impl ReadTally {
    /// Whether every record read is accounted for.
    pub fn balances(&self) -> bool {
        self.read == self.routed + self.quarantined + self.dropped
    }
}

impl AddAssign for ReadTally {
    fn add_assign(&mut self, other: Self) {
        let Self { objects, read, routed, quarantined, dropped, unsealed, given_up, hours_not_swept, changed } = other;
        self.objects += objects;
        self.read += read;
        self.routed += routed;
        self.quarantined += quarantined;
        self.dropped += dropped;
        self.unsealed += unsealed;
        self.given_up += given_up;
        self.hours_not_swept += hours_not_swept;
        self.changed += changed;
    }
}

/// Everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// Not of an audit of one event: records that were not routed have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<ReadTally>,
    /// Over all tables.
    pub tables: Tally,
    /// Rows whose `_source` nothing accounts for.
    pub foreign: u64,
    /// Rows without `_source`: people put them there.
    pub own: u64,
    /// What nothing explains.
    pub differences: u64,
}

impl Balance {
    /// Whether both sums come out.
    pub fn balances(&self) -> bool {
        self.tables.balances() && self.objects.is_none_or(|read| read.balances() && read.routed == self.tables.routed)
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ReadTally { read, routed, quarantined, dropped, .. }) = self.objects {
            write!(f, "read {read} = routed {routed} + quarantined {quarantined} + dropped {dropped}; ")?;
        }
        let Tally { routed, loaded, rejected, removed, waiting, replacing, failed, missing, doubled } = self.tables;
        write!(
            f,
            "routed {routed} = loaded {loaded} + rejected {rejected} + removed {removed} + waiting {waiting} + replacing \
             {replacing} + failed {failed} + missing {missing}; doubled {doubled}; foreign {}",
            self.foreign
        )?;
        match (self.balances(), self.differences) {
            (true, 0) => f.write_str(": balanced"),
            (true, 1) => f.write_str(": 1 difference"),
            (true, n) => write!(f, ": {n} differences"),
            // Seals that do not add up.
            (false, n) => write!(f, ": does not add up, {n} differences"),
        }
    }
}
