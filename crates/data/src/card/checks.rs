//! What was done to the rows read, and what was found out about those kept: rules, outcomes, leaks, annotation
//! artifacts, class weights. Tables and the sentences above them, each a function of the manifest.

use verdict_common::{counted, grouped, percent};
use verdict_page::{Cell, Table};

use super::tables::{rows, touched};
use crate::build::{NEAR_QUESTIONS, NEAR_RATIONALES};
use crate::manifest::{Artefact, Effect, Manifest};
use crate::{Label, wilson};

/// Suspects that are listed.
const SUSPECTS: usize = 20;

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Changed => "changed",
        Effect::Dropped => "dropped",
        Effect::Tied => "tied",
        Effect::Apart => "set apart",
    }
}

pub(super) fn rules(manifest: &Manifest) -> Table {
    let caption = "Every rule, in order; one row may be changed by several";
    let mut table = Table::new(caption, &["rule", "effect", "rows", "what it does"]);
    for rule in &manifest.rules {
        table.rows.push(vec![
            Cell::Code(rule.rule.clone()),
            effect(rule.effect).into(),
            rule.rows.into(),
            rule.about.as_str().into(),
        ]);
    }
    table
}

/// What became of rows, and of how many: kept, then the rules that dropped or set apart.
pub(super) fn outcome_rows(manifest: &Manifest) -> Vec<(&'static str, &str, &str, usize)> {
    let mut outcomes = vec![("kept", "", "in one of the splits", manifest.rows_kept)];
    for rule in manifest.rules.iter().filter(|rule| rule.rows > 0) {
        if matches!(rule.effect, Effect::Dropped | Effect::Apart) {
            outcomes.push((effect(rule.effect), &rule.rule, &rule.about, rule.rows));
        }
    }
    outcomes
}

pub(super) fn outcomes(manifest: &Manifest) -> Table {
    let read = manifest.rows_read;
    let mut table = Table::new(
        "Every row that was read",
        &["outcome", "rule", "rows", "share", "why"],
    );
    for (outcome, rule, why, rows) in outcome_rows(manifest) {
        let rule = match rule {
            "" => "".into(),
            rule => Cell::Code(rule.to_owned()),
        };
        let share = Cell::Figure(percent(rows, read));
        table
            .rows
            .push(vec![outcome.into(), rule, rows.into(), share, why.into()]);
    }
    let share = Cell::Figure(percent(read, read));
    table.rows.push(vec![
        "read".into(),
        "".into(),
        read.into(),
        share,
        "".into(),
    ]);
    table.total = true;
    table
}

pub(super) fn leaks_text(manifest: &Manifest) -> String {
    format!(
        "Examples that share an abstract or a question, or have nearly the same question (at least {NEAR_QUESTIONS} of \
         the word pairs in common) or rationale ({NEAR_RATIONALES}), form one group: {} among {}. A group is never \
         divided between splits; verdict build --verify checks this.",
        counted(manifest.groups, "group"),
        counted(manifest.rows_kept, "example")
    )
}

pub(super) fn leaks(manifest: &Manifest) -> Table {
    let mut table = Table::new("Possible leaks", &["finding", "what was done", "rows"]);
    for (rule, finding, done) in [
        ("duplicate", "same question as an earlier row", "dropped"),
        (
            "disputed",
            "same question under two labels",
            "all of them dropped",
        ),
        (
            "disagreement",
            "sources answer the same question differently",
            "replaced by one Uncertain example that names the disagreement",
        ),
        (
            "near",
            "nearly the same question or rationale",
            "tied into one group",
        ),
        (
            "protected",
            "in a protected benchmark, or in the group of one of its questions",
            "kept out",
        ),
        (
            "held-out",
            "no label, and in the group of a validation or test example",
            "dropped",
        ),
    ] {
        table.rows.push(vec![
            finding.into(),
            done.into(),
            touched(manifest, rule).into(),
        ]);
    }
    table.rows.push(vec![
        "nearly the same question under two labels (pairs)".into(),
        "kept in one group; worth a review".into(),
        manifest.suspects.len().into(),
    ]);
    table
}

pub(super) fn suspects(manifest: &Manifest) -> Option<Table> {
    let all = manifest.suspects.len();
    let caption = match all {
        0..=SUSPECTS => "Suspects: nearly equal questions with different labels".to_owned(),
        _ => format!(
            "Suspects: {SUSPECTS} of {} pairs of nearly equal questions with different labels; the rest are in MANIFEST.json",
            grouped(all)
        ),
    };
    let mut table = Table::new(caption, &["row", "label", "row", "label", "overlap"]);
    for suspect in manifest.suspects.iter().take(SUSPECTS) {
        let [a, b] = suspect.ids.clone();
        table.rows.push(vec![
            Cell::Code(a),
            suspect.labels[0].as_str().into(),
            Cell::Code(b),
            suspect.labels[1].as_str().into(),
            Cell::Figure(format!("{:.2}", suspect.overlap)),
        ]);
    }
    (!table.rows.is_empty()).then_some(table)
}

/// The question-only baseline; none where its counts are missing or make no sense.
pub(super) fn guessed(manifest: &Manifest) -> Option<Artefact> {
    let sound = |found: &Artefact| found.rows > 0 && found.right.max(found.majority) <= found.rows;
    manifest.artefact.filter(sound)
}

pub(super) fn artefact_text(manifest: &Manifest) -> Option<String> {
    let found = guessed(manifest)?;
    let (low, high) = wilson(found.right, found.rows);
    let majority = found.majority as f64 / found.rows as f64;
    let verdict = match () {
        () if low > majority => {
            "That is more than the commonest label gives: the wording predicts the answer (annotation artifacts), and a model may learn it first."
        }
        () if high < majority => {
            "That is less than the commonest label gives: no annotation artifacts were found."
        }
        () => {
            "That is no more than the commonest label gives, within the precision that so many examples allow."
        }
    };
    Some(format!(
        "A naive Bayes classifier on the single words of the question, evaluated by five-fold cross-validation over \
         groups, gets {} of {} labels right. {verdict}",
        grouped(found.right),
        grouped(found.rows)
    ))
}

pub(super) fn artefact(manifest: &Manifest) -> Option<Table> {
    let found = guessed(manifest)?;
    let head = [
        "guess",
        "right",
        "of n",
        "accuracy",
        "95 % interval (Wilson)",
    ];
    let mut table = Table::new("Question-only baseline", &head);
    for (name, right) in [
        ("words of the question", found.right),
        ("the commonest label", found.majority),
    ] {
        let (low, high) = wilson(right, found.rows);
        table.rows.push(vec![
            name.into(),
            right.into(),
            found.rows.into(),
            Cell::Figure(percent(right, found.rows)),
            Cell::Figure(format!("{:.1}–{:.1} %", 100.0 * low, 100.0 * high)),
        ]);
    }
    table.rows.push(vec![
        "chance, one of three".into(),
        "".into(),
        "".into(),
        Cell::Figure(percent(1, 3)),
        "".into(),
    ]);
    Some(table)
}

pub(super) fn weights_text(manifest: &Manifest) -> Option<String> {
    manifest.class_weights.as_ref().map(|_| {
        "The classes of the training set differ in size. With these weights each contributes equally to the loss.".into()
    })
}

pub(super) fn weights(manifest: &Manifest) -> Option<Table> {
    let weights = manifest.class_weights.as_ref()?;
    let train = manifest.splits.first()?;
    let mut table = Table::new("Class weights", &["class", "training examples", "weight"]);
    for label in Label::ALL {
        let weight = weights.get(&label).copied().unwrap_or(0.0);
        let row = vec![label.as_str().into(), rows(&train.labels, label).into()];
        table.rows.push(
            row.into_iter()
                .chain([Cell::Figure(format!("{weight:.3}"))])
                .collect(),
        );
    }
    Some(table)
}

pub(super) fn unlabelled_text(manifest: &Manifest) -> Option<String> {
    let apart = manifest.unlabelled.as_ref()?;
    Some(format!(
        "{} without a label are in {}, cleaned by the same rules. None of them shares a group with a validation or test \
         example. Apart from the rows read, no other figure here counts them.",
        counted(apart.rows, "row"),
        apart.file
    ))
}
