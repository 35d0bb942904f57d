//! From raw sources to clean, canonical, deduplicated, balanced and split items with a manifest.
//!
//! [`build()`] does all of it: [`Source`]s are read into [`RawItem`]s, each goes through the rules
//! (mark-up, [`citations`], rationale, duplicates), rows that share a key become groups, and the
//! splitter seats groups in train, validation and test. [`DataSet::read`] reads the finished folder.
//! Nothing here knows of models or tokens.

pub mod audit;
mod benchmark;
mod build;
pub mod card;
mod choice;
pub mod citations;
mod context;
mod contradiction;
mod dataset;
mod digest;
mod encoding;
mod error;
mod input;
mod interval;
mod item;
mod label;
#[cfg(test)]
mod labelled_tests;
pub mod letters;
pub mod manifest;
mod medevidence;
mod mend;
mod mesh;
mod naive_bayes;
mod near;
mod new_file;
mod normal;
mod prompted;
mod protect;
mod rationale;
mod raw;
pub mod rules;
mod sentences;
mod source;
mod sources;
mod specialties;
mod staging;
mod text;
mod verify;

pub use audit::audit;
pub use benchmark::{RowOrigin, benchmark, row_origins, trained_on};
pub use build::{
    Balance, BuildReport, BuildSettings, Disagreement, Explanation, Shard, SplitShares, Step,
    build, explain, merge, scan_shard,
};
pub use card::Card;
pub use choice::Candidate;
pub use context::{Context, CountTokens, latest_sentences};
pub use contradiction::{Contradiction, contradiction};
pub use dataset::{DataSet, LOOKS};
pub use encoding::{decode, read_text};
pub use error::{Error, KINDS, Result};
pub use input::{ColumnMapping, Input, OPTIONS, split_options};
pub use interval::{CONFIDENCE, wilson};
pub use item::{Item, Split, Unlabelled};
pub use label::Label;
pub use manifest::Manifest;
pub use medevidence::{ReviewQuestion, medevidence};
pub use mesh::MeshTree;
pub use naive_bayes::NaiveBayes;
pub use near::hash as hash_words;
pub use new_file::new_file_in;
pub use normal::normal;
pub use prompted::{clean_context, clean_question};
pub use protect::{Protect, pubmedqa_test};
pub use raw::RawItem;
pub use rules::Rules;
pub use sentences::sentences;
pub use source::Source;
pub use sources::records;
pub use sources::{
    CorrectedItem, TableRow, TableSurvey, Twin, TwinRule, kind as kind_of_json, rows,
    stats_corrected, stats_held_out, stats_twins, survey_table, table_rows,
};
pub use specialties::Specialty;
pub use staging::abandon;
pub use text::blanks;
pub use verify::verify;
