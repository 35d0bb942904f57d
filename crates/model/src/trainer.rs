//! Gradients and optimizer steps for the whole bank, on a CPU or a GPU.

use verdict_formats::Adapter;
use verdict_kernels::{AdamW, ComputeDtype};

use crate::bank::AdapterBank;
use crate::batch::{Example, ExampleLoss};
use crate::cpu::CpuTrainer;
use crate::error::{Error, Result};
use crate::gpu::GpuTrainer;
use crate::model::{Backend, Model};
use crate::training_state::{AdapterState, Rate};

/// A bank in training: gradients, moments, buffers.
#[derive(Debug)]
pub struct Trainer {
    bank: AdapterBank,
    state: State,
}

#[derive(Debug)]
enum State {
    Cpu(Box<CpuTrainer>),
    Gpu(Box<GpuTrainer>),
}

impl Trainer {
    /// Takes ownership of a bank to train it with `model`.
    ///
    /// # Errors
    /// A model with integer products, which have no gradient; a GPU without memory for the bank's weights, gradients
    /// and moments.
    pub fn new(model: &Model, bank: AdapterBank, adam: AdamW) -> Result<Self> {
        if model.compute() == ComputeDtype::Int16 {
            let text = "training needs compute bf16 or f32: int16 is for answering";
            return Err(Error::Machine(text.into()));
        }
        let state = match &model.backend {
            Backend::Cpu(_) => State::Cpu(Box::new(CpuTrainer::new(&bank, adam))),
            Backend::Gpu(model) => State::Gpu(Box::new(GpuTrainer::new(model, &bank, adam)?)),
        };
        Ok(Self { bank, state })
    }

    /// Forward and backward with dropout: adds to the gradients. Many calls before a
    /// [`step`](Self::step) give what one call with all examples gives: on the CPU bit for bit, on a GPU
    /// up to the rounding of sums.
    ///
    /// # Errors
    /// Examples that are unsorted, too long, or name unknown tokens or adapters; a GPU that fails.
    pub fn accumulate(
        &mut self,
        model: &Model,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>> {
        match (&model.backend, &mut self.state) {
            (Backend::Cpu(model), State::Cpu(state)) => {
                state.accumulate(model, &self.bank, examples, probes)
            }
            (Backend::Gpu(model), State::Gpu(state)) => state.accumulate(model, examples, probes),
            _ => other_device(),
        }
    }

    /// Losses of the adapters as they are now, without gradient and without dropout.
    ///
    /// # Errors
    /// As [`accumulate`](Self::accumulate).
    pub fn evaluate(
        &self,
        model: &Model,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>> {
        match (&model.backend, &self.state) {
            (Backend::Cpu(model), State::Cpu(_)) => model.evaluate(&self.bank, examples, probes),
            (Backend::Gpu(model), State::Gpu(state)) => state.evaluate(model, examples, probes),
            _ => other_device(),
        }
    }

    /// One AdamW step for each adapter named; its gradient is clipped, used and zeroed. Returns the
    /// norms before clipping.
    ///
    /// # Errors
    /// A GPU that fails.
    pub fn step(&mut self, model: &Model, rates: &[Rate]) -> Result<Vec<f32>> {
        match (&model.backend, &mut self.state) {
            (Backend::Cpu(model), State::Cpu(state)) => {
                Ok(state.step(model, &mut self.bank, rates))
            }
            (Backend::Gpu(model), State::Gpu(state)) => state.step(model, rates),
            _ => other_device(),
        }
    }

    /// The adapters as they are now.
    ///
    /// # Errors
    /// A GPU that fails.
    pub fn bank(&mut self, model: &Model) -> Result<&AdapterBank> {
        if let (Backend::Gpu(model), State::Gpu(state)) = (&model.backend, &self.state) {
            for adapter in 0..self.bank.len() {
                let weights = state.weights(model, adapter)?;
                self.bank.weights_mut(adapter).copy_from_slice(&weights);
            }
        }
        Ok(&self.bank)
    }

    /// An adapter as PEFT keeps it.
    ///
    /// # Errors
    /// A GPU that fails.
    pub fn export(&self, model: &Model, adapter: usize) -> Result<Adapter> {
        match (&model.backend, &self.state) {
            (Backend::Gpu(gpu), State::Gpu(state)) => {
                let weights = state.weights(gpu, adapter)?;
                Ok(self.bank.matrices(model.config(), adapter, &weights))
            }
            _ => Ok(self.bank.export(model.config(), adapter)),
        }
    }

    /// Weights, moments and steps of an adapter, after the last step; gradients do not count.
    ///
    /// # Errors
    /// A GPU that fails.
    pub fn state(&self, model: &Model, adapter: usize) -> Result<AdapterState> {
        match (&model.backend, &self.state) {
            (Backend::Cpu(_), State::Cpu(state)) => Ok(state.state(&self.bank, adapter)),
            (Backend::Gpu(gpu), State::Gpu(state)) => state.state(gpu, adapter),
            _ => other_device(),
        }
    }

    /// Sets an adapter to a state that [`state`](Self::state) gave; its gradient becomes zero.
    ///
    /// # Errors
    /// [`Error::State`] for a state of another adapter; a GPU that fails.
    pub fn restore(&mut self, model: &Model, adapter: usize, state: &AdapterState) -> Result<()> {
        state.check(self.bank.name(adapter), self.bank.adapters[adapter].len())?;
        match (&model.backend, &mut self.state) {
            (Backend::Cpu(_), State::Cpu(trainer)) => {
                trainer.restore(&mut self.bank, adapter, state);
                Ok(())
            }
            (Backend::Gpu(gpu), State::Gpu(trainer)) => trainer.restore(gpu, adapter, state),
            _ => other_device(),
        }
    }

    /// An adapter's gradient by PEFT's names.
    ///
    /// # Errors
    /// A GPU that fails.
    pub fn gradient(&self, model: &Model, adapter: usize) -> Result<Adapter> {
        match (&model.backend, &self.state) {
            (Backend::Cpu(_), State::Cpu(state)) => {
                Ok(self
                    .bank
                    .matrices(model.config(), adapter, &state.gradients[adapter]))
            }
            (Backend::Gpu(gpu), State::Gpu(state)) => {
                let gradient = state.gradient(gpu, adapter)?;
                Ok(self.bank.matrices(model.config(), adapter, &gradient))
            }
            _ => other_device(),
        }
    }

    /// Tokens of one micro-batch that the device has memory for; none on the CPU, which has no such bound.
    pub fn micro_batch_tokens(&self, model: &Model) -> Option<usize> {
        match &model.backend {
            Backend::Cpu(_) => None,
            Backend::Gpu(model) => Some(model.micro_batch_tokens(&self.bank, true)),
        }
    }

    /// Name of an adapter.
    pub fn name(&self, adapter: usize) -> &str {
        self.bank.name(adapter)
    }
}

fn other_device() -> ! {
    panic!("a trainer of another device's model")
}
