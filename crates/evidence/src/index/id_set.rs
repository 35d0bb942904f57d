//! The ids that an index may contain, in little memory.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

/// Largest number that has a bit of its own: 32 MiB for all, and PMIDs have 8 digits.
const LARGEST: usize = 1 << 28;

/// Ids seen so far. It never denies one that it has seen; it may, very rarely, claim one that it has not.
#[derive(Default)]
pub(super) struct IdSet {
    /// A bit for each number.
    numbers: Vec<u64>,
    /// A hash for each other id.
    others: HashSet<u64>,
}

impl IdSet {
    /// Adds an id; whether it was there already.
    pub(super) fn insert(&mut self, id: &str) -> bool {
        let number = id.parse::<usize>().ok();
        match number.filter(|&number| number < LARGEST && number.to_string() == id) {
            Some(number) => {
                let (word, bit) = (number / 64, 1 << (number % 64));
                if word >= self.numbers.len() {
                    self.numbers.resize(word + 1, 0);
                }
                let before = self.numbers[word];
                self.numbers[word] |= bit;
                before & bit != 0
            }
            None => {
                let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(id);
                !self.others.insert(hash)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::IdSet;

    #[test]
    fn every_id_is_new_once() {
        let mut set = IdSet::default();
        for id in [
            "0",
            "7",
            "64",
            "38000000",
            "007",
            "a",
            "",
            "99999999999999999999",
        ] {
            assert!(!set.insert(id), "{id} is new");
            assert!(set.insert(id), "{id} is known");
        }
    }
}
