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
mod split;
mod store;
mod tie;
mod write;

use std::path::PathBuf;

pub use artefact::Artefact;
#[cfg(test)]
pub(crate) use artefact::artefact;
pub use explain::{Explanation, Step, explain};
pub(crate) use rules::question;
pub use scan::Shard;
pub use tie::Suspect;
pub(crate) use tie::{NEAR_QUESTIONS, NEAR_RATIONALES};

use store::Store;

use crate::dataset::{Workshop, check_out};
use crate::protect::Benchmark;
use crate::{Context, Error, Input, Manifest, MeshTree, Protect, Result, Rules};

/// How many rows of each class a set gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// The same number of each class, as many as the smallest class has.
    #[default]
    Largest,
    /// This many of each class.
    PerClass(usize),
    /// At most this many of each class; a class that has fewer keeps all.
    AtMost(usize),
    /// Every row; the classes as the sources have them.
    Natural,
}

/// What becomes of a question that is answered differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disagreement {
    /// All its rows are dropped.
    #[default]
    Drop,
    /// Where sources disagree, one Uncertain row says so, and its source is `disagreement`; where one source
    /// disagrees with itself, all its rows are dropped.
    Uncertain,
}

/// What to build and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildSettings {
    /// The sources, in the order in which the first of two equal questions wins.
    pub sources: Vec<Input>,
    /// Rows per class.
    pub balance: Balance,
    /// What becomes of questions that are answered differently.
    pub disagreement: Disagreement,
    /// Seed of sampling, splitting and generated rows.
    pub seed: u64,
    /// Rows of PubMedQA and BioASQ carry their abstract as context, cut to this.
    pub context: Option<Context>,
    /// Benchmarks that stay out, with everything that is tied to their questions.
    pub protect: Vec<Protect>,
    /// How rows are cleaned.
    pub rules: Rules,
    /// Memory that a build may take, in MiB: where the word pairs of all rows do not fit, they are read from disk
    /// at each comparison. Changes no byte of the set.
    pub memory_mib: usize,
    /// The MeSH tree, by which the card counts branches.
    pub mesh_tree: Option<MeshTree>,
    /// Folder of the set; must be new or empty.
    pub out: PathBuf,
    /// A data set that stands in `out` already may be replaced.
    pub overwrite: bool,
    /// A set of ten rows or more may have a split without any.
    pub empty_splits: bool,
}

impl BuildSettings {
    /// The defaults: the largest balanced set, seed 42, no contexts, PubMedQA's test kept out, the built-in
    /// rules, nothing overwritten.
    pub fn new(
        sources: impl IntoIterator<Item = impl Into<Input>>,
        out: impl Into<PathBuf>,
    ) -> BuildSettings {
        BuildSettings {
            sources: sources.into_iter().map(Into::into).collect(),
            balance: Balance::default(),
            disagreement: Disagreement::default(),
            seed: 42,
            context: None,
            protect: Protect::usual(),
            rules: Rules::default(),
            memory_mib: 1024,
            mesh_tree: None,
            out: out.into(),
            overwrite: false,
            empty_splits: false,
        }
    }
}

/// What a build did.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildReport {
    /// Folder of the set.
    pub out: PathBuf,
    /// The manifest as written.
    pub manifest: Manifest,
}

/// Builds a data set and writes it to `settings.out`.
///
/// # Errors
/// Every fault of a source names file and place; [`Error::EmptyClass`] and [`Error::TooFewRows`]
/// where no balance exists; [`Error::EmptySplit`]; [`Error::Busy`]; [`Error::NotEmpty`] and [`Error::ForeignFile`] for a folder in use. No
/// error leaves anything under the final name.
pub fn build(settings: &BuildSettings) -> Result<BuildReport> {
    check(settings)?;
    let benchmarks = benchmarks(settings)?;
    check_out(&settings.out, settings.overwrite)?;
    let workshop = Workshop::beside(&settings.out)?;
    let store = scan::scan(settings, &workshop.scratch()?, (1, 1))?;
    finish(store, &benchmarks, settings, workshop)
}

/// Does the first half of a build for one of equal shares of the input, and writes it to `settings.out`.
///
/// # Errors
/// As [`build`]; balance and benchmarks are not asked for yet.
pub fn scan_shard(settings: &BuildSettings, shard: Shard) -> Result<usize> {
    check(settings)?;
    check_out(&settings.out, false)?;
    let workshop = Workshop::beside(&settings.out)?;
    let store = scan::scan(settings, workshop.new_folder(), shard)?;
    let rows = store.rows.len();
    store.seal()?;
    workshop.finish()?;
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
        seed: store.share.seed,
        ..settings.clone()
    };
    check(&settings)?;
    let benchmarks = benchmarks(&settings)?;
    let workshop = Workshop::beside(&settings.out)?;
    finish(store, &benchmarks, &settings, workshop)
}

/// What is wrong with settings at first sight.
fn check(settings: &BuildSettings) -> Result<()> {
    if settings.sources.is_empty() {
        return Err(Error::NoSources);
    }
    if matches!(settings.balance, Balance::PerClass(0) | Balance::AtMost(0)) {
        return Err(Error::NothingAsked);
    }
    Ok(())
}

fn benchmarks(settings: &BuildSettings) -> Result<Vec<Benchmark>> {
    settings.protect.iter().map(Protect::read).collect()
}

fn finish(
    mut store: Store,
    benchmarks: &[Benchmark],
    settings: &BuildSettings,
    workshop: Workshop,
) -> Result<BuildReport> {
    store.hold((settings.memory_mib as u64) << 20)?;
    let plan = plan::plan(&mut store, benchmarks, settings)?;
    let manifest = write::write(&store, plan, benchmarks, settings, &workshop)?;
    workshop.manifest(&manifest)?;
    workshop.finish()?;
    let (rows, read) = (manifest.rows_kept, manifest.rows_read);
    tracing::info!(path = %settings.out.display(), rows, read, "data set written");
    Ok(BuildReport {
        out: settings.out.clone(),
        manifest,
    })
}
