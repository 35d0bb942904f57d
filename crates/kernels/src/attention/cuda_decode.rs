//! Attention of new rows over a cache, on a GPU.

use super::AttentionShape;
use crate::cuda::{Gpu, GpuResult, View};
use crate::rope::LayerCache;

impl Gpu {
    /// `out [rows, heads · D]`: row i of `q [rows, heads · D]` over the first `lengths[i]` keys of its slot.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn attention_decode(
        &self,
        shape: AttentionShape,
        q: View<'_, u16>,
        cache: LayerCache<'_>,
        lengths: View<'_, u32>,
        out: View<'_, u16>,
    ) -> GpuResult<()> {
        let rows = lengths.len();
        let width = shape.heads * shape.head_dim;
        q.holds(rows * width);
        out.holds(rows * width);
        cache.slots.holds(rows);
        let at_once = if shape.group() <= 2 { 2 } else { 4 };
        let head_stride = (cache.positions * shape.head_dim) as i64;
        let slot_stride = head_stride * shape.kv_heads as i64;
        let (ld, group, d) = (width as i32, shape.group() as i32, shape.head_dim as i32);
        let scale = 1.0 / (shape.head_dim as f32).sqrt();
        self.launch(
            &format!(
                "attention_decode_{}_{at_once}",
                AttentionShape::padded_head(shape.head_dim)
            ),
            (rows, shape.kv_heads * shape.group().div_ceil(at_once), 1),
            256,
            0,
            &[
                &q,
                &ld,
                &cache.keys,
                &cache.values,
                &slot_stride,
                &head_stride,
                &cache.slots,
                &lengths,
                &out,
                &ld,
                &group,
                &d,
                &scale,
            ],
        )
    }
}
