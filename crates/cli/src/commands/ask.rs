//! `verdict ask`: answers questions with probabilities, all in one batch; the rows of a table in `bulk`.

mod bulk;

mod evidence;

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use verdict_answer::{
    AnswerSettings, Calibration, Calibrations, Fit, Mode, ModelInferenceEngine, Pool, Question,
    Verdict, calibration,
};
use verdict_common::counted;
use verdict_data::{DataSet, Label, clean_context, clean_question};
use verdict_eval::stats::abstain;
use verdict_model::AdapterBank;
use verdict_train::RunFolder;

use self::bulk::{Answering, BulkArgs};
use self::evidence::{EvidenceAnswer, EvidenceOutput};
use crate::commands::eval::evaluated_run;
use crate::evidence::{EvidenceFlags, Literature, RunPools};
use crate::failure::{Failure, Result};
use crate::loading::{self, MachineFlags, Opened};
use crate::moved;
use crate::printer::Printer;
use crate::shell;

/// Answer questions with a label, its probability and a rationale
///
/// Without a question on the command line, questions are read from stdin, one per line. A question that cannot be asked
/// (empty, or longer than --max-prompt-tokens) does not stop the others: stderr names it, or with --json an object with
/// "question" and "error" takes its place. The exit status is then 2.
#[derive(Debug, clap::Args)]
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

/// An answer as `--json` prints it.
#[derive(Serialize)]
struct AnswerOutput<'v> {
    #[serde(flatten)]
    verdict: &'v Verdict,
    /// How the probabilities were calibrated.
    calibration: Fit,
    /// Whether the probability was too low to answer.
    abstained: bool,
    /// Reasons to doubt the label and its probability.
    doubts: Vec<String>,
    /// Share of the publications' weight that gives this label.
    #[serde(skip_serializing_if = "Option::is_none")]
    agreement: Option<f64>,
    /// The publications that the answer rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Vec<EvidenceOutput<'v>>>,
}

/// A question that was refused, as `--json` prints it.
#[derive(Serialize)]
struct Refused<'q> {
    question: &'q str,
    /// Why.
    error: String,
}

/// Answers, and prints the answers.
pub fn run(args: Args, printer: &Printer) -> Result {
    if let Some(out) = &args.bulk.merge {
        return bulk::merge(out, printer);
    }
    let run = args.run.as_deref().map(loading::run_folder).transpose()?;
    let options = args
        .machine
        .over(run.as_ref().map(|run| &run.settings), printer)?;
    let folder = run
        .as_ref()
        .map(|run| run.verified_adapter_dir(args.adapter.as_deref()))
        .transpose()?;
    let spec = match (&run, &args.model) {
        (Some(run), at) => {
            let known = &run.manifest.provenance;
            moved::model(
                run.located_settings(),
                at.as_deref(),
                run.dir(),
                known,
                printer,
            )?
            .model
        }
        (None, Some(model)) => model.clone(),
        (None, None) => {
            let failure = Failure::input("expected --run or --model, found neither");
            return Err(failure.hint(
                "`verdict ask --run RUN \"question\"` uses a trained adapter, --model a base model",
            ));
        }
    };
    let mut faults = Vec::new();
    if let Some(found) = args.abstain_below.filter(|of| !(0.0..=1.0).contains(of)) {
        faults.push(format!(
            "--abstain-below: expected a probability from 0 to 1, found {found}"
        ));
    }
    if let Some(found) = args
        .target_error_rate
        .filter(|of| !(*of > 0.0 && *of < 1.0))
    {
        faults.push(format!(
            "--target-error-rate: expected a share between 0 and 1, found {found}"
        ));
    }
    if !faults.is_empty() {
        return Err(Failure::faults(faults));
    }
    let calibration = match (&folder, args.uncalibrated) {
        (Some(folder), false) => Some(fitted(folder)?),
        _ => None,
    };
    let name = args.adapter.as_deref();
    let threshold = match (&run, args.target_error_rate, calibration) {
        (Some(run), Some(rate), Some(fitted)) => threshold(run, name, fitted, rate, printer)?,
        _ => args.abstain_below.unwrap_or(0.0),
    };
    if let Some(warning) = calibration.as_ref().and_then(extreme) {
        printer.warn(warning);
    }
    let literature = args.evidence.open()?;
    let settings = AnswerSettings {
        max_answer_tokens: args.max_new_tokens,
        max_prompt_tokens: loading::prompt_tokens(
            args.max_prompt_tokens,
            run.as_ref().map(|run| &run.settings),
        ),
        ..AnswerSettings::default()
    };
    let bulk = match args.bulk.is_given() {
        false => None,
        true => {
            let answering = Answering {
                model: &spec,
                run: run.as_ref(),
                adapter: folder.as_deref(),
                options: &options,
                calibration,
                threshold,
                limits: settings,
            };
            match args.bulk.prepare(&answering, printer)? {
                None => return Ok(()),
                bulk => bulk,
            }
        }
    };
    let texts = match &bulk {
        Some(_) => Vec::new(),
        None => questions(args.questions)?,
    };
    let context = args.context.as_deref().and_then(clean_context);
    let opened = match &run {
        Some(_) => loading::open_of_run(&spec, options, printer)?,
        None => loading::open(&spec, options, printer)?,
    };
    if let Some(run) = run.as_ref().filter(|_| calibration.is_some())
        && let Some(warning) = opened.older_scores(run)?
    {
        printer.warn(warning);
    }
    let mut bank = AdapterBank::empty();
    let adapter = folder
        .as_deref()
        .map(|folder| opened.adapter(&mut bank, folder))
        .transpose()?;
    if let Some(bulk) = bulk {
        return bulk.run(&opened, &bank, adapter, printer);
    }
    let mode = if args.unconstrained {
        Mode::Free
    } else {
        Mode::Guaranteed
    };
    let all: Vec<Question<'_>> = texts
        .iter()
        .map(|text| Question {
            text,
            context: context.as_deref(),
            adapter,
            mode,
        })
        .collect();
    let engine = ModelInferenceEngine::new(&opened.model, &bank);
    let prompts = opened.answerer()?.check(&engine, &all, &settings)?;
    loading::report_cuts("questions", prompts.iter().flatten(), &settings, printer);
    let good = all
        .iter()
        .zip(&prompts)
        .filter(|(_, prompt)| prompt.is_ok());
    let good: Vec<Question<'_>> = good.map(|(question, _)| *question).collect();
    let answers: Vec<Answer> = match &literature {
        Some(literature) => {
            let pool = pool(run.as_ref(), name, literature, calibration, printer)?;
            let texts: Vec<&str> = good.iter().map(|question| question.text).collect();
            let asked = (texts.as_slice(), adapter);
            evidence::answer(
                (&opened, &bank),
                literature,
                asked,
                &pool,
                &settings,
                printer,
            )?
            .into_iter()
            .map(|of| Answer {
                verdict: of.answer.verdict.clone(),
                evidence: Some(of),
            })
            .collect()
        }
        None => answer(&opened, &bank, &good, &settings, printer)?
            .into_iter()
            .map(|mut verdict| {
                if let Some(calibration) = calibration {
                    calibrate(&mut verdict, calibration);
                }
                Answer {
                    verdict,
                    evidence: None,
                }
            })
            .collect(),
    };
    let mut answers = answers.into_iter();
    let single = calibration.unwrap_or_default();
    let mut faults = Vec::new();
    for (place, (question, prompt)) in texts.iter().zip(&prompts).enumerate() {
        if let Err(error) = prompt {
            let error = error.to_string();
            faults.push(format!("question {}: {error}", place + 1));
            printer.json(&Refused { question, error });
            continue;
        }
        let Some(Answer { verdict, evidence }) = answers.next() else {
            break;
        };
        let most = verdict.probabilities.into_iter().fold(0.0, f32::max);
        let abstained = f64::from(most) < threshold;
        printer.json(&AnswerOutput {
            verdict: &verdict,
            calibration: match calibration {
                Some(_) => Fit::Temperature,
                None => Fit::None,
            },
            abstained,
            doubts: doubts(&verdict),
            agreement: evidence.as_ref().map(|of| of.answer.agreement),
            evidence: evidence.as_ref().map(|of| of.output(single)),
        });
        match abstained {
            true => print_abstained(&verdict, threshold, printer),
            false => print(&verdict, printer),
        }
        if let Some(evidence) = &evidence {
            evidence.print(single, printer);
        }
    }
    match (faults.is_empty(), good.len()) {
        (true, _) => Ok(()),
        (false, 0) => Err(Failure::faults(faults)),
        (false, others) => {
            let failure = Failure::faults(faults);
            Err(failure.hint(match others {
                1 => "the other question was answered".to_owned(),
                _ => format!("the other {} were answered", counted(others, "question")),
            }))
        }
    }
}

/// An answer, and what it rests on where evidence was asked for.
struct Answer {
    verdict: Verdict,
    evidence: Option<EvidenceAnswer>,
}

/// How what publications say is combined: as fitted by `verdict eval --evidence`, or by the adapter's own calibration.
fn pool(
    run: Option<&RunFolder>,
    name: Option<&str>,
    literature: &Literature,
    calibration: Option<Calibration>,
    printer: &Printer,
) -> Result<Pool> {
    let unfitted = Pool::unfitted(calibration.unwrap_or_default());
    let Some(run) = run else {
        return Ok(unfitted);
    };
    let name = name.unwrap_or(run.best());
    let fitted = RunPools::read(run)?.and_then(|of| Some((of.pools.get(name)?.pool, of.top)));
    let flags = shell::word(run.dir());
    match fitted {
        Some((pool, top)) if top == literature.top => Ok(pool),
        Some((pool, top)) => {
            printer.note(format!(
                "the weights of evidence were fitted with --top {top}"
            ));
            Ok(pool)
        }
        None => {
            printer.note(format!(
                "the weights of evidence are not fitted; `verdict eval {flags} --evidence INDEX` fits them on the validation set"
            ));
            Ok(unfitted)
        }
    }
}

/// The calibration of an adapter, fitted on the run's validation set: a temperature, which changes no label.
pub fn fitted(adapter: &Path) -> Result<Calibration> {
    let path = adapter.join(calibration::FILE);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Failure::input(format!("{}: cannot read: {error}", path.display())))?;
    let fitted: Calibrations = serde_json::from_str(&text)
        .map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
    Ok(fitted.of(Fit::Temperature))
}

/// Temperatures outside this range mean that the fit found almost no information in the probabilities.
const SANE_TEMPERATURE: std::ops::RangeInclusive<f64> = 0.1..=10.0;
/// At or below this, the highest of three probabilities is close to chance.
const NEAR_CHANCE: f32 = 0.4;

/// A warning about a calibration that cannot be trusted.
fn extreme(calibration: &Calibration) -> Option<String> {
    let temperature = calibration.temperature;
    if SANE_TEMPERATURE.contains(&temperature) {
        return None;
    }
    let (low, high) = (SANE_TEMPERATURE.start(), SANE_TEMPERATURE.end());
    let why = match temperature > 1.0 {
        true => {
            "the model's probabilities hardly separate right answers from wrong ones, and all of them end up near 33 %"
        }
        false => "there were too few examples, or no wrong answers",
    };
    Some(format!(
        "calibration: the temperature fitted on the validation set is {temperature:.2}, expected {low} to {high}: {why}; \
         train longer, use a larger validation set, or print the model's own probabilities with --uncalibrated"
    ))
}

/// Reasons to doubt an answer.
fn doubts(verdict: &Verdict) -> Vec<String> {
    let mut all = Vec::new();
    if verdict.other > 0.5 {
        all.push(format!(
            "the model prefers another answer: {:.1} % of the probability is on words other than the three labels",
            100.0 * verdict.other
        ));
    }
    let most = verdict.probabilities.into_iter().fold(0.0, f32::max);
    if most <= NEAR_CHANCE {
        all.push("the probabilities of the three labels are near chance (33.3 %)".to_owned());
    }
    if verdict.fallback {
        all.push(
            "the model generated no usable rationale; a fixed sentence replaces it".to_owned(),
        );
    }
    all
}

/// Replaces the probabilities of an answer by calibrated ones.
pub fn calibrate(verdict: &mut Verdict, calibration: Calibration) {
    let calibrated = calibration.recalibrate(verdict.probabilities);
    verdict.probabilities = calibrated.map(|p| p as f32);
}

/// The probability below which an adapter abstains, so that its error rate among answered questions is at most `rate`.
fn threshold(
    run: &RunFolder,
    name: Option<&str>,
    calibration: Calibration,
    rate: f64,
    printer: &Printer,
) -> Result<f64> {
    let name = name.unwrap_or(run.best());
    let set = || DataSet::read(&run.located_settings().data).ok();
    let mut rows = evaluated_run::validation(run, &[Some(name)], set)?;
    let rows = rows.pop().unwrap_or_default();
    let of = |place: usize| calibration.probabilities(rows[place].logits);
    let Some(found) = verdict_eval::abstention(&rows, of, rate, abstain::DELTA) else {
        return Err(Failure::input(format!(
            "--target-error-rate: {}: found no validation results of adapter {name} to certify an error rate on",
            run.dir().display()
        ))
        .hint("--abstain-below sets the probability directly"));
    };
    printer.note(&found.guarantee);
    // Above every probability if no threshold can be certified.
    Ok(found.threshold.unwrap_or(1.1))
}

/// Answers all questions in one batch; shows progress for more than one.
pub fn answer(
    opened: &Opened,
    bank: &AdapterBank,
    questions: &[Question<'_>],
    settings: &AnswerSettings,
    printer: &Printer,
) -> Result<Vec<Verdict>> {
    let answerer = opened.answerer()?;
    let mut engine = ModelInferenceEngine::new(&opened.model, bank);
    let total = questions.len() as u64;
    let progress = (total > 1).then(|| printer.progress("ask", "question", total));
    let mut done = |count: usize| {
        if let Some(progress) = &progress {
            progress.set(count as u64, "");
        }
    };
    Ok(answerer.answer(&mut engine, questions, settings, &mut done)?)
}

/// Prints why a question is not answered.
fn print_abstained(verdict: &Verdict, threshold: f64, printer: &Printer) {
    printer.line(&verdict.question);
    let why = match threshold > 1.0 {
        true => {
            "no probability could be certified on the validation set for this error rate".to_owned()
        }
        false => format!(
            "the probability of the best answer is below {:.1} %",
            100.0 * threshold
        ),
    };
    printer.line(format!("  abstains: {why}"));
    printer.line(format!("  {}", percentages(verdict)));
    for doubt in doubts(verdict) {
        printer.line(format!("  note: {doubt}"));
    }
}

/// The probabilities of the labels.
fn percentages(verdict: &Verdict) -> String {
    let share = |label: Label| 100.0 * verdict.probabilities[label.index()];
    Label::ALL
        .map(|label| format!("{label} {:.1} %", share(label)))
        .join("  ")
}

/// Prints one answer.
pub fn print(verdict: &Verdict, printer: &Printer) {
    printer.line(&verdict.question);
    match (verdict.label, &verdict.rationale) {
        (Some(label), Some(rationale)) => {
            printer.line(format!("  {label}. {rationale}"));
        }
        _ => printer.line(format!("  (not format-valid) {}", verdict.answer)),
    }
    printer.line(format!("  {}", percentages(verdict)));
    for doubt in doubts(verdict) {
        printer.line(format!("  note: {doubt}"));
    }
}

/// The questions of the command line, or of stdin, one per line, cleaned like those of the training set.
fn questions(given: Vec<String>) -> Result<Vec<String>> {
    let texts: Vec<String> = if given.is_empty() {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            let failure = Failure::input("expected a question, found none");
            return Err(failure.hint("give it in quotes, or pipe questions in, one per line"));
        }
        let mut bytes = Vec::new();
        let read = stdin.lock().read_to_end(&mut bytes);
        read.map_err(|fault| Failure::input(format!("stdin: {fault}")))?;
        let text = verdict_data::decode("stdin", bytes)?;
        // Blank lines are skipped.
        text.lines().filter_map(clean_question).collect()
    } else {
        // An argument without a word stays as an empty question, which is then reported.
        let cleaned = given.iter().map(|text| clean_question(text));
        cleaned.map(Option::unwrap_or_default).collect()
    };
    if texts.iter().all(String::is_empty) {
        return Err(Failure::input(
            "expected a question, found no letter and no digit",
        ));
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(probabilities: [f32; 3], other: f32, fallback: bool) -> Verdict {
        Verdict {
            question: "Does it help?".into(),
            label: Some(Label::No),
            probabilities,
            other,
            rationale: None,
            answer: String::new(),
            adapter: None,
            mode: Mode::Guaranteed,
            first_word: None,
            fallback,
            format_ok: true,
            tokens: 0,
            latency_ms: 0.0,
        }
    }

    #[test]
    fn reasons_to_doubt_an_answer_are_named() {
        assert!(doubts(&verdict([0.1, 0.8, 0.1], 0.3, false)).is_empty());
        let all = doubts(&verdict([0.3, 0.37, 0.33], 0.94, true)).join("\n");
        for part in ["another answer: 94.0 %", "near chance", "fixed sentence"] {
            assert!(all.contains(part), "{all}");
        }
    }

    #[test]
    fn a_calibration_far_from_one_is_warned_of() {
        let at = |temperature: f64| {
            extreme(&Calibration {
                temperature,
                bias: [0.0; 3],
            })
        };
        assert_eq!((at(1.0), at(4.0)), (None, None));
        assert!(at(52.0).is_some_and(|text| text.contains("52.00") && text.contains("33 %")));
        assert!(at(0.01).is_some_and(|text| text.contains("too few examples")));
    }
}
