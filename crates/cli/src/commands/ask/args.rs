//! The flags of `verdict ask`.

use std::path::PathBuf;

use verdict_answer::AnswerSettings;

use super::bulk::BulkArgs;
use crate::evidence::EvidenceFlags;
use crate::loading::MachineFlags;

/// Answer questions with a label, its probability and a rationale
///
/// Without a question on the command line, questions are read from stdin, one per line. A question that cannot be asked
/// (empty, or longer than --max-prompt-tokens) does not stop the others: stderr names it, or with --json an object with
/// "question" and "error" takes its place. The exit status is then 2.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Questions
    #[arg(value_name = "QUESTION")]
    pub questions: Vec<String>,
    /// Answer with an adapter of this run
    #[arg(long, value_name = "RUN", required_unless_present_any = ["model", "merge"])]
    pub run: Option<PathBuf>,
    /// Use this adapter of the run [default: the run's best]
    #[arg(long, value_name = "NAME", requires = "run")]
    pub adapter: Option<String>,
    /// Answer with the mean of several adapters
    ///
    /// Names with commas between them, or all. All adapters answer in one batch, and their calibrated probabilities are
    /// averaged, as by `verdict eval --ensemble`. The rationale is that of the adapter that gives the resulting label the
    /// highest probability.
    #[arg(long, value_name = "NAMES", requires = "run", conflicts_with_all = ["adapter", "unconstrained", "evidence"])]
    pub ensemble: Option<String>,
    /// Answer with this base model, by path, hub name or built-in name
    ///
    /// With --run, the place of the run's base model, if it was moved.
    #[arg(long)]
    pub model: Option<String>,
    /// Put this text before each question
    #[arg(long, value_name = "TEXT", conflicts_with = "evidence")]
    pub context: Option<String>,
    /// Decode without the answer grammar
    ///
    /// Unconstrained decoding: the answer need not have the form "Label. Rationale: …".
    #[arg(long, conflicts_with = "evidence")]
    pub unconstrained: bool,
    /// Print the model's own probabilities, not the calibrated ones
    #[arg(long)]
    pub uncalibrated: bool,
    /// Abstain if the answer's probability is below this, from 0 to 1
    #[arg(long, value_name = "P")]
    pub abstain_below: Option<f64>,
    /// Limit the share of wrong answers by abstaining
    ///
    /// The target error rate, from 0 to 1, among the questions that are answered. It is certified on the run's validation set with a
    /// confidence of 90 %.
    #[arg(long, value_name = "SHARE", requires = "run", conflicts_with_all = ["abstain_below", "uncalibrated"])]
    pub target_error_rate: Option<f64>,
    /// Generate at most this many tokens per answer
    #[arg(long, value_name = "N", default_value_t = AnswerSettings::default().max_answer_tokens)]
    pub max_new_tokens: usize,
    /// Cut prompts to this many tokens [default: as trained]
    ///
    /// A --context that does not fit loses whole sentences from its beginning. The default is the run's --max-length
    /// less the room for an answer, and 928 without a run.
    #[arg(long, value_name = "N")]
    pub max_prompt_tokens: Option<usize>,
    #[command(flatten)]
    pub evidence: EvidenceFlags,
    #[command(flatten)]
    pub bulk: BulkArgs,
    #[command(flatten)]
    pub machine: MachineFlags,
}
