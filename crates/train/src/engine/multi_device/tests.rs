//! Several engines that only record their calls.

use std::sync::{Arc, Barrier};

use verdict_model::formats::Adapter;

use super::*;

/// An engine that records its calls in order.
#[derive(Default)]
struct RecordingEngine {
    names: Vec<String>,
    calls: Vec<String>,
    broken: bool,
    /// Waited for in each `accumulate`, so that it returns only when two engines call it in parallel.
    together: Option<Arc<Barrier>>,
    micro_batch_tokens: usize,
}

impl RecordingEngine {
    fn name(&self, adapter: Option<usize>) -> &str {
        adapter.map_or("base", |adapter| &self.names[adapter])
    }

    /// The losses identify adapter and tokens.
    fn losses(&self, examples: &[Example<'_>]) -> Vec<ExampleLoss> {
        assert!(examples.is_sorted_by_key(|example| example.adapter));
        let loss = |example: &Example<'_>| ExampleLoss {
            loss_sum: f64::from(example.tokens[0]),
            tokens: example.tokens.len(),
            probes: vec![self.name(example.adapter).len() as f32],
        };
        examples.iter().map(loss).collect()
    }

    fn described(&self, what: &str, examples: &[Example<'_>]) -> String {
        let seen = examples
            .iter()
            .map(|example| format!(" {}:{}", self.name(example.adapter), example.tokens[0]));
        format!("{what}{}", seen.collect::<String>())
    }
}

impl TrainingEngine for RecordingEngine {
    fn initialize(&mut self, adapter: usize, _from: &Adapter) -> Result<(), EngineError> {
        self.calls
            .push(format!("initialize {}", self.names[adapter]));
        Ok(())
    }

    fn create(&mut self, spec: &AdapterSpec) -> Result<usize, EngineError> {
        self.names.push(spec.name.clone());
        Ok(self.names.len() - 1)
    }

    fn accumulate(
        &mut self,
        examples: &[Example<'_>],
        _probes: &[u32],
    ) -> Result<Vec<ExampleLoss>, EngineError> {
        if let Some(together) = &self.together {
            together.wait();
        }
        if self.broken {
            return Err("out of memory".into());
        }
        self.calls.push(self.described("accumulate", examples));
        Ok(self.losses(examples))
    }

    fn step(&mut self, rates: &[Rate]) -> Result<Vec<f32>, EngineError> {
        let one = |rate: &Rate| format!(" {}@{}", self.names[rate.adapter], rate.lr);
        let rates_text = rates.iter().map(one).collect::<String>();
        self.calls.push(format!("step{rates_text}"));
        Ok(rates.iter().map(|rate| 10.0 * rate.lr).collect())
    }

    fn evaluate(
        &self,
        examples: &[Example<'_>],
        _probes: &[u32],
    ) -> Result<Vec<ExampleLoss>, EngineError> {
        Ok(self.losses(examples))
    }

    fn state(&self, adapter: usize) -> Result<AdapterState, EngineError> {
        Err(format!("the state of {}", self.names[adapter]).into())
    }

    fn restore(&mut self, adapter: usize, _state: &AdapterState) -> Result<(), EngineError> {
        Err(format!("restoring {}", self.names[adapter]).into())
    }

    fn save(&self, adapter: usize, dir: &Path) -> Result<(), EngineError> {
        Err(format!("{} to {}", self.names[adapter], dir.display()).into())
    }

    fn micro_batch_tokens(&self) -> usize {
        self.micro_batch_tokens
    }
}

fn spec(rank: usize, number: usize) -> AdapterSpec {
    AdapterSpec {
        name: format!("r{rank}-{number}"),
        rank,
        alpha: 2.0 * rank as f32,
        dropout: 0.0,
        seed: number as u64,
    }
}

fn specs(ranks: &[usize]) -> Vec<AdapterSpec> {
    let numbered = ranks.iter().enumerate();
    numbered.map(|(number, rank)| spec(*rank, number)).collect()
}

fn engine(engines: Vec<RecordingEngine>, ranks: &[usize]) -> MultiDeviceEngine<RecordingEngine> {
    let specs = specs(ranks);
    let mut engine = MultiDeviceEngine::new(engines, &specs);
    for (index, spec) in specs.iter().enumerate() {
        assert_eq!(engine.create(spec).expect("planned"), index);
    }
    engine
}

fn two() -> Vec<RecordingEngine> {
    vec![RecordingEngine::default(), RecordingEngine::default()]
}

fn example(adapter: Option<usize>, tokens: &[u32]) -> Example<'_> {
    Example {
        adapter,
        tokens,
        loss_from: 1,
        weight: 1.0,
        rest: None,
        key: 0,
    }
}

#[test]
fn adapters_are_assigned_so_that_costs_are_balanced() {
    let ranks = [4, 8, 16, 32, 64, 128, 4, 8];
    for devices in 1..=4 {
        let assigned = assign_devices(&specs(&ranks), devices);
        let mut load = vec![0; devices];
        for (rank, device) in ranks.iter().zip(&assigned) {
            load[*device] += 64 + rank;
        }
        let most = load.iter().max().expect("devices");
        let share = load.iter().sum::<usize>() as f64 / devices as f64;
        // Longest first is at most 4/3 of the best (Graham 1969), which is at least the even share.
        assert!(*most as f64 <= 4.0 / 3.0 * share, "{devices}: {load:?}");
    }
    // 128 and 64 are separated; 32 joins 64, whose device has the lower cost (64 + 64).
    assert_eq!(assign_devices(&specs(&[32, 64, 128]), 2), [1, 1, 0]);
    // Equal adapters are assigned in turn, the first to the first device.
    assert_eq!(
        assign_devices(&specs(&[16, 16, 16, 16, 16]), 2),
        [0, 1, 0, 1, 0]
    );
    assert_eq!(
        assign_devices(&specs(&[16]), 8),
        [0],
        "more devices than adapters"
    );
}

#[test]
fn examples_go_to_their_adapters_devices_and_results_come_back_in_order() {
    let mut engine = engine(two(), &[4, 128, 8, 16]);
    let devices: Vec<usize> = (0..4)
        .map(|adapter| engine.device_of(Some(adapter)))
        .collect();
    assert_eq!(devices, [1, 0, 1, 1]);
    assert_eq!(engine.device_of(None), 0, "the bare base model");

    let tokens: Vec<Vec<u32>> = (0..6)
        .map(|first| vec![first; first as usize + 1])
        .collect();
    let examples: Vec<Example<'_>> = [None, Some(0), Some(1), Some(1), Some(2), Some(3)]
        .into_iter()
        .zip(&tokens)
        .map(|(adapter, tokens)| example(adapter, tokens))
        .collect();
    let names = ["base", "r4-0", "r128-1", "r128-1", "r8-2", "r16-3"];
    let expected: Vec<ExampleLoss> = tokens
        .iter()
        .zip(names)
        .map(|(tokens, name)| ExampleLoss {
            loss_sum: f64::from(tokens[0]),
            tokens: tokens.len(),
            probes: vec![name.len() as f32],
        })
        .collect();
    assert_eq!(engine.accumulate(&examples, &[]).expect("good"), expected);
    assert_eq!(engine.evaluate(&examples, &[]).expect("good"), expected);

    let rates: Vec<Rate> = [3, 1, 0]
        .map(|adapter| Rate {
            adapter,
            lr: adapter as f32 + 0.5,
            clip: 1.0,
        })
        .to_vec();
    assert_eq!(engine.step(&rates).expect("good"), [35.0, 15.0, 5.0]);

    let calls: Vec<Vec<String>> = engine
        .devices
        .iter()
        .map(|device| lock(device).calls.clone())
        .collect();
    assert_eq!(
        calls,
        [
            vec!["accumulate base:0 r128-1:2 r128-1:3", "step r128-1@1.5"],
            vec![
                "accumulate r4-0:1 r8-2:4 r16-3:5",
                "step r16-3@3.5 r4-0@0.5"
            ],
        ]
    );
    let saved = engine
        .save(2, Path::new("out"))
        .expect_err("it cannot save");
    assert_eq!(saved.to_string(), "r8-2 to out");
}

#[test]
fn a_device_without_work_is_not_called() {
    let mut engine = engine(two(), &[16, 16]);
    let tokens = [7];
    engine
        .accumulate(&[example(Some(1), &tokens)], &[])
        .expect("good");
    assert_eq!(lock(&engine.devices[0]).calls, Vec::<String>::new());
    assert_eq!(lock(&engine.devices[1]).calls, ["accumulate r16-1:7"]);
}

#[test]
fn devices_work_in_parallel() {
    // Either would wait forever without the other.
    let barrier = Arc::new(Barrier::new(2));
    let engines = [(); 2].map(|()| RecordingEngine {
        together: Some(Arc::clone(&barrier)),
        ..RecordingEngine::default()
    });
    let mut engine = engine(engines.into(), &[16, 16]);
    let tokens = [7];
    let examples = [example(Some(0), &tokens), example(Some(1), &tokens)];
    assert_eq!(engine.accumulate(&examples, &[]).expect("good").len(), 2);
}

#[test]
fn an_error_of_one_device_is_returned() {
    let broken = RecordingEngine {
        broken: true,
        ..RecordingEngine::default()
    };
    let mut engine = engine(vec![RecordingEngine::default(), broken], &[16, 16]);
    let tokens = [7];
    let examples = [example(Some(0), &tokens), example(Some(1), &tokens)];
    let fault = engine
        .accumulate(&examples, &[])
        .expect_err("one is broken");
    assert_eq!(fault.to_string(), "out of memory");
    let fault = engine.accumulate(&[example(Some(5), &tokens)], &[]);
    let fault = fault.expect_err("no such adapter");
    assert_eq!(fault.to_string(), "expected an adapter below 2, found 5");
}

#[test]
fn adapters_in_another_order_are_refused() {
    let mut engine = MultiDeviceEngine::new(vec![RecordingEngine::default()], &specs(&[4, 8]));
    let fault = engine.create(&spec(8, 1)).expect_err("4 comes first");
    assert_eq!(
        fault.to_string(),
        "expected r4-0 as the next adapter, found r8-1"
    );
    engine.create(&spec(4, 0)).expect("planned");
    engine.create(&spec(8, 1)).expect("planned");
    let fault = engine.create(&spec(8, 1)).expect_err("one too many");
    assert_eq!(fault.to_string(), "expected no more adapters, found r8-1");
}

#[test]
fn the_smallest_device_bounds_a_micro_batch() {
    let of = |micro_batch_tokens| RecordingEngine {
        micro_batch_tokens,
        ..RecordingEngine::default()
    };
    assert_eq!(
        engine(vec![of(4096), of(2048)], &[4]).micro_batch_tokens(),
        2048
    );
}
