//! What an audit cannot explain: what it is, which raw object it is about, and what repairs it.

use common::event_name::EventName;
use common::source::SourceId;
use common::timestamp;
use serde::Serialize;
use time::{Duration, OffsetDateTime};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Sealed, not in the ledger, and no message is on its way.
    NotLoaded,
    /// The same, and a part of it is not there any more.
    PartGone,
    /// Set aside in `log_router.failed`.
    Failed,
    /// Fewer rows than were loaded.
    RowsMissing,
    /// More rows than were loaded.
    RowsDoubled,
    /// The ledger's counts are not the seal's.
    LedgerDiffers,
    /// Rows without a ledger row.
    NoLedgerRow,
    /// A table with rows whose ledger or gate is not there.
    NoLedger,
    /// A ledger row without a seal.
    NoSeal,
    /// Rows whose `_source` neither ledger nor seal knows.
    Foreign,
    /// A seal that cannot be read.
    SealUnusable,
    /// A seal whose counts do not add up.
    SealUnbalanced,
    /// Loaded, and no index object of its hour names it.
    NoIndex,
    /// A raw object that the router's sweep gave up.
    GivenUp,
    /// A table or ledger that may not be read.
    Unreadable,
}

/// How a difference is mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mend {
    /// By announcing it again.
    Announce,
    /// By routing its raw object again, as its next generation.
    Replace,
    /// By making the ledger anew from what is in the table.
    Rebuild,
    /// By asking a router for its index objects.
    Index,
    /// By a person.
    Person,
}

impl Kind {
    pub(super) fn mend(self) -> Mend {
        match self {
            Kind::NotLoaded | Kind::Failed => Mend::Announce,
            Kind::PartGone | Kind::RowsMissing | Kind::RowsDoubled | Kind::LedgerDiffers => Mend::Replace,
            Kind::NoLedgerRow | Kind::NoLedger => Mend::Rebuild,
            Kind::NoIndex => Mend::Index,
            Kind::NoSeal
            | Kind::Foreign
            | Kind::SealUnusable
            | Kind::SealUnbalanced
            | Kind::GivenUp
            | Kind::Unreadable => Mend::Person,
        }
    }

    /// For people.
    pub fn told(self) -> &'static str {
        match self {
            Kind::NotLoaded => "not loaded, and nothing announces it",
            Kind::PartGone => "not loaded, and a part is gone",
            Kind::Failed => "set aside",
            Kind::RowsMissing => "rows are missing",
            Kind::RowsDoubled => "rows too many",
            Kind::LedgerDiffers => "the ledger says another number of records than the seal",
            Kind::NoLedgerRow => "rows without a ledger row",
            Kind::NoLedger => "the ledger or gate is gone",
            Kind::NoSeal => "a ledger row without a seal",
            Kind::Foreign => "rows of a source that nothing knows",
            Kind::SealUnusable => "the seal cannot be used",
            Kind::SealUnbalanced => "the seal does not add up",
            Kind::NoIndex => "sealed, and its index object is gone",
            Kind::GivenUp => "never sealed, and given up by the sweep",
            Kind::Unreadable => "cannot be read",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is.
    pub kind: Kind,
    /// Whose table, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventName>,
    /// `s3://bucket/key` of the raw object, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The source's id, or what stands in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// Rows or records that it is about.
    pub rows: u64,
    /// More about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The command that mends it.
    pub repair: String,
    #[serde(skip)]
    pub(super) source: Option<SourceId>,
}

impl Difference {
    /// About an event of a source that has a seal.
    pub(super) fn of_source(
        kind: Kind,
        event: &EventName,
        source: &SourceId,
        object: &str,
        at: OffsetDateTime,
    ) -> Self {
        let second = |at| timestamp::format(at);
        let repair = match kind.mend() {
            Mend::Rebuild => rebuild(event),
            // Exactly the raw objects of this second.
            _ => format!(
                "loader audit --from {} --to {} --event {event} --repair",
                second(at),
                second(at.saturating_add(Duration::SECOND))
            ),
        };
        Self {
            kind,
            event: Some(event.clone()),
            object: Some(object.to_owned()),
            source_id: Some(source.to_string()),
            rows: 0,
            detail: String::new(),
            repair,
            source: Some(source.clone()),
        }
    }

    /// About a table.
    pub(super) fn of_table(kind: Kind, event: &EventName, detail: String, repair: String) -> Self {
        let event = Some(event.clone());
        Self { kind, event, object: None, source_id: None, rows: 0, detail, repair, source: None }
    }

    /// About a raw object or its seal.
    pub(super) fn of_object(kind: Kind, object: String, detail: String, repair: String) -> Self {
        Self { kind, event: None, object: Some(object), source_id: None, rows: 0, detail, repair, source: None }
    }
}

/// The command that makes a table's ledger anew.
pub(super) fn rebuild(event: &EventName) -> String {
    format!("loader audit --rebuild-ledger --event {event}")
}
