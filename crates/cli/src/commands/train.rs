//! `verdict train`: trains a grid of adapters on a data set in one pass, and writes a run folder.

mod args;
mod fit;
mod like;
mod live;
mod results;
mod sharded;

use std::path::Path;

use serde::Serialize;
use verdict_common::{counted, duration};
use verdict_train::{AdapterRecord, NestedValidation, Score};

use self::fit::repeat;
use self::like::{Like, Repeated};
use self::results::print_paths;
use crate::failure::Result;
use crate::printer::Printer;
use crate::shell;

pub use self::args::Args;
pub use self::fit::{fit, resume};
pub use self::results::adapters;

/// Trains, and prints the results of every adapter.
pub fn run(args: Args, printer: &Printer) -> Result {
    if let Some(recipe) = args.print_recipe {
        printer.raw(recipe.toml);
        return Ok(());
    }
    if args.slurm.slurm {
        return sharded::submit(&args, printer);
    }
    if let Some(dir) = &args.merge {
        return sharded::merge(dir, &args, printer);
    }
    let like = Like::read(&args)?;
    let summary = match (&args.resume, &like, args.shard) {
        (Some(dir), _, _) => resume(dir, &args, printer)?,
        (None, Some(like), _) => repeat(like, &args, printer)?,
        (None, None, None) => fit(&args.settings()?, args.overwrite, printer)?,
        (None, None, Some(index)) => match sharded::fit_shard(&args, index, printer)? {
            Some(summary) => summary,
            None => return Ok(()),
        },
    };
    let manifest = &summary.manifest;
    let repeated = like.as_ref().map(|like| like.compare(manifest));
    printer.json(&TrainOutput {
        run: &summary.dir,
        best: &manifest.best,
        base: manifest.base,
        nested: manifest.nested.as_ref(),
        members: &manifest.adapters,
        steps: manifest.steps,
        tokens: summary.tokens,
        seconds: summary.elapsed.as_secs_f64(),
        checkpoints: summary.checkpoints,
        checkpoint_seconds: summary.checkpoint_time.as_secs_f64(),
        event_seconds: summary.event_time.as_secs_f64(),
        like: repeated.as_ref(),
    });
    printer.table(&adapters(manifest));
    printer.line(format!(
        "\n{} of {}, {} in {}",
        counted(manifest.adapters.len(), "adapter"),
        counted(manifest.steps, "step"),
        counted(summary.tokens as usize, "token"),
        duration(summary.elapsed.as_secs_f64())
    ));
    if let Some(nested) = &manifest.nested {
        printer.line(format!(
            "nested     choosing and training an adapter: label accuracy {:.1} % on {} seen by neither",
            100.0 * nested.accuracy,
            counted(nested.n, "example")
        ));
    }
    print_paths(&summary.dir, manifest, printer);
    if let Some(repeated) = repeated {
        printer.line(format!("repeats    {}", repeated.describe()));
    }
    // A shard is evaluated after it is merged.
    if manifest.settings.shard.is_none() {
        printer.next(format!("verdict eval {}", shell::word(&summary.dir)));
    }
    Ok(())
}

/// What `train --json` prints.
#[derive(Serialize)]
struct TrainOutput<'a> {
    run: &'a Path,
    best: &'a str,
    base: Score,
    #[serde(skip_serializing_if = "Option::is_none")]
    nested: Option<&'a NestedValidation>,
    members: &'a [AdapterRecord],
    steps: usize,
    tokens: u64,
    seconds: f64,
    /// Checkpoints written, and the seconds that they took.
    checkpoints: usize,
    checkpoint_seconds: f64,
    /// Seconds spent on writing events and showing progress.
    event_seconds: f64,
    /// With --like, the comparison with the adapters of the run that was repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    like: Option<&'a Repeated<'a>>,
}
