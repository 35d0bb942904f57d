//! Decoding: prompts through the packed forward pass, single tokens through a recorded step.

use std::sync::Arc;

use verdict_kernels::cuda::{Buffer, View};
use verdict_kernels::{BaseQuantization, NormInput, SKINNY_ROWS};

use crate::bank::AdapterBank;
use crate::batch::{Chunk, Limits, Packed};
use crate::error::Result;
use crate::gpu::bank::GpuBank;
use crate::gpu::batch::GpuBatch;
use crate::gpu::cache::GpuCache;
use crate::gpu::forward::{Attention, Run};
use crate::gpu::load::GpuModel;
use crate::gpu::logits::{Last, Picks};
use crate::gpu::pass::{Keep, Pass, PassSize, Saved};
use crate::gpu::recorded_step::{RecordedStep, STEP_KERNELS};

impl GpuModel {
    pub(crate) fn new_cache(&self) -> GpuCache {
        self.gpu().prepare(&STEP_KERNELS);
        GpuCache::new(self.gpu(), &self.config)
    }

    /// Whether single tokens go through recorded steps. Their products read bf16 and int8 weights; with
    /// fp8 and nf4 every token goes through the packed pass, as prompts do.
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
        // Where every logit is NaN there is no best token; token 0 is taken, as on the CPU.
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
                step.take_chosen(gpu, rows)?
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
            // Its logits are in the cache, the rows before them in `input`.
            head_rows: 0,
            narrow: batch.narrow(),
            keep: Keep::Nothing,
            fp8: self.base == BaseQuantization::Fp8,
        };
        let mut arena = self.arena();
        let pass = Pass::within(&mut arena, gpu, c, size)?;
        let run = Run::new(self, bank, &batch);
        let cached = CachedAttention {
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

    /// One token for each chunk's sequence: fills the step's state, runs it and waits for what is read of
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
        let last = step.last(self.gpu(), rows)?;
        for chunk in chunks {
            cache.extended(chunk.sequence, 1);
        }
        Ok(last)
    }

    /// A recorded step that has a row for each chunk, its state filled in. The last one is used again as
    /// long as its rows can be given to these chunks without leaving half of them idle.
    fn prepare(
        &self,
        bank: &Arc<GpuBank>,
        cache: &mut GpuCache,
        chunks: &[Chunk<'_>],
        packed: &Packed,
        probes: &[u32],
    ) -> Result<Vec<usize>> {
        let slots = self.reserve(cache, chunks)?;
        let wanted: Vec<Option<usize>> = chunks.iter().map(|c| c.adapter).collect();
        let fits = |step: &RecordedStep| step.rows_for(bank, &wanted, probes);
        let rows = match cache.step.as_deref().and_then(fits) {
            Some(rows) => rows,
            None => {
                cache.step = None;
                let step = RecordedStep::record(self, bank, &cache.memory, packed, wanted, probes)?;
                cache.step = Some(Box::new(step));
                (0..chunks.len()).collect()
            }
        };
        let spare = cache.memory.spare_slot();
        let step = cache
            .step
            .as_ref()
            .unwrap_or_else(|| unreachable!("just made"));
        step.fill(self.gpu(), packed, &rows, &slots, spare)?;
        Ok(rows)
    }
}

/// Attention of packed rows over their sequences' caches.
struct CachedAttention<'a> {
    cache: &'a GpuCache,
    slots: View<'a, u32>,
    lengths: View<'a, u32>,
}

impl Attention for CachedAttention<'_> {
    fn attend(&self, run: &Run<'_>, layer: usize, saved: &Saved<'_>) -> Result<()> {
        let (gpu, model) = (run.model.gpu(), run.model);
        let heads = model.heads(layer, run.batch.positions.view(), run.rows());
        let cache = self.cache.memory.layer(layer, self.slots);
        gpu.rotate_into_cache(heads, saved.qkv, saved.rotated, cache)?;
        let (q, out) = (saved.rotated, saved.attention);
        Ok(gpu.attention_decode(model.shape(), q, cache, self.lengths, out)?)
    }
}
