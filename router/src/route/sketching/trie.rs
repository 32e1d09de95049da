//! The sketch of one event while it is made: a node for each object, node 0 for the record itself.

use super::keys::Keys;
use crate::route::scan::{ShapeId, Tape, TapeEntry};
use common::sketch::{SKETCH_DEPTH_MAX, SketchNode, Types};
use foldhash::fast::RandomState;
use std::collections::VecDeque;
use std::slice;

/// Children that are looked at before a key is searched for.
const LOOK_AHEAD: usize = 8;

pub(super) struct Trie {
    pub(super) nodes: Vec<Node>,
    /// What the nodes count as.
    pub(super) cost: usize,
    hashing: RandomState,
}

/// What a node with this key counts as.
fn cost_of(key: &[u8]) -> usize {
    1 + key.len() / 64
}

/// One object's keys.
#[derive(Default)]
pub(super) struct Node {
    /// By the number of their key.
    pub(super) children: Vec<Child>,
    keys: Keys,
    collapsed: bool,
}

/// What the values of a key were like. All that most records touch: kept apart, it stays in the cache.
pub(super) struct Child {
    /// The scanner's word for the path with which this key came last: equal ones need no comparison of keys.
    shape: ShapeId,
    max_bytes: u32,
    types: Types,
}

/// A record on its way into the trie.
pub(super) struct Walk<'a> {
    entries: slice::Iter<'a, TapeEntry>,
    /// The objects around the open one.
    path: Vec<Open>,
    open: Open,
    /// Depth of open objects below a collapsed one.
    hidden: usize,
}

/// An open object of the record being folded.
#[derive(Clone, Copy)]
struct Open {
    node: usize,
    /// The child expected next.
    expected: usize,
}

impl<'a> Walk<'a> {
    /// The walk of a record that is at its beginning.
    pub(super) fn new(tape: &'a Tape) -> Self {
        Self { entries: tape.entries().iter(), path: Vec::new(), open: Open { node: 0, expected: 0 }, hidden: 0 }
    }

    /// Goes on where the nodes were moved to. What is below a node that collapsed is hidden from now on.
    pub(super) fn follow(&mut self, moved: &[Option<u32>]) {
        self.path.push(self.open);
        let gone = self.path.iter_mut().position(|open| match moved[open.node] {
            Some(node) => {
                open.node = node as usize;
                false
            }
            None => true,
        });
        if let Some(gone) = gone {
            self.hidden += self.path.len() - gone;
            self.path.truncate(gone);
        }
        self.open = self.path.pop().expect("the record's own node is never gone");
    }
}

impl Trie {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::default()], cost: 1, hashing: RandomState::default() }
    }

    /// Folds the record in until it ends, or until the trie costs more than `room` over what it did; whether it ended.
    pub(super) fn fold(&mut self, walk: &mut Walk<'_>, tape: &Tape, record: &[u8], room: usize) -> bool {
        let limit = self.cost + room;
        // In registers: they change with every key.
        let (mut entries, mut open, mut hidden) = (walk.entries.clone(), walk.open, walk.hidden);
        let has_ended = loop {
            let Some(entry) = entries.next() else { break true };
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
                                    None => node.child(open.expected, tape.key_of(key, record), &self.hashing),
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
                            Some(TapeEntry::Value { .. }) if self.cost <= limit => entries.next(),
                            _ => None,
                        };
                    }
                    if self.cost > limit {
                        break false;
                    }
                }
                TapeEntry::Open if hidden > 0 || self.nodes[open.node].collapsed => hidden += 1,
                TapeEntry::Open => {
                    let is_deepest = walk.path.len() + 1 == SKETCH_DEPTH_MAX;
                    if entries.as_slice().first() == Some(&TapeEntry::Close) && !is_deepest {
                        // Without a key it needs no node.
                        entries.next();
                        continue;
                    }
                    let node = self.node_below(open);
                    if is_deepest {
                        self.nodes[node].collapsed = true;
                        hidden += 1;
                    } else {
                        walk.path.push(open);
                        open = Open { node, expected: 0 };
                    }
                }
                TapeEntry::Close if hidden > 0 => hidden -= 1,
                TapeEntry::Close => open = walk.path.pop().expect("Close only follows Open"),
            }
        };
        (walk.entries, walk.open, walk.hidden) = (entries, open, hidden);
        has_ended
    }

    /// The node of the object that is the value of the key seen last.
    fn node_below(&mut self, open: Open) -> usize {
        let next = self.nodes.len();
        let key = &mut self.nodes[open.node].keys.as_mut_slice()[open.expected - 1];
        let node = *key.node.get_or_insert(next as u32) as usize;
        if node == next {
            self.nodes.push(Node::default());
        }
        node
    }

    /// Gives back what collapsed nodes held. Says where each node is now.
    pub(super) fn drop_unreachable(&mut self) -> Vec<Option<u32>> {
        let old = std::mem::take(&mut self.nodes);
        let mut moved = vec![None; old.len()];
        let mut old: Vec<Option<Node>> = old.into_iter().map(Some).collect();
        let mut queue = VecDeque::from([0]);
        let mut next = 1;
        while let Some(id) = queue.pop_front() {
            let mut node = old[id].take().expect("each node has one parent");
            for below in node.keys.as_mut_slice().iter_mut().filter_map(|key| key.node.as_mut()) {
                queue.push_back(*below as usize);
                *below = next;
                next += 1;
            }
            moved[id] = Some(self.nodes.len() as u32);
            self.nodes.push(node);
        }
        let keys = self.nodes.iter().flat_map(|node| node.keys.as_slice());
        self.cost = 1 + keys.map(|key| cost_of(&key.text)).sum::<usize>();
        moved
    }

    pub(super) fn export(&self, types: Types, max_bytes: u32, node: Option<u32>) -> SketchNode {
        let node = node.map(|node| &self.nodes[node as usize]);
        let keys = node.iter().flat_map(|node| node.keys.as_slice().iter().zip(&node.children)).map(|(key, child)| {
            let text = String::from_utf8_lossy(&key.text).into_owned();
            (text, self.export(child.types, child.max_bytes, key.node))
        });
        SketchNode { types, max_bytes, keys: keys.collect(), collapsed: node.is_some_and(|node| node.collapsed) }
    }
}

impl Node {
    /// Forgets the keys for good.
    pub(super) fn collapse(&mut self) {
        *self = Self { collapsed: true, ..Self::default() };
    }

    /// The place of the path's key among the next children: keys that a record leaves out are skipped.
    fn ahead(&self, expected: usize, shape: ShapeId) -> Option<usize> {
        if shape == ShapeId::NONE {
            return None;
        }
        let mut ahead = self.children.iter().enumerate().skip(expected).take(LOOK_AHEAD);
        ahead.find(|(_, child)| child.shape == shape).map(|(place, _)| place)
    }

    /// The place of a key among the children, and what it costs when it is new.
    fn child(&mut self, expected: usize, key: &[u8], hashing: &RandomState) -> (usize, usize) {
        if self.keys.as_slice().get(expected).is_some_and(|known| *known.text == *key) {
            return (expected, 0);
        }
        let (place, is_new) = self.keys.number(key, hashing);
        if is_new {
            self.children.push(Child { shape: ShapeId::NONE, max_bytes: 0, types: Types::NONE });
        }
        (place, if is_new { cost_of(key) } else { 0 })
    }
}
