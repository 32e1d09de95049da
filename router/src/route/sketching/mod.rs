//! Folds the tapes of valid records into one sketch per event, in bounded memory.
//!
//! The hot path of a record is one comparison per key: records of one event mostly repeat the order
//! of their keys, so the key after the one just seen is guessed first.

mod keys;
mod trie;

use super::scan::Tape;
use common::sketch::{Sketch, Types};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use trie::{Node, Trie, Walk};

/// Nodes kept per source object, over all its events; past it the widest objects collapse. A key counts as one
/// more node for each 64 bytes of it, so that some 60 MiB hold them whatever the keys.
pub const SKETCH_NODES_MAX: usize = 200_000;

/// The sketches of one source object, by event number.
pub struct Sketches {
    events: Vec<Trie>,
    nodes: usize,
    nodes_max: usize,
}

impl Sketches {
    /// Empty sketches; `nodes_max` bounds their memory.
    pub fn new(nodes_max: usize) -> Self {
        Self { events: Vec::new(), nodes: 0, nodes_max }
    }

    /// Folds a valid record's tape into its event's sketch. Where there are too many nodes, some collapse at once: one
    /// record alone can have more keys than may be held.
    pub fn fold(&mut self, event: usize, tape: &Tape, record: &[u8]) {
        while self.events.len() <= event {
            self.events.push(Trie::new());
            self.nodes += 1;
        }
        let mut walk = Walk::new(tape);
        loop {
            let trie = &mut self.events[event];
            let before = trie.cost;
            let has_ended = trie.fold(&mut walk, tape, record, self.nodes_max.saturating_sub(self.nodes));
            self.nodes += trie.cost - before;
            if self.nodes > self.nodes_max {
                self.collapse_widest(event, &mut walk);
            }
            if has_ended {
                return;
            }
        }
    }

    /// The sketch of an event.
    pub fn sketch(&self, event: usize) -> Sketch {
        match self.events.get(event) {
            Some(trie) => trie.export(Types::OBJECT, 0, Some(0)),
            None => Sketch { types: Types::OBJECT, ..Sketch::default() },
        }
    }

    /// Collapses the objects with the most keys until an eighth of the nodes is free: so rarely that it costs nothing.
    /// The earliest event and node go first among equals, so that the same records always give the same sketch.
    /// `walk` is in `folding`.
    fn collapse_widest(&mut self, folding: usize, walk: &mut Walk<'_>) {
        let goal = self.nodes_max - self.nodes_max / 8;
        while self.nodes > goal {
            let of_trie = |(e, trie): (usize, &Trie)| -> Vec<_> {
                let width = |(n, node): (usize, &Node)| (Reverse(node.children.len()), e, n);
                trie.nodes.iter().enumerate().map(width).filter(|(Reverse(width), ..)| *width > 0).collect()
            };
            let mut widest: Vec<_> = self.events.iter().enumerate().flat_map(of_trie).collect();
            widest.sort_unstable();
            let mut excess = self.nodes - goal;
            let mut touched = BTreeSet::new();
            for (Reverse(width), event, node) in widest {
                if excess == 0 {
                    break;
                }
                excess = excess.saturating_sub(width);
                self.events[event].nodes[node].collapse();
                touched.insert(event);
            }
            if touched.is_empty() {
                return;
            }
            for event in touched {
                let trie = &mut self.events[event];
                let before = trie.cost;
                let moved = trie.drop_unreachable();
                if event == folding {
                    walk.follow(&moved);
                }
                self.nodes -= before - trie.cost;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::{Pointers, Scanner};
    use super::*;
    use common::sketch::SKETCH_DEPTH_MAX;

    fn sketch_of(records: &[&str], nodes_max: usize) -> (Sketch, usize) {
        let mut scanner = Scanner::new(Pointers::new(&["/event".to_owned()]), true);
        let mut sketches = Sketches::new(nodes_max);
        for record in records {
            scanner.scan(record.as_bytes()).expect(record);
            sketches.fold(0, scanner.tape(), record.as_bytes());
        }
        (sketches.sketch(0), sketches.nodes)
    }

    #[test]
    fn paths_types_and_longest_strings_are_folded_over_all_records() {
        let (sketch, _) = sketch_of(
            &[
                r#"{"id":1,"user":{"name":"Al","tags":[{"x":1}]},"at":"2025-06-01T09:00:00Z"}"#,
                r#"{"at":null,"id":9007199254740993,"user":{"n\u0061me":"\u00e9lla","age":2.5}}"#,
                r#"{"user":null,"id":1}"#,
            ],
            100,
        );
        assert_eq!(sketch.keys["id"].types, Types::INTEGER | Types::BIGINT);
        assert_eq!(sketch.keys["at"].types, Types::TIMESTAMP | Types::NULL);
        let user = &sketch.keys["user"];
        assert_eq!(user.types, Types::OBJECT | Types::NULL);
        assert_eq!((user.keys["name"].types, user.keys["name"].max_bytes), (Types::STRING, 5));
        assert_eq!(user.keys["tags"].types, Types::ARRAY);
        assert!(user.keys["tags"].keys.is_empty(), "arrays are not looked into");
        assert_eq!(user.keys["age"].types, Types::DECIMAL);
    }

    #[test]
    fn objects_too_deep_to_sketch_are_one_value_and_the_sketch_survives_json() {
        let nested = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        let (sketch, nodes) = sketch_of(&[&nested(900), &nested(2)], 1_000);
        assert_eq!(nodes, SKETCH_DEPTH_MAX + 1);
        let deepest = (0..SKETCH_DEPTH_MAX).fold(&sketch, |node, _| &node.keys["a"]);
        assert!(deepest.collapsed && deepest.types == Types::OBJECT);
        let json = serde_json::to_string(&sketch).expect("serialises");
        assert_eq!(serde_json::from_str::<Sketch>(&json).expect("parses"), sketch);
    }

    #[test]
    fn the_widest_object_collapses_when_there_are_too_many_paths() {
        let wide: Vec<String> =
            (0..50).map(|n| format!(r#"{{"a":{{"b":1}},"by_id":{{"id{n}":{{"x":{n}}}}}}}"#)).collect();
        let records: Vec<&str> = wide.iter().map(String::as_str).collect();
        let (sketch, nodes) = sketch_of(&records, 40);
        assert!(sketch.keys["by_id"].collapsed && sketch.keys["by_id"].keys.is_empty());
        assert_eq!(sketch.keys["a"].keys["b"].types, Types::INTEGER, "what is narrow stays");
        assert!(nodes <= 40);
    }

    #[test]
    fn one_record_with_more_keys_than_may_be_held_costs_no_more_than_those() {
        let keys = |prefix: &str, n: usize, value: &str| {
            (0..n).map(|n| format!(r#""{prefix}{n}":{value}"#)).collect::<Vec<_>>().join(",")
        };
        let mut scanner = Scanner::new(Pointers::new(&["/event".to_owned()]), true);
        for (wide, after) in [
            (format!(r#""wide":{{{}}}"#, keys("k", 10_000, "{}")), "stays"),
            (format!(r#""wide":{{{}}}"#, keys("k", 3_000, r#"{"a":{"b":[]}}"#)), "stays"),
            (format!(r#""wide":{{"in":{{{}}},"b":1}}"#, keys("k", 3_000, "1")), "stays"),
            (keys("root", 3_000, r#"{"a":1}"#), ""),
        ] {
            let record =
                format!(r#"{{"event":"a","before":{{"x":{{"y":1}}}},{wide},"after":{{"stays":{{"z":"1"}}}}}}"#);
            let mut sketches = Sketches::new(1_000);
            for _ in 0..2 {
                scanner.scan(record.as_bytes()).expect("valid");
                sketches.fold(0, scanner.tape(), record.as_bytes());
                let held: usize = sketches.events[0].nodes.len();
                assert!(sketches.nodes <= 1_000 && held <= 1_000, "{} of {held} nodes", sketches.nodes);
            }
            let sketch = sketches.sketch(0);
            match after {
                "" => assert!(sketch.collapsed && sketch.keys.is_empty()),
                after => {
                    assert_eq!(sketch.keys["before"].keys["x"].keys["y"].types, Types::INTEGER);
                    assert_eq!(sketch.keys["after"].keys[after].keys["z"].types, Types::STRING, "{sketch:?}");
                    let wide = &sketch.keys["wide"];
                    assert!(wide.collapsed || wide.keys["in"].collapsed, "{wide:?}");
                }
            }
        }
    }

    #[test]
    fn an_object_without_keys_needs_no_node() {
        let (sketch, _) = sketch_of(&[r#"{"a":{},"b":{"c":{}}}"#, r#"{"b":{}}"#], 100);
        assert_eq!((sketch.keys["a"].types, sketch.keys["b"].keys["c"].types), (Types::OBJECT, Types::OBJECT));
        let mut scanner = Scanner::new(Pointers::new(&["/event".to_owned()]), true);
        let mut sketches = Sketches::new(100);
        scanner.scan(br#"{"a":{},"b":{}}"#).expect("valid");
        sketches.fold(0, scanner.tape(), br#"{"a":{},"b":{}}"#);
        assert_eq!(sketches.events[0].nodes.len(), 1);
    }
}
