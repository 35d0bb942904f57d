//! How a run is given to SLURM: what `sbatch` is asked for. It changes no result.

use serde::{Deserialize, Serialize};

use crate::error::Fault;

/// The `[slurm]` table of a settings file. What is not given is the cluster's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slurm {
    /// Tasks of the array, at most as many as the grid has members; one for each member, and no more
    /// than 8, where not given.
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
    /// put back into the queue before its time is up, and goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// GPUs of a task (`--gres=gpu:N`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<usize>,
    /// Processors of a task (`--cpus-per-task`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<usize>,
    /// `--mem` of a task, as SLURM writes it (`32G`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem: Option<String>,
    /// Shell lines before the program starts (`module load cuda`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<String>,
    /// Further options of `sbatch`, each as it stands on its command line (`--exclude=node7`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl Slurm {
    /// What is asked for by a word, under the names of `sbatch`'s options.
    pub fn words(&self) -> [(&'static str, Option<&str>); 6] {
        [
            ("partition", self.partition.as_deref()),
            ("account", self.account.as_deref()),
            ("qos", self.qos.as_deref()),
            ("constraint", self.constraint.as_deref()),
            ("time", self.time.as_deref()),
            ("mem", self.mem.as_deref()),
        ]
    }

    /// What cannot be asked for.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, wanted: &str, found: &str| {
            let text = format!("expected {wanted}, found {found:?}");
            let key = format!("slurm.{key}");
            faults.push(Fault { key, text });
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
        // Each is the rest of a line of the script that sbatch reads.
        let word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
        for (key, given) in self.words() {
            if let Some(text) = given.filter(|text| !word(text)) {
                fault(key, "one word", text);
            }
        }
        for option in &self.options {
            if !option.starts_with('-') || option.contains('\n') {
                fault(
                    "options",
                    "options of sbatch, which begin with a dash",
                    option,
                );
            }
        }
        faults
    }
}
