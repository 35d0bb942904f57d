//! What to build and where, and what a build did.

use std::path::PathBuf;

use super::shares::SplitShares;
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
    /// Where sources disagree, one Uncertain row names the disagreement, and its source is `disagreement`; where one source
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
    /// How many of the rows each split gets.
    pub shares: SplitShares,
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
    /// A data set in `out` may be replaced.
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
            shares: SplitShares::default(),
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

    /// Checks the settings without reading a source.
    pub(super) fn check(&self) -> Result<()> {
        if self.sources.is_empty() {
            return Err(Error::NoSources);
        }
        if matches!(self.balance, Balance::PerClass(0) | Balance::AtMost(0)) {
            return Err(Error::ZeroRows);
        }
        Ok(())
    }

    /// Reads the benchmarks that stay out.
    pub(super) fn benchmarks(&self) -> Result<Vec<Benchmark>> {
        self.protect.iter().map(Protect::read).collect()
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
