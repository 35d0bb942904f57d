//! A run's events in the log: each is a `tracing` event with the same fields as its line in events.jsonl.
//! Events of every step have level debug, the others info or, when an adapter diverges, warn.

use crate::early_stopping::EarlyStoppingRule;
use crate::events::{Event, EventKind, Outcome};

/// The target of the log events.
const TARGET: &str = "verdict_train::events";

/// Logs an event.
pub(crate) fn event(event: &Event) {
    let (step, adapter) = (event.step, event.adapter.as_deref());
    match &event.kind {
        EventKind::Start {
            names,
            steps,
            train_rows,
            validation_rows,
            fits,
        } => {
            let names = names.join(",");
            tracing::info!(target: TARGET, kind = "start", step, members = names, steps, train_rows, validation_rows,
                adapters = fits, "training begins");
        }
        EventKind::Train {
            loss,
            lr,
            grad_norm,
        } => {
            tracing::debug!(target: TARGET, kind = "train", step, adapter, loss, lr, grad_norm, "step");
        }
        EventKind::Validation {
            loss, accuracy, n, ..
        } => {
            tracing::info!(target: TARGET, kind = "validation", step, adapter, loss, accuracy, n, "validation");
        }
        EventKind::Throughput {
            examples_per_s,
            tokens_per_s,
        } => {
            tracing::debug!(target: TARGET, kind = "throughput", step, examples_per_s, tokens_per_s, "throughput");
        }
        EventKind::Diverged { reason } => {
            tracing::warn!(target: TARGET, kind = "stopped", step, adapter, reason, "adapter diverged");
        }
        EventKind::EarlyStopped { by, reason, kept } => {
            let outcome = by.outcome();
            let by = match by {
                EarlyStoppingRule::Patience => "patience",
                EarlyStoppingRule::Halving => "halving",
            };
            tracing::info!(target: TARGET, kind = "dropped", step, adapter, by, reason, kept, "adapter {outcome}");
        }
        EventKind::Saved { path } => {
            tracing::info!(target: TARGET, kind = "saved", step, adapter, path, "adapter saved");
        }
        EventKind::End {
            outcome,
            best,
            error,
        } => {
            let best = best.as_deref();
            match outcome {
                Outcome::Finished => {
                    tracing::info!(target: TARGET, kind = "end", step, outcome = "finished", best, "training finished");
                }
                Outcome::Interrupted => {
                    tracing::warn!(target: TARGET, kind = "end", step, outcome = "interrupted", error,
                        "training interrupted");
                }
                Outcome::Failed => {
                    tracing::error!(target: TARGET, kind = "end", step, outcome = "failed", error, "training failed");
                }
            }
        }
    }
}
