//! A grid as a SLURM job array: each task trains one shard, and a last job merges the shards and evaluates the run. (The
//! rows of a table likewise: `table`.) What is submitted is in the run folder, to be read and submitted again:
//!
//! ```text
//! slurm/settings.toml    what every task trains       slurm/task-N.log    what task N printed
//! slurm/array.sbatch     the tasks                    slurm/merge.log     what the last job printed
//! slurm/merge.sbatch     the last job                 slurm/jobs.json     their numbers
//! ```

mod scripts;
pub mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use verdict_data::DataSet;
use verdict_train::folder::SLURM;
use verdict_train::{DeviceChoice, NewRun, Shard, Slurm, TrainSettings, grid, shard};

use crate::failure::{Failure, Result};
use crate::folders;
use crate::loading;
use crate::printer::Printer;
use crate::shards;
use crate::shell;

/// The most tasks without --tasks.
const TASKS: usize = 8;

/// Flags for what is requested of SLURM.
#[derive(Debug, Default, clap::Args, Serialize)]
#[command(next_help_heading = "SLURM")]
pub struct Flags {
    /// Submit the work as a SLURM job array
    ///
    /// A last job merges the shards; `train` then evaluates the run, and submits the unfinished tasks again with
    /// --resume RUN. `ask` continues unfinished tasks when the same command is given again.
    #[arg(long)]
    #[serde(skip)]
    pub slurm: bool,
    /// Print the scripts without writing or submitting anything
    #[arg(long, requires = "slurm")]
    #[serde(skip)]
    pub dry_run: bool,
    /// Divide the work into N tasks [default: at most 8]
    ///
    /// A grid has one task per adapter at most, a table one per row.
    #[arg(long, value_name = "N", requires = "slurm")]
    tasks: Option<usize>,
    /// Request this partition
    #[arg(long, value_name = "NAME", requires = "slurm")]
    partition: Option<String>,
    /// Charge this account
    #[arg(long, value_name = "NAME", requires = "slurm")]
    account: Option<String>,
    /// Request this quality of service
    #[arg(long, value_name = "NAME", requires = "slurm")]
    qos: Option<String>,
    /// Request nodes with these features
    #[arg(long, value_name = "FEATURES", requires = "slurm")]
    constraint: Option<String>,
    /// Limit each task to this time, as sbatch reads it (4:00:00)
    ///
    /// A task that needs longer writes a checkpoint, is requeued and resumes.
    #[arg(long, value_name = "TIME", requires = "slurm")]
    time: Option<String>,
    /// Request N GPUs per task
    #[arg(long, value_name = "N", requires = "slurm")]
    gpus: Option<usize>,
    /// Request N processors per task
    #[arg(long, value_name = "N", requires = "slurm")]
    cpus: Option<usize>,
    /// Request this much memory per task, as sbatch reads it (32G)
    #[arg(long, value_name = "SIZE", requires = "slurm")]
    mem: Option<String>,
    /// Run this shell line before each task (module load cuda); repeatable
    #[arg(long, value_name = "LINE", requires = "slurm")]
    setup: Option<Vec<String>>,
    /// Pass another option to sbatch; repeatable
    ///
    /// As in --sbatch-option=--exclude=node7.
    #[arg(
        long = "sbatch-option",
        value_name = "OPTION",
        requires = "slurm",
        allow_hyphen_values = true
    )]
    options: Option<Vec<String>>,
}

impl Flags {
    /// What is requested of SLURM.
    fn requested(&self) -> Slurm {
        Slurm {
            tasks: self.tasks,
            partition: self.partition.clone(),
            account: self.account.clone(),
            qos: self.qos.clone(),
            constraint: self.constraint.clone(),
            time: self.time.clone(),
            gpus: self.gpus,
            cpus: self.cpus,
            mem: self.mem.clone(),
            setup: self.setup.clone().unwrap_or_default(),
            options: self.options.clone().unwrap_or_default(),
        }
    }
}

/// The job ids, in `slurm/jobs.json`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Jobs {
    /// The job array.
    pub array: String,
    /// The last job.
    pub merge: String,
    /// Tasks of the array that were submitted, from 1.
    pub tasks: Vec<usize>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct SubmitOutput<'a> {
    run: &'a Path,
    #[serde(flatten)]
    jobs: &'a Jobs,
    shards: &'a [Shard],
}

/// Writes the scripts into the run folder and submits them.
pub fn submit(
    settings: &TrainSettings,
    overwrite: bool,
    dry_run: bool,
    printer: &Printer,
) -> Result {
    let requested = settings.slurm.clone().unwrap_or_default();
    let run = match dry_run {
        true => None,
        false => Some(NewRun::create(settings, overwrite)?),
    };
    check(&requested)?;
    // Refuse now what a task would refuse, and download the model where there may be a network.
    folders::refuse_run(&settings.data)?;
    DataSet::read(&settings.data)?;
    let source = loading::find(&settings.model, printer)?;
    let settings = &loading::fit_length(settings, &source, printer)?;
    let adapters = grid(settings).len();
    let tasks = requested.tasks.unwrap_or(adapters.min(TASKS));
    let split = shards::split(source.config(), settings, tasks)?;
    let of_tasks = settings_of_tasks(settings, &requested);
    let of_first = TrainSettings {
        shard: Some(split[0].0.clone()),
        ..of_tasks.clone()
    };
    of_first.validate()?;
    // Settings keep the paths as given, because adapters record them; jobs start in the current folder.
    let [program, here] = places()?;
    let dir = settings.out.join(SLURM);
    let run_here = here.join(&settings.out);
    let script = scripts::Scripts {
        job: scripts::Job {
            here: &here,
            folder: &run_here.join(SLURM),
            product: &run_here,
            requested: &requested,
        },
        run: &run_here,
        program: &program,
        split: &split,
    };
    let files = [
        ("settings.toml", of_tasks.to_toml()),
        ("array.sbatch", script.array()),
        ("merge.sbatch", script.merge()),
    ];
    let Some(run) = &run else {
        for (name, text) in files {
            printer.line(format!("==> {} <==\n{text}", dir.join(name).display()));
        }
        return Ok(());
    };
    if overwrite {
        refuse_queued(&settings.out, &dir)?;
        run.clear()?;
    }
    let written = fs::create_dir_all(&dir).and_then(|()| {
        for (name, text) in files {
            fs::write(dir.join(name), text)?;
        }
        // So that `verdict watch` shows them before they start.
        split
            .iter()
            .try_for_each(|(of, _)| fs::create_dir_all(shard::folder(&settings.out, of.index)))
    });
    written.map_err(|fault| Failure::failed(format!("{}: {fault}", dir.display())))?;
    let shards: Vec<Shard> = split.into_iter().map(|(of, _)| of).collect();
    let all = (1..=tasks).collect();
    let jobs = send(&dir, all).inspect_err(|_| {
        // A failed submission leaves nothing that looks like a run.
        let _ = run.clear();
    })?;
    print(&settings.out, &jobs, &shards, printer);
    Ok(())
}

/// Refuses options that would become several lines of a script.
fn check(requested: &Slurm) -> Result {
    let mut options = requested.options.iter();
    match options.find(|option| option.contains('\n')) {
        None => Ok(()),
        Some(option) => {
            let fault = format!("--sbatch-option: expected one line, found {option:?}");
            Err(Failure::input(fault).hint("use one --sbatch-option for each option"))
        }
    }
}

/// This program's file, and the current folder.
fn places() -> Result<[PathBuf; 2]> {
    let program = std::env::current_exe()
        .map_err(|fault| Failure::failed(format!("this program's own file: {fault}")))?;
    let here = std::env::current_dir()
        .map_err(|fault| Failure::failed(format!("the current folder: {fault}")))?;
    Ok([program, here])
}

/// Submits the unfinished tasks of a run again.
pub fn submit_again(dir: &Path, printer: &Printer) -> Result {
    let missing = |file: &str| {
        let file = dir.join(SLURM).join(file);
        (!file.exists()).then(|| format!("{}: missing", file.display()))
    };
    let faults: Vec<String> = ["settings.toml", "array.sbatch", "merge.sbatch"]
        .into_iter()
        .filter_map(missing)
        .collect();
    if !faults.is_empty() {
        return Err(
            Failure::faults(faults).hint("`verdict train --slurm` prepares a run for SLURM")
        );
    }
    if dir.join("MANIFEST.json").exists() {
        let path = dir.to_path_buf();
        return Err(verdict_train::Error::Finished { path }.into());
    }
    let at = dir.join(SLURM);
    refuse_queued(dir, &at)?;
    let finished = |index: &usize| shard::folder(dir, *index).join("MANIFEST.json").exists();
    let mut left = shard::indices(dir);
    left.retain(|index| !finished(index));
    let jobs = send(&at, left)?;
    print(dir, &jobs, &[], printer);
    Ok(())
}

/// Fails if jobs of the run are queued or running, because changes would affect them.
fn refuse_queued(dir: &Path, at: &Path) -> Result {
    let Some(jobs) = Jobs::read(at)? else {
        return Ok(());
    };
    let ids = jobs.ids();
    let queued = Command::new("squeue")
        .args(["-h", "-j", &ids.join(",")])
        .output();
    if queued.is_ok_and(|of| of.status.success() && !of.stdout.is_empty()) {
        let (run, ids) = (shell::word(dir), ids.join(" "));
        let fault = format!("{run}: jobs {ids} are still in the queue");
        let shown = match dir.is_dir() {
            true => format!("`verdict watch {run}`"),
            false => "`squeue`".to_owned(),
        };
        return Err(
            Failure::input(fault).hint(format!("{shown} shows them; `scancel {ids}` cancels them"))
        );
    }
    Ok(())
}

impl Jobs {
    /// The ids. There is no array if no task was left to train.
    fn ids(&self) -> Vec<&str> {
        let both = [self.array.as_str(), self.merge.as_str()];
        both.into_iter().filter(|id| !id.is_empty()).collect()
    }

    /// Reads those of a run; none if it was not submitted.
    fn read(at: &Path) -> Result<Option<Self>> {
        let path = at.join("jobs.json");
        let Ok(text) = fs::read_to_string(&path) else {
            return Ok(None);
        };
        let jobs = serde_json::from_str(&text);
        jobs.map(Some)
            .map_err(|fault| Failure::input(format!("{}: {fault}", path.display())))
    }
}

fn print(dir: &Path, jobs: &Jobs, shards: &[Shard], printer: &Printer) {
    printer.json(&SubmitOutput {
        run: dir,
        jobs,
        shards,
    });
    let (array, merge, run) = (&jobs.array, &jobs.merge, shell::word(dir));
    match jobs.tasks.len() {
        0 => {}
        1 => printer.line(format!("job        {array}: one task")),
        tasks => printer.line(format!("job        {array}: {tasks} tasks")),
    }
    printer.line(format!(
        "job        {merge}: merges and evaluates once they have ended"
    ));
    printer.line(format!("scripts    {run}/{SLURM}"));
    printer.line(format!("watch      verdict watch {run}"));
    printer.line(format!("stop       scancel {}", jobs.ids().join(" ")));
}

/// Submits the tasks and the last job, and records their ids.
fn send(at: &Path, tasks: Vec<usize>) -> Result<Jobs> {
    let mut array = String::new();
    let mut after = Vec::new();
    if !tasks.is_empty() {
        let numbers: Vec<String> = tasks.iter().map(usize::to_string).collect();
        let tasks = format!("--array={}", numbers.join(","));
        array = sbatch(&[&tasks], &at.join("array.sbatch"))?;
        // Even if tasks failed: merging reports which are missing.
        after.push(format!("--dependency=afterany:{array}"));
    }
    let after: Vec<&str> = after.iter().map(String::as_str).collect();
    let merge = sbatch(&after, &at.join("merge.sbatch")).inspect_err(|_| {
        // Nothing would merge these tasks.
        let _ = Command::new("scancel").arg(&array).output();
    })?;
    let jobs = Jobs {
        array,
        merge,
        tasks,
    };
    let path = at.join("jobs.json");
    let text = serde_json::json!(jobs).to_string() + "\n";
    fs::write(&path, text)
        .map_err(|fault| Failure::failed(format!("{}: {fault}", path.display())))?;
    Ok(jobs)
}

/// Submits a script; returns the id of the job.
fn sbatch(options: &[&str], script: &Path) -> Result<String> {
    let mut command = Command::new("sbatch");
    let output = command.arg("--parsable").args(options).arg(script).output();
    let output = output.map_err(|fault| {
        Failure::failed(format!("sbatch: {fault}"))
            .hint("run this on a login node; --dry-run prints the scripts, --shard is for other schedulers")
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let lines = said.lines().filter(|line| !line.trim().is_empty());
        let mut faults: Vec<String> = lines
            .map(|line| format!("sbatch: {}", line.trim_start_matches("sbatch: error: ")))
            .collect();
        if faults.is_empty() {
            faults.push(format!("sbatch: {}", output.status));
        }
        return Err(Failure::faults(faults));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    // `7`, or `7;cluster`.
    let id = said.trim().split(';').next().unwrap_or_default().to_owned();
    match id.parse::<u64>() {
        Ok(_) => Ok(id),
        Err(_) => Err(Failure::failed(format!(
            "sbatch: expected a job id, found {said:?}"
        ))),
    }
}

/// The settings of the tasks, which train on all GPUs that each is given.
fn settings_of_tasks(settings: &TrainSettings, requested: &Slurm) -> TrainSettings {
    let device = match (&settings.device, requested.gpus) {
        (DeviceChoice::Auto, Some(gpus @ 2..)) => DeviceChoice::Cuda((0..gpus).collect()),
        (device, _) => device.clone(),
    };
    TrainSettings {
        device,
        ..settings.clone()
    }
}
