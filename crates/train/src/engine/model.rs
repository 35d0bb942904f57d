//! The engine of `verdict train`: decoder, adapter bank and trainer of `verdict_model`.

use std::path::Path;

use verdict_model::formats::Adapter;
use verdict_model::{AdamW, AdapterBank, Model, Trainer};

use super::{
    AdapterSpec, AdapterState, Example, ExampleLoss, MICRO_BATCH_TOKENS, Rate, TrainingEngine,
};
use crate::error::EngineError;

/// A loaded model and the adapters that are trained on it.
///
/// AdamW uses PyTorch's defaults, without weight decay. All adapters must be created before the first
/// gradient.
#[derive(Debug)]
pub struct ModelTrainingEngine<'m> {
    model: &'m Model,
    stage: Stage,
    base_name: Option<String>,
}

#[derive(Debug)]
enum Stage {
    /// Adapters are being created.
    Creating(AdapterBank),
    /// Boxed because a trainer contains its buffers.
    Training(Box<Trainer>),
}

impl<'m> ModelTrainingEngine<'m> {
    /// An engine over a loaded model.
    pub fn new(model: &'m Model) -> Self {
        Self {
            model,
            stage: Stage::Creating(AdapterBank::empty()),
            base_name: None,
        }
    }

    /// Sets `base_model_name_or_path` of `adapter_config.json`, by which PEFT finds the base model.
    pub fn base_name(mut self, name: impl Into<String>) -> Self {
        self.base_name = Some(name.into());
        self
    }

    /// The trainer. After the first call no further adapter can be created.
    fn trainer(&mut self) -> Result<&mut Trainer, EngineError> {
        if let Stage::Creating(bank) = &mut self.stage {
            let trainer = Trainer::new(self.model, std::mem::take(bank), AdamW::default())?;
            self.stage = Stage::Training(Box::new(trainer));
        }
        match &mut self.stage {
            Stage::Training(trainer) => Ok(trainer),
            Stage::Creating(_) => unreachable!("the stage was set above"),
        }
    }
}

impl TrainingEngine for ModelTrainingEngine<'_> {
    fn create(&mut self, spec: &AdapterSpec) -> Result<usize, EngineError> {
        match &mut self.stage {
            Stage::Creating(bank) => Ok(bank.create(self.model.config(), spec)),
            Stage::Training(_) => {
                Err("expected every adapter before the first gradient, found a later one".into())
            }
        }
    }

    fn initialize(&mut self, adapter: usize, from: &Adapter) -> Result<(), EngineError> {
        match &mut self.stage {
            Stage::Creating(bank) => Ok(bank.initialize(self.model.config(), adapter, from)?),
            Stage::Training(_) => Err("expected to start before the first gradient".into()),
        }
    }

    fn accumulate(
        &mut self,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>, EngineError> {
        let model = self.model;
        Ok(self.trainer()?.accumulate(model, examples, probes)?)
    }

    fn step(&mut self, rates: &[Rate]) -> Result<Vec<f32>, EngineError> {
        let model = self.model;
        Ok(self.trainer()?.step(model, rates)?)
    }

    fn evaluate(
        &self,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>, EngineError> {
        Ok(match &self.stage {
            Stage::Creating(bank) => self.model.evaluate(bank, examples, probes)?,
            Stage::Training(trainer) => trainer.evaluate(self.model, examples, probes)?,
        })
    }

    fn state(&self, adapter: usize) -> Result<AdapterState, EngineError> {
        match &self.stage {
            Stage::Creating(_) => {
                Err("expected a training step before the training state is read".into())
            }
            Stage::Training(trainer) => Ok(trainer.state(self.model, adapter)?),
        }
    }

    fn restore(&mut self, adapter: usize, state: &AdapterState) -> Result<(), EngineError> {
        let model = self.model;
        Ok(self.trainer()?.restore(model, adapter, state)?)
    }

    fn save(&self, adapter: usize, dir: &Path) -> Result<(), EngineError> {
        let mut adapter = match &self.stage {
            Stage::Creating(bank) => bank.export(self.model.config(), adapter),
            Stage::Training(trainer) => trainer.export(self.model, adapter)?,
        };
        adapter.config.base_model_name_or_path = self.base_name.clone();
        Ok(adapter.write(dir)?)
    }

    fn micro_batch_tokens(&self) -> usize {
        let tokens = match &self.stage {
            Stage::Creating(bank) => self.model.micro_batch_tokens(bank),
            Stage::Training(trainer) => trainer.micro_batch_tokens(self.model),
        };
        tokens.unwrap_or(MICRO_BATCH_TOKENS)
    }
}
