//! One optimizer step of every fit that trains.

use std::time::Instant;

use super::active_fit::ActiveFit;
use super::training::Training;
use crate::batches::{PackedExample, dropout_key, pack_by_device};
use crate::engine::{Example, Rate};
use crate::error::{Error, Result};
use crate::events::EventKind;
use crate::plan::Subset;

/// The batch of one fit in this step.
struct Batch {
    fit: usize,
    /// Indices into the pool.
    examples: Vec<usize>,
    /// Tokens that the loss counts, each weighted by its example's weight, summed.
    weight: f64,
    loss_sum: f64,
    tokens: usize,
}

impl Training<'_> {
    /// One optimizer step of every fit that trains.
    pub(super) fn step(&mut self) -> Result<()> {
        let started = Instant::now();
        let plan = self.plan;
        let mut batches = self.batches();
        let (examples, tokens) = self.accumulate(&mut batches)?;
        let step = self.done;
        self.done += 1;
        self.tokens += tokens as u64;

        let clip = match self.settings.clip {
            0.0 => f32::INFINITY,
            clip => clip as f32,
        };
        let mut stepping = Vec::new();
        let mut rates = Vec::new();
        for batch in &batches {
            let loss = batch.loss_sum / batch.tokens as f64;
            let peak = plan.adapters[plan.fits[batch.fit].adapter].lr;
            let fit = &mut self.fits[batch.fit];
            if loss.is_finite() {
                fit.train_loss = Some(loss);
                let lr = peak * fit.rates.share(step);
                rates.push(Rate {
                    adapter: fit.engine_index,
                    lr: lr as f32,
                    clip,
                });
                stepping.push((batch.fit, loss, lr));
            } else {
                self.diverge(batch.fit, "loss", loss)?;
            }
        }
        let norms = self.engine.step(&rates).map_err(|source| Error::Engine {
            doing: format!("optimizer step {}", step + 1),
            source,
        })?;
        for ((fit, loss, lr), norm) in stepping.into_iter().zip(norms) {
            let grad_norm = f64::from(norm);
            if !grad_norm.is_finite() {
                self.diverge(fit, "gradient norm", grad_norm)?;
            } else if plan.subset_of(fit).subset == Subset::All {
                let kind = EventKind::Train {
                    loss,
                    lr,
                    grad_norm,
                };
                self.emit(Some(&plan.fits[fit].name), kind)?;
            }
        }
        self.check_all_diverged()?;
        let seconds = started.elapsed().as_secs_f64().max(1e-9);
        let throughput = EventKind::Throughput {
            examples_per_s: examples as f64 / seconds,
            tokens_per_s: tokens as f64 / seconds,
        };
        self.emit(None, throughput)
    }

    /// The batch of each fit that trains.
    fn batches(&mut self) -> Vec<Batch> {
        let (pool, plan, loss, step) = (&self.pool, self.plan, self.settings.loss, self.done);
        let rationale_weight = self.settings.rationale_weight;
        let fits = self.fits.iter_mut().enumerate();
        let training = fits.filter(|(_, active)| active.is_training());
        let batch = |(fit, active): (usize, &mut ActiveFit)| {
            let train = &plan.subset_of(fit).train;
            let examples = active.order.at(step).iter().map(|index| train[*index]);
            let examples: Vec<usize> = examples.collect();
            let supervised = |example: &usize| pool[*example].supervised(loss);
            let weighted = |example: &usize| {
                let example = pool[*example];
                example.weight * example.weighted(loss, rationale_weight)
            };
            Batch {
                fit,
                weight: examples.iter().map(weighted).sum(),
                tokens: examples.iter().map(supervised).sum(),
                examples,
                loss_sum: 0.0,
            }
        };
        training.map(batch).collect()
    }

    /// Accumulates the gradients of all batches, one micro-batch after the other. Returns the number
    /// of examples and of tokens.
    fn accumulate(&mut self, batches: &mut [Batch]) -> Result<(usize, usize)> {
        let length = |example: &usize| self.pool[*example].tokens.len();
        let lengths: Vec<Vec<usize>> = batches
            .iter()
            .map(|batch| batch.examples.iter().map(length).collect())
            .collect();
        let device = |batch: &Batch| {
            self.engine
                .device_of(Some(self.fits[batch.fit].engine_index))
        };
        let devices: Vec<usize> = batches.iter().map(device).collect();
        let rationale_weight = self.settings.rationale_weight;
        for micro_batch in pack_by_device(&lengths, &devices, self.micro_batch_tokens) {
            self.handle_requests()?;
            let example = |packed: &PackedExample| {
                let batch = &batches[packed.batch];
                let example = self.pool[batch.examples[packed.position]];
                Example {
                    adapter: Some(self.fits[batch.fit].engine_index),
                    tokens: &example.tokens,
                    loss_from: example.loss_from(self.settings.loss),
                    weight: (example.weight / batch.weight) as f32,
                    rest: (rationale_weight != 1.0)
                        .then(|| (example.rationale_from(), rationale_weight as f32)),
                    key: dropout_key(self.done, packed.position),
                }
            };
            let examples: Vec<Example<'_>> = micro_batch.iter().map(example).collect();
            let losses = self.engine.accumulate(&examples, &[]);
            let losses = losses.map_err(|source| Error::Engine {
                doing: format!("training step {}", self.done + 1),
                source,
            })?;
            for (packed, loss) in micro_batch.iter().zip(losses) {
                batches[packed.batch].loss_sum += loss.loss_sum;
            }
        }
        let examples = lengths.iter().map(Vec::len).sum();
        Ok((examples, lengths.iter().flatten().sum()))
    }
}
