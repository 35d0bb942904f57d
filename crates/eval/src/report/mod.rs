//! The report: a value for scripts, and that value as text, Markdown, a page, and files.

mod earlier;
mod examples;
pub(crate) mod figures;
mod files;
mod page;
pub(crate) mod short;
mod sweep;
pub(crate) mod tables;
mod text;

use serde::{Deserialize, Serialize};
use verdict_answer::{Calibrations, Fit, Mode};
use verdict_data::Label;

use crate::looks::Look;
use crate::metrics::{Lengths, Levels, Proportion};
use crate::published::Published;
use crate::robustness::Consistency;
use crate::stats::abstain::Abstention;
use crate::stats::paired::{Paired, at_most};
use crate::stats::probability::Probabilities;
use crate::stats::resample::Resampling;
use crate::stats::scores::Scores;
use crate::stats::selective::Selective;
use crate::subject::Subject;
use crate::text::{OverlapSummary, Variety};

pub use earlier::Kept;
pub(crate) use files::put;
pub use files::{Evaluation, Prediction, Wrote};
pub(crate) use text::plain;

/// Name of the base model in tables.
pub const BASE: &str = "base";

/// All figures of an evaluation: the content of `report.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalReport {
    /// Tool and version that made it.
    pub tool: String,
    /// The run that was judged.
    pub subject: Subject,
    /// How it was judged.
    pub methods: Methods,
    /// Every look of this run at held-out questions so far, and of other runs at the same, this one the last.
    pub looks: Vec<Look>,
    /// Who was asked: the base model, adapters, ensembles.
    pub systems: Vec<System>,
    /// One for each benchmark.
    pub benchmarks: Vec<BenchmarkReport>,
    /// Whether answers stay when a question is asked otherwise, and turn when it is turned.
    pub robustness: Option<Robustness>,
}

/// How it was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Methods {
    /// What was fitted on the validation rows, for the probabilities shown.
    pub fit: Fit,
    /// Draws of the bootstrap.
    pub resampling: Resampling,
    /// Target error rate: the share of the answered questions that may be wrong, for the threshold below which to
    /// abstain.
    pub error_rate: f64,
    /// Chance that the limit does not hold.
    pub delta: f64,
    /// Most tokens of an answer.
    pub max_answer_tokens: usize,
    /// Most tokens of a prompt; longer contexts were cut.
    pub max_prompt_tokens: usize,
    /// Device, and how the base was stored and computed.
    pub machine: String,
    /// Validation rows that calibration and thresholds rest on.
    pub validation_rows: usize,
    /// Answers that were asked for: labels alone, free-running and guaranteed ones.
    pub answers: usize,
    /// Seconds that they took, loading left out.
    pub seconds: f64,
}

/// Who was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct System {
    /// [`BASE`], an adapter's name, or an ensemble's.
    pub name: String,
    /// Whose calibrated probabilities are averaged; empty but for an ensemble.
    pub members: Vec<String>,
    /// What was fitted on the validation rows; none for an ensemble, whose members are calibrated.
    pub calibrations: Option<Calibrations>,
    /// When to abstain so that of the answered questions no more than the target error rate is wrong.
    pub abstention: Option<Abstention>,
}

/// How good a set's labels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// Given by experts who read the study.
    Expert,
    /// Taken from the wording of titles by a rule (PubMedQA's artificial part).
    Artificial,
    /// Computed from the numbers in the question.
    Generated,
    /// Written by hand for this project; not reviewed by clinicians.
    Written,
    /// Of a file of the user's own.
    Own,
}

impl Quality {
    /// Of a source, by its name.
    pub fn of(source: &str) -> Quality {
        match source {
            "pubmedqa-labeled" | "bioasq" => Quality::Expert,
            "pubmedqa-artificial" => Quality::Artificial,
            "stats" => Quality::Generated,
            "clinical" | "challenge" => Quality::Written,
            _ => Quality::Own,
        }
    }

    /// In a table.
    pub fn as_str(self) -> &'static str {
        match self {
            Quality::Expert => "expert",
            Quality::Artificial => "artificial",
            Quality::Generated => "generated",
            Quality::Written => "written",
            Quality::Own => "own",
        }
    }
}

/// The figures on one benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkReport {
    /// Its name.
    pub name: String,
    /// Where its questions are from.
    pub about: String,
    /// Number of items.
    pub items: usize,
    /// Number of groups: items of one group are not independent.
    pub groups: usize,
    /// SHA-256 of ids, questions, contexts and labels, in order.
    pub sha256: String,
    /// Items that the training rows give away: the same or nearly the same question, or its abstract.
    pub trained_on: usize,
    /// Which look at these questions it is, counted from 1, whichever run was judged.
    pub look: usize,
    /// Runs that looked at them, this one with them.
    #[serde(default)]
    pub runs: usize,
    /// Items that have a context; 0 in reports of earlier versions.
    #[serde(default)]
    pub contexts: usize,
    /// How often each label is the truth, in the order of [`Label::ALL`].
    pub truths: [usize; 3],
    /// What answering without reading scores.
    pub levels: Levels,
    /// What the words of the question alone score, learnt from the training rows.
    pub words: Option<Scores>,
    /// One for each system.
    pub systems: Vec<SystemReport>,
    /// Every two systems on the same items.
    pub pairs: Vec<PairReport>,
    /// The same scores on parts of the items.
    pub slices: Vec<Slice>,
    /// Figures that others published on these questions.
    pub published: Vec<Published>,
    /// When and how it was judged, where an earlier evaluation did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
}

/// The figures of one system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SystemReport {
    /// Its name.
    pub name: String,
    /// Of the most probable labels.
    pub scores: Scores,
    /// Of the probabilities as the model gives them.
    pub raw: Probabilities,
    /// Of the calibrated ones.
    pub calibrated: Probabilities,
    /// What is right when the least certain are not answered.
    pub selective: Selective,
    /// What came of the threshold of [`System::abstention`].
    pub abstained: Option<Abstained>,
    /// The answers that were written, free-running and guaranteed; none for an ensemble.
    pub written: Vec<WrittenReport>,
}

/// What came of a threshold: the target error rate and what was observed on these questions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Abstained {
    /// Below this probability it abstains; none where it abstains from all.
    pub threshold: Option<f64>,
    /// Largest share of wrong answers among the answered that was aimed at.
    pub target: f64,
    /// Share of questions answered.
    pub answered: Proportion,
    /// Of those answered, wrong: the observed error rate.
    pub wrong: Proportion,
    /// `P(Bin(answered, target) ≥ wrong)`: how likely so many wrong answers, or more, are where the target holds. 1
    /// where nothing is answered.
    pub p: f64,
}

impl Abstained {
    /// From a limit and the counts of one set of questions.
    pub fn new(limit: &Abstention, answered: usize, wrong: usize, n: usize) -> Abstained {
        Abstained {
            threshold: limit.threshold,
            target: limit.target,
            answered: Proportion::new(answered, n),
            wrong: Proportion::new(wrong, answered),
            p: match wrong.checked_sub(1) {
                Some(fewer) => 1.0 - at_most(fewer, answered, limit.target),
                None => 1.0,
            },
        }
    }

    /// Whether more of the answered are wrong than the target allows.
    pub fn missed(&self) -> bool {
        self.wrong.value > self.target
    }

    /// What came of it, in a few words.
    pub fn outcome(&self) -> String {
        match (self.threshold, self.answered.count) {
            (None, _) => "abstains from all".into(),
            (_, 0) => "answers none".into(),
            _ if !self.missed() => "kept".into(),
            _ if self.p <= 0.05 => "MISSED".into(),
            _ => format!("MISSED (chance: p = {:.2})", self.p),
        }
    }
}

/// The texts of one system in one mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrittenReport {
    /// How they were written.
    pub mode: Mode,
    /// Format-valid answers with the right label: the strict accuracy.
    pub right: Proportion,
    /// Answers whose first word names the right label, whatever follows it: the lenient accuracy. Only of
    /// unconstrained answers, which may say a label without keeping the format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right_first_word: Option<Proportion>,
    /// Answers whose rationale is the fixed sentence that replaces an unusable one. Only of constrained answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallbacks: Option<Proportion>,
    /// Answers in the form.
    pub format: Proportion,
    /// Answers with a citation.
    pub citations: Proportion,
    /// Rationales in the form that contradict their label, by rule.
    pub contradictions: Proportion,
    /// Rationales that stand in the training rows.
    pub memorised: Option<OverlapSummary>,
    /// Whether all rationales are one.
    pub variety: Variety,
    /// Answers that run in a loop.
    pub loops: Proportion,
    /// Lengths in tokens.
    pub tokens: Lengths,
}

/// Two systems on the same items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairReport {
    /// The one.
    pub first: String,
    /// The other.
    pub second: String,
    /// Table, difference and test.
    pub paired: Paired,
    /// Its p value adjusted by Holm over the pairs of the benchmark.
    pub holm: f64,
}

/// Scores on a part of a benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// What it is a part by: `source`, `labels`.
    pub by: String,
    /// Which part.
    pub part: String,
    /// Scores of each system, by name.
    pub systems: Vec<(String, Scores)>,
}

/// Answers to questions that are asked otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Robustness {
    /// Questions that were changed.
    pub questions: usize,
    /// Ways they were asked.
    pub variants: usize,
    /// Of each system.
    pub systems: Vec<(String, Consistency)>,
}

impl EvalReport {
    /// A system by its name.
    pub fn system(&self, name: &str) -> Option<&System> {
        self.systems.iter().find(|system| system.name == name)
    }

    /// A benchmark by its name.
    pub fn benchmark(&self, name: &str) -> Option<&BenchmarkReport> {
        self.benchmarks
            .iter()
            .find(|benchmark| benchmark.name == name)
    }
}

impl BenchmarkReport {
    /// A system by its name.
    pub fn system(&self, name: &str) -> Option<&SystemReport> {
        self.systems.iter().find(|system| system.name == name)
    }

    /// The system that the report is about: the run's best adapter, else the last that was judged.
    pub(crate) fn judged(&self, report: &EvalReport) -> Option<&SystemReport> {
        self.system(&report.subject.best).or(self.systems.last())
    }

    /// Scores by name: those of words alone, then the systems'.
    pub(crate) fn scored(&self) -> Vec<(&str, &Scores)> {
        let words = self.words.iter();
        let words = words.map(|scores| ("words of the question alone", scores));
        let systems = self.systems.iter();
        let systems = systems.map(|system| (system.name.as_str(), &system.scores));
        words.chain(systems).collect()
    }

    /// Which look at these questions this is, where it is not the first.
    pub(crate) fn looked(&self) -> Option<String> {
        let runs = match self.runs {
            0 | 1 => String::new(),
            runs => format!(", by {runs} runs"),
        };
        (self.look > 1).then(|| format!("look {} at these questions{runs}", self.look))
    }

    /// One line on what the benchmark holds.
    pub fn title(&self) -> String {
        let labels: Vec<String> = Label::ALL
            .iter()
            .map(|label| format!("{label} {}", self.truths[label.index()]))
            .collect();
        format!(
            "{}: {} items ({})",
            self.name,
            self.items,
            labels.join(", ")
        )
    }
}

impl SystemReport {
    /// The texts of one mode.
    pub fn written(&self, mode: Mode) -> Option<&WrittenReport> {
        self.written.iter().find(|written| written.mode == mode)
    }
}
