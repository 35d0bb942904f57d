//! The head and the loss, on supervised rows only, a bounded number of them at a time.

use verdict_kernels::{
    Mode, Rows, cross_entropy, log_softmax_at, resize_buffer, rms_norm_backward, rms_norm_forward,
};

use crate::bank::AdapterBank;
use crate::batch::{Example, ExampleLoss, Limits, Packed, Supervised};
use crate::cpu::CpuModel;
use crate::cpu::forward::{PackedAttention, Workspace};
use crate::error::Result;

/// Logits held at once.
const LOGITS: usize = 24 << 20;

#[derive(Debug, Default)]
pub(crate) struct HeadBuffers {
    rows: Rows,
    logits: Vec<f32>,
    d_normed: Vec<f32>,
}

impl CpuModel {
    /// Losses without gradient and without dropout.
    ///
    /// # Errors
    /// Examples that are unsorted, too long, or name unknown tokens or adapters.
    pub(crate) fn evaluate(
        &self,
        bank: &AdapterBank,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>> {
        let batch = Packed::new(Limits::of(&self.config), bank.len(), examples)?;
        let mut ws = Workspace::default();
        self.forward(
            bank,
            &batch,
            false,
            &mut PackedAttention(self, &batch),
            &mut ws,
        );
        Ok(self.losses(
            &batch,
            examples.len(),
            probes,
            &ws.x,
            None,
            &mut HeadBuffers::default(),
        ))
    }

    /// Logits `[rows, V]` of rows of the residual stream.
    pub(crate) fn logits(
        &self,
        x: &[f32],
        rows: &[usize],
        buffers: &mut Rows,
        logits: &mut Vec<f32>,
    ) {
        let (hidden, isa) = (self.config.hidden_size, self.cpu.isa());
        buffers.fill(&self.cpu, rows.len(), hidden, |i, out| {
            rms_norm_forward(
                isa,
                &x[rows[i] * hidden..][..hidden],
                &self.final_norm,
                self.config.rms_norm_eps,
                out,
            );
        });
        resize_buffer(logits, rows.len() * self.config.vocab_size);
        self.head.forward(&self.cpu, buffers, logits, Mode::Assign);
    }

    /// Losses of all examples; with `dx` `[T, H]` (zero at first) also the gradient of the residual stream.
    pub(crate) fn losses(
        &self,
        batch: &Packed,
        examples: usize,
        probes: &[u32],
        x: &[f32],
        mut dx: Option<&mut Vec<f32>>,
        buffers: &mut HeadBuffers,
    ) -> Vec<ExampleLoss> {
        let (hidden, vocabulary, isa) = (
            self.config.hidden_size,
            self.config.vocab_size,
            self.cpu.isa(),
        );
        let mut losses = vec![
            ExampleLoss {
                loss_sum: 0.0,
                tokens: 0,
                probes: Vec::new()
            };
            examples
        ];
        let HeadBuffers {
            rows,
            logits,
            d_normed,
        } = buffers;
        for chunk in batch.supervised.chunks((LOGITS / vocabulary).max(32)) {
            let at: Vec<usize> = chunk.iter().map(|s| s.row).collect();
            self.logits(x, &at, rows, logits);
            for (s, row) in chunk.iter().zip(logits.chunks_exact(vocabulary)) {
                let loss = &mut losses[s.example];
                if loss.tokens == 0 {
                    loss.probes = probes.iter().map(|p| row[*p as usize]).collect();
                }
                loss.tokens += 1;
            }
            let targets: Vec<u32> = chunk.iter().map(|s| s.target).collect();
            let mut add = |s: &Supervised, loss: f32| losses[s.example].loss_sum += f64::from(loss);
            let Some(dx) = dx.as_deref_mut() else {
                for (s, row) in chunk.iter().zip(logits.chunks_exact(vocabulary)) {
                    add(s, -log_softmax_at(isa, row, s.target as usize));
                }
                continue;
            };
            let weights: Vec<f32> = chunk.iter().map(|s| s.weight).collect();
            let row_losses = cross_entropy(&self.cpu, logits, &targets, &weights);
            chunk
                .iter()
                .zip(row_losses)
                .for_each(|(s, loss)| add(s, loss));
            rows.set(&self.cpu, logits, vocabulary, vocabulary, self.head.scale());
            resize_buffer(d_normed, chunk.len() * hidden);
            self.head.backward(&self.cpu, rows, d_normed, Mode::Assign);
            for (s, d) in chunk.iter().zip(d_normed.chunks_exact(hidden)) {
                let at = s.row * hidden..(s.row + 1) * hidden;
                rms_norm_backward(
                    isa,
                    &x[at.clone()],
                    &self.final_norm,
                    self.config.rms_norm_eps,
                    d,
                    &mut dx[at],
                );
            }
        }
        losses
    }
}
