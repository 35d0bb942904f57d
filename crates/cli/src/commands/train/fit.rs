//! Training in one process: a new run, a resumed one, a repetition.

use std::path::Path;

use verdict_answer::LabelTokens;
use verdict_common::counted;
use verdict_data::DataSet;
use verdict_train::{
    ClassWeights, DataRecord, Event, ExampleEncoding, NewRun, Plan, Provenance, RunSummary,
    TrainSettings, TrainingSet,
};

use super::args::{Args, refuse_flags};
use super::like::Like;
use super::live::Live;
use crate::device;
use crate::failure::Result;
use crate::fleet::LoadedModels;
use crate::folders;
use crate::interrupt;
use crate::loading;
use crate::machine;
use crate::printer::Printer;
use crate::settings;

/// Trains the grid into `settings.out`, and shows progress.
pub fn fit(settings: &TrainSettings, overwrite: bool, printer: &Printer) -> Result<RunSummary> {
    // Cheap checks come before slow loading.
    folders::refuse_run(&settings.data)?;
    let run = NewRun::create(settings, overwrite)?;
    fit_in(run, settings, None, printer)
}

/// Repeats the run that `--like` names.
pub fn repeat(like: &Like, args: &Args, printer: &Printer) -> Result<RunSummary> {
    let settings = args.over(settings::given(&like.settings())?)?;
    like.check_out(&settings.out)?;
    folders::refuse_run(&settings.data)?;
    let run = NewRun::create(&settings, args.overwrite)?;
    fit_in(run, &settings, Some(like), printer)
}

/// Resumes an interrupted run, with the settings in its folder.
pub fn resume(dir: &Path, args: &Args, printer: &Printer) -> Result<RunSummary> {
    refuse_flags(args, "--resume", &["threads", "data", "model"])?;
    args.data.as_deref().map_or(Ok(()), folders::refuse_run)?;
    let run = open(dir, printer)?;
    let found = run.located_settings();
    let settings = TrainSettings {
        threads: args.threads.or(found.threads),
        data: args.data.clone().unwrap_or(found.data),
        model: args.model.clone().unwrap_or(found.model),
        ..run.settings().clone()
    };
    fit_in(run.with_inputs_of(&settings), &settings, None, printer)
}

/// Locks the folder of an interrupted run, and notes the step after which it resumes.
pub fn open(dir: &Path, printer: &Printer) -> Result<NewRun> {
    let run = NewRun::resume(dir)?;
    for warning in run.skipped_checkpoints() {
        printer.warn(warning);
    }
    printer.note(match run.resumed_at() {
        Some(done) => format!("resuming after step {done}"),
        None => "no checkpoint to resume from: starting from the beginning".to_owned(),
    });
    Ok(run)
}

/// The learning rate above which a warning is printed.
const USUAL_LR: f64 = 0.02;

/// Trains in a folder that is locked. `settings` name the devices.
pub fn fit_in(
    run: NewRun,
    settings: &TrainSettings,
    like: Option<&Like>,
    printer: &Printer,
) -> Result<RunSummary> {
    let highest = settings.lr.iter().copied().fold(0.0, f64::max);
    if highest > USUAL_LR {
        printer.warn(format!(
            "--lr {highest}: LoRA is usually trained with 0.0001 to 0.001; above {USUAL_LR} the loss rarely falls"
        ));
    }
    let devices = device::choose(settings, printer)?;
    let data = DataSet::read(&settings.data)?;
    let source = loading::find(&settings.model, printer)?;
    let settings = &loading::fit_length(settings, &source, printer)?;
    let run = run.with_max_length(settings.max_length);
    let tokenizer = source.tokenizer()?;
    let labels = LabelTokens::new(&tokenizer)?;
    let eos = source.eos()?;
    let mut rows = TrainingSet::encode(
        &data.train,
        &data.validation,
        ExampleEncoding {
            tokenizer: &tokenizer,
            labels: &labels,
            format: settings.prompt_format,
            max_length: settings.max_length,
            eos,
            vocabulary: source.config().vocab_size,
        },
    )?;
    if rows.cuts.cut > 0 {
        printer.note(format!(
            "{} to fit --max-length {}",
            rows.cuts, settings.max_length
        ));
    }
    if let (ClassWeights::Data, Some(weights)) =
        (settings.class_weights, &data.manifest.class_weights)
    {
        printer.note("the loss is weighted by class, with the weights of the data set");
        rows.weigh(weights);
    }
    let plan = Plan::new(run.settings(), &rows)?;
    if let Some(cost) = cost(&plan) {
        printer.note(cost);
    }
    let provenance = Provenance::read(source.path(), &settings.data)?
        .with_records(DataRecord::new(&data.manifest), source.record()?)
        .with_init_adapter(settings.init_adapter.as_deref())?;
    let specs = plan.specs();
    let machine = machine::record(&devices[..devices.len().min(specs.len())]);
    if let Some(like) = like {
        like.check(settings, &provenance, &machine, printer)?;
    }
    let models = LoadedModels::load(&source, settings, devices, specs.len(), printer)?;
    let mut engine = models.engine(source.name(), &specs);

    let guard = interrupt::Guard::new();
    let mut live = Live::new(printer);
    let mut observer = |event: &Event| live.show(event);
    Ok(verdict_train::train(
        run.computed_on(machine),
        &rows,
        &provenance,
        &mut *engine,
        &mut observer,
        guard.request(),
    )?)
}

/// The cost of the folds, as a note before training; none without folds.
fn cost(plan: &Plan) -> Option<String> {
    let (repeats, adapters) = (plan.folds.len(), plan.adapters.len());
    let folds = plan.folds.first()?.iter().max()? + 1;
    let alone = plan.subsets[0].steps * adapters;
    let times = plan.adapter_steps() as f64 / alone as f64;
    let mut text = format!("{folds} folds");
    if repeats > 1 {
        text.push_str(&format!(", drawn {repeats} times"));
    }
    Some(format!(
        "{text}: {} to train, {} of them for the folds; {times:.1} times the work of {} alone",
        counted(plan.fits.len(), "adapter"),
        plan.fits.len() - adapters,
        counted(adapters, "adapter"),
    ))
}
