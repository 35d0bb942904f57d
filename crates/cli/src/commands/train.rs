//! `verdict train`: a data set and a model to a run folder of adapters, the whole grid in one pass.

mod like;
mod live;
mod parts;

use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use serde::Serialize;
use verdict_answer::LabelTokens;
use verdict_common::{counted, duration};
use verdict_data::DataSet;
use verdict_model::BaseQuantization;
use verdict_train::settings::compute;
use verdict_train::{
    AdapterRecord, ClassWeights, DataRecord, DeviceChoice, Event, Manifest, NestedValidation,
    NewRun, Plan, Provenance, RunSummary, Score, TrainSettings, TrainingSet,
};

use self::like::{Like, Repeated};
use self::live::Live;
use crate::device;
use crate::failure::{Failure, Result};
use crate::fleet::Models;
use crate::folders;
use crate::interrupt;
use crate::loading;
use crate::machine;
use crate::printer::Printer;
use crate::shards::Part;
use crate::shell;
use crate::slurm;
use crate::table::Table;

/// Train LoRA adapters: every combination of the lists, all in one pass
///
/// --rank, --alpha-ratio, --dropout, --lr and --seed take lists; the grid is their product. Each
/// member learns what it would have learnt alone.
#[derive(Debug, Default, clap::Args, Serialize)]
pub struct Args {
    /// Settings file (TOML); its keys are these flags with underscores, flags win
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Data set folder, as `verdict build` writes it
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Folder, GGUF file, hub name or built-in name of the base model
    #[arg(long)]
    pub model: Option<String>,
    /// Run folder to make
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Go on with the interrupted run in this folder, from its last checkpoint; of the other flags
    /// only --threads goes with it, and --data and --model where these were moved
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "overwrite"])]
    #[serde(skip)]
    pub resume: Option<PathBuf>,
    /// Repeat this run: its settings, flags laid over them; data set and model must be the same, and
    /// at the end its adapters are compared with the new ones. Without --out into RUN-2
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "resume", "shard", "slurm", "merge"])]
    #[serde(skip)]
    pub like: Option<PathBuf>,
    /// Replace the run that stands in --out
    #[arg(long)]
    #[serde(skip)]
    pub overwrite: bool,

    /// Train one part of the grid, the N-th of M by cost, into shards/N of --out; goes on with what
    /// stands there, and does nothing where it is finished
    #[arg(long, value_name = "N/M", conflicts_with_all = ["resume", "slurm", "merge"])]
    #[serde(skip)]
    pub shard: Option<Part>,
    /// Make one run of the shards in this folder: what one task would have made of the whole grid
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "overwrite", "resume", "slurm"])]
    #[serde(skip)]
    pub merge: Option<PathBuf>,

    /// LoRA ranks [default: 16]
    #[arg(long, value_delimiter = ',', help_heading = "Grid")]
    pub rank: Option<Vec<usize>>,
    /// LoRA alpha as a multiple of the rank [default: 2]
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "RATIO",
        help_heading = "Grid"
    )]
    pub alpha_ratio: Option<Vec<f64>>,
    /// LoRA dropout [default: 0.05]
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "SHARE",
        help_heading = "Grid"
    )]
    pub dropout: Option<Vec<f64>>,
    /// Peak learning rate [default: 3e-4]
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "RATE",
        help_heading = "Grid"
    )]
    pub lr: Option<Vec<f64>>,
    /// Seed of weights, batches and dropout [default: 42]
    #[arg(long, value_delimiter = ',', help_heading = "Grid")]
    pub seed: Option<Vec<u64>>,

    /// Passes over the training rows [default: 5.5]
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "steps",
        help_heading = "Recipe"
    )]
    pub epochs: Option<f64>,
    /// Optimizer steps, in place of --epochs
    #[arg(long, value_name = "N", help_heading = "Recipe")]
    pub steps: Option<usize>,
    /// Rows of one optimizer step, the effective batch [default: 16]
    #[arg(long, value_name = "ROWS", help_heading = "Recipe")]
    pub batch: Option<usize>,
    /// Most tokens of a row, the room for its answer in it; a longer context loses its first
    /// sentences. eval and ask take it from the run [default: 1024]
    #[arg(long, value_name = "TOKENS", help_heading = "Recipe")]
    pub max_length: Option<usize>,
    /// Share of the steps in which the learning rate climbs from 0 [default: 0.03]
    #[arg(long, value_name = "SHARE", help_heading = "Recipe")]
    pub warmup: Option<f64>,
    /// Shape of the learning rate after the warm-up [default: linear]
    #[arg(long, value_name = "SHAPE", value_parser = ["linear", "cosine", "constant"], help_heading = "Recipe")]
    pub schedule: Option<String>,
    /// Largest norm of an adapter's gradient, 0 for none [default: 1.0]
    #[arg(long, value_name = "NORM", help_heading = "Recipe")]
    pub clip: Option<f64>,
    /// Optimizer steps between two validations [default: 25]
    #[arg(long, value_name = "STEPS", help_heading = "Recipe")]
    pub validate_every: Option<usize>,
    /// Optimizer steps between two checkpoints, 0 for none but when the run is stopped [default: by
    /// time, so that they take at most a hundredth of it]
    #[arg(long, value_name = "STEPS", help_heading = "Machine")]
    pub checkpoint_every: Option<usize>,
    /// Validations without a better validation loss after which a member leaves the batch; where given,
    /// the weights of its lowest validation loss are saved, not the last [default: none]
    #[arg(long, value_name = "N", help_heading = "Recipe")]
    pub patience: Option<usize>,
    /// Successive halving: at each rung the best of every ETA members by validation loss stays in the
    /// batch, and the rest go faster [default: none]
    #[arg(long, value_name = "ETA", help_heading = "Recipe")]
    pub halving: Option<usize>,
    /// Cross-validation in the same pass, at least 3 folds: training and validation rows become one
    /// pool, and of each member K + K(K−1)/2 more adapters stand in the batch, which did not see one
    /// fold or two [default: none]
    #[arg(long, value_name = "K", help_heading = "Recipe")]
    pub folds: Option<usize>,
    /// How often the folds are drawn [default: 1]
    #[arg(long, value_name = "R", help_heading = "Recipe")]
    pub repeats: Option<usize>,
    /// Tokens the loss counts [default: completion]
    #[arg(long, value_name = "TOKENS", value_parser = ["completion", "full"], help_heading = "Recipe")]
    pub loss: Option<String>,
    /// What a row's loss weighs: data, as the data set's manifest says of its class (where classes
    /// are of one size it says nothing), or none, all the same [default: data]
    #[arg(long, value_name = "WEIGHTS", value_parser = ["data", "none"], help_heading = "Recipe")]
    pub class_weights: Option<String>,

    /// How the frozen base is stored; nf4 needs a GPU, fp8 one of compute capability 9.0
    /// [default: int8]
    #[arg(long, value_name = "TYPE", value_parser = loading::base_names(), help_heading = "Machine")]
    pub base: Option<BaseQuantization>,
    /// Numbers of the matrix products; auto is bf16 with f32 sums on a GPU and where the processor
    /// has it [default: auto]
    #[arg(long, value_name = "TYPE", value_parser = PossibleValuesParser::new(compute::NAMES), help_heading = "Machine")]
    pub compute: Option<String>,
    /// auto, cpu, cuda:0 (cuda and gpu mean it too), or cuda:0,1 to spread the grid over several GPUs;
    /// auto is the first GPU where it can be used, else the processor [default: auto]
    #[arg(long, help_heading = "Machine")]
    pub device: Option<DeviceChoice>,
    /// GiB that may be taken of each GPU's memory [default: all that is free]
    #[arg(long, value_name = "GIB", help_heading = "Machine")]
    pub memory_gib: Option<f64>,
    /// Processor threads [default: all cores]
    #[arg(long, value_name = "N", help_heading = "Machine")]
    pub threads: Option<usize>,
    /// Most tokens that go through one device at once; bounds memory, and on a GPU changes results
    /// within rounding [default: 1024, on a GPU what its total memory or --memory-gib holds]
    #[arg(long, value_name = "TOKENS", help_heading = "Machine")]
    pub pass_tokens: Option<usize>,

    #[command(flatten)]
    pub slurm: slurm::Flags,
}

impl Args {
    /// The settings file under the flags, under which lie the defaults.
    pub fn settings(&self) -> Result<TrainSettings> {
        self.over(match &self.config {
            Some(path) => TrainSettings::read(path)?,
            None => TrainSettings::default(),
        })
    }

    /// The flags laid over settings.
    fn over(&self, base: TrainSettings) -> Result<TrainSettings> {
        let unfit = |fault: &dyn std::fmt::Display| Failure::input(format!("settings: {fault}"));
        let mut table = toml::Table::try_from(base).map_err(|fault| unfit(&fault))?;
        let flags = self.given().map_err(|fault| unfit(&fault))?;
        // Steps and epochs take each other's place; a flag wins over the file.
        for (given, other) in [("steps", "epochs"), ("epochs", "steps")] {
            if flags.contains_key(given) {
                table.remove(other);
            }
        }
        for (key, value) in flags {
            match (table.get_mut(&key), value) {
                (Some(toml::Value::Table(under)), toml::Value::Table(over)) => under.extend(over),
                (_, value) => drop(table.insert(key, value)),
            }
        }
        let settings: TrainSettings = table.try_into().map_err(|fault| unfit(&fault))?;
        Ok(settings.resolved())
    }

    /// The flags that were given, by the names of the settings.
    fn given(&self) -> std::result::Result<toml::Table, toml::ser::Error> {
        let mut flags = toml::Table::try_from(self)?;
        flags.retain(|_, value| value.as_table().is_none_or(|table| !table.is_empty()));
        Ok(flags)
    }
}

/// Trains and tells how every member came out.
pub fn run(args: Args, printer: &Printer) -> Result {
    if args.slurm.slurm {
        return parts::submit(&args, printer);
    }
    if let Some(dir) = &args.merge {
        return parts::merge(dir, &args, printer);
    }
    let like = Like::read(&args)?;
    let summary = match (&args.resume, &like, args.shard) {
        (Some(dir), _, _) => resume(dir, &args, printer)?,
        (None, Some(like), _) => repeat(like, &args, printer)?,
        (None, None, None) => fit(&args.settings()?, args.overwrite, printer)?,
        (None, None, Some(part)) => match parts::fit_part(&args, part, printer)? {
            Some(summary) => summary,
            None => return Ok(()),
        },
    };
    let manifest = &summary.manifest;
    let repeated = like.as_ref().map(|like| like.compare(manifest));
    printer.json(&Told {
        run: &summary.dir,
        best: &manifest.best,
        base: manifest.base,
        nested: manifest.nested.as_ref(),
        members: &manifest.adapters,
        steps: manifest.steps,
        tokens: summary.tokens,
        seconds: summary.elapsed.as_secs_f64(),
        checkpoints: summary.checkpoints,
        checkpoint_seconds: summary.checkpoint_time.as_secs_f64(),
        event_seconds: summary.event_time.as_secs_f64(),
        like: repeated.as_ref(),
    });
    printer.table(&members(manifest));
    printer.line(format!(
        "\n{} of {}, {} in {}",
        counted(manifest.adapters.len(), "adapter"),
        counted(manifest.steps, "step"),
        counted(summary.tokens as usize, "token"),
        duration(summary.elapsed.as_secs_f64())
    ));
    if let Some(nested) = &manifest.nested {
        printer.line(format!(
            "nested     choose a member, then train it: label accuracy {:.1} % on {} that neither saw",
            100.0 * nested.accuracy,
            counted(nested.n, "row")
        ));
    }
    whereabouts(&summary.dir, manifest, printer);
    if let Some(repeated) = repeated {
        printer.line(format!("repeats    {}", repeated.words()));
    }
    // A shard alone is judged once it is merged.
    if manifest.settings.shard.is_none() {
        printer.next(format!("verdict eval {}", shell::word(&summary.dir)));
    }
    Ok(())
}

/// Where the run and its chosen adapter stand.
fn whereabouts(dir: &Path, manifest: &Manifest, printer: &Printer) {
    printer.line(format!("run        {}", dir.display()));
    let best = dir.join("adapters").join(&manifest.best);
    printer.line(format!("best       {}", best.display()));
}

/// What `train --json` prints.
#[derive(Serialize)]
struct Told<'a> {
    run: &'a Path,
    best: &'a str,
    base: Score,
    #[serde(skip_serializing_if = "Option::is_none")]
    nested: Option<&'a NestedValidation>,
    members: &'a [AdapterRecord],
    steps: usize,
    tokens: u64,
    seconds: f64,
    /// Checkpoints kept, and the seconds that they took of the others.
    checkpoints: usize,
    checkpoint_seconds: f64,
    /// Seconds that events took: written, and shown as progress.
    event_seconds: f64,
    /// With --like, how the adapters stand beside those of the run that was repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    like: Option<&'a Repeated<'a>>,
}

/// Trains the grid into `settings.out`, with progress.
pub fn fit(settings: &TrainSettings, overwrite: bool, printer: &Printer) -> Result<RunSummary> {
    // First what is quick to refuse, then the slow loading.
    folders::refuse_run(&settings.data)?;
    let run = NewRun::create(settings, overwrite)?;
    fit_in(run, settings, None, printer)
}

/// Trains once more what `--like` names.
fn repeat(like: &Like, args: &Args, printer: &Printer) -> Result<RunSummary> {
    let settings = args.over(like.settings())?;
    like.check_out(&settings.out)?;
    folders::refuse_run(&settings.data)?;
    let run = NewRun::create(&settings, args.overwrite)?;
    fit_in(run, &settings, Some(like), printer)
}

/// Goes on with an interrupted run. Its settings stand in its folder.
fn resume(dir: &Path, args: &Args, printer: &Printer) -> Result<RunSummary> {
    refuse_flags(args, "--resume", &["threads", "data", "model"])?;
    args.data.as_deref().map_or(Ok(()), folders::refuse_run)?;
    let run = open(dir, printer)?;
    let found = run.found();
    let settings = TrainSettings {
        threads: args.threads.or(found.threads),
        data: args.data.clone().unwrap_or(found.data),
        model: args.model.clone().unwrap_or(found.model),
        ..run.settings().clone()
    };
    fit_in(run.reading(&settings), &settings, None, printer)
}

/// As `train --resume`, where data set and model are as they were.
pub fn go_on(dir: &Path, threads: Option<usize>, printer: &Printer) -> Result<RunSummary> {
    let run = open(dir, printer)?;
    let found = run.found();
    let settings = TrainSettings {
        threads: threads.or(found.threads),
        ..found
    };
    fit_in(run, &settings, None, printer)
}

/// Refuses flags that say how to train where what was trained says it.
fn refuse_flags(args: &Args, with: &str, allowed: &[&str]) -> Result {
    let flags = args
        .given()
        .map_err(|fault| Failure::input(format!("settings: {fault}")))?;
    let others = flags.keys().filter(|key| !allowed.contains(&key.as_str()));
    let faults: Vec<String> = others
        .map(|key| format!("--{}: not together with {with}", key.replace('_', "-")))
        .collect();
    match faults.is_empty() {
        true => Ok(()),
        false => {
            let hint = "the run goes on with the settings that stand in its folder";
            Err(Failure::faults(faults).hint(hint))
        }
    }
}

/// Locks the folder of an interrupted run and says where it goes on.
fn open(dir: &Path, printer: &Printer) -> Result<NewRun> {
    let run = NewRun::resume(dir)?;
    for told in run.passed_over() {
        printer.warn(told);
    }
    printer.note(match run.resumed_at() {
        Some(done) => format!("going on after step {done}"),
        None => "no checkpoint to go on from: beginning anew".to_owned(),
    });
    Ok(run)
}

/// The learning rate above which a warning is given.
const USUAL_LR: f64 = 0.02;

/// Trains in a folder that was locked; `settings` say where it computes.
fn fit_in(
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
    let places = device::choose(settings, printer)?;
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
        &tokenizer,
        &labels,
        settings.max_length,
        eos,
        source.config().vocab_size,
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
        printer.note("loss weighed by class, as the data set says");
        rows.weigh(weights);
    }
    let plan = Plan::new(run.settings(), &rows)?;
    if let Some(cost) = cost(&plan) {
        printer.note(cost);
    }
    let provenance = Provenance::read(source.path(), &settings.data)?
        .with(DataRecord::new(&data.manifest), source.record()?);
    let specs = plan.specs();
    let machine = machine::record(&places[..places.len().min(specs.len())]);
    if let Some(like) = like {
        like.check(settings, &provenance, &machine, printer)?;
    }
    let models = Models::load(&source, settings, places, specs.len(), printer)?;
    let mut engine = models.engine(source.name(), &specs);

    let guard = interrupt::Guard::new();
    let mut live = Live::new(printer);
    let mut observer = |event: &Event| live.see(event);
    Ok(verdict_train::train(
        run.on(machine),
        &rows,
        &provenance,
        &mut *engine,
        &mut observer,
        guard.asked(),
    )?)
}

/// What folds cost, before it is paid; none without folds.
fn cost(plan: &Plan) -> Option<String> {
    let (repeats, members) = (plan.folds.len(), plan.adapters.len());
    let folds = plan.folds.first()?.iter().max()? + 1;
    let alone = plan.subsets[0].steps * members;
    let times = plan.adapter_steps() as f64 / alone as f64;
    let mut text = format!("{folds} folds");
    if repeats > 1 {
        text.push_str(&format!(", drawn {repeats} times"));
    }
    Some(format!(
        "{text}: {} stand in the batch, {} of them for the folds; {times:.1} times the work of {} alone",
        counted(plan.fits.len(), "adapter"),
        plan.fits.len() - members,
        counted(members, "member"),
    ))
}

/// The final table: base, then every member, the chosen one marked.
pub fn members(manifest: &Manifest) -> Table {
    let mut table = Table::new([
        "adapter",
        "rank",
        "lr",
        "seed",
        "train loss",
        "val. loss",
        "val. accuracy",
        "",
    ]);
    let share = |accuracy: f64| format!("{:.1} %", 100.0 * accuracy);
    let blank = String::new;
    let base = manifest.base;
    table.row(vec![
        "base model".into(),
        blank(),
        blank(),
        blank(),
        blank(),
        format!("{:.3}", base.loss),
        share(base.accuracy),
    ]);
    for record in &manifest.adapters {
        let member = &record.adapter;
        let loss = |loss: Option<f64>| loss.map_or("-".into(), |loss| format!("{loss:.3}"));
        let mark = match (&record.diverged, &record.early_stop) {
            (Some(_), _) => "taken out".to_owned(),
            _ if member.name == manifest.best => "best".to_owned(),
            (_, Some(dropped)) => format!("left at step {}", dropped.step),
            _ => String::new(),
        };
        table.row(vec![
            member.name.clone(),
            member.rank.to_string(),
            format!("{:e}", member.lr),
            member.seed.to_string(),
            loss(record.train_loss),
            loss(record.validation.map(|score| score.loss)),
            record
                .validation
                .map_or("-".into(), |score| share(score.accuracy)),
            mark,
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn settings(flags: &str) -> Result<TrainSettings> {
        let words = std::iter::once("train").chain(flags.split_whitespace());
        Line::try_parse_from(words)
            .expect("good usage")
            .args
            .settings()
    }

    #[test]
    fn each_flag_reaches_its_setting() {
        let flags = "--data d --model m --out o --rank 4,8 --alpha-ratio 1,2 --dropout 0,0.1 --lr 1e-4,3e-4 \
                     --seed 1,2 --steps 9 --batch 3 --max-length 99 --warmup 0.5 --schedule cosine --clip 2 \
                     --validate-every 7 --checkpoint-every 5 --patience 6 --halving 3 --folds 4 --repeats 2 --loss full --class-weights none --base fp8 --compute bf16 --device cuda:1,0 --memory-gib 6.5 --threads 3 \
                     --pass-tokens 777";
        let expected: TrainSettings = toml::from_str(
            r#"
            data = "d"
            model = "m"
            out = "o"
            rank = [4, 8]
            alpha_ratio = [1.0, 2.0]
            dropout = [0.0, 0.1]
            lr = [1e-4, 3e-4]
            seed = [1, 2]
            steps = 9
            batch = 3
            max_length = 99
            warmup = 0.5
            schedule = "cosine"
            clip = 2.0
            validate_every = 7
            checkpoint_every = 5
            patience = 6
            halving = 3
            folds = 4
            repeats = 2
            loss = "full"
            class_weights = "none"
            base = "fp8"
            compute = "bf16"
            device = "cuda:1,0"
            memory_gib = 6.5
            threads = 3
            pass_tokens = 777
            "#,
        )
        .expect("good settings");
        assert_eq!(settings(flags).expect("good"), expected);
    }

    #[test]
    fn no_flags_mean_the_recipe() {
        assert_eq!(
            settings("").expect("good"),
            TrainSettings::default().resolved()
        );
    }

    #[test]
    fn flags_win_over_the_file_and_steps_over_its_epochs() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "rank = 4\nepochs = 2.0\nbatch = 8\n").expect("written");
        let found = settings(&format!(
            "--config {} --rank 8 --steps 3",
            file.path().display()
        ))
        .expect("good");
        assert_eq!(
            (found.rank, found.epochs, found.steps, found.batch),
            (vec![8], None, Some(3), 8)
        );
    }
}
