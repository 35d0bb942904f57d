//! RMS norm on a GPU: rows of bf16, sums in f32.

use crate::cuda::{Gpu, GpuResult, View};
use crate::dropout::Masked;

/// What a norm reads: rows of `h` bf16 (a multiple of 8, at most 8,192), weights, and which rows.
#[derive(Clone, Copy, Debug)]
pub struct NormInput<'a> {
    /// `[·, h]`
    pub x: View<'a, u16>,
    /// Rows of x that take part, in order; none takes the first `rows`.
    pub gather: Option<View<'a, u32>>,
    /// `[h]`
    pub weight: View<'a, f32>,
    /// Added to the mean of squares.
    pub eps: f32,
    /// Rows.
    pub rows: usize,
    /// Numbers a row.
    pub h: usize,
}

impl NormInput<'_> {
    /// Kernel's suffix and threads of a block.
    fn shape(&self) -> (usize, usize) {
        assert!(
            self.h.is_multiple_of(8) && self.h <= 8192,
            "rows of {}",
            self.h
        );
        let vectors = self.h / 8;
        let per_thread = [1, 2, 4].into_iter().find(|v| vectors.div_ceil(*v) <= 256);
        let per_thread = per_thread.unwrap_or(4);
        (
            per_thread,
            vectors.div_ceil(per_thread).next_multiple_of(32),
        )
    }

    fn check(&self) {
        match self.gather {
            Some(gather) => gather.holds(self.rows),
            None => self.x.holds(self.rows * self.h),
        }
        self.weight.holds(self.h);
    }
}

impl Gpu {
    /// `y = norm(x)` `[rows, h]`, and with `dropped` also its masked copy.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn rms_norm_forward(
        &self,
        input: NormInput<'_>,
        y: Option<View<'_, u16>>,
        dropped: Option<Masked<'_>>,
    ) -> GpuResult<()> {
        input.check();
        let (v, block) = input.shape();
        for out in [y, dropped.map(|d| d.out)].into_iter().flatten() {
            out.holds(input.rows * input.h);
        }
        let (masked, keys, layer, site) = Masked::args(dropped, input.rows);
        let h = input.h as i32;
        self.launch(
            &format!("rms_norm_forward_{v}"),
            (input.rows, 1, 1),
            block,
            0,
            &[
                &input.x,
                &input.gather,
                &input.weight,
                &input.eps,
                &h,
                &y,
                &masked,
                &keys,
                &layer,
                &site,
            ],
        )
    }

    /// `dx += ∂norm/∂x · dy`; dy `[rows, h]`, dx as x. With `dropped` also the masked norm of x again.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn rms_norm_backward(
        &self,
        input: NormInput<'_>,
        dy: View<'_, u16>,
        dx: View<'_, u16>,
        dropped: Option<Masked<'_>>,
    ) -> GpuResult<()> {
        input.check();
        let (v, block) = input.shape();
        dy.holds(input.rows * input.h);
        if input.gather.is_none() {
            dx.holds(input.rows * input.h);
        }
        if let Some(dropped) = dropped {
            dropped.out.holds(input.rows * input.h);
        }
        let (masked, keys, layer, site) = Masked::args(dropped, input.rows);
        let h = input.h as i32;
        self.launch(
            &format!("rms_norm_backward_{v}"),
            (input.rows, 1, 1),
            block,
            0,
            &[
                &input.x,
                &input.gather,
                &input.weight,
                &input.eps,
                &h,
                &dy,
                &dx,
                &masked,
                &keys,
                &layer,
                &site,
            ],
        )
    }
}
