//! The state of a run's jobs in SLURM: from `squeue --json`, and from `sacct` once they are no longer in the queue. The
//! queries run in a thread of their own and seldom, because they are answered by the cluster's scheduler.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How often the scheduler is queried.
const EVERY: Duration = Duration::from_secs(10);
/// How long to wait for the first answer.
const FIRST: Duration = Duration::from_secs(5);

/// A SLURM job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Job {
    /// Its job id; of a task of an array, with the task: `7_1`.
    pub id: String,
    /// `PENDING`, `RUNNING`, `COMPLETED`, … as in SLURM.
    pub state: String,
    /// Why it is waiting; empty if unknown.
    pub reason: String,
    /// The nodes on which it runs.
    pub nodes: String,
    /// How often it was requeued, if known.
    pub restarts: Option<u64>,
    /// Exit status and signal, if known: `1:0`, `0:9`.
    pub exit: Option<String>,
}

impl Job {
    /// Whether it is waiting, for the first time or after being requeued.
    pub fn waits(&self) -> bool {
        matches!(
            self.state.as_str(),
            "PENDING" | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED" | "CONFIGURING" | "SUSPENDED"
        )
    }

    /// Whether it is running on a node.
    pub fn runs(&self) -> bool {
        ["RUNNING", "COMPLETING", "STAGE_OUT", "SIGNALING"].contains(&self.state.as_str())
    }

    /// Whether it ended without success.
    pub fn failed(&self) -> bool {
        !self.waits() && !self.runs() && self.state != "COMPLETED"
    }

    /// Describes it in one line.
    pub fn describe(&self) -> String {
        let mut text = format!("job {} {}", self.id, self.state);
        if !self.nodes.is_empty() {
            text += &format!(" on {}", self.nodes);
        }
        if !["", "None"].contains(&self.reason.as_str()) {
            text += &format!(" ({})", self.reason);
        }
        if let Some(exit) = self.exit.as_ref().filter(|_| self.failed()) {
            text += &format!(", exit {exit}");
        }
        match self.restarts.unwrap_or(0) {
            0 => text,
            1 => text + ", requeued once",
            times => text + &format!(", requeued {times} times"),
        }
    }
}

/// The job of a run or shard: `None` is the job that merges the shards, else a task of the array.
pub type QueuePosition = Option<usize>;

/// The ids of a run's jobs, `slurm/jobs.json`.
#[derive(Clone, Debug, Deserialize)]
struct JobIds {
    array: String,
    merge: String,
    tasks: Vec<usize>,
}

/// Queries the state of a run's jobs in the background, until it is dropped.
#[derive(Debug)]
pub struct Queue {
    answers: Receiver<BTreeMap<QueuePosition, Job>>,
    /// The thread ends when this is dropped.
    _alive: Sender<()>,
    known: BTreeMap<QueuePosition, Job>,
}

impl Queue {
    /// The queue of a run folder; `None` if the run was not submitted to SLURM.
    pub fn of(run: &Path) -> Option<Queue> {
        let path = run.join("slurm/jobs.json");
        read(&path)?;
        let (sender, answers) = channel();
        let (alive, end) = channel::<()>();
        thread::spawn(move || {
            let mut jobs = BTreeMap::new();
            loop {
                // Read again, because the run may have been resubmitted.
                if let Some(ids) = read(&path) {
                    query(&ids, &mut jobs);
                }
                let sent = sender.send(jobs.clone());
                if sent.is_err() || end.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        let known = answers.recv_timeout(FIRST).unwrap_or_default();
        Some(Queue {
            answers,
            _alive: alive,
            known,
        })
    }

    /// Takes the answers since the last call.
    pub fn poll(&mut self) {
        if let Some(latest) = self.answers.try_iter().last() {
            self.known = latest;
        }
    }

    /// The last known state of a job.
    pub fn job(&self, position: QueuePosition) -> Option<&Job> {
        self.known.get(&position)
    }
}

fn read(path: &PathBuf) -> Option<JobIds> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Queries the jobs and updates what is known. Without an answer that stays unchanged.
fn query(jobs: &JobIds, known: &mut BTreeMap<QueuePosition, Job>) {
    let ids = [jobs.array.as_str(), jobs.merge.as_str()];
    let ids: Vec<&str> = ids.into_iter().filter(|id| !id.is_empty()).collect();
    let run = |program: &str, words: &[&str]| {
        let mut command = Command::new(program);
        let output = command.args(words).arg("-j").arg(ids.join(","));
        let output = output.stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then_some(text)
    };
    let queue = run("squeue", &["--json", "--states=all"]).unwrap_or_default();
    let queue: BTreeMap<QueuePosition, Job> = by_squeue(&queue, jobs).into_iter().collect();
    let positions = jobs.tasks.iter().copied().map(Some).chain([None]);
    let ended = |job: &Job| !job.waits() && !job.runs();
    let forgotten: Vec<QueuePosition> = positions
        .filter(|position| !queue.contains_key(position) && !known.get(position).is_some_and(ended))
        .collect();
    known.extend(queue);
    if !forgotten.is_empty()
        && let Some(text) = run(
            "sacct",
            &["-n", "-P", "-X", "--format=JobID,State,ExitCode,NodeList"],
        )
    {
        let ended = by_sacct(&text, jobs).into_iter();
        known.extend(ended.filter(|(position, _)| forgotten.contains(position)));
    }
}

/// Lines of `JobID|State|ExitCode|NodeList`.
fn by_sacct(text: &str, ids: &JobIds) -> Vec<(QueuePosition, Job)> {
    let line = |line: &str| {
        let [id, state, exit, nodes] = line.split('|').collect::<Vec<_>>()[..] else {
            return None;
        };
        let position = match id.split_once('_') {
            // Tasks that never started share one line, in brackets; `squeue` lists them.
            Some((array, task)) if array == ids.array => Some(task.parse().ok()?),
            None if id == ids.merge => None,
            _ => return None,
        };
        let known = |text: &str| !["", "None assigned"].contains(&text);
        let job = Job {
            id: id.to_owned(),
            // `CANCELLED by 1000`.
            state: state.split_whitespace().next()?.to_owned(),
            reason: String::new(),
            nodes: Some(nodes)
                .filter(|of| known(of))
                .unwrap_or_default()
                .into(),
            restarts: None,
            exit: Some(exit.to_owned()),
        };
        Some((position, job))
    };
    text.lines().filter_map(line).collect()
}

/// `squeue --json`: a list of jobs, whose format differs between versions.
fn by_squeue(text: &str, ids: &JobIds) -> Vec<(QueuePosition, Job)> {
    let whole: Value = serde_json::from_str(text).unwrap_or_default();
    let jobs = whole["jobs"].as_array().map_or(&[][..], Vec::as_slice);
    let mut found = Vec::new();
    for job in jobs {
        let text = |key: &str| job[key].as_str().unwrap_or_default().to_owned();
        // A name, or from 23.11 on a list of names of which the first is the state.
        let state = job["job_state"].as_str().or(job["job_state"][0].as_str());
        let known = |position: QueuePosition, id: String| {
            let job = Job {
                id,
                state: state.unwrap_or("UNKNOWN").to_owned(),
                reason: text("state_reason"),
                nodes: text("nodes"),
                restarts: number(&job["restart_cnt"]),
                exit: exit(&job["exit_code"]),
            };
            (position, job)
        };
        let array = number(&job["array_job_id"]).unwrap_or(0).to_string();
        if array == ids.array {
            let tasks = match number(&job["array_task_id"]) {
                Some(task) => vec![task as usize],
                // Waiting tasks share one entry.
                None => tasks(&text("array_task_string")),
            };
            let task = |task: usize| known(Some(task), format!("{array}_{task}"));
            found.extend(tasks.into_iter().map(task));
        } else if number(&job["job_id"]).is_some_and(|id| id.to_string() == ids.merge) {
            found.push(known(None, ids.merge.clone()));
        }
    }
    found
}

/// A number, or from 23.02 on `{"set": true, "infinite": false, "number": 7}`.
fn number(value: &Value) -> Option<u64> {
    let set = value["set"].as_bool().unwrap_or(true);
    value.as_u64().or(value["number"].as_u64().filter(|_| set))
}

/// Exit status and signal in the format of `sacct`, from the raw status of `wait` or from an object.
fn exit(value: &Value) -> Option<String> {
    if let Some(raw) = value.as_u64() {
        return Some(format!("{}:{}", raw >> 8 & 0xff, raw & 0x7f));
    }
    let code = number(&value["return_code"])?;
    let signal = number(&value["signal"]["id"]).unwrap_or(0);
    Some(format!("{code}:{signal}"))
}

/// The tasks of `2-4,7%3`.
fn tasks(text: &str) -> Vec<usize> {
    let text = text.split('%').next().unwrap_or_default();
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let range = first.parse::<usize>().ok()?..=last.parse().ok()?;
        (range.end().saturating_sub(*range.start()) < 100_000).then_some(range)
    };
    text.split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> JobIds {
        JobIds {
            array: "7".into(),
            merge: "11".into(),
            tasks: vec![1, 2, 3],
        }
    }

    fn described(jobs: &[(QueuePosition, Job)]) -> Vec<String> {
        let describe =
            |(position, job): &(QueuePosition, Job)| format!("{position:?}: {}", job.describe());
        jobs.iter().map(describe).collect()
    }

    /// The format of SLURM 22.05, reduced to the fields that are read.
    #[test]
    fn the_queue_of_an_array_with_waiting_tasks() {
        let text = r#"{"jobs": [
            {"job_id": 8, "array_job_id": 7, "array_task_id": 1, "array_task_string": "", "job_state": "RUNNING",
             "state_reason": "None", "nodes": "n1", "restart_cnt": 2, "exit_code": 0},
            {"job_id": 9, "array_job_id": 7, "array_task_id": 2, "array_task_string": "", "job_state": "FAILED",
             "state_reason": "NonZeroExitCode", "nodes": "n1", "restart_cnt": 0, "exit_code": 768},
            {"job_id": 7, "array_job_id": 7, "array_task_id": null, "array_task_string": "3-4,6%2",
             "job_state": "PENDING", "state_reason": "Resources", "nodes": "", "restart_cnt": 0, "exit_code": 0},
            {"job_id": 11, "array_job_id": 0, "array_task_id": null, "array_task_string": "", "job_state": "PENDING",
             "state_reason": "Dependency", "nodes": "", "restart_cnt": 0, "exit_code": 0},
            {"job_id": 12, "array_job_id": 0, "job_state": "RUNNING"}]}"#;
        assert_eq!(
            described(&by_squeue(text, &ids())),
            [
                "Some(1): job 7_1 RUNNING on n1, requeued 2 times",
                "Some(2): job 7_2 FAILED on n1 (NonZeroExitCode), exit 3:0",
                "Some(3): job 7_3 PENDING (Resources)",
                "Some(4): job 7_4 PENDING (Resources)",
                "Some(6): job 7_6 PENDING (Resources)",
                "None: job 11 PENDING (Dependency)"
            ]
        );
    }

    /// The form of later versions: ids as objects, states as a list.
    #[test]
    fn the_format_of_later_versions_is_read() {
        let text = r#"{"jobs": [
            {"job_id": 8, "array_job_id": {"set": true, "infinite": false, "number": 7},
             "array_task_id": {"set": true, "infinite": false, "number": 1}, "array_task_string": "",
             "job_state": ["TIMEOUT"], "state_reason": "TimeLimit", "nodes": "n1", "restart_cnt": 1,
             "exit_code": {"status": ["SIGNALED"], "return_code": {"set": true, "infinite": false, "number": 0},
                           "signal": {"id": {"set": true, "infinite": false, "number": 15}, "name": "TERM"}}},
            {"job_id": 11, "array_job_id": {"set": false, "infinite": false, "number": 0},
             "array_task_id": {"set": false, "infinite": false, "number": 0}, "job_state": ["PENDING"],
             "state_reason": "Dependency", "nodes": ""}]}"#;
        assert_eq!(
            described(&by_squeue(text, &ids())),
            [
                "Some(1): job 7_1 TIMEOUT on n1 (TimeLimit), exit 0:15, requeued once",
                "None: job 11 PENDING (Dependency)"
            ]
        );
    }

    #[test]
    fn jobs_no_longer_in_the_queue_are_read_from_accounting() {
        let text = "7_1|COMPLETED|0:0|n1\n7_2|CANCELLED by 0|0:15|n1\n7_[3-4]|PENDING|0:0|None assigned\n\
                    11|FAILED|2:0|n1\n12|RUNNING|0:0|n2\n";
        assert_eq!(
            described(&by_sacct(text, &ids())),
            [
                "Some(1): job 7_1 COMPLETED on n1",
                "Some(2): job 7_2 CANCELLED on n1, exit 0:15",
                "None: job 11 FAILED on n1, exit 2:0"
            ]
        );
    }

    #[test]
    fn invalid_answers_contain_no_jobs() {
        assert!(by_squeue("Slurm is down", &ids()).is_empty());
        assert!(by_squeue(r#"{"jobs": 3}"#, &ids()).is_empty());
        assert!(by_sacct("Slurm accounting storage is disabled", &ids()).is_empty());
        assert!(tasks("0-99999999999,x,9-2").is_empty());
    }
}
