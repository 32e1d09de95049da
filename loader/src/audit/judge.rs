//! What one event of one source comes to: its seal against its ledger row against its rows. Pure.

use super::difference::Kind;
use super::tally::Tally;
use time::OffsetDateTime;

/// What the highest seal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    /// Of the seal.
    pub(super) generation: u32,
    /// Of the event's parts.
    pub(super) since: u32,
    pub(super) records: u64,
    pub(super) sealed_at: OffsetDateTime,
}

/// What the warehouse has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) ledger: Option<LedgerCount>,
    /// In the table.
    pub(super) rows: u64,
    /// Different lines among them.
    pub(super) lines: u64,
    /// Removed by people since they were loaded.
    pub(super) removed: u64,
}

/// The ledger's row of the highest generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LedgerCount {
    pub(super) generation: u32,
    pub(super) loaded: u64,
    pub(super) rejected: u64,
}

/// What became of the routed records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// Loaded, with what is wrong about it.
    Loaded(Tally, Option<Kind>),
    /// Not loaded yet, and no row of it is there.
    Owed,
    /// Rows are there, and no ledger row.
    Unledgered(Tally),
    /// The ledger knows a higher generation than the seal that was read: read again.
    Ahead,
}

/// How it stands with what is owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Circumstances {
    /// It failed alone too often and was set aside.
    pub(super) failed: bool,
    /// One of its parts is not there any more.
    pub(super) part_gone: bool,
    /// Messages enough are on their way.
    pub(super) on_its_way: bool,
}

/// Compares.
pub(super) fn judge(sealed: &Sealed, count: &Count) -> Judged {
    match count.ledger {
        Some(ledger) if ledger.generation > sealed.generation => Judged::Ahead,
        Some(ledger) if ledger.generation >= sealed.since => {
            let rejected = ledger.rejected.min(sealed.records);
            let tally = rows(sealed.records, rejected, count);
            // Summed as wide as a damaged ledger may be.
            let says = u128::from(ledger.loaded) + u128::from(ledger.rejected);
            let kind = match tally {
                Tally { missing: 1.., .. } => Some(Kind::RowsMissing),
                Tally { doubled: 1.., .. } => Some(Kind::RowsDoubled),
                _ if says != u128::from(sealed.records) => Some(Kind::LedgerDiffers),
                _ => None,
            };
            Judged::Loaded(tally, kind)
        }
        // Rows of the generation before: they stay until the new one comes.
        Some(_) => Judged::Owed,
        None if count.rows > 0 => Judged::Unledgered(rows(sealed.records, 0, count)),
        None => Judged::Owed,
    }
}

fn rows(records: u64, rejected: u64, count: &Count) -> Tally {
    let expected = records - rejected;
    let loaded = count.lines.min(expected);
    let lacking = expected - loaded;
    // Telling of a removal explains what lacks, and never more.
    let removed = count.removed.min(lacking);
    let doubled = count.rows.saturating_sub(loaded);
    Tally { routed: records, loaded, rejected, removed, missing: lacking - removed, doubled, ..Tally::default() }
}

/// What is owed, and why it still is.
pub(super) fn owed(sealed: &Sealed, circumstances: Circumstances) -> (Tally, Option<Kind>) {
    let Circumstances { failed, part_gone, on_its_way } = circumstances;
    let records = sealed.records;
    let routed = Tally { routed: records, ..Tally::default() };
    match sealed.since {
        // Without its part nothing that is on its way can arrive.
        _ if part_gone => (Tally { missing: records, ..routed }, Some(Kind::PartGone)),
        _ if failed => (Tally { failed: records, ..routed }, Some(Kind::Failed)),
        _ if !on_its_way => (Tally { missing: records, ..routed }, Some(Kind::NotLoaded)),
        0 => (Tally { waiting: records, ..routed }, None),
        _ => (Tally { replacing: records, ..routed }, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const SEALED: Sealed = Sealed { generation: 1, since: 1, records: 10, sealed_at: datetime!(2025-06-01 09:00 UTC) };

    fn count(generation: u32, loaded: u64, rejected: u64, rows: u64, lines: u64) -> Count {
        Count { ledger: Some(LedgerCount { generation, loaded, rejected }), rows, lines, removed: 0 }
    }

    fn loaded(count: &Count) -> (Tally, Option<Kind>) {
        match judge(&SEALED, count) {
            Judged::Loaded(tally, kind) => {
                assert!(tally.balances(), "{tally:?}");
                (tally, kind)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_loaded_whole_is_silent() {
        let (tally, kind) = loaded(&count(1, 8, 2, 8, 8));
        assert_eq!((tally.loaded, tally.rejected, tally.missing, tally.doubled, kind), (8, 2, 0, 0, None));
        assert_eq!(loaded(&count(1, 0, 10, 0, 0)).1, None, "all refused by COPY");
    }

    #[test]
    fn rows_that_lack_and_rows_too_many_are_found_also_together() {
        let (tally, kind) = loaded(&count(1, 10, 0, 7, 7));
        assert_eq!((tally.missing, tally.doubled, kind), (3, 0, Some(Kind::RowsMissing)));
        let (tally, kind) = loaded(&count(1, 10, 0, 20, 10));
        assert_eq!((tally.missing, tally.doubled, kind), (0, 10, Some(Kind::RowsDoubled)));
        let (tally, kind) = loaded(&count(1, 10, 0, 10, 8));
        assert_eq!(
            (tally.missing, tally.doubled, kind),
            (2, 2, Some(Kind::RowsMissing)),
            "ten rows, two of them twice"
        );
        let (tally, kind) = loaded(&count(1, 10, 0, 12, 12));
        assert_eq!((tally.loaded, tally.doubled, kind), (10, 2, Some(Kind::RowsDoubled)), "lines that no record has");
    }

    #[test]
    fn a_ledger_row_must_say_what_its_seal_says() {
        assert_eq!(loaded(&count(1, 9, 0, 10, 10)).1, Some(Kind::LedgerDiffers));
        assert_eq!(loaded(&count(1, u64::MAX, u64::MAX, 0, 0)).1, Some(Kind::LedgerDiffers));
        assert_eq!(judge(&SEALED, &count(2, 10, 0, 10, 10)), Judged::Ahead);
    }

    #[test]
    fn a_removal_explains_what_lacks_and_no_more() {
        let mut removed = Count { removed: 3, ..count(1, 10, 0, 6, 6) };
        let (tally, kind) = loaded(&removed);
        assert_eq!((tally.removed, tally.missing, kind), (3, 1, Some(Kind::RowsMissing)));
        removed.removed = 100;
        let (tally, kind) = loaded(&removed);
        assert_eq!((tally.removed, tally.missing, kind), (4, 0, None));
    }

    #[test]
    fn rows_without_a_ledger_row_are_no_load() {
        let count = Count { ledger: None, rows: 12, lines: 10, removed: 0 };
        let Judged::Unledgered(tally) = judge(&SEALED, &count) else { panic!("has rows") };
        assert!(tally.balances() && tally.doubled == 2);
        assert_eq!(judge(&SEALED, &Count::default()), Judged::Owed);
        assert_eq!(judge(&SEALED, &self::count(0, 10, 0, 10, 10)), Judged::Owed, "an earlier generation is loaded");
    }

    #[test]
    fn what_is_owed_is_explained_only_by_what_is_on_its_way() {
        let all = Circumstances { failed: true, part_gone: true, on_its_way: true };
        let of = |circumstances| owed(&SEALED, circumstances);
        assert_eq!(of(all).1, Some(Kind::PartGone));
        let (tally, kind) = of(Circumstances { part_gone: false, ..all });
        assert_eq!((tally.failed, kind), (10, Some(Kind::Failed)));
        let (tally, kind) = of(Circumstances { on_its_way: true, ..Circumstances::default() });
        assert_eq!((tally.replacing, kind), (10, None));
        let first = Sealed { since: 0, ..SEALED };
        let (tally, kind) = owed(&first, Circumstances { on_its_way: true, ..Circumstances::default() });
        assert_eq!((tally.waiting, kind), (10, None));
        let (tally, kind) = of(Circumstances::default());
        assert_eq!((tally.missing, kind), (10, Some(Kind::NotLoaded)));
        assert!(tally.balances());
    }
}
