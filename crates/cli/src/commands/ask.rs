//! `verdict ask`: questions to answers with probabilities. One load, one batch.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use verdict_answer::{
    AnswerSettings, Calibration, Calibrations, Fit, Mode, ModelInferenceEngine, Question, Verdict,
    calibration,
};
use verdict_common::counted;
use verdict_data::{DataSet, Label, asked_context, asked_question};
use verdict_eval::stats::abstain;
use verdict_model::AdapterBank;
use verdict_train::RunFolder;

use crate::commands::eval::subject;
use crate::failure::{Failure, Result};
use crate::loading::{self, MachineFlags, Opened};
use crate::moved;
use crate::printer::Printer;

/// Answer questions with a label, its probability and a rationale
///
/// Without a question on the command line, reads them from stdin, one a line. A question that cannot be asked
/// (empty, longer than --max-prompt-tokens) does not stop the others: with --json an object with "question" and
/// "error" takes its place, else stderr names it. The exit status is then 2.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Questions
    #[arg(value_name = "QUESTION")]
    pub questions: Vec<String>,
    /// Run folder whose adapter answers
    #[arg(long, value_name = "FOLDER", required_unless_present = "model")]
    pub run: Option<PathBuf>,
    /// Adapter of the run [default: the run's best]
    #[arg(long, value_name = "NAME", requires = "run")]
    pub adapter: Option<String>,
    /// Ask a bare base model: folder, GGUF file, hub name or built-in name; with --run, where the
    /// run's base model is now
    #[arg(long)]
    pub model: Option<String>,
    /// Text that the questions are about, put before each of them
    #[arg(long, value_name = "TEXT")]
    pub context: Option<String>,
    /// Let the model write freely, without the grammar that guarantees the form
    #[arg(long)]
    pub free: bool,
    /// Show the probabilities as the model gives them, not those calibrated on the run's validation rows
    #[arg(long)]
    pub uncalibrated: bool,
    /// Abstain where the answer's probability is lower than this, 0 to 1
    #[arg(long, value_name = "PROBABILITY")]
    pub abstain_below: Option<f64>,
    /// Target error rate: abstain so that at most this share of the answered questions is answered wrongly,
    /// 0 to 1, certified on the run's validation rows with a confidence of 90 %
    #[arg(long, value_name = "SHARE", requires = "run", conflicts_with_all = ["abstain_below", "uncalibrated"])]
    pub error_rate: Option<f64>,
    /// Most tokens of an answer
    #[arg(long, value_name = "TOKENS", default_value_t = AnswerSettings::default().max_answer_tokens)]
    pub max_tokens: usize,
    /// Most tokens of a prompt; a longer --context loses its first sentences [default: as the run was
    /// trained, its --max-length without room for an answer; 928 without a run]
    #[arg(long, value_name = "TOKENS")]
    pub max_prompt_tokens: Option<usize>,
    #[command(flatten)]
    pub machine: MachineFlags,
}

/// An answer as `--json` prints it.
#[derive(Serialize)]
struct Told<'v> {
    #[serde(flatten)]
    verdict: &'v Verdict,
    /// What was fitted for the probabilities.
    calibration: Fit,
    /// Whether the probability was too low to answer.
    abstained: bool,
    /// Why the label and its probability say little, where they do.
    doubts: Vec<String>,
}

/// A question that could not be asked, as `--json` prints it.
#[derive(Serialize)]
struct Unasked<'q> {
    question: &'q str,
    /// Why it could not.
    error: String,
}

/// Answers and tells.
pub fn run(args: Args, printer: &Printer) -> Result {
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
            moved::model(run.found(), at.as_deref(), run.dir(), known, printer)?.model
        }
        (None, Some(model)) => model.clone(),
        (None, None) => {
            let failure = Failure::input("expected --run or --model, found neither");
            return Err(failure.hint(
                "`verdict ask --run RUN \"question\"` asks a trained adapter, --model a base model",
            ));
        }
    };
    let mut faults = Vec::new();
    if let Some(found) = args.abstain_below.filter(|of| !(0.0..=1.0).contains(of)) {
        faults.push(format!(
            "--abstain-below: expected a probability from 0 to 1, found {found}"
        ));
    }
    if let Some(found) = args.error_rate.filter(|of| !(*of > 0.0 && *of < 1.0)) {
        faults.push(format!(
            "--error-rate: expected a share between 0 and 1, found {found}"
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
    let threshold = match (&run, args.error_rate, calibration) {
        (Some(run), Some(rate), Some(fitted)) => threshold(run, name, fitted, rate, printer)?,
        _ => args.abstain_below.unwrap_or(0.0),
    };
    if let Some(warning) = calibration.as_ref().and_then(extreme) {
        printer.warn(warning);
    }
    let texts = questions(args.questions)?;
    let context = args.context.as_deref().and_then(asked_context);
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
    let mode = if args.free {
        Mode::Free
    } else {
        Mode::Guaranteed
    };
    let asked: Vec<Question<'_>> = texts
        .iter()
        .map(|text| Question {
            text,
            context: context.as_deref(),
            adapter,
            mode,
        })
        .collect();
    let settings = AnswerSettings {
        max_answer_tokens: args.max_tokens,
        max_prompt_tokens: loading::prompt_tokens(
            args.max_prompt_tokens,
            run.as_ref().map(|run| &run.settings),
        ),
        ..AnswerSettings::default()
    };
    let engine = ModelInferenceEngine::new(&opened.model, &bank);
    let prompts = opened.answerer()?.check(&engine, &asked, &settings)?;
    loading::tell_cuts("questions", prompts.iter().flatten(), &settings, printer);
    let good = asked
        .iter()
        .zip(&prompts)
        .filter(|(_, prompt)| prompt.is_ok());
    let good: Vec<Question<'_>> = good.map(|(question, _)| *question).collect();
    let mut verdicts = answer(&opened, &bank, &good, &settings, printer)?.into_iter();
    let mut faults = Vec::new();
    for (place, (question, prompt)) in texts.iter().zip(&prompts).enumerate() {
        if let Err(error) = prompt {
            let error = error.to_string();
            faults.push(format!("question {}: {error}", place + 1));
            printer.json(&Unasked { question, error });
            continue;
        }
        let Some(mut verdict) = verdicts.next() else {
            break;
        };
        if let Some(calibration) = calibration {
            calibrate(&mut verdict, calibration);
        }
        let most = verdict.probabilities.into_iter().fold(0.0, f32::max);
        let abstained = f64::from(most) < threshold;
        printer.json(&Told {
            verdict: &verdict,
            calibration: match calibration {
                Some(_) => Fit::Temperature,
                None => Fit::None,
            },
            abstained,
            doubts: doubts(&verdict),
        });
        match abstained {
            true => tell_abstained(&verdict, threshold, printer),
            false => tell(&verdict, printer),
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

/// What was fitted on the run's validation rows for an adapter: a temperature, which changes no label.
pub fn fitted(adapter: &Path) -> Result<Calibration> {
    let path = adapter.join(calibration::FILE);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Failure::input(format!("{}: cannot read: {error}", path.display())))?;
    let fitted: Calibrations = serde_json::from_str(&text)
        .map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
    Ok(fitted.of(Fit::Temperature))
}

/// Temperatures between which probabilities keep a meaning: beyond, the fit found next to nothing in them.
const SANE_TEMPERATURE: std::ops::RangeInclusive<f64> = 0.1..=10.0;
/// The highest probability of three labels at and below which it is as good as chance.
const NEAR_CHANCE: f32 = 0.4;

/// What is to be said of a calibration that is none.
fn extreme(calibration: &Calibration) -> Option<String> {
    let temperature = calibration.temperature;
    if SANE_TEMPERATURE.contains(&temperature) {
        return None;
    }
    let (low, high) = (SANE_TEMPERATURE.start(), SANE_TEMPERATURE.end());
    let why = match temperature > 1.0 {
        true => {
            "the model's probabilities hardly tell right answers from wrong ones there, and all come out near 33 %"
        }
        false => "there were too few rows, or none that was answered wrongly",
    };
    Some(format!(
        "calibration: the temperature fitted on the validation rows is {temperature:.2}, expected {low} to {high}: {why}; \
         train longer, validate on more rows, or see the model's own with --uncalibrated"
    ))
}

/// Why an answer says little, where it does.
fn doubts(verdict: &Verdict) -> Vec<String> {
    let mut all = Vec::new();
    if verdict.other > 0.5 {
        all.push(format!(
            "the model would rather have said something else: {:.1} % lay on other words than the three labels",
            100.0 * verdict.other
        ));
    }
    let most = verdict.probabilities.into_iter().fold(0.0, f32::max);
    if most <= NEAR_CHANCE {
        all.push("the three labels are near chance (33.3 %)".to_owned());
    }
    if verdict.fallback {
        all.push(
            "the model wrote no usable reason; a fixed sentence stands in its place".to_owned(),
        );
    }
    all
}

/// Puts calibrated probabilities in an answer.
pub fn calibrate(verdict: &mut Verdict, calibration: Calibration) {
    let calibrated = calibration.recalibrate(verdict.probabilities);
    verdict.probabilities = calibrated.map(|p| p as f32);
}

/// The probability below which an adapter abstains, so that at most a share of the answered questions is wrong.
fn threshold(
    run: &RunFolder,
    name: Option<&str>,
    calibration: Calibration,
    rate: f64,
    printer: &Printer,
) -> Result<f64> {
    let name = name.unwrap_or(run.best());
    let set = || DataSet::read(&run.found().data).ok();
    let mut rows = subject::validation(run, &[Some(name)], set)?;
    let rows = rows.pop().unwrap_or_default();
    let of = |place: usize| calibration.probabilities(rows[place].logits);
    let Some(found) = verdict_eval::abstention(&rows, of, rate, abstain::DELTA) else {
        return Err(Failure::input(format!(
            "--error-rate: {}: found no validation rows of adapter {name} to certify an error rate on",
            run.dir().display()
        ))
        .hint("--abstain-below sets a probability by hand"));
    };
    printer.note(&found.guarantee);
    // Above every probability where no threshold is certified.
    Ok(found.threshold.unwrap_or(1.1))
}

/// Answers all questions in one batch, with progress where they are many.
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

/// For people: no answer, and why.
fn tell_abstained(verdict: &Verdict, threshold: f64, printer: &Printer) {
    printer.line(&verdict.question);
    let why = match threshold > 1.0 {
        true => "the validation rows certify no probability for this error rate".to_owned(),
        false => format!(
            "its most probable answer has less than {:.1} %",
            100.0 * threshold
        ),
    };
    printer.line(format!("  abstains: {why}"));
    printer.line(format!("  {}", shares(verdict)));
    for doubt in doubts(verdict) {
        printer.line(format!("  note: {doubt}"));
    }
}

/// The probabilities of the labels.
fn shares(verdict: &Verdict) -> String {
    let share = |label: Label| 100.0 * verdict.probabilities[label.index()];
    Label::ALL
        .map(|label| format!("{label} {:.1} %", share(label)))
        .join("  ")
}

/// One answer for people.
pub fn tell(verdict: &Verdict, printer: &Printer) {
    printer.line(&verdict.question);
    match (verdict.label, &verdict.rationale) {
        (Some(label), Some(rationale)) => {
            printer.line(format!("  {label}. {rationale}"));
        }
        _ => printer.line(format!("  (not in the form) {}", verdict.answer)),
    }
    printer.line(format!("  {}", shares(verdict)));
    for doubt in doubts(verdict) {
        printer.line(format!("  note: {doubt}"));
    }
}

/// The questions given, or those on stdin, one a line, each in the form in which training rows have it.
fn questions(given: Vec<String>) -> Result<Vec<String>> {
    let texts: Vec<String> = if given.is_empty() {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            let failure = Failure::input("expected a question, found none");
            return Err(failure.hint("give it in quotes, or pipe questions in, one a line"));
        }
        let mut bytes = Vec::new();
        let read = stdin.lock().read_to_end(&mut bytes);
        read.map_err(|fault| Failure::input(format!("stdin: {fault}")))?;
        let text = verdict_data::decode("stdin", bytes)?;
        // Blank lines of a file are no questions.
        text.lines().filter_map(asked_question).collect()
    } else {
        // An argument without a word is a question that went wrong: it stays, empty, and is told.
        let asked = given.iter().map(|text| asked_question(text));
        asked.map(Option::unwrap_or_default).collect()
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
    fn what_makes_an_answer_doubtful_is_said() {
        assert!(doubts(&verdict([0.1, 0.8, 0.1], 0.3, false)).is_empty());
        let all = doubts(&verdict([0.3, 0.37, 0.33], 0.94, true)).join("\n");
        for part in ["something else: 94.0 %", "near chance", "fixed sentence"] {
            assert!(all.contains(part), "{all}");
        }
    }

    #[test]
    fn a_calibration_far_from_one_is_said() {
        let at = |temperature: f64| {
            extreme(&Calibration {
                temperature,
                bias: [0.0; 3],
            })
        };
        assert_eq!((at(1.0), at(4.0)), (None, None));
        assert!(at(52.0).is_some_and(|text| text.contains("52.00") && text.contains("33 %")));
        assert!(at(0.01).is_some_and(|text| text.contains("too few rows")));
    }
}
