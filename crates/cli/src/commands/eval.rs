//! `verdict eval`: base against tuned on held-out questions; writes the report into the run folder.

use std::path::{Path, PathBuf};

use verdict_answer::{Mode, ModelEngine, Settings};
use verdict_data::{DataSet, Item};
use verdict_eval::{Benchmark, Evaluation};
use verdict_model::AdapterBank;
use verdict_train::RunFolder;

use crate::failure::Result;
use crate::loading::{self, MachineFlags};
use crate::printer::Printer;

/// Judge a run: base against tuned, free-running and guaranteed, chance and majority beside them
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run folder
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Questions to judge on; may be given several times [default: test and challenge]
    #[arg(long, value_name = "NAME", value_parser = NAMES, value_delimiter = ',')]
    pub benchmark: Vec<String>,
    /// Adapters to judge [default: the run's best]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub adapter: Vec<String>,
    /// Most tokens of an answer
    #[arg(long, value_name = "TOKENS", default_value_t = Settings::default().max_answer_tokens)]
    pub max_tokens: usize,
    #[command(flatten)]
    pub machine: MachineFlags,
}

/// The benchmarks; the run's data set has the first two.
const NAMES: [&str; 3] = ["test", "validation", "challenge"];

/// Judges, tells, writes the report.
pub fn run(args: Args, printer: &Printer) -> Result {
    let run = loading::run_folder(&args.run)?;
    let names = match args.benchmark.as_slice() {
        [] => vec!["test", "challenge"],
        names => names.iter().map(String::as_str).collect(),
    };
    let adapters: Vec<&str> = match args.adapter.as_slice() {
        [] => vec![run.best()],
        names => names.iter().map(String::as_str).collect(),
    };
    let settings = Settings {
        max_answer_tokens: args.max_tokens,
        ..Settings::default()
    };
    let evaluation = judge(&run, &names, &adapters, &args.machine, &settings, printer)?;
    printer.json(&evaluation.report);
    printer.line(evaluation.report.text());
    printer.line(format!(
        "report     {}",
        run.dir().join("report.md").display()
    ));
    printer.line(format!(
        "answers    {}",
        run.dir().join("predictions.jsonl").display()
    ));
    Ok(())
}

/// Asks base and adapters, and writes the report into the run folder.
pub fn judge(
    run: &RunFolder,
    names: &[&str],
    adapters: &[&str],
    machine: &MachineFlags,
    settings: &Settings,
    printer: &Printer,
) -> Result<Evaluation> {
    // First what is quick to refuse, then the slow loading.
    let options = machine.over(Some(&run.settings), printer)?;
    let folders: Vec<PathBuf> = adapters
        .iter()
        .map(|name| run.adapter_dir(Some(name)))
        .collect::<std::result::Result<_, _>>()?;
    let questions = questions(names, &run.settings.data)?;
    let opened = loading::open(&run.settings.model, options, printer)?;
    let mut bank = AdapterBank::empty();
    let mut systems = vec![None];
    for folder in &folders {
        systems.push(Some(opened.adapter(&mut bank, folder)?));
    }
    let benchmarks: Vec<Benchmark<'_>> = questions
        .iter()
        .map(|(name, items)| Benchmark { name, items })
        .collect();
    let items: usize = benchmarks
        .iter()
        .map(|benchmark| benchmark.items.len())
        .sum();
    let total = items * systems.len() * Mode::WRITTEN.len();
    let answerer = opened.answerer()?;
    let mut engine = ModelEngine::new(&opened.model, &bank);
    let progress = printer.progress("judge", "answer", total as u64);
    let mut done = |count: usize| progress.set(count as u64, "");
    let evaluation = verdict_eval::evaluate(
        &mut engine,
        &answerer,
        &benchmarks,
        &systems,
        &Mode::WRITTEN,
        settings,
        &mut done,
    )?;
    drop(progress);
    evaluation.write(run.dir())?;
    Ok(evaluation)
}

/// The items of each benchmark; the data set is read only where one of them needs it.
fn questions<'n>(names: &[&'n str], data: &Path) -> Result<Vec<(&'n str, Vec<Item>)>> {
    let set = match names.iter().any(|name| *name != "challenge") {
        true => Some(DataSet::read(data)?),
        false => None,
    };
    let items = |name: &str| match (name, &set) {
        ("test", Some(set)) => set.test.clone(),
        ("validation", Some(set)) => set.validation.clone(),
        _ => verdict_eval::challenge(),
    };
    Ok(names.iter().map(|name| (*name, items(name))).collect())
}
