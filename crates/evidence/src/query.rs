//! What is searched for, and what is found.

use std::ops::RangeInclusive;

use crate::Document;

/// A question to the index.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchQuery<'q> {
    /// The question, in plain words.
    pub text: &'q str,
    /// The number of documents wanted, at most.
    pub top: usize,
    /// Which documents may be found.
    pub filters: Filters,
}

/// Which documents may be found. The default admits all that are not retracted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// Years of publication. A document without a year is not found then.
    pub years: Option<RangeInclusive<u16>>,
    /// Publication types, any of them (`Randomized Controlled Trial`), in any case.
    pub types: Vec<String>,
    /// MeSH headings, all of them, in any case.
    pub mesh: Vec<String>,
    /// Whether retracted publications may be found.
    pub retracted: bool,
    /// Ids that are never found.
    pub without: Vec<String>,
}

/// A document that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The document.
    pub document: Document,
    /// Its BM25 score, in nats; only comparable within one search.
    pub score: f32,
}
