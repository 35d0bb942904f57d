//! Self-contained pages: a title and blocks of text, tables and figures, rendered as Markdown and as a single HTML file
//! without scripts or external resources that follows the reader's light or dark theme.
//!
//! A [`Page`] describes the content once for both formats. Its texts are plain; the renderers escape them. [`charts`]
//! draws numbers, [`svg`] draws anything else. Nothing here depends on the subject of a page, on a clock or on files:
//! the same page gives the same bytes.

pub mod charts;
mod escape;
mod html;
mod markdown;
mod page;
pub mod svg;

pub use escape::escape;
pub use page::{Badge, Block, Cell, Example, Figure, Filter, Fold, Page, Part, Samples, Table};
