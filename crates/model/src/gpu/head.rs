//! The head and the loss, on supervised rows only, a bounded number of them at a time.

use verdict_kernels::NormInput;
use verdict_kernels::cuda::{Buffer, Element, Gpu, Product, View};

use crate::batch::{ExampleLoss, Packed};
use crate::error::Result;
use crate::gpu::forward::Run;
use crate::gpu::load::GpuModel;
use crate::gpu::pass::{Back, Pass};

/// Bytes of logits held at once, at least.
const LOGIT_BYTES: usize = 144 << 20;
/// For each row of a batch: a larger batch takes more memory anyway, and long products run better.
const LOGIT_BYTES_A_ROW: usize = 160 << 10;
/// Rows beyond which cuBLASLt's choices for these products gain nothing, up to 1,024 they even lose.
const MOST_LOGIT_ROWS: usize = 512;

/// Supervised rows of a batch in device memory.
#[derive(Debug)]
pub(crate) struct SupervisedRows {
    rows: Buffer<u32>,
    targets: Buffer<u32>,
    weights: Buffer<f32>,
    losses: Buffer<f32>,
    /// For each example with a supervised row: that row's place among them.
    firsts: Vec<(usize, usize)>,
    probes: Vec<u32>,
    probed: Buffer<f32>,
}

/// Rows whose logits are held at once, of a batch of `rows` with `supervised` of them.
pub(crate) fn head_rows(vocabulary: usize, rows: usize, supervised: usize) -> usize {
    let bytes = LOGIT_BYTES.max(rows * LOGIT_BYTES_A_ROW);
    let most = (bytes / (4 * vocabulary)).clamp(64, MOST_LOGIT_ROWS);
    let most = most.next_multiple_of(64);
    supervised.next_multiple_of(8).clamp(8, most)
}

impl SupervisedRows {
    pub(crate) fn new(gpu: &Gpu, packed: &Packed, probes: &[u32]) -> Result<Self> {
        let all = &packed.supervised;
        let column =
            |f: fn(&crate::batch::Supervised) -> u32| all.iter().map(f).collect::<Vec<u32>>();
        let weights: Vec<f32> = all.iter().map(|s| s.weight).collect();
        let mut firsts: Vec<(usize, usize)> = Vec::new();
        for (i, s) in all.iter().enumerate() {
            if firsts
                .last()
                .is_none_or(|(example, _)| *example != s.example)
            {
                firsts.push((s.example, i));
            }
        }
        Ok(Self {
            rows: gpu.upload(&column(|s| s.row as u32))?,
            targets: gpu.upload(&column(|s| s.target))?,
            weights: gpu.upload(&weights)?,
            losses: gpu.alloc(all.len())?,
            probed: gpu.alloc(firsts.len() * probes.len())?,
            firsts,
            probes: probes.to_vec(),
        })
    }

    /// Waits for the pass and returns each example's loss.
    pub(crate) fn collect(
        &self,
        gpu: &Gpu,
        packed: &Packed,
        examples: usize,
    ) -> Result<Vec<ExampleLoss>> {
        let nothing = ExampleLoss {
            loss_sum: 0.0,
            tokens: 0,
            probes: Vec::new(),
        };
        let mut out = vec![nothing; examples];
        let row_losses = gpu.download(self.losses.view())?;
        for (s, loss) in packed.supervised.iter().zip(row_losses) {
            out[s.example].loss_sum += f64::from(loss);
            out[s.example].tokens += 1;
        }
        if !self.probes.is_empty() {
            let probed = gpu.download(self.probed.view())?;
            for ((example, _), values) in self
                .firsts
                .iter()
                .zip(probed.chunks_exact(self.probes.len()))
            {
                out[*example].probes = values.to_vec();
            }
        }
        Ok(out)
    }
}

impl GpuModel {
    /// f32 logits `[rows, V]` of normed rows `[rows, H]`.
    pub(crate) fn head_product(
        &self,
        x: View<'_, u16>,
        rows: usize,
        logits: View<'_, f32>,
    ) -> Result<()> {
        let (n, k) = (self.config.vocab_size, self.config.hidden_size);
        let product = Product {
            backward: false,
            m: rows,
            n,
            k,
            ld_x: k,
            ld_d: n,
            out: Element::F32,
            add: false,
            bias: false,
            fp8: false,
        };
        Ok(self
            .gpu()
            .product(product, x, self.head_rows(), None, None, logits)?)
    }

    /// The head's weights `[V, H]`.
    pub(crate) fn head_rows(&self) -> View<'_, u16> {
        self.head
            .bf16_rows()
            .unwrap_or_else(|| unreachable!("the head is bf16"))
    }
}

impl Run<'_> {
    /// Losses of all supervised rows of `x [T, H]`; in training also the gradient of x (`back.dx`).
    pub(crate) fn losses(
        &self,
        pass: &Pass<'_>,
        supervised: &SupervisedRows,
        x: View<'_, u16>,
    ) -> Result<()> {
        let (gpu, c) = (self.model.gpu(), &self.model.config);
        let (hidden, v) = (c.hidden_size, c.vocab_size);
        if let Some(back) = pass.back {
            gpu.clear(back.dx.part(0..self.rows() * hidden))?;
        }
        let per_chunk = pass.logits.len() / v;
        let total = supervised.rows.len();
        for start in (0..total).step_by(per_chunk) {
            let chunk = start..(start + per_chunk).min(total);
            let rows = chunk.len();
            let norm = NormInput {
                x,
                gather: Some(supervised.rows.part(chunk.clone())),
                weight: self.model.final_norm.view(),
                eps: c.rms_norm_eps,
                rows,
                h: hidden,
            };
            gpu.rms_norm_forward(norm, Some(pass.head), None)?;
            self.model.head_product(pass.head, rows, pass.logits)?;
            self.probe(pass, supervised, &chunk)?;
            let targets = supervised.targets.part(chunk.clone());
            let losses = supervised.losses.part(chunk.clone());
            let weights = pass.back.map(|_| supervised.weights.part(chunk.clone()));
            gpu.cross_entropy(pass.logits, v, targets, weights, losses)?;
            if let Some(back) = &pass.back {
                self.head_backward(pass, back, norm)?;
            }
        }
        Ok(())
    }

    /// Through the head and the last norm, into dx.
    fn head_backward(&self, pass: &Pass<'_>, back: &Back<'_>, norm: NormInput<'_>) -> Result<()> {
        let (gpu, c) = (self.model.gpu(), &self.model.config);
        let product = Product {
            backward: true,
            m: norm.rows,
            n: c.vocab_size,
            k: c.hidden_size,
            ld_x: 2 * c.vocab_size,
            ld_d: c.hidden_size,
            out: Element::Bf16,
            add: false,
            bias: false,
            fp8: false,
        };
        let d_logits: View<'_, u16> = pass.logits.cast();
        gpu.product(
            product,
            d_logits,
            self.model.head_rows(),
            None,
            None,
            pass.head,
        )?;
        Ok(gpu.rms_norm_backward(norm, pass.head, back.dx, None)?)
    }

    /// Logits of the probes in each example's first supervised row, before the loss overwrites them.
    fn probe(
        &self,
        pass: &Pass<'_>,
        supervised: &SupervisedRows,
        chunk: &std::ops::Range<usize>,
    ) -> Result<()> {
        let n = supervised.probes.len();
        let here = |i: &(usize, usize)| chunk.contains(&i.1);
        let Some(first) = supervised.firsts.iter().position(here).filter(|_| n > 0) else {
            return Ok(());
        };
        let found: Vec<usize> = supervised
            .firsts
            .iter()
            .filter(|i| here(i))
            .map(|i| i.1)
            .collect();
        let gpu = self.model.gpu();
        let rows: Vec<u32> = found
            .iter()
            .flat_map(|row| std::iter::repeat_n((row - chunk.start) as u32, n))
            .collect();
        let tokens = supervised.probes.repeat(found.len());
        let (rows, tokens) = (gpu.upload(&rows)?, gpu.upload(&tokens)?);
        let out = supervised.probed.part(first * n..(first + found.len()) * n);
        let v = self.model.config.vocab_size;
        Ok(gpu.gather_logits(pass.logits, v, rows.view(), tokens.view(), out)?)
    }
}
