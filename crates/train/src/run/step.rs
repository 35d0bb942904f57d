//! One optimizer step of every adapter that trains.

use std::time::Instant;

use super::{Running, Training};
use crate::batches::{Placed, dropout_key, pack_lanes};
use crate::engine::{Example, Rate};
use crate::error::{Error, Result};
use crate::events::EventKind;
use crate::plan::Part;

/// One adapter's part of a step.
struct Batch {
    job: usize,
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
            let lr = self.plan.members[self.plan.jobs[batch.job].member].lr;
            let job = &mut self.jobs[batch.job];
            if loss.is_finite() {
                job.train_loss = Some(loss);
                let lr = lr * job.rates.share(step);
                rates.push(Rate {
                    adapter: job.adapter,
                    lr: lr as f32,
                    clip,
                });
                stepping.push((batch.job, loss, lr));
            } else {
                self.take_out(batch.job, "loss", loss)?;
            }
        }
        let norms = self.engine.step(&rates).map_err(|source| Error::Engine {
            doing: format!("optimizer step {}", step + 1),
            source,
        })?;
        for ((job, loss, lr), norm) in stepping.into_iter().zip(norms) {
            let grad_norm = f64::from(norm);
            if !grad_norm.is_finite() {
                self.take_out(job, "gradient norm", grad_norm)?;
            } else if self.plan.share(job).part == Part::Whole {
                let kind = EventKind::Train {
                    loss,
                    lr,
                    grad_norm,
                };
                let name = &self.plan.jobs[job].name;
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
        let jobs = self.jobs.iter_mut().enumerate();
        let training = jobs.filter(|(_, running)| running.trains());
        let batch = |(job, running): (usize, &mut Running)| {
            let train = &plan.share(job).train;
            let rows = running.order.at(step).iter().map(|place| train[*place]);
            let rows: Vec<usize> = rows.collect();
            let tokens = rows.iter().map(|row| pool[*row].supervised(loss)).sum();
            let weigh = |row: &usize| pool[*row].weight * pool[*row].supervised(loss) as f64;
            Batch {
                job,
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
        let lane = |batch: &Batch| self.engine.lane(Some(self.jobs[batch.job].adapter));
        let lanes: Vec<usize> = batches.iter().map(lane).collect();
        for pass in pack_lanes(&lengths, &lanes, self.pass_tokens) {
            self.look_around()?;
            let example = |placed: &Placed| {
                let batch = &batches[placed.member];
                let row = self.pool[batch.rows[placed.place]];
                Example {
                    adapter: Some(self.jobs[batch.job].adapter),
                    tokens: &row.tokens,
                    loss_from: row.loss_from(self.settings.loss),
                    weight: (row.weight / batch.weight) as f32,
                    key: dropout_key(self.done, placed.place),
                }
            };
            let examples: Vec<Example<'_>> = pass.iter().map(example).collect();
            let losses = self.engine.accumulate(&examples, &[]);
            let losses = losses.map_err(|source| Error::Engine {
                doing: format!("training step {}", self.done + 1),
                source,
            })?;
            for (placed, found) in pass.iter().zip(losses) {
                batches[placed.member].loss_sum += found.loss_sum;
            }
        }
        let examples = lengths.iter().map(Vec::len).sum();
        Ok((examples, lengths.iter().flatten().sum()))
    }
}
