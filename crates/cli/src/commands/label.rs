//! `verdict label`: a run labels the unlabelled questions of a data set, for training (pseudo-labels).
//!
//! Source: Lee 2013, "Pseudo-Label". PubMedQA's authors train on such labels before the expert ones (Jin et al. 2019).

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use verdict_answer::{AnswerSettings, Mode, Question, Verdict};
use verdict_common::counted;
use verdict_data::{DataSet, Label, Split, Unlabelled};

use super::ask;
use crate::failure::{Failure, Result};
use crate::loading::{self, MachineFlags};
use crate::printer::Printer;
use crate::shell;
use crate::table::Table;

/// Label unlabelled questions with a run, for training
///
/// The questions are those without a label in a data set (`unlabelled.jsonl`): none of them is protected or in the same
/// group as a validation or test example. Each gets the run's most probable label and keeps its own rationale; only
/// labels whose calibrated probability is high enough are written. The file is a source for `verdict build`, and its
/// rows go to the training set alone.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Label with an adapter of this run
    #[arg(long, value_name = "RUN")]
    pub run: PathBuf,
    /// Use this adapter of the run [default: the run's best]
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Label with the mean of several adapters: names with commas, or all
    #[arg(long, value_name = "NAMES", conflicts_with = "adapter")]
    pub ensemble: Option<String>,
    /// Label the unlabelled questions of this data set [default: the run's]
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Write the labelled questions into this file (.jsonl)
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Keep labels that are at least this probable [default: 0.9]
    ///
    /// One probability for all labels, or one for each: yes=0.95,no=0.9,uncertain=0.6.
    #[arg(long, value_name = "P", value_parser = Thresholds::parse, default_value = "0.9", hide_default_value = true)]
    pub min_probability: Thresholds,
    /// Keep at most this many questions of each label, the most probable
    #[arg(long, value_name = "N")]
    pub max_per_class: Option<usize>,
    /// Replace --out
    #[arg(long)]
    pub overwrite: bool,
    /// Read the run's base model here, if it was moved
    #[arg(long)]
    pub model: Option<String>,
    #[command(flatten)]
    pub machine: MachineFlags,
}

/// The lowest probability of each label that is kept, in the order of [`Label::ALL`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds([f64; 3]);

impl Thresholds {
    /// `0.9`, or `yes=0.95,no=0.9,uncertain=0.6`.
    fn parse(text: &str) -> std::result::Result<Thresholds, String> {
        let fault = || {
            format!(
                "expected a probability from 0 to 1, or one for each label such as yes=0.95,no=0.9,uncertain=0.6, found {text:?}"
            )
        };
        let probability = |text: &str| {
            let found: f64 = text.trim().parse().map_err(|_| fault())?;
            match (0.0..=1.0).contains(&found) {
                true => Ok(found),
                false => Err(fault()),
            }
        };
        if !text.contains('=') {
            return Ok(Thresholds([probability(text)?; 3]));
        }
        let mut found = [None; 3];
        for part in text.split(',') {
            let (name, value) = part.split_once('=').ok_or_else(fault)?;
            let is = |label: &Label| label.as_str().eq_ignore_ascii_case(name.trim());
            let label = Label::ALL.into_iter().find(is).ok_or_else(fault)?;
            if found[label.index()].replace(probability(value)?).is_some() {
                return Err(fault());
            }
        }
        match found {
            [Some(yes), Some(no), Some(uncertain)] => Ok(Thresholds([yes, no, uncertain])),
            _ => Err(fault()),
        }
    }
}

/// A labelled question: a line of the file.
#[derive(Serialize)]
struct PseudoLabelled<'a> {
    id: &'a str,
    question: &'a str,
    label: Label,
    rationale: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a str>,
    group: &'a str,
    /// Always the training set: a label that a model gave is no reference to evaluate on.
    split: &'static str,
    /// The calibrated probability of the label.
    probability: f32,
    /// The adapter or ensemble that gave it.
    labelled_by: &'a str,
}

/// What `--json` prints.
#[derive(Serialize)]
struct LabelOutput<'a> {
    out: &'a Path,
    /// Questions that were labelled.
    questions: usize,
    /// Questions that do not fit into a prompt.
    refused: usize,
    /// Questions that the run was trained on or chosen with.
    known: usize,
    labels: HashMap<&'static str, LabelCounts>,
}

/// The questions of one label.
#[derive(Clone, Copy, Default, Serialize)]
struct LabelCounts {
    /// Questions that got the label.
    given: usize,
    /// Of them written.
    kept: usize,
    /// Mean probability of those written, which is the share of right ones if the calibration holds here; 0 without any.
    mean_probability: f64,
}

/// Labels, and prints how many questions were kept.
pub fn run(args: Args, printer: &Printer) -> Result {
    if args.out.exists() && !args.overwrite {
        let failure = Failure::input(format!("{}: exists already", args.out.display()));
        return Err(failure.hint("--overwrite replaces it"));
    }
    let asking = ask::Args {
        run: Some(args.run.clone()),
        adapter: args.adapter,
        ensemble: args.ensemble,
        model: args.model,
        machine: args.machine,
        max_new_tokens: AnswerSettings::default().max_answer_tokens,
        ..ask::Args::default()
    };
    let run = loading::run_folder(&args.run)?;
    let own = run.located_settings().data;
    let known = example_ids(&own)?;
    let folder = args.data.unwrap_or(own);
    let mut rows = DataSet::read_unlabelled(&folder)?;
    let before = rows.len();
    rows.retain(|row| !known.contains(&row.id));
    let known = before - rows.len();
    if rows.is_empty() {
        let failure = Failure::input(format!(
            "{}: expected questions without a label, found none",
            folder.display()
        ));
        return Err(failure
            .hint("`verdict build --source pubmedqa-unlabeled:PATH` puts them into a data set"));
    }
    let questions: Vec<Question<'_>> = rows.iter().map(question).collect();
    let verdicts = ask::LoadedRun::load(&asking, printer)?.answer(&questions, printer)?;
    let refused = verdicts.iter().filter(|verdict| verdict.is_none()).count();
    let (kept, labels) = keep(&verdicts, args.min_probability, args.max_per_class);
    write(&args.out, &rows, &verdicts, &kept)?;
    printer.json(&LabelOutput {
        out: &args.out,
        questions: rows.len(),
        refused,
        known,
        labels: Label::ALL
            .map(|label| (label.as_str(), labels[label.index()]))
            .into(),
    });
    print(&args.out, &labels, [rows.len(), refused, known], printer);
    Ok(())
}

/// The ids of the examples of a run's data set: those that it was trained on or chosen with, and its test.
fn example_ids(data: &Path) -> Result<HashSet<String>> {
    let set = DataSet::read(data).map_err(|error| {
        let failure = Failure::input(format!("the run's data set: {error}"));
        failure.hint("its examples must not be labelled again: put it back, or build it again")
    })?;
    let items = Split::ALL.into_iter().flat_map(|split| set.split(split));
    Ok(items.map(|item| item.id.clone()).collect())
}

fn question(row: &Unlabelled) -> Question<'_> {
    Question {
        text: &row.question,
        context: row.context.as_deref(),
        adapter: None,
        mode: Mode::Label,
        label: None,
    }
}

/// Places of the verdicts that are probable enough, in their order, and the counts of each label.
fn keep(
    verdicts: &[Option<Verdict>],
    thresholds: Thresholds,
    most: Option<usize>,
) -> (Vec<usize>, [LabelCounts; 3]) {
    let mut counts = [LabelCounts::default(); 3];
    let mut kept = Vec::new();
    for label in Label::ALL {
        let probability = |place: usize| {
            let verdict = verdicts[place].as_ref();
            verdict.map_or(0.0, |verdict| {
                f64::from(verdict.probabilities[label.index()])
            })
        };
        let given = |place: &usize| {
            let verdict = verdicts[*place].as_ref();
            verdict.is_some_and(|verdict| verdict.label == Some(label))
        };
        let given: Vec<usize> = (0..verdicts.len()).filter(given).collect();
        let least = thresholds.0[label.index()];
        let mut chosen: Vec<usize> = given
            .iter()
            .copied()
            .filter(|&place| probability(place) >= least)
            .collect();
        // The most probable first; of equals, the earlier.
        chosen.sort_by(|a, b| probability(*b).total_cmp(&probability(*a)));
        chosen.truncate(most.unwrap_or(usize::MAX));
        let sum: f64 = chosen.iter().map(|&place| probability(place)).sum();
        counts[label.index()] = LabelCounts {
            given: given.len(),
            kept: chosen.len(),
            mean_probability: sum / chosen.len().max(1) as f64,
        };
        kept.extend(chosen);
    }
    kept.sort_unstable();
    (kept, counts)
}

/// Writes the kept questions under a temporary name, which becomes `out` when all are there.
fn write(out: &Path, rows: &[Unlabelled], verdicts: &[Option<Verdict>], kept: &[usize]) -> Result {
    let mut text = String::new();
    for &place in kept {
        let (row, Some(verdict)) = (&rows[place], &verdicts[place]) else {
            continue;
        };
        let Some(label) = verdict.label else { continue };
        let line = PseudoLabelled {
            id: &row.id,
            question: &row.question,
            label,
            rationale: &row.rationale,
            context: row.context.as_deref(),
            group: &row.group,
            split: "train",
            probability: verdict.probabilities[label.index()],
            labelled_by: verdict.adapter.as_deref().unwrap_or("base"),
        };
        text += &serde_json::to_string(&line).map_err(Failure::failed)?;
        text.push('\n');
    }
    let failed = |fault: std::io::Error| Failure::failed(format!("{}: {fault}", out.display()));
    let folder = out.parent().filter(|of| !of.as_os_str().is_empty());
    let mut file = verdict_data::new_file_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.persist(out).map_err(|fault| failed(fault.error))?;
    Ok(())
}

fn print(
    out: &Path,
    labels: &[LabelCounts; 3],
    [questions, refused, known]: [usize; 3],
    printer: &Printer,
) {
    if known > 0 {
        printer.note(format!(
            "{} of the run's own data set left out",
            counted(known, "question")
        ));
    }
    if refused > 0 {
        printer.warn(format!(
            "{} do not fit into a prompt and have no label",
            counted(refused, "question")
        ));
    }
    let mut table = Table::new(["label", "given", "kept", "mean probability"]);
    for label in Label::ALL {
        let of = labels[label.index()];
        let mean = match of.kept {
            0 => "–".to_owned(),
            _ => format!("{:.3}", of.mean_probability),
        };
        let cells = [label.as_str().to_owned(), of.given.to_string()];
        table.row(
            cells
                .into_iter()
                .chain([of.kept.to_string(), mean])
                .collect(),
        );
    }
    printer.table(&table);
    let kept: usize = labels.iter().map(|of| of.kept).sum();
    printer.line(format!(
        "\nlabelled   {kept} of {} in {}",
        counted(questions, "question"),
        out.display()
    ));
    printer.next(format!(
        "verdict build --source SOURCE --source jsonl:{} --unbalanced --out data",
        shell::word(out)
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(probabilities: [f32; 3]) -> Option<Verdict> {
        let label = Label::ALL
            .into_iter()
            .max_by(|a, b| probabilities[a.index()].total_cmp(&probabilities[b.index()]));
        Some(Verdict {
            question: "Does it help?".into(),
            label,
            probabilities,
            other: 0.0,
            rationale: None,
            answer: String::new(),
            adapter: Some("r16".into()),
            mode: Mode::Label,
            first_word: None,
            fallback: false,
            format_ok: false,
            tokens: 0,
            latency_ms: 0.0,
        })
    }

    #[test]
    fn thresholds_are_one_or_one_for_each_label() {
        let parse = Thresholds::parse;
        assert_eq!(parse("0.8"), Ok(Thresholds([0.8; 3])));
        let each = parse("uncertain=0.6, yes=0.95,No=0.9");
        assert_eq!(each, Ok(Thresholds([0.95, 0.9, 0.6])));
        for text in [
            "",
            "1.1",
            "NaN",
            "yes=0.9",
            "yes=0.9,yes=0.8,no=1,uncertain=1",
            "maybe=0.5",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_most_probable_of_each_label_are_kept_in_their_order() {
        let verdicts = [
            verdict([0.92, 0.05, 0.03]),
            None,
            verdict([0.1, 0.85, 0.05]),
            verdict([0.97, 0.02, 0.01]),
            verdict([0.2, 0.2, 0.6]),
            verdict([0.95, 0.03, 0.02]),
        ];
        let thresholds = Thresholds([0.9, 0.9, 0.5]);
        let (kept, counts) = keep(&verdicts, thresholds, None);
        assert_eq!(kept, [0, 3, 4, 5]);
        assert_eq!(
            counts.map(|of| (of.given, of.kept)),
            [(3, 3), (1, 0), (1, 1)]
        );
        let (kept, counts) = keep(&verdicts, thresholds, Some(2));
        assert_eq!(kept, [3, 4, 5]);
        assert!((counts[0].mean_probability - 0.96).abs() < 1e-6);
    }
}
