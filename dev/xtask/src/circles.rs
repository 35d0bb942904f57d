//! Circles between the files of a crate: `a.rs` uses what `b.rs` defines, and `b.rs`, directly or through other
//! files, uses what `a.rs` defines.

use std::collections::{BTreeMap, VecDeque};

use crate::modules::Edges;

/// The files that each file uses.
type Used<'e> = BTreeMap<&'e str, Vec<&'e str>>;

/// A way round a circle: each file with the names that it uses of the next. The last one uses the first.
pub type Circle = Vec<(String, String)>;

/// The shortest circle through each use that is part of one, each circle once, short ones first.
pub fn circles(edges: &Edges) -> Vec<Circle> {
    let mut used: Used<'_> = BTreeMap::new();
    for (from, to) in edges.keys() {
        used.entry(from).or_default().push(to);
    }
    let mut circles = BTreeMap::new();
    for (from, to) in edges.keys() {
        let back = shortest(&used, to, from);
        if back.is_empty() {
            continue;
        }
        let mut way = vec![from.as_str()];
        way.extend(back);
        let named = way.windows(2).map(|pair| {
            let names = &edges[&(pair[0].to_owned(), pair[1].to_owned())];
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            (pair[0].to_owned(), names.join(", "))
        });
        let circle: Circle = named.collect();
        way.pop();
        way.sort_unstable();
        circles.entry(way).or_insert(circle);
    }
    let mut circles: Vec<Circle> = circles.into_values().collect();
    circles.sort_by_key(Vec::len);
    circles
}

/// The files on the shortest way between two, both included; none where there is no way.
fn shortest<'e>(used: &Used<'e>, from: &'e str, to: &str) -> Vec<&'e str> {
    let mut before: BTreeMap<&str, Option<&str>> = BTreeMap::from([(from, None)]);
    let mut open = VecDeque::from([from]);
    while let Some(file) = open.pop_front() {
        if file == to {
            let back = std::iter::successors(Some(file), |file| before[file]);
            let mut way: Vec<&str> = back.collect();
            way.reverse();
            return way;
        }
        for next in used.get(file).into_iter().flatten().copied() {
            before.entry(next).or_insert_with(|| {
                open.push_back(next);
                Some(file)
            });
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(all: &[(&str, &str, &str)]) -> Edges {
        let mut edges = Edges::new();
        for (from, to, name) in all {
            let key = ((*from).to_owned(), (*to).to_owned());
            edges.entry(key).or_default().insert((*name).to_owned());
        }
        edges
    }

    #[test]
    fn files_in_one_direction_are_no_circle() {
        let all = edges(&[("a", "b", "B"), ("b", "c", "C"), ("a", "c", "C")]);
        assert!(circles(&all).is_empty());
    }

    #[test]
    fn a_circle_is_shown_with_the_names_that_close_it() {
        let all = edges(&[
            ("a", "b", "B"),
            ("b", "a", "A"),
            ("b", "c", "C"),
            ("c", "a", "A"),
            ("c", "d", "D"),
        ]);
        let way = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            let owned = pairs.iter().map(|(a, b)| ((*a).into(), (*b).into()));
            owned.collect()
        };
        let short = way(&[("a", "B"), ("b", "A")]);
        let long = way(&[("b", "C"), ("c", "A"), ("a", "B")]);
        assert_eq!(circles(&all), [short, long]);
    }
}
