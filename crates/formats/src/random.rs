//! Weights out of a counter: a model of any shape without a file, for measurements.
//!
//! Each number is a hash of seed, tensor, row and column, so any rows can be read in any order
//! and from any thread. Matrices and biases are uniform with mean 0 and a standard deviation of 0.02
//! (the families' own `initializer_range`); norms are 1.

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::store::matrix;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use verdict_common::random::mix;

/// Standard deviation of the weights.
const DEVIATION: f32 = 0.02;

/// The tensors of a model without a file.
#[derive(Debug)]
pub(crate) struct Random {
    seed: u64,
    /// Shape and number of each tensor.
    tensors: HashMap<String, (Vec<usize>, u64)>,
}

impl Random {
    /// Every tensor that `config` names.
    pub(crate) fn new(config: &ModelConfig, seed: u64) -> Self {
        let numbered = config.tensors().into_iter().zip(1..);
        Self {
            seed,
            tensors: numbered
                .map(|((name, shape), number)| (name, (shape, number)))
                .collect(),
        }
    }

    /// Shape of a tensor.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|(shape, _)| shape.as_slice())
    }

    /// Names of all tensors, in no order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// As [`crate::Checkpoint::read_rows`]; `path` is for errors.
    pub(crate) fn read_rows(
        &self,
        path: &Path,
        name: &str,
        rows: Range<usize>,
        out: &mut [f32],
    ) -> Result<()> {
        let Some((shape, number)) = self.tensors.get(name) else {
            return Err(Error::MissingTensor {
                path: path.to_path_buf(),
                name: name.to_string(),
            });
        };
        let (count, columns) = matrix(shape);
        if rows.start > rows.end || rows.end > count || rows.len() * columns != out.len() {
            return Err(Error::BadRows {
                path: path.to_path_buf(),
                name: name.to_string(),
                shape: shape.clone(),
                start: rows.start,
                end: rows.end,
                len: out.len(),
            });
        }
        if name.ends_with("norm.weight") {
            out.fill(1.0);
            return Ok(());
        }
        let tensor = mix(self.seed ^ mix(*number));
        for (row, out) in rows.zip(out.chunks_exact_mut(columns)) {
            fill(mix(tensor ^ row as u64), out);
        }
        Ok(())
    }
}

/// One row. The finaliser is lowbias32 (Wellons, "Prospecting for hash functions", 2018) with half of
/// the key in its middle: 32-bit operations alone, so that it is vector code.
fn fill(key: u64, out: &mut [f32]) {
    let (first, second) = (key as u32, (key >> 32) as u32);
    // A uniform number of width w has the standard deviation w / √12.
    let scale = DEVIATION * 12.0_f32.sqrt();
    for (column, out) in out.iter_mut().enumerate() {
        let mut x = (column as u32).wrapping_mul(0x9e37_79b9) ^ first;
        x ^= x >> 16;
        x = x.wrapping_mul(0x7feb_352d) ^ second;
        x ^= x >> 15;
        x = x.wrapping_mul(0x846c_a68b);
        x ^= x >> 16;
        // 23 bits and a half: symmetric around 0. As i32, for which every processor has a conversion.
        let centred = (x >> 9) as i32 - (1 << 22);
        *out = (centred as f32 + 0.5) * (scale / 8_388_608.0);
    }
}
