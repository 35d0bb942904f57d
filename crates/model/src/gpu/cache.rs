//! Running sequences on a GPU: which there are, where their keys and values are, and the step recorded for them.

use std::sync::Arc;

use verdict_formats::ModelConfig;
use verdict_kernels::cuda::{Buffer, Gpu};

use crate::error::Result;
use crate::gpu::kv_memory::KvMemory;
use crate::gpu::logits::Last;
use crate::gpu::recorded_step::RecordedStep;
use crate::sequences::Sequences;

/// Running sequences. Each has a slot of the memory as soon as it has tokens.
#[derive(Debug)]
pub(crate) struct GpuCache {
    sequences: Sequences<Sequence>,
    pub(crate) memory: KvMemory,
    /// The recorded step that ran last.
    pub(crate) step: Option<Box<RecordedStep>>,
    /// Room for the logits of packed passes.
    logits: Option<Arc<Buffer<f32>>>,
    /// What can be read of the last extension.
    pub(crate) last: Option<Last>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequence {
    pub(crate) len: usize,
    pub(crate) slot: Option<usize>,
}

impl GpuCache {
    pub(crate) fn new(gpu: &Gpu, c: &ModelConfig) -> Self {
        Self {
            sequences: Sequences::default(),
            memory: KvMemory::new(gpu, c),
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
        self.memory.gpu().enter()?;
        let Some(original) = self.get(sequence) else {
            panic!("no sequence {sequence}");
        };
        let mut copy = Sequence {
            len: original.len,
            slot: None,
        };
        if let Some(from) = original.slot {
            self.reserve(1, original.len)?;
            let to = self.memory.take_slot();
            let to = to.unwrap_or_else(|| unreachable!("reserved"));
            self.memory.copy_slot(from, to, original.len)?;
            copy.slot = Some(to);
        }
        Ok(self.sequences.put(copy))
    }

    pub(crate) fn release(&mut self, sequence: usize) {
        if let Some(slot) = self.sequences.release(sequence).and_then(|s| s.slot) {
            self.memory.free_slot(slot);
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
                    s.slot = self.memory.take_slot();
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

    /// Room for `len` logits of a packed pass. What was in it is gone.
    pub(crate) fn logits(&mut self, len: usize) -> Result<Arc<Buffer<f32>>> {
        if let Some(held) = self.logits.as_ref().filter(|held| held.len() >= len) {
            return Ok(Arc::clone(held));
        }
        self.logits = None;
        let room = Arc::new(self.memory.gpu().alloc(len)?);
        self.logits = Some(Arc::clone(&room));
        Ok(room)
    }

    /// Makes sure of `new` free slots and of room for `len` tokens in each slot.
    fn reserve(&mut self, new: usize, len: usize) -> Result<()> {
        if self.memory.has_room(new, len) {
            return Ok(());
        }
        // The recorded step holds addresses of the old memory.
        self.step = None;
        self.memory.grow(new, len)
    }
}
