//! The build: sources to rows, rows through every rule, what is left into three splits on disk.
//!
//! Two halves meet on disk. [`mod@scan`] reads the sources and cleans each row alone; [`mod@plan`]
//! looks at all rows together (duplicates, groups, benchmarks, balance, splits) and [`mod@write`]
//! writes them. The first half can be done in shards on many machines ([`scan_shard`]), and the second
//! over their folders ([`merge`]) gives the same bytes.

mod artefact;
mod explain;
mod group;
mod plan;
mod rules;
mod scan;
mod settings;
mod shares;
mod split;
mod store;
mod tie;
mod write;

use std::path::PathBuf;

#[cfg(test)]
pub(crate) use artefact::artefact;
pub use explain::{Explanation, Step, explain};
pub(crate) use rules::question;
pub use scan::Shard;
pub use settings::{Balance, BuildReport, BuildSettings, Disagreement};
pub use shares::SplitShares;
pub(crate) use tie::{NEAR_QUESTIONS, NEAR_RATIONALES};

use store::Store;

use crate::protect::Benchmark;
use crate::staging::{StagingFolder, check_out};
use crate::{Error, Result};

/// Builds a data set and writes it to `settings.out`.
///
/// # Errors
/// Every fault of a source names file and place; [`Error::EmptyClass`] and [`Error::TooFewRows`]
/// where no balance exists; [`Error::EmptySplit`]; [`Error::Busy`]; [`Error::NotEmpty`] and [`Error::ForeignFile`] for a folder in use. No
/// error leaves anything under the final name.
pub fn build(settings: &BuildSettings) -> Result<BuildReport> {
    settings.check()?;
    let benchmarks = settings.benchmarks()?;
    check_out(&settings.out, settings.overwrite)?;
    let staging = StagingFolder::beside(&settings.out)?;
    let store = scan::scan(settings, &staging.scratch()?, (1, 1))?;
    finish(store, &benchmarks, settings, staging)
}

/// Does the first half of a build for one of equal shares of the input, and writes it to `settings.out`.
///
/// # Errors
/// As [`build`], except for those of balance and benchmarks, which are not read yet.
pub fn scan_shard(settings: &BuildSettings, shard: Shard) -> Result<usize> {
    settings.check()?;
    check_out(&settings.out, false)?;
    let staging = StagingFolder::beside(&settings.out)?;
    let store = scan::scan(settings, staging.new_folder(), shard)?;
    let rows = store.rows.len();
    store.seal()?;
    staging.finish()?;
    Ok(rows)
}

/// Does the second half of a build over the folders of all its shards. Sources, seed, context and rules are
/// those of the shards; everything else is taken from `settings`.
///
/// # Errors
/// As [`build`]; [`Error::Shards`] where the folders are not all the shards of one build.
pub fn merge(shards: &[PathBuf], settings: &BuildSettings) -> Result<BuildReport> {
    check_out(&settings.out, settings.overwrite)?;
    if shards.is_empty() {
        return Err(Error::NoSources);
    }
    let store = Store::open(shards)?;
    let sources = store.inputs.iter().map(|input| input.text.parse());
    let settings = BuildSettings {
        sources: sources.collect::<Result<_>>()?,
        seed: store.shard_settings.seed,
        ..settings.clone()
    };
    settings.check()?;
    let benchmarks = settings.benchmarks()?;
    let staging = StagingFolder::beside(&settings.out)?;
    finish(store, &benchmarks, &settings, staging)
}

fn finish(
    mut store: Store,
    benchmarks: &[Benchmark],
    settings: &BuildSettings,
    staging: StagingFolder,
) -> Result<BuildReport> {
    store.hold((settings.memory_mib as u64) << 20)?;
    let plan = plan::plan(&mut store, benchmarks, settings)?;
    let manifest = write::write(&store, plan, benchmarks, settings, &staging)?;
    staging.manifest(&manifest)?;
    staging.finish()?;
    let (rows, read) = (manifest.rows_kept, manifest.rows_read);
    tracing::info!(path = %settings.out.display(), rows, read, "data set written");
    Ok(BuildReport {
        out: settings.out.clone(),
        manifest,
    })
}
