//! The adapters' products on a GPU, all adapters of a site in one launch (on the CPU,
//! [`matmul`](crate::matmul) does them).

mod cuda;
#[cfg(test)]
mod tests;

pub use cuda::{LoraList, LoraPlan, LoraProduct, Narrow, Wide};
