//! `MANIFEST.json`: what a data set was built from, by which rules, and what came out. It is
//! written last; its presence means that the set is complete.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::artefact::Artefact;
use crate::dataset::file_name;
pub use crate::tie::Suspect;
use crate::{Item, Label, Split};

/// Rows of each label, in the order of [`Label::ALL`]; all three are always there.
pub type LabelCounts = BTreeMap<Label, usize>;

/// The manifest of a data set. Holds no time and no folder: the same inputs, settings and version
/// give the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// What this file describes: `verdict data set`.
    pub kind: String,
    /// Version of the layout, raised when a reader of the old one could not read the new one.
    pub layout: u32,
    /// Version of the tool that built it.
    pub tool_version: String,
    /// Seed of sampling, splitting and generated rows.
    pub seed: u64,
    /// The other settings.
    pub settings: Settings,
    /// The sources, in the order given.
    pub sources: Vec<SourceRecord>,
    /// Every rule of the pipeline, in the order it works, also those that touched nothing.
    pub rules: Vec<RuleRecord>,
    /// Rows read from all sources: the rows kept and all rows dropped by rules add up to it.
    pub rows_read: usize,
    /// Rows kept.
    pub rows_kept: usize,
    /// Groups among the rows kept.
    pub groups: usize,
    /// The files, in the order train, validation, test.
    pub splits: Vec<SplitRecord>,
    /// How well single words of the question guess the label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artefact: Option<Artefact>,
    /// Pairs of nearly equal questions with different labels, for a person to look at.
    #[serde(default)]
    pub suspects: Vec<Suspect>,
}

/// Settings of a build beside its sources and seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// `balanced` or `natural`.
    pub balance: String,
    /// Rows per class that were asked for; none where the largest balanced count was taken.
    pub per_class: Option<usize>,
    /// Rows of PubMedQA and BioASQ carry their abstract as context.
    pub contexts: bool,
    /// Benchmarks that were kept out.
    #[serde(default)]
    pub protected: Vec<ProtectRecord>,
}

/// A benchmark that was kept out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectRecord {
    /// File name without folder, or the built-in name.
    pub name: String,
    /// Hash of the file, hexadecimal.
    pub sha256: String,
    /// Its questions.
    pub questions: usize,
}

/// One source of a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// Kind of source, as in each item's `source`.
    pub source: String,
    /// Rows read.
    pub rows: usize,
    /// Rows of a type that is not ours, such as BioASQ's list questions; not among `rows`.
    pub passed_over: usize,
    /// Rows read by label.
    pub labels: LabelCounts,
    /// Files read; empty for built-in sources.
    pub files: Vec<FileRecord>,
}

/// One file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Name without folder.
    pub name: String,
    /// Size.
    pub bytes: usize,
    /// Hash of the bytes, hexadecimal.
    pub sha256: String,
}

/// What a rule does to a row it applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// The row stays, with another text.
    Changed,
    /// The row goes.
    Dropped,
    /// The row stays, in the group of another.
    Tied,
}

/// One rule and how many rows it touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRecord {
    /// Short name.
    pub rule: String,
    /// What it does.
    pub about: String,
    /// Whether it changes or drops.
    pub effect: Effect,
    /// Rows it touched.
    pub rows: usize,
}

/// One file of the set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitRecord {
    /// `train`, `validation` or `test`.
    pub split: String,
    /// File name.
    pub file: String,
    /// Hash of the file, hexadecimal.
    pub sha256: String,
    /// Rows.
    pub rows: usize,
    /// Rows by label.
    pub labels: LabelCounts,
    /// Rows by source.
    pub sources: BTreeMap<String, usize>,
}

impl SplitRecord {
    /// Of a split's items and the hash of its file.
    pub(crate) fn new(split: Split, items: &[Item], sha256: String) -> Self {
        let mut sources = BTreeMap::new();
        for item in items {
            *sources.entry(item.source.clone()).or_default() += 1;
        }
        SplitRecord {
            split: split.to_string(),
            file: file_name(split),
            sha256,
            rows: items.len(),
            labels: label_counts(items.iter().map(|item| item.label)),
            sources,
        }
    }
}

/// Counts of labels, with a zero for each that does not occur.
pub(crate) fn label_counts(labels: impl IntoIterator<Item = Label>) -> LabelCounts {
    let mut counts: LabelCounts = Label::ALL.into_iter().map(|label| (label, 0)).collect();
    for label in labels {
        *counts.entry(label).or_default() += 1;
    }
    counts
}
