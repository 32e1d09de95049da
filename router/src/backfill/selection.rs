//! Which raw objects a backfill is about, and what it is to do with them.

use crate::listing::RawObject;
use common::event_name::EventName;
use common::replace::{Kind, Selection};
use common::timestamp;
use std::time::Duration;
use time::OffsetDateTime;

/// What a person asks for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Objects of this time (S3's Last-Modified) and later.
    pub from: OffsetDateTime,
    /// And before this.
    pub to: OffsetDateTime,
    /// Only keys that begin so; `None`: all below `raw.prefix`.
    pub prefix: Option<String>,
    /// Objects begun each second at most.
    pub rate: Option<f64>,
    /// Routes in this process, without the raw queue.
    pub direct: bool,
    /// Routes what is sealed already again, as its next generation.
    pub replace: bool,
    /// Replaces also what others have replaced since this replace began.
    pub over_others: bool,
    /// Announces these events only; all others stay owed until the loader's sweep.
    pub events: Option<Vec<EventName>>,
    /// How long nothing may be sealed before what is left is called stuck.
    pub patience: Duration,
}

impl Options {
    pub(super) fn wants(&self, object: &RawObject) -> bool {
        (self.from..self.to).contains(&object.modified)
    }

    /// Which objects, for people and for telling one backfill from another. The same command gives the same text.
    pub(super) fn what(&self, bucket: &str, prefix: &str) -> String {
        let verb = if self.replace { "replace" } else { "route" };
        let (from, to) = (timestamp::format(self.from), timestamp::format(self.to));
        format!("{verb} s3://{bucket}/{prefix} from {from} to {to}")
    }

    pub(super) fn selection(&self, what: &str, routing_id: &str) -> Selection {
        Selection { kind: Kind::Backfill, what: what.to_owned(), routing_id: Some(routing_id.to_owned()) }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use time::macros::datetime;

    pub(in super::super) fn options() -> Options {
        Options {
            from: datetime!(2025-01-01 00:00 UTC),
            to: datetime!(2025-02-01 00:00 UTC),
            prefix: None,
            rate: None,
            direct: false,
            replace: false,
            over_others: false,
            events: None,
            patience: Duration::from_secs(1),
        }
    }

    #[test]
    fn a_range_has_its_beginning_and_not_its_end() {
        let is_in = |modified| {
            options().wants(&RawObject { key: "k".into(), etag: "e".into(), bytes: 1, modified, is_archived: false })
        };
        let times = [
            datetime!(2024-12-31 23:59:59 UTC),
            datetime!(2025-01-01 00:00 UTC),
            datetime!(2025-01-31 23:59:59 UTC),
            datetime!(2025-02-01 00:00 UTC),
        ];
        assert_eq!(times.map(is_in), [false, true, true, false]);
    }

    #[test]
    fn another_offset_of_the_same_times_is_the_same_backfill() {
        let mut other = options();
        other.from = datetime!(2025-01-01 01:00 +01:00);
        assert_eq!(options().what("raw", "a/"), other.what("raw", "a/"));
        other.replace = true;
        assert_ne!(options().what("raw", "a/"), other.what("raw", "a/"));
    }
}
