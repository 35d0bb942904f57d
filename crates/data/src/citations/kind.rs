//! The kinds of citations.

use serde::{Deserialize, Serialize};

/// A kind of citation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A PubMed identifier.
    Pmid,
    /// A PubMed Central identifier.
    Pmcid,
    /// A digital object identifier.
    Doi,
    /// A web address.
    Url,
    /// A number in a register of trials or reviews.
    Trial,
    /// A number in square brackets.
    Reference,
    /// Authors and, where given, the year.
    AuthorYear,
    /// Year, volume and page of a journal.
    Journal,
}
