//! SwiGLU on a GPU.

use crate::cuda::{Gpu, GpuResult, View};
use crate::dropout::Masked;

impl Gpu {
    /// `y = silu(gate) · up` `[rows, f]` of `gate_up [rows, 2f]`, and with `dropped` its masked copy.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn swiglu_forward(
        &self,
        gate_up: View<'_, u16>,
        rows: usize,
        f: usize,
        y: View<'_, u16>,
        dropped: Option<Masked<'_>>,
    ) -> GpuResult<()> {
        check(gate_up, rows, f, [Some(y), dropped.map(|d| d.out)]);
        let (masked, keys, layer, site) = Masked::args(dropped, rows);
        let width = f as i32;
        self.launch(
            "swiglu_forward",
            (rows, 1, 1),
            block(f),
            0,
            &[&gate_up, &width, &y, &masked, &keys, &layer, &site],
        )
    }

    /// `d_gate_up [rows, 2f]` from `dy [rows, f]`; with `dropped` also forward's masked result again.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn swiglu_backward(
        &self,
        gate_up: View<'_, u16>,
        rows: usize,
        f: usize,
        dy: View<'_, u16>,
        d_gate_up: View<'_, u16>,
        dropped: Option<Masked<'_>>,
    ) -> GpuResult<()> {
        check(gate_up, rows, f, [Some(dy), dropped.map(|d| d.out)]);
        d_gate_up.holds(2 * rows * f);
        let (masked, keys, layer, site) = Masked::args(dropped, rows);
        let width = f as i32;
        self.launch(
            "swiglu_backward",
            (rows, 1, 1),
            block(f),
            0,
            &[
                &gate_up, &width, &dy, &d_gate_up, &masked, &keys, &layer, &site,
            ],
        )
    }
}

fn block(f: usize) -> usize {
    (f / 8).next_multiple_of(32).min(256)
}

fn check(gate_up: View<'_, u16>, rows: usize, f: usize, narrow: [Option<View<'_, u16>>; 2]) {
    assert!(f.is_multiple_of(8), "rows of {f}");
    gate_up.holds(2 * rows * f);
    narrow.into_iter().flatten().for_each(|v| v.holds(rows * f));
}
