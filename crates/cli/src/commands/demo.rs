//! `verdict demo`: the whole chain with a real small model. Builds a data set from the built-in
//! sources, trains a small sweep in one pass, judges base against tuned, answers a question.
//!
//! Each stage's result has its final name only when it is whole, so a run that was stopped goes on
//! with the stage it was at: a finished stage with the same settings is taken as it is.

mod pace;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use verdict_answer::{AnswerSettings, Mode, Question, Verdict};
use verdict_common::duration;
use verdict_data::{BuildSettings, Source};
use verdict_eval::report::WrittenReport;
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

/// Run the whole chain on a real small model, in a few minutes
///
/// Fetches SmolLM2-135M into the cache, builds a data set from the built-in sources, trains a small
/// sweep of LoRA adapters in one pass, judges base against tuned on held-out questions, and answers
/// one. It measures the machine's speed first and trains what fits into about four minutes. Everything
/// is in one folder; run again, it resumes an interrupted run and keeps a finished one.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder for everything the demo makes
    #[arg(long, value_name = "FOLDER", default_value = "verdict-demo")]
    pub out: PathBuf,
    /// Base model: folder, GGUF file, hub name or built-in name
    #[arg(long, default_value = models::DEFAULT)]
    pub model: String,
    /// Optimizer steps [default: 50, fewer on a machine that would take more than about four minutes]
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Replace a finished run of other settings in the folder
    #[arg(long)]
    pub overwrite: bool,
    /// Processor threads [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// Generated rows on reading study results.
const STATS_ROWS: usize = 360;
/// What is asked at the end. No row of the data set asks it.
const QUESTION: &str = "A trial reports a relative risk of 0.70 with a 95% confidence interval of 0.55 to 0.90. \
                        Is the effect statistically significant?";

const AGAIN: &str = "run the demo again; what is finished is kept";

/// What `demo --json` prints.
#[derive(Serialize)]
struct Told<'a> {
    data: &'a Path,
    run: &'a Path,
    adapter: PathBuf,
    report: PathBuf,
    best: &'a str,
    evaluation: &'a EvalReport,
    answer: &'a Verdict,
    seconds: f64,
}

/// Runs all stages and tells what came out.
pub fn run(args: Args, printer: &Printer) -> Result {
    let started = Instant::now();
    printer.stage("1/5  model");
    let model = loading::resolve(&args.model, printer)?;
    printer.note(format!("{} in {}", model.name, model.path.display()));

    let out = args.out.join("run");
    let begun = begun(&out)?;
    let refuse = |fault: String| -> Result {
        if args.overwrite {
            return Ok(());
        }
        let hint = "--out takes another folder; --overwrite replaces this run";
        Err(Failure::input(format!("{}: {fault}", out.display())).hint(hint))
    };
    if let Some(Begun::Finished(run)) = &begun
        && run.manifest.tool != Manifest::tool()
    {
        let (made, here) = (&run.manifest.tool, Manifest::tool());
        refuse(format!("holds a run of {made}, this is {here}"))?;
    }

    printer.stage("2/5  data set");
    let data = args.out.join("data");
    let sources = [Source::Stats(STATS_ROWS), Source::Clinical];
    let settings = BuildSettings {
        overwrite: true,
        ..BuildSettings::new(sources, &data)
    };
    // Ctrl-C leaves nothing half-made.
    interrupt::before_end(verdict_data::abandon);
    // Quick, and the same bytes each time.
    let built = verdict_data::build(&settings)?;
    printer.note(build::splits(&built.manifest).render(false).trim_end());

    printer.stage("3/5  training");
    let machine = MachineFlags {
        threads: args.threads,
        ..MachineFlags::default()
    };
    let pace = match (args.steps, &begun) {
        (Some(steps), _) => Pace::of(steps),
        (None, Some(begun)) if !args.overwrite => begun.pace(),
        (None, _) => Pace::measured(&model, &machine, started.elapsed(), printer)?,
    };
    let settings = TrainSettings {
        data: data.clone(),
        model: args.model.clone(),
        out: out.clone(),
        rank: pace.ranks,
        // Higher than the recipe's, in smaller batches: few minutes have to do.
        lr: vec![2e-3],
        batch: pace::BATCH,
        steps: Some(pace.steps),
        validate_every: pace::validate_every(pace.steps),
        threads: args.threads,
        ..TrainSettings::default()
    }
    .resolved();
    let settings = loading::fit_length(&settings, &loading::found(model.clone())?, printer)?;
    let fault = match &begun {
        Some(begun) => begun.differs(&settings, &Provenance::read(&model.path, &data)?),
        None => None,
    };
    let run = match begun {
        Some(Begun::Finished(run)) if fault.is_none() => {
            let place = out.display();
            printer.note(format!(
                "{place} holds a finished run of these settings; taken as it is"
            ));
            *run
        }
        Some(Begun::Interrupted(_)) if fault.is_none() => {
            again(train::go_on(&out, args.threads, printer))?;
            RunFolder::open(&out)?
        }
        begun => {
            if begun.is_some() {
                refuse(fault.unwrap_or_default())?;
            }
            again(train::fit(&settings, true, printer))?;
            RunFolder::open(&out)?
        }
    };
    printer.note(train::members(&run.manifest).render(false).trim_end());

    printer.stage("4/5  base against tuned");
    let asked = eval::Args {
        max_tokens: 64,
        machine: machine.clone(),
        ..eval::Args::of(run.dir().to_owned())
    };
    let evaluation = eval::judge(&run, &asked, printer)?;

    printer.stage("5/5  a question");
    let verdict = answer(&run, &machine, printer)?;
    ask::tell(&verdict, printer);
    tell(&run, &data, &evaluation, &verdict, started, printer)
}

/// What an earlier demo left in the run's folder.
enum Begun {
    Finished(Box<RunFolder>),
    /// Its settings.
    Interrupted(Box<TrainSettings>),
}

/// Looks for a run; none where nothing was trained yet.
fn begun(out: &Path) -> Result<Option<Begun>> {
    match RunFolder::open(out) {
        Ok(run) => Ok(Some(Begun::Finished(Box::new(run)))),
        Err(verdict_train::Error::Incomplete { .. }) => {
            let settings = NewRun::resume(out)?.settings().clone();
            Ok(Some(Begun::Interrupted(Box::new(settings))))
        }
        Err(fault @ verdict_train::Error::Running { .. }) => Err(fault.into()),
        // No run, or one that cannot be read: then training refuses what it does not know.
        Err(_) => Ok(None),
    }
}

impl Begun {
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

    /// Why it is not the run of these settings, data set and model; none where it is. Threads and device are not
    /// among the reasons.
    fn differs(&self, settings: &TrainSettings, found: &Provenance) -> Option<String> {
        let of = self.settings();
        let mut keys = repeat::differing(of, settings);
        // A resumed run checks both by itself.
        if let Self::Finished(run) = self {
            if !run.manifest.provenance.same(found) {
                keys.push("data or model".into());
            }
            if let Err(fault) = run.verify() {
                return Some(format!("holds a finished run that was changed: {fault}"));
            }
        }
        let state = match self {
            Self::Finished(_) => "a finished",
            Self::Interrupted(_) => "an interrupted",
        };
        (!keys.is_empty())
            .then(|| format!("holds {state} run of other settings: {}", keys.join(", ")))
    }
}

/// An interrupted demo is run again.
fn again<T>(result: Result<T>) -> Result<T> {
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
        &run.found().model,
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

fn tell(
    run: &RunFolder,
    data: &Path,
    evaluation: &Evaluation,
    verdict: &Verdict,
    started: Instant,
    printer: &Printer,
) -> Result {
    let (adapter, report) = (run.adapter_dir(None)?, run.dir().join("report.html"));
    printer.json(&Told {
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
    printer.line("");
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

/// Base against tuned on every benchmark, chance and majority beside them.
fn scores(report: &EvalReport) -> Table {
    let mut table = Table::new([
        "questions",
        "who",
        "right",
        "95 %",
        "log loss",
        "free: in form",
        "citations",
        "tokens",
    ]);
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    for benchmark in &report.benchmarks {
        let name = format!("{} ({})", benchmark.name, benchmark.items);
        let levels = &benchmark.levels;
        let level = |who: String, share: f64| vec![name.clone(), who, percent(share)];
        table.row(level("chance".into(), levels.chance_accuracy));
        table.row(level(
            format!("always {}", levels.majority_label),
            levels.majority_accuracy,
        ));
        for system in &benchmark.systems {
            let right = system.scores.accuracy.estimate();
            let free = system.written(Mode::Free);
            let of = |pick: &dyn Fn(&WrittenReport) -> String| free.map_or_else(String::new, pick);
            table.row(vec![
                name.clone(),
                system.name.clone(),
                percent(right.value),
                format!("{:.0}–{:.0}", 100.0 * right.low, 100.0 * right.high),
                format!("{:.3}", system.calibrated.log_loss.value),
                of(&|free| percent(free.format.value)),
                of(&|free| percent(free.citations.value)),
                of(&|free| format!("{:.0}", free.tokens.mean)),
            ]);
        }
    }
    table
}
