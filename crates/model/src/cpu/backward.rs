//! The backward pass: gradients of the adapters, block by block from the last.

use verdict_kernels::{
    Mode, Rows, attention_backward, resize_buffer, rms_norm_backward, swiglu_backward,
};

use crate::bank::AdapterBank;
use crate::batch::Packed;
use crate::cpu::CpuModel;
use crate::cpu::block::{Block, InputRows};
use crate::cpu::forward::{Saved, SiteBuffers, Workspace};
use crate::cpu::lora::Lora;
use crate::site::Site;

/// Buffers of backward alone.
#[derive(Debug, Default)]
pub(crate) struct Backward {
    /// Gradient of the residual stream `[T, H]`.
    pub(crate) dx: Vec<f32>,
    /// Gradient of q, k, v, or of gate and up.
    d_wide: Vec<f32>,
    /// Gradient of a site's input.
    d_input: Vec<f32>,
    sites: SiteGradients,
}

/// Rows that one site's backward products read.
#[derive(Debug, Default)]
struct SiteGradients {
    dy: Rows,
    /// The same times the frozen weights' scales.
    scaled: Rows,
}

impl CpuModel {
    /// Takes `back.dx`, the gradient after the last block, down to the first; adds to `gradients`.
    pub(crate) fn backward(
        &self,
        bank: &AdapterBank,
        batch: &Packed,
        ws: &mut Workspace,
        back: &mut Backward,
        gradients: &mut [Vec<f32>],
    ) {
        for layer in (0..self.layers.len()).rev() {
            let block = Block {
                model: self,
                bank,
                batch,
                layer,
                training: true,
            };
            block.backward(ws, back, gradients);
        }
    }

    fn rotate_and_norm_back(
        &self,
        layer: usize,
        position: usize,
        row: usize,
        saved: &Saved,
        d_qkv: &mut [f32],
    ) {
        let (isa, shape, d) = (self.cpu.isa(), self.attention_shape(), self.config.head_dim);
        let heads = shape.heads + shape.kv_heads;
        for (head, gradient) in d_qkv.chunks_exact_mut(d).take(heads).enumerate() {
            self.rope.rotate_back(isa, position, gradient);
            if let Some((q, k)) = &self.layers[layer].qk_norm {
                let weight = if head < shape.heads { q } else { k };
                let x = &saved.before_norm[row * shape.ld() + head * d..][..d];
                let dy = gradient.to_vec();
                gradient.fill(0.0);
                rms_norm_backward(isa, x, weight, self.config.rms_norm_eps, &dy, gradient);
            }
        }
    }
}

/// What the backward pass of a block's sites shares.
struct Sites<'b> {
    saved: &'b Saved,
    gradients: &'b mut [Vec<f32>],
    dy: &'b mut SiteGradients,
    buffers: &'b mut SiteBuffers,
}

impl Block<'_> {
    /// Takes `back.dx`, the gradient after this block, to before it; adds to `gradients`.
    fn backward(&self, ws: &mut Workspace, back: &mut Backward, gradients: &mut [Vec<f32>]) {
        let Backward {
            dx,
            d_wide,
            d_input,
            sites,
        } = back;
        let mut sites = Sites {
            saved: &ws.saved[self.layer],
            gradients,
            dy: sites,
            buffers: &mut ws.buffers,
        };
        self.feed_forward_backward(dx, d_wide, d_input, &mut sites);
        self.attention_backward(dx, d_wide, d_input, &mut sites);
    }

    /// Back through down, SwiGLU, gate and up, and their norm.
    fn feed_forward_backward(
        &self,
        dx: &mut [f32],
        d_wide: &mut Vec<f32>,
        d_input: &mut Vec<f32>,
        sites: &mut Sites<'_>,
    ) {
        let (cpu, saved, weight) = (&self.model.cpu, sites.saved, &self.weights().mlp_norm);
        let two_f = self.weights().linear(Site::GateUp).outputs();
        let input = self.activated(&saved.gate_up);
        self.site_backward(Site::Down, input, dx, d_input, sites);
        resize_buffer(d_wide, self.batch.rows() * two_f);
        let d_act = &*d_input;
        cpu.for_rows(d_wide, two_f, |row, d| {
            swiglu_backward(
                cpu.isa(),
                &saved.gate_up[row * two_f..][..two_f],
                &d_act[row * two_f / 2..][..two_f / 2],
                d,
            );
        });
        let input = self.normed(&saved.middle, weight);
        self.site_backward(Site::GateUp, input, d_wide, d_input, sites);
        self.norm_backward(&saved.middle, weight, d_input, dx);
    }

    /// Back through the output projection, attention, rotation and head norms, q, k, v, and their norm.
    fn attention_backward(
        &self,
        dx: &mut [f32],
        d_wide: &mut Vec<f32>,
        d_input: &mut Vec<f32>,
        sites: &mut Sites<'_>,
    ) {
        let (cpu, saved) = (&self.model.cpu, sites.saved);
        let (shape, weight) = (self.model.attention_shape(), &self.weights().attention_norm);
        let input = self.attended(&saved.attention);
        self.site_backward(Site::O, input, dx, d_input, sites);
        resize_buffer(d_wide, self.batch.rows() * shape.ld());
        attention_backward(cpu, shape, &self.batch.spans, &saved.qkv, d_input, d_wide);
        cpu.for_rows(d_wide, shape.ld(), |row, d| {
            let position = self.batch.positions[row] as usize;
            self.model
                .rotate_and_norm_back(self.layer, position, row, saved, d);
        });
        let input = self.normed(&saved.input, weight);
        self.site_backward(Site::Qkv, input, d_wide, d_input, sites);
        self.norm_backward(&saved.input, weight, d_input, dx);
    }

    /// From `dy` `[T, outputs]`: writes the gradient of the site's input and adds to the adapters' gradients.
    /// `input` gives the site's input rows, as in forward.
    fn site_backward(
        &self,
        site: Site,
        input: impl InputRows,
        dy: &[f32],
        d_input: &mut Vec<f32>,
        sites: &mut Sites<'_>,
    ) {
        let (cpu, linear) = (&self.model.cpu, self.weights().linear(site));
        let outputs = linear.outputs();
        let SiteGradients { dy: rows, scaled } = &mut *sites.dy;
        rows.set(cpu, dy, outputs, outputs, None);
        resize_buffer(d_input, self.batch.rows() * linear.inputs());
        match linear.scale() {
            None => linear.backward(cpu, rows, d_input, Mode::Assign),
            Some(scale) => {
                scaled.set(cpu, dy, outputs, outputs, Some(scale));
                linear.backward(cpu, scaled, d_input, Mode::Assign);
            }
        }
        if self.batch.groups.is_empty() {
            return;
        }
        let (lora, u) = (Lora::new(self, site), &sites.saved.u[site as usize]);
        let SiteBuffers {
            dropped, scratch, ..
        } = &mut *sites.buffers;
        lora.dropped(dropped, input);
        lora.backward(dropped, u, rows, d_input, sites.gradients, scratch);
    }

    /// Adds to `dx` the gradient through a norm of `x`, from the gradient `d` of its result.
    fn norm_backward(&self, x: &[f32], weight: &[f32], d: &[f32], dx: &mut [f32]) {
        let (cpu, c) = (&self.model.cpu, &self.model.config);
        cpu.for_rows(dx, c.hidden_size, |row, dx| {
            let at = row * c.hidden_size..(row + 1) * c.hidden_size;
            let (x, d) = (&x[at.clone()], &d[at]);
            rms_norm_backward(cpu.isa(), x, weight, c.rms_norm_eps, d, dx);
        });
    }
}
