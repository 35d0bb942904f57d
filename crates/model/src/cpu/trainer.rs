//! Gradients and optimizer steps for the whole bank, on the CPU.

use verdict_kernels::{
    AdamW, AdamWState, AdamWStep, adamw_step, clip_factor, resize_buffer, sum_of_squares, zeros,
};

use crate::bank::AdapterBank;
use crate::batch::{Example, ExampleLoss, Limits, Packed};
use crate::cpu::CpuModel;
use crate::cpu::backward::Backward;
use crate::cpu::forward::{PackedAttention, Workspace};
use crate::cpu::head::HeadBuffers;
use crate::error::Result;
use crate::training_state::{AdapterState, Rate};

/// Gradients, moments, buffers.
#[derive(Debug)]
pub(crate) struct CpuTrainer {
    adam: AdamW,
    states: Vec<State>,
    pub(crate) gradients: Vec<Vec<f32>>,
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

impl CpuTrainer {
    pub(crate) fn new(bank: &AdapterBank, adam: AdamW) -> Self {
        let zeros = |i: usize| zeros::<f32>(bank.parameters(i));
        let state = |i: usize| State {
            steps: 0,
            m: zeros(i),
            v: zeros(i),
        };
        Self {
            states: (0..bank.len()).map(state).collect(),
            gradients: (0..bank.len()).map(zeros).collect(),
            adam,
            workspace: Workspace::default(),
            back: Backward::default(),
            head: HeadBuffers::default(),
        }
    }

    pub(crate) fn accumulate(
        &mut self,
        model: &CpuModel,
        bank: &AdapterBank,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>> {
        let batch = Packed::new(Limits::of(&model.config), bank.len(), examples)?;
        let Self {
            gradients,
            workspace,
            back,
            head,
            ..
        } = self;
        model.forward(
            bank,
            &batch,
            true,
            &mut PackedAttention(model, &batch),
            workspace,
        );
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
        Ok(losses)
    }

    pub(crate) fn state(&self, bank: &AdapterBank, adapter: usize) -> AdapterState {
        let state = &self.states[adapter];
        AdapterState {
            steps: state.steps,
            weights: bank.adapters[adapter].weights.clone(),
            m: state.m.clone(),
            v: state.v.clone(),
        }
    }

    /// The lengths were checked.
    pub(crate) fn restore(&mut self, bank: &mut AdapterBank, adapter: usize, state: &AdapterState) {
        let own = &mut self.states[adapter];
        own.steps = state.steps;
        bank.weights_mut(adapter).copy_from_slice(&state.weights);
        for (own, given) in [(&mut own.m, &state.m), (&mut own.v, &state.v)] {
            match given.as_slice() {
                [] => own.fill(0.0),
                given => own.copy_from_slice(given),
            }
        }
        self.gradients[adapter].fill(0.0);
    }

    pub(crate) fn step(
        &mut self,
        model: &CpuModel,
        bank: &mut AdapterBank,
        rates: &[Rate],
    ) -> Vec<f32> {
        let cpu = &model.cpu;
        let step = |rate: &Rate| {
            let state = &mut self.states[rate.adapter];
            let gradient = &mut self.gradients[rate.adapter];
            let norm = sum_of_squares(cpu, gradient).sqrt() as f32;
            state.steps += 1;
            let step = AdamWStep {
                number: state.steps,
                lr: rate.lr,
                factor: clip_factor(norm, rate.clip),
            };
            let state = AdamWState {
                w: bank.weights_mut(rate.adapter),
                g: gradient,
                m: &mut state.m,
                v: &mut state.v,
            };
            adamw_step(cpu, &self.adam, step, state);
            norm
        };
        rates.iter().map(step).collect()
    }
}
