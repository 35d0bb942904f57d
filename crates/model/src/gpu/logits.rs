//! Logits that stay on the device, and the few numbers about them that are copied to the host.

use std::sync::Arc;

use verdict_kernels::cuda::{Buffer, Gpu, View};
use verdict_kernels::{ChoicePart, Choices, choice_parts};

use crate::error::Result;
use crate::gpu::load::GpuModel;
use crate::host_logits;

/// The chosen token where no logit is allowed, or all are NaN.
const NONE: u32 = u32::MAX;

/// What is copied to the host of every row of logits: best token, its logit, log-sum, and the probes' logits.
#[derive(Debug)]
pub(crate) struct Picks {
    rows: usize,
    vocabulary: usize,
    parts: Buffer<ChoicePart>,
    /// Tokens, logits and log-sums `[rows]` each, then the probes' logits `[rows, probes]`: 4 bytes each,
    /// together so that one copy brings all.
    values: Buffer<u32>,
    /// Row and token of every probe's logit.
    probe_rows: Buffer<u32>,
    probe_tokens: Buffer<u32>,
    probes: Vec<u32>,
}

impl Picks {
    pub(crate) fn new(gpu: &Gpu, rows: usize, vocabulary: usize, probes: &[u32]) -> Result<Self> {
        let probe_rows: Vec<u32> = (0..rows as u32)
            .flat_map(|row| std::iter::repeat_n(row, probes.len()))
            .collect();
        Ok(Self {
            rows,
            vocabulary,
            parts: gpu.alloc(choice_parts(rows, vocabulary))?,
            values: gpu.alloc(rows * (3 + probes.len()))?,
            probe_rows: gpu.upload(&probe_rows)?,
            probe_tokens: gpu.upload(&probes.repeat(rows))?,
            probes: probes.to_vec(),
        })
    }

    pub(crate) fn probes(&self) -> &[u32] {
        &self.probes
    }

    /// Each row's best token.
    pub(crate) fn tokens(&self) -> View<'_, u32> {
        self.values.part(0..self.rows)
    }

    /// Queues the picks from logits `[rows, V]`; `masks` as [`Gpu::choose`] takes them.
    pub(crate) fn queue(
        &self,
        gpu: &Gpu,
        logits: View<'_, f32>,
        masks: Option<(View<'_, u32>, View<'_, u32>)>,
    ) -> Result<()> {
        let (n, v) = (self.rows, self.vocabulary);
        let to = Choices {
            tokens: self.tokens(),
            logits: self.values.part(n..2 * n).cast(),
            log_sums: self.values.part(2 * n..3 * n).cast(),
        };
        gpu.choose(logits, n, v, masks, self.parts.view(), to)?;
        let (rows, tokens) = (self.probe_rows.view(), self.probe_tokens.view());
        let probed = self.values.from(3 * n).cast();
        Ok(gpu.gather_logits(logits, v, rows, tokens, probed)?)
    }
}

/// The logits of a cache's last extension, until the next one.
#[derive(Debug)]
pub(crate) struct Last {
    /// `[rows, V]`. Shared with a recorded step or the cache: they may go when the cache grows, this stays.
    logits: Arc<Buffer<f32>>,
    /// The row of each chunk.
    rows: Vec<usize>,
    /// [`Picks::values`].
    values: Vec<u32>,
    /// Rows of the picks.
    picked: usize,
    probes: Vec<u32>,
}

impl Last {
    /// Waits for the picks. `rows` holds the row of each chunk.
    pub(crate) fn read(
        gpu: &Gpu,
        logits: &Arc<Buffer<f32>>,
        rows: Vec<usize>,
        picks: &Picks,
    ) -> Result<Self> {
        Ok(Self {
            logits: Arc::clone(logits),
            rows,
            values: gpu.download(picks.values.view())?,
            picked: picks.rows,
            probes: picks.probes.clone(),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    fn token(&self, chunk: usize) -> u32 {
        self.values[self.rows[chunk]]
    }

    pub(crate) fn largest(&self, chunk: usize) -> f32 {
        f32::from_bits(self.values[self.picked + self.rows[chunk]])
    }

    pub(crate) fn log_sum(&self, chunk: usize) -> f32 {
        f32::from_bits(self.values[2 * self.picked + self.rows[chunk]])
    }

    /// The logit of a probe; none for a token that was not one.
    fn probed(&self, chunk: usize, token: u32) -> Option<f32> {
        let place = self.probes.iter().position(|probe| *probe == token)?;
        let row = 3 * self.picked + self.rows[chunk] * self.probes.len();
        Some(f32::from_bits(self.values[row + place]))
    }

    fn row(&self, chunk: usize, vocabulary: usize) -> View<'_, f32> {
        let row = self.rows[chunk];
        self.logits.part(row * vocabulary..(row + 1) * vocabulary)
    }
}

/// What [`LogitRow`](crate::LogitRow) reads of a row on the device.
impl GpuModel {
    pub(crate) fn best(&self, last: &Last, chunk: usize, refused: &[u32]) -> Result<Option<u32>> {
        let mut token = last.token(chunk);
        if refused.contains(&token) {
            token = self.best_allowed(last, chunk, refused)?;
        }
        match token {
            // All refused, or all NaN: decided as on the CPU.
            NONE => Ok(host_logits::best(&self.whole(last, chunk)?, refused)),
            token => Ok(Some(token)),
        }
    }

    fn best_allowed(&self, last: &Last, chunk: usize, refused: &[u32]) -> Result<u32> {
        let (gpu, v) = (self.gpu(), self.config.vocab_size);
        gpu.enter()?;
        let words = v.div_ceil(32);
        let mut mask = vec![u32::MAX; words];
        for token in refused {
            if let Some(word) = mask.get_mut(*token as usize / 32) {
                *word &= !(1 << (token % 32));
            }
        }
        // Behind the mask, the index of the mask that the one row uses.
        mask.push(0);
        let mask = gpu.upload(&mask)?;
        let masks = (mask.part(0..words), mask.from(words));
        let picks = Picks::new(gpu, 1, v, &[])?;
        picks.queue(gpu, last.row(chunk, v), Some(masks))?;
        Ok(gpu.download(picks.tokens())?[0])
    }

    pub(crate) fn values(&self, last: &Last, chunk: usize, tokens: &[u32]) -> Result<Vec<f32>> {
        let (gpu, row) = (self.gpu(), last.row(chunk, self.config.vocab_size));
        let value = |token: &u32| {
            if let Some(logit) = last.probed(chunk, *token) {
                return Ok(logit);
            }
            gpu.enter()?;
            let (at, mut logit) = (*token as usize, [0.0]);
            gpu.read(row.part(at..at + 1), &mut logit)?;
            Ok(logit[0])
        };
        tokens.iter().map(value).collect()
    }

    pub(crate) fn whole(&self, last: &Last, chunk: usize) -> Result<Vec<f32>> {
        self.gpu().enter()?;
        Ok(self
            .gpu()
            .download(last.row(chunk, self.config.vocab_size))?)
    }

    /// All rows `[chunks, V]`.
    pub(crate) fn all(&self, last: &Last) -> Result<Vec<f32>> {
        let (gpu, v) = (self.gpu(), self.config.vocab_size);
        let n = last.len();
        if last.rows.iter().enumerate().all(|(i, row)| i == *row) {
            return Ok(gpu.download(last.logits.part(0..n * v))?);
        }
        let mut out = vec![0.0; n * v];
        for (chunk, out) in out.chunks_exact_mut(v).enumerate() {
            gpu.read(last.row(chunk, v), out)?;
        }
        Ok(out)
    }
}
