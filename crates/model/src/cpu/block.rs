//! One block of the decoder over a packed batch: what forward and backward share.
//!
//! The order, which the GPU's paths follow too (`gpu/forward.rs`, `gpu/backward.rs`, `gpu/recorded_step.rs`):
//!
//! ```text
//! x += o(attention(rotate(head_norm(qkv(norm(x))))))
//! x += down(swiglu(gate_up(norm(x))))
//! ```

use verdict_kernels::{FrozenLinear, rms_norm_forward, swiglu_forward};

use crate::bank::AdapterBank;
use crate::batch::Packed;
use crate::cpu::CpuModel;
use crate::layer::Layer;
use crate::site::Site;

/// A block, the adapters that its sites pass through and the rows that go through them.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    pub(crate) model: &'a CpuModel,
    pub(crate) bank: &'a AdapterBank,
    pub(crate) batch: &'a Packed,
    pub(crate) layer: usize,
    /// Dropout applies, and what backward needs is kept.
    pub(crate) training: bool,
}

/// Writes one row of a site's input.
pub(crate) trait InputRows: Fn(usize, &mut [f32]) + Sync + Send {}
impl<F: Fn(usize, &mut [f32]) + Sync + Send> InputRows for F {}

impl<'a> Block<'a> {
    pub(crate) fn weights(&self) -> &'a Layer<Vec<f32>, FrozenLinear> {
        &self.model.layers[self.layer]
    }

    /// The input of q, k, v and of gate, up: rows of `x` `[T, H]`, normed.
    pub(crate) fn normed<'x>(&self, x: &'x [f32], weight: &'x [f32]) -> impl InputRows + use<'x> {
        let (isa, eps) = (self.model.cpu.isa(), self.model.config.rms_norm_eps);
        let hidden = self.model.config.hidden_size;
        move |row, out: &mut [f32]| {
            rms_norm_forward(isa, &x[row * hidden..][..hidden], weight, eps, out);
        }
    }

    /// The input of the output projection: rows of `attention` `[T, heads · D]`.
    pub(crate) fn attended<'x>(&self, attention: &'x [f32]) -> impl InputRows + use<'x> {
        let width = Site::O.inputs(&self.model.config);
        move |row, out: &mut [f32]| out.copy_from_slice(&attention[row * width..][..width])
    }

    /// The input of down: `silu(gate) · up` of rows of `gate_up` `[T, 2F]`.
    pub(crate) fn activated<'x>(&self, gate_up: &'x [f32]) -> impl InputRows + use<'x> {
        let (isa, two_f) = (
            self.model.cpu.isa(),
            self.weights().linear(Site::GateUp).outputs(),
        );
        move |row, out: &mut [f32]| swiglu_forward(isa, &gate_up[row * two_f..][..two_f], out)
    }
}
