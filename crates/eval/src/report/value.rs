//! The report as a value: the content of `report.json`. JSON keeps the field names of the first version.

use serde::{Deserialize, Serialize};
use verdict_answer::{Calibrations, Fit, Mode};
use verdict_common::counted;
use verdict_data::Label;

use crate::dialogue::{Measure, MeasureScore};
use crate::evaluated_run::EvaluatedRun;
use crate::looks::Look;
use crate::metrics::{Lengths, Levels, Proportion};
use crate::published::Published;
use crate::robustness::Consistency;
use crate::stats::abstain::Abstention;
use crate::stats::bootstrap::{Estimate, Resampling};
use crate::stats::paired::{Paired, at_most, holm};
use crate::stats::probability::Probabilities;
use crate::stats::scores::Scores;
use crate::stats::selective::Selective;
use crate::text::{OverlapSummary, Variety};

/// Name of the base model in tables.
pub const BASE: &str = "base";

/// All results of an evaluation: the content of `report.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalReport {
    /// Tool and version that made it.
    pub tool: String,
    /// The evaluated run.
    #[serde(rename = "subject")]
    pub run: EvaluatedRun,
    /// The methods.
    pub methods: Methods,
    /// All looks of this run at held-out questions, and of other runs at the same questions, this one the last.
    pub looks: Vec<Look>,
    /// The evaluated models: the base model, adapters and ensembles.
    #[serde(rename = "systems")]
    pub models: Vec<EvaluatedModel>,
    /// One report for each benchmark.
    pub benchmarks: Vec<BenchmarkReport>,
    /// Consistency on paraphrased and negated questions, where they were evaluated.
    pub robustness: Option<Robustness>,
    /// Dialogues of three turns, where they were evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialogues: Option<DialogueReport>,
}

/// How an evaluation was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Methods {
    /// Which calibration was fitted on the validation set.
    pub fit: Fit,
    /// Replicates and seed of the bootstrap.
    pub resampling: Resampling,
    /// Target error rate: the accepted share of wrong answers among answered questions.
    #[serde(rename = "error_rate")]
    pub target_error_rate: f64,
    /// Probability that the certified error rate does not hold.
    pub delta: f64,
    /// Maximum number of new tokens.
    pub max_answer_tokens: usize,
    /// Maximum number of tokens in a prompt; longer contexts were cut.
    pub max_prompt_tokens: usize,
    /// Device, base-model quantization and compute dtype.
    pub machine: String,
    /// Number of validation predictions used for calibration and thresholds.
    pub validation_rows: usize,
    /// Number of answers: labels alone, and answers by unconstrained and constrained decoding.
    pub answers: usize,
    /// Seconds for all answers, without loading the model.
    pub seconds: f64,
}

/// A model that was evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluatedModel {
    /// [`BASE`], the name of an adapter, or that of an ensemble.
    pub name: String,
    /// The models whose calibrated probabilities an ensemble averages; empty for other models.
    pub members: Vec<String>,
    /// The calibration fitted on the validation set; none for an ensemble, whose members are calibrated.
    pub calibrations: Option<Calibrations>,
    /// The threshold below which the model abstains to keep the target error rate.
    pub abstention: Option<Abstention>,
}

/// The origin of a benchmark's labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// By experts who read the study.
    Expert,
    /// By a rule from the wording of titles (PubMedQA's artificial part).
    Artificial,
    /// Computed from the numbers in the question.
    Generated,
    /// Written by hand for this project, without review by clinicians.
    Written,
    /// From the user's own file.
    Own,
}

impl Quality {
    /// From the name of a source.
    pub fn of(source: &str) -> Quality {
        match source {
            "pubmedqa-labeled" | "bioasq" | "medevidence" => Quality::Expert,
            "pubmedqa-artificial" => Quality::Artificial,
            "stats" => Quality::Generated,
            "clinical" | "challenge" => Quality::Written,
            _ => Quality::Own,
        }
    }

    /// The name in tables.
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

/// The results on one benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkReport {
    /// Its name.
    pub name: String,
    /// The source of its questions.
    pub about: String,
    /// Number of questions.
    pub items: usize,
    /// Number of groups: questions of one group are not independent.
    pub groups: usize,
    /// SHA-256 of ids, questions, contexts and labels, in order.
    pub sha256: String,
    /// Number of contaminated questions: they occur in the training set, themselves, as near duplicates or through their
    /// abstracts.
    #[serde(rename = "trained_on")]
    pub contaminated: usize,
    /// Number of this look at the questions, from 1, whichever run was evaluated.
    pub look: usize,
    /// Number of runs that were evaluated on these questions, including this one.
    #[serde(default)]
    pub runs: usize,
    /// Number of questions with a context; 0 in reports of earlier versions.
    #[serde(default)]
    pub contexts: usize,
    /// How often each label is the true one, in the order of [`Label::ALL`].
    pub truths: [usize; 3],
    /// The baselines of chance and of the majority label.
    pub levels: Levels,
    /// Scores of the question-only baseline, which learns from the words of the training questions.
    #[serde(rename = "words")]
    pub question_only: Option<Scores>,
    /// One report for each model.
    #[serde(rename = "systems")]
    pub models: Vec<ModelReport>,
    /// Every two models compared on the same questions.
    pub pairs: Vec<PairReport>,
    /// Scores on slices of the questions.
    pub slices: Vec<Slice>,
    /// How well a search found the publications that the questions were made from, where one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrieval: Option<RetrievalReport>,
    /// Published results on these questions.
    pub published: Vec<Published>,
    /// The earlier evaluation that this benchmark is kept from, if it was not evaluated in this one.
    #[serde(default, rename = "kept", skip_serializing_if = "Option::is_none")]
    pub earlier: Option<EarlierEvaluation>,
}

/// How well a search found the publications that the questions of a benchmark were made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetrievalReport {
    /// Documents in the index.
    pub documents: usize,
    /// Questions whose publications are known.
    pub questions: usize,
    /// Mean number of known publications of a question.
    pub relevant: f64,
    /// Recall and nDCG at some ranks, averaged over the questions.
    pub measures: Vec<(String, Estimate)>,
}

/// The evaluation that a benchmark was kept from, where it is another than the report's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlierEvaluation {
    /// Seconds since 1970, UTC.
    pub time: u64,
    /// Tool and version.
    pub tool: String,
    /// Its methods.
    pub methods: Methods,
    /// Its models.
    #[serde(rename = "systems")]
    pub models: Vec<EvaluatedModel>,
}

/// The results of one model on one benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelReport {
    /// Its name.
    pub name: String,
    /// Scores of the most probable labels.
    pub scores: Scores,
    /// Quality of the uncalibrated probabilities.
    pub raw: Probabilities,
    /// Quality of the calibrated probabilities.
    pub calibrated: Probabilities,
    /// Accuracy when only the most confident answers are given.
    pub selective: Selective,
    /// The outcome of the threshold of [`EvaluatedModel::abstention`].
    pub abstained: Option<AbstentionOutcome>,
    /// The generated answers by mode; empty for an ensemble.
    #[serde(rename = "written")]
    pub generated: Vec<GeneratedReport>,
}

/// The outcome of abstaining: target error rate and observed error rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AbstentionOutcome {
    /// The probability below which the model abstains; none where it abstains from all questions.
    pub threshold: Option<f64>,
    /// Target error rate among answered questions.
    pub target: f64,
    /// Coverage: the share of questions answered.
    pub answered: Proportion,
    /// Observed error rate: the share of wrong answers among answered questions.
    pub wrong: Proportion,
    /// `P(Bin(answered, target) ≥ wrong)`: the probability of at least as many wrong answers where the true error rate is
    /// the target. 1 where nothing is answered.
    pub p: f64,
}

impl AbstentionOutcome {
    /// The outcome of a threshold on one benchmark of `n` questions.
    pub fn new(limit: &Abstention, answered: usize, wrong: usize, n: usize) -> AbstentionOutcome {
        AbstentionOutcome {
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

    /// Whether the observed error rate is above the target.
    pub fn missed(&self) -> bool {
        self.wrong.value > self.target
    }

    /// The outcome in a few words.
    pub fn describe(&self) -> String {
        match (self.threshold, self.answered.count) {
            (None, _) => "abstains from all".into(),
            (_, 0) => "answers none".into(),
            _ if !self.missed() => "kept".into(),
            _ if self.p <= 0.05 => "MISSED".into(),
            _ => format!("MISSED (within chance, p = {:.2})", self.p),
        }
    }
}

/// The generated answers of one model in one mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GeneratedReport {
    /// How they were decoded.
    pub mode: Mode,
    /// Format-valid answers with the right label: the strict accuracy.
    pub right: Proportion,
    /// Answers whose first word names the right label, whatever follows it: the lenient accuracy. Only of unconstrained
    /// answers, which may name a label without being format-valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right_first_word: Option<Proportion>,
    /// Answers whose rationale is the fallback. Only of constrained answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallbacks: Option<Proportion>,
    /// Format-valid answers.
    pub format: Proportion,
    /// Answers with a citation.
    pub citations: Proportion,
    /// Format-valid answers whose rationale contradicts the label, by rules.
    pub contradictions: Proportion,
    /// Memorized rationales, where the training set is known.
    #[serde(rename = "memorised")]
    pub memorized: Option<OverlapSummary>,
    /// Repetition between answers.
    pub variety: Variety,
    /// Answers that loop.
    pub loops: Proportion,
    /// Lengths in tokens.
    pub tokens: Lengths,
}

/// Two models compared on the same questions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairReport {
    /// Name of the first model.
    pub first: String,
    /// Name of the second model.
    pub second: String,
    /// Contingency table, difference and test.
    pub paired: Paired,
    /// The p value, adjusted by Holm over all pairs of the benchmark.
    pub holm: f64,
}

impl PairReport {
    /// Compared models with their names, first and second; the p values are adjusted together.
    pub(crate) fn adjusted(compared: Vec<([String; 2], Paired)>) -> Vec<PairReport> {
        let p: Vec<f64> = compared
            .iter()
            .map(|(_, paired)| paired.deciding_p())
            .collect();
        let adjusted = compared.into_iter().zip(holm(&p));
        adjusted
            .map(|(([first, second], paired), holm)| PairReport {
                first,
                second,
                paired,
                holm,
            })
            .collect()
    }
}

/// Scores on a slice of a benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// The property that defines the slices: `source`, `labels`, `kind`, `seen`, `specialty`, or one of the benchmark's own.
    pub by: String,
    /// The value of the property.
    pub part: String,
    /// Scores of each model, by name.
    #[serde(rename = "systems")]
    pub models: Vec<(String, Scores)>,
}

/// Consistency on paraphrased and negated questions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Robustness {
    /// Number of original questions.
    pub questions: usize,
    /// Number of variants.
    pub variants: usize,
    /// Consistency of each model, by name.
    #[serde(rename = "systems")]
    pub models: Vec<(String, Consistency)>,
}

/// The results in dialogues.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DialogueReport {
    /// Number of dialogues.
    pub dialogues: usize,
    /// Scores of each model on all dialogues, by name.
    pub models: Vec<(String, Vec<MeasureScore>)>,
    /// Scores on the dialogues of each source and of each kind.
    pub parts: Vec<DialoguePart>,
    /// Each adapter compared with the base model in each measure; the p values are adjusted together.
    pub pairs: Vec<DialoguePair>,
    /// The first dialogue of each kind, as one model held it.
    pub examples: Vec<DialogueExample>,
}

/// Scores on a part of the dialogues.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DialoguePart {
    /// The property that defines the part: `source` or `kind`.
    pub by: String,
    /// The value of the property.
    pub part: String,
    /// Number of dialogues.
    pub dialogues: usize,
    /// Scores of each model, by name.
    pub models: Vec<(String, Vec<MeasureScore>)>,
}

/// Two models compared in one measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DialoguePair {
    /// What is compared.
    pub measure: Measure,
    /// The comparison.
    pub pair: PairReport,
}

/// A dialogue as a model held it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DialogueExample {
    /// Id of the question that it is made from.
    pub id: String,
    /// What its turns do.
    pub kind: String,
    /// Name of the model.
    pub model: String,
    /// Its turns.
    pub turns: Vec<ExampleTurn>,
}

/// A turn as a model answered it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExampleTurn {
    /// The facts that it adds.
    pub context: Option<String>,
    /// The question.
    pub question: String,
    /// The right label.
    pub truth: Label,
    /// The answer.
    pub answer: String,
    /// Whether its label is right.
    pub right: bool,
}

impl EvalReport {
    /// A model by its name.
    pub fn model(&self, name: &str) -> Option<&EvaluatedModel> {
        self.models.iter().find(|model| model.name == name)
    }

    /// A benchmark by its name.
    pub fn benchmark(&self, name: &str) -> Option<&BenchmarkReport> {
        self.benchmarks
            .iter()
            .find(|benchmark| benchmark.name == name)
    }
}

impl BenchmarkReport {
    /// A model by its name.
    pub fn model(&self, name: &str) -> Option<&ModelReport> {
        self.models.iter().find(|model| model.name == name)
    }

    /// The model that the report is about: the best adapter of the run, else the last model.
    pub(crate) fn main_model(&self, run: &EvaluatedRun) -> Option<&ModelReport> {
        self.model(&run.best).or(self.models.last())
    }

    /// Scores by name: the question-only baseline, then the models.
    pub(crate) fn scored(&self) -> Vec<(&str, &Scores)> {
        let baseline = self.question_only.iter();
        let baseline = baseline.map(|scores| ("question-only baseline", scores));
        let models = self.models.iter();
        let models = models.map(|model| (model.name.as_str(), &model.scores));
        baseline.chain(models).collect()
    }

    /// Which look at the questions this is, where it is not the first.
    pub(crate) fn describe_look(&self) -> Option<String> {
        let runs = match self.runs {
            0 | 1 => String::new(),
            runs => format!(", by {runs} runs"),
        };
        (self.look > 1).then(|| format!("look {} at these questions{runs}", self.look))
    }

    /// Name, number of questions and labels in one line.
    pub fn title(&self) -> String {
        let labels: Vec<String> = Label::ALL
            .iter()
            .map(|label| format!("{label} {}", self.truths[label.index()]))
            .collect();
        format!(
            "{}: {} ({})",
            self.name,
            counted(self.items, "question"),
            labels.join(", ")
        )
    }
}

impl ModelReport {
    /// The generated answers of one mode.
    pub fn generated(&self, mode: Mode) -> Option<&GeneratedReport> {
        self.generated.iter().find(|of| of.mode == mode)
    }
}
