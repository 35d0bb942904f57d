//! Pages for people: a title and blocks of text, tables and figures, written as Markdown and as one HTML file that
//! loads nothing, runs nothing and is light or dark as the reader's system is.
//!
//! A [`Page`] says what stands on it, once for both; its texts are plain, and the writers escape them. [`charts`] draws
//! numbers, [`svg`] anything. Nothing here knows what the pages are about, reads a clock or touches a file: the same
//! page gives the same bytes.

pub mod charts;
mod html;
mod markdown;
mod page;
pub mod svg;

pub use html::escape;
pub use page::{Badge, Block, Cell, Example, Figure, Filter, Fold, Page, Part, Samples, Table};
