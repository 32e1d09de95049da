//! Decides a record's event name: the one place that does.

mod bounded;
mod type_rules;

pub use type_rules::TypeRules;

use super::scan::EventType;
use bounded::bounded;
use common::event_name::EventName;
use common::quarantine::Reason;
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, HashMap};

/// The event types and event names of one source object, numbered in source order.
pub struct Classifier<'a> {
    rules: &'a TypeRules,
    max_event_types: usize,
    /// By type as it is kept: long ones shortened.
    types: HashMap<String, TypeEntry, RandomState>,
    names: HashMap<EventName, usize>,
    by_number: Vec<EventName>,
}

struct TypeEntry {
    /// Number of its event name.
    event: usize,
    records: u64,
}

impl<'a> Classifier<'a> {
    /// Takes the first `max_event_types` types of the object that `rules` let through, in source order.
    pub fn new(rules: &'a TypeRules, max_event_types: usize) -> Self {
        Self { rules, max_event_types, types: HashMap::default(), names: HashMap::new(), by_number: Vec::new() }
    }

    /// The number of the record's event name, or why it has none.
    pub fn classify(&mut self, event_type: EventType<'_>) -> Result<usize, (Reason, String)> {
        let text = match event_type {
            EventType::Found(text) => text,
            EventType::Missing => return Err((Reason::EventTypeMissing, "no event type under any pointer".to_owned())),
            EventType::NotUsable => {
                let why = "the event type is neither an integer nor a string with something in it";
                return Err((Reason::EventTypeNotUsable, why.to_owned()));
            }
        };
        let kept = bounded(&text);
        if let Some(entry) = self.types.get_mut(&*kept) {
            entry.records += 1;
            return Ok(entry.event);
        }
        let name = self.rules.name_of(&text).map_err(|why| (Reason::EventTypeDenied, why.to_owned()))?;
        if self.types.len() == self.max_event_types {
            let why = format!("the object has more than {} event types (router.max_event_types)", self.max_event_types);
            return Err((Reason::TooManyEventTypes, why));
        }
        let next = self.by_number.len();
        let event = *self.names.entry(name.clone()).or_insert(next);
        if event == next {
            self.by_number.push(name);
        }
        self.types.insert(kept.into_owned(), TypeEntry { event, records: 1 });
        Ok(event)
    }

    /// Event names by number.
    pub fn names(&self) -> &[EventName] {
        &self.by_number
    }

    /// Routed records by event type; of a long type its beginning and a hash.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.types.iter().map(|(event_type, entry)| (event_type.clone(), entry.records)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::settings::EventRules;

    fn found(text: &str) -> EventType<'_> {
        EventType::Found(text.into())
    }

    #[test]
    fn types_that_share_a_name_share_its_number_and_are_counted_apart() {
        let rules = TypeRules::default();
        let mut classifier = Classifier::new(&rules, 10);
        let numbers: Vec<_> =
            ["PageView", "search", "page_view", "PageView"].map(|t| classifier.classify(found(t))).into();
        assert_eq!(numbers, [Ok(0), Ok(1), Ok(0), Ok(0)]);
        assert_eq!(classifier.names().len(), 2);
        let counts: Vec<_> = classifier.counts().into_iter().collect();
        assert_eq!(counts, [("PageView".into(), 2), ("page_view".into(), 1), ("search".into(), 1)]);
    }

    #[test]
    fn the_first_types_in_source_order_count_and_later_ones_do_not_push_them_out() {
        let rules = TypeRules::default();
        let mut classifier = Classifier::new(&rules, 2);
        let reasons: Vec<_> =
            ["a", "b", "c", "a"].map(|t| classifier.classify(found(t)).map_err(|(reason, _)| reason)).into();
        assert_eq!(reasons, [Ok(0), Ok(1), Err(Reason::TooManyEventTypes), Ok(0)]);
    }

    #[test]
    fn denied_types_take_no_place_and_renamed_ones_join_their_event() {
        let rules = EventRules {
            deny: vec!["spam*".to_owned()],
            rename: [("Seen".to_owned(), EventName::of_type("view"))].into(),
            ..EventRules::default()
        };
        let rules = TypeRules::new(&rules);
        let mut classifier = Classifier::new(&rules, 2);
        let outcomes: Vec<_> = ["spam1", "view", "spam2", "Seen", "other"]
            .map(|t| classifier.classify(found(t)).map_err(|(reason, _)| reason))
            .into();
        let (denied, too_many) = (Err(Reason::EventTypeDenied), Err(Reason::TooManyEventTypes));
        assert_eq!(outcomes, [denied, Ok(0), denied, Ok(0), too_many]);
        assert_eq!(classifier.counts().len(), 2, "counted by type as found");
    }

    #[test]
    fn long_types_are_told_apart_and_kept_short() {
        let rules = TypeRules::default();
        let mut classifier = Classifier::new(&rules, 10);
        let (a, b) = ("x".repeat(60_000), format!("{}y", "x".repeat(59_999)));
        let numbers: Vec<_> = [&a, &b, &a].map(|t| classifier.classify(found(t))).into();
        assert_eq!(numbers, [Ok(0), Ok(1), Ok(0)]);
        let counts = classifier.counts();
        assert!(counts.keys().all(|event_type| event_type.len() < 300) && counts.values().sum::<u64>() == 3);
    }
}
