//! Which rows are kept and which split each goes to: balanced per class, stratified by
//! class and, as far as that leaves room, by source; groups stay whole, pinned rows go where they
//! are pinned.

use std::collections::BTreeMap;

use super::shares::SplitShares;
use crate::digest::place;
use crate::{Label, Split};

/// What the splitter has to know of a row.
#[derive(Clone, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) id: &'a str,
    pub(crate) label: Label,
    pub(crate) source: &'a str,
    /// Seats that a row of its source gets where classes are sampled, against 1 of another's.
    pub(crate) weight: u32,
    pub(crate) group: usize,
    /// The same for every row of a group.
    pub(crate) pin: Option<Split>,
}

/// Seats per split.
pub(crate) type Seats = [usize; 3];

/// The rows of one class by where they are pinned, in the seed's order.
struct Class {
    label: Label,
    shares: SplitShares,
    /// Rows pinned to each split.
    pinned: [Vec<usize>; 3],
    free: Vec<usize>,
}

impl Class {
    fn new(
        label: Label,
        shares: SplitShares,
        candidates: &[Candidate<'_>],
        order: &[usize],
    ) -> Class {
        let mut class = Class {
            label,
            shares,
            pinned: Default::default(),
            free: Vec::new(),
        };
        for &row in order.iter().filter(|&&row| candidates[row].label == label) {
            match candidates[row].pin {
                Some(split) => class.pinned[split.index()].push(row),
                None => class.free.push(row),
            }
        }
        class
    }

    fn rows(&self) -> usize {
        self.free.len() + self.pinned.iter().map(Vec::len).sum::<usize>()
    }

    /// Free rows that seats need because too few are pinned there.
    fn needs(&self, seats: Seats) -> Seats {
        std::array::from_fn(|split| seats[split].saturating_sub(self.pinned[split].len()))
    }

    /// The most rows whose shares can be seated without moving a pinned row.
    fn capacity(&self) -> usize {
        let fits = |rows: usize| {
            self.needs(self.shares.seats(rows)).iter().sum::<usize>() <= self.free.len()
        };
        (0..=self.rows())
            .rev()
            .find(|&rows| fits(rows))
            .unwrap_or(0)
    }

    /// Seats that take in every row: the shares, but never fewer than are pinned to a split.
    fn seats_for_all(&self) -> Seats {
        let mut seats = self.shares.seats(self.rows());
        for split in 0..3 {
            let mut short = self.pinned[split].len().saturating_sub(seats[split]);
            seats[split] += short;
            for other in (0..3).filter(|&other| other != split) {
                let give = short.min(seats[other].saturating_sub(self.pinned[other].len()));
                seats[other] -= give;
                short -= give;
            }
        }
        seats
    }

    /// Chooses a row for every seat. Each source gets seats in proportion to its rows; what a
    /// source cannot fill goes to the others. Adds the chosen to `plan`.
    fn choose<'a>(&self, seats: Seats, candidates: &[Candidate<'a>], plan: &mut Plan<'a>) {
        let needs = self.needs(seats);
        let mut spare = self.free.len() - needs.iter().sum::<usize>();
        let mut free: Vec<usize> = self.free.clone();
        for split in Split::ALL {
            let at = split.index();
            let mut pinned = self.pinned[at].clone();
            let wanted = self.share(seats[at], candidates);
            let mut open = seats[at];
            let mut free_allowed = needs[at] + spare;
            let mut pinned_allowed = usize::MAX;
            // First each source's own share, pinned rows before free ones; then any source that has rows.
            for mut share in [Some(wanted), None] {
                let pools = [
                    (&mut pinned, &mut pinned_allowed),
                    (&mut free, &mut free_allowed),
                ];
                for (rows, limit) in pools {
                    rows.retain(|&row| {
                        let source = candidates[row].source;
                        let mine = share.as_mut().map(|share| share.entry(source).or_default());
                        if open == 0 || *limit == 0 || mine.as_ref().is_some_and(|left| **left == 0)
                        {
                            return true;
                        }
                        if let Some(left) = mine {
                            *left -= 1;
                        }
                        open -= 1;
                        *limit -= 1;
                        plan.keep.push(row);
                        plan.seats.entry((self.label, source)).or_default()[at] += 1;
                        false
                    });
                }
            }
            // What this split took beyond its need, the later ones cannot take.
            let used = needs[at] + spare - free_allowed;
            spare -= used.saturating_sub(needs[at]);
        }
    }

    /// `seats` parted among the sources in proportion to their rows of this class by their weight, by
    /// largest remainder.
    fn share<'a>(&self, seats: usize, candidates: &[Candidate<'a>]) -> BTreeMap<&'a str, usize> {
        let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
        for &row in self.free.iter().chain(self.pinned.iter().flatten()) {
            *rows.entry(candidates[row].source).or_default() += candidates[row].weight as usize;
        }
        let total = rows.values().sum::<usize>().max(1);
        let mut parts: Vec<(&str, usize, usize)> = rows
            .into_iter()
            .map(|(source, rows)| (source, seats * rows / total, seats * rows % total))
            .collect();
        let given: usize = parts.iter().map(|part| part.1).sum();
        parts.sort_by_key(|&(source, _, remainder)| (std::cmp::Reverse(remainder), source));
        for part in parts.iter_mut().take(seats - given) {
            part.1 += 1;
        }
        parts
            .into_iter()
            .map(|(source, share, _)| (source, share))
            .collect()
    }
}

/// The rows that are kept and the seats they came with.
#[derive(Default)]
struct Plan<'a> {
    keep: Vec<usize>,
    seats: BTreeMap<(Label, &'a str), Seats>,
}

/// How many rows of each class can be used in a balanced set, in the order of [`Label::ALL`].
pub(crate) fn capacities(candidates: &[Candidate<'_>], shares: SplitShares) -> [usize; 3] {
    let order: Vec<usize> = (0..candidates.len()).collect();
    Label::ALL.map(|label| Class::new(label, shares, candidates, &order).capacity())
}

/// The split of each row, or `None` where the row is left out. `per_class` is at most each class's
/// capacity; without it every row is kept.
pub(crate) fn assign(
    candidates: &[Candidate<'_>],
    per_class: Option<[usize; 3]>,
    shares: SplitShares,
    seed: u64,
) -> Vec<Option<Split>> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_cached_key(|&row| {
        (
            place(seed, "sample", candidates[row].id),
            candidates[row].id,
        )
    });
    let mut plan = Plan::default();
    for label in Label::ALL {
        let class = Class::new(label, shares, candidates, &order);
        let rows = per_class.map(|rows| rows[label.index()]);
        let seats = rows.map_or_else(|| class.seats_for_all(), |rows| shares.seats(rows));
        class.choose(seats, candidates, &mut plan);
    }
    seat_groups(candidates, plan, seed)
}

/// Groups by group: pinned ones first, then those of several rows from large to small, then single
/// rows, which fill what is left.
fn seat_groups(candidates: &[Candidate<'_>], plan: Plan<'_>, seed: u64) -> Vec<Option<Split>> {
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &row in &plan.keep {
        members.entry(candidates[row].group).or_default().push(row);
    }
    let mut groups: Vec<Vec<usize>> = members.into_values().collect();
    for group in &mut groups {
        group.sort_by_key(|&row| candidates[row].id);
    }
    groups.sort_by_cached_key(|group| {
        let first = &candidates[group[0]];
        let rank = if first.pin.is_some() { 0 } else { 1 };
        (
            rank,
            std::cmp::Reverse(group.len()),
            place(seed, "split", first.id),
            first.id,
        )
    });
    let mut room = Room::new(plan.seats);
    let mut splits = vec![None; candidates.len()];
    for group in &groups {
        let first = &candidates[group[0]];
        let split = first
            .pin
            .unwrap_or_else(|| room.best(group, candidates, seed));
        room.fill(group, candidates, split);
        for &row in group {
            splits[row] = Some(split);
        }
    }
    splits
}

/// Seats not yet taken; negative where a group or a pin took more than there were.
struct Room<'a> {
    by_class: [[i64; 3]; 3],
    by_source: BTreeMap<(Label, &'a str), [i64; 3]>,
}

impl<'a> Room<'a> {
    fn new(seats: BTreeMap<(Label, &'a str), Seats>) -> Room<'a> {
        let mut by_class = [[0; 3]; 3];
        let mut by_source = BTreeMap::new();
        for ((label, source), seats) in seats {
            let seats = seats.map(|seats| seats as i64);
            for split in 0..3 {
                by_class[label.index()][split] += seats[split];
            }
            by_source.insert((label, source), seats);
        }
        Room {
            by_class,
            by_source,
        }
    }

    fn fill(&mut self, group: &[usize], candidates: &[Candidate<'a>], split: Split) {
        for &row in group {
            let Candidate { label, source, .. } = candidates[row];
            self.by_class[label.index()][split.index()] -= 1;
            if let Some(room) = self.by_source.get_mut(&(label, source)) {
                room[split.index()] -= 1;
            }
        }
    }

    /// The split that the group overfills least: by class first, by source second. Where several
    /// are level, the seed draws one, with the weights of the seats that they still have.
    fn best(&self, group: &[usize], candidates: &[Candidate<'a>], seed: u64) -> Split {
        let excess = |split: Split| {
            let at = split.index();
            let mut classes = [0i64; 3];
            let mut sources: BTreeMap<(Label, &str), i64> = BTreeMap::new();
            for &row in group {
                let Candidate { label, source, .. } = candidates[row];
                classes[label.index()] += 1;
                *sources.entry((label, source)).or_default() += 1;
            }
            let by_class: i64 = (0..3)
                .map(|class| (classes[class] - self.by_class[class][at]).clamp(0, classes[class]))
                .sum();
            let by_source: i64 = sources
                .iter()
                .map(|(key, &rows)| {
                    let room = self.by_source.get(key).map_or(0, |room| room[at]);
                    (rows - room).clamp(0, rows)
                })
                .sum();
            (by_class, by_source)
        };
        let least = Split::ALL.map(excess).into_iter().min();
        let level: Vec<Split> = Split::ALL
            .into_iter()
            .filter(|&split| Some(excess(split)) == least)
            .collect();
        let first = &candidates[group[0]];
        let weight = |split: Split| self.by_class[first.label.index()][split.index()].max(0) as u64;
        let total: u64 = level.iter().map(|&split| weight(split)).sum();
        let mut drawn = place(seed, "seat", first.id) % total.max(1);
        for &split in &level {
            if drawn < weight(split) {
                return split;
            }
            drawn -= weight(split);
        }
        level.first().copied().unwrap_or(Split::Train)
    }
}

#[cfg(test)]
mod tests {
    use super::{Candidate, SplitShares, assign, capacities};
    use crate::{Label, Split};

    #[test]
    fn pinned_rows_bound_what_a_class_can_give() {
        let row = |id, pin| Candidate {
            id,
            label: Label::Yes,
            source: "s",
            weight: 1,
            group: 0,
            pin,
        };
        // Ten pinned to test leave one seat for them beside the nine free ones' 80 %.
        let mut rows: Vec<Candidate<'_>> = Vec::new();
        let names: Vec<String> = (0..19).map(|n| n.to_string()).collect();
        for (n, name) in names.iter().enumerate() {
            rows.push(row(name, (n >= 9).then_some(Split::Test)));
        }
        // 10 rows are 8/1/1: nine free ones and one of the pinned.
        assert_eq!(capacities(&rows, SplitShares::default()), [10, 0, 0]);
    }

    #[test]
    fn held_out_rows_never_reach_training() {
        let names: Vec<String> = (0..90).map(|n| format!("r{n}")).collect();
        let rows: Vec<Candidate<'_>> = names
            .iter()
            .enumerate()
            .map(|(n, id)| Candidate {
                id,
                label: Label::ALL[n % 3],
                source: if n < 45 { "generated" } else { "read" },
                weight: 1,
                group: n,
                pin: (n < 12).then_some(Split::Test),
            })
            .collect();
        // 30 rows a class, four of them pinned to test: 26 fill 24 seats in training and validation.
        let most = capacities(&rows, SplitShares::default())[0];
        assert_eq!(most, 29);
        for seed in 0..20 {
            let splits = assign(&rows, Some([most; 3]), SplitShares::default(), seed);
            let seated = |label: Label| {
                Split::ALL.map(|split| {
                    (0..90)
                        .filter(|&n| rows[n].label == label && splits[n] == Some(split))
                        .count()
                })
            };
            for label in Label::ALL {
                assert_eq!(seated(label), SplitShares::default().seats(most));
            }
            assert!(
                splits[..12]
                    .iter()
                    .all(|split| matches!(split, None | Some(Split::Test)))
            );
            // The pinned rows come first where their source has seats in test.
            assert!(splits[..12].iter().flatten().count() >= 3, "seed {seed}");
        }
    }

    #[test]
    fn a_group_too_large_for_a_small_split_goes_to_training() {
        let names: Vec<String> = (0..30).map(|n| format!("r{n}")).collect();
        let rows: Vec<Candidate<'_>> = names
            .iter()
            .enumerate()
            .map(|(n, id)| Candidate {
                id,
                label: Label::ALL[n % 3],
                source: "read",
                weight: 1,
                group: if n < 15 { 0 } else { n },
                pin: None,
            })
            .collect();
        for seed in 0..20 {
            let splits = assign(&rows, Some([10; 3]), SplitShares::default(), seed);
            assert!(
                splits[..15]
                    .iter()
                    .all(|&split| split == Some(Split::Train))
            );
            let count = |split| splits.iter().filter(|&&of| of == Some(split)).count();
            assert_eq!(Split::ALL.map(count), [24, 3, 3]);
        }
    }

    #[test]
    fn every_row_is_seated_where_natural_labels_stay() {
        let names: Vec<String> = (0..40).map(|n| format!("r{n}")).collect();
        let rows: Vec<Candidate<'_>> = names
            .iter()
            .enumerate()
            .map(|(n, id)| Candidate {
                id,
                label: Label::ALL[n % 2],
                source: if n % 3 == 0 { "a" } else { "b" },
                weight: 1,
                group: n,
                pin: (n < 6).then_some(Split::Validation),
            })
            .collect();
        let splits = assign(&rows, None, SplitShares::default(), 7);
        let count = |split| splits.iter().filter(|&&of| of == Some(split)).count();
        // 20 rows a class are 16/2/2; three are pinned to validation in each.
        assert_eq!(Split::ALL.map(count), [30, 6, 4]);
        assert!(
            splits[..6]
                .iter()
                .all(|&split| split == Some(Split::Validation))
        );
    }
}
