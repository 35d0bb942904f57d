//! Parts of a benchmark, each with scores of its own.

use std::collections::BTreeMap;

use verdict_data::{Item, Label};

use super::Benchmark;
use crate::report::{Quality, Slice, System};
use crate::stats::scores::Scores;

/// Scores of labels at some places of a benchmark.
type Scored<'s> = dyn Fn(&[Label], &[usize]) -> Option<Scores> + 's;

/// Parts by source, by the quality of labels, by what is held out of generated questions, and by whether the training
/// rows give them away; where a benchmark has more than one.
pub(super) fn slices<'b>(
    systems: &[System],
    benchmark: &'b Benchmark,
    labels: &[Vec<Label>],
    scored: &Scored<'_>,
) -> Vec<Slice> {
    let items = &benchmark.items;
    let seen = |place: usize| match benchmark.trained_on[place] {
        true => "given away by the training rows",
        false => "not seen in training",
    };
    let quality = |place: usize| Quality::of(&items[place].source).as_str();
    let kind = |place: usize| held_out_kind(&items[place]);
    let source = |place: usize| items[place].source.as_str();
    let ways: [(&str, &dyn Fn(usize) -> &'b str); 4] = [
        ("source", &source),
        ("labels", &quality),
        ("kind", &kind),
        ("seen", &seen),
    ];
    let mut slices = Vec::new();
    for (by, part) in ways {
        let mut parts: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for place in 0..items.len() {
            parts.entry(part(place)).or_default().push(place);
        }
        if parts.len() < 2 {
            continue;
        }
        slices.extend(parts.into_iter().map(|(part, places)| {
            let of = systems.iter().zip(labels);
            let scored = of.filter_map(|(system, labels)| {
                Some((system.name.clone(), scored(labels, &places)?))
            });
            Slice {
                by: by.to_owned(),
                part: part.to_owned(),
                systems: scored.collect(),
            }
        }));
    }
    slices
}

/// What of a generated question no training row has.
fn held_out_kind(item: &Item) -> &'static str {
    match item.group.split(':').nth(1) {
        Some("wording") => "held-out wordings of trained families",
        Some("family") => "held-out families",
        _ => "",
    }
}
