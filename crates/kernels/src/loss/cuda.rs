//! Cross-entropy on a GPU.

use crate::cuda::{Gpu, GpuResult, View};

const BLOCK: usize = 512;

impl Gpu {
    /// `losses[row] = −log softmax(logits[row])[target]` in nats; logits f32 `[rows, n]`, n a multiple of 8.
    /// With `weights` a row becomes its gradient `(softmax − onehot) · weight`: bf16, in the first half of
    /// the row's memory, so 2n bf16 from row to row.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn cross_entropy(
        &self,
        logits: View<'_, f32>,
        n: usize,
        targets: View<'_, u32>,
        weights: Option<View<'_, f32>>,
        losses: View<'_, f32>,
    ) -> GpuResult<()> {
        assert!(n.is_multiple_of(8), "{n} logits a row");
        let rows = targets.len();
        logits.holds(rows * n);
        losses.holds(rows);
        if let Some(weights) = weights {
            weights.holds(rows);
        }
        let width = n as i32;
        self.launch(
            "cross_entropy",
            (rows, 1, 1),
            BLOCK,
            0,
            &[&logits, &width, &targets, &weights, &losses],
        )
    }

    /// `out[i] = logits[rows[i]][tokens[i]]`, rows `ld` long.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn gather_logits(
        &self,
        logits: View<'_, f32>,
        ld: usize,
        rows: View<'_, u32>,
        tokens: View<'_, u32>,
        out: View<'_, f32>,
    ) -> GpuResult<()> {
        let n = rows.len();
        tokens.holds(n);
        out.holds(n);
        let (ld, count) = (ld as i32, n as i32);
        self.launch(
            "gather_logits",
            (n.div_ceil(128), 1, 1),
            128,
            0,
            &[&logits, &ld, &rows, &tokens, &count, &out],
        )
    }
}
