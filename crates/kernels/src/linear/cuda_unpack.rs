//! Where int8 and NF4 weights become bf16: two buffers used in turns, each as large as the largest matrix that
//! is unpacked into it.
//!
//! While a product reads one buffer, and while small kernels leave most of the GPU idle, a second stream unpacks
//! the weights of the product after the next into the other. So they cost little more time than bf16 weights and
//! take a half or a quarter of their memory.

use std::sync::{Mutex, MutexGuard};

use crate::cuda::{Buffer, Event, Gpu, GpuResult, Lane, View};
use crate::linear::GpuLinear;

/// Two buffers for unpacked weights.
#[derive(Debug)]
pub struct Unpacker {
    gpu: Gpu,
    slots: [Slot; 2],
    holds: Mutex<Holds>,
}

#[derive(Debug)]
struct Slot {
    memory: Buffer<u16>,
    /// The side stream has filled it.
    ready: Event,
    /// The product that read it is done.
    used: Event,
}

/// Which weights each slot holds or will hold: the address of their bytes.
type Holds = [u64; 2];

impl Unpacker {
    /// For weights of at most so many numbers in each of the two; 0 where none need unpacking.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(gpu: &Gpu, lens: [usize; 2]) -> GpuResult<Self> {
        let slot = |len| {
            Ok(Slot {
                memory: gpu.alloc(len)?,
                ready: gpu.event()?,
                used: gpu.event()?,
            })
        };
        Ok(Self {
            slots: [slot(lens[0])?, slot(lens[1])?],
            holds: Mutex::default(),
            gpu: gpu.clone(),
        })
    }

    /// The bf16 weights `[n, k]` of `w`, for a product that is queued next; in `slot`, unless they are there.
    pub(super) fn weights(&self, w: &GpuLinear, slot: usize) -> GpuResult<View<'_, u16>> {
        let Some(packed) = w.packed() else {
            panic!("these weights are not packed");
        };
        let mut holds = self.lock();
        let held = holds.iter().position(|held| *held == packed);
        let place = held.unwrap_or(slot);
        self.gpu.await_event(&self.slots[place].ready, Lane::Main)?;
        if held.is_none() {
            w.unpack(&self.gpu, Lane::Main, self.slots[place].memory.view())?;
            holds[place] = packed;
        }
        Ok(self.slots[place].memory.view())
    }

    /// To be called after the product from `slot` was queued: its buffer is filled for `ahead`, the product after
    /// the next.
    pub(super) fn done(&self, slot: usize, ahead: Option<&GpuLinear>) -> GpuResult<()> {
        let Some((w, packed)) = ahead.and_then(|w| Some((w, w.packed()?))) else {
            return Ok(());
        };
        let mut holds = self.lock();
        let Slot {
            memory,
            ready,
            used,
        } = &self.slots[slot];
        if holds.contains(&packed) || memory.len() < w.scratch() {
            return Ok(());
        }
        self.gpu.record_event(used, Lane::Main)?;
        self.gpu.await_event(used, Lane::Side)?;
        w.unpack(&self.gpu, Lane::Side, memory.view())?;
        self.gpu.record_event(ready, Lane::Side)?;
        holds[slot] = packed;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Holds> {
        self.holds.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Drop for Unpacker {
    /// The side stream may still write; the buffers go back on the main one.
    fn drop(&mut self) {
        for slot in &self.slots {
            let _ = self.gpu.await_event(&slot.ready, Lane::Main);
        }
    }
}
