//! The grid: one adapter for each combination of the listed settings.

use serde::{Deserialize, Serialize};

use crate::engine::AdapterSpec;
use crate::settings::TrainSettings;

/// The settings of one adapter of the grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdapterSettings {
    /// Short unique name: the rank, followed by each setting that varies in the grid (`r16-lr3e-4-s42`).
    pub name: String,
    /// LoRA rank.
    pub rank: usize,
    /// LoRA alpha (PEFT's `lora_alpha`): ratio × rank.
    pub alpha: f64,
    /// Probability that an input of a LoRA branch is dropped.
    pub dropout: f64,
    /// Peak learning rate.
    pub lr: f64,
    /// Seed of its initial weights, its batches and its dropout.
    pub seed: u64,
}

impl AdapterSettings {
    /// The specification from which an engine creates the adapter.
    pub fn spec(&self) -> AdapterSpec {
        AdapterSpec {
            name: self.name.clone(),
            rank: self.rank,
            alpha: self.alpha as f32,
            dropout: self.dropout as f32,
            seed: self.seed,
        }
    }
}

/// The adapters that a run of these settings trains: those of its shard if it has one, else the whole
/// [`grid()`].
pub fn adapters(settings: &TrainSettings) -> Vec<AdapterSettings> {
    let mut adapters = grid(settings);
    if let Some(shard) = &settings.shard {
        adapters.retain(|adapter| shard.adapters.contains(&adapter.name));
    }
    adapters
}

/// Every adapter of the grid; the rank varies slowest, then alpha, dropout, learning rate and seed. Names
/// are unique if no list contains a value twice, which [`TrainSettings::validate`] checks.
pub fn grid(settings: &TrainSettings) -> Vec<AdapterSettings> {
    let mut adapters = Vec::new();
    for &rank in &settings.rank {
        for &ratio in &settings.alpha_ratio {
            for &dropout in &settings.dropout {
                for &lr in &settings.lr {
                    for &seed in &settings.seed {
                        let mut name = format!("r{rank}");
                        let mut part = |varies: bool, text: String| {
                            if varies {
                                name.push('-');
                                name.push_str(&text);
                            }
                        };
                        part(settings.alpha_ratio.len() > 1, format!("a{ratio}"));
                        part(settings.dropout.len() > 1, format!("d{dropout}"));
                        part(settings.lr.len() > 1, format!("lr{lr:e}"));
                        part(settings.seed.len() > 1, format!("s{seed}"));
                        let alpha = ratio * rank as f64;
                        adapters.push(AdapterSettings {
                            name,
                            rank,
                            alpha,
                            dropout,
                            lr,
                            seed,
                        });
                    }
                }
            }
        }
    }
    adapters
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(settings: &TrainSettings) -> Vec<String> {
        adapters(settings)
            .into_iter()
            .map(|adapter| adapter.name)
            .collect()
    }

    #[test]
    fn a_single_adapter_is_named_by_its_rank() {
        assert_eq!(names(&TrainSettings::default()), ["r16"]);
        let adapter = &adapters(&TrainSettings::default())[0];
        assert_eq!(
            (adapter.alpha, adapter.dropout, adapter.lr, adapter.seed),
            (32.0, 0.05, 3e-4, 42)
        );
    }

    #[test]
    fn names_contain_what_varies_and_nothing_else() {
        let settings = TrainSettings {
            rank: vec![4, 16],
            lr: vec![1e-4, 1.5e-4],
            seed: vec![1, 2],
            ..TrainSettings::default()
        };
        assert_eq!(
            names(&settings),
            [
                "r4-lr1e-4-s1",
                "r4-lr1e-4-s2",
                "r4-lr1.5e-4-s1",
                "r4-lr1.5e-4-s2",
                "r16-lr1e-4-s1",
                "r16-lr1e-4-s2",
                "r16-lr1.5e-4-s1",
                "r16-lr1.5e-4-s2",
            ]
        );
    }

    #[test]
    fn the_grid_is_the_whole_product_with_unique_names() {
        let settings = TrainSettings {
            rank: vec![1, 2, 3],
            alpha_ratio: vec![0.5, 2.0],
            dropout: vec![0.0, 0.05],
            lr: vec![1e-5, 3e-4, 2.0001e-4],
            seed: vec![0, 7],
            ..TrainSettings::default()
        };
        let names = names(&settings);
        assert_eq!(names.len(), 3 * 2 * 2 * 3 * 2);
        assert_eq!(names[0], "r1-a0.5-d0-lr1e-5-s0");
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }
}
