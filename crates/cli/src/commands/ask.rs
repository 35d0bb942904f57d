//! `verdict ask`: questions to answers with probabilities. One load, one batch.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use verdict_answer::{Mode, ModelEngine, Question, Settings, Verdict};
use verdict_data::Label;
use verdict_model::AdapterBank;

use crate::failure::{Failure, Result};
use crate::loading::{self, MachineFlags, Opened};
use crate::printer::Printer;

/// Answer questions with a label, its probability and a rationale
///
/// Without a question on the command line, reads them from stdin, one a line.
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
    /// Ask a bare base model: folder, GGUF file, hub name or built-in name
    #[arg(long, conflicts_with = "run")]
    pub model: Option<String>,
    /// Text that the questions are about, put before each of them
    #[arg(long, value_name = "TEXT")]
    pub context: Option<String>,
    /// Let the model write freely, without the grammar that guarantees the form
    #[arg(long)]
    pub free: bool,
    /// Most tokens of an answer
    #[arg(long, value_name = "TOKENS", default_value_t = Settings::default().max_answer_tokens)]
    pub max_tokens: usize,
    #[command(flatten)]
    pub machine: MachineFlags,
}

/// Answers and tells.
pub fn run(args: Args, printer: &Printer) -> Result {
    let run = args.run.as_deref().map(loading::run_folder).transpose()?;
    let options = args
        .machine
        .over(run.as_ref().map(|run| &run.settings), printer)?;
    let folder = run
        .as_ref()
        .map(|run| run.adapter_dir(args.adapter.as_deref()))
        .transpose()?;
    let spec = match (&run, &args.model) {
        (Some(run), _) => run.settings.model.clone(),
        (None, Some(model)) => model.clone(),
        (None, None) => return Err(Failure::input("expected --run or --model, found neither")),
    };
    let texts = questions(args.questions)?;
    let opened = loading::open(&spec, options, printer)?;
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
            context: args.context.as_deref(),
            adapter,
            mode,
        })
        .collect();
    let settings = Settings {
        max_answer_tokens: args.max_tokens,
        ..Settings::default()
    };
    for verdict in answer(&opened, &bank, &asked, &settings, printer)? {
        printer.json(&verdict);
        tell(&verdict, printer);
    }
    Ok(())
}

/// Answers all questions in one batch, with progress where they are many.
pub fn answer(
    opened: &Opened,
    bank: &AdapterBank,
    questions: &[Question<'_>],
    settings: &Settings,
    printer: &Printer,
) -> Result<Vec<Verdict>> {
    let answerer = opened.answerer()?;
    let mut engine = ModelEngine::new(&opened.model, bank);
    let total = questions.len() as u64;
    let progress = (total > 1).then(|| printer.progress("ask", "question", total));
    let mut done = |count: usize| {
        if let Some(progress) = &progress {
            progress.set(count as u64, "");
        }
    };
    Ok(answerer.answer(&mut engine, questions, settings, &mut done)?)
}

/// One answer for people.
pub fn tell(verdict: &Verdict, printer: &Printer) {
    printer.line(&verdict.question);
    let share = |label: Label| 100.0 * verdict.probabilities[label.index()];
    let shares: Vec<String> = Label::ALL
        .map(|label| format!("{label} {:.1} %", share(label)))
        .to_vec();
    match (verdict.label, &verdict.rationale) {
        (Some(label), Some(rationale)) => {
            printer.line(format!("  {label}. {rationale}"));
        }
        _ => printer.line(format!("  (not in the form) {}", verdict.answer)),
    }
    printer.line(format!("  {}", shares.join("  ")));
}

/// The questions given, or those on stdin, one a line.
fn questions(given: Vec<String>) -> Result<Vec<String>> {
    let texts = if given.is_empty() {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            let failure = Failure::input("expected a question, found none");
            return Err(failure.hint("give it in quotes, or pipe questions in, one a line"));
        }
        let lines: std::io::Result<Vec<String>> = stdin.lock().lines().collect();
        lines.map_err(|fault| Failure::input(format!("stdin: {fault}")))?
    } else {
        given
    };
    let texts: Vec<String> = texts
        .into_iter()
        .filter(|text| !text.trim().is_empty())
        .collect();
    if texts.is_empty() {
        return Err(Failure::input(
            "expected a question, found nothing but blanks",
        ));
    }
    Ok(texts)
}
