//! The backward pass: gradients of the adapters, block by block from the last.

use verdict_kernels::{
    Mode, Rows, attention_backward, resize_buffer, rms_norm_backward, rms_norm_forward,
    swiglu_backward, swiglu_forward,
};

use crate::bank::AdapterBank;
use crate::batch::Packed;
use crate::cpu::CpuModel;
use crate::cpu::forward::{Saved, Workspace};
use crate::cpu::lora::{Lora, Scratch};
use crate::site::Site;

/// Buffers of backward alone.
#[derive(Debug, Default)]
pub(crate) struct Backward {
    /// Gradient of the residual stream `[T, H]`.
    pub(crate) dx: Vec<f32>,
    d_wide: Vec<f32>,
    d_input: Vec<f32>,
    dy_rows: Rows,
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
            self.block_backward(bank, batch, layer, ws, back, gradients);
        }
    }

    fn block_backward(
        &self,
        bank: &AdapterBank,
        batch: &Packed,
        layer: usize,
        ws: &mut Workspace,
        back: &mut Backward,
        gradients: &mut [Vec<f32>],
    ) {
        let (cpu, c, weights) = (&self.cpu, &self.config, &self.layers[layer]);
        let (isa, hidden, t) = (cpu.isa(), c.hidden_size, batch.rows());
        let (shape, two_f) = (self.attention_shape(), 2 * c.intermediate_size);
        let Workspace {
            saved,
            dropped,
            scratch,
            ..
        } = ws;
        let saved: &Saved = &saved[layer];
        let Backward {
            dx,
            d_wide,
            d_input,
            dy_rows,
            scaled,
        } = back;
        let mut site = |site: Site,
                        make: &(dyn Fn(usize, &mut [f32]) + Sync + Send),
                        dy: &[f32],
                        d_input: &mut Vec<f32>,
                        scratch: &mut Scratch| {
            let lora = Lora {
                model: self,
                bank,
                batch,
                layer,
                site,
                training: true,
            };
            let linear = weights.linear(site);
            let outputs = linear.outputs();
            dy_rows.set(cpu, dy, outputs, outputs, None);
            resize_buffer(d_input, t * linear.inputs());
            match linear.scale() {
                None => linear.backward(cpu, dy_rows, d_input, Mode::Assign),
                Some(scale) => {
                    scaled.set(cpu, dy, outputs, outputs, Some(scale));
                    linear.backward(cpu, scaled, d_input, Mode::Assign);
                }
            }
            if !batch.groups.is_empty() {
                lora.dropped(dropped, make);
                lora.backward(
                    dropped,
                    &saved.u[site as usize],
                    dy_rows,
                    d_input,
                    gradients,
                    scratch,
                );
            }
        };

        // down, SwiGLU, gate and up, norm
        let act = |row: usize, out: &mut [f32]| {
            swiglu_forward(isa, &saved.gate_up[row * two_f..][..two_f], out)
        };
        site(Site::Down, &act, dx, d_input, scratch);
        resize_buffer(d_wide, t * two_f);
        let d_act = &*d_input;
        cpu.for_rows(d_wide, two_f, |row, d| {
            swiglu_backward(
                isa,
                &saved.gate_up[row * two_f..][..two_f],
                &d_act[row * two_f / 2..][..two_f / 2],
                d,
            );
        });
        let norm = |row: usize, out: &mut [f32]| {
            rms_norm_forward(
                isa,
                &saved.middle[row * hidden..][..hidden],
                &weights.mlp_norm,
                c.rms_norm_eps,
                out,
            );
        };
        site(Site::GateUp, &norm, d_wide, d_input, scratch);
        let d_norm = &*d_input;
        cpu.for_rows(dx, hidden, |row, dx| {
            let at = row * hidden..(row + 1) * hidden;
            rms_norm_backward(
                isa,
                &saved.middle[at.clone()],
                &weights.mlp_norm,
                c.rms_norm_eps,
                &d_norm[at],
                dx,
            );
        });

        // output projection, attention, rotation and head norms, q k v, norm
        let width = shape.heads * shape.head_dim;
        let copy = |row: usize, out: &mut [f32]| {
            out.copy_from_slice(&saved.attention[row * width..][..width])
        };
        site(Site::O, &copy, dx, d_input, scratch);
        resize_buffer(d_wide, t * shape.ld());
        attention_backward(cpu, shape, &batch.spans, &saved.qkv, d_input, d_wide);
        cpu.for_rows(d_wide, shape.ld(), |row, d| {
            self.rotate_and_norm_back(layer, batch.positions[row] as usize, row, saved, d);
        });
        let norm = |row: usize, out: &mut [f32]| {
            rms_norm_forward(
                isa,
                &saved.input[row * hidden..][..hidden],
                &weights.attention_norm,
                c.rms_norm_eps,
                out,
            );
        };
        site(Site::Qkv, &norm, d_wide, d_input, scratch);
        let d_norm = &*d_input;
        cpu.for_rows(dx, hidden, |row, dx| {
            let at = row * hidden..(row + 1) * hidden;
            rms_norm_backward(
                isa,
                &saved.input[at.clone()],
                &weights.attention_norm,
                c.rms_norm_eps,
                &d_norm[at],
                dx,
            );
        });
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
