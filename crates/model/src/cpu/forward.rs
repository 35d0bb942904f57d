//! The forward pass over a packed batch, block by block.

use verdict_kernels::{
    Mode, Rows, attention_forward, resize_buffer, rms_norm_forward, swiglu_forward,
};

use crate::bank::AdapterBank;
use crate::batch::Packed;
use crate::cpu::CpuModel;
use crate::cpu::lora::{Lora, Scratch};
use crate::site::Site;

/// What backward needs of one block.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    /// Input of the block `[T, H]`.
    pub(crate) input: Vec<f32>,
    /// q, k, v before the head norms, where there are any.
    pub(crate) before_norm: Vec<f32>,
    /// q, k, v as attention read them `[T, ld]`.
    pub(crate) qkv: Vec<f32>,
    /// Attention's output `[T, heads · D]`.
    pub(crate) attention: Vec<f32>,
    /// The residual stream after attention `[T, H]`.
    pub(crate) middle: Vec<f32>,
    /// gate and up `[T, 2F]`.
    pub(crate) gate_up: Vec<f32>,
    /// `drop(x) Aᵀ` of each site.
    pub(crate) u: [Vec<f32>; 4],
}

/// Buffers of a pass, kept from call to call.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// One a block in training, one in all otherwise.
    pub(crate) saved: Vec<Saved>,
    /// The residual stream `[T, H]`.
    pub(crate) x: Vec<f32>,
    pub(crate) rows: Rows,
    pub(crate) dropped: Rows,
    pub(crate) scratch: Scratch,
}

fn keep(to: &mut Vec<f32>, from: &[f32]) {
    resize_buffer(to, from.len());
    to.copy_from_slice(from);
}

/// What attends: packed sequences, or sequences with a cache.
pub(crate) trait Attend {
    fn attend(&mut self, layer: usize, qkv: &[f32], out: &mut [f32]);
}

/// Sequences that stand whole in the batch.
pub(crate) struct Whole<'a>(pub(crate) &'a CpuModel, pub(crate) &'a Packed);

impl Attend for Whole<'_> {
    fn attend(&mut self, _layer: usize, qkv: &[f32], out: &mut [f32]) {
        attention_forward(
            &self.0.cpu,
            self.0.attention_shape(),
            &self.1.spans,
            qkv,
            out,
        );
    }
}

impl CpuModel {
    /// Fills `ws.x` with the residual stream after the last block. With `training`, dropout applies and
    /// every block's state is saved.
    pub(crate) fn forward(
        &self,
        bank: &AdapterBank,
        batch: &Packed,
        training: bool,
        attend: &mut dyn Attend,
        ws: &mut Workspace,
    ) {
        let hidden = self.config.hidden_size;
        resize_buffer(&mut ws.x, batch.rows() * hidden);
        self.cpu
            .for_rows(&mut ws.x, hidden, |row, x| self.embed(batch.tokens[row], x));
        let saved = if training { self.layers.len() } else { 1 };
        ws.saved
            .resize_with(saved.max(ws.saved.len()), Saved::default);
        for layer in 0..self.layers.len() {
            self.block(bank, batch, training, layer, attend, ws);
        }
    }

    fn block(
        &self,
        bank: &AdapterBank,
        batch: &Packed,
        training: bool,
        layer: usize,
        attend: &mut dyn Attend,
        ws: &mut Workspace,
    ) {
        let (cpu, c, weights) = (&self.cpu, &self.config, &self.layers[layer]);
        let (isa, t) = (cpu.isa(), batch.rows());
        let shape = self.attention_shape();
        let Workspace {
            saved,
            x,
            rows,
            dropped,
            scratch,
        } = ws;
        let saved = &mut saved[if training { layer } else { 0 }];
        let lora = |site| Lora {
            model: self,
            bank,
            batch,
            layer,
            site,
            training,
        };
        if training {
            keep(&mut saved.input, x);
        }

        let norm = |row: usize, out: &mut [f32]| {
            rms_norm_forward(
                isa,
                &x[row * c.hidden_size..][..c.hidden_size],
                &weights.attention_norm,
                c.rms_norm_eps,
                out,
            );
        };
        resize_buffer(&mut saved.qkv, t * shape.ld());
        self.project(
            &lora(Site::Qkv),
            rows,
            dropped,
            norm,
            &mut saved.qkv,
            Mode::Assign,
            &mut saved.u[0],
            scratch,
        );
        if training && weights.qk_norm.is_some() {
            keep(&mut saved.before_norm, &saved.qkv);
        }
        cpu.for_rows(&mut saved.qkv, shape.ld(), |row, qkv| {
            self.norm_and_rotate(layer, batch.positions[row] as usize, qkv);
        });
        resize_buffer(&mut saved.attention, t * shape.heads * shape.head_dim);
        attend.attend(layer, &saved.qkv, &mut saved.attention);

        let width = shape.heads * shape.head_dim;
        let attention = &saved.attention;
        let copy =
            |row: usize, out: &mut [f32]| out.copy_from_slice(&attention[row * width..][..width]);
        self.project(
            &lora(Site::O),
            rows,
            dropped,
            copy,
            x,
            Mode::Add,
            &mut saved.u[1],
            scratch,
        );
        if training {
            keep(&mut saved.middle, x);
        }

        let norm = |row: usize, out: &mut [f32]| {
            rms_norm_forward(
                isa,
                &x[row * c.hidden_size..][..c.hidden_size],
                &weights.mlp_norm,
                c.rms_norm_eps,
                out,
            );
        };
        let two_f = 2 * c.intermediate_size;
        resize_buffer(&mut saved.gate_up, t * two_f);
        self.project(
            &lora(Site::GateUp),
            rows,
            dropped,
            norm,
            &mut saved.gate_up,
            Mode::Assign,
            &mut saved.u[2],
            scratch,
        );
        let gate_up = &saved.gate_up;
        let act = |row: usize, out: &mut [f32]| {
            swiglu_forward(isa, &gate_up[row * two_f..][..two_f], out)
        };
        self.project(
            &lora(Site::Down),
            rows,
            dropped,
            act,
            x,
            Mode::Add,
            &mut saved.u[3],
            scratch,
        );
    }

    /// One site: the frozen product over all rows, then the adapters'. `make` gives the input rows.
    #[allow(clippy::too_many_arguments)]
    fn project(
        &self,
        lora: &Lora<'_>,
        rows: &mut Rows,
        dropped: &mut Rows,
        make: impl Fn(usize, &mut [f32]) + Sync + Send,
        y: &mut [f32],
        mode: Mode,
        u: &mut Vec<f32>,
        scratch: &mut Scratch,
    ) {
        rows.fill(
            &self.cpu,
            lora.batch.rows(),
            lora.site.inputs(&self.config),
            &make,
        );
        self.layers[lora.layer]
            .linear(lora.site)
            .forward(&self.cpu, rows, y, mode);
        let input = if lora.drops() {
            lora.dropped(dropped, &make);
            &*dropped
        } else {
            &*rows
        };
        lora.forward(input, y, u, scratch);
    }

    /// Head norms (where the model has them) and rotation of one row of q, k, v.
    pub(crate) fn norm_and_rotate(&self, layer: usize, position: usize, qkv: &mut [f32]) {
        let (isa, shape, d) = (self.cpu.isa(), self.attention_shape(), self.config.head_dim);
        let heads = shape.heads + shape.kv_heads;
        for (head, values) in qkv.chunks_exact_mut(d).take(heads).enumerate() {
            if let Some((q, k)) = &self.layers[layer].qk_norm {
                let plain = values.to_vec();
                let weight = if head < shape.heads { q } else { k };
                rms_norm_forward(isa, &plain, weight, self.config.rms_norm_eps, values);
            }
            self.rope.rotate(isa, position, values);
        }
    }
}
