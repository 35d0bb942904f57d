//! Head norms and rotary encoding on a GPU.

use crate::attention::AttentionShape;
use crate::cuda::{Buffer, Gpu, GpuResult, View};
use crate::rope::RopeTable;

/// How the q and k heads of a block are normed and rotated.
#[derive(Clone, Copy, Debug)]
pub struct HeadTransform<'a> {
    /// Heads of a row.
    pub shape: AttentionShape,
    /// `[position][cos D/2 | sin D/2]`
    pub table: View<'a, f32>,
    /// Norm weights `[D]` of q and of k, where the model has them (Qwen3).
    pub norms: Option<(View<'a, f32>, View<'a, f32>)>,
    /// Of the norms.
    pub eps: f32,
    /// Position of each row.
    pub positions: View<'a, u32>,
    /// Rows.
    pub rows: usize,
}

impl RopeTable {
    /// The table in device memory.
    ///
    /// # Errors
    /// Out of memory.
    pub fn upload(&self, gpu: &Gpu) -> GpuResult<Buffer<f32>> {
        gpu.upload(&self.values)
    }
}

impl HeadTransform<'_> {
    /// Lanes that share a head.
    fn team(&self) -> usize {
        let d = self.shape.head_dim;
        assert!(d.is_multiple_of(8) && d <= 256, "heads of {d}");
        (d / 8).next_power_of_two()
    }

    fn grid(&self) -> (usize, usize, usize) {
        let s = self.shape;
        self.positions.holds(self.rows);
        let lanes = self.rows * (s.heads + s.kv_heads) * self.team();
        (lanes.div_ceil(BLOCK), 1, 1)
    }
}

const BLOCK: usize = 256;

impl Gpu {
    /// Norms and rotates q and k of `from` (rows `ld` long) into `to` (rows `to_ld` long; may be `from`).
    ///
    /// # Errors
    /// A failure of the device.
    pub fn norm_and_rotate(
        &self,
        t: HeadTransform<'_>,
        from: View<'_, u16>,
        to: View<'_, u16>,
        to_ld: usize,
    ) -> GpuResult<()> {
        let s = t.shape;
        from.holds(t.rows * s.ld());
        to.holds(t.rows * to_ld);
        let (ld, to_ld, d) = (s.ld() as i32, to_ld as i32, s.head_dim as i32);
        let (heads, kv, rows) = (s.heads as i32, s.kv_heads as i32, t.rows as i32);
        let team = t.team() as i32;
        let (q, k) = (t.norms.map(|n| n.0), t.norms.map(|n| n.1));
        self.launch(
            "norm_and_rotate",
            t.grid(),
            BLOCK,
            0,
            &[
                &from,
                &ld,
                &to,
                &to_ld,
                &t.positions,
                &t.table,
                &q,
                &k,
                &t.eps,
                &heads,
                &kv,
                &d,
                &rows,
                &team,
            ],
        )
    }

    /// Takes the gradients of rotated q and k in `d_rows` (rows `ld` long) back, in place; `x` is what the
    /// norms read.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn norm_and_rotate_backward(
        &self,
        t: HeadTransform<'_>,
        d_rows: View<'_, u16>,
        x: View<'_, u16>,
    ) -> GpuResult<()> {
        let s = t.shape;
        d_rows.holds(t.rows * s.ld());
        x.holds(t.rows * s.ld());
        let (ld, d) = (s.ld() as i32, s.head_dim as i32);
        let (heads, kv, rows) = (s.heads as i32, s.kv_heads as i32, t.rows as i32);
        let team = t.team() as i32;
        let (q, k) = (t.norms.map(|n| n.0), t.norms.map(|n| n.1));
        self.launch(
            "norm_and_rotate_backward",
            t.grid(),
            BLOCK,
            0,
            &[
                &d_rows,
                &x,
                &ld,
                &t.positions,
                &t.table,
                &q,
                &k,
                &t.eps,
                &heads,
                &kv,
                &d,
                &rows,
                &team,
            ],
        )
    }
}
