//! Keys and values of running sequences, in device memory.

use std::sync::Arc;

use verdict_formats::ModelConfig;
use verdict_kernels::LayerCache;
use verdict_kernels::cuda::{Buffer, Gpu, GpuError, View};

use crate::error::{Error, Result};
use crate::gpu::decode::Step;
use crate::gpu::logits::Last;
use crate::sequences::Sequences;

/// Keys and values `[layer][slot][kv head][position][D]` of running sequences.
///
/// A sequence has a slot as soon as it has tokens. The last slot belongs to nobody: rows of a recorded
/// step that have no sequence any more write there.
#[derive(Debug)]
pub(crate) struct GpuCache {
    gpu: Gpu,
    layers: usize,
    heads: usize,
    head_dim: usize,
    sequences: Sequences<Sequence>,
    slots: usize,
    positions: usize,
    free: Vec<usize>,
    memory: Option<Memory>,
    /// The recorded step that ran last.
    pub(crate) step: Option<Box<Step>>,
    /// Room for the logits of packed passes.
    logits: Option<Arc<Buffer<f32>>>,
    /// What can be asked of the last extension.
    pub(crate) last: Option<Last>,
}

/// Keys and values.
type Memory = (Buffer<u16>, Buffer<u16>);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequence {
    pub(crate) len: usize,
    pub(crate) slot: Option<usize>,
}

impl GpuCache {
    pub(crate) fn new(gpu: &Gpu, c: &ModelConfig) -> Self {
        Self {
            gpu: gpu.clone(),
            layers: c.num_hidden_layers,
            heads: c.num_key_value_heads,
            head_dim: c.head_dim,
            sequences: Sequences::default(),
            slots: 0,
            positions: 0,
            free: Vec::new(),
            memory: None,
            step: None,
            logits: None,
            last: None,
        }
    }

    pub(crate) fn add_sequence(&mut self) -> usize {
        self.sequences.put(Sequence { len: 0, slot: None })
    }

    /// The copy is made now: the original may grow.
    pub(crate) fn fork(&mut self, sequence: usize) -> Result<usize> {
        self.gpu.enter()?;
        let Some(original) = self.get(sequence) else {
            panic!("no sequence {sequence}");
        };
        let mut copy = Sequence {
            len: original.len,
            slot: None,
        };
        if let Some(from) = original.slot {
            self.reserve(1, original.len)?;
            let to = self.free.pop().unwrap_or_else(|| unreachable!("reserved"));
            self.copy_slot(from, to, original.len)?;
            copy.slot = Some(to);
        }
        Ok(self.sequences.put(copy))
    }

    pub(crate) fn release(&mut self, sequence: usize) {
        if let Some(s) = self.sequences.release(sequence) {
            self.free.extend(s.slot);
        }
    }

    pub(crate) fn get(&self, sequence: usize) -> Option<Sequence> {
        self.sequences.get(sequence).copied()
    }

    pub(crate) fn len(&self, sequence: usize) -> usize {
        self.get(sequence).map_or(0, |s| s.len)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    /// Gives every named sequence a slot with room for so many tokens. Returns their slots.
    pub(crate) fn grow(&mut self, wanted: &[(usize, usize)]) -> Result<Vec<u32>> {
        let new = wanted
            .iter()
            .filter(|(s, _)| self.get(*s).is_some_and(|s| s.slot.is_none()))
            .count();
        let longest = wanted.iter().map(|(_, len)| *len).max().unwrap_or(0);
        self.reserve(new, longest)?;
        let mut slots = Vec::with_capacity(wanted.len());
        for (sequence, _) in wanted {
            if let Some(s) = self.sequences.get_mut(*sequence) {
                if s.slot.is_none() {
                    s.slot = self.free.pop();
                }
                slots.push(s.slot.unwrap_or_default() as u32);
            }
        }
        Ok(slots)
    }

    /// Notes that a sequence has grown.
    pub(crate) fn extended(&mut self, sequence: usize, tokens: usize) {
        if let Some(s) = self.sequences.get_mut(sequence) {
            s.len += tokens;
        }
    }

    /// The slot of nobody.
    pub(crate) fn spare_slot(&self) -> u32 {
        self.slots as u32
    }

    /// Room for `len` logits of a packed pass. What was in it is gone.
    pub(crate) fn logits(&mut self, len: usize) -> Result<Arc<Buffer<f32>>> {
        if let Some(held) = self.logits.as_ref().filter(|held| held.len() >= len) {
            return Ok(Arc::clone(held));
        }
        self.logits = None;
        let room = Arc::new(self.gpu.alloc(len)?);
        self.logits = Some(Arc::clone(&room));
        Ok(room)
    }

    /// Makes sure of `new` free slots and of room for `len` tokens in each slot.
    fn reserve(&mut self, new: usize, len: usize) -> Result<()> {
        if new <= self.free.len() && len <= self.positions {
            return Ok(());
        }
        let used = self.slots - self.free.len();
        let slots = match new <= self.free.len() {
            true => self.slots,
            false => (used + new).max(self.slots * 2),
        };
        let positions = match len <= self.positions {
            true => self.positions,
            false => len.max(self.positions * 2).next_multiple_of(128),
        };
        // What is recorded names the old memory.
        self.step = None;
        let (memory, slots, positions) = match self.memory_for(slots, positions) {
            // No more than is needed, where twice as much does not fit.
            Err(Error::Gpu(GpuError::OutOfMemory { .. })) => {
                let slots = (used + new).max(self.slots);
                self.memory_for(slots, len.next_multiple_of(128).max(self.positions))?
            }
            other => other?,
        };
        if let Some(old) = &self.memory {
            let from = self.shape(self.slots, self.positions);
            let to = self.shape(slots, positions);
            let rows = (self.slots, self.positions);
            for (old, new) in [(&old.0, &memory.0), (&old.1, &memory.1)] {
                self.gpu
                    .copy_slots(from, old.view(), 0, to, new.view(), 0, rows)?;
            }
        }
        self.free.extend((self.slots..slots).rev());
        (self.slots, self.positions) = (slots, positions);
        self.memory = Some(memory);
        Ok(())
    }

    fn memory_for(&self, slots: usize, positions: usize) -> Result<(Memory, usize, usize)> {
        let size = self.layers * (slots + 1) * self.heads * positions * self.head_dim;
        let memory = (self.gpu.zeros(size)?, self.gpu.zeros(size)?);
        Ok((memory, slots, positions))
    }

    fn copy_slot(&self, from: usize, to: usize, len: usize) -> Result<()> {
        let shape = self.shape(self.slots, self.positions);
        if let Some((keys, values)) = &self.memory {
            for memory in [keys.view(), values.view()] {
                self.gpu
                    .copy_slots(shape, memory, from, shape, memory, to, (1, len))?;
            }
        }
        Ok(())
    }

    fn shape(&self, slots: usize, positions: usize) -> verdict_kernels::CacheShape {
        verdict_kernels::CacheShape {
            layers: self.layers,
            slots: slots + 1,
            heads: self.heads,
            positions,
            head_dim: self.head_dim,
        }
    }

    /// One layer's part.
    pub(crate) fn layer<'a>(&'a self, layer: usize, slots: View<'a, u32>) -> LayerCache<'a> {
        let size = (self.slots + 1) * self.heads * self.positions * self.head_dim;
        let Some((keys, values)) = &self.memory else {
            panic!("a cache without a sequence");
        };
        let part = layer * size..(layer + 1) * size;
        LayerCache {
            keys: keys.part(part.clone()),
            values: values.part(part),
            positions: self.positions,
            slots,
        }
    }
}
