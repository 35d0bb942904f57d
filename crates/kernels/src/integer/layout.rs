//! How weights are stored for integer products.

use super::activations::SCALE_BLOCK;
use crate::cpu::layout::BLOCK;

/// A weight as it is stored.
pub(crate) fn stored(w: i8) -> u8 {
    w.cast_unsigned() ^ 0x80
}

/// The weight that is stored as `byte`.
pub(crate) fn weight(byte: u8) -> i8 {
    (byte ^ 0x80).cast_signed()
}

/// Where the weight of row `j` and column `p` is in a block of 16 rows: `[k/4][16][4]`.
pub(crate) fn place(j: usize, p: usize) -> usize {
    (p / 4) * 4 * BLOCK + 4 * j + p % 4
}

/// Bytes of 16 rows of `k` weights.
pub(crate) fn block_bytes(k: usize) -> usize {
    k.div_ceil(SCALE_BLOCK) * SCALE_BLOCK * BLOCK
}
