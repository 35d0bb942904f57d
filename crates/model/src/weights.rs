//! Reading a checkpoint's tensors, checked for numbers that are not finite.

use std::ops::Range;

use verdict_formats::{Checkpoint, ModelConfig};
use verdict_kernels::{RopeTable, rope_frequencies};

use crate::error::{Error, Result};
use crate::site::Site;

/// Cosines and sines of a model's positions, with its frequencies rescaled where it says so.
pub(crate) fn rope_table(config: &ModelConfig, positions: usize) -> RopeTable {
    let mut frequencies = rope_frequencies(config.head_dim, config.rope_theta);
    if let Some(scaling) = &config.rope_scaling {
        scaling.apply(&mut frequencies);
    }
    RopeTable::of(positions, &frequencies)
}

/// A matrix of a checkpoint, or several stacked by rows: their names and rows.
pub(crate) type Parts = Vec<(String, usize)>;

/// A checkpoint, read by rows.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) checkpoint: &'a Checkpoint,
}

impl Reader<'_> {
    pub(crate) fn config(&self) -> &ModelConfig {
        &self.checkpoint.config
    }

    pub(crate) fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        let mut out = vec![0.0; len];
        self.rows(name, 0..1, &mut out)?;
        Ok(out)
    }

    /// A tensor of layer `index`, such as `input_layernorm`.
    pub(crate) fn layer_vector(&self, index: usize, part: &str, len: usize) -> Result<Vec<f32>> {
        self.vector(&format!("model.layers.{index}.{part}.weight"), len)
    }

    /// The projections of a site, stacked.
    pub(crate) fn site_parts(&self, index: usize, site: Site) -> Parts {
        let name = |part: &str| format!("model.layers.{index}.{part}.weight");
        let parts = site.parts(self.config());
        parts.iter().map(|(part, n)| (name(part), *n)).collect()
    }

    /// The biases of a site's projections, stacked, where the family has them.
    pub(crate) fn site_bias(&self, index: usize, site: Site) -> Result<Option<Vec<f32>>> {
        if site != Site::Qkv || !self.config().qkv_bias {
            return Ok(None);
        }
        let parts = self.site_parts(index, site);
        let biases = parts
            .iter()
            .map(|(part, n)| self.vector(&part.replace(".weight", ".bias"), *n))
            .collect::<Result<Vec<_>>>()?;
        Ok(Some(biases.concat()))
    }

    /// The token embedding, which may be the head too.
    pub(crate) fn embedding(&self) -> Parts {
        vec![("model.embed_tokens.weight".into(), self.config().vocab_size)]
    }

    /// The head of models that have one of its own.
    pub(crate) fn head(&self) -> Parts {
        vec![("lm_head.weight".into(), self.config().vocab_size)]
    }

    /// Rows of stacked matrices of `k` columns.
    pub(crate) fn stacked(
        &self,
        parts: &Parts,
        k: usize,
        rows: Range<usize>,
        out: &mut [f32],
    ) -> Result<()> {
        let mut start = 0;
        for (name, n) in parts {
            let (from, to) = (rows.start.max(start), rows.end.min(start + n));
            if from < to {
                let out = &mut out[(from - rows.start) * k..(to - rows.start) * k];
                self.rows(name, from - start..to - start, out)?;
            }
            start += n;
        }
        Ok(())
    }

    fn rows(&self, name: &str, rows: Range<usize>, out: &mut [f32]) -> Result<()> {
        self.checkpoint.read_rows(name, rows.clone(), out)?;
        // All at once, so that it is vector code; the place is looked for only when there is one.
        let finite = out.iter().fold(true, |all, v| all & v.is_finite());
        let width = out.len() / rows.len();
        let first = || out.iter().position(|v| !v.is_finite());
        match (!finite).then(first).flatten() {
            None => Ok(()),
            Some(at) => Err(Error::NotFinite {
                path: self.checkpoint.path().display().to_string(),
                tensor: name.to_owned(),
                row: rows.start + at / width,
                found: out[at],
            }),
        }
    }
}
