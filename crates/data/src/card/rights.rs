//! Licences and limits. Each line is shown only where it applies.

use verdict_common::{counted, percent};
use verdict_page::{Cell, Table};

use super::{checks, tables};
use crate::manifest::Manifest;
use crate::{Label, wilson};

pub(super) fn licences(manifest: &Manifest) -> Table {
    let mut table = Table::new("Licences by source", &["source", "licence", "note"]);
    for kind in tables::kinds(manifest) {
        let (licence, note) = match kind {
            "pubmedqa-labeled" | "pubmedqa-artificial" | "pubmedqa-unlabeled" => (
                "MIT",
                "as the PubMedQA repository says; its texts come from abstracts in PubMed",
            ),
            "bioasq" => ("CC BY 2.5", "by the terms of the BioASQ challenge"),
            "stats" => ("Apache-2.0", "this project's: the rows are generated"),
            "clinical" => (
                "Apache-2.0",
                "this project's: the rows are part of the program",
            ),
            "disagreement" => (
                "Apache-2.0",
                "this project's sentence; the question is its sources'",
            ),
            _ => ("unknown", "your own files: check their licence"),
        };
        table.rows.push(vec![
            Cell::Code(kind.to_owned()),
            licence.into(),
            note.into(),
        ]);
    }
    table
}

pub(super) fn limits(manifest: &Manifest) -> Vec<String> {
    let mut limits: Vec<String> = vec![
        "It is research data, not medical advice. No example was checked by a clinician for this set; a model trained on it must not decide about a patient.".into(),
    ];
    limits.extend(of_sources(manifest));
    limits.extend(of_build(manifest));
    limits.extend(of_examples(manifest));
    limits
}

/// What the sources cannot tell.
fn of_sources(manifest: &Manifest) -> Vec<String> {
    let mut limits = Vec::new();
    let has = |kind: &str| tables::kinds(manifest).any(|of| of == kind) && in_set(manifest, kind);
    let mut say = |applies: bool, text: String| limits.extend(applies.then_some(text));
    let published = ["pubmedqa-labeled", "pubmedqa-artificial", "bioasq"]
        .iter()
        .any(|kind| has(kind));
    say(
        has("pubmedqa-artificial"),
        "The labels of PQA-A are machine-made: its questions are titles turned into questions, and Yes or No follows from whether the title is negated. It has no Uncertain, and about 93 % of it is Yes.".into(),
    );
    say(
        has("pubmedqa-labeled"),
        "The labels of PQA-L are annotators' readings of one abstract each. Uncertain is their “maybe”: the abstract leaves the question open, which need not hold for the literature.".into(),
    );
    say(
        has("bioasq"),
        "BioASQ's answers are yes or no, given by experts from the literature of their time; none is Uncertain.".into(),
    );
    say(
        published,
        "A rationale is one sentence of a published conclusion or answer, chosen and shortened by rules. Conditions in the other sentences are lost, and nobody checked that it is the reason for the label.".into(),
    );
    say(
        has("stats"),
        "The stats examples are generated: the studies do not exist, their numbers are random, and there are few wordings.".into(),
    );
    say(
        has("clinical"),
        "The clinical questions are a demonstration of the program, few and hand-written.".into(),
    );
    say(
        ["jsonl", "csv", "parquet"].into_iter().any(&has),
        "Labels and rationales of your own files (jsonl, csv, parquet) were not checked.".into(),
    );
    say(
        has("disagreement"),
        "Examples of the source disagreement are Uncertain because two sources answer differently, which may also be an error in one of them.".into(),
    );
    say(
        !manifest.settings.contexts && published,
        "Questions come without the abstracts that they were written for. A model answers from what it knows, not from what it reads.".into(),
    );
    limits
}

/// What the settings of the build left out.
fn of_build(manifest: &Manifest) -> Vec<String> {
    let mut limits = Vec::new();
    let mut say = |applies: bool, text: String| limits.extend(applies.then_some(text));
    let shortened = tables::touched(manifest, "context");
    say(
        shortened > 0,
        format!(
            "{} of the rows read were cut to a budget of tokens; the part cut off may be the one that decides the answer.",
            counted(shortened, "context")
        ),
    );
    say(
        manifest.settings.protected.is_empty(),
        "No benchmark was kept out: a score on one whose questions may be in this set, such as PubMedQA's official test, means nothing.".into(),
    );
    let balanced = manifest.settings.balance == "balanced";
    let unbalanced = tables::touched(manifest, "balance");
    say(
        balanced && unbalanced > 0,
        format!(
            "Classes were made equal by leaving out {}. In the sources labels are not equally common, so a model's probabilities do not fit questions as they occur there.",
            counted(unbalanced, "row")
        ),
    );
    limits
}

/// What the numbers, wordings and years of the examples allow.
fn of_examples(manifest: &Manifest) -> Vec<String> {
    let mut limits = Vec::new();
    let mut say = |applies: bool, text: String| limits.extend(applies.then_some(text));
    let counts = Label::ALL.map(|label| (label, tables::label_rows(manifest, label)));
    if let (Some(most), Some(least)) = (
        counts.iter().max_by_key(|of| of.1),
        counts.iter().min_by_key(|of| of.1),
    ) {
        say(
            most.1 > 2 * least.1,
            format!(
                "Labels are uneven: {} are {}, {} are {}. Accuracy alone flatters a model that always answers {}.",
                percent(most.1, manifest.rows_kept),
                most.0,
                percent(least.1, manifest.rows_kept),
                least.0,
                most.0
            ),
        );
    }
    if let Some(test) = manifest
        .splits
        .iter()
        .find(|split| split.split == "test" && split.rows > 0)
    {
        let (low, high) = wilson(test.rows / 2, test.rows);
        say(
            true,
            format!(
                "The test split has {}. An accuracy of about one half on it has a 95 % interval of ±{:.0} points (Wilson); smaller differences between models cannot be seen.",
                counted(test.rows, "row"),
                50.0 * (high - low)
            ),
        );
    }
    if let Some(found) = checks::guessed(manifest) {
        let (low, _) = wilson(found.right, found.rows);
        say(
            low > found.majority as f64 / found.rows as f64,
            "Single words of the question predict the label better than the commonest label does (see above): part of a model's score may be no more than that.".into(),
        );
    }
    say(
        true,
        "Near duplicates are found by the words they share. The same question in other words is not found and may be in two splits.".into(),
    );
    say(
        !manifest.suspects.is_empty(),
        format!(
            "{} of nearly equal questions with different labels: one label of each may be wrong.",
            counted(manifest.suspects.len(), "pair")
        ),
    );
    let years = manifest.years.values();
    if let Some(last) = years.flat_map(|years| years.keys()).max() {
        let undated = manifest.rows_kept.saturating_sub(tables::dated(manifest));
        let undated = match undated {
            0 => String::new(),
            rows => format!(" Without a year: {}.", counted(rows, "row")),
        };
        say(
            true,
            format!(
                "The newest dated example is of {last}; later findings are not in it.{undated}"
            ),
        );
    }
    say(
        manifest.unlabelled.is_some(),
        "The unlabelled rows are questions with a sentence of their conclusion, and no answer."
            .into(),
    );
    limits
}

/// Whether rows of this kind were kept.
fn in_set(manifest: &Manifest, kind: &str) -> bool {
    tables::kept(manifest, kind) > 0
}
