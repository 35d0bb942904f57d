//! The forward pass over a packed batch, block by block.

use verdict_kernels::{Mode, Rows, attention_forward, resize_buffer, rms_norm_forward};

use crate::bank::AdapterBank;
use crate::batch::Packed;
use crate::cpu::CpuModel;
use crate::cpu::block::{Block, InputRows};
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
    /// One per block in training, one in all otherwise.
    pub(crate) saved: Vec<Saved>,
    /// The residual stream `[T, H]`.
    pub(crate) x: Vec<f32>,
    pub(crate) buffers: SiteBuffers,
}

/// Buffers of one site's products.
#[derive(Debug, Default)]
pub(crate) struct SiteBuffers {
    /// The site's input.
    rows: Rows,
    /// The same with dropout.
    pub(crate) dropped: Rows,
    pub(crate) scratch: Scratch,
}

fn keep(to: &mut Vec<f32>, from: &[f32]) {
    resize_buffer(to, from.len());
    to.copy_from_slice(from);
}

/// How rows attend: to their own sequence in the batch, or to a cache.
pub(crate) trait Attention {
    fn attend(&mut self, layer: usize, qkv: &[f32], out: &mut [f32]);
}

/// Causal attention within the batch, which holds every sequence from its first token.
pub(crate) struct PackedAttention<'a>(pub(crate) &'a CpuModel, pub(crate) &'a Packed);

impl Attention for PackedAttention<'_> {
    fn attend(&mut self, _layer: usize, qkv: &[f32], out: &mut [f32]) {
        let Self(model, batch) = self;
        attention_forward(&model.cpu, model.attention_shape(), &batch.spans, qkv, out);
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
        attention: &mut dyn Attention,
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
            let block = Block {
                model: self,
                bank,
                batch,
                layer,
                training,
            };
            block.forward(attention, ws);
        }
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

impl Block<'_> {
    /// Takes `ws.x`, the residual stream before this block, through it.
    fn forward(&self, attention: &mut dyn Attention, ws: &mut Workspace) {
        let Workspace { saved, x, buffers } = ws;
        let saved = &mut saved[if self.training { self.layer } else { 0 }];
        if self.training {
            keep(&mut saved.input, x);
        }
        self.attention_half(attention, x, saved, buffers);
        if self.training {
            keep(&mut saved.middle, x);
        }
        self.feed_forward_half(x, saved, buffers);
    }

    fn attention_half(
        &self,
        attention: &mut dyn Attention,
        x: &mut [f32],
        saved: &mut Saved,
        buffers: &mut SiteBuffers,
    ) {
        let (cpu, weights, t) = (&self.model.cpu, self.weights(), self.batch.rows());
        let shape = self.model.attention_shape();
        let Saved {
            before_norm,
            qkv,
            attention: attended,
            u,
            ..
        } = saved;
        resize_buffer(qkv, t * shape.ld());
        let input = self.normed(x, &weights.attention_norm);
        self.project(Site::Qkv, input, qkv, Mode::Assign, u, buffers);
        if self.training && weights.qk_norm.is_some() {
            keep(before_norm, qkv);
        }
        cpu.for_rows(qkv, shape.ld(), |row, qkv| {
            let position = self.batch.positions[row] as usize;
            self.model.norm_and_rotate(self.layer, position, qkv);
        });
        resize_buffer(attended, t * shape.heads * shape.head_dim);
        attention.attend(self.layer, qkv, attended);
        let input = self.attended(attended);
        self.project(Site::O, input, x, Mode::Add, u, buffers);
    }

    fn feed_forward_half(&self, x: &mut [f32], saved: &mut Saved, buffers: &mut SiteBuffers) {
        let Saved { gate_up, u, .. } = saved;
        let two_f = self.weights().linear(Site::GateUp).outputs();
        resize_buffer(gate_up, self.batch.rows() * two_f);
        let input = self.normed(x, &self.weights().mlp_norm);
        self.project(Site::GateUp, input, gate_up, Mode::Assign, u, buffers);
        let input = self.activated(gate_up);
        self.project(Site::Down, input, x, Mode::Add, u, buffers);
    }

    /// One site: the frozen product over all rows, then the adapters'. `input` gives the input rows, `u` keeps
    /// each site's `drop(x) Aᵀ`.
    fn project(
        &self,
        site: Site,
        input: impl InputRows,
        y: &mut [f32],
        mode: Mode,
        u: &mut [Vec<f32>; 4],
        buffers: &mut SiteBuffers,
    ) {
        let (cpu, lora) = (&self.model.cpu, Lora::new(self, site));
        let SiteBuffers {
            rows,
            dropped,
            scratch,
        } = buffers;
        rows.fill(
            cpu,
            self.batch.rows(),
            site.inputs(&self.model.config),
            &input,
        );
        self.weights().linear(site).forward(cpu, rows, y, mode);
        let input = if lora.drops() {
            lora.dropped(dropped, &input);
            &*dropped
        } else {
            &*rows
        };
        lora.forward(input, y, &mut u[site as usize], scratch);
    }
}
