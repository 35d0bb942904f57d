//! AdamW on a GPU: a bank of adapters in one launch.

use super::AdamW;
use crate::cuda::{Buffer, Gpu, GpuResult, Plain, View};

/// Weights that one block takes.
const PIECE: usize = 1 << 14;

/// A run of one adapter's weights.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Piece {
    start: u64,
    len: u32,
    adapter: u32,
}
// SAFETY: plain numbers without a gap.
unsafe impl Plain for Piece {}

/// One adapter's part of a step.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct BankRate {
    /// Learning rate; negative: this adapter does not step.
    lr: f32,
    clip: f32,
    bias1: f32,
    bias2: f32,
}
// SAFETY: plain numbers without a gap.
unsafe impl Plain for BankRate {}

impl BankRate {
    /// An adapter that stays as it is.
    pub const NONE: Self = Self {
        lr: -1.0,
        clip: f32::INFINITY,
        bias1: 1.0,
        bias2: 1.0,
    };

    /// Step number `step` (from 1).
    pub fn new(adam: &AdamW, step: u32, lr: f32, clip: f32) -> Self {
        Self {
            lr,
            clip,
            bias1: (1.0 - f64::from(adam.beta1).powi(step as i32)) as f32,
            bias2: (1.0 - f64::from(adam.beta2).powi(step as i32)).sqrt() as f32,
        }
    }
}

/// How a bank's weights lie: adapters one after the other.
#[derive(Debug)]
pub struct BankPieces {
    pieces: Buffer<Piece>,
    /// First piece of each adapter, and the end.
    first: Buffer<u32>,
    partial: Buffer<f64>,
    factors: Buffer<f32>,
    norms: Buffer<f32>,
    weights: usize,
    adapters: usize,
}

/// What a step reads and writes, each as long as the bank.
#[derive(Clone, Copy, Debug)]
pub struct BankState<'a> {
    /// Weights.
    pub w: View<'a, f32>,
    /// Gradients.
    pub g: View<'a, f32>,
    /// First moments.
    pub m: View<'a, f32>,
    /// Second moments.
    pub v: View<'a, f32>,
    /// Weights in bf16.
    pub rounded: View<'a, u16>,
}

impl BankPieces {
    /// For adapters of these many weights each, multiples of 8.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(gpu: &Gpu, adapters: &[usize]) -> GpuResult<Self> {
        let (mut pieces, mut first, mut at) = (Vec::new(), vec![0], 0);
        for (adapter, len) in adapters.iter().enumerate() {
            assert!(len.is_multiple_of(8), "{len} weights");
            for start in (0..*len).step_by(PIECE) {
                pieces.push(Piece {
                    start: (at + start) as u64,
                    len: (len - start).min(PIECE) as u32,
                    adapter: adapter as u32,
                });
            }
            at += len;
            first.push(pieces.len() as u32);
        }
        Ok(Self {
            partial: gpu.zeros(pieces.len())?,
            factors: gpu.zeros(adapters.len())?,
            norms: gpu.zeros(adapters.len())?,
            pieces: gpu.upload(&pieces)?,
            first: gpu.upload(&first)?,
            weights: at,
            adapters: adapters.len(),
        })
    }
}

impl Gpu {
    /// One step of all adapters that have a rate. Gradients are clipped by their norms, which are
    /// returned; they are left as they are.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn adamw_step(
        &self,
        adam: &AdamW,
        bank: &BankPieces,
        rates: &[BankRate],
        state: BankState<'_>,
    ) -> GpuResult<Vec<f32>> {
        assert_eq!(rates.len(), bank.adapters);
        for view in [state.w, state.g, state.m, state.v] {
            view.holds(bank.weights);
        }
        state.rounded.holds(bank.weights);
        let rates = self.upload(rates)?;
        let (rates, count) = (rates.view(), bank.pieces.len());
        let (pieces, first) = (bank.pieces.view(), bank.first.view());
        let (partial, norms, factors) =
            (bank.partial.view(), bank.norms.view(), bank.factors.view());
        self.launch(
            "sum_of_squares",
            (count, 1, 1),
            256,
            0,
            &[&state.g, &pieces, &partial],
        )?;
        let grid = (bank.adapters, 1, 1);
        self.launch(
            "clip_factors",
            grid,
            32,
            0,
            &[&partial, &first, &rates, &norms, &factors],
        )?;
        self.launch(
            "adamw",
            (count, 1, 1),
            256,
            0,
            &[
                &pieces,
                &rates,
                &factors,
                &adam.beta1,
                &adam.beta2,
                &adam.eps,
                &adam.weight_decay,
                &state.w,
                &state.g,
                &state.m,
                &state.v,
                &state.rounded,
            ],
        )?;
        self.download(norms)
    }

    /// `to = bf16(from)`, a multiple of 8 numbers.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn round_to_bf16(&self, from: View<'_, f32>, to: View<'_, u16>) -> GpuResult<()> {
        assert!(from.len().is_multiple_of(8));
        to.holds(from.len());
        let n = from.len() as u64;
        self.launch(
            "round_to_bf16",
            (from.len().div_ceil(2048), 1, 1),
            256,
            0,
            &[&from, &to, &n],
        )
    }
}
