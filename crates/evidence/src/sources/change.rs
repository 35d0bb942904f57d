//! What readers hand on.

use crate::{Document, Result};

/// What a record of a source does to an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This document is to be found, in place of the one with its id where there is one.
    Put(Box<Document>),
    /// The document with this id, where there is one, is not to be found.
    Delete(String),
}

/// Takes the changes of a source in their order; its error ends the reading.
pub type Emit<'a> = dyn FnMut(Change) -> Result<()> + 'a;
