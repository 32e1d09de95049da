//! Folds the tapes of valid records into one sketch per event, in bounded memory.
//!
//! The hot path of a record is one comparison per key: records of one event mostly repeat the order
//! of their keys, so the key after the one just seen is guessed first.

use super::scan::{ShapeId, Tape, TapeEntry};
use common::sketch::{SKETCH_DEPTH_MAX, Sketch, SketchNode, Types};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};

/// Nodes kept per source object, over all its events; past it the widest objects collapse. A key counts as one
/// more node for each 64 bytes of it, so that some 60 MiB hold them whatever the keys.
pub const SKETCH_NODES_MAX: usize = 200_000;

/// Children above which a node gets an index instead of being searched.
const INDEXED_FROM: usize = 16;

/// Children that are looked at before a key is searched for.
const LOOK_AHEAD: usize = 8;

/// The sketches of one source object, by event number.
pub struct Sketches {
    events: Vec<Trie>,
    nodes: usize,
    nodes_max: usize,
    path: Vec<Open>,
}

/// An open object of the record being folded.
#[derive(Clone, Copy)]
struct Open {
    node: usize,
    /// The child expected next.
    expected: usize,
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

/// One object's keys.
#[derive(Default)]
struct Node {
    /// In the order they were first seen.
    children: Vec<Child>,
    /// In the same order.
    keys: Vec<Key>,
    index: Option<HashMap<Box<[u8]>, usize>>,
    collapsed: bool,
}

/// What the values of a key were like. All that most records touch: kept apart, it stays in the cache.
struct Child {
    /// The scanner's word for the path with which this key came last: equal ones need no comparison of keys.
    shape: ShapeId,
    max_bytes: u32,
    types: Types,
}

struct Key {
    text: Box<[u8]>,
    /// The node of the objects that were its value, once there was one.
    node: Option<u32>,
}

impl Sketches {
    /// Empty sketches; `nodes_max` bounds their memory.
    pub fn new(nodes_max: usize) -> Self {
        Self { events: Vec::new(), nodes: 0, nodes_max, path: Vec::new() }
    }

    /// Folds a valid record's tape into its event's sketch.
    pub fn fold(&mut self, event: usize, tape: &Tape, record: &[u8]) {
        while self.events.len() <= event {
            self.events.push(Trie { nodes: vec![Node::default()], cost: 1 });
            self.nodes += 1;
        }
        let trie = &mut self.events[event];
        let before = trie.cost;
        trie.fold(tape, record, &mut self.path);
        self.nodes += trie.cost - before;
        if self.nodes > self.nodes_max {
            self.collapse_widest();
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
    fn collapse_widest(&mut self) {
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
                trie.drop_unreachable();
                self.nodes -= before - trie.cost;
            }
        }
    }
}

impl Trie {
    fn fold(&mut self, tape: &Tape, record: &[u8], path: &mut Vec<Open>) {
        path.clear();
        let mut open = Open { node: 0, expected: 0 };
        // Depth of open objects below a collapsed one.
        let mut hidden = 0usize;
        let mut entries = tape.entries().iter();
        while let Some(entry) = entries.next() {
            match *entry {
                TapeEntry::Value { .. } if hidden > 0 || self.nodes[open.node].collapsed => {}
                TapeEntry::Value { .. } => {
                    // All keys up to the next object that opens or closes are this node's.
                    let node = &mut self.nodes[open.node];
                    let mut next = Some(entry);
                    while let Some(&TapeEntry::Value { key, shape, types, bytes }) = next {
                        let child = match node.children.get_mut(open.expected) {
                            Some(child) if child.shape == shape && shape != ShapeId::NONE => child,
                            _ => {
                                let (place, cost) = match node.ahead(open.expected, shape) {
                                    Some(place) => (place, 0),
                                    None => node.child(open.expected, tape.key_of(key, record)),
                                };
                                self.cost += cost;
                                open.expected = place;
                                let child = &mut node.children[place];
                                child.shape = shape;
                                child
                            }
                        };
                        open.expected += 1;
                        child.types |= types;
                        child.max_bytes = child.max_bytes.max(bytes);
                        next = match entries.as_slice().first() {
                            Some(TapeEntry::Value { .. }) => entries.next(),
                            _ => None,
                        };
                    }
                }
                TapeEntry::Open if hidden > 0 || self.nodes[open.node].collapsed => hidden += 1,
                TapeEntry::Open => {
                    let node = self.node_below(open);
                    if path.len() + 1 == SKETCH_DEPTH_MAX {
                        self.nodes[node].collapsed = true;
                        hidden += 1;
                    } else {
                        path.push(open);
                        open = Open { node, expected: 0 };
                    }
                }
                TapeEntry::Close if hidden > 0 => hidden -= 1,
                TapeEntry::Close => open = path.pop().expect("Close only follows Open"),
            }
        }
    }

    /// The node of the object that is the value of the key seen last.
    fn node_below(&mut self, open: Open) -> usize {
        let next = self.nodes.len();
        let last = open.expected - 1;
        let node = *self.nodes[open.node].keys[last].node.get_or_insert(next as u32) as usize;
        if node == next {
            self.nodes.push(Node::default());
        }
        node
    }

    fn drop_unreachable(&mut self) {
        let old = std::mem::take(&mut self.nodes);
        let mut old: Vec<Option<Node>> = old.into_iter().map(Some).collect();
        let mut queue = VecDeque::from([0]);
        let mut next = 1;
        while let Some(id) = queue.pop_front() {
            let mut node = old[id].take().expect("each node has one parent");
            for below in node.keys.iter_mut().filter_map(|key| key.node.as_mut()) {
                queue.push_back(*below as usize);
                *below = next;
                next += 1;
            }
            self.nodes.push(node);
        }
        let keys = self.nodes.iter().flat_map(|node| &node.keys);
        self.cost = 1 + keys.map(|key| cost_of(&key.text)).sum::<usize>();
    }

    fn export(&self, types: Types, max_bytes: u32, node: Option<u32>) -> SketchNode {
        let node = node.map(|node| &self.nodes[node as usize]);
        let keys = node.iter().flat_map(|node| node.keys.iter().zip(&node.children)).map(|(key, child)| {
            let text = String::from_utf8_lossy(&key.text).into_owned();
            (text, self.export(child.types, child.max_bytes, key.node))
        });
        SketchNode { types, max_bytes, keys: keys.collect(), collapsed: node.is_some_and(|node| node.collapsed) }
    }
}

impl Node {
    /// Forgets the keys for good.
    fn collapse(&mut self) {
        *self = Self { collapsed: true, ..Self::default() };
    }

    /// The place of the path's key among the next children: keys that a record leaves out are skipped.
    fn ahead(&self, expected: usize, shape: ShapeId) -> Option<usize> {
        if shape == ShapeId::NONE {
            return None;
        }
        let ahead = self.children.iter().enumerate().skip(expected).take(LOOK_AHEAD);
        ahead.into_iter().find(|(_, child)| child.shape == shape).map(|(place, _)| place)
    }

    /// The place of a key among the children, and what it costs when it is new.
    fn child(&mut self, expected: usize, key: &[u8]) -> (usize, usize) {
        let keys = &mut self.keys;
        if keys.get(expected).is_some_and(|known| *known.text == *key) {
            return (expected, 0);
        }
        let known = match &self.index {
            Some(index) => index.get(key).copied(),
            None => keys.iter().position(|known| *known.text == *key),
        };
        if let Some(place) = known {
            return (place, 0);
        }
        let place = keys.len();
        keys.push(Key { text: key.into(), node: None });
        self.children.push(Child { shape: ShapeId::NONE, max_bytes: 0, types: Types::NONE });
        if let Some(index) = &mut self.index {
            index.insert(key.into(), place);
        } else if keys.len() > INDEXED_FROM {
            self.index = Some(keys.iter().enumerate().map(|(at, key)| (key.text.clone(), at)).collect());
        }
        (place, cost_of(key))
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::{Pointers, Scanner};
    use super::*;

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
}
