//! The backward pass: gradients of the adapters, block by block from the last.

use verdict_kernels::cuda::View;
use verdict_kernels::{Narrow, Out, Wide};

use crate::error::Result;
use crate::gpu::batch::LoraRows;
use crate::gpu::forward::{PackedAttention, Run};
use crate::gpu::pass::{Back, Pass, Saved};
use crate::site::Site;

/// Where gradients go: laid out as the bank, f32.
#[derive(Clone, Copy)]
pub(crate) struct Gradients<'a> {
    pub(crate) to: View<'a, f32>,
    /// Added to what is there, or written over it.
    pub(crate) add: bool,
}

/// What the backward pass of a block's sites shares.
#[derive(Clone, Copy)]
struct BlockBackward<'a> {
    layer: usize,
    pass: &'a Pass<'a>,
    back: &'a Back<'a>,
    lora: &'a LoraRows,
    saved: &'a Saved<'a>,
    gradients: Gradients<'a>,
}

impl Run<'_> {
    /// Takes `pass.back.dx`, the gradient after the last block, down to the first.
    pub(crate) fn backward(&self, pass: &Pass<'_>, gradients: Gradients<'_>) -> Result<()> {
        let (Some(back), Some(lora)) = (pass.back, &self.batch.lora) else {
            return Ok(());
        };
        for layer in (0..self.model.layers.len()).rev() {
            let saved = &pass.saved[layer % pass.saved.len()];
            // What the last block left is still there.
            if pass.runs_again() && layer + 1 < self.model.layers.len() {
                // Its output is the next block's input, which is not read any more.
                let (x, y) = (pass.stream[layer], pass.stream[layer + 1]);
                self.block(layer, pass, saved, &PackedAttention, x, y)?;
            }
            self.block_backward(&BlockBackward {
                layer,
                pass,
                back: &back,
                lora,
                saved,
                gradients,
            })?;
        }
        Ok(())
    }

    fn block_backward(&self, at: &BlockBackward<'_>) -> Result<()> {
        let BlockBackward {
            layer,
            pass,
            back,
            lora,
            saved,
            gradients,
        } = *at;
        let (gpu, c, weights) = (
            self.model.gpu(),
            &self.model.config,
            &self.model.layers[layer],
        );
        let rows = self.rows();
        let Back {
            dx,
            d_input,
            d_wide,
            delta,
            ..
        } = *back;
        // Every kernel that goes back through a site's input makes that input's masked copy as well: the
        // gradient of A needs it.
        let masked = |site| lora.masked(pass.masked, layer, site);
        let site_back = |site, dy| self.site_backward(at, site, dy);
        let input_gradient = |site: Site| {
            let du = Narrow(back.du, lora.narrow[site as usize]);
            let x = Wide(pass.masked, site.inputs(c));
            gpu.lora_gradient(lora.inputs(site), gradients.to, layer, du, x, gradients.add)
        };

        site_back(Site::Down, dx)?;
        let f = c.intermediate_size;
        gpu.swiglu_backward(saved.gate_up, rows, f, d_input, d_wide, masked(Site::Down))?;
        input_gradient(Site::Down)?;

        site_back(Site::GateUp, d_wide)?;
        let norm = self.norm(saved.middle, weights.mlp_norm.view());
        gpu.rms_norm_backward(norm, d_input, dx, masked(Site::GateUp))?;
        input_gradient(Site::GateUp)?;

        site_back(Site::O, dx)?;
        if let Some(masked) = masked(Site::O) {
            gpu.dropout_scale(saved.attention, rows, Site::O.inputs(c), masked)?;
        }
        input_gradient(Site::O)?;
        let attention = self.attention(saved);
        gpu.attention_backward(
            attention,
            saved.attention,
            saved.lse,
            d_input,
            delta,
            d_wide,
        )?;
        let heads = self.model.heads(layer, self.batch.positions.view(), rows);
        gpu.norm_and_rotate_backward(heads, d_wide, saved.qkv)?;

        site_back(Site::Qkv, d_wide)?;
        let norm = self.norm(pass.stream[layer], weights.attention_norm.view());
        gpu.rms_norm_backward(norm, d_input, dx, masked(Site::Qkv))?;
        Ok(input_gradient(Site::Qkv)?)
    }

    /// From `dy [T, outputs]`: du, the gradient of B, and the gradient of the site's input (`back.d_input`):
    /// the adapters' part first, then the frozen product is added to it.
    fn site_backward(&self, at: &BlockBackward<'_>, site: Site, dy: View<'_, u16>) -> Result<()> {
        let BlockBackward {
            layer,
            pass,
            back,
            lora,
            saved,
            gradients,
        } = *at;
        let gpu = self.model.gpu();
        let linear = self.model.layers[layer].linear(site);
        let ld = lora.narrow[site as usize];
        let (u, du) = (Narrow(saved.u[site as usize], ld), Narrow(back.du, ld));
        let dy_wide = Wide(dy, linear.outputs());
        gpu.lora_down(lora.outputs(site), self.bank, layer, dy_wide, du)?;
        gpu.lora_gradient(
            lora.outputs(site),
            gradients.to,
            layer,
            u,
            dy_wide,
            gradients.add,
        )?;
        let to = back.d_input;
        let masks = lora.masks().map(|keys| (keys, site as usize));
        gpu.lora_up(
            lora.inputs(site),
            self.bank,
            layer,
            du,
            Wide(to, linear.inputs()),
            None,
            masks,
        )?;
        self.bare_rows(linear.inputs(), None, to)?;
        let out = Out { add: Some(to), to };
        let ahead = self.model.ahead(layer, site, true, true);
        let scratch = pass.scratch(self.model, site, ahead);
        Ok(gpu.linear_backward(linear, dy, self.product_rows(), out, scratch)?)
    }
}
