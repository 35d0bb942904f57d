//! Groups: rows that share a key, directly or through other rows.

use std::collections::HashMap;

/// Disjoint sets over the numbers below a bound, by path halving and smaller roots.
struct Sets {
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
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b)] = a.min(b);
    }
}

/// For each row the number of its group's first row. `keys[row]` are the row's keys; `also` are pairs of rows
/// that belong together without one.
pub(crate) fn groups(keys: &[&[String]], also: &[(usize, usize)]) -> Vec<usize> {
    let mut sets = Sets::new(keys.len());
    let mut seen: HashMap<&str, usize> = HashMap::new();
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
    for (a, b) in also {
        sets.join(*a, *b);
    }
    (0..keys.len()).map(|row| sets.root(row)).collect()
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
        assert_eq!(groups(&rows, &[]), [0, 0, 2, 0, 4, 2]);
        assert_eq!(groups(&rows, &[(4, 5)]), [0, 0, 2, 0, 2, 2]);
    }
}
