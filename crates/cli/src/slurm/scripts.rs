//! The scripts for `sbatch`: the job array, and the last job.

use std::path::Path;

use verdict_train::{Manifest, Shard, Slurm};

use crate::shell;

/// Seconds before a task's time limit at which it is requeued.
const WARNING_S: usize = 120;

/// What all scripts of a submission are made from.
pub(super) struct Job<'a> {
    /// The folder that relative paths start from.
    pub here: &'a Path,
    /// The absolute path of the folder of scripts and logs.
    pub folder: &'a Path,
    /// The file or folder that is made, for the names of the jobs.
    pub product: &'a Path,
    pub requested: &'a Slurm,
}

impl Job<'_> {
    /// A job array of tasks that run `command &`; `about` says in comments what they do.
    ///
    /// The shell does not `exec` the program, because it has to outlive it: a task that is requeued must have written its
    /// checkpoint before it counts as ended.
    pub fn array(&self, tasks: usize, about: &str, command: &str) -> String {
        let directives = self.directives(&[
            format!("--job-name=verdict-{}", self.name()),
            format!("--array=1-{tasks}"),
            format!("--output={}", self.log("task-%a.log")),
            format!("--signal=B:USR1@{WARNING_S}"),
        ]);
        let setup = self.setup();
        format!(
            "#!/bin/bash\n\
             {about}\
             # Written by {tool}. When this is submitted again, finished tasks end immediately.\n\
             {directives}\n\
             # Before the time limit, and when the cluster announces a preemption: requeue this task.\n\
             # The program then receives SIGTERM and writes a checkpoint.\n\
             trap 'scontrol requeue \"${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}\"' USR1\n\
             # On preemption: wait for the checkpoint.\n\
             trap : TERM\n\
             {setup}\
             {command} \\\n  --shard \"$SLURM_ARRAY_TASK_ID/{tasks}\" &\n\
             until wait $!; status=$?; ! kill -0 $! 2>/dev/null; do :; done\n\
             exit $status\n",
            tool = Manifest::tool(),
        )
    }

    /// The last job, which runs `command`.
    pub fn last(&self, about: &str, command: &str) -> String {
        let directives = self.directives(&[
            format!("--job-name=verdict-{}-merge", self.name()),
            format!("--output={}", self.log("merge.log")),
        ]);
        let setup = self.setup();
        format!(
            "#!/bin/bash\n\
             {about}\
             # Written by {tool}.\n\
             {directives}\n\
             {setup}\
             {command}\n",
            tool = Manifest::tool(),
        )
    }

    /// The directives of a script: its own, then those of both.
    fn directives(&self, own: &[String]) -> String {
        let requested = self.requested;
        let mut all = own.to_vec();
        all.push(format!("--chdir={}", self.here.display()));
        // A requeued job appends to its log.
        all.extend([
            "--open-mode=append".into(),
            "--requeue".into(),
            "--ntasks=1".into(),
        ]);
        let given = |(name, text): (&str, Option<&str>)| Some(format!("--{name}={}", text?));
        all.extend(requested.word_options().into_iter().filter_map(given));
        all.extend(requested.gpus.map(|gpus| format!("--gres=gpu:{gpus}")));
        all.extend(requested.cpus.map(|cpus| format!("--cpus-per-task={cpus}")));
        all.extend(requested.options.iter().cloned());
        all.iter()
            .map(|option| format!("#SBATCH {}\n", shell::directive(option)))
            .collect()
    }

    fn setup(&self) -> String {
        let lines = self.requested.setup.iter();
        lines.map(|line| format!("{line}\n")).collect()
    }

    fn name(&self) -> String {
        let name = self
            .product
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let plain = |letter: char| match letter.is_alphanumeric() || "-_.".contains(letter) {
            true => letter,
            false => '-',
        };
        name.chars().map(plain).collect()
    }

    /// The path of a log, by the pattern of its name.
    fn log(&self, pattern: &str) -> String {
        shell::log_path(self.folder, pattern)
    }
}

/// The scripts of a grid.
pub(super) struct Scripts<'a> {
    pub job: Job<'a>,
    /// The absolute path of the run folder.
    pub run: &'a Path,
    /// This program.
    pub program: &'a Path,
    /// The shard of each task, and its share of the work.
    pub split: &'a [(Shard, f64)],
}

impl Scripts<'_> {
    /// The job array.
    pub fn array(&self) -> String {
        let line = |(of, share): &(Shard, f64)| {
            let (index, adapters) = (of.index, of.adapters.join(", "));
            format!("# {index:>6} {:>9.1} %  {adapters}\n", 100.0 * share)
        };
        let table: String = self.split.iter().map(line).collect();
        let about = format!(
            "# The tasks of this run: each trains one shard of the grid, and resumes where it stopped.\n\
             #\n\
             #   task      work  adapters\n\
             {table}\
             #\n"
        );
        let program = shell::word(self.program);
        let settings = shell::word(&self.job.folder.join("settings.toml"));
        let command = format!("{program} train --config {settings}");
        self.job.array(self.split.len(), &about, &command)
    }

    /// The last job.
    pub fn merge(&self) -> String {
        let (program, run) = (shell::word(self.program), shell::word(self.run));
        self.job.last(
            "# The last job of this run: merges the shards, selects the best adapter, and evaluates it on the\n\
             # test set.\n",
            &format!("{program} train --merge {run} &&\n  {program} eval {run}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_are_read_by_people() {
        let requested = Slurm {
            partition: Some("gpu".into()),
            account: Some("p123".into()),
            time: Some("4:00:00".into()),
            gpus: Some(1),
            cpus: Some(8),
            mem: Some("32G".into()),
            setup: vec!["module load cuda".into()],
            options: vec!["--exclude=node7".into()],
            ..Slurm::default()
        };
        let shard = |index, adapters: &[&str]| Shard {
            index,
            of: 2,
            adapters: adapters.iter().map(|name| (*name).to_owned()).collect(),
        };
        let split = [
            (shard(1, &["r4", "r128"]), 0.517),
            (shard(2, &["r16", "r64"]), 0.483),
        ];
        let run = Path::new("/data/a b/sweep");
        let scripts = Scripts {
            job: Job {
                here: Path::new("/data/a b"),
                folder: &run.join("slurm"),
                product: run,
                requested: &requested,
            },
            run,
            program: Path::new("/opt/verdict"),
            split: &split,
        };
        insta::assert_snapshot!(scripts.array());
        insta::assert_snapshot!(scripts.merge());
    }
}
