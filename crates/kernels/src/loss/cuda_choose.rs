//! From logits to tokens, on a GPU.

use crate::cuda::{Gpu, GpuResult, Plain, View};

/// What a slice of a row adds to its choice.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct ChoicePart([u32; 4]);
// SAFETY: plain numbers without a gap.
unsafe impl Plain for ChoicePart {}

const SLICE: usize = 2048;

/// Parts that a choice among `n` logits a row needs.
pub fn choice_parts(rows: usize, n: usize) -> usize {
    rows * n.div_ceil(SLICE)
}

/// Where choices go, one a row.
#[derive(Clone, Copy, Debug)]
pub struct Choices<'a> {
    /// The token; `u32::MAX` where none is allowed.
    pub tokens: View<'a, u32>,
    /// Its logit.
    pub logits: View<'a, f32>,
    /// Logarithm of the sum of all exponentials, allowed or not: the logit minus it is the log-probability.
    pub log_sums: View<'a, f32>,
}

impl Gpu {
    /// The largest allowed logit of each row of f32 `[rows, n]`; of equals the lowest token. Bit `t % 32` of
    /// word `t / 32` of a mask allows token t; `masks` is `[·, ⌈n / 32⌉]` and the row of it that each row
    /// goes by (`u32::MAX`: all is allowed).
    ///
    /// # Errors
    /// A failure of the device.
    pub fn choose(
        &self,
        logits: View<'_, f32>,
        rows: usize,
        n: usize,
        masks: Option<(View<'_, u32>, View<'_, u32>)>,
        parts: View<'_, ChoicePart>,
        to: Choices<'_>,
    ) -> GpuResult<()> {
        assert!(n.is_multiple_of(4));
        logits.holds(rows * n);
        parts.holds(choice_parts(rows, n));
        to.tokens.holds(rows);
        to.logits.holds(rows);
        to.log_sums.holds(rows);
        let (words, of_row) = (masks.map(|m| m.0), masks.map(|m| m.1));
        if let Some(of_row) = of_row {
            of_row.holds(rows);
        }
        let (width, slices) = (n as i32, n.div_ceil(SLICE));
        self.launch(
            "choose_slices",
            (slices, rows, 1),
            256,
            0,
            &[&logits, &width, &width, &words, &of_row, &parts],
        )?;
        let slices = slices as i32;
        self.launch(
            "choose",
            (rows, 1, 1),
            32,
            0,
            &[&parts, &slices, &to.tokens, &to.logits, &to.log_sums],
        )
    }

    /// After a choice: every sequence takes its token as its next input, one position further, except
    /// those that are `finished` (not 0).
    ///
    /// # Errors
    /// A failure of the device.
    pub fn advance(
        &self,
        chosen: View<'_, u32>,
        finished: View<'_, u32>,
        tokens: View<'_, u32>,
        positions: View<'_, u32>,
        lengths: View<'_, u32>,
    ) -> GpuResult<()> {
        let rows = tokens.len();
        for view in [chosen, finished, positions, lengths] {
            view.holds(rows);
        }
        let m = rows as i32;
        self.launch(
            "advance",
            (rows.div_ceil(64), 1, 1),
            64,
            0,
            &[&chosen, &finished, &tokens, &positions, &lengths, &m],
        )
    }
}
