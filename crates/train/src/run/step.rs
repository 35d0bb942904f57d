//! One optimizer step of every adapter that trains.

use std::time::Instant;

use super::{Running, Training};
use crate::batches::{PackedExample, dropout_key, pack_by_device};
use crate::engine::{Example, Rate};
use crate::error::{Error, Result};
use crate::events::EventKind;
use crate::plan::Subset;

/// One adapter's part of a step.
struct Batch {
    fit: usize,
    /// Places in the pool.
    rows: Vec<usize>,
    /// Sum of the tokens that the loss counts, each by its row's weight.
    weight: f64,
    loss_sum: f64,
    tokens: usize,
}

impl Training<'_> {
    /// One optimizer step of every adapter that trains.
    pub(super) fn step(&mut self) -> Result<()> {
        let started = Instant::now();
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
            let lr = self.plan.adapters[self.plan.fits[batch.fit].adapter].lr;
            let fit = &mut self.fits[batch.fit];
            if loss.is_finite() {
                fit.train_loss = Some(loss);
                let lr = lr * fit.rates.share(step);
                rates.push(Rate {
                    adapter: fit.engine_index,
                    lr: lr as f32,
                    clip,
                });
                stepping.push((batch.fit, loss, lr));
            } else {
                self.take_out(batch.fit, "loss", loss)?;
            }
        }
        let norms = self.engine.step(&rates).map_err(|source| Error::Engine {
            doing: format!("optimizer step {}", step + 1),
            source,
        })?;
        for ((fit, loss, lr), norm) in stepping.into_iter().zip(norms) {
            let grad_norm = f64::from(norm);
            if !grad_norm.is_finite() {
                self.take_out(fit, "gradient norm", grad_norm)?;
            } else if self.plan.subset_of(fit).subset == Subset::All {
                let kind = EventKind::Train {
                    loss,
                    lr,
                    grad_norm,
                };
                let name = &self.plan.fits[fit].name;
                self.sink.emit(self.done, Some(name), kind)?;
            }
        }
        self.any_left()?;
        let seconds = started.elapsed().as_secs_f64().max(1e-9);
        let throughput = EventKind::Throughput {
            examples_per_s: examples as f64 / seconds,
            tokens_per_s: tokens as f64 / seconds,
        };
        self.sink.emit(self.done, None, throughput)
    }

    /// What each adapter that trains sees at this step.
    fn batches(&mut self) -> Vec<Batch> {
        let (pool, plan, loss, step) = (&self.pool, self.plan, self.settings.loss, self.done);
        let fits = self.fits.iter_mut().enumerate();
        let training = fits.filter(|(_, running)| running.trains());
        let batch = |(fit, running): (usize, &mut Running)| {
            let train = &plan.subset_of(fit).train;
            let rows = running.order.at(step).iter().map(|place| train[*place]);
            let rows: Vec<usize> = rows.collect();
            let tokens = rows.iter().map(|row| pool[*row].supervised(loss)).sum();
            let weigh = |row: &usize| pool[*row].weight * pool[*row].supervised(loss) as f64;
            Batch {
                fit,
                weight: rows.iter().map(weigh).sum(),
                rows,
                loss_sum: 0.0,
                tokens,
            }
        };
        training.map(batch).collect()
    }

    /// Gradients of all batches, pass by pass; returns the examples and the tokens that went through.
    fn accumulate(&mut self, batches: &mut [Batch]) -> Result<(usize, usize)> {
        let length = |row: &usize| self.pool[*row].tokens.len();
        let lengths: Vec<Vec<usize>> = batches
            .iter()
            .map(|batch| batch.rows.iter().map(length).collect())
            .collect();
        let device = |batch: &Batch| {
            self.engine
                .device_of(Some(self.fits[batch.fit].engine_index))
        };
        let devices: Vec<usize> = batches.iter().map(device).collect();
        for pass in pack_by_device(&lengths, &devices, self.pass_tokens) {
            self.look_around()?;
            let example = |placed: &PackedExample| {
                let batch = &batches[placed.batch];
                let row = self.pool[batch.rows[placed.position]];
                Example {
                    adapter: Some(self.fits[batch.fit].engine_index),
                    tokens: &row.tokens,
                    loss_from: row.loss_from(self.settings.loss),
                    weight: (row.weight / batch.weight) as f32,
                    key: dropout_key(self.done, placed.position),
                }
            };
            let examples: Vec<Example<'_>> = pass.iter().map(example).collect();
            let losses = self.engine.accumulate(&examples, &[]);
            let losses = losses.map_err(|source| Error::Engine {
                doing: format!("training step {}", self.done + 1),
                source,
            })?;
            for (placed, found) in pass.iter().zip(losses) {
                batches[placed.batch].loss_sum += found.loss_sum;
            }
        }
        let examples = lengths.iter().map(Vec::len).sum();
        Ok((examples, lengths.iter().flatten().sum()))
    }
}
