//! One shard of a grid: which adapters it trains, and whether it was started before.

use std::fmt;
use std::str::FromStr;

use verdict_formats::ModelConfig;
use verdict_train::{RunFolder, Shard, TrainSettings, grid, shard};

use crate::failure::{Failure, Result};

/// `--shard N/M` of `build` and `train`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardIndex {
    /// N, from 1.
    pub index: usize,
    /// M.
    pub of: usize,
}

impl FromStr for ShardIndex {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(index, of)| {
            let (index, of) = (index.parse().ok()?, of.parse().ok()?);
            Some(ShardIndex { index, of })
        });
        let within = |part: &ShardIndex| (1..=part.of).contains(&part.index);
        numbers
            .filter(within)
            .ok_or_else(|| "expected N/M with N from 1 to M".into())
    }
}

impl fmt::Display for ShardIndex {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}/{}", self.index, self.of)
    }
}

/// Floating-point operations per token of a training step, for each adapter of the grid. The frozen matrices take 2 × their
/// size forward and as many for the gradient of their inputs; the adapter takes 2 × rank × (in + out) forward and twice
/// as many backward. Attention and the head cost the same for every adapter and are left out.
pub fn costs(config: &ModelConfig, settings: &TrainSettings) -> Vec<f64> {
    let (mut size, mut sides) = (0.0, 0.0);
    for (name, shape) in config.tensors() {
        if let (true, [out, input]) = (name.ends_with("_proj.weight"), shape.as_slice()) {
            size += (out * input) as f64;
            sides += (out + input) as f64;
        }
    }
    let adapters = grid(settings).into_iter();
    adapters
        .map(|member| 4.0 * size + 6.0 * member.rank as f64 * sides)
        .collect()
}

/// The grid in shards of nearly equal cost, with each shard's share of the cost. Every process finds the same shards.
///
/// # Errors
/// More shards than adapters.
pub fn split(
    config: &ModelConfig,
    settings: &TrainSettings,
    parts: usize,
) -> Result<Vec<(Shard, f64)>> {
    let names: Vec<String> = grid(settings).into_iter().map(|of| of.name).collect();
    if parts > names.len() {
        let most = names.len();
        return Err(Failure::input(format!(
            "shards: expected at most {most}, the number of adapters in the grid, found {parts}"
        )));
    }
    let costs = costs(config, settings);
    let all: f64 = costs.iter().sum();
    let found = shard::split(&costs, parts).into_iter().enumerate();
    let shard = |(place, part): (usize, Vec<usize>)| {
        let cost: f64 = part.iter().map(|index| costs[*index]).sum();
        let shard = Shard {
            index: place + 1,
            of: parts,
            adapters: part.iter().map(|index| names[*index].clone()).collect(),
        };
        (shard, cost / all)
    };
    Ok(found.map(shard).collect())
}

/// What was found of a shard.
pub enum ShardState {
    /// Nothing, or something to be replaced.
    New,
    /// An interrupted run.
    Interrupted,
    /// A finished run.
    Finished(Box<RunFolder>),
}

/// Looks into the folder of a shard.
///
/// # Errors
/// The folder holds a run with other settings.
pub fn look(settings: &TrainSettings, overwrite: bool) -> Result<ShardState> {
    let dir = &settings.out;
    let path = dir.join("settings.toml");
    if overwrite || !path.exists() {
        return Ok(ShardState::New);
    }
    let earlier = TrainSettings::read(&path)?.resolved();
    if !earlier.same_results(settings) {
        let fault = format!("{}: holds a run with other settings", dir.display());
        return Err(
            Failure::input(fault).hint("choose another --out, or add --overwrite to replace it")
        );
    }
    match dir.join("MANIFEST.json").exists() {
        true => Ok(ShardState::Finished(Box::new(RunFolder::open(dir)?))),
        false => Ok(ShardState::Interrupted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_n_of_m() {
        assert_eq!("2/4".parse(), Ok(ShardIndex { index: 2, of: 4 }));
        for wrong in ["0/4", "5/4", "2", "2/", "a/b", "-1/4"] {
            assert!(wrong.parse::<ShardIndex>().is_err(), "{wrong}");
        }
    }
}
