//! `MANIFEST.json`: what a data set was built from, by which rules, and what came out. It is
//! written last; its presence means that the set is complete.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Item, Label, Split, SplitShares};

/// Rows of each label, in the order of [`Label::ALL`]; all three are always there.
pub type LabelCounts = BTreeMap<Label, usize>;

/// Version of the layout that is written. Since 2 lines have no `text`, which every reader of 1 expects.
pub(crate) const LAYOUT: u32 = 2;

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
    pub settings: RecordedSettings,
    /// The sources, in the order given.
    pub sources: Vec<SourceRecord>,
    /// Every rule of the pipeline, in the order it works, also those that touched nothing.
    pub rules: Vec<RuleRecord>,
    /// Rows read from all sources: the rows kept, set apart and dropped by rules add up to it.
    pub rows_read: usize,
    /// Rows kept.
    pub rows_kept: usize,
    /// Groups among the rows kept.
    pub groups: usize,
    /// The files, in the order train, validation, test.
    pub splits: Vec<SplitRecord>,
    /// Rows without a label, where there are some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlabelled: Option<UnlabelledRecord>,
    /// What a class weighs in training so that all classes weigh the same: rows of the train split divided by
    /// three times those of the class. Only where classes are not of one size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<BTreeMap<Label, f64>>,
    /// Rows kept, by source and year of publication, where sources say it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub years: BTreeMap<String, BTreeMap<u16, usize>>,
    /// Rows kept under each of the commonest MeSH headings, where sources say them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mesh: BTreeMap<String, usize>,
    /// What else is known of MeSH headings, where sources say them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh_record: Option<MeshRecord>,
    /// Rows kept, by source, split and label.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_source: BTreeMap<String, BTreeMap<Split, LabelCounts>>,
    /// How long the `question`, `rationale` and `context` of the rows kept are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lengths: BTreeMap<String, Lengths>,
    /// How well single words of the question guess the label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artefact: Option<Artefact>,
    /// Pairs of nearly equal questions with different labels, for a person to look at.
    #[serde(default)]
    pub suspects: Vec<Suspect>,
}

/// Settings of a build other than its sources and seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedSettings {
    /// `balanced`, `capped` or `natural`.
    pub balance: String,
    /// Rows per class that were requested, or the most allowed; none where the largest balanced count was taken.
    pub per_class: Option<usize>,
    /// The shares of training, validation and test set in percent, where they are not 80,10,10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// Rows of PubMedQA and BioASQ carry their abstract as context.
    pub contexts: bool,
    /// How contexts were cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// What became of questions that sources answer differently: `dropped` or `uncertain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disagreement: Option<String>,
    /// The rules by which rows were cleaned, where they are not the built-in ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
    /// The sources that were given with options, as written but without folders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// Benchmarks that were kept out.
    #[serde(default)]
    pub protected: Vec<ProtectRecord>,
}

impl RecordedSettings {
    /// Whether a split gets a share of the rows.
    pub fn has_share(&self, split: &str) -> bool {
        let shares = self.split.as_deref().and_then(|text| text.parse().ok());
        let shares: SplitShares = shares.unwrap_or_default();
        let named = Split::ALL.into_iter().find(|of| of.as_str() == split);
        named.is_none_or(|split| shares.percent(split) > 0)
    }
}

/// How well single words of the question guess the label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artefact {
    /// Rows guessed, each by a classifier that saw no row of its group.
    pub rows: usize,
    /// Of them right.
    pub right: usize,
    /// Rows of the commonest label: what guessing it always would get right.
    pub majority: usize,
}

/// Two questions that are nearly the same and have different answers: one of the labels may be wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// Ids of the two rows.
    pub ids: [String; 2],
    /// Their labels.
    pub labels: [Label; 2],
    /// Share of their word pairs that both have.
    pub overlap: f64,
}

/// How many rows have MeSH headings, and to which branches of the tree these belong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshRecord {
    /// Rows kept with at least one heading.
    pub rows: usize,
    /// Different headings among them.
    pub headings: usize,
    /// The tree, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<FileRecord>,
    /// Headings that are not in it.
    #[serde(default)]
    pub unlisted: usize,
    /// Rows with a heading in each branch, by its letter; a row may belong to several.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub branches: BTreeMap<String, usize>,
}

/// Lengths of a text in words, over the rows that have it. A word is a run without blanks that holds a letter or a
/// digit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lengths {
    /// Rows that have it.
    pub rows: usize,
    /// Words of all of them together.
    pub words: usize,
    /// Words of the shortest.
    pub shortest: usize,
    /// Half of the rows are no longer than this.
    pub median: usize,
    /// 95 of 100 rows are no longer than this.
    pub p95: usize,
    /// Words of the longest.
    pub longest: usize,
    /// How many lengths one bar of the histogram holds; the first begins with 0.
    pub bar: usize,
    /// Rows of each bar; the last one holds all longer ones too.
    pub bars: Vec<usize>,
}

/// The file of rows without a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlabelledRecord {
    /// File name.
    pub file: String,
    /// Hash of the file, hexadecimal.
    pub sha256: String,
    /// Rows.
    pub rows: usize,
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
    /// Repository and commit, where the files came from a hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<String>,
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
    pub bytes: u64,
    /// Hash of the bytes, hexadecimal.
    pub sha256: String,
}

/// What a rule does to a row it applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// The row stays, with another text.
    Changed,
    /// The row is dropped.
    Dropped,
    /// The row stays, in the group of another.
    Tied,
    /// The row is written to a separate file.
    Apart,
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

impl SourceRecord {
    /// Of a source that gave nothing yet.
    pub(crate) fn new(kind: &str) -> SourceRecord {
        SourceRecord {
            source: kind.to_owned(),
            hub: None,
            rows: 0,
            passed_over: 0,
            labels: label_counts([]),
            files: Vec::new(),
        }
    }

    /// What the same source gave to another shard too.
    pub(crate) fn add(&mut self, other: &SourceRecord) {
        self.rows += other.rows;
        self.passed_over += other.passed_over;
        for (label, rows) in &other.labels {
            *self.labels.entry(*label).or_default() += rows;
        }
    }
}

impl SplitRecord {
    /// Of a split's items and the hash of its file.
    pub(crate) fn new(split: Split, items: &[Item], sha256: String) -> Self {
        let mut record = SplitRecord {
            sha256,
            ..SplitRecord::empty(split)
        };
        for item in items {
            record.count(item.label, &item.source);
        }
        record
    }

    /// Of a split without rows and without a file yet.
    pub(crate) fn empty(split: Split) -> Self {
        SplitRecord {
            split: split.to_string(),
            file: split.file_name(),
            sha256: String::new(),
            rows: 0,
            labels: label_counts([]),
            sources: BTreeMap::new(),
        }
    }

    /// Counts one more row.
    pub(crate) fn count(&mut self, label: Label, source: &str) {
        self.rows += 1;
        *self.labels.entry(label).or_default() += 1;
        match self.sources.get_mut(source) {
            Some(rows) => *rows += 1,
            None => drop(self.sources.insert(source.to_owned(), 1)),
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
