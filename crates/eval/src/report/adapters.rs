//! The table of the run's adapters: their validation scores, and how their training ended.

use verdict_page::{Cell, Table};

use super::tables::{figure, rate, table};
use crate::evaluated_run::{EvaluatedAdapter, EvaluatedRun};

/// All adapters on the validation set.
pub(super) fn table_of_adapters(run: &EvaluatedRun) -> Option<Table> {
    let empty = || Cell::Text(String::new());
    let mut rows = vec![vec![
        "base".into(),
        empty(),
        empty(),
        empty(),
        figure(format!("{:.3}", run.base.loss)),
        figure(rate(&run.base.accuracy)),
        empty(),
    ]];
    rows.extend(run.adapters.iter().map(|adapter| {
        let validation = adapter.validation.as_ref();
        vec![
            adapter.name.as_str().into(),
            Cell::Number(adapter.rank),
            figure(format!("{:e}", adapter.lr)),
            figure(adapter.seed.to_string()),
            figure(validation.map_or("–".into(), |of| format!("{:.3}", of.loss))),
            figure(validation.map_or("–".into(), |of| rate(&of.accuracy))),
            outcome(adapter, &run.best).into(),
        ]
    }));
    table(
        "Adapters on the validation set",
        [
            "adapter",
            "rank",
            "learning rate",
            "seed",
            "loss, nats per token",
            "label accuracy",
            "outcome",
        ],
        rows,
    )
}

/// How the training of an adapter ended.
fn outcome(adapter: &EvaluatedAdapter, best: &str) -> String {
    if let Some(reason) = &adapter.diverged {
        return reason.clone();
    }
    let chosen = (adapter.name == best).then(|| "chosen".to_owned());
    let ended = adapter.ended_early.as_ref();
    let ended = ended.map(|ended| format!("ended early: {}", ended.reason));
    let weights = adapter
        .kept_step
        .map(|step| format!("weights of step {step}"));
    let parts: Vec<String> = [chosen, ended, weights].into_iter().flatten().collect();
    parts.join("; ")
}
