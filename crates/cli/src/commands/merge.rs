//! `verdict merge`: the shards of a grid to one run.

use std::path::{Path, PathBuf};

use serde::Serialize;
use verdict_train::{Manifest, MemberRecord, RunFolder, Score};

use crate::commands::train::members;
use crate::failure::Result;
use crate::printer::Printer;

/// Make one run of the shards that `train --shard` or `train --slurm` trained
///
/// The run is what one task would have made of the whole grid: the same adapters, the best of all chosen. Shards that
/// are missing, unfinished or of other settings are named. A run that was merged before is left as it is.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run folder, which holds shards/
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
}

/// What `merge --json` prints.
#[derive(Serialize)]
struct Told<'a> {
    run: &'a Path,
    best: &'a str,
    base: Score,
    members: &'a [MemberRecord],
    steps: usize,
}

/// Merges and tells how every member came out.
pub fn run(args: Args, printer: &Printer) -> Result {
    let dir = &args.run;
    let manifest: Manifest = match dir.join("MANIFEST.json").exists() {
        true => {
            printer.note("merged before");
            RunFolder::open(dir)?.manifest
        }
        false => verdict_train::merge(dir)?,
    };
    printer.json(&Told {
        run: dir,
        best: &manifest.best,
        base: manifest.base,
        members: &manifest.members,
        steps: manifest.steps,
    });
    printer.table(&members(&manifest));
    printer.line(format!("\nrun        {}", dir.display()));
    let best = dir.join("adapters").join(&manifest.best);
    printer.line(format!("best       {}", best.display()));
    Ok(())
}
