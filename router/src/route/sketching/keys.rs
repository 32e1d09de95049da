//! The keys of one object: found by their text, kept once, numbered in the order in which they were first seen.

use foldhash::fast::RandomState;
use std::hash::BuildHasher;

/// Keys above which an object gets an index instead of being searched.
const INDEXED_FROM: usize = 16;

/// A slot of the index without a key.
const FREE: u32 = u32::MAX;

#[derive(Default)]
pub(super) struct Keys {
    keys: Vec<Key>,
    /// Open addressing: numbers of keys, at most half of the slots taken. Empty where the keys are few.
    slots: Vec<u32>,
}

pub(super) struct Key {
    pub(super) text: Box<[u8]>,
    /// The node of the objects that were its value, once one of them had a key.
    pub(super) node: Option<u32>,
}

impl Keys {
    pub(super) fn as_slice(&self) -> &[Key] {
        &self.keys
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [Key] {
        &mut self.keys
    }

    /// The number of a key, and whether it is new.
    pub(super) fn number(&mut self, text: &[u8], hashing: &RandomState) -> (usize, bool) {
        let known = match self.slots.is_empty() {
            true => self.keys.iter().position(|key| *key.text == *text),
            false => {
                let taken = self.slots[self.slot(text, hashing)];
                (taken != FREE).then_some(taken as usize)
            }
        };
        if let Some(number) = known {
            return (number, false);
        }
        let number = self.keys.len();
        self.keys.push(Key { text: text.into(), node: None });
        if self.keys.len() > INDEXED_FROM {
            match self.keys.len() * 2 > self.slots.len() {
                true => self.index(hashing),
                false => {
                    let slot = self.slot(text, hashing);
                    self.slots[slot] = number as u32;
                }
            }
        }
        (number, true)
    }

    /// The slot of a key: its own, or the free one where it belongs.
    fn slot(&self, text: &[u8], hashing: &RandomState) -> usize {
        let last = self.slots.len() - 1;
        let mut slot = hashing.hash_one(text) as usize & last;
        while self.slots[slot] != FREE && *self.keys[self.slots[slot] as usize].text != *text {
            slot = (slot + 1) & last;
        }
        slot
    }

    /// Makes the index anew, with room for as many keys again.
    fn index(&mut self, hashing: &RandomState) {
        let slots = (self.keys.len() * 4).next_power_of_two();
        self.slots = Vec::new();
        self.slots = vec![FREE; slots];
        for number in 0..self.keys.len() {
            let slot = self.slot(&self.keys[number].text, hashing);
            self.slots[slot] = number as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_numbers_however_many_there_are() {
        let (mut keys, hashing) = (Keys::default(), RandomState::default());
        for round in 0..2 {
            for n in 0..5_000usize {
                assert_eq!(keys.number(format!("key {n}").as_bytes(), &hashing), (n, round == 0));
            }
        }
        assert!(keys.slots.len() >= 2 * keys.as_slice().len());
    }
}
