//! The sizes of packed operands, shared by the product and its inner kernels.
//!
//! Packed layouts of a block of 16 columns, k rows:
//! - f32: `[k][16]`
//! - bf16: `[k/32][16 pairs][16 columns][2]`, k padded with zeros to a multiple of 32 (an AMX tile)

/// Columns in a packed block.
pub(crate) const BLOCK: usize = 16;
/// Rows in a strip.
pub(crate) const STRIP: usize = 32;
/// Granule of the inner dimension for bf16.
pub(crate) const K_TILE: usize = 32;
/// Numbers in a packed tile of bf16 or int8.
pub(crate) const TILE: usize = K_TILE * BLOCK;
