//! Whether settings are valid: every fault at once, each with what was expected and found.

use std::fmt::{Debug, Display};

use verdict_model::{BaseQuantization, ComputeDtype};

use super::TrainSettings;
use crate::device::DeviceChoice;
use crate::error::{Error, Fault, Result};
use crate::grid::grid;
use crate::shard::Shard;

impl TrainSettings {
    /// Fails with every fault, in the order of the settings.
    pub fn validate(&self) -> Result<()> {
        let faults = self.faults();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Error::Settings {
                origin: "settings".into(),
                faults,
            })
        }
    }

    /// Every fault, in the order of the settings.
    pub fn faults(&self) -> Vec<Fault> {
        let mut check = Check::default();
        check.paths(self);
        check.grid(self);
        check.steps(self);
        check.optimization(self);
        check.selection(self);
        check.device(self);
        if let Some(shard) = &self.shard {
            check.shard(shard, self);
        }
        if let Some(slurm) = &self.slurm {
            check.faults.extend(slurm.faults());
        }
        check.faults
    }
}

fn positive(number: &f64) -> bool {
    number.is_finite() && *number > 0.0
}

/// Collects faults.
#[derive(Default)]
struct Check {
    faults: Vec<Fault>,
}

/// The checks, one method for each group of settings.
impl Check {
    fn paths(&mut self, settings: &TrainSettings) {
        let TrainSettings {
            data, model, out, ..
        } = settings;
        self.given("data", !data.as_os_str().is_empty(), "a data folder");
        self.given("model", !model.is_empty(), "a model");
        self.given("out", !out.as_os_str().is_empty(), "a run folder");
        for (key, path) in [("data", data), ("out", out)] {
            let utf8 = path.to_str().is_some();
            self.that(key, utf8, "a path in UTF-8", path.display());
        }
    }

    fn grid(&mut self, settings: &TrainSettings) {
        let rank = |rank: &usize| (1..=1024).contains(rank);
        self.list("rank", &settings.rank, rank, "a rank from 1 to 1024");
        self.list(
            "alpha_ratio",
            &settings.alpha_ratio,
            positive,
            "a multiple of the rank above 0",
        );
        self.list(
            "dropout",
            &settings.dropout,
            |probability| (0.0..1.0).contains(probability),
            "a probability from 0 to below 1",
        );
        self.list(
            "lr",
            &settings.lr,
            |lr| *lr > 0.0 && *lr <= 1.0,
            "a learning rate above 0 and at most 1",
        );
        self.list(
            "seed",
            &settings.seed,
            |seed| *seed <= i64::MAX as u64,
            "a seed of at most 63 bits",
        );
    }

    fn steps(&mut self, settings: &TrainSettings) {
        let (epochs, steps) = (settings.epochs, settings.steps);
        if let (Some(epochs), Some(steps)) = (epochs, steps) {
            self.fault(
                "epochs",
                format!("expected epochs or steps, found both ({epochs} and {steps})"),
            );
        }
        if let Some(epochs) = epochs {
            self.that("epochs", positive(&epochs), "a number above 0", epochs);
        }
        self.at_least("steps", steps, 1);
    }

    fn optimization(&mut self, settings: &TrainSettings) {
        self.at_least("batch", Some(settings.batch), 1);
        // Whether the longest example fits is checked when the examples are known.
        self.at_least("pass_tokens", settings.micro_batch_tokens, 1);
        let max_length = settings.max_length;
        self.that(
            "max_length",
            max_length >= 8,
            "at least 8 tokens",
            max_length,
        );
        let (warmup, clip) = (settings.warmup, settings.clip);
        self.that(
            "warmup",
            (0.0..1.0).contains(&warmup),
            "a ratio from 0 to below 1",
            warmup,
        );
        let weight = settings.rationale_weight;
        self.that(
            "rationale_weight",
            weight.is_finite() && weight >= 0.0,
            "a weight from 0",
            weight,
        );
        if let Some(path) = &settings.init_adapter {
            let one = settings.rank.len() == 1;
            self.that(
                "init_adapter",
                one,
                "one rank, that of the adapter, with it",
                format!("{} ranks", settings.rank.len()),
            );
            self.that(
                "init_adapter",
                path.to_str().is_some(),
                "a path in UTF-8",
                path.display(),
            );
        }
        self.that("clip", clip == 0.0 || positive(&clip), "0 or more", clip);
    }

    fn selection(&mut self, settings: &TrainSettings) {
        self.at_least("validate_every", Some(settings.validate_every), 1);
        let folds = settings.folds.unwrap_or(0);
        for (key, given, least) in [
            ("patience", settings.patience, 1),
            ("halving", settings.halving, 2),
        ] {
            self.at_least(key, given, least);
            if let Some(found) = given {
                let expected =
                    "none with folds, because early stopping would select on the held-out fold";
                self.that(key, folds == 0, expected, found);
            }
        }
        self.that("folds", folds == 0 || folds >= 3, "0 or at least 3", folds);
        self.at_least("repeats", settings.repeats, 1);
        if let Some(repeats) = settings.repeats {
            let without_folds = folds == 0 && repeats > 1;
            self.that("repeats", !without_folds, "1 without folds", repeats);
        }
    }

    fn device(&mut self, settings: &TrainSettings) {
        let (base, compute) = (settings.base, settings.compute);
        let cpu = settings.device == DeviceChoice::Cpu;
        let gpu = matches!(settings.device, DeviceChoice::Cuda(_));
        self.that(
            "base",
            !(cpu && matches!(base, BaseQuantization::Fp8 | BaseQuantization::Nf4)),
            "int8, bf16 or f32 on a CPU (nf4 needs a GPU, fp8 one of compute capability 9.0)",
            base,
        );
        self.that(
            "base",
            !(gpu && base == BaseQuantization::F32),
            "int8, bf16, fp8 or nf4 on a GPU",
            "f32",
        );
        self.that(
            "compute",
            !(gpu && matches!(compute, Some(ComputeDtype::F32 | ComputeDtype::Int16))),
            "auto or bf16 on a GPU",
            super::compute::name(compute),
        );
        self.that(
            "compute",
            compute != Some(ComputeDtype::Int16) || base == BaseQuantization::Int8,
            "auto, bf16 or f32 with a base that is not int8",
            super::compute::name(compute),
        );
        if let Some(memory) = settings.memory_gib {
            self.that("memory_gib", positive(&memory), "GiB above 0", memory);
        }
        self.at_least("threads", settings.threads, 1);
    }

    fn shard(&mut self, shard: &Shard, settings: &TrainSettings) {
        let Shard {
            index,
            of,
            adapters,
        } = shard;
        let within = (1..=*of).contains(index);
        self.that(
            "shard",
            within,
            "a number from 1 to the number of shards",
            format!("{index} of {of}"),
        );
        let whole: Vec<String> = grid(settings).into_iter().map(|of| of.name).collect();
        if let Some(name) = adapters.iter().find(|name| !whole.contains(name)) {
            self.fault(
                "shard",
                format!("expected adapters of the grid, found {name:?}"),
            );
        }
        let some = !adapters.is_empty();
        self.that("shard", some, "at least one adapter", "none");
        // Comparing adapters requires that all of them are trained by one process.
        for (key, given) in [("folds", settings.folds), ("halving", settings.halving)] {
            if let Some(found) = given.filter(|found| *found > 0) {
                self.that(
                    key,
                    false,
                    "none with shards, which cannot compare their adapters",
                    found,
                );
            }
        }
    }
}

/// The tools of the checks.
impl Check {
    fn fault(&mut self, key: &str, text: String) {
        self.faults.push(Fault::new(key, text));
    }

    fn given(&mut self, key: &str, given: bool, expected: &str) {
        if !given {
            self.fault(key, format!("expected {expected}, found none"));
        }
    }

    fn that(&mut self, key: &str, holds: bool, expected: &str, found: impl Display) {
        if !holds {
            self.fault(key, format!("expected {expected}, found {found}"));
        }
    }

    fn at_least(&mut self, key: &str, given: Option<usize>, least: usize) {
        if let Some(found) = given {
            self.that(key, found >= least, &format!("at least {least}"), found);
        }
    }

    fn list<T: Debug + PartialEq>(
        &mut self,
        key: &str,
        values: &[T],
        valid: impl Fn(&T) -> bool,
        expected: &str,
    ) {
        self.given(key, !values.is_empty(), expected);
        for (index, value) in values.iter().enumerate() {
            if !valid(value) {
                self.fault(key, format!("expected {expected}, found {value:?}"));
            } else if values[..index].contains(value) {
                self.fault(
                    key,
                    format!("expected each value once, found {value:?} again"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> TrainSettings {
        TrainSettings {
            data: "data".into(),
            model: "model".into(),
            out: "run".into(),
            ..TrainSettings::default()
        }
    }

    #[test]
    fn the_defaults_with_data_model_and_out_are_valid() {
        valid().validate().unwrap();
        valid().resolved().validate().unwrap();
    }

    #[test]
    fn one_fault_is_one_line() {
        let settings = TrainSettings {
            batch: 0,
            ..valid()
        };
        insta::assert_snapshot!(settings.validate().unwrap_err(), @r#"
        settings: batch: expected at least 1, found 0
        "#);
    }

    #[test]
    fn f32_is_refused_on_a_gpu() {
        let settings = |device: &str| TrainSettings {
            base: BaseQuantization::F32,
            compute: Some(ComputeDtype::F32),
            device: device.parse().unwrap(),
            ..valid()
        };
        settings("cpu").validate().unwrap();
        settings("auto").validate().unwrap();
        insta::assert_snapshot!(settings("cuda:0").validate().unwrap_err(), @r#"
        settings: 2 faults:
          base: expected int8, bf16, fp8 or nf4 on a GPU, found f32
          compute: expected auto or bf16 on a GPU, found f32
        "#);
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let settings = TrainSettings {
            data: "".into(),
            model: "".into(),
            out: "".into(),
            rank: vec![0, 16, 16, 2000],
            alpha_ratio: vec![0.0],
            dropout: vec![1.0, f64::NAN],
            lr: vec![],
            seed: vec![u64::MAX],
            epochs: Some(-1.0),
            steps: Some(0),
            batch: 0,
            micro_batch_tokens: Some(0),
            max_length: 4,
            warmup: 1.5,
            clip: f64::INFINITY,
            validate_every: 0,
            base: BaseQuantization::Fp8,
            device: DeviceChoice::Cpu,
            memory_gib: Some(f64::NAN),
            threads: Some(0),
            ..TrainSettings::default()
        };
        insta::assert_snapshot!(settings.validate().unwrap_err(), @r#"
        settings: 23 faults:
          data: expected a data folder, found none
          model: expected a model, found none
          out: expected a run folder, found none
          rank: expected a rank from 1 to 1024, found 0
          rank: expected each value once, found 16 again
          rank: expected a rank from 1 to 1024, found 2000
          alpha_ratio: expected a multiple of the rank above 0, found 0.0
          dropout: expected a probability from 0 to below 1, found 1.0
          dropout: expected a probability from 0 to below 1, found NaN
          lr: expected a learning rate above 0 and at most 1, found none
          seed: expected a seed of at most 63 bits, found 18446744073709551615
          epochs: expected epochs or steps, found both (-1 and 0)
          epochs: expected a number above 0, found -1
          steps: expected at least 1, found 0
          batch: expected at least 1, found 0
          pass_tokens: expected at least 1, found 0
          max_length: expected at least 8 tokens, found 4
          warmup: expected a ratio from 0 to below 1, found 1.5
          clip: expected 0 or more, found inf
          validate_every: expected at least 1, found 0
          base: expected int8, bf16 or f32 on a CPU (nf4 needs a GPU, fp8 one of compute capability 9.0), found fp8
          memory_gib: expected GiB above 0, found NaN
          threads: expected at least 1, found 0
        "#);
    }
}
