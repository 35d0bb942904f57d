//! Whether settings can be used: every fault at once, each with what was expected and found.

use std::fmt::{Debug, Display};

use verdict_model::{BaseQuantization, ComputeDtype};

use super::TrainSettings;
use crate::device::DeviceChoice;
use crate::error::{Error, Fault, Result};
use crate::grid::grid;
use crate::shard::Shard;

impl TrainSettings {
    /// Fails with every fault there is, in the order of the settings.
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
        check.given("data", !self.data.as_os_str().is_empty(), "a data folder");
        check.given("model", !self.model.is_empty(), "a model");
        check.given("out", !self.out.as_os_str().is_empty(), "a run folder");
        for (key, path) in [("data", &self.data), ("out", &self.out)] {
            check.that(
                key,
                path.to_str().is_some(),
                "a path in UTF-8",
                path.display(),
            );
        }
        check.list(
            "rank",
            &self.rank,
            |&rank| (1..=1024).contains(&rank),
            "a rank of 1 to 1024",
        );
        check.list(
            "alpha_ratio",
            &self.alpha_ratio,
            positive,
            "a multiple of the rank above 0",
        );
        check.list(
            "dropout",
            &self.dropout,
            |p| (0.0..1.0).contains(p),
            "a share from 0 to below 1",
        );
        check.list(
            "lr",
            &self.lr,
            |&lr| lr > 0.0 && lr <= 1.0,
            "a rate above 0 and up to 1",
        );
        let most = i64::MAX as u64;
        check.list(
            "seed",
            &self.seed,
            |&seed| seed <= most,
            "a seed of at most 63 bits",
        );
        if let (Some(epochs), Some(steps)) = (self.epochs, self.steps) {
            check.fault(
                "epochs",
                format!("expected epochs or steps, found both ({epochs} and {steps})"),
            );
        }
        if let Some(epochs) = self.epochs {
            check.that("epochs", positive(&epochs), "a number above 0", epochs);
        }
        if let Some(steps) = self.steps {
            check.that("steps", steps >= 1, "at least 1", steps);
        }
        check.that("batch", self.batch >= 1, "at least 1", self.batch);
        if let Some(pass_tokens) = self.pass_tokens {
            // That the longest row fits is seen when the rows are there.
            check.that("pass_tokens", pass_tokens >= 1, "at least 1", pass_tokens);
        }
        check.that(
            "max_length",
            self.max_length >= 8,
            "at least 8 tokens",
            self.max_length,
        );
        check.that(
            "warmup",
            (0.0..1.0).contains(&self.warmup),
            "a share from 0 to below 1",
            self.warmup,
        );
        check.that(
            "clip",
            self.clip == 0.0 || positive(&self.clip),
            "0 or more",
            self.clip,
        );
        check.that(
            "validate_every",
            self.validate_every >= 1,
            "at least 1",
            self.validate_every,
        );
        let folds = self.folds.unwrap_or(0);
        for (key, given, least) in [("patience", self.patience, 1), ("halving", self.halving, 2)] {
            let Some(found) = given else { continue };
            check.that(key, found >= least, &format!("at least {least}"), found);
            // What says when to stop may not judge as well.
            let wanted = "none with folds, whose rows are kept for judging";
            check.that(key, folds == 0, wanted, found);
        }
        check.that("folds", folds == 0 || folds >= 3, "0 or at least 3", folds);
        if let Some(repeats) = self.repeats {
            check.that("repeats", repeats >= 1, "at least 1", repeats);
            let alone = folds == 0 && repeats > 1;
            check.that("repeats", !alone, "1 without folds", repeats);
        }
        check.that(
            "base",
            !(self.device == DeviceChoice::Cpu
                && matches!(self.base, BaseQuantization::Fp8 | BaseQuantization::Nf4)),
            "int8, bf16 or f32 on a CPU (nf4 needs a GPU, fp8 one of compute capability 9.0)",
            self.base,
        );
        let gpu = matches!(self.device, DeviceChoice::Cuda(_));
        check.that(
            "base",
            !(gpu && self.base == BaseQuantization::F32),
            "int8, bf16, fp8 or nf4 on a GPU",
            "f32",
        );
        check.that(
            "compute",
            !(gpu && self.compute == Some(ComputeDtype::F32)),
            "auto or bf16 on a GPU",
            "f32",
        );
        if let Some(memory_gib) = self.memory_gib {
            check.that(
                "memory_gib",
                positive(&memory_gib),
                "GiB above 0",
                memory_gib,
            );
        }
        if let Some(threads) = self.threads {
            check.that("threads", threads >= 1, "at least 1", threads);
        }
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

#[derive(Default)]
struct Check {
    faults: Vec<Fault>,
}

impl Check {
    fn fault(&mut self, key: &str, text: String) {
        self.faults.push(Fault {
            key: key.to_owned(),
            text,
        });
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
            "a part from 1 to their number",
            format!("{index} of {of}"),
        );
        let whole: Vec<String> = grid(settings).into_iter().map(|of| of.name).collect();
        let strange = adapters.iter().find(|name| !whole.contains(name));
        if let Some(name) = strange {
            self.fault(
                "shard",
                format!("expected members of the grid, found {name:?}"),
            );
        }
        self.that("shard", !adapters.is_empty(), "at least one member", "none");
        // What compares members needs all of them in one batch.
        for (key, given) in [("folds", settings.folds), ("halving", settings.halving)] {
            if let Some(found) = given.filter(|found| *found > 0) {
                self.that(
                    key,
                    false,
                    "none with shards, which know nothing of each other",
                    found,
                );
            }
        }
    }

    fn given(&mut self, key: &str, given: bool, wanted: &str) {
        if !given {
            self.fault(key, format!("expected {wanted}, found none"));
        }
    }

    fn that(&mut self, key: &str, holds: bool, wanted: &str, found: impl Display) {
        if !holds {
            self.fault(key, format!("expected {wanted}, found {found}"));
        }
    }

    fn list<T: Debug + PartialEq>(
        &mut self,
        key: &str,
        values: &[T],
        good: impl Fn(&T) -> bool,
        wanted: &str,
    ) {
        self.given(key, !values.is_empty(), wanted);
        for (place, value) in values.iter().enumerate() {
            if !good(value) {
                self.fault(key, format!("expected {wanted}, found {value:?}"));
            } else if values[..place].contains(value) {
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

    fn good() -> TrainSettings {
        TrainSettings {
            data: "data".into(),
            model: "model".into(),
            out: "run".into(),
            ..TrainSettings::default()
        }
    }

    #[test]
    fn the_defaults_with_data_model_and_out_are_good() {
        good().validate().unwrap();
        good().resolved().validate().unwrap();
    }

    #[test]
    fn one_fault_is_one_line() {
        let settings = TrainSettings { batch: 0, ..good() };
        insta::assert_snapshot!(settings.validate().unwrap_err(), @r#"
        settings: batch: expected at least 1, found 0
        "#);
    }

    #[test]
    fn f32_is_the_processors() {
        let settings = |device: &str| TrainSettings {
            base: BaseQuantization::F32,
            compute: Some(ComputeDtype::F32),
            device: device.parse().unwrap(),
            ..good()
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
            pass_tokens: Some(0),
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
          rank: expected a rank of 1 to 1024, found 0
          rank: expected each value once, found 16 again
          rank: expected a rank of 1 to 1024, found 2000
          alpha_ratio: expected a multiple of the rank above 0, found 0.0
          dropout: expected a share from 0 to below 1, found 1.0
          dropout: expected a share from 0 to below 1, found NaN
          lr: expected a rate above 0 and up to 1, found none
          seed: expected a seed of at most 63 bits, found 18446744073709551615
          epochs: expected epochs or steps, found both (-1 and 0)
          epochs: expected a number above 0, found -1
          steps: expected at least 1, found 0
          batch: expected at least 1, found 0
          pass_tokens: expected at least 1, found 0
          max_length: expected at least 8 tokens, found 4
          warmup: expected a share from 0 to below 1, found 1.5
          clip: expected 0 or more, found inf
          validate_every: expected at least 1, found 0
          base: expected int8, bf16 or f32 on a CPU (nf4 needs a GPU, fp8 one of compute capability 9.0), found fp8
          memory_gib: expected GiB above 0, found NaN
          threads: expected at least 1, found 0
        "#);
    }
}
