//! Decoding with a cache of keys and values: many sequences and adapters in one packed batch.

use verdict_kernels::attention_decode;

use crate::bank::AdapterBank;
use crate::batch::{Chunk, Limits, Packed};
use crate::cpu::CpuModel;
use crate::cpu::forward::{Attention, Workspace};
use crate::error::Result;
use crate::sequences::Sequences;

/// Keys and values of running sequences.
#[derive(Debug)]
pub(crate) struct CpuCache {
    sequences: Sequences<Sequence>,
    workspace: Workspace,
    head: verdict_kernels::Rows,
    /// After each chunk of the last extension `[chunks, V]`.
    pub(crate) logits: Vec<f32>,
}

#[derive(Clone, Debug)]
struct Sequence {
    len: usize,
    /// `[layer * kv_heads + head]`
    heads: Vec<Head>,
}

#[derive(Clone, Debug, Default)]
struct Head {
    /// `[block of 16][D][16]`
    keys: Vec<f32>,
    /// `[key][D]`
    values: Vec<f32>,
}

const BLOCK: usize = 16;

impl CpuCache {
    /// Starts an empty sequence; returns its number.
    pub(crate) fn add_sequence(&mut self) -> usize {
        self.sequences.put(Sequence {
            len: 0,
            heads: Vec::new(),
        })
    }

    /// Starts a sequence with the state of another.
    ///
    /// # Panics
    /// When there is no such sequence.
    pub(crate) fn fork(&mut self, sequence: usize) -> usize {
        let copy = self.sequences.get(sequence).cloned();
        self.sequences.put(copy.expect("a running sequence"))
    }

    /// Ends a sequence; its number may be reused.
    pub(crate) fn release(&mut self, sequence: usize) {
        self.sequences.release(sequence);
    }

    /// Tokens of a sequence so far.
    pub(crate) fn len(&self, sequence: usize) -> usize {
        self.sequences.get(sequence).map_or(0, |s| s.len)
    }

    /// Whether no sequence is running.
    pub(crate) fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }
}

impl CpuModel {
    /// An empty cache.
    pub(crate) fn new_cache(&self) -> CpuCache {
        CpuCache {
            sequences: Sequences::default(),
            workspace: Workspace::default(),
            head: verdict_kernels::Rows::default(),
            logits: Vec::new(),
        }
    }

    /// See [`Model::extend`](crate::Model::extend).
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub(crate) fn extend(
        &self,
        bank: &AdapterBank,
        cache: &mut CpuCache,
        chunks: &[Chunk<'_>],
    ) -> Result<Vec<f32>> {
        self.advance(bank, cache, chunks)?;
        Ok(std::mem::take(&mut cache.logits))
    }

    /// Appends tokens to sequences, all chunks in one packed batch. Leaves the logits after each chunk's
    /// last token in the cache, `[chunks, V]`.
    ///
    /// # Errors
    /// An unknown sequence, adapter or token, an empty chunk, a sequence named twice or grown too long.
    pub(crate) fn advance(
        &self,
        bank: &AdapterBank,
        cache: &mut CpuCache,
        chunks: &[Chunk<'_>],
    ) -> Result<()> {
        cache.logits.clear();
        let length = |sequence: usize| cache.sequences.get(sequence).map(|s| s.len);
        let batch = Packed::of_chunks(Limits::of(&self.config), bank.len(), chunks, length)?;
        let heads = self.config.num_hidden_layers * self.config.num_key_value_heads;
        for chunk in chunks {
            if let Some(sequence) = cache.sequences.get_mut(chunk.sequence) {
                sequence.heads.resize_with(heads, Head::default);
            }
        }
        let ends: Vec<usize> = batch.spans.iter().map(|s| s.end - 1).collect();
        let CpuCache {
            sequences,
            workspace,
            head,
            logits,
        } = cache;
        let mut running: Vec<&mut Sequence> = Vec::with_capacity(chunks.len());
        let mut by_number: Vec<Option<&mut Sequence>> = sequences.iter_mut().collect();
        for chunk in chunks {
            running.extend(by_number[chunk.sequence].take());
        }
        let mut attend = CachedAttention {
            model: self,
            batch: &batch,
            sequences: &mut running,
        };
        self.forward(bank, &batch, false, &mut attend, workspace);
        self.logits(&workspace.x, &ends, head, logits);
        for (chunk, sequence) in chunks.iter().zip(running) {
            sequence.len += chunk.tokens.len();
        }
        Ok(())
    }
}

/// Attention over cached sequences: new keys and values are stored, then every new row attends.
struct CachedAttention<'a, 'b> {
    model: &'a CpuModel,
    batch: &'a Packed,
    sequences: &'a mut [&'b mut Sequence],
}

impl Attention for CachedAttention<'_, '_> {
    fn attend(&mut self, layer: usize, qkv: &[f32], out: &mut [f32]) {
        let (shape, cpu) = (self.model.attention_shape(), &self.model.cpu);
        let (d, ld, width) = (shape.head_dim, shape.ld(), shape.heads * shape.head_dim);
        let kv = shape.kv_heads;
        let spans = &self.batch.spans;
        // One task a sequence: its rows of `out` are its own.
        let mut tasks: Vec<(&mut [Head], usize, &mut [f32])> = Vec::with_capacity(spans.len());
        let mut rest = out;
        for (sequence, span) in self.sequences.iter_mut().zip(spans) {
            let (own, others) = std::mem::take(&mut rest).split_at_mut(span.len() * width);
            rest = others;
            let len = sequence.len;
            tasks.push((&mut sequence.heads[layer * kv..(layer + 1) * kv], len, own));
        }
        cpu.for_each_mut(&mut tasks, |index, (heads, len, out)| {
            let rows = &qkv[spans[index].start * ld..spans[index].end * ld];
            for (kv_head, head) in heads.iter_mut().enumerate() {
                for (i, row) in rows.chunks_exact(ld).enumerate() {
                    head.push(
                        *len + i,
                        &row[shape.k(kv_head)..][..d],
                        &row[shape.v(kv_head)..][..d],
                    );
                    let q = kv_head * shape.group() * d;
                    let many = shape.group() * d;
                    let o = &mut out[i * width + q..][..many];
                    attention_decode(
                        cpu.isa(),
                        d,
                        &row[q..][..many],
                        &head.keys,
                        &head.values,
                        *len + i + 1,
                        o,
                    );
                }
            }
        });
    }
}

impl Head {
    fn push(&mut self, position: usize, key: &[f32], value: &[f32]) {
        let (block, lane) = (position / BLOCK, position % BLOCK);
        self.keys.resize((block + 1) * BLOCK * key.len(), 0.0);
        for (o, k) in self.keys[block * BLOCK * key.len()..][lane..]
            .iter_mut()
            .step_by(BLOCK)
            .zip(key)
        {
            *o = *k;
        }
        self.values.extend_from_slice(value);
    }
}
