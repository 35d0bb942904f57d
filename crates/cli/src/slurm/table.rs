//! The rows of a table as a SLURM job array: each task answers one shard, and a last job joins them. Scripts, logs and the
//! numbers of the jobs are in `OUT.slurm`, beside the answers.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::scripts::Job;
use super::{Flags, Jobs, TASKS, check, places, refuse_queued, send};
use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::shell;

/// Flags that only the submission needs; `true` for those with a value.
const OWN: [(&str, bool); 14] = [
    ("--slurm", false),
    // A task that is requeued must not start from the beginning.
    ("--overwrite", false),
    ("--dry-run", false),
    ("--tasks", true),
    ("--partition", true),
    ("--account", true),
    ("--qos", true),
    ("--constraint", true),
    ("--time", true),
    ("--gpus", true),
    ("--cpus", true),
    ("--mem", true),
    ("--setup", true),
    ("--sbatch-option", true),
];

/// What the tasks do.
pub struct TableTasks<'a> {
    /// The file of the answers.
    pub out: &'a Path,
    /// Rows of the table.
    pub rows: usize,
    /// Removes what --overwrite replaces; none without it.
    pub clear: Option<&'a dyn Fn() -> Result>,
    /// The words of the command, without the program.
    pub words: Vec<OsString>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Submitted<'a> {
    out: &'a Path,
    #[serde(flatten)]
    jobs: &'a Jobs,
}

/// Writes the scripts and submits them; tasks that are finished already end immediately.
pub fn submit_table(flags: &Flags, work: &TableTasks<'_>, printer: &Printer) -> Result {
    let requested = flags.requested();
    check(&requested)?;
    let tasks = requested.tasks.unwrap_or(TASKS).clamp(1, work.rows.max(1));
    let [program, here] = places()?;
    let (out, folder) = (work.out, folder(work.out));
    let job = Job {
        here: &here,
        folder: &here.join(&folder),
        product: out,
        requested: &requested,
    };
    let program = shell::word(&program);
    let words = tasks_words(&work.words);
    let about = "# The tasks of this table: each answers one shard of its rows, and continues where it stopped.\n#\n";
    let array = job.array(tasks, about, &format!("{program} {}", words.join(" ")));
    let merge = job.last(
        "# The last job of this table: joins the answers of the shards.\n",
        &format!("{program} ask --merge {}", shell::word(out)),
    );
    let files = [("array.sbatch", array), ("merge.sbatch", merge)];
    if flags.dry_run {
        for (name, text) in files {
            printer.line(format!("==> {} <==\n{text}", folder.join(name).display()));
        }
        return Ok(());
    }
    refuse_queued(out, &folder)?;
    work.clear.map_or(Ok(()), |clear| clear())?;
    let written = fs::create_dir_all(&folder).and_then(|()| {
        let mut files = files.iter();
        files.try_for_each(|(name, text)| fs::write(folder.join(name), text))
    });
    written.map_err(|fault| Failure::failed(format!("{}: {fault}", folder.display())))?;
    let jobs = send(&folder, (1..=tasks).collect()).inspect_err(|_| {
        // A failed submission leaves no scripts that were never run.
        let _ = fs::remove_dir_all(&folder);
    })?;
    printer.json(&Submitted { out, jobs: &jobs });
    printer.line(format!("job        {}: {tasks} tasks", jobs.array));
    printer.line(format!(
        "job        {}: joins the answers once they have ended",
        jobs.merge
    ));
    printer.line(format!("scripts    {}", folder.display()));
    printer.line(format!("stop       scancel {}", jobs.ids().join(" ")));
    Ok(())
}

/// The folder of scripts and logs.
fn folder(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".slurm");
    out.with_file_name(name)
}

/// The words of a task's command: those of this one without the flags of the submission, each a word of the shell.
fn tasks_words(words: &[OsString]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let name = text.split('=').next().unwrap_or_default();
        match OWN.iter().find(|(own, _)| *own == name) {
            // Its value is the next word, unless it follows an equals sign.
            Some((_, true)) if !text.contains('=') => drop(words.next()),
            Some(_) => {}
            None => kept.push(shell::word(Path::new(word))),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_run_the_same_command_without_the_flags_of_the_submission() {
        let words = "ask --model m --slurm --overwrite --tasks 4 --time=1:00:00 --question A&b? --setup x --dry-run --out a.csv";
        let words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
        assert_eq!(
            tasks_words(&words).join(" "),
            "ask --model m --question 'A&b?' --out a.csv"
        );
    }
}
