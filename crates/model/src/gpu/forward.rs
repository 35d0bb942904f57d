//! The forward pass over a packed batch, block by block.

use verdict_kernels::cuda::View;
use verdict_kernels::{AttentionInput, BaseQuantization, Narrow, NormInput, Out, Wide};

use crate::error::Result;
use crate::gpu::bank::GpuBank;
use crate::gpu::batch::GpuBatch;
use crate::gpu::load::GpuModel;
use crate::gpu::pass::{Pass, Saved};
use crate::site::Site;

/// A batch on its way through a model with a bank.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) model: &'a GpuModel,
    pub(crate) bank: View<'a, u16>,
    pub(crate) batch: &'a GpuBatch,
}

/// How rows attend: to their own sequence in the batch, or to a cache.
pub(crate) trait Attention {
    /// From `saved.qkv` as projected to `saved.attention`.
    fn attend(&self, run: &Run<'_>, layer: usize, saved: &Saved<'_>) -> Result<()>;
}

/// Causal attention within the batch, which holds every sequence from its first token.
pub(crate) struct PackedAttention;

impl Attention for PackedAttention {
    fn attend(&self, run: &Run<'_>, layer: usize, saved: &Saved<'_>) -> Result<()> {
        let (gpu, c) = (run.model.gpu(), &run.model.config);
        let heads = run
            .model
            .heads(layer, run.batch.positions.view(), run.rows());
        let rotated_ld = (c.num_attention_heads + c.num_key_value_heads) * c.head_dim;
        gpu.norm_and_rotate(heads, saved.qkv, saved.rotated, rotated_ld)?;
        Ok(gpu.attention_forward(run.attention(saved), saved.attention, saved.lse)?)
    }
}

impl<'a> Run<'a> {
    pub(crate) fn new(model: &'a GpuModel, bank: &'a GpuBank, batch: &'a GpuBatch) -> Self {
        Self {
            model,
            bank: bank.weights.view(),
            batch,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.batch.rows
    }

    /// Rows that the frozen products take: a few more where they go by sixteens.
    pub(crate) fn product_rows(&self) -> usize {
        match self.model.base {
            BaseQuantization::Fp8 => self.rows().next_multiple_of(16),
            _ => self.rows(),
        }
    }

    /// Runs all blocks. The last of `pass.stream`'s views holds the residual stream then, or, where they
    /// are used in turns, the one that is returned.
    pub(crate) fn forward<'p>(&self, pass: &Pass<'p>) -> Result<View<'p, u16>> {
        self.forward_with(pass, &PackedAttention)
    }

    pub(crate) fn forward_with<'p>(
        &self,
        pass: &Pass<'p>,
        attention: &dyn Attention,
    ) -> Result<View<'p, u16>> {
        let streams = pass.stream.len();
        let (table, hidden) = (self.model.embedding(), self.model.config.hidden_size);
        self.model
            .gpu()
            .embed_rows(self.batch.tokens.view(), table, hidden, pass.stream[0])?;
        for layer in 0..self.model.layers.len() {
            let saved = &pass.saved[layer % pass.saved.len()];
            let (x, y) = (
                pass.stream[layer % streams],
                pass.stream[(layer + 1) % streams],
            );
            self.block(layer, pass, saved, attention, x, y)?;
        }
        Ok(pass.stream[self.model.layers.len() % streams])
    }

    /// One block, from `x` to `y` `[T, H]`.
    pub(crate) fn block(
        &self,
        layer: usize,
        pass: &Pass<'_>,
        saved: &Saved<'_>,
        attention: &dyn Attention,
        x: View<'_, u16>,
        y: View<'_, u16>,
    ) -> Result<()> {
        let (gpu, c, weights) = (
            self.model.gpu(),
            &self.model.config,
            &self.model.layers[layer],
        );
        let rows = self.rows();
        let masked = |site| {
            self.batch
                .lora
                .as_ref()
                .filter(|l| l.drops)
                .and_then(|l| l.masked(pass.masked, layer, site))
        };

        gpu.rms_norm_forward(
            self.norm(x, weights.attention_norm.view()),
            Some(pass.input),
            masked(Site::Qkv),
        )?;
        self.project(layer, Site::Qkv, pass, saved, pass.input, None, saved.qkv)?;
        attention.attend(self, layer, saved)?;

        if let Some(masked) = masked(Site::O) {
            gpu.dropout_scale(saved.attention, rows, Site::O.inputs(c), masked)?;
        }
        self.project(
            layer,
            Site::O,
            pass,
            saved,
            saved.attention,
            Some(x),
            saved.middle,
        )?;

        gpu.rms_norm_forward(
            self.norm(saved.middle, weights.mlp_norm.view()),
            Some(pass.input),
            masked(Site::GateUp),
        )?;
        self.project(
            layer,
            Site::GateUp,
            pass,
            saved,
            pass.input,
            None,
            saved.gate_up,
        )?;
        gpu.swiglu_forward(
            saved.gate_up,
            rows,
            c.intermediate_size,
            pass.input,
            masked(Site::Down),
        )?;
        self.project(
            layer,
            Site::Down,
            pass,
            saved,
            pass.input,
            Some(saved.middle),
            y,
        )
    }

    /// `y = source + W x + the adapters' part`: theirs first, then the frozen product is added to it.
    /// Their input is `pass.masked` where dropout applies, else x.
    #[allow(clippy::too_many_arguments)]
    fn project(
        &self,
        layer: usize,
        site: Site,
        pass: &Pass<'_>,
        saved: &Saved<'_>,
        x: View<'_, u16>,
        source: Option<View<'_, u16>>,
        y: View<'_, u16>,
    ) -> Result<()> {
        let gpu = self.model.gpu();
        let linear = self.model.layers[layer].linear(site);
        let mut add = source;
        if let Some(lora) = &self.batch.lora {
            let input = if lora.drops { pass.masked } else { x };
            let u = Narrow(saved.u[site as usize], lora.narrow[site as usize]);
            let out = Wide(y, linear.outputs());
            gpu.lora_down(
                lora.inputs(site),
                self.bank,
                layer,
                Wide(input, linear.inputs()),
                u,
            )?;
            gpu.lora_up(lora.outputs(site), self.bank, layer, u, out, source, None)?;
            self.bare_rows(linear.outputs(), source, y)?;
            add = Some(y);
        }
        let turns = pass.back.is_some();
        let ahead = self.model.ahead(layer, site, false, turns);
        let scratch = pass.scratch(self.model, site, ahead);
        let out = Out { add, to: y };
        Ok(gpu.linear_forward(linear, x, self.product_rows(), out, scratch)?)
    }

    /// What the adapters' products leave in rows that have none: the source, or zeros.
    pub(crate) fn bare_rows(
        &self,
        width: usize,
        source: Option<View<'_, u16>>,
        to: View<'_, u16>,
    ) -> Result<()> {
        let gpu = self.model.gpu();
        for rows in self.batch.lora.iter().flat_map(|l| &l.bare) {
            let part = rows.start * width..rows.end * width;
            match source {
                Some(source) => gpu.copy(source.part(part.clone()), to.part(part))?,
                None => gpu.clear(to.part(part))?,
            }
        }
        Ok(())
    }

    pub(crate) fn norm<'v>(&self, x: View<'v, u16>, weight: View<'v, f32>) -> NormInput<'v> {
        NormInput {
            x,
            gather: None,
            weight,
            eps: self.model.config.rms_norm_eps,
            rows: self.rows(),
            h: self.model.config.hidden_size,
        }
    }

    pub(crate) fn attention<'v>(&'v self, saved: &Saved<'v>) -> AttentionInput<'v> {
        let shape = self.model.shape();
        let (ld, rotated_ld) = (shape.ld(), (shape.heads + shape.kv_heads) * shape.head_dim);
        let within = |view: View<'v, u16>, at: usize| view.from(at.min(view.len()));
        AttentionInput {
            shape,
            tiles: &self.batch.tiles,
            q: (saved.rotated, rotated_ld),
            k: (within(saved.rotated, shape.k(0)), rotated_ld),
            v: (within(saved.qkv, shape.v(0)), ld),
        }
    }
}
