//! Groups: rows that share a key, directly or through other rows.

use std::collections::HashMap;

/// Disjoint sets over the numbers below a bound, by path halving and smaller roots.
pub(crate) struct Sets {
    parent: Vec<usize>,
}

impl Sets {
    fn new(count: usize) -> Sets {
        Sets {
            parent: (0..count).collect(),
        }
    }

    fn root(&mut self, mut of: usize) -> usize {
        while self.parent[of] != of {
            self.parent[of] = self.parent[self.parent[of]];
            of = self.parent[of];
        }
        of
    }

    /// The smaller root wins, so that a set's root is its first row.
    pub(crate) fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b)] = a.min(b);
    }

    /// For each row the number of its group's first row.
    pub(crate) fn roots(&mut self) -> Vec<usize> {
        (0..self.parent.len()).map(|row| self.root(row)).collect()
    }
}

/// Rows that share a key are one set. `keys[row]` are the row's keys.
pub(crate) fn groups(keys: &[&[String]]) -> Sets {
    let mut sets = Sets::new(keys.len());
    let mut seen: HashMap<&str, usize> = HashMap::with_capacity(3 * keys.len());
    for (row, keys) in keys.iter().enumerate() {
        for key in *keys {
            match seen.get(key.as_str()) {
                Some(&other) => sets.join(row, other),
                None => {
                    seen.insert(key, row);
                }
            }
        }
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::groups;

    #[test]
    fn a_chain_of_shared_keys_is_one_group() {
        let keys = |list: &[&[&str]]| -> Vec<Vec<String>> {
            list.iter()
                .map(|keys| keys.iter().map(|key| key.to_string()).collect())
                .collect()
        };
        let rows = keys(&[&["a"], &["b", "c"], &["d"], &["c", "a"], &[], &["d"]]);
        let rows: Vec<&[String]> = rows.iter().map(Vec::as_slice).collect();
        let mut sets = groups(&rows);
        assert_eq!(sets.roots(), [0, 0, 2, 0, 4, 2]);
        sets.join(4, 5);
        assert_eq!(sets.roots(), [0, 0, 2, 0, 2, 2]);
    }
}
