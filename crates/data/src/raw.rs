//! What a source hands to the pipeline: one row as it was read, before any cleaning.

use crate::{Label, Split};

/// A row before cleaning, grouping, balancing and splitting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawItem {
    /// Name of the row, unique within its source and stable from build to build
    /// (`pubmedqa-labeled:21645374`, `stats:ratio-ci:000017`).
    pub id: String,
    /// The question, as the source writes it.
    pub question: String,
    /// The answer's class; none where the source does not say.
    pub label: Option<Label>,
    /// The answer text that the rationale is cut from. It may begin with a label word, hold
    /// citations and have several sentences; the pipeline mends all three.
    pub answer: String,
    /// Name of the source (`pubmedqa-labeled`, `bioasq`, `stats`, …).
    pub source: &'static str,
    /// Keys that tie rows together (`pmid:21645374`, `stats:ratio-ci/wording-3`). Rows that share
    /// any key, directly or through other rows, are one group, and a group never spans two splits.
    /// The first key names the group. The question is a key by itself and is not among them.
    pub group: Vec<String>,
    /// Text before the question in the prompt. Part of what makes two rows duplicates:
    /// the same question on another context is another row.
    pub context: Option<String>,
    /// Where the row has to go, where the source knows: a wording that is held out from training is
    /// pinned to validation or test. `None` leaves the choice to the splitter.
    pub split: Option<Split>,
    /// Year of publication, where the source says it.
    pub year: Option<u16>,
    /// MeSH headings of the publication, where the source says them.
    pub mesh: Vec<String>,
    /// Where the results begin in `context`, in bytes, where the source labels the sections of an abstract and something
    /// precedes its results.
    pub results_from: Option<usize>,
}
