//! What became of an object, as its caller is told and the log tells people.

use crate::notification::CreatedObject;
use crate::route::object::RoutedObject;

/// What became of one object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Routed now, and sealed.
    Routed(Tally),
    /// Sealed before; announced again.
    Announced,
    /// Sealed before, and announced as far as can be seen.
    Sealed,
    /// Not there any more.
    Gone,
    /// Overwritten before it was read; the new contents have their own notification.
    Superseded,
    /// Other contents of its key were first, and later ones are ignored.
    Ignored,
    /// Another replace has the generation.
    LostClaim(LostClaim),
}

/// What was read of an object, for whoever adds it up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Records found.
    pub(crate) records: u64,
    /// Of them, kept aside.
    pub(crate) quarantined: u64,
    /// Decompressed.
    pub(crate) bytes: u64,
}

/// A generation that two replaces wanted, and who has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LostClaim {
    pub(crate) generation: u32,
    /// The replace that lost.
    pub(crate) lost_by: String,
    /// The replace that has it; `None`: it was routed for the first time only now.
    pub(crate) held_by: Option<String>,
}

impl Tally {
    pub(super) fn of(routed: &RoutedObject) -> Self {
        let counts = &routed.counts;
        Self { records: counts.read, quarantined: counts.quarantined, bytes: counts.bytes }
    }
}

impl Outcome {
    /// Warns of an object that was not routed and is not sealed as it was asked for. `replaced`: it has an earlier
    /// generation, which stands.
    pub(crate) fn warn_if_not_done(&self, object: &CreatedObject, replaced: bool) {
        let uri = object.uri();
        let tail = if replaced { "routed again: its rows stay as they are" } else { "routed" };
        let what = match self {
            Outcome::Routed(_) | Outcome::Announced | Outcome::Sealed => return,
            Outcome::Gone => format!("gone: {uri} was deleted before it was {tail}"),
            Outcome::Superseded => format!("superseded: {uri} was overwritten before it was {tail}"),
            Outcome::Ignored => {
                format!("overwritten: ignored the new contents of {uri} (raw.overwrite = \"ignore\")")
            }
            Outcome::LostClaim(LostClaim { generation, lost_by, held_by }) => {
                let holder = held_by.as_deref().map_or("no replace at all".to_owned(), |id| format!("replace {id}"));
                format!("lost claim: generation {generation} of {uri} was made by {holder}, not by replace {lost_by}")
            }
        };
        tracing::warn!(source.key = object.key, "{what}");
    }
}
