//! Where int8 weights become bf16: two buffers in turns.
//!
//! While a product reads one buffer, and while small kernels leave most of the card idle, a second stream
//! makes the weights of the product after the next in the other. So int8 costs little more than bf16 and
//! takes half its memory.

use std::sync::{Mutex, MutexGuard};

use crate::cuda::{Buffer, Event, Gpu, GpuResult, Lane, View};
use crate::linear::GpuLinear;

/// Two buffers for unpacked weights.
#[derive(Debug)]
pub struct Unpacker {
    gpu: Gpu,
    slots: [Slot; 2],
    state: Mutex<State>,
}

#[derive(Debug)]
struct Slot {
    memory: Buffer<u16>,
    /// The side stream has filled it.
    ready: Event,
    /// The product that read it is done.
    used: Event,
}

#[derive(Debug, Default)]
struct State {
    /// Which weights each slot holds or will hold: the address of their bytes.
    holds: [u64; 2],
    /// The slot of the product that was queued last.
    last: usize,
}

impl Unpacker {
    /// For weights of at most `len` numbers; 0 where none need unpacking.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(gpu: &Gpu, len: usize) -> GpuResult<Self> {
        let slot = || {
            Ok(Slot {
                memory: gpu.alloc(len)?,
                ready: gpu.event()?,
                used: gpu.event()?,
            })
        };
        Ok(Self {
            slots: [slot()?, slot()?],
            state: Mutex::default(),
            gpu: gpu.clone(),
        })
    }

    /// The bf16 weights `[n, k]` of `w`, for a product that is queued next.
    pub(super) fn weights(&self, w: &GpuLinear) -> GpuResult<View<'_, u16>> {
        let Some((q, _)) = w.int8_rows() else {
            panic!("only int8 weights are unpacked");
        };
        let mut state = self.lock();
        let place = match state.holds.iter().position(|held| *held == q.address()) {
            Some(place) => {
                self.gpu.await_event(&self.slots[place].ready, Lane::Main)?;
                place
            }
            None => {
                let place = 1 - state.last;
                self.gpu.await_event(&self.slots[place].ready, Lane::Main)?;
                self.unpack(w, place, Lane::Main)?;
                state.holds[place] = q.address();
                place
            }
        };
        state.last = place;
        Ok(self.slots[place].memory.view())
    }

    /// Told after the product was queued: its buffer serves `ahead`, the product after the next.
    pub(super) fn done(&self, ahead: Option<&GpuLinear>) -> GpuResult<()> {
        let Some((w, (q, _))) = ahead.and_then(|w| Some((w, w.int8_rows()?))) else {
            return Ok(());
        };
        let mut state = self.lock();
        if state.holds.contains(&q.address()) {
            return Ok(());
        }
        let place = state.last;
        let slot = &self.slots[place];
        self.gpu.record_event(&slot.used, Lane::Main)?;
        self.gpu.await_event(&slot.used, Lane::Side)?;
        self.unpack(w, place, Lane::Side)?;
        self.gpu.record_event(&slot.ready, Lane::Side)?;
        state.holds[place] = q.address();
        Ok(())
    }

    fn unpack(&self, w: &GpuLinear, place: usize, lane: Lane) -> GpuResult<()> {
        let Some((q, scales)) = w.int8_rows() else {
            return Ok(());
        };
        self.gpu
            .dequantise_rows(lane, q, scales, w.inputs(), self.slots[place].memory.view())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
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
