//! New rows of q, k and v on a GPU: rotated, and stored in a cache.

use crate::cuda::{Gpu, GpuResult, View};
use crate::rope::HeadTransform;

/// Keys and values of one layer: `[slot][kv head][position][D]`, bf16.
#[derive(Clone, Copy, Debug)]
pub struct LayerCache<'a> {
    /// Keys, normed and rotated.
    pub keys: View<'a, u16>,
    /// Values.
    pub values: View<'a, u16>,
    /// Positions that a slot has room for.
    pub positions: usize,
    /// Slot of each row.
    pub slots: View<'a, u32>,
}

/// A cache `[layer][slot][kv head][position][D]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheShape {
    /// Blocks of the decoder.
    pub layers: usize,
    /// Sequences.
    pub slots: usize,
    /// Key heads.
    pub heads: usize,
    /// Tokens a sequence may have.
    pub positions: usize,
    /// D, a multiple of 8.
    pub head_dim: usize,
}

impl CacheShape {
    /// Numbers from layer to layer, slot to slot, head to head.
    fn strides(&self) -> [i64; 3] {
        let head = self.positions * self.head_dim;
        [self.slots * self.heads * head, self.heads * head, head].map(|n| n as i64)
    }

    fn numbers(&self) -> usize {
        self.layers * self.slots * self.heads * self.positions * self.head_dim
    }
}

impl Gpu {
    /// Copies the first `positions` of `slots` slots (`rows`) of one cache, from `first` on, to another or
    /// the same, from `to_first` on.
    ///
    /// # Errors
    /// A failure of the device.
    #[allow(clippy::too_many_arguments)]
    pub fn copy_slots(
        &self,
        from: CacheShape,
        source: View<'_, u16>,
        first: usize,
        to: CacheShape,
        target: View<'_, u16>,
        to_first: usize,
        (slots, positions): (usize, usize),
    ) -> GpuResult<()> {
        assert!(first + slots <= from.slots && to_first + slots <= to.slots);
        assert!(positions <= from.positions && positions <= to.positions);
        source.holds(from.numbers());
        target.holds(to.numbers());
        if positions == 0 {
            return Ok(());
        }
        let ([fl, fs, fh], [tl, ts, th]) = (from.strides(), to.strides());
        let (source, target) = (
            source.from(first * fs as usize),
            target.from(to_first * ts as usize),
        );
        let count = (positions * from.head_dim) as i32;
        self.launch(
            "copy_slots",
            (from.heads, slots, from.layers),
            256,
            0,
            &[&source, &fl, &fs, &fh, &target, &tl, &ts, &th, &count],
        )
    }

    /// From `qkv [rows, ld]`: q, normed and rotated, to `q [rows, heads · D]`, k and v to the cache at their
    /// rows' slots and positions.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn rotate_into_cache(
        &self,
        t: HeadTransform<'_>,
        qkv: View<'_, u16>,
        q: View<'_, u16>,
        cache: LayerCache<'_>,
    ) -> GpuResult<()> {
        const WARPS: usize = 8;
        let s = t.shape;
        qkv.holds(t.rows * s.ld());
        q.holds(t.rows * s.heads * s.head_dim);
        cache.slots.holds(t.rows);
        t.positions.holds(t.rows);
        let (ld, ld_q) = (s.ld() as i32, (s.heads * s.head_dim) as i32);
        let (heads, kv) = (s.heads as i32, s.kv_heads as i32);
        let (d, rows) = (s.head_dim as i32, t.rows as i32);
        let head_stride = (cache.positions * s.head_dim) as i64;
        let slot_stride = head_stride * s.kv_heads as i64;
        let (q_norm, k_norm) = (t.norms.map(|n| n.0), t.norms.map(|n| n.1));
        let warps = t.rows * (s.heads + 2 * s.kv_heads);
        self.launch(
            "rotate_into_cache",
            (warps.div_ceil(WARPS), 1, 1),
            WARPS * 32,
            0,
            &[
                &qkv,
                &ld,
                &q,
                &ld_q,
                &t.positions,
                &cache.slots,
                &t.table,
                &q_norm,
                &k_norm,
                &t.eps,
                &heads,
                &kv,
                &d,
                &rows,
                &cache.keys,
                &cache.values,
                &slot_stride,
                &head_stride,
            ],
        )
    }
}
