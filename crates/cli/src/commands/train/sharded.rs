//! A grid in shards: submitting it to SLURM, training one shard, merging the shards.

use std::path::Path;

use serde::Serialize;
use verdict_train::{
    AdapterRecord, Manifest, NewRun, RunFolder, RunSummary, Score, TrainSettings, shard,
};

use super::args::{Args, refuse_flags};
use super::fit::{fit_in, open};
use super::results::{adapters, print_paths};
use crate::failure::{Failure, Result};
use crate::folders;
use crate::loading;
use crate::printer::Printer;
use crate::settings;
use crate::shards::{self, ShardIndex, ShardState};
use crate::shell;
use crate::slurm;

/// Submits the grid to SLURM.
pub fn submit(args: &Args, printer: &Printer) -> Result {
    let dry_run = args.slurm.dry_run;
    let Some(dir) = &args.resume else {
        return slurm::submit(&args.settings()?, args.overwrite, dry_run, printer);
    };
    let given = settings::given(args)?;
    if dry_run || !given.is_empty() {
        let fault = "--resume with --slurm accepts no other flags";
        return Err(Failure::input(fault).hint("the scripts are in the run folder, in slurm/"));
    }
    slurm::submit_again(dir, printer)
}

/// Trains or resumes one shard of the grid; none if it is finished.
pub fn fit_shard(args: &Args, index: ShardIndex, printer: &Printer) -> Result<Option<RunSummary>> {
    let whole = args.settings()?;
    whole.validate()?;
    folders::refuse_run(&whole.data)?;
    let source = loading::find(&whole.model, printer)?;
    let whole = loading::fit_length(&whole, &source, printer)?;
    let mut split = shards::split(source.config(), &whole, index.of)?;
    let (shard, share) = split.swap_remove(index.index - 1);
    printer.note(format!(
        "shard {index}, {:.0} % of the work: {}",
        100.0 * share,
        shard.adapters.join(", ")
    ));
    let settings = TrainSettings {
        out: shard::folder(&whole.out, index.index),
        shard: Some(shard),
        ..whole
    };
    let run = match shards::look(&settings, args.overwrite)? {
        ShardState::New => NewRun::create(&settings, args.overwrite)?,
        ShardState::Interrupted => open(&settings.out, printer)?,
        ShardState::Finished(run) => {
            printer.note(format!("{}: already finished", run.dir().display()));
            return Ok(None);
        }
    };
    fit_in(run, &settings, None, printer).map(Some)
}

/// Merges shards into one run; prints the results again if they are merged already.
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
    printer.table(&adapters(&manifest));
    printer.line("");
    if merged_before {
        printer.note(format!("{}: already merged", dir.display()));
    }
    print_paths(dir, &manifest, printer);
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
