//! `verdict ask`: answers questions with probabilities, all in one batch; the rows of a table in `bulk`.

mod answering;
mod args;
mod bulk;
mod chosen;
mod evidence;
mod loaded_run;
mod output;
mod resolved;

use std::io::{IsTerminal as _, Read as _};

use verdict_answer::{Mode, Pool, Question};
use verdict_common::counted;
use verdict_data::{clean_context, clean_question};

pub use self::answering::answer;
use self::answering::{Checked, calibrated, checked};
pub use self::args::Args;
use self::chosen::Loaded;
pub use self::chosen::calibrate;
pub use self::loaded_run::LoadedRun;
pub use self::output::print;
use self::output::{Answer, Refused};
use self::resolved::Resolved;
pub use self::resolved::fitted;
use crate::evidence::{Literature, RunPools};
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::shell;

/// Answers, and prints the answers.
pub fn run(args: Args, printer: &Printer) -> Result {
    if let Some(out) = &args.bulk.merge {
        return bulk::merge(out, printer);
    }
    let resolved = Resolved::of(&args, printer)?;
    let literature = args.evidence.open()?;
    if args.bulk.is_given() {
        let Some(bulk) = args.bulk.prepare(&resolved.answering(), printer)? else {
            return Ok(());
        };
        let loaded = resolved.load(printer)?;
        return bulk.run(&loaded, printer);
    }
    let texts = questions(args.questions)?;
    let context = args.context.as_deref().and_then(clean_context);
    let loaded = resolved.load(printer)?;
    let mode = match args.unconstrained {
        true => Mode::Free,
        false => Mode::Guaranteed,
    };
    let all: Vec<Question<'_>> = texts
        .iter()
        .map(|text| Question {
            text,
            context: context.as_deref(),
            adapter: loaded.adapter,
            mode,
            label: None,
        })
        .collect();
    let Checked {
        good,
        prompts,
        refusals,
    } = checked(&loaded, &all, &resolved.limits, printer)?;
    let mut answers = match &literature {
        Some(literature) => from_literature(&resolved, &loaded, literature, &good, printer)?,
        None => calibrated(&resolved, &loaded, &good, prompts, printer)?,
    }
    .into_iter();
    let mut faults = Vec::new();
    for (place, (question, refusal)) in texts.iter().zip(&refusals).enumerate() {
        if let Some(error) = refusal {
            let error = error.to_string();
            faults.push(format!("question {}: {error}", place + 1));
            printer.json(&Refused { question, error });
            continue;
        }
        if let Some(answer) = answers.next() {
            answer.print(&resolved, printer);
        }
    }
    refused(faults, good.len())
}

/// The failure of questions that could not be asked, if there are any; `others` were answered.
fn refused(faults: Vec<String>, others: usize) -> Result {
    if faults.is_empty() {
        return Ok(());
    }
    let failure = Failure::faults(faults);
    Err(match others {
        0 => failure,
        1 => failure.hint("the other question was answered"),
        _ => failure.hint(format!(
            "the other {} were answered",
            counted(others, "question")
        )),
    })
}

/// The answers to questions from publications.
fn from_literature(
    resolved: &Resolved,
    loaded: &Loaded,
    literature: &Literature,
    questions: &[Question<'_>],
    printer: &Printer,
) -> Result<Vec<Answer>> {
    let pool = pool(resolved, literature, printer)?;
    let texts: Vec<&str> = questions.iter().map(|question| question.text).collect();
    let limits = &resolved.limits;
    let answers = evidence::answer(loaded, literature, &texts, &pool, limits, printer)?;
    let answers = answers.into_iter().map(|of| Answer {
        verdict: of.answer.verdict.clone(),
        members: Vec::new(),
        evidence: Some(of),
    });
    Ok(answers.collect())
}

/// How what publications say is combined: as fitted by `verdict eval --evidence`, or by the adapter's own calibration.
fn pool(resolved: &Resolved, literature: &Literature, printer: &Printer) -> Result<Pool> {
    let unfitted = Pool::unfitted(resolved.calibration.unwrap_or_default());
    let Some(run) = &resolved.run else {
        return Ok(unfitted);
    };
    let name = resolved.adapter.as_deref().unwrap_or(run.best());
    let dir = shell::word(run.dir());
    let Some(pools) = RunPools::read(run)?.filter(|of| of.pools.contains_key(name)) else {
        printer.note(format!(
            "the weights of evidence are not fitted; `verdict eval {dir} --evidence INDEX` fits them on the validation set"
        ));
        return Ok(unfitted);
    };
    let fitted = pools.pools[name];
    if pools.top != literature.top {
        let top = pools.top;
        printer.note(format!(
            "the weights of evidence were fitted with --top {top}"
        ));
    }
    if pools.index != literature.index.fingerprint()? {
        printer.note("the weights of evidence were fitted with another index");
    }
    if fitted.rows < FEW {
        let rows = counted(fitted.rows, "question");
        printer.note(format!(
            "the weights of evidence were fitted on {rows} only"
        ));
    }
    Ok(fitted.pool)
}

/// Fewer questions are too few to fit the weights of evidence on.
const FEW: usize = 30;

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
