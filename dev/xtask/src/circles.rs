//! Circles between the files of a crate: `a.rs` uses what `b.rs` defines, and `b.rs`, directly or through other
//! files, uses what `a.rs` defines.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::modules::Edges;

/// The files that each file uses.
type Used<'e> = BTreeMap<&'e str, Vec<&'e str>>;

/// Files that all use each other, directly or through one another.
#[derive(Debug)]
pub struct Circle {
    /// All of them, sorted.
    pub files: Vec<String>,
    /// The shortest ways round: each file with the names that it uses of the next. The last uses the first.
    pub ways: Vec<Vec<(String, String)>>,
}

/// All circles, each file in one of them at most.
pub fn circles(edges: &Edges) -> Vec<Circle> {
    let mut used: Used<'_> = BTreeMap::new();
    for (from, to) in edges.keys() {
        used.entry(from).or_default().push(to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> = used
        .keys()
        .map(|file| (*file, reach(&used, file)))
        .collect();
    let reaches = |from: &str, to: &str| reached.get(from).is_some_and(|all| all.contains(to));
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut circles = Vec::new();
    for file in used.keys() {
        if done.contains(file) || !reaches(file, file) {
            continue;
        }
        let mutual = used.keys().copied();
        let files: BTreeSet<&str> = mutual
            .filter(|other| reaches(file, other) && reaches(other, file))
            .collect();
        done.extend(&files);
        circles.push(Circle {
            ways: ways(edges, &used, &files),
            files: files.into_iter().map(str::to_owned).collect(),
        });
    }
    circles
}

/// The shortest way round through each use between two of the files, each way once.
fn ways(edges: &Edges, used: &Used<'_>, files: &BTreeSet<&str>) -> Vec<Vec<(String, String)>> {
    let mut ways = BTreeMap::new();
    for (from, to) in edges.keys() {
        if !files.contains(from.as_str()) || !files.contains(to.as_str()) {
            continue;
        }
        let mut way = vec![from.as_str()];
        way.extend(shortest(used, to, from));
        let named = way.windows(2).map(|pair| {
            let names = &edges[&(pair[0].to_owned(), pair[1].to_owned())];
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            (pair[0].to_owned(), names.join(", "))
        });
        let named = named.collect();
        way.pop();
        way.sort_unstable();
        ways.entry(way).or_insert(named);
    }
    let mut ways: Vec<_> = ways.into_values().collect();
    ways.sort_by_key(Vec::len);
    ways
}

/// The files that a file reaches by one use or more.
fn reach<'e>(used: &Used<'e>, from: &str) -> BTreeSet<&'e str> {
    let mut found = BTreeSet::new();
    let mut open = used.get(from).cloned().unwrap_or_default();
    while let Some(file) = open.pop() {
        if found.insert(file) {
            open.extend(used.get(file).into_iter().flatten());
        }
    }
    found
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
        let found = circles(&all);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].files, ["a", "b", "c"]);
        let way = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            let owned = pairs.iter().map(|(a, b)| ((*a).into(), (*b).into()));
            owned.collect()
        };
        let short = way(&[("a", "B"), ("b", "A")]);
        let long = way(&[("b", "C"), ("c", "A"), ("a", "B")]);
        assert_eq!(found[0].ways, [short, long]);
    }
}
