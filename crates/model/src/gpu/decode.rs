//! Decoding: prompts through the packed forward pass, single tokens through a recorded step.

use std::sync::Arc;

use verdict_kernels::cuda::{Buffer, Graph, View};
use verdict_kernels::{
    AttentionShape, BaseQuantization, Narrow, NormInput, SKINNY_ROWS, Skinny, SkinnyOut, Wide,
};

use crate::bank::AdapterBank;
use crate::batch::Packed;
use crate::error::{Error, Result};
use crate::gpu::bank::GpuBank;
use crate::gpu::batch::GpuBatch;
use crate::gpu::cache::GpuCache;
use crate::gpu::forward::{Attend, Run};
use crate::gpu::load::GpuModel;
use crate::gpu::logits::{Last, Picks};
use crate::gpu::pass::{Keep, Pass, PassSize, Saved};
use crate::model::{Chunk, Limits};
use crate::site::Site;

/// A step of single tokens, recorded for one composition of rows: which adapter each passes through; and for
/// the probes that are told of each.
#[derive(Debug)]
pub(crate) struct Step {
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

impl GpuModel {
    pub(crate) fn new_cache(&self) -> GpuCache {
        self.gpu().prepare(&STEP_KERNELS);
        GpuCache::new(self.gpu(), &self.config)
    }

    /// Whether single tokens go through recorded steps. Their products read bf16 and int8 weights; with
    /// fp8 and nf4 every token takes the way of a prompt.
    fn steps(&self) -> bool {
        matches!(self.base, BaseQuantization::Bf16 | BaseQuantization::Int8)
    }

    /// See [`Model::extend`](crate::Model::extend).
    pub(crate) fn extend(
        &self,
        bank: &AdapterBank,
        cache: &mut GpuCache,
        chunks: &[Chunk<'_>],
    ) -> Result<Vec<f32>> {
        self.advance(bank, cache, chunks, &[])?;
        let last = cache.last.take();
        last.map_or(Ok(Vec::new()), |last| self.all(&last))
    }

    /// See [`Model::advance`](crate::Model::advance).
    pub(crate) fn advance(
        &self,
        bank: &AdapterBank,
        cache: &mut GpuCache,
        chunks: &[Chunk<'_>],
        probes: &[u32],
    ) -> Result<()> {
        let gpu = self.gpu();
        gpu.enter()?;
        cache.last = None;
        let bank = self.uploaded(bank)?;
        let packed = self.pack(&bank, cache, chunks)?;
        if chunks.is_empty() {
            return Ok(());
        }
        if packed.rows() == chunks.len() && chunks.len() <= SKINNY_ROWS && self.steps() {
            let last = self.step(&bank, cache, chunks, &packed, probes)?;
            cache.last = Some(last);
            return Ok(());
        }
        let rows = chunks.len();
        let picks = Picks::new(gpu, rows, self.config.vocab_size, probes)?;
        let logits = self.prompts(&bank, cache, chunks, &packed)?;
        picks.queue(gpu, logits.view(), None)?;
        cache.last = Some(Last::read(gpu, &logits, (0..rows).collect(), &picks)?);
        Ok(())
    }

    /// See [`Model::generate`](crate::Model::generate).
    pub(crate) fn generate(
        &self,
        bank: &AdapterBank,
        prompts: &[Chunk<'_>],
        new_tokens: usize,
    ) -> Result<Vec<Vec<u32>>> {
        let gpu = self.gpu();
        gpu.enter()?;
        let bank = self.uploaded(bank)?;
        if new_tokens == 0 {
            return Ok(vec![Vec::new(); prompts.len()]);
        }
        let mut answers = Vec::with_capacity(prompts.len());
        for prompts in prompts.chunks(SKINNY_ROWS) {
            answers.extend(self.generate_together(&bank, prompts, new_tokens)?);
        }
        Ok(answers)
    }

    fn generate_together(
        &self,
        bank: &Arc<GpuBank>,
        prompts: &[Chunk<'_>],
        new_tokens: usize,
    ) -> Result<Vec<Vec<u32>>> {
        let gpu = self.gpu();
        let mut cache = self.new_cache();
        let ours: Vec<Chunk<'_>> = prompts
            .iter()
            .map(|p| Chunk {
                sequence: cache.add_sequence(),
                ..*p
            })
            .collect();
        // Room for the whole answers at once: growing would record the step anew.
        let longest = ours.iter().map(|c| c.tokens.len()).max().unwrap_or(0);
        let limits = Limits::of(&self.config);
        limits.check_tokens(&[], (longest + new_tokens).saturating_sub(1))?;
        let room: Vec<_> = ours
            .iter()
            .map(|c| (c.sequence, longest + new_tokens))
            .collect();
        cache.grow(&room)?;
        let packed = self.pack(bank, &cache, &ours)?;
        let rows = ours.len();
        let picks = Picks::new(gpu, rows, self.config.vocab_size, &[])?;
        let logits = self.prompts(bank, &mut cache, &ours, &packed)?;
        picks.queue(gpu, logits.view(), None)?;
        // Where every logit is NaN there is no best token; token 0 stands for it, as on the CPU.
        let known = |token: &mut u32| *token = if *token == u32::MAX { 0 } else { *token };
        let mut tokens = gpu.download(picks.tokens())?;
        tokens.iter_mut().for_each(known);
        let mut answers: Vec<Vec<u32>> = tokens.iter().map(|t| vec![*t]).collect();
        for made in 1..new_tokens {
            let chunks: Vec<Chunk<'_>> = ours
                .iter()
                .zip(&tokens)
                .map(|(c, token)| Chunk {
                    tokens: std::slice::from_ref(token),
                    ..*c
                })
                .collect();
            tokens = if self.steps() {
                if made == 1 {
                    let packed = self.pack(bank, &cache, &chunks)?;
                    self.prepare(bank, &mut cache, &chunks, &packed, &[])?;
                }
                let step = cache
                    .step
                    .as_mut()
                    .unwrap_or_else(|| unreachable!("prepared"));
                step.launch()?;
                let chosen = step.memory.picks.tokens().part(0..rows);
                gpu.advance(
                    chosen,
                    step.state.finished.view(),
                    step.state.tokens.view(),
                    step.state.positions.view(),
                    step.state.lengths.view(),
                )?;
                gpu.download(chosen)?
            } else {
                let packed = self.pack(bank, &cache, &chunks)?;
                let logits = self.prompts(bank, &mut cache, &chunks, &packed)?;
                picks.queue(gpu, logits.view(), None)?;
                gpu.download(picks.tokens())?
            };
            tokens.iter_mut().for_each(known);
            answers
                .iter_mut()
                .zip(&tokens)
                .for_each(|(a, t)| a.push(*t));
        }
        Ok(answers)
    }

    fn pack(&self, bank: &GpuBank, cache: &GpuCache, chunks: &[Chunk<'_>]) -> Result<Packed> {
        let length = |sequence| cache.get(sequence).map(|s| s.len);
        Packed::of_chunks(Limits::of(&self.config), bank.layouts.len(), chunks, length)
    }

    /// Many rows: the packed forward pass, with attention over the cache. Returns the logits after each
    /// chunk `[chunks, V]`, in the cache's own memory: the arena is any pass's.
    fn prompts(
        &self,
        bank: &Arc<GpuBank>,
        cache: &mut GpuCache,
        chunks: &[Chunk<'_>],
        packed: &Packed,
    ) -> Result<Arc<Buffer<f32>>> {
        let (gpu, c) = (self.gpu(), &self.config);
        let slots = self.reserve(cache, chunks)?;
        let logits = cache.logits(chunks.len() * c.vocab_size)?;
        let of_row: Vec<u32> = chunks
            .iter()
            .zip(slots)
            .flat_map(|(chunk, slot)| std::iter::repeat_n(slot, chunk.tokens.len()))
            .collect();
        let lengths: Vec<u32> = packed.positions.iter().map(|p| p + 1).collect();
        let (of_row, lengths) = (gpu.upload(&of_row)?, gpu.upload(&lengths)?);
        let batch = GpuBatch::new(gpu, c, &bank.layouts, packed, false)?;
        let size = PassSize {
            rows: packed.rows(),
            // Its logits lie in the cache, the rows before them in `input`.
            head_rows: 0,
            narrow: batch.narrow(),
            keep: Keep::Nothing,
            fp8: self.base == BaseQuantization::Fp8,
        };
        let mut arena = self.arena();
        let pass = Pass::within(&mut arena, gpu, c, size)?;
        let run = Run::new(self, bank, &batch);
        let cached = Cached {
            cache,
            slots: of_row.view(),
            lengths: lengths.view(),
        };
        let x = run.forward_with(&pass, &cached)?;
        let ends: Vec<u32> = packed.spans.iter().map(|s| s.end as u32 - 1).collect();
        let ends = gpu.upload(&ends)?;
        let norm = NormInput {
            x,
            gather: Some(ends.view()),
            weight: self.final_norm.view(),
            eps: c.rms_norm_eps,
            rows: chunks.len(),
            h: c.hidden_size,
        };
        gpu.rms_norm_forward(norm, Some(pass.input), None)?;
        self.head_product(pass.input, chunks.len(), logits.view())?;
        for chunk in chunks {
            cache.extended(chunk.sequence, chunk.tokens.len());
        }
        Ok(logits)
    }

    fn reserve(&self, cache: &mut GpuCache, chunks: &[Chunk<'_>]) -> Result<Vec<u32>> {
        let wanted: Vec<_> = chunks
            .iter()
            .map(|c| (c.sequence, cache.len(c.sequence) + c.tokens.len()))
            .collect();
        cache.grow(&wanted)
    }

    /// One token for each chunk's sequence: fills the step's state, runs it and waits for what is told of
    /// each row.
    fn step(
        &self,
        bank: &Arc<GpuBank>,
        cache: &mut GpuCache,
        chunks: &[Chunk<'_>],
        packed: &Packed,
        probes: &[u32],
    ) -> Result<Last> {
        let rows = self.prepare(bank, cache, chunks, packed, probes)?;
        let step = cache
            .step
            .as_mut()
            .unwrap_or_else(|| unreachable!("prepared"));
        step.launch()?;
        let memory = &step.memory;
        let last = Last::read(self.gpu(), &memory.logits, rows, &memory.picks)?;
        for chunk in chunks {
            cache.extended(chunk.sequence, 1);
        }
        Ok(last)
    }

    /// A recorded step that has a row for each chunk, its state filled in. The last one serves again as
    /// long as its rows can be given to these chunks without leaving half of them idle.
    fn prepare(
        &self,
        bank: &Arc<GpuBank>,
        cache: &mut GpuCache,
        chunks: &[Chunk<'_>],
        packed: &Packed,
        probes: &[u32],
    ) -> Result<Vec<usize>> {
        let gpu = self.gpu();
        let slots = self.reserve(cache, chunks)?;
        let wanted: Vec<Option<usize>> = chunks.iter().map(|c| c.adapter).collect();
        let fits = |step: &Step| {
            let same = Arc::ptr_eq(&step.bank, bank)
                && step.memory.picks.probes() == probes
                && step.adapters.len() <= 2 * wanted.len();
            same.then(|| assign(&step.adapters, &wanted)).flatten()
        };
        let rows = match cache.step.as_deref().and_then(fits) {
            Some(rows) => rows,
            None => {
                cache.step = None;
                let mut step = Step::new(self, bank, packed, wanted, probes)?;
                // What another thread queued meanwhile would be recorded too: passes hold the arena.
                let arena = self.arena();
                step.graph = Some(gpu.record(|| step.queue(self, cache))?);
                drop(arena);
                let rows = (0..chunks.len()).collect();
                cache.step = Some(Box::new(step));
                rows
            }
        };
        let spare = cache.spare_slot();
        let step = cache
            .step
            .as_ref()
            .unwrap_or_else(|| unreachable!("just made"));
        let n = step.adapters.len();
        let (mut tokens, mut positions) = (vec![0; n], vec![0; n]);
        let (mut lengths, mut of_row, mut finished) = (vec![0; n], vec![spare; n], vec![1; n]);
        for (i, row) in rows.iter().enumerate() {
            tokens[*row] = packed.tokens[i];
            positions[*row] = packed.positions[i];
            lengths[*row] = packed.positions[i] + 1;
            of_row[*row] = slots[i];
            finished[*row] = 0;
        }
        let state = &step.state;
        for (values, to) in [
            (&tokens, &state.tokens),
            (&positions, &state.positions),
            (&lengths, &state.lengths),
            (&of_row, &state.slots),
            (&finished, &state.finished),
        ] {
            gpu.write(values, to.view())?;
        }
        Ok(rows)
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

/// Attention of packed rows over their sequences' caches.
struct Cached<'a> {
    cache: &'a GpuCache,
    slots: View<'a, u32>,
    lengths: View<'a, u32>,
}

impl Attend for Cached<'_> {
    fn attend(&self, run: &Run<'_>, layer: usize, saved: &Saved<'_>) -> Result<()> {
        let (gpu, model) = (run.model.gpu(), run.model);
        let heads = model.heads(layer, run.batch.positions.view(), run.rows());
        let cache = self.cache.layer(layer, self.slots);
        gpu.rotate_into_cache(heads, saved.qkv, saved.rotated, cache)?;
        let (q, out) = (saved.rotated, saved.attention);
        Ok(gpu.attention_decode(model.shape(), q, cache, self.lengths, out)?)
    }
}

impl Step {
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

    fn launch(&mut self) -> Result<()> {
        let graph = self
            .graph
            .as_mut()
            .unwrap_or_else(|| unreachable!("recorded"));
        Ok(graph.launch()?)
    }

    /// Queues one step: a token for each row, its logits, and what is told of them.
    fn queue(&self, model: &GpuModel, cache: &GpuCache) -> Result<()> {
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

    fn block(&self, model: &GpuModel, cache: &GpuCache, layer: usize) -> Result<()> {
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
