//! Run folders for tests, as training writes them.
#![allow(dead_code, reason = "each test uses some of it")]

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use verdict_testkit::numbers;

/// When every run of the tests begins: 2026-11-23 12:00:00 UTC.
pub const BEGAN: f64 = 1_795_435_200.0;

/// What a run is like.
pub struct Sample {
    /// Its adapters.
    pub members: Vec<String>,
    /// Steps planned.
    pub steps: usize,
    /// Steps done.
    pub done: usize,
    /// Validated after so many steps.
    pub every: usize,
    /// How it ended: `finished`, `interrupted`, `failed`.
    pub end: Option<&'static str>,
    /// Other noise.
    pub seed: u64,
}

impl Default for Sample {
    fn default() -> Sample {
        Sample {
            members: ["r4", "r8", "r16"].map(str::to_owned).to_vec(),
            steps: 200,
            done: 200,
            every: 20,
            end: None,
            seed: 1,
        }
    }
}

impl Sample {
    /// The lines of `events.jsonl`: a step a second, a validation of three seconds, falling losses with noise.
    pub fn events(&self) -> String {
        let mut text = String::new();
        let mut time = BEGAN;
        let mut line = |time: f64, step: usize, adapter: Option<&str>, kind: Value| {
            let mut event = json!({"time": time, "step": step, "adapter": adapter});
            let fields = kind.as_object().expect("an object").clone();
            event.as_object_mut().expect("an object").extend(fields);
            writeln!(text, "{event}").expect("written");
        };
        let start = json!({"kind": "start", "members": self.members, "steps": self.steps,
            "train_rows": 264, "validation_rows": 33});
        line(time, 0, None, start);
        time += 3.0;
        line(
            time,
            0,
            None,
            json!({"kind": "validation", "loss": 3.43, "accuracy": 14.0 / 33.0, "n": 33}),
        );
        let noise = numbers(self.seed, (self.done + 1) * (self.members.len() + 1), 1.0);
        for step in 1..=self.done {
            time += 1.0;
            let share = step as f64 / self.steps as f64;
            for (place, name) in self.members.iter().enumerate() {
                let noise = f64::from(noise[step * self.members.len() + place]);
                let loss = 1.2 + 2.0 * (-4.0 * share).exp() + 0.1 * noise + 0.05 * place as f64;
                let lr = 3e-4 * (1.05 - share);
                let kind = json!({"kind": "train", "loss": loss, "lr": lr, "grad_norm": 0.5 + 0.1 * noise});
                line(time, step, Some(name), kind);
            }
            let speed = 52_000.0 + 800.0 * f64::from(noise[step]);
            line(
                time,
                step,
                None,
                json!({"kind": "throughput", "examples_per_s": speed / 80.0, "tokens_per_s": speed}),
            );
            if step.is_multiple_of(self.every) || step == self.steps {
                time += 3.0;
                for (place, name) in self.members.iter().enumerate() {
                    let right = (14.0 + 8.0 * share).round() + (place % 3) as f64;
                    let loss = 1.4 + 1.9 * (-4.0 * share).exp() - 0.03 * place as f64;
                    let kind = json!({"kind": "validation", "loss": loss, "accuracy": right / 33.0, "n": 33});
                    line(time, step, Some(name), kind);
                }
            }
        }
        match self.end {
            Some("finished") => {
                for name in &self.members {
                    let kind = json!({"kind": "saved", "path": format!("adapters/{name}")});
                    line(time + 1.0, self.done, Some(name), kind);
                }
                let best = self.members.last();
                let kind = json!({"kind": "end", "outcome": "finished", "best": best});
                line(time + 1.0, self.done, None, kind);
            }
            Some(outcome) => {
                let kind = json!({"kind": "end", "outcome": outcome, "error": "the disk is full"});
                line(time + 1.0, self.done, None, kind);
            }
            None => {}
        }
        text
    }

    /// A run folder `name` within `parent`.
    pub fn write(&self, parent: &Path, name: &str) -> PathBuf {
        let folder = parent.join(name);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("events.jsonl"), self.events()).expect("written");
        let ranks: Vec<String> = (self.members.iter())
            .map(|name| name.trim_start_matches('r').to_owned())
            .collect();
        let settings = format!(
            "data = \"data\"\nmodel = \"model\"\nout = \"run\"\nrank = [{}]\n",
            ranks.join(", ")
        );
        fs::write(folder.join("settings.toml"), settings).expect("written");
        folder
    }
}

/// Appends to a run's events.
pub fn append(folder: &Path, text: &str) {
    let path = folder.join("events.jsonl");
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .expect("written");
}
