//! `verdict eval`: evaluates adapters and their base model on held-out questions, and writes the report.

mod benchmarks;
mod conditions;
pub mod evaluated_run;
mod screen;

use std::path::{Path, PathBuf};
use std::time::Instant;

use verdict_answer::{AnswerSettings, Answerer, Fit, Mode, ModelInferenceEngine, Question};
use verdict_common::counted;
use verdict_data::DataSet;
use verdict_eval::dialogue;
use verdict_eval::report::BASE;
use verdict_eval::robustness::VariantQuestions;
use verdict_eval::stats::abstain;
use verdict_eval::stats::bootstrap::Resampling;
use verdict_eval::text::TrainingRationales;
use verdict_eval::{
    Benchmark, EvaluatedRun, Evaluation, EvaluationOptions, EvaluationRequest, Look, Methods, looks,
};
use verdict_model::AdapterBank;
use verdict_train::{RunFolder, TrainSettings};

use self::benchmarks::BenchmarkName;
use self::conditions::Evaluated;
use self::screen::ScreenArgs;
use crate::ensembles::NamedEnsemble;
use crate::evidence::EvidenceFlags;
use crate::failure::{Failure, Result};
use crate::folders;
use crate::hub::cache_folder;
use crate::loading::{self, MachineFlags};
use crate::moved;
use crate::printer::Printer;
use crate::shell;

/// Evaluate a run: compare its adapters with the untuned base model
///
/// All models answer all questions in one batch. report.html, report.md, report.json and predictions.jsonl are written
/// into the run folder: scores with intervals, paired tests, calibrated probabilities. Every use of held-out questions is
/// recorded there too.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run folder; with --compare, several
    #[arg(value_name = "RUN", required_unless_present = "screen")]
    pub run: Vec<PathBuf>,
    /// Compare several evaluated runs, without running any model
    #[arg(long, conflicts_with_all = ["benchmark", "adapter", "ensemble", "robustness", "dialogues", "evidence"])]
    pub compare: bool,
    /// Evaluate on a benchmark; repeatable [default: test, challenge]
    ///
    /// test, validation, challenge, pubmedqa, pubmedqa-question-only (either with :FILE), bioasq-yn:PATH,
    /// bioasq-snippets:PATH, medevidence:FILE, stats-heldout (or with :ROWS), or a source as `verdict build --source` takes it (docs/guide/sources.md).
    #[arg(long, value_name = "NAME")]
    pub benchmark: Vec<BenchmarkName>,
    /// Evaluate these adapters, or all [default: the run's best]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub adapter: Vec<String>,
    /// Evaluate the mean probabilities of these adapters; repeatable
    ///
    /// Names with commas between them, or all. The probabilities are calibrated before they are averaged.
    #[arg(long, value_name = "NAMES")]
    pub ensemble: Vec<String>,
    /// Generate this many full answers per benchmark
    ///
    /// To the first questions, with constrained and with unconstrained decoding. For the other questions only the label is
    /// scored.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub full_answers: usize,
    /// Add N paraphrased questions per benchmark and N negated ones
    ///
    /// The first N questions of each benchmark are paraphrased; N generated questions are negated.
    #[arg(long, value_name = "N", conflicts_with = "evidence")]
    pub robustness: Option<usize>,
    /// Hold N dialogues of three turns per benchmark
    ///
    /// From the first N questions of each benchmark that have a context and are not contaminated, and from N generated
    /// questions. After "Why?" and after an irrelevant fact the label must stay; after a fact that changes the right label
    /// it must change.
    #[arg(long, value_name = "N", conflicts_with = "evidence")]
    pub dialogues: Option<usize>,
    /// Calibrate with: none, temperature, bias
    ///
    /// What is fitted on the validation set and applied to the labels' probabilities.
    #[arg(long, value_name = "FIT", value_parser = ["none", "temperature", "bias"], hide_possible_values = true, default_value = "temperature")]
    pub calibration: String,
    /// Limit the share of wrong answers by abstaining
    ///
    /// The target error rate, from 0 to 1, among the questions that are answered. It sets the probability below which a model
    /// abstains, certified on the validation set with a confidence of 90 %.
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    pub target_error_rate: f64,
    /// Draw this many bootstrap samples
    #[arg(long, value_name = "N", default_value_t = Resampling::default().replicates)]
    pub bootstrap_samples: usize,
    /// Read the run's data set here, if it was moved
    #[arg(long, value_name = "FOLDER", conflicts_with = "compare")]
    pub data: Option<PathBuf>,
    /// Read the run's base model here, if it was moved
    #[arg(long, conflicts_with = "compare")]
    pub model: Option<String>,
    /// Write the report into this folder [default: the run folder]
    ///
    /// With --compare nothing is written unless a folder is given.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Generate at most this many tokens per answer
    #[arg(long, value_name = "N", default_value_t = AnswerSettings::default().max_answer_tokens)]
    pub max_new_tokens: usize,
    /// Cut prompts to this many tokens [default: as trained]
    ///
    /// A context that does not fit loses whole sentences from its beginning. The default is the run's --max-length less
    /// the room for an answer.
    #[arg(long, value_name = "N")]
    pub max_prompt_tokens: Option<usize>,
    #[command(flatten)]
    pub evidence: EvidenceFlags,
    #[command(flatten)]
    pub screen: ScreenArgs,
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
            full_answers: 200,
            robustness: None,
            dialogues: None,
            calibration: Fit::default().as_str().to_owned(),
            target_error_rate: 0.1,
            bootstrap_samples: Resampling::default().replicates,
            data: None,
            model: None,
            out: None,
            max_new_tokens: AnswerSettings::default().max_answer_tokens,
            max_prompt_tokens: None,
            evidence: EvidenceFlags::default(),
            screen: ScreenArgs::default(),
            machine: MachineFlags::default(),
        }
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !(self.target_error_rate > 0.0 && self.target_error_rate < 1.0) {
            faults.push(format!(
                "--target-error-rate: expected a share between 0 and 1, found {}",
                self.target_error_rate
            ));
        }
        if self.bootstrap_samples < 100 {
            faults.push(format!(
                "--bootstrap-samples: expected at least 100, found {}",
                self.bootstrap_samples
            ));
        }
        if !self.compare && self.run.len() > 1 {
            faults.push(format!(
                "expected one run, found {}; --compare compares several",
                self.run.len()
            ));
        }
        if self.compare && self.run.len() < 2 {
            faults.push("--compare: expected at least two runs, found one".into());
        }
        faults
    }

    /// The methods as far as the flags determine them.
    fn methods(&self) -> Methods {
        Methods {
            fit: self.fit(),
            resampling: Resampling {
                replicates: self.bootstrap_samples,
                ..Resampling::default()
            },
            target_error_rate: self.target_error_rate,
            delta: abstain::DELTA,
            max_answer_tokens: self.max_new_tokens,
            max_prompt_tokens: 0,
            machine: String::new(),
            validation_rows: 0,
            answers: 0,
            seconds: 0.0,
        }
    }

    fn fit(&self) -> Fit {
        Fit::ALL
            .into_iter()
            .find(|fit| fit.as_str() == self.calibration)
            .unwrap_or_default()
    }
}

/// Evaluates, prints and writes the report.
pub fn run(args: Args, printer: &Printer) -> Result {
    if args.screen.is_given() {
        return screen::run(&args.screen, args.methods().resampling, printer);
    }
    let faults = args.faults();
    if !faults.is_empty() {
        return Err(Failure::faults(faults));
    }
    if args.compare {
        return compare(&args, printer);
    }
    let run = loading::run_folder(&args.run[0])?;
    let evaluation = evaluate(&run, &args, printer)?;
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
        failure.hint("evaluate each run first: verdict eval RUN")
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

/// Evaluates a run and writes the report into its folder.
pub fn evaluate(run: &RunFolder, args: &Args, printer: &Printer) -> Result<Evaluation> {
    // What can be refused quickly is checked before the model is loaded.
    let options = args.machine.over(Some(&run.settings), printer)?;
    let ensembles = ensembles(run, args)?;
    let adapters = adapters(run, args, &ensembles)?;
    args.data.as_deref().map_or(Ok(()), folders::refuse_run)?;
    let known = &run.manifest.provenance;
    let literature = args.evidence.open()?;
    let found = moved::data(
        run.located_settings(),
        args.data.as_deref(),
        run.dir(),
        known,
    )?;
    let found = moved::model(found, args.model.as_deref(), run.dir(), known, printer)?;
    let set = data(&found, args)?;
    let mut benchmarks = requested(args)
        .iter()
        .map(|named| named.read(set.as_ref(), printer))
        .collect::<Result<Vec<Benchmark>>>()?;
    if let Some(literature) = &literature {
        conditions::search(literature, &mut benchmarks)?;
    }
    let rationales = set.as_ref().map(|set| {
        benchmarks::compare_with_training(&mut benchmarks, set);
        TrainingRationales::new(set.train.iter().map(|item| item.rationale.as_str()))
    });
    let with_passages = benchmarks.iter().any(|of| !of.passages.is_empty());
    let names: Vec<Option<&str>> = std::iter::once(None)
        .chain(adapters.iter().map(|name| Some(name.as_str())))
        .collect();
    let mut validation = evaluated_run::validation(run, &names, || set.clone())?;
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
    let folder = args.out.as_deref().unwrap_or(run.dir());
    let evaluated_run = evaluated_run::evaluated_run(run)?;
    let earlier = earlier(folder, &evaluated_run)?;
    let variants = args
        .robustness
        .map(|questions| VariantQuestions::new(&benchmarks, questions));
    let mut model_names: Vec<String> = names
        .iter()
        .map(|name| name.unwrap_or(BASE).to_owned())
        .collect();
    let look = look(run, &benchmarks, &model_names, &ensembles);
    let looks = looks::record(run.dir(), &look_places(&found), look)?;
    for fault in &looks.faults {
        printer.note(format!(
            "{fault}; this use of the questions is recorded in the run folder only"
        ));
    }
    let settings = AnswerSettings {
        max_answer_tokens: args.max_new_tokens,
        max_prompt_tokens: loading::prompt_tokens(args.max_prompt_tokens, Some(&run.settings)),
        prompt_format: run.settings.prompt_format,
        ..AnswerSettings::default()
    };
    let mut engine = ModelInferenceEngine::new(&opened.model, &bank);
    let (answerer, written) = (opened.answerer()?, args.full_answers);
    report_cuts(&answerer, &engine, &benchmarks, &settings, printer)?;
    let requests = requests(&benchmarks, variants.as_ref(), written);
    let total = verdict_eval::answer_count(&requests, models.len());
    let progress = printer.progress("evaluate", "answer", total as u64);
    let mut done = |count: usize| progress.set(count as u64, "");
    let started = Instant::now();
    let mut answers = verdict_eval::collect_answers(
        &mut engine,
        &answerer,
        &requests,
        &models,
        &settings,
        &mut done,
    )?;
    let seconds = started.elapsed().as_secs_f64();
    drop(progress);
    let dialogues = args
        .dialogues
        .map(|count| dialogue::dialogues(&benchmarks, count));
    let held = dialogues
        .as_ref()
        .map(|dialogues| {
            let total = dialogue::turn_count(dialogues, models.len());
            let progress = printer.progress("dialogues", "turn", total as u64);
            let mut done = |count: usize| progress.set(count as u64, "");
            let (engine, answerer) = (&mut engine, &answerer);
            dialogue::hold(engine, answerer, dialogues, &models, &settings, &mut done)
        })
        .transpose()?;
    let mut conditions: Vec<[usize; 2]> = (0..models.len()).map(|model| [model, 0]).collect();
    // Variants of questions are answered under the first condition alone, so with them there is no other.
    if literature.is_some() || (with_passages && variants.is_none()) {
        let asked: Vec<(String, Option<usize>)> =
            model_names.iter().cloned().zip(models.clone()).collect();
        let evaluated = Evaluated {
            run,
            answerer: &answerer,
            models: &asked,
            validation: &validation,
            validation_items: set.as_ref().map_or(&[], |set| &set.validation),
            benchmarks: &benchmarks,
            settings: &settings,
            literature: literature.as_ref(),
        };
        for condition in conditions::collect(&evaluated, &mut engine, printer)? {
            let number = conditions.len();
            conditions.push([number % asked.len(), number / asked.len()]);
            model_names.push(condition.name);
            validation.push(condition.validation);
            for (all, own) in answers.iter_mut().zip(condition.answers) {
                all.push(own);
            }
        }
    }
    let to_variants = variants
        .as_ref()
        .map(|variants| (variants, answers.pop().unwrap_or_default()));
    let index = |name: &String| names.iter().position(|of| *of == Some(name.as_str()));
    let options = EvaluationOptions {
        conditions,
        run: evaluated_run,
        methods: Methods {
            max_prompt_tokens: settings.max_prompt_tokens,
            machine: loading::describe(&options),
            answers: total,
            seconds,
            validation_rows: validation.first().map_or(0, Vec::len),
            ..args.methods()
        },
        looks: looks.looks,
        models: model_names,
        validation,
        ensembles: ensembles
            .iter()
            .map(|(name, members)| (name.clone(), members.iter().filter_map(index).collect()))
            .collect(),
        training_rationales: rationales.as_ref(),
        variants: to_variants,
        dialogues: dialogues.as_deref().zip(held),
    };
    let evaluation = verdict_eval::evaluate(options, &benchmarks, &answers);
    write(evaluation, earlier.as_ref(), folder, printer)
}

/// The requests for the answers to all benchmarks and variants; the first `written` questions are answered in full.
fn requests<'b>(
    benchmarks: &'b [Benchmark],
    variants: Option<&'b VariantQuestions>,
    written: usize,
) -> Vec<EvaluationRequest<'b>> {
    let request = |benchmark: &'b Benchmark| EvaluationRequest {
        name: &benchmark.name,
        items: &benchmark.items,
        written,
    };
    let variants = variants.into_iter().map(VariantQuestions::request);
    benchmarks.iter().map(request).chain(variants).collect()
}

/// This look at the questions of all benchmarks, by all models and ensembles.
fn look(
    run: &RunFolder,
    benchmarks: &[Benchmark],
    models: &[String],
    ensembles: &[(String, Vec<String>)],
) -> Look {
    let hashes = benchmarks
        .iter()
        .map(|of| (of.name.clone(), looks::rows_hash(&of.items)));
    let ensembles = ensembles.iter().map(|(name, _)| name);
    let models = models.iter().chain(ensembles).cloned();
    Look::now(run.dir(), hashes.collect(), models.collect())
}

/// Prints how many contexts of each benchmark are cut to fit their prompts.
fn report_cuts(
    answerer: &Answerer<'_>,
    engine: &ModelInferenceEngine<'_>,
    benchmarks: &[Benchmark],
    settings: &AnswerSettings,
    printer: &Printer,
) -> Result {
    for benchmark in benchmarks {
        let with_context = benchmark.items.iter().filter_map(|item| {
            Some(Question {
                text: &item.question,
                context: Some(item.context.as_deref()?),
                adapter: None,
                mode: Mode::Label,
                label: None,
            })
        });
        let prompts = answerer.check(engine, &with_context.collect::<Vec<_>>(), settings)?;
        loading::report_cuts(&benchmark.name, prompts.iter().flatten(), settings, printer);
    }
    Ok(())
}

/// Writes an evaluation into its folder, together with what has to be kept of an earlier one.
fn write(
    mut evaluation: Evaluation,
    earlier: Option<&Evaluation>,
    folder: &Path,
    printer: &Printer,
) -> Result<Evaluation> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::failed(format!("{}: {error}", folder.display())))?;
    if let Some(earlier) = earlier {
        evaluation = evaluation.beside(earlier);
        if let Some(kept) = evaluation.keep(earlier, folder)? {
            printer.note(format!(
                "the earlier report on the same benchmarks was moved to {}",
                kept.display()
            ));
        }
    }
    evaluation.write(folder)?;
    Ok(evaluation)
}

/// The earlier evaluation in the report's folder, whose other benchmarks are kept.
fn earlier(folder: &Path, run: &EvaluatedRun) -> Result<Option<Evaluation>> {
    let hint = "choose another folder for the report with --out";
    let found = Evaluation::read(folder).map_err(|error| Failure::from(error).hint(hint))?;
    match found {
        Some(found) if !found.same_run(run) => Err(Failure::input(format!(
            "{}: holds the report of another run ({}, {}), which would be replaced",
            folder.display(),
            found.report.run.run,
            counted(found.report.run.steps, "step")
        ))
        .hint(hint)),
        found => Ok(found),
    }
}

/// Where uses of held-out questions are recorded beside the run folder: the data set folder and the cache.
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

/// The requested benchmarks, or the default ones.
fn requested(args: &Args) -> Vec<BenchmarkName> {
    let usual = ["test", "challenge"];
    match args.benchmark.is_empty() {
        true => usual.iter().filter_map(|name| name.parse().ok()).collect(),
        false => args.benchmark.clone(),
    }
}

/// The run's data set. It is required for a benchmark that is one of its splits, and used for others if it exists.
fn data(found: &TrainSettings, args: &Args) -> Result<Option<DataSet>> {
    let needed = requested(args).iter().any(BenchmarkName::is_split);
    match DataSet::read(&found.data) {
        Ok(set) => Ok(Some(set)),
        Err(error) if needed => {
            let failure = Failure::from(error);
            Err(match found.data.exists() {
                true => failure,
                false => failure.hint("--data takes the new place of the run's data set"),
            })
        }
        Err(_) => Ok(None),
    }
}

/// Names of the ensembles, and their adapters.
fn ensembles(run: &RunFolder, args: &Args) -> Result<Vec<(String, Vec<String>)>> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for text in &args.ensemble {
        let NamedEnsemble { name, members } = NamedEnsemble::of(run, text)?;
        if all.iter().all(|(other, _)| *other != name) {
            all.push((name, members));
        }
    }
    Ok(all)
}

/// The adapters to evaluate: those requested, and those of the ensembles.
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
