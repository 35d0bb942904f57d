//! From raw sources to clean, canonical, deduplicated, balanced and split items with a manifest.

mod item;
mod label;
mod raw;

pub use item::{Item, Split};
pub use label::Label;
pub use raw::RawItem;
