//! How a run is submitted to SLURM: the options of `sbatch`. They do not affect results.

use serde::{Deserialize, Serialize};

use crate::error::Fault;

/// The `[slurm]` table of a settings file. Options that are not given keep the cluster's defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slurm {
    /// Tasks of the job array, at most as many as the grid has adapters. By default one per adapter, but
    /// no more than 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<usize>,
    /// `--partition`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// `--account`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// `--qos`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qos: Option<String>,
    /// `--constraint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
    /// `--time` of a task: minutes, `hours:minutes:seconds` or `days-hours`. A task that needs longer is
    /// requeued before its time limit and resumes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// GPUs per task (`--gres=gpu:N`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<usize>,
    /// CPUs per task (`--cpus-per-task`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<usize>,
    /// `--mem` per task, in SLURM's notation (`32G`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem: Option<String>,
    /// Shell commands to run before the program starts (`module load cuda`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<String>,
    /// Further options of `sbatch`, each as on its command line (`--exclude=node7`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl Slurm {
    /// The options that take one word, with the names that `sbatch` gives them.
    pub fn word_options(&self) -> [(&'static str, Option<&str>); 6] {
        [
            ("partition", self.partition.as_deref()),
            ("account", self.account.as_deref()),
            ("qos", self.qos.as_deref()),
            ("constraint", self.constraint.as_deref()),
            ("time", self.time.as_deref()),
            ("mem", self.mem.as_deref()),
        ]
    }

    /// The invalid options.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, wanted: &str, found: &str| {
            let text = format!("expected {wanted}, found {found:?}");
            faults.push(Fault::new(format!("slurm.{key}"), text));
        };
        for (key, count) in [
            ("tasks", self.tasks),
            ("gpus", self.gpus),
            ("cpus", self.cpus),
        ] {
            if count == Some(0) {
                fault(key, "at least 1", "0");
            }
        }
        // Each becomes part of a line of the script that sbatch reads.
        let word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
        for (key, given) in self.word_options() {
            if let Some(text) = given.filter(|text| !word(text)) {
                fault(key, "one word", text);
            }
        }
        for option in &self.options {
            if !option.starts_with('-') || option.contains('\n') {
                fault(
                    "options",
                    "an option of sbatch, beginning with a dash",
                    option,
                );
            }
        }
        faults
    }
}
