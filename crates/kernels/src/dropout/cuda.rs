//! Dropout on a GPU: what names a row's masks, and masking rows that no other kernel makes.

use super::{DropoutKey, threshold};
use crate::cuda::{Gpu, GpuResult, Plain, View};

/// What names the masks of one row of a batch, at any layer and site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct RowKey {
    seed: u64,
    example: u64,
    position: u32,
    /// Probability in units of 1/65536.
    threshold: u32,
}

// SAFETY: four plain numbers without a gap.
unsafe impl Plain for RowKey {}

impl RowKey {
    /// The row that `key` names (its layer and site are given later), dropped with probability `p`.
    pub fn new(key: DropoutKey, p: f32) -> Self {
        Self {
            seed: key.seed,
            example: key.example,
            position: key.position,
            threshold: threshold(p).0,
        }
    }

    /// A row without dropout.
    pub fn none() -> Self {
        Self {
            seed: 0,
            example: 0,
            position: 0,
            threshold: 0,
        }
    }
}

/// Where a masked copy goes, and its masks.
#[derive(Clone, Copy, Debug)]
pub struct Masked<'a> {
    /// As the plain result.
    pub out: View<'a, u16>,
    /// One a row.
    pub keys: View<'a, RowKey>,
    /// Block of the decoder.
    pub layer: u32,
    /// Place within the block.
    pub site: u32,
}

type MaskedArgs<'a> = (Option<View<'a, u16>>, Option<View<'a, RowKey>>, u32, u32);

impl<'a> Masked<'a> {
    /// As kernels take it; nulls where there is none.
    pub(crate) fn args(masked: Option<Self>, rows: usize) -> MaskedArgs<'a> {
        match masked {
            None => (None, None, 0, 0),
            Some(m) => {
                m.keys.holds(rows);
                (Some(m.out), Some(m.keys), m.layer, m.site)
            }
        }
    }
}

impl Gpu {
    /// `masked.out = x · mask / (1 − p)`; rows of `n` bf16, a multiple of 8.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn dropout_scale(
        &self,
        x: View<'_, u16>,
        rows: usize,
        n: usize,
        masked: Masked<'_>,
    ) -> GpuResult<()> {
        assert!(n.is_multiple_of(8), "rows of {n}");
        x.holds(rows * n);
        masked.out.holds(rows * n);
        masked.keys.holds(rows);
        let width = n as i32;
        self.launch(
            "dropout_scale",
            (rows, 1, 1),
            (n / 8).next_multiple_of(32).min(256),
            0,
            &[
                &x,
                &masked.out,
                &width,
                &masked.keys,
                &masked.layer,
                &masked.site,
            ],
        )
    }
}
