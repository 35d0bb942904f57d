//! `verdict demo`: every command once with a small model. Builds a data set from the built-in sources, trains a small grid
//! in one pass, evaluates it against the base model, answers a question.
//!
//! The result of a stage gets its final name when it is complete, so a demo that was stopped resumes at its last stage, and
//! a finished stage with the same settings is used as it is.

mod pace;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use verdict_answer::{AnswerSettings, Mode, Question, Verdict};
use verdict_common::{duration, share};
use verdict_data::{BuildSettings, Source};
use verdict_eval::report::GeneratedReport;
use verdict_eval::{EvalReport, Evaluation};
use verdict_model::AdapterBank;
use verdict_train::{Manifest, NewRun, Provenance, RunFolder, TrainSettings, repeat};

use self::pace::Pace;
use super::{ask, build, eval, train};
use crate::failure::{Failure, Result, Status};
use crate::interrupt;
use crate::loading::{self, MachineFlags};
use crate::models;
use crate::printer::Printer;
use crate::shell;
use crate::table::Table;

/// Build, train, evaluate and ask with a small model, in a few minutes
///
/// Downloads SmolLM2-135M into the cache, builds a data set from the built-in sources, trains a small grid of LoRA
/// adapters in one pass, compares them with the base model on held-out questions, and answers a question. The speed of
/// the machine is measured first, and as much is trained as fits into about four minutes. Everything is in one folder.
/// Run again, it resumes an interrupted run and keeps a finished one.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write everything into this folder
    #[arg(long, value_name = "FOLDER", default_value = "verdict-demo")]
    pub out: PathBuf,
    /// Train on this base model
    ///
    /// A folder, GGUF file, hub name or built-in name.
    #[arg(long, default_value = models::DEFAULT)]
    pub model: String,
    /// Take this many optimizer steps [default: 50, fewer on a slow machine]
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Replace a run of other settings in the folder
    #[arg(long)]
    pub overwrite: bool,
    /// Use this many processor threads [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// Generated questions about reading study results.
const STATS_ROWS: usize = 360;
/// The question at the end. It is not in the data set.
const QUESTION: &str = "A trial reports a relative risk of 0.70 with a 95% confidence interval of 0.55 to 0.90. \
                        Is the effect statistically significant?";

const AGAIN: &str = "run the demo again to resume; finished stages are kept";

/// What `demo --json` prints.
#[derive(Serialize)]
struct DemoOutput<'a> {
    data: &'a Path,
    run: &'a Path,
    adapter: PathBuf,
    report: PathBuf,
    best: &'a str,
    evaluation: &'a EvalReport,
    answer: &'a Verdict,
    seconds: f64,
}

/// Runs all stages and prints the results.
pub fn run(args: Args, printer: &Printer) -> Result {
    let started = Instant::now();
    printer.stage("1/5  model");
    let model = loading::resolve(&args.model, printer)?;
    printer.note(format!("{} in {}", model.name, model.path.display()));

    let out = args.out.join("run");
    let earlier = earlier(&out)?;
    let refuse = |fault: String| -> Result {
        if args.overwrite {
            return Ok(());
        }
        let hint = "choose another folder with --out, or replace this run with --overwrite";
        Err(Failure::input(format!("{}: {fault}", out.display())).hint(hint))
    };
    if let Some(Earlier::Finished(run)) = &earlier
        && run.manifest.tool != Manifest::tool()
    {
        let (made, here) = (&run.manifest.tool, Manifest::tool());
        refuse(format!("holds a run by {made}, this is {here}"))?;
    }

    printer.stage("2/5  data set");
    let data = args.out.join("data");
    let sources = [Source::Stats(STATS_ROWS), Source::Clinical];
    let settings = BuildSettings {
        overwrite: true,
        ..BuildSettings::new(sources, &data)
    };
    // Ctrl-C leaves no partial data set behind.
    interrupt::before_end(verdict_data::abandon);
    // It takes a moment and gives the same bytes each time.
    let built = verdict_data::build(&settings)?;
    printer.note(build::splits(&built.manifest).render(false).trim_end());

    printer.stage("3/5  training");
    let machine = MachineFlags {
        threads: args.threads,
        ..MachineFlags::default()
    };
    let pace = match (args.steps, &earlier) {
        (Some(steps), _) => Pace::of(steps),
        (None, Some(earlier)) if !args.overwrite => earlier.pace(),
        (None, _) => Pace::measured(&model, &machine, started.elapsed(), printer)?,
    };
    let settings = TrainSettings {
        data: data.clone(),
        model: args.model.clone(),
        out: out.clone(),
        rank: pace.ranks,
        // A higher rate than the default in smaller batches, because there are only minutes to train.
        lr: vec![2e-3],
        batch: pace::BATCH,
        steps: Some(pace.steps),
        validate_every: pace::validate_every(pace.steps),
        threads: args.threads,
        ..TrainSettings::default()
    }
    .resolved();
    let settings = loading::fit_length(&settings, &loading::found(model.clone())?, printer)?;
    let fault = match &earlier {
        Some(earlier) => earlier.differs(&settings, &Provenance::read(&model.path, &data)?),
        None => None,
    };
    let run = match earlier {
        Some(Earlier::Finished(run)) if fault.is_none() => {
            let place = out.display();
            printer.note(format!(
                "{place} holds a finished run with these settings, which is used as it is"
            ));
            *run
        }
        Some(Earlier::Interrupted(_)) if fault.is_none() => {
            let flags = train::Args {
                threads: args.threads,
                ..train::Args::default()
            };
            resumable(train::resume(&out, &flags, printer))?;
            RunFolder::open(&out)?
        }
        earlier => {
            if earlier.is_some() {
                refuse(fault.unwrap_or_default())?;
            }
            resumable(train::fit(&settings, true, printer))?;
            RunFolder::open(&out)?
        }
    };
    printer.note(train::adapters(&run.manifest).render(false).trim_end());

    printer.stage("4/5  evaluation");
    let requested = eval::Args {
        max_new_tokens: 64,
        machine: machine.clone(),
        ..eval::Args::of(run.dir().to_owned())
    };
    let evaluation = eval::evaluate(&run, &requested, printer)?;

    printer.stage("5/5  a question");
    let verdict = answer(&run, &machine, printer)?;
    ask::print(&verdict, printer);
    print(&run, &data, &evaluation, &verdict, started, printer)
}

/// What an earlier demo left in the run folder.
enum Earlier {
    Finished(Box<RunFolder>),
    /// Its settings.
    Interrupted(Box<TrainSettings>),
}

/// Looks for an earlier run; none if nothing was trained yet.
fn earlier(out: &Path) -> Result<Option<Earlier>> {
    match RunFolder::open(out) {
        Ok(run) => Ok(Some(Earlier::Finished(Box::new(run)))),
        Err(verdict_train::Error::Incomplete { .. }) => {
            let settings = NewRun::resume(out)?.settings().clone();
            Ok(Some(Earlier::Interrupted(Box::new(settings))))
        }
        Err(fault @ verdict_train::Error::Running { .. }) => Err(fault.into()),
        // No run, or one that cannot be read: training refuses a folder that it does not know.
        Err(_) => Ok(None),
    }
}

impl Earlier {
    fn settings(&self) -> &TrainSettings {
        match self {
            Self::Finished(run) => &run.settings,
            Self::Interrupted(settings) => settings,
        }
    }

    /// What it trains.
    fn pace(&self) -> Pace {
        let settings = self.settings();
        Pace {
            steps: settings.steps.unwrap_or(pace::MOST_STEPS),
            ranks: settings.rank.clone(),
        }
    }

    /// How it differs in settings, data set or model; none if it does not. Threads and device make no difference.
    fn differs(&self, settings: &TrainSettings, found: &Provenance) -> Option<String> {
        let of = self.settings();
        let mut keys = repeat::differing(of, settings);
        // Resuming checks both.
        if let Self::Finished(run) = self {
            if !run.manifest.provenance.same(found) {
                keys.push("data or model".into());
            }
            if let Err(fault) = run.verify() {
                return Some(format!("holds a finished run that was modified: {fault}"));
            }
        }
        let state = match self {
            Self::Finished(_) => "a finished",
            Self::Interrupted(_) => "an interrupted",
        };
        (!keys.is_empty())
            .then(|| format!("holds {state} run with other settings: {}", keys.join(", ")))
    }
}

/// Adds a hint to an interruption.
fn resumable<T>(result: Result<T>) -> Result<T> {
    result.map_err(|failure| match failure.status {
        Status::Interrupted => Failure {
            hints: vec![AGAIN.into()],
            ..failure
        },
        _ => failure,
    })
}

fn answer(run: &RunFolder, machine: &MachineFlags, printer: &Printer) -> Result<Verdict> {
    let opened = loading::open(
        &run.located_settings().model,
        machine.over(Some(&run.settings), printer)?,
        printer,
    )?;
    let mut bank = AdapterBank::empty();
    let adapter = Some(opened.adapter(&mut bank, &run.verified_adapter_dir(None)?)?);
    let question = Question {
        text: QUESTION,
        context: None,
        adapter,
        mode: Mode::Guaranteed,
        label: None,
    };
    let mut verdicts = ask::answer(
        &opened,
        &bank,
        &[question],
        &AnswerSettings::default(),
        printer,
    )?;
    let mut verdict = verdicts.remove(0);
    ask::calibrate(&mut verdict, ask::fitted(&run.adapter_dir(None)?)?);
    Ok(verdict)
}

fn print(
    run: &RunFolder,
    data: &Path,
    evaluation: &Evaluation,
    verdict: &Verdict,
    started: Instant,
    printer: &Printer,
) -> Result {
    let (adapter, report) = (run.adapter_dir(None)?, run.dir().join("report.html"));
    printer.json(&DemoOutput {
        data,
        run: run.dir(),
        adapter: adapter.clone(),
        report: report.clone(),
        best: run.best(),
        evaluation: &evaluation.report,
        answer: verdict,
        seconds: started.elapsed().as_secs_f64(),
    });
    printer.line("");
    printer.table(&scores(&evaluation.report));
    printer.line(
        "Format-valid, citations and tokens: of unconstrained decoding, without the grammar.\n",
    );
    for line in evaluation.report.findings() {
        printer.line(line);
    }
    printer.line("A demonstration, not medical advice.\n");
    printer.line(format!("data set   {}", data.display()));
    printer.line(format!("run        {}", run.dir().display()));
    printer.line(format!("adapter    {}", adapter.display()));
    printer.line(format!("report     {}", report.display()));
    printer.line(format!(
        "took       {}",
        duration(started.elapsed().as_secs_f64())
    ));
    printer.line(format!(
        "\nnext: verdict ask --run {} \"your question\"",
        shell::word(run.dir())
    ));
    Ok(())
}

/// The scores of all models on every benchmark, with chance and the majority label.
fn scores(report: &EvalReport) -> Table {
    let mut table = Table::new([
        "benchmark",
        "model",
        "accuracy",
        "95 % CI",
        "log loss",
        "format-valid",
        "citations",
        "tokens",
    ]);
    for benchmark in &report.benchmarks {
        let name = format!("{} ({})", benchmark.name, benchmark.items);
        let levels = &benchmark.levels;
        let level = |who: String, accuracy: f64| vec![name.clone(), who, share(accuracy)];
        table.row(level("chance".into(), levels.chance_accuracy));
        table.row(level(
            format!("always {}", levels.majority_label),
            levels.majority_accuracy,
        ));
        for model in &benchmark.models {
            let right = model.scores.accuracy.estimate();
            let free = model.generated(Mode::Free);
            let of =
                |pick: &dyn Fn(&GeneratedReport) -> String| free.map_or_else(String::new, pick);
            table.row(vec![
                name.clone(),
                model.name.clone(),
                share(right.value),
                format!("{:.0}–{:.0}", 100.0 * right.low, 100.0 * right.high),
                format!("{:.3}", model.calibrated.log_loss.value),
                of(&|free| share(free.format.value)),
                of(&|free| share(free.citations.value)),
                of(&|free| format!("{:.0}", free.tokens.mean)),
            ]);
        }
    }
    table
}
