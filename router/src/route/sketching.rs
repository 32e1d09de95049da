//! Folds the tapes of valid records into one sketch per event, in bounded memory.
//!
//! The hot path of a record is one comparison per key: records of one event mostly repeat the order
//! of their keys, so the key after the one just seen is guessed first.

use super::scan::{Tape, TapeEntry};
use common::sketch::{Sketch, SketchNode, Types};
use std::collections::HashMap;

/// Nodes kept per source object, over all its events; past it the widest objects collapse. A key counts as one
/// more node for each 64 bytes of it, so that some 60 MiB hold them whatever the keys.
pub const SKETCH_NODES_MAX: usize = 200_000;

/// Levels of objects that are sketched; deeper ones are one JSON value. Far more than any table flattens, and
/// few enough that every JSON reader takes the seal (`serde_json` stops at 128 levels).
pub const SKETCH_DEPTH_MAX: usize = 32;

/// Children above which a node gets an index instead of being searched.
const INDEXED_FROM: usize = 16;

/// The sketches of one source object, by event number.
pub struct Sketches {
    events: Vec<Trie>,
    nodes: usize,
    nodes_max: usize,
    path: Vec<(usize, usize)>,
}

/// Node 0 is the record itself.
struct Trie {
    nodes: Vec<Node>,
    /// What the nodes count as.
    cost: usize,
}

/// What a node with this key counts as.
fn cost_of(key: &[u8]) -> usize {
    1 + key.len() / 64
}

#[derive(Default)]
struct Node {
    types: Types,
    max_bytes: u32,
    /// Keys in the order they were first seen.
    children: Vec<(Box<[u8]>, usize)>,
    index: Option<HashMap<Box<[u8]>, usize>>,
    collapsed: bool,
}

impl Sketches {
    /// Empty sketches; `nodes_max` bounds their memory.
    pub fn new(nodes_max: usize) -> Self {
        Self { events: Vec::new(), nodes: 0, nodes_max, path: Vec::new() }
    }

    /// Folds a valid record's tape into its event's sketch.
    pub fn fold(&mut self, event: usize, tape: &Tape, record: &[u8]) {
        while self.events.len() <= event {
            self.events.push(Trie { nodes: vec![Node { types: Types::OBJECT, ..Node::default() }], cost: 1 });
            self.nodes += 1;
        }
        let trie = &mut self.events[event];
        let before = trie.cost;
        trie.fold(tape, record, &mut self.path);
        self.nodes += trie.cost - before;
        while self.nodes > self.nodes_max && self.collapse_widest() {}
    }

    /// The sketch of an event.
    pub fn sketch(&self, event: usize) -> Sketch {
        match self.events.get(event) {
            Some(trie) => trie.export(0),
            None => Sketch { types: Types::OBJECT, ..Sketch::default() },
        }
    }

    /// Collapses the object with the most keys; the earliest event and node among equals, so that the
    /// same records always give the same sketch. Returns whether there was one.
    fn collapse_widest(&mut self) -> bool {
        let candidates = self.events.iter().enumerate().flat_map(|(e, trie)| {
            trie.nodes.iter().enumerate().map(move |(n, node)| (node.children.len(), std::cmp::Reverse((e, n))))
        });
        let Some((width, std::cmp::Reverse((event, node)))) = candidates.max() else { return false };
        if width == 0 {
            return false;
        }
        let trie = &mut self.events[event];
        let before = trie.cost;
        trie.collapse(node);
        self.nodes -= before - trie.cost;
        true
    }
}

impl Trie {
    fn fold(&mut self, tape: &Tape, record: &[u8], path: &mut Vec<(usize, usize)>) {
        // (node, the child expected next) for every open object.
        path.clear();
        path.push((0, 0));
        let mut last = 0;
        // Depth of open objects below a collapsed one.
        let mut hidden = 0usize;
        for entry in tape.entries() {
            match *entry {
                TapeEntry::Value { key, types, bytes } => {
                    let (node, expected) = *path.last().expect("Close only follows Open");
                    if hidden > 0 || self.nodes[node].collapsed {
                        continue;
                    }
                    let key = tape.key_of(key, record);
                    let place = self.child(node, expected, key);
                    path.last_mut().expect("as above").1 = place + 1;
                    last = self.nodes[node].children[place].1;
                    let child = &mut self.nodes[last];
                    child.types |= types;
                    child.max_bytes = child.max_bytes.max(bytes);
                }
                TapeEntry::Open => {
                    let node = path.last().expect("as above").0;
                    if hidden == 0 && path.len() == SKETCH_DEPTH_MAX && !self.nodes[node].collapsed {
                        self.nodes[last].collapsed = true;
                    }
                    if hidden > 0 || self.nodes[node].collapsed || path.len() == SKETCH_DEPTH_MAX {
                        hidden += 1;
                    } else {
                        path.push((last, 0));
                    }
                }
                TapeEntry::Close if hidden > 0 => hidden -= 1,
                TapeEntry::Close => {
                    path.pop();
                }
            }
        }
    }

    /// The place of a key among a node's children; made when new.
    fn child(&mut self, node: usize, expected: usize, key: &[u8]) -> usize {
        let children = &self.nodes[node].children;
        if children.get(expected).is_some_and(|(k, _)| **k == *key) {
            return expected;
        }
        let known = match &self.nodes[node].index {
            Some(index) => index.get(key).copied(),
            None => children.iter().position(|(k, _)| **k == *key),
        };
        if let Some(place) = known {
            return place;
        }
        let id = self.nodes.len();
        self.nodes.push(Node::default());
        self.cost += cost_of(key);
        let parent = &mut self.nodes[node];
        let place = parent.children.len();
        parent.children.push((key.into(), id));
        if let Some(index) = &mut parent.index {
            index.insert(key.into(), place);
        } else if parent.children.len() > INDEXED_FROM {
            let all = parent.children.iter().enumerate().map(|(at, (k, _))| (k.clone(), at));
            parent.index = Some(all.collect());
        }
        place
    }

    /// Forgets a node's children for good, and the nodes below.
    fn collapse(&mut self, node: usize) {
        self.nodes[node].children = Vec::new();
        self.nodes[node].index = None;
        self.nodes[node].collapsed = true;
        // Rebuild without what cannot be reached any more.
        let old = std::mem::take(&mut self.nodes);
        let mut old: Vec<Option<Node>> = old.into_iter().map(Some).collect();
        let mut queue = std::collections::VecDeque::from([0]);
        let mut next = 1;
        while let Some(id) = queue.pop_front() {
            let mut node = old[id].take().expect("each node has one parent");
            for (_, child) in &mut node.children {
                queue.push_back(*child);
                *child = next;
                next += 1;
            }
            self.nodes.push(node);
        }
        let children = self.nodes.iter().flat_map(|node| &node.children);
        self.cost = 1 + children.map(|(key, _)| cost_of(key)).sum::<usize>();
    }

    fn export(&self, node: usize) -> SketchNode {
        let node = &self.nodes[node];
        let keys =
            node.children.iter().map(|(key, child)| (String::from_utf8_lossy(key).into_owned(), self.export(*child)));
        SketchNode { types: node.types, max_bytes: node.max_bytes, keys: keys.collect(), collapsed: node.collapsed }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::{Pointers, Scanner};
    use super::*;

    fn sketch_of(records: &[&str], nodes_max: usize) -> (Sketch, usize) {
        let mut scanner = Scanner::new(Pointers::new(&["/event".to_owned()]));
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
}
