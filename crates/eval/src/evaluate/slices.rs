//! Slices of a benchmark, each with scores of its own.

use std::collections::BTreeMap;

use verdict_data::{Item, Label, Specialty};

use crate::benchmark::Benchmark;
use crate::report::{EvaluatedModel, Quality, Slice};
use crate::stats::scores::Scores;

/// Scores of labels at some places of a benchmark.
type Scored<'s> = dyn Fn(&[Label], &[usize]) -> Option<Scores> + 's;

/// Slices by source, by origin of the labels, by what is held out of generated questions, by contamination, and by the
/// benchmark's own properties, where a benchmark has more than one value; then by specialty.
pub(super) fn slices<'b>(
    models: &[EvaluatedModel],
    benchmark: &'b Benchmark,
    labels: &[Vec<Label>],
    scored: &Scored<'_>,
) -> Vec<Slice> {
    let items = &benchmark.items;
    let seen = |place: usize| match benchmark.contaminated[place] {
        true => "contaminated",
        false => "not seen in training",
    };
    let quality = |place: usize| Quality::of(&items[place].source).as_str();
    let kind = |place: usize| held_out_kind(&items[place]);
    let source = |place: usize| items[place].source.as_str();
    let own = benchmark.properties.iter();
    let own = own.map(|(name, values)| (*name, move |place: usize| values[place].as_str()));
    let own: Vec<_> = own.collect();
    let properties: [(&str, &dyn Fn(usize) -> &'b str); 4] = [
        ("source", &source),
        ("labels", &quality),
        ("kind", &kind),
        ("seen", &seen),
    ];
    let own = own
        .iter()
        .map(|(name, value)| (*name, value as &dyn Fn(usize) -> &'b str));
    let slice = |by: &str, part: &str, places: &[usize]| {
        let of = models.iter().zip(labels);
        let scored =
            of.filter_map(|(model, labels)| Some((model.name.clone(), scored(labels, places)?)));
        Slice {
            by: by.to_owned(),
            part: part.to_owned(),
            models: scored.collect(),
        }
    };
    let mut slices = Vec::new();
    for (by, value) in properties.into_iter().chain(own) {
        let mut parts: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for place in 0..items.len() {
            parts.entry(value(place)).or_default().push(place);
        }
        if parts.len() < 2 {
            continue;
        }
        slices.extend(
            parts
                .into_iter()
                .map(|(part, places)| slice(by, part, &places)),
        );
    }
    slices.extend(
        specialties(benchmark)
            .into_iter()
            .map(|(specialty, places)| slice("specialty", specialty.name(), &places)),
    );
    slices
}

/// Fewer questions of a specialty are not shown: their interval says nothing.
const FEW: usize = 10;

/// The questions of each specialty, where the headings of their publications are known. A question may belong to several.
fn specialties(benchmark: &Benchmark) -> Vec<(Specialty, Vec<usize>)> {
    let items = &benchmark.items;
    let of = |specialty: Specialty| {
        let covered = |place: &usize| {
            let headings = benchmark.headings.get(*place);
            let known = headings.filter(|headings| !headings.is_empty());
            known.is_some_and(|headings| specialty.covers(headings, &items[*place].question))
        };
        let places: Vec<usize> = (0..items.len()).filter(covered).collect();
        (specialty, places)
    };
    let all = Specialty::all().map(of);
    all.filter(|(_, places)| places.len() >= FEW).collect()
}

/// What is held out of a generated question.
fn held_out_kind(item: &Item) -> &'static str {
    match item.group.split(':').nth(1) {
        Some("wording") => "held-out wordings of trained families",
        Some("family") => "held-out families",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_counts_in_each_of_its_specialties() {
        let item = |n: usize| Item {
            id: format!("q{n}"),
            question: "Does it help?".into(),
            label: Label::Yes,
            rationale: String::new(),
            source: "pubmedqa-labeled".into(),
            group: format!("g{n}"),
            context: None,
        };
        // Twelve questions on the heart, ten of them on its surgery too, and one on nothing known.
        let headings = |n: usize| match n {
            0..10 => vec!["Coronary Artery Bypass".to_owned()],
            10..12 => vec!["Myocardial Infarction".to_owned()],
            _ => Vec::new(),
        };
        let benchmark = Benchmark {
            items: (0..13).map(item).collect(),
            contaminated: vec![false; 13],
            headings: (0..13).map(headings).collect(),
            ..Benchmark::default()
        };
        let found: Vec<(&str, usize)> = specialties(&benchmark)
            .into_iter()
            .map(|(specialty, places)| (specialty.name(), places.len()))
            .collect();
        assert_eq!(found, [("cardiology", 12), ("surgery", 10)]);
        let slices = slices(&[], &benchmark, &[], &|_, _| None);
        let parts: Vec<(&str, &str)> = slices
            .iter()
            .map(|slice| (slice.by.as_str(), slice.part.as_str()))
            .collect();
        assert_eq!(
            parts,
            [("specialty", "cardiology"), ("specialty", "surgery")]
        );
        let unknown = Benchmark {
            headings: vec![Vec::new(); 13],
            ..benchmark
        };
        assert!(specialties(&unknown).is_empty());
    }
}
