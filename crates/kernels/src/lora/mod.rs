//! The adapters' products on a GPU, all adapters of a site in one launch. On the CPU,
//! [`matmul`](crate::matmul) does them; the reference of both is `linear`'s.

mod cuda;
#[cfg(test)]
mod tests;

pub use cuda::{LoraList, LoraPlan, LoraProduct, Narrow, Wide};
