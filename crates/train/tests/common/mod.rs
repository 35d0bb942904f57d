//! A small deterministic engine for tests: softmax regression on the last and the first token, which is
//! convex, so that its loss falls; and examples for it to learn.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use verdict_common::random::mix;
use verdict_model::formats::Adapter;
use verdict_train::engine::{AdapterSpec, AdapterState, Example, ExampleLoss, Rate};
use verdict_train::error::EngineError;
use verdict_train::{
    Event, NewRun, Provenance, Result, RunSummary, TokenizedExample, TrainSettings, TrainingEngine,
    TrainingSet, train,
};

/// Tokens of the toy language.
pub const VOCAB: usize = 24;
/// First tokens of the three answers.
pub const PROBES: [u32; 3] = [3, 4, 5];

/// Weights `[2, VOCAB, VOCAB]`: logit of a token given the last token, and given the first.
pub struct Toy {
    spec: AdapterSpec,
    weights: Vec<f32>,
    gradient: Vec<f32>,
    momentum: Vec<f32>,
    square: Vec<f32>,
    steps: i32,
}

/// The engine, with configurable failures.
#[derive(Default)]
pub struct ToyEngine {
    /// The adapters.
    pub toys: Vec<Toy>,
    /// Adapter whose losses are NaN after this many steps.
    pub poisoned: Option<(String, i32)>,
    /// Adapter whose gradient norm is infinite after this many steps.
    pub exploding: Option<(String, i32)>,
    /// The micro-batch, from 1, that fails.
    pub failing_call: Option<usize>,
    /// Adapter that cannot be saved.
    pub full_disk: Option<String>,
    /// Calls of `accumulate`.
    pub accumulate_calls: usize,
    /// Calls of `accumulate` and `evaluate`.
    pub calls: AtomicUsize,
    /// Sets a flag at this call, from 1.
    pub flag_at: Option<(usize, Arc<AtomicBool>)>,
}

impl ToyEngine {
    fn called(&self) {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some((at, flag)) = &self.flag_at
            && *at == call
        {
            flag.store(true, Ordering::Relaxed);
        }
    }

    fn forward(
        &self,
        example: &Example<'_>,
        probes: &[u32],
        learn: bool,
        mut row: impl FnMut(&[(usize, f32)], &[f32], usize),
    ) -> ExampleLoss {
        let toy = example.adapter.map(|adapter| &self.toys[adapter]);
        let tokens = example.tokens;
        let mut loss = ExampleLoss {
            loss_sum: 0.0,
            tokens: 0,
            probes: Vec::new(),
        };
        for place in example.loss_from..tokens.len() {
            let inputs = [tokens[place - 1] as usize, VOCAB + tokens[0] as usize];
            let keep = |input: usize| match toy {
                Some(toy) if learn => {
                    let name =
                        toy.spec.seed ^ example.key.rotate_left(17) ^ (place * 64 + input) as u64;
                    let drawn = (mix(name) >> 40) as f32 / (1u64 << 24) as f32;
                    if drawn < toy.spec.dropout {
                        0.0
                    } else {
                        1.0 / (1.0 - toy.spec.dropout)
                    }
                }
                _ => 1.0,
            };
            let inputs = inputs.map(|input| (input, keep(input)));
            let logit = |token: usize| -> f32 {
                let Some(toy) = toy else { return 0.0 };
                inputs
                    .iter()
                    .map(|(input, x)| x * toy.weights[input * VOCAB + token])
                    .sum()
            };
            let logits: Vec<f32> = (0..VOCAB).map(logit).collect();
            let total = logits.iter().map(|z| f64::from(*z).exp()).sum::<f64>().ln();
            loss.loss_sum += total - f64::from(logits[tokens[place] as usize]);
            loss.tokens += 1;
            if place == example.loss_from {
                loss.probes = probes.iter().map(|token| logits[*token as usize]).collect();
            }
            let chances: Vec<f32> = logits
                .iter()
                .map(|z| (f64::from(*z) - total).exp() as f32)
                .collect();
            row(&inputs, &chances, tokens[place] as usize);
        }
        if let (Some(toy), Some((name, steps))) = (toy, &self.poisoned)
            && toy.spec.name == *name
            && toy.steps >= *steps
        {
            loss.loss_sum = f64::NAN;
        }
        loss
    }
}

impl TrainingEngine for ToyEngine {
    fn initialize(&mut self, _adapter: usize, _from: &Adapter) -> Result<(), EngineError> {
        unimplemented!("toys start from their seeds")
    }

    fn create(&mut self, spec: &AdapterSpec) -> Result<usize, EngineError> {
        let size = 2 * VOCAB * VOCAB;
        let start = |place: usize| {
            let drawn = mix(spec.seed ^ ((spec.rank as u64) << 32) ^ place as u64);
            ((drawn >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 0.01
        };
        self.toys.push(Toy {
            spec: spec.clone(),
            weights: (0..size).map(start).collect(),
            gradient: vec![0.0; size],
            momentum: vec![0.0; size],
            square: vec![0.0; size],
            steps: 0,
        });
        Ok(self.toys.len() - 1)
    }

    /// Each adapter's gradient of a call is summed from zero and added once, so that the boundaries between
    /// calls affect the last bits.
    fn accumulate(
        &mut self,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>, EngineError> {
        self.called();
        self.accumulate_calls += 1;
        if self.failing_call == Some(self.accumulate_calls) {
            return Err("the toy broke".into());
        }
        let sorted = examples.is_sorted_by_key(|example| example.adapter);
        assert!(sorted, "the examples of one call are sorted by adapter");
        let mut losses = Vec::new();
        let mut sums = vec![Vec::new(); self.toys.len()];
        for example in examples {
            let adapter = example.adapter.expect("only adapters learn");
            let sum = &mut sums[adapter];
            sum.resize(2 * VOCAB * VOCAB, 0.0f32);
            losses.push(
                self.forward(example, probes, true, |inputs, chances, target| {
                    for (input, x) in inputs {
                        for token in 0..VOCAB {
                            let hit = if token == target { 1.0 } else { 0.0 };
                            sum[input * VOCAB + token] +=
                                example.weight * x * (chances[token] - hit);
                        }
                    }
                }),
            );
        }
        for (toy, sum) in self.toys.iter_mut().zip(sums) {
            toy.gradient
                .iter_mut()
                .zip(sum)
                .for_each(|(gradient, sum)| *gradient += sum);
        }
        Ok(losses)
    }

    fn step(&mut self, rates: &[Rate]) -> Result<Vec<f32>, EngineError> {
        let mut norms = Vec::new();
        for rate in rates {
            let toy = &mut self.toys[rate.adapter];
            let norm = toy.gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
            let scale = (rate.clip / norm).min(1.0);
            toy.steps += 1;
            for place in 0..toy.weights.len() {
                let g = toy.gradient[place] * scale;
                toy.momentum[place] = 0.9 * toy.momentum[place] + 0.1 * g;
                toy.square[place] = 0.999 * toy.square[place] + 0.001 * g * g;
                let m = toy.momentum[place] / (1.0 - 0.9f32.powi(toy.steps));
                let v = toy.square[place] / (1.0 - 0.999f32.powi(toy.steps));
                toy.weights[place] -= rate.lr * m / (v.sqrt() + 1e-8);
            }
            toy.gradient.fill(0.0);
            let explodes = self
                .exploding
                .as_ref()
                .is_some_and(|(name, steps)| toy.spec.name == *name && toy.steps > *steps);
            norms.push(if explodes { f32::INFINITY } else { norm });
        }
        Ok(norms)
    }

    fn evaluate(
        &self,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>, EngineError> {
        self.called();
        let one = |example| self.forward(example, probes, false, |_, _, _| {});
        Ok(examples.iter().map(one).collect())
    }

    fn state(&self, adapter: usize) -> Result<AdapterState, EngineError> {
        let toy = &self.toys[adapter];
        Ok(AdapterState {
            steps: toy.steps as u32,
            weights: toy.weights.clone(),
            m: toy.momentum.clone(),
            v: toy.square.clone(),
        })
    }

    fn restore(&mut self, adapter: usize, state: &AdapterState) -> Result<(), EngineError> {
        let toy = &mut self.toys[adapter];
        let or_zeros = |row: &Vec<f32>| match row.is_empty() {
            true => vec![0.0; state.weights.len()],
            false => row.clone(),
        };
        toy.steps = state.steps as i32;
        toy.weights = state.weights.clone();
        toy.momentum = or_zeros(&state.m);
        toy.square = or_zeros(&state.v);
        toy.gradient.fill(0.0);
        Ok(())
    }

    fn save(&self, adapter: usize, dir: &Path) -> Result<(), EngineError> {
        let toy = &self.toys[adapter];
        std::fs::create_dir(dir)?;
        std::fs::write(
            dir.join("adapter_config.json"),
            format!("{{\"r\": {}}}\n", toy.spec.rank),
        )?;
        if self.full_disk.as_ref() == Some(&toy.spec.name) {
            return Err(Box::new(std::io::Error::from(
                std::io::ErrorKind::StorageFull,
            )));
        }
        let bytes: Vec<u8> = toy
            .weights
            .iter()
            .flat_map(|weight| weight.to_le_bytes())
            .collect();
        std::fs::write(dir.join("adapter_model.safetensors"), bytes)?;
        Ok(())
    }
}

/// `n` examples of different lengths; the first token determines the label, except for the sixth example of the validation
/// set, whose label is another: a model that is too sure of its labels grows worse there.
fn rows_of(name: &str, n: usize) -> Vec<TokenizedExample> {
    let row = |place: usize| {
        let mut tokens = vec![20 + (place % 3) as u32];
        let odd = name == "validation" && place == 5;
        let label = (place + usize::from(odd)) % 3;
        tokens.extend((0..place % 7).map(|filler| 6 + (filler + place) as u32 % 10));
        tokens.push(1);
        let prompt_tokens = tokens.len();
        tokens.push(PROBES[label]);
        tokens.extend((0..2 + place % 4).map(|word| 16 + (word as u32 + label as u32) % 4));
        tokens.push(0);
        TokenizedExample {
            id: format!("{name}-{place}"),
            group: format!("{name}-{place}"),
            tokens,
            prompt_tokens,
            label_tokens: 1,
            label,
            weight: 1.0,
        }
    };
    (0..n).map(row).collect()
}

/// 50 training examples and 12 validation examples.
pub fn rows() -> TrainingSet {
    TrainingSet {
        train: rows_of("train", 50),
        validation: rows_of("validation", 12),
        label_tokens: PROBES.to_vec(),
        cuts: Default::default(),
        label_tails: Default::default(),
    }
}

/// Small settings for a run in `out`.
pub fn settings(out: &Path) -> TrainSettings {
    TrainSettings {
        data: "data".into(),
        model: "toy".into(),
        out: out.to_path_buf(),
        rank: vec![4],
        lr: vec![0.05],
        steps: Some(30),
        micro_batch_tokens: Some(64),
        max_length: 32,
        validate_every: 10,
        ..TrainSettings::default()
    }
}

/// Hashes that stand for a model and a data set.
pub fn provenance() -> Provenance {
    Provenance {
        data_manifest_sha256: "d".repeat(64),
        model_sha256: "e".repeat(64),
        init_adapter_sha256: None,
        data: None,
        model: None,
    }
}

/// Trains with the toy engine; returns all events.
pub fn run_with(
    settings: &TrainSettings,
    engine: &mut ToyEngine,
    overwrite: bool,
) -> (Result<RunSummary>, Vec<Event>) {
    run_on(&rows(), settings, engine, overwrite)
}

/// Trains with the toy engine on these examples; returns all events.
pub fn run_on(
    rows: &TrainingSet,
    settings: &TrainSettings,
    engine: &mut ToyEngine,
    overwrite: bool,
) -> (Result<RunSummary>, Vec<Event>) {
    let mut events = Vec::new();
    let result = NewRun::create(settings, overwrite).and_then(|run| {
        let mut observer = |event: &Event| events.push(event.clone());
        let stop = AtomicBool::new(false);
        train(run, rows, &provenance(), engine, &mut observer, &stop)
    });
    (result, events)
}

/// The content of a finished run: adapters, events without times and throughput, and everything else.
pub fn outcome(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |name: String| {
        let bytes = std::fs::read(dir.join(&name)).unwrap();
        let bytes = match name.as_str() {
            "events.jsonl" => timeless(&String::from_utf8(bytes).unwrap()).into_bytes(),
            _ => bytes,
        };
        (name, bytes)
    };
    tree(dir).into_iter().map(read).collect()
}

/// Lines of events without times and throughput.
fn timeless(events: &str) -> String {
    let line = |line: &str| {
        let mut event: serde_json::Value = serde_json::from_str(line).unwrap();
        let fields = event.as_object_mut().unwrap();
        for name in ["time", "examples_per_s", "tokens_per_s"] {
            fields.remove(name);
        }
        format!("{event}\n")
    };
    events.lines().map(line).collect()
}

/// Trains with a toy engine without failures; the run must finish.
pub fn run(settings: &TrainSettings) -> RunSummary {
    run_with(settings, &mut ToyEngine::default(), false)
        .0
        .expect("a sound run finishes")
}

/// Bytes of an adapter.
pub fn adapter_bytes(dir: &Path, name: &str) -> Vec<u8> {
    let path = dir
        .join("adapters")
        .join(name)
        .join("adapter_model.safetensors");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every path below `dir`, sorted, with `/`.
pub fn tree(dir: &Path) -> Vec<String> {
    fn walk(root: &Path, dir: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                let path = path.strip_prefix(root).unwrap();
                found.push(path.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    let mut found = Vec::new();
    walk(dir, dir, &mut found);
    found.sort();
    found
}
