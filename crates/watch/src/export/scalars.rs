//! The metrics of events.

use verdict_train::{Event, EventKind};

/// The metrics of an event, each with its name; empty if it has none.
pub fn scalars(event: &Event) -> Vec<(&'static str, f64)> {
    match &event.kind {
        EventKind::Train {
            loss,
            lr,
            grad_norm,
        } => vec![
            ("train/loss", *loss),
            ("train/lr", *lr),
            ("train/grad_norm", *grad_norm),
        ],
        EventKind::Validation {
            loss,
            accuracy,
            n,
            label_loss,
        } => {
            let label = label_loss.map(|label| ("validation/label_loss", label.mean));
            let mut scalars = vec![
                ("validation/loss", *loss),
                ("validation/accuracy", *accuracy),
                ("validation/n", *n as f64),
            ];
            scalars.extend(label);
            scalars
        }
        EventKind::Throughput {
            examples_per_s,
            tokens_per_s,
        } => vec![
            ("throughput/examples_per_s", *examples_per_s),
            ("throughput/tokens_per_s", *tokens_per_s),
        ],
        _ => Vec::new(),
    }
}
