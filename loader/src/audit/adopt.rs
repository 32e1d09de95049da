//! What the ledger row of a source says whose own is gone: made from its seals and from the rows that are there. Pure.
//!
//! Never says of a generation that it is loaded where that is not certain: then the generation before it is, and the owed one is
//! loaded. Its load removes the rows before in the transaction that brings the new ones, so nothing is lost by it.

use time::OffsetDateTime;

/// What is in the table of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct There {
    pub(super) rows: u64,
    /// Different lines among them.
    pub(super) lines: u64,
    /// When the first of them was loaded.
    pub(super) first: Option<OffsetDateTime>,
    /// Rows that people removed since then.
    pub(super) removed: u64,
    /// When they did so last.
    pub(super) removed_at: Option<OffsetDateTime>,
}

/// What the seals say of an event of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    /// The generation of its parts.
    pub(super) since: u32,
    pub(super) records: u64,
    /// Refused by COPY, as far as there is a quarantine object that says so.
    pub(super) rejected: u64,
    /// When that generation was sealed.
    pub(super) sealed_at: OffsetDateTime,
    /// An earlier generation has as many records, and others.
    pub(super) is_like_earlier: bool,
}

/// What its ledger row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Adopted {
    pub(super) generation: u32,
    pub(super) rows: u64,
    pub(super) rejected: u64,
    /// Whether the generation of the seal is yet to be loaded.
    pub(super) is_owed: bool,
}

/// Decides. Only of sources that have rows, or had some that people removed.
pub(super) fn adopted(sealed: &Sealed, there: &There) -> Adopted {
    let Sealed { since, records, rejected, .. } = *sealed;
    match since {
        // As its load would have written it: what lacks or is too much, the next audit tells.
        _ if is_loaded(sealed, there) => {
            Adopted { generation: since, rows: records.saturating_sub(rejected), rejected, is_owed: false }
        }
        _ => Adopted { generation: since.saturating_sub(1), rows: there.rows, rejected: 0, is_owed: true },
    }
}

fn is_loaded(sealed: &Sealed, there: &There) -> bool {
    if sealed.since == 0 {
        return true;
    }
    // Rows are younger than the seal that they were loaded from; those of an earlier generation may be so too.
    let at = if there.rows > 0 { there.first } else { there.removed_at };
    let is_younger = at.is_some_and(|at| at >= sealed.sealed_at);
    let accounted = there.rows.saturating_add(there.removed).saturating_add(sealed.rejected);
    let is_whole = there.rows == there.lines && accounted == sealed.records;
    // What people removed must not come back because they told another number.
    is_younger && !sealed.is_like_earlier && (is_whole || there.removed > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const AT: OffsetDateTime = datetime!(2025-06-01 09:00 UTC);
    const REPLACED: Sealed = Sealed { since: 2, records: 10, rejected: 1, sealed_at: AT, is_like_earlier: false };
    const WHOLE: There = There { rows: 9, lines: 9, first: Some(AT), removed: 0, removed_at: None };

    #[test]
    fn rows_of_a_first_load_are_adopted_as_it_would_have_written_them_however_many_there_are() {
        let first = Sealed { since: 0, ..REPLACED };
        let expected = Adopted { generation: 0, rows: 9, rejected: 1, is_owed: false };
        for rows in [1, 9, 40] {
            assert_eq!(adopted(&first, &There { rows, lines: rows.min(9), ..WHOLE }), expected);
        }
        assert_eq!(
            adopted(&first, &There { rows: 0, lines: 0, first: None, removed: 9, removed_at: Some(AT) }),
            expected
        );
    }

    #[test]
    fn a_replace_is_taken_for_loaded_only_where_that_is_certain() {
        let whole = Adopted { generation: 2, rows: 9, rejected: 1, is_owed: false };
        assert_eq!(adopted(&REPLACED, &WHOLE), whole);
        let owed = |there: There| {
            let adopted = adopted(&REPLACED, &there);
            assert_eq!(adopted, Adopted { generation: 1, rows: there.rows, rejected: 0, is_owed: true });
        };
        owed(There { first: Some(AT - time::Duration::SECOND), ..WHOLE });
        owed(There { first: None, ..WHOLE });
        owed(There { rows: 8, lines: 8, ..WHOLE });
        owed(There { rows: 18, ..WHOLE });
        let like = Sealed { is_like_earlier: true, ..REPLACED };
        assert!(adopted(&like, &WHOLE).is_owed, "they may be the earlier ones");
    }

    #[test]
    fn what_people_removed_after_a_replace_stays_removed() {
        let removed = There { removed: 4, removed_at: Some(AT), ..WHOLE };
        assert!(!adopted(&REPLACED, &There { rows: 5, lines: 5, ..removed }).is_owed);
        assert!(!adopted(&REPLACED, &There { rows: 0, lines: 0, first: None, ..removed }).is_owed);
        let before = Some(AT - time::Duration::SECOND);
        assert!(adopted(&REPLACED, &There { rows: 0, lines: 0, first: None, removed: 9, removed_at: before }).is_owed);
    }
}
