//! Groups: rows that share a key, directly or through other rows.

/// Disjoint sets over the numbers below a bound, by path halving and smaller roots.
pub(crate) struct Sets {
    parent: Vec<u32>,
}

impl Sets {
    /// As many sets as numbers.
    pub(crate) fn new(count: usize) -> Sets {
        Sets {
            parent: (0..count as u32).collect(),
        }
    }

    /// The first number of the set.
    pub(crate) fn root(&mut self, mut of: u32) -> u32 {
        while self.parent[of as usize] != of {
            self.parent[of as usize] = self.parent[self.parent[of as usize] as usize];
            of = self.parent[of as usize];
        }
        of
    }

    /// Whether two numbers are known to be of one set; quick after [`Sets::flatten`].
    pub(crate) fn together(&self, a: u32, b: u32) -> bool {
        let root = |mut of: u32| {
            while self.parent[of as usize] != of {
                of = self.parent[of as usize];
            }
            of
        };
        root(a) == root(b)
    }

    /// Makes every number point to its root.
    pub(crate) fn flatten(&mut self) {
        for of in 0..self.parent.len() as u32 {
            // A root has the smallest number of its set, so a smaller row points to its root already.
            let parent = self.parent[of as usize];
            self.parent[of as usize] = self.parent[parent as usize];
        }
    }

    /// The smaller root wins, so that a set's root is its first row.
    pub(crate) fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b) as usize] = a.min(b);
    }

    /// Joins all that share a key. Sorts the keys.
    pub(crate) fn join_equal(&mut self, keys: &mut [(u64, u32)]) {
        keys.sort_unstable();
        for pair in keys.windows(2) {
            if pair[0].0 == pair[1].0 {
                self.join(pair[0].1, pair[1].1);
            }
        }
    }

    /// For each row the number of its group's first row.
    pub(crate) fn roots(&mut self) -> Vec<u32> {
        self.flatten();
        self.parent.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::Sets;

    #[test]
    fn a_chain_of_shared_keys_is_one_group() {
        let mut keys = [(1, 0), (2, 1), (3, 1), (4, 2), (3, 3), (1, 3), (4, 5)];
        let mut sets = Sets::new(6);
        sets.join_equal(&mut keys);
        assert_eq!(sets.roots(), [0, 0, 2, 0, 4, 2]);
        sets.join(4, 5);
        assert_eq!(sets.roots(), [0, 0, 2, 0, 2, 2]);
    }
}
