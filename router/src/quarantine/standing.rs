//! What a replay does about a source: pure, from its seal and what it has in quarantine.

use super::Held;
use common::quarantine::Reason;
use time::OffsetDateTime;

/// How a source stands to a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// To be routed again.
    Due,
    /// This very replay routed it already.
    Done,
    /// It did, and COPY has refused records of it again.
    Again,
    /// It was routed again already, and the loader has yet to load it.
    Waiting,
    /// The same rules would put the same records aside again.
    Unchanged,
    /// Another replace took it since this one was started.
    Lost(String),
}

/// The replay that judges.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    /// The replace that goes on, with its start; none where it is a new one.
    pub(super) goes_on: Option<(String, OffsetDateTime)>,
    /// The rules it routes by.
    pub(super) routing_id: String,
    /// Whether rules that have not changed are no reason to leave a source alone.
    pub(super) force: bool,
    /// Whether what others took is taken again.
    pub(super) over_others: bool,
}

impl Judge {
    pub(super) fn standing(&self, held: &Held) -> Standing {
        let seal = &held.seal;
        let current = || held.objects.iter().filter(|object| !object.is_replaced);
        if let (Some((id, _)), Some(replace)) = (&self.goes_on, &seal.replace_id)
            && id == replace
        {
            let is_refused = current().any(|object| object.reason == Reason::RejectedByCopy);
            return if is_refused { Standing::Again } else { Standing::Done };
        }
        if current().next().is_none() {
            return Standing::Waiting;
        }
        // What COPY refused it may take now; what the router kept aside depends on its rules alone.
        let is_of_rules = current().all(|object| object.reason != Reason::RejectedByCopy);
        if is_of_rules && seal.routing_id == self.routing_id && !self.force {
            return Standing::Unchanged;
        }
        match (&self.goes_on, &seal.replace_id) {
            (Some((_, started_at)), Some(other)) if seal.sealed_at >= *started_at && !self.over_others => {
                Standing::Lost(other.clone())
            }
            _ => Standing::Due,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::HeldObject;
    use super::*;
    use common::seal::{Counts, Seal};
    use common::source::SourceObject;
    use time::macros::datetime;

    const STARTED: OffsetDateTime = datetime!(2025-06-02 00:00 UTC);

    fn held(routing_id: &str, replaced_by: Option<&str>, objects: &[(Reason, bool)]) -> Held {
        let (bucket, key, etag) = ("raw".to_owned(), "k".to_owned(), "e".to_owned());
        let source = SourceObject { bucket, key, etag, version_id: None, time: STARTED, bytes: 1 };
        let seal = Seal {
            version: 1,
            source_id: source.id(),
            source,
            generation: 1,
            routing_id: routing_id.into(),
            sealed_at: STARTED,
            counts: Counts::default(),
            events: vec![],
            quarantine: vec![],
            replace_id: replaced_by.map(str::to_owned),
        };
        let object = |(reason, is_replaced): &(Reason, bool)| HeldObject {
            key: "q".into(),
            reason: *reason,
            event: None,
            generation: 1,
            records: 1,
            selected: 1,
            is_replaced: *is_replaced,
        };
        Held { seal, objects: objects.iter().map(object).collect(), unbalanced: None }
    }

    fn judge(goes_on: Option<&str>) -> Judge {
        let goes_on = goes_on.map(|id| (id.to_owned(), STARTED));
        Judge { goes_on, routing_id: "new".into(), force: false, over_others: false }
    }

    const DENIED: (Reason, bool) = (Reason::EventTypeDenied, false);
    const REJECTED: (Reason, bool) = (Reason::RejectedByCopy, false);
    const REPLACED: (Reason, bool) = (Reason::RejectedByCopy, true);

    #[test]
    fn other_rules_and_refusals_of_copy_are_worth_another_try() {
        let new = judge(None);
        assert_eq!(new.standing(&held("old", None, &[DENIED])), Standing::Due);
        assert_eq!(new.standing(&held("new", None, &[DENIED])), Standing::Unchanged);
        assert_eq!(new.standing(&held("new", None, &[DENIED, REJECTED])), Standing::Due);
        let forced = Judge { force: true, ..new.clone() };
        assert_eq!(forced.standing(&held("new", None, &[DENIED])), Standing::Due);
        assert_eq!(new.standing(&held("old", Some("other"), &[DENIED])), Standing::Due, "it came after the other");
    }

    #[test]
    fn what_is_routed_again_already_is_left_to_the_loader() {
        let new = judge(None);
        assert_eq!(new.standing(&held("old", None, &[REPLACED])), Standing::Waiting);
        assert_eq!(new.standing(&held("new", None, &[DENIED, REPLACED])), Standing::Unchanged);
    }

    #[test]
    fn a_replay_that_goes_on_knows_its_own_seals_and_those_of_others() {
        let mine = judge(Some("mine"));
        assert_eq!(mine.standing(&held("new", Some("mine"), &[DENIED, REPLACED])), Standing::Done);
        assert_eq!(mine.standing(&held("new", Some("mine"), &[REJECTED])), Standing::Again);
        assert_eq!(mine.standing(&held("old", Some("other"), &[DENIED])), Standing::Lost("other".into()));
        assert_eq!(mine.standing(&held("new", Some("other"), &[DENIED])), Standing::Unchanged);
        let later = Judge { goes_on: Some(("mine".into(), STARTED + time::Duration::SECOND)), ..mine.clone() };
        assert_eq!(later.standing(&held("old", Some("other"), &[DENIED])), Standing::Due, "it was there before");
        assert_eq!(Judge { over_others: true, ..mine }.standing(&held("old", Some("other"), &[DENIED])), Standing::Due);
    }
}
