//! `verdict eval`: base against tuned on held-out questions; writes the report into the run folder.

mod benchmarks;
pub mod subject;

use std::path::{Path, PathBuf};
use std::time::Instant;

use verdict_answer::{AnswerSettings, Fit, Mode, ModelInferenceEngine, Question};
use verdict_data::DataSet;
use verdict_eval::report::BASE;
use verdict_eval::robustness::Changed;
use verdict_eval::stats::abstain;
use verdict_eval::stats::resample::Resampling;
use verdict_eval::text::Trained;
use verdict_eval::{Asked, Benchmark, Evaluation, Judging, Look, Methods, Subject, looks};
use verdict_model::AdapterBank;
use verdict_train::{RunFolder, TrainSettings};

use self::benchmarks::Named;
use crate::failure::{Failure, Result};
use crate::folders;
use crate::hub::cache_folder;
use crate::loading::{self, MachineFlags};
use crate::moved;
use crate::printer::Printer;
use crate::shell;

/// Judge a run: base against tuned, with intervals, paired tests and calibrated probabilities
///
/// Asks everyone every question in one batch, and writes report.html, report.md, report.json and
/// predictions.jsonl into the run folder. Every look at held-out questions is written down there too.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run folder; with --compare, several
    #[arg(value_name = "RUN", required = true)]
    pub run: Vec<PathBuf>,
    /// Set several judged runs side by side; nothing is asked again
    #[arg(long, conflicts_with_all = ["benchmark", "adapter", "ensemble", "robustness"])]
    pub compare: bool,
    /// Questions to judge on, may be given several times: test, validation, challenge,
    /// pubmedqa, pubmedqa-question-only (either with :FILE), bioasq-yn:PATH, stats-heldout (or with
    /// :ROWS), or a source as build takes it [default: test, challenge]
    #[arg(long, value_name = "NAME")]
    pub benchmark: Vec<Named>,
    /// Adapters to judge, or all [default: the run's best]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub adapter: Vec<String>,
    /// Judge the mean of these adapters' calibrated probabilities too (or of all); may be given several times
    #[arg(long, value_name = "NAMES")]
    pub ensemble: Vec<String>,
    /// Questions of each benchmark that are answered in full, free-running and guaranteed; of the others
    /// the label alone is asked
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub written: usize,
    /// Ask the first N questions of each benchmark in other words too, and N generated ones turned round
    #[arg(long, value_name = "N")]
    pub robustness: Option<usize>,
    /// What is fitted on the validation rows, for probabilities
    #[arg(long, value_name = "FIT", value_parser = ["none", "temperature", "bias"], default_value = "temperature")]
    pub calibration: String,
    /// Target error rate: largest share of wrong answers among the answered questions, 0 to 1. Sets the
    /// probability below which to abstain, certified on the validation rows with a confidence of 90 %
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    pub error_rate: f64,
    /// Draws of the bootstrap
    #[arg(long, value_name = "N", default_value_t = Resampling::default().replicates)]
    pub replicates: usize,
    /// Where the run's data set is now, if it was moved
    #[arg(long, value_name = "FOLDER", conflicts_with = "compare")]
    pub data: Option<PathBuf>,
    /// Where the run's base model is now, if it was moved
    #[arg(long, conflicts_with = "compare")]
    pub model: Option<String>,
    /// Folder for the report [default: the run folder; with --compare, none]
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Most tokens of an answer
    #[arg(long, value_name = "TOKENS", default_value_t = AnswerSettings::default().max_answer_tokens)]
    pub max_tokens: usize,
    /// Most tokens of a prompt; a longer context loses its first sentences [default: as the run was
    /// trained, its --max-length without room for an answer]
    #[arg(long, value_name = "TOKENS")]
    pub max_prompt_tokens: Option<usize>,
    #[command(flatten)]
    pub machine: MachineFlags,
}

impl Args {
    /// The defaults for one run.
    pub fn of(run: PathBuf) -> Args {
        Args {
            run: vec![run],
            compare: false,
            benchmark: Vec::new(),
            adapter: Vec::new(),
            ensemble: Vec::new(),
            written: 200,
            robustness: None,
            calibration: Fit::default().as_str().to_owned(),
            error_rate: 0.1,
            replicates: Resampling::default().replicates,
            data: None,
            model: None,
            out: None,
            max_tokens: AnswerSettings::default().max_answer_tokens,
            max_prompt_tokens: None,
            machine: MachineFlags::default(),
        }
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !(self.error_rate > 0.0 && self.error_rate < 1.0) {
            faults.push(format!(
                "--error-rate: expected a share between 0 and 1, found {}",
                self.error_rate
            ));
        }
        if self.replicates < 100 {
            faults.push(format!(
                "--replicates: expected at least 100, found {}",
                self.replicates
            ));
        }
        if !self.compare && self.run.len() > 1 {
            faults.push(format!(
                "expected one run, found {}; several are set side by side with --compare",
                self.run.len()
            ));
        }
        if self.compare && self.run.len() < 2 {
            faults.push("--compare: expected at least two runs, found one".into());
        }
        faults
    }

    fn fit(&self) -> Fit {
        Fit::ALL
            .into_iter()
            .find(|fit| fit.as_str() == self.calibration)
            .unwrap_or_default()
    }
}

/// Judges, tells, writes the report.
pub fn run(args: Args, printer: &Printer) -> Result {
    let faults = args.faults();
    if !faults.is_empty() {
        return Err(Failure::faults(faults));
    }
    if args.compare {
        return compare(&args, printer);
    }
    let run = loading::run_folder(&args.run[0])?;
    let evaluation = judge(&run, &args, printer)?;
    let folder = args.out.as_deref().unwrap_or(run.dir());
    printer.json(&evaluation.report);
    printer.line(evaluation.report.text());
    for name in ["report.html", "report.md", "predictions.jsonl"] {
        printer.line(folder.join(name).display());
    }
    let run = shell::word(run.dir());
    printer.next(format!("verdict ask --run {run} \"your question\""));
    Ok(())
}

fn compare(args: &Args, printer: &Printer) -> Result {
    let comparison = verdict_eval::compare::compare(&args.run).map_err(|error| {
        let failure = Failure::from(error);
        failure.hint("judge each run first: verdict eval RUN")
    })?;
    printer.json(&comparison);
    printer.line(comparison.text());
    if let Some(folder) = &args.out {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::failed(format!("{}: {error}", folder.display())))?;
        comparison.write(folder)?;
        printer.line(folder.join("comparison.html").display());
    }
    Ok(())
}

/// Asks everyone, and writes the report into the run folder.
pub fn judge(run: &RunFolder, args: &Args, printer: &Printer) -> Result<Evaluation> {
    // First what is quick to refuse, then the slow loading.
    let options = args.machine.over(Some(&run.settings), printer)?;
    let ensembles = ensembles(run, args)?;
    let adapters = adapters(run, args, &ensembles)?;
    args.data.as_deref().map_or(Ok(()), folders::refuse_run)?;
    let known = &run.manifest.provenance;
    let found = moved::data(run.found(), args.data.as_deref(), run.dir(), known)?;
    let found = moved::model(found, args.model.as_deref(), run.dir(), known, printer)?;
    let set = data(&found, args)?;
    let mut benchmarks = named(args)
        .iter()
        .map(|named| named.read(set.as_ref(), printer))
        .collect::<Result<Vec<Benchmark>>>()?;
    let trained = set.as_ref().map(|set| {
        benchmarks::beside_training(&mut benchmarks, set);
        Trained::new(set.train.iter().map(|item| item.rationale.as_str()))
    });
    let names: Vec<Option<&str>> = std::iter::once(None)
        .chain(adapters.iter().map(|name| Some(name.as_str())))
        .collect();
    let validation = subject::validation(run, &names, || set.clone())?;
    let opened = loading::open_of_run(&found.model, options, printer)?;
    if let Some(warning) = opened.older_scores(run)? {
        printer.warn(warning);
    }
    let mut bank = AdapterBank::empty();
    let mut models = vec![None];
    for name in &adapters {
        models.push(Some(
            opened.adapter(&mut bank, &run.verified_adapter_dir(Some(name))?)?,
        ));
    }
    let models_named: Vec<String> = names
        .iter()
        .map(|name| name.unwrap_or(BASE).to_owned())
        .collect();
    let folder = args.out.as_deref().unwrap_or(run.dir());
    let subject = subject::subject(run)?;
    let earlier = earlier(folder, &subject)?;
    let changed = args
        .robustness
        .map(|questions| Changed::new(&benchmarks, questions));
    let mut asked: Vec<Asked<'_>> = benchmarks
        .iter()
        .map(|benchmark| Asked {
            name: &benchmark.name,
            items: &benchmark.items,
            written: args.written,
        })
        .collect();
    if let Some(changed) = &changed {
        asked.push(changed.asked());
    }
    let settings = AnswerSettings {
        max_answer_tokens: args.max_tokens,
        max_prompt_tokens: loading::prompt_tokens(args.max_prompt_tokens, Some(&run.settings)),
        ..AnswerSettings::default()
    };
    let look = Look::now(
        run.dir(),
        benchmarks
            .iter()
            .map(|of| (of.name.clone(), looks::rows_hash(&of.items)))
            .collect(),
        models_named
            .iter()
            .cloned()
            .chain(ensembles.iter().map(|(name, _)| name.clone()))
            .collect(),
    );
    let looks = looks::record(run.dir(), &look_places(&found), look)?;
    for fault in &looks.faults {
        printer.note(format!(
            "{fault}; this look is counted in the run folder alone"
        ));
    }
    let answerer = opened.answerer()?;
    let mut engine = ModelInferenceEngine::new(&opened.model, &bank);
    for benchmark in &benchmarks {
        let with_context = benchmark.items.iter().filter_map(|item| {
            Some(Question {
                text: &item.question,
                context: Some(item.context.as_deref()?),
                adapter: None,
                mode: Mode::Label,
            })
        });
        let fitted = answerer.check(&engine, &with_context.collect::<Vec<_>>(), &settings)?;
        loading::tell_cuts(&benchmark.name, fitted.iter().flatten(), &settings, printer);
    }
    let total = verdict_eval::answers(&asked, models.len());
    let progress = printer.progress("judge", "answer", total as u64);
    let mut done = |count: usize| progress.set(count as u64, "");
    let started = Instant::now();
    let mut answers = verdict_eval::ask(
        &mut engine,
        &answerer,
        &asked,
        &models,
        &settings,
        &mut done,
    )?;
    let seconds = started.elapsed().as_secs_f64();
    drop(progress);
    let varied = changed.as_ref().map(|_| answers.pop().unwrap_or_default());
    let place = |name: &String| names.iter().position(|of| *of == Some(name.as_str()));
    let judging = Judging {
        subject,
        methods: Methods {
            fit: args.fit(),
            resampling: Resampling {
                replicates: args.replicates,
                ..Resampling::default()
            },
            error_rate: args.error_rate,
            delta: abstain::DELTA,
            max_answer_tokens: args.max_tokens,
            max_prompt_tokens: settings.max_prompt_tokens,
            machine: loading::told(&options),
            answers: total,
            seconds,
            validation_rows: validation.first().map_or(0, Vec::len),
        },
        looks: looks.looks,
        models: models_named,
        validation,
        ensembles: ensembles
            .iter()
            .map(|(name, members)| (name.clone(), members.iter().filter_map(place).collect()))
            .collect(),
        trained: trained.as_ref(),
        changed: changed.as_ref().zip(varied),
    };
    let mut evaluation = verdict_eval::judge(judging, &benchmarks, &answers);
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::failed(format!("{}: {error}", folder.display())))?;
    if let Some(earlier) = &earlier {
        evaluation = evaluation.beside(earlier);
        if let Some(kept) = evaluation.keep(earlier, folder)? {
            printer.note(format!(
                "the earlier report on the same benchmarks is kept in {}",
                kept.display()
            ));
        }
    }
    evaluation.write(folder)?;
    Ok(evaluation)
}

/// The evaluation that is in the report's folder: its other benchmarks stay beside the new ones.
fn earlier(folder: &Path, subject: &Subject) -> Result<Option<Evaluation>> {
    let hint = "--out names another folder for the new report";
    let found = Evaluation::read(folder).map_err(|error| Failure::from(error).hint(hint))?;
    match found {
        Some(found) if !found.same_run(subject) => Err(Failure::input(format!(
            "{}: holds the report of another run ({}, {} steps); a new one would take its place",
            folder.display(),
            found.report.subject.run,
            found.report.subject.steps
        ))
        .hint(hint)),
        found => Ok(found),
    }
}

/// Where looks at held-out questions are counted beside the run folder: the data set's folder and the cache.
fn look_places(found: &TrainSettings) -> Vec<PathBuf> {
    let mut places = vec![found.data.clone()];
    if let Ok(cache) = cache_folder()
        && std::fs::create_dir_all(&cache).is_ok()
    {
        places.push(cache);
    }
    places.retain(|place| place.is_dir());
    places
}

/// The benchmarks asked for, or the usual ones.
fn named(args: &Args) -> Vec<Named> {
    let usual = ["test", "challenge"];
    match args.benchmark.is_empty() {
        true => usual.iter().filter_map(|name| name.parse().ok()).collect(),
        false => args.benchmark.clone(),
    }
}

/// The run's data set: needed where a benchmark is one of its splits, else useful where it is still there.
fn data(found: &TrainSettings, args: &Args) -> Result<Option<DataSet>> {
    let needed = named(args).iter().any(Named::of_the_set);
    match DataSet::read(&found.data) {
        Ok(set) => Ok(Some(set)),
        Err(error) if needed => {
            let failure = Failure::from(error);
            Err(match found.data.exists() {
                true => failure,
                false => failure.hint("--data names the place where the run's data set is now"),
            })
        }
        Err(_) => Ok(None),
    }
}

/// Names and members of the ensembles.
fn ensembles(run: &RunFolder, args: &Args) -> Result<Vec<(String, Vec<String>)>> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for text in &args.ensemble {
        let members: Vec<String> = match text.as_str() {
            "all" => run.names().into_iter().map(str::to_owned).collect(),
            names => names.split(',').map(str::to_owned).collect(),
        };
        if members.len() < 2 {
            return Err(Failure::input(format!(
                "--ensemble {text}: expected at least two adapters, found {}",
                members.len()
            )));
        }
        for name in &members {
            run.record(name)?;
        }
        let name = match text.as_str() {
            "all" => "ensemble-of-all".to_owned(),
            _ => members.join("+"),
        };
        if all.iter().all(|(other, _)| *other != name) {
            all.push((name, members));
        }
    }
    Ok(all)
}

/// The adapters that are asked: those named, and those that an ensemble needs.
fn adapters(
    run: &RunFolder,
    args: &Args,
    ensembles: &[(String, Vec<String>)],
) -> Result<Vec<String>> {
    let mut names: Vec<String> = match args.adapter.as_slice() {
        [] => vec![run.best().to_owned()],
        [all] if all == "all" => run.names().into_iter().map(str::to_owned).collect(),
        names => names.to_vec(),
    };
    names.extend(ensembles.iter().flat_map(|(_, members)| members.clone()));
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    for name in &names {
        run.record(name)?;
    }
    Ok(names)
}
