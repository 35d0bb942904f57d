//! Device memory for the keys and values of running sequences.

use verdict_formats::ModelConfig;
use verdict_kernels::cuda::{Buffer, Gpu, GpuError, View};
use verdict_kernels::{CacheShape, LayerCache};

use crate::error::{Error, Result};

/// Keys and values `[layer][slot][kv head][position][D]`, each slot for one sequence.
///
/// One more slot, after all others, belongs to no sequence ([`spare_slot`](Self::spare_slot)).
#[derive(Debug)]
pub(crate) struct KvMemory {
    gpu: Gpu,
    layers: usize,
    heads: usize,
    head_dim: usize,
    slots: usize,
    positions: usize,
    free: Vec<usize>,
    buffers: Option<Buffers>,
}

/// Keys and values.
type Buffers = (Buffer<u16>, Buffer<u16>);

impl KvMemory {
    pub(crate) fn new(gpu: &Gpu, c: &ModelConfig) -> Self {
        Self {
            gpu: gpu.clone(),
            layers: c.num_hidden_layers,
            heads: c.num_key_value_heads,
            head_dim: c.head_dim,
            slots: 0,
            positions: 0,
            free: Vec::new(),
            buffers: None,
        }
    }

    pub(crate) fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// A free slot, if there is one.
    pub(crate) fn take_slot(&mut self) -> Option<usize> {
        self.free.pop()
    }

    /// Makes a slot free again.
    pub(crate) fn free_slot(&mut self, slot: usize) {
        self.free.push(slot);
    }

    /// The slot of no sequence: rows of a recorded step that currently have no sequence read and write it.
    pub(crate) fn spare_slot(&self) -> u32 {
        self.slots as u32
    }

    /// Whether there are `new` free slots and room for `len` tokens in each slot.
    pub(crate) fn has_room(&self, new: usize, len: usize) -> bool {
        new <= self.free.len() && len <= self.positions
    }

    /// Moves to larger buffers, with `new` free slots and room for `len` tokens in each slot.
    ///
    /// # Errors
    /// Out of memory.
    pub(crate) fn grow(&mut self, new: usize, len: usize) -> Result<()> {
        let used = self.slots - self.free.len();
        let slots = match new <= self.free.len() {
            true => self.slots,
            false => (used + new).max(self.slots * 2),
        };
        let positions = match len <= self.positions {
            true => self.positions,
            false => len.max(self.positions * 2).next_multiple_of(128),
        };
        let (buffers, slots, positions) = match self.allocate(slots, positions) {
            // No more than is needed, where twice as much does not fit.
            Err(Error::Gpu(GpuError::OutOfMemory { .. })) => {
                let slots = (used + new).max(self.slots);
                self.allocate(slots, len.next_multiple_of(128).max(self.positions))?
            }
            other => other?,
        };
        if let Some(old) = &self.buffers {
            let from = self.shape(self.slots, self.positions);
            let to = self.shape(slots, positions);
            let rows = (self.slots, self.positions);
            for (old, new) in [(&old.0, &buffers.0), (&old.1, &buffers.1)] {
                self.gpu
                    .copy_slots(from, old.view(), 0, to, new.view(), 0, rows)?;
            }
        }
        self.free.extend((self.slots..slots).rev());
        (self.slots, self.positions) = (slots, positions);
        self.buffers = Some(buffers);
        Ok(())
    }

    fn allocate(&self, slots: usize, positions: usize) -> Result<(Buffers, usize, usize)> {
        let size = self.layers * (slots + 1) * self.heads * positions * self.head_dim;
        let buffers = (self.gpu.zeros(size)?, self.gpu.zeros(size)?);
        Ok((buffers, slots, positions))
    }

    /// Copies the first `len` positions of a slot to another.
    pub(crate) fn copy_slot(&self, from: usize, to: usize, len: usize) -> Result<()> {
        let shape = self.shape(self.slots, self.positions);
        if let Some((keys, values)) = &self.buffers {
            for buffer in [keys.view(), values.view()] {
                self.gpu
                    .copy_slots(shape, buffer, from, shape, buffer, to, (1, len))?;
            }
        }
        Ok(())
    }

    fn shape(&self, slots: usize, positions: usize) -> CacheShape {
        CacheShape {
            layers: self.layers,
            slots: slots + 1,
            heads: self.heads,
            positions,
            head_dim: self.head_dim,
        }
    }

    /// One layer's part. `slots` holds the slot of each row of the batch.
    pub(crate) fn layer<'a>(&'a self, layer: usize, slots: View<'a, u32>) -> LayerCache<'a> {
        let size = (self.slots + 1) * self.heads * self.positions * self.head_dim;
        let Some((keys, values)) = &self.buffers else {
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
