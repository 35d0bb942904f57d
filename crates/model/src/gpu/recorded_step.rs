//! One decoding step of single tokens: recorded once as a CUDA graph, launched again for every token.

use std::sync::Arc;

use verdict_kernels::cuda::{Buffer, Gpu, Graph, View};
use verdict_kernels::{AttentionShape, Narrow, Skinny, SkinnyOut, Wide};

use crate::batch::Packed;
use crate::error::{Error, Result};
use crate::gpu::bank::GpuBank;
use crate::gpu::batch::GpuBatch;
use crate::gpu::forward::Run;
use crate::gpu::kv_memory::KvMemory;
use crate::gpu::load::GpuModel;
use crate::gpu::logits::{Last, Picks};
use crate::site::Site;

/// A step of single tokens, recorded for one composition of rows (which adapter each passes through) and for
/// the probes that are read of each.
#[derive(Debug)]
pub(crate) struct RecordedStep {
    /// Present once it has been recorded.
    graph: Option<Graph>,
    bank: Arc<GpuBank>,
    adapters: Vec<Option<usize>>,
    batch: GpuBatch,
    state: State,
    memory: Memory,
}

/// What changes from step to step, one number a row.
#[derive(Debug)]
struct State {
    tokens: Buffer<u32>,
    positions: Buffer<u32>,
    lengths: Buffer<u32>,
    slots: Buffer<u32>,
    finished: Buffer<u32>,
}

/// Activations of a step.
#[derive(Debug)]
struct Memory {
    /// The residual stream `[rows, H]`.
    x: Buffer<u16>,
    normed: Buffer<u16>,
    qkv: Buffer<u16>,
    q: Buffer<u16>,
    attention: Buffer<u16>,
    gate_up: Buffer<u16>,
    act: Buffer<u16>,
    u: Buffer<u16>,
    logits: Arc<Buffer<f32>>,
    picks: Picks,
}

/// One kernel of each source that a step needs beside those of packed passes.
pub(super) const STEP_KERNELS: [&str; 9] = [
    "skinny_",
    "choose",
    "gather_logits",
    "rotate_into_cache",
    "lora_down_",
    "lora_up_",
    "rms_norm_",
    "embed_rows",
    "norm_and_rotate",
];

impl RecordedStep {
    fn new(
        model: &GpuModel,
        bank: &Arc<GpuBank>,
        packed: &Packed,
        adapters: Vec<Option<usize>>,
        probes: &[u32],
    ) -> Result<Self> {
        let (gpu, c) = (model.gpu(), &model.config);
        let (rows, s) = (adapters.len(), model.shape());
        gpu.require(&STEP_KERNELS)?;
        let attention = AttentionShape::padded_head(c.head_dim);
        gpu.require(&[&format!("attention_decode_{attention}_")])?;
        let batch = GpuBatch::new(gpu, c, &bank.layouts, packed, false)?;
        let (width, f, v) = (s.heads * s.head_dim, c.intermediate_size, c.vocab_size);
        let narrow = batch.narrow().into_iter().max().unwrap_or(0);
        let numbers = || gpu.zeros::<u32>(rows);
        Ok(Self {
            state: State {
                tokens: numbers()?,
                positions: numbers()?,
                lengths: numbers()?,
                slots: numbers()?,
                finished: numbers()?,
            },
            memory: Memory {
                x: gpu.zeros(rows * c.hidden_size)?,
                normed: gpu.zeros(rows * c.hidden_size)?,
                qkv: gpu.zeros(rows * s.ld())?,
                q: gpu.zeros(rows * width)?,
                attention: gpu.zeros(rows * width)?,
                gate_up: gpu.zeros(2 * rows * f)?,
                act: gpu.zeros(rows * f)?,
                u: gpu.zeros(rows * narrow)?,
                logits: Arc::new(gpu.zeros(rows * v)?),
                picks: Picks::new(gpu, rows, v, probes)?,
            },
            graph: None,
            bank: Arc::clone(bank),
            adapters,
            batch,
        })
    }

    /// Makes a step for these adapters, one a row, and records it.
    pub(super) fn record(
        model: &GpuModel,
        bank: &Arc<GpuBank>,
        cache: &KvMemory,
        packed: &Packed,
        adapters: Vec<Option<usize>>,
        probes: &[u32],
    ) -> Result<Self> {
        let mut step = Self::new(model, bank, packed, adapters, probes)?;
        // What another thread queued meanwhile would be recorded too: passes hold the arena.
        let arena = model.arena();
        step.graph = Some(model.gpu().record(|| step.queue(model, cache))?);
        drop(arena);
        Ok(step)
    }

    /// A row of this step for each wanted adapter, where it has them, reads the same probes and would not
    /// leave more than half of its rows idle.
    pub(super) fn rows_for(
        &self,
        bank: &Arc<GpuBank>,
        wanted: &[Option<usize>],
        probes: &[u32],
    ) -> Option<Vec<usize>> {
        let same = Arc::ptr_eq(&self.bank, bank)
            && self.memory.picks.probes() == probes
            && self.adapters.len() <= 2 * wanted.len();
        same.then(|| assign(&self.adapters, wanted)).flatten()
    }

    /// Sets the state of each used row: token and position from `packed`, and the slot of its sequence. Rows
    /// that are not used are finished and have the spare slot.
    pub(super) fn fill(
        &self,
        gpu: &Gpu,
        packed: &Packed,
        rows: &[usize],
        slots: &[u32],
        spare: u32,
    ) -> Result<()> {
        let n = self.adapters.len();
        let (mut tokens, mut positions) = (vec![0; n], vec![0; n]);
        let (mut lengths, mut of_row, mut finished) = (vec![0; n], vec![spare; n], vec![1; n]);
        for (i, row) in rows.iter().enumerate() {
            tokens[*row] = packed.tokens[i];
            positions[*row] = packed.positions[i];
            lengths[*row] = packed.positions[i] + 1;
            of_row[*row] = slots[i];
            finished[*row] = 0;
        }
        let state = &self.state;
        for (values, to) in [
            (&tokens, &state.tokens),
            (&positions, &state.positions),
            (&lengths, &state.lengths),
            (&of_row, &state.slots),
            (&finished, &state.finished),
        ] {
            gpu.write(values, to.view())?;
        }
        Ok(())
    }

    /// Waits for the picks of the last launch. `rows` holds the row of each chunk.
    pub(super) fn last(&self, gpu: &Gpu, rows: Vec<usize>) -> Result<Last> {
        Last::read(gpu, &self.memory.logits, rows, &self.memory.picks)
    }

    /// The tokens chosen in the first `rows` rows, which become the next launch's input.
    pub(super) fn take_chosen(&self, gpu: &Gpu, rows: usize) -> Result<Vec<u32>> {
        let (state, chosen) = (&self.state, self.memory.picks.tokens().part(0..rows));
        gpu.advance(
            chosen,
            state.finished.view(),
            state.tokens.view(),
            state.positions.view(),
            state.lengths.view(),
        )?;
        Ok(gpu.download(chosen)?)
    }

    pub(super) fn launch(&mut self) -> Result<()> {
        let graph = self
            .graph
            .as_mut()
            .unwrap_or_else(|| unreachable!("recorded"));
        Ok(graph.launch()?)
    }

    /// Queues one step: a token for each row, its logits, and the picks from them.
    fn queue(&self, model: &GpuModel, cache: &KvMemory) -> Result<()> {
        let (gpu, c, m) = (model.gpu(), &model.config, &self.memory);
        let rows = self.adapters.len();
        gpu.embed_rows(
            self.state.tokens.view(),
            model.embedding(),
            c.hidden_size,
            m.x.view(),
        )?;
        for layer in 0..model.layers.len() {
            self.block(model, cache, layer)?;
        }
        let norm = Some((model.final_norm.view(), c.rms_norm_eps));
        let out = SkinnyOut::F32(m.logits.view());
        gpu.skinny(
            &model.head,
            Skinny {
                x: m.x.view(),
                rows,
                norm,
                add: None,
                out,
            },
        )?;
        m.picks.queue(gpu, m.logits.view(), None)
    }

    fn block(&self, model: &GpuModel, cache: &KvMemory, layer: usize) -> Result<()> {
        let (gpu, c, m) = (model.gpu(), &model.config, &self.memory);
        let (rows, weights) = (self.adapters.len(), &model.layers[layer]);
        let run = Run::new(model, &self.bank, &self.batch);
        let x = m.x.view();
        let norms = |weight| Some((weight, c.rms_norm_eps));
        // Without adapters the norm is part of the product; with them its result is needed twice.
        let input = |weight| match self.batch.lora {
            None => Ok((x, norms(weight))),
            Some(_) => {
                gpu.rms_norm_forward(run.norm(x, weight), Some(m.normed.view()), None)?;
                Ok::<_, Error>((m.normed.view(), None))
            }
        };
        let product = |site: Site, x, norm, add, out| {
            gpu.skinny(
                weights.linear(site),
                Skinny {
                    x,
                    rows,
                    norm,
                    add,
                    out,
                },
            )
        };

        let (normed, norm) = input(weights.attention_norm.view())?;
        let add = self.adapters_part(&run, layer, Site::Qkv, normed, None, m.qkv.view())?;
        product(Site::Qkv, normed, norm, add, SkinnyOut::Bf16(m.qkv.view()))?;
        let heads = model.heads(layer, self.state.positions.view(), rows);
        let cached = cache.layer(layer, self.state.slots.view());
        gpu.rotate_into_cache(heads, m.qkv.view(), m.q.view(), cached)?;
        let (lengths, attention) = (self.state.lengths.view(), m.attention.view());
        gpu.attention_decode(model.shape(), m.q.view(), cached, lengths, attention)?;

        let add = self.adapters_part(&run, layer, Site::O, attention, Some(x), x)?;
        product(Site::O, attention, None, add, SkinnyOut::Bf16(x))?;

        let (normed, norm) = input(weights.mlp_norm.view())?;
        let add = self.adapters_part(&run, layer, Site::GateUp, normed, None, m.gate_up.view())?;
        product(
            Site::GateUp,
            normed,
            norm,
            add,
            SkinnyOut::Swiglu(m.act.view()),
        )?;
        let add = self.adapters_part(&run, layer, Site::Down, m.act.view(), Some(x), x)?;
        Ok(product(
            Site::Down,
            m.act.view(),
            None,
            add,
            SkinnyOut::Bf16(x),
        )?)
    }

    /// Queues the adapters' products at a site: `to = source + α/r · (x Aᵀ) Bᵀ`. Returns what the frozen
    /// product is then added to.
    fn adapters_part<'a>(
        &'a self,
        run: &Run<'_>,
        layer: usize,
        site: Site,
        x: View<'_, u16>,
        source: Option<View<'a, u16>>,
        to: View<'a, u16>,
    ) -> Result<Option<View<'a, u16>>> {
        let Some(lora) = &self.batch.lora else {
            return Ok(source);
        };
        let (gpu, linear) = (run.model.gpu(), run.model.layers[layer].linear(site));
        let u = Narrow(self.memory.u.view(), lora.narrow[site as usize]);
        let out = Wide(to, linear.outputs());
        gpu.lora_down(
            lora.inputs(site),
            run.bank,
            layer,
            Wide(x, linear.inputs()),
            u,
        )?;
        gpu.lora_up(lora.outputs(site), run.bank, layer, u, out, source, None)?;
        if source.is_none() {
            run.bare_rows(linear.outputs(), None, to)?;
        }
        Ok(Some(to))
    }
}

/// Gives each wanted adapter a row that passes through it; none where they do not suffice.
fn assign(rows: &[Option<usize>], wanted: &[Option<usize>]) -> Option<Vec<usize>> {
    let mut taken = vec![false; rows.len()];
    let mut find = |adapter: &Option<usize>| {
        let row = (0..rows.len()).find(|r| !taken[*r] && rows[*r] == *adapter)?;
        taken[row] = true;
        Some(row)
    };
    wanted.iter().map(&mut find).collect()
}
