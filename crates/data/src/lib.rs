//! From raw sources to clean, canonical, deduplicated, balanced and split items with a manifest.
//!
//! [`build()`] runs the whole way: [`Source`]s are read into [`RawItem`]s, each goes through the rules
//! (mark-up, [`citations`], rationale, duplicates), rows that share a key become groups, and the
//! splitter seats groups in train, validation and test. [`DataSet::read`] reads the finished folder.
//! Nothing here knows of models or tokens.

mod artefact;
pub mod audit;
mod build;
pub mod citations;
mod dataset;
mod digest;
mod error;
mod group;
mod item;
mod label;
pub mod manifest;
mod near;
mod protect;
mod rationale;
mod raw;
mod rules;
mod sentences;
mod source;
mod sources;
mod split;
mod text;
mod tie;
mod verify;

pub use audit::audit;
pub use build::{Balance, BuildReport, BuildSettings, build};
pub use dataset::DataSet;
pub use error::{Error, Result};
pub use item::{Item, Split};
pub use label::Label;
pub use manifest::Manifest;
pub use protect::Protect;
pub use raw::RawItem;
pub use sentences::sentences;
pub use source::{KINDS, Source};
pub use verify::verify;
