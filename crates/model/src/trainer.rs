//! Gradients and optimizer steps for the whole bank.

use verdict_formats::Adapter;
use verdict_kernels::{AdamW, adamw_step, clip_factor, resize_buffer, sum_of_squares, zeros};

use crate::backward::Backward;
use crate::bank::AdapterBank;
use crate::batch::{Example, ExampleLoss, Packed};
use crate::error::Result;
use crate::forward::{Whole, Workspace};
use crate::head::HeadBuffers;
use crate::load::Model;

/// One adapter's part of an optimizer step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Which adapter.
    pub adapter: usize,
    /// Learning rate.
    pub lr: f32,
    /// Largest norm of its gradient; infinity for no clipping.
    pub clip: f32,
}

/// A bank in training: gradients, moments, buffers.
#[derive(Debug)]
pub struct Trainer {
    bank: AdapterBank,
    adam: AdamW,
    states: Vec<State>,
    gradients: Vec<Vec<f32>>,
    workspace: Workspace,
    back: Backward,
    head: HeadBuffers,
}

#[derive(Debug)]
struct State {
    steps: u32,
    m: Vec<f32>,
    v: Vec<f32>,
}

impl Trainer {
    /// Takes a bank over for training.
    pub fn new(bank: AdapterBank, adam: AdamW) -> Self {
        let size = |i: usize| bank.parameters(i);
        let zeros = |i: usize| zeros::<f32>(size(i));
        let states = (0..bank.len())
            .map(|i| State {
                steps: 0,
                m: zeros(i),
                v: zeros(i),
            })
            .collect();
        let gradients = (0..bank.len()).map(zeros).collect();
        Self {
            states,
            gradients,
            bank,
            adam,
            workspace: Workspace::default(),
            back: Backward::default(),
            head: HeadBuffers::default(),
        }
    }

    /// Forward and backward with dropout: adds to the gradients. Many calls before a
    /// [`step`](Self::step) give what one call with all examples gives, bit for bit.
    ///
    /// # Errors
    /// Examples that are unsorted, too long, or name unknown tokens or adapters.
    pub fn accumulate(
        &mut self,
        model: &Model,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>> {
        let batch = Packed::new(model, self.bank.len(), examples)?;
        let Self {
            bank,
            gradients,
            workspace,
            back,
            head,
            ..
        } = self;
        Ok(model.install(|| {
            model.forward(bank, &batch, true, &mut Whole(model, &batch), workspace);
            back.dx.clear();
            resize_buffer(&mut back.dx, batch.rows() * model.config.hidden_size);
            let losses = model.losses(
                &batch,
                examples.len(),
                probes,
                &workspace.x,
                Some(&mut back.dx),
                head,
            );
            model.backward(bank, &batch, workspace, back, gradients);
            losses
        }))
    }

    /// One AdamW step for each adapter named; its gradient is clipped, used and zeroed. Returns the
    /// norms before clipping.
    pub fn step(&mut self, model: &Model, rates: &[Rate]) -> Vec<f32> {
        let cpu = &model.cpu;
        rates
            .iter()
            .map(|rate| {
                let (state, gradient) = (
                    &mut self.states[rate.adapter],
                    &mut self.gradients[rate.adapter],
                );
                let norm = sum_of_squares(cpu, gradient).sqrt() as f32;
                state.steps += 1;
                let factor = clip_factor(norm, rate.clip);
                let weights = &mut self.bank.adapters[rate.adapter].weights;
                adamw_step(
                    cpu,
                    &self.adam,
                    state.steps,
                    rate.lr,
                    factor,
                    weights,
                    gradient,
                    &mut state.m,
                    &mut state.v,
                );
                norm
            })
            .collect()
    }

    /// The adapters as they stand.
    pub fn bank(&self) -> &AdapterBank {
        &self.bank
    }

    /// An adapter's gradient by PEFT's names.
    pub fn gradient(&self, model: &Model, adapter: usize) -> Adapter {
        self.bank.matrices(model, adapter, &self.gradients[adapter])
    }
}
