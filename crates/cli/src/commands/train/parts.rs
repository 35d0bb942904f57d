//! A grid in parts: given to SLURM, one part trained, the parts merged.

use std::path::Path;

use serde::Serialize;
use verdict_train::{
    AdapterRecord, Manifest, NewRun, RunFolder, RunSummary, Score, TrainSettings, shard,
};

use super::{Args, fit_in, members, open, refuse_flags, whereabouts};
use crate::failure::{Failure, Result};
use crate::folders;
use crate::loading;
use crate::printer::Printer;
use crate::shards::{self, Part, Todo};
use crate::shell;
use crate::slurm;

/// Gives the grid to SLURM.
pub fn submit(args: &Args, printer: &Printer) -> Result {
    let dry_run = args.slurm.dry_run;
    let Some(dir) = &args.resume else {
        return slurm::submit(&args.settings()?, args.overwrite, dry_run, printer);
    };
    let given = args.given().unwrap_or_default();
    if dry_run || !given.is_empty() {
        let fault = "--resume with --slurm takes no other flags";
        return Err(Failure::input(fault).hint("the scripts stand in the run folder, in slurm/"));
    }
    slurm::submit_again(dir, printer)
}

/// Trains one part of the grid, or goes on with it; none where it is finished.
pub fn fit_part(args: &Args, part: Part, printer: &Printer) -> Result<Option<RunSummary>> {
    let whole = args.settings()?;
    whole.validate()?;
    folders::refuse_run(&whole.data)?;
    let source = loading::find(&whole.model, printer)?;
    let whole = loading::fit_length(&whole, &source, printer)?;
    let mut split = shards::split(source.config(), &whole, part.of)?;
    let (shard, share) = split.swap_remove(part.index - 1);
    printer.note(format!(
        "shard {part}, {:.0} % of the work: {}",
        100.0 * share,
        shard.adapters.join(", ")
    ));
    let settings = TrainSettings {
        out: shard::folder(&whole.out, part.index),
        shard: Some(shard),
        ..whole
    };
    let run = match shards::look(&settings, args.overwrite)? {
        Todo::Begin => NewRun::create(&settings, args.overwrite)?,
        Todo::GoOn => open(&settings.out, printer)?,
        Todo::Done(run) => {
            printer.note(format!("{}: finished before", run.dir().display()));
            return Ok(None);
        }
    };
    fit_in(run, &settings, None, printer).map(Some)
}

/// Makes one run of shards; one that was made before is told again.
pub fn merge(dir: &Path, args: &Args, printer: &Printer) -> Result {
    refuse_flags(args, "--merge", &[])?;
    let merged_before = dir.join("MANIFEST.json").exists();
    let manifest: Manifest = match merged_before {
        true => RunFolder::open(dir)?.manifest,
        false => verdict_train::merge(dir)?,
    };
    printer.json(&Merged {
        run: dir,
        best: &manifest.best,
        base: manifest.base,
        members: &manifest.adapters,
        steps: manifest.steps,
        merged_before,
    });
    printer.table(&members(&manifest));
    printer.line("");
    if merged_before {
        printer.note(format!("{}: merged before", dir.display()));
    }
    whereabouts(dir, &manifest, printer);
    printer.next(format!("verdict eval {}", shell::word(dir)));
    Ok(())
}

/// What `train --merge --json` prints.
#[derive(Serialize)]
struct Merged<'a> {
    run: &'a Path,
    best: &'a str,
    base: Score,
    members: &'a [AdapterRecord],
    steps: usize,
    merged_before: bool,
}
