//! One task's part of a grid: which members it trains, and that it may be started again and again.

use std::fmt;
use std::str::FromStr;

use verdict_formats::ModelConfig;
use verdict_train::{RunFolder, Shard, TrainSettings, grid, shard};

use crate::failure::{Failure, Result};

/// `--shard` of `build` and `train`: which part of how many, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which.
    pub index: usize,
    /// Of how many.
    pub of: usize,
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(index, of)| {
            let (index, of) = (index.parse().ok()?, of.parse().ok()?);
            Some(Part { index, of })
        });
        let within = |part: &Part| (1..=part.of).contains(&part.index);
        numbers
            .filter(within)
            .ok_or_else(|| "expected N/M with N from 1 to M".into())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}/{}", self.index, self.of)
    }
}

/// Floating-point operations of a training step of each member of the grid, for a token: those of the
/// frozen matrices, 2 forward and 2 for the gradient of their inputs, each time their size; those of the
/// adapter, 2 forward and 4 backward, each time rank × (in + out). Attention and the head are the same
/// for all and left out.
pub fn costs(config: &ModelConfig, settings: &TrainSettings) -> Vec<f64> {
    let (mut size, mut sides) = (0.0, 0.0);
    for (name, shape) in config.tensors() {
        if let (true, [out, input]) = (name.ends_with("_proj.weight"), shape.as_slice()) {
            size += (out * input) as f64;
            sides += (out + input) as f64;
        }
    }
    let members = grid(settings).into_iter();
    members
        .map(|member| 4.0 * size + 6.0 * member.rank as f64 * sides)
        .collect()
}

/// The grid in parts of nearly equal cost, with each part's share of it; the same in every process.
///
/// # Errors
/// Where there are more parts than members.
pub fn split(
    config: &ModelConfig,
    settings: &TrainSettings,
    parts: usize,
) -> Result<Vec<(Shard, f64)>> {
    let names: Vec<String> = grid(settings).into_iter().map(|of| of.name).collect();
    if parts > names.len() {
        let most = names.len();
        return Err(Failure::input(format!(
            "shards: expected at most {most}, the members of the grid, found {parts}"
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

/// What there is to do for a shard.
pub enum Todo {
    /// Train it.
    Begin,
    /// Go on with it.
    GoOn,
    /// It is done.
    Done(Box<RunFolder>),
}

/// Looks at what stands in a shard's folder.
///
/// # Errors
/// Where a run of other settings stands there.
pub fn look(settings: &TrainSettings, overwrite: bool) -> Result<Todo> {
    let dir = &settings.out;
    let path = dir.join("settings.toml");
    if overwrite || !path.exists() {
        return Ok(Todo::Begin);
    }
    let stands = TrainSettings::read(&path)?.resolved();
    if !stands.same_results(settings) {
        let fault = format!("{}: a run of other settings stands there", dir.display());
        return Err(Failure::input(fault).hint("choose another --out, or add --overwrite"));
    }
    match dir.join("MANIFEST.json").exists() {
        true => Ok(Todo::Done(Box::new(RunFolder::open(dir)?))),
        false => Ok(Todo::GoOn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_one_of_its_number() {
        assert_eq!("2/4".parse(), Ok(Part { index: 2, of: 4 }));
        for wrong in ["0/4", "5/4", "2", "2/", "a/b", "-1/4"] {
            assert!(wrong.parse::<Part>().is_err(), "{wrong}");
        }
    }
}
