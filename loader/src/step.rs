//! What is done about a failed batch: one function, one table of cases. Pure.

use crate::load::Blame;
use crate::verdict::Class;

/// The next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The whole batch again, after a pause.
    Wait,
    /// Ask the ledger, and go on with what it does not have.
    AskAgain,
    /// Both halves, one after the other, until the culprits fail alone.
    Halve,
    /// This request again, alone, after a pause.
    TryAlone,
    /// This request never again: recorded, and its message to the dead-letter queue.
    SetAside,
    /// This request until a person has looked, and the table with it, but only when all others had their turn.
    StopAfterOthers,
    /// Nothing more of this table until a person has looked; loudly.
    Stop,
}

/// Decides. `tries`: how often this request has failed alone, this time included.
pub(crate) fn next_step(class: Class, blame: Blame, alone: bool, tries: u32, max_tries: u32) -> Step {
    match class {
        Class::Transient => Step::Wait,
        Class::AlreadyLoaded => Step::AskAgain,
        _ if blame == Blame::Table => Step::Stop,
        _ if !alone => Step::Halve,
        Class::Configuration => Step::Stop,
        _ if tries < max_tries => Step::TryAlone,
        Class::Data => Step::StopAfterOthers,
        Class::MissingPart | Class::TooLarge | Class::Cancelled | Class::Unknown => Step::SetAside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Blame::{Batch, Table};

    #[test]
    fn every_failure_has_its_step() {
        for (class, blame, alone, tries, step) in [
            (Class::Transient, Batch, false, 0, Step::Wait),
            (Class::Transient, Table, true, 9, Step::Wait),
            (Class::AlreadyLoaded, Batch, false, 0, Step::AskAgain),
            (Class::Data, Batch, false, 0, Step::Halve),
            (Class::Data, Batch, true, 1, Step::TryAlone),
            (Class::Data, Batch, true, 3, Step::StopAfterOthers),
            (Class::Cancelled, Batch, false, 0, Step::Halve),
            (Class::Cancelled, Batch, true, 2, Step::TryAlone),
            (Class::Cancelled, Batch, true, 3, Step::SetAside),
            (Class::Configuration, Batch, false, 0, Step::Halve),
            (Class::Configuration, Batch, true, 1, Step::Stop),
            (Class::Configuration, Table, false, 0, Step::Stop),
            (Class::MissingPart, Batch, true, 2, Step::TryAlone),
            (Class::MissingPart, Batch, true, 3, Step::SetAside),
            (Class::Unknown, Batch, false, 0, Step::Halve),
            (Class::Unknown, Batch, true, 3, Step::SetAside),
            (Class::Unknown, Table, true, 3, Step::Stop),
            (Class::TooLarge, Batch, false, 0, Step::Halve),
        ] {
            assert_eq!(next_step(class, blame, alone, tries, 3), step, "{class:?} {blame:?} alone={alone} {tries}");
        }
    }
}
