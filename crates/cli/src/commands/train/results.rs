//! What a finished run shows: a table of its adapters, and where they are.

use std::path::Path;

use verdict_common::share;
use verdict_train::Manifest;

use crate::printer::Printer;
use crate::table::Table;

/// Prints where the run and its chosen adapter are.
pub fn print_paths(dir: &Path, manifest: &Manifest, printer: &Printer) {
    printer.line(format!("run        {}", dir.display()));
    let best = dir.join("adapters").join(&manifest.best);
    printer.line(format!("best       {}", best.display()));
}

/// The final table: the base model, then every adapter, with the chosen one marked.
pub fn adapters(manifest: &Manifest) -> Table {
    let mut table = Table::new([
        "adapter",
        "rank",
        "lr",
        "seed",
        "train loss",
        "val. loss",
        "val. accuracy",
        "",
    ]);
    let blank = String::new;
    let base = manifest.base;
    table.row(vec![
        "base model".into(),
        blank(),
        blank(),
        blank(),
        blank(),
        format!("{:.3}", base.loss),
        share(base.accuracy),
    ]);
    for record in &manifest.adapters {
        let adapter = &record.adapter;
        let loss = |loss: Option<f64>| loss.map_or("-".into(), |loss| format!("{loss:.3}"));
        let mark = match (&record.diverged, &record.early_stop) {
            (Some(_), _) => "diverged".to_owned(),
            _ if adapter.name == manifest.best => "best".to_owned(),
            (_, Some(stop)) => format!("{} at step {}", stop.by.outcome(), stop.step),
            _ => String::new(),
        };
        table.row(vec![
            adapter.name.clone(),
            adapter.rank.to_string(),
            format!("{:e}", adapter.lr),
            adapter.seed.to_string(),
            loss(record.train_loss),
            loss(record.validation.map(|score| score.loss)),
            record
                .validation
                .map_or("-".into(), |score| share(score.accuracy)),
            mark,
        ]);
    }
    table
}
