//! Stored number formats to f32, a run of whole blocks at a time.
//!
//! The block layouts and their arithmetic are candle-core's `k_quants` (after llama.cpp's
//! `ggml-quants.c`); the plain formats are decoded here, byte by byte, so that they need no
//! alignment.

use candle_core::quantized::k_quants::{
    BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K, BlockQ6K,
    BlockQ8_0, BlockQ8_1, BlockQ8K,
};
use candle_core::quantized::{GgmlDType, GgmlType};
use half::f16;

/// Decodes `bytes`, whole blocks of `dtype`, into `out`, one f32 for each stored number.
///
/// Panics where the two lengths do not belong together; `Checkpoint` checks them on opening.
pub(crate) fn decode(dtype: GgmlDType, bytes: &[u8], out: &mut [f32]) {
    assert_eq!(
        bytes.len() / dtype.type_size() * dtype.block_size(),
        out.len()
    );
    match dtype {
        GgmlDType::F32 => {
            for (b, o) in bytes.as_chunks().0.iter().zip(out) {
                *o = f32::from_le_bytes(*b);
            }
        }
        GgmlDType::F16 => {
            for (b, o) in bytes.as_chunks().0.iter().zip(out) {
                *o = f16::from_le_bytes(*b).to_f32();
            }
        }
        GgmlDType::BF16 => {
            for (b, o) in bytes.as_chunks().0.iter().zip(out) {
                *o = f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16);
            }
        }
        GgmlDType::Q4_0 => blocks::<BlockQ4_0>(bytes, out),
        GgmlDType::Q4_1 => blocks::<BlockQ4_1>(bytes, out),
        GgmlDType::Q5_0 => blocks::<BlockQ5_0>(bytes, out),
        GgmlDType::Q5_1 => blocks::<BlockQ5_1>(bytes, out),
        GgmlDType::Q8_0 => blocks::<BlockQ8_0>(bytes, out),
        GgmlDType::Q8_1 => blocks::<BlockQ8_1>(bytes, out),
        GgmlDType::Q2K => blocks::<BlockQ2K>(bytes, out),
        GgmlDType::Q3K => blocks::<BlockQ3K>(bytes, out),
        GgmlDType::Q4K => blocks::<BlockQ4K>(bytes, out),
        GgmlDType::Q5K => blocks::<BlockQ5K>(bytes, out),
        GgmlDType::Q6K => blocks::<BlockQ6K>(bytes, out),
        GgmlDType::Q8K => blocks::<BlockQ8K>(bytes, out),
    }
}

/// Views `bytes` as candle's blocks and lets candle decode them.
fn blocks<B: GgmlType>(bytes: &[u8], out: &mut [f32]) {
    // SAFETY: candle's blocks are `repr(C)` structs of integers and f16, without padding (candle
    // asserts their sizes): any bytes are a valid block, and `align_to` sees to the alignment.
    let (head, aligned, tail) = unsafe { bytes.align_to::<B>() };
    if head.is_empty() && tail.is_empty() {
        B::to_float(aligned, out);
    } else {
        // GGUF aligns tensors to 32 bytes by default, but lets a file choose otherwise.
        let mut copy = vec![B::zeros(); bytes.len() / size_of::<B>()];
        // SAFETY: as above, the other way round; both sides have `bytes.len()` bytes, checked by
        // `copy_from_slice`.
        let (_, copy_bytes, _) = unsafe { copy.align_to_mut::<u8>() };
        copy_bytes.copy_from_slice(bytes);
        B::to_float(&copy, out);
    }
}
