//! Cross-entropy and choices against f64.

use verdict_testkit::{F32_UNIT, assert_close, numbers, wide};

use crate::cpu::Cpu;
use crate::cuda::testing::{
    Machine, Output, WORKS, cpus, everywhere, gpu, shapes, upload, widened,
};
use crate::cuda::{Gpu, View};
use crate::loss::{ChoicePart, Choices, choice_parts, cross_entropy, log_softmax_at, reference};

trait Loss: Machine {
    /// Each row's loss.
    fn losses(&self, logits: &[f32], targets: &[u32]) -> Vec<f32>;
    /// The same, and the gradients.
    fn cross_entropy(
        &self,
        logits: &[f32],
        targets: &[u32],
        weights: &[f32],
    ) -> (Vec<f32>, Vec<f32>);
}

impl Loss for Cpu {
    fn losses(&self, logits: &[f32], targets: &[u32]) -> Vec<f32> {
        let rows = logits.chunks_exact(logits.len() / targets.len());
        let loss =
            |(row, target): (&[f32], &u32)| -log_softmax_at(self.isa(), row, *target as usize);
        rows.zip(targets).map(loss).collect()
    }

    fn cross_entropy(
        &self,
        logits: &[f32],
        targets: &[u32],
        weights: &[f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let mut logits = logits.to_vec();
        let losses = cross_entropy(self, &mut logits, targets, weights);
        (losses, logits)
    }
}

impl Loss for Gpu {
    fn losses(&self, logits: &[f32], targets: &[u32]) -> Vec<f32> {
        let (to, losses) = (
            Output::holding(self, logits),
            Output::new(self, targets.len()),
        );
        let (n, targets) = (logits.len() / targets.len(), upload(self, targets));
        self.cross_entropy(to.view(), n, targets.view(), None, losses.view())
            .expect(WORKS);
        assert_eq!(to.read(self), logits, "without weights, logits stay");
        losses.read(self)
    }

    fn cross_entropy(
        &self,
        logits: &[f32],
        targets: &[u32],
        weights: &[f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let (to, losses) = (
            Output::holding(self, logits),
            Output::new(self, targets.len()),
        );
        let n = logits.len() / targets.len();
        let (targets, weights) = (upload(self, targets), upload(self, weights));
        let weights = Some(weights.view());
        self.cross_entropy(to.view(), n, targets.view(), weights, losses.view())
            .expect(WORKS);
        to.read(self);
        // bf16, in the first half of each row.
        let halves: View<'_, u16> = to.view().cast();
        let halves = self.download(halves).expect(WORKS);
        let gradients = halves
            .chunks_exact(2 * n)
            .flat_map(|row| widened(&row[..n]));
        (losses.read(self), gradients.collect())
    }
}

#[test]
fn loss_and_gradient() {
    let all = [
        (5, 333),
        (1, 8),
        (17, 96),
        (65, 2048),
        (2, 4104),
        (3, 49_152),
    ];
    everywhere!(cpus(), |on: &dyn Loss| {
        for &(rows, v) in shapes(&all, 3) {
            let v = on.width(v, 8);
            let logits = numbers(1, rows * v, 20.0);
            let plain = wide(&logits);
            let places = [0, v - 1, v / 2, v / 3, 7];
            let targets: Vec<u32> = (0..rows).map(|r| places[r % 5] as u32).collect();
            let weights: Vec<f32> = (0..rows).map(|r| [1.0, 0.5, 0.25, 2.0][r % 4]).collect();
            let (losses, gradients) = on.cross_entropy(&logits, &targets, &weights);
            assert_eq!(on.losses(&logits, &targets), losses, "{}", on.name());
            for r in 0..rows {
                let what = format!("{} row {r} of {rows}x{v}", on.name());
                let row = r * v..(r + 1) * v;
                let (loss, mut gradient) =
                    reference::cross_entropy(&plain[row.clone()], targets[r] as usize);
                gradient
                    .iter_mut()
                    .for_each(|g| *g *= f64::from(weights[r]));
                // A GPU adds the logarithm to the largest logit, up to 20, before it takes the target's off.
                let size = if on.is_gpu() {
                    20.0_f64.max(loss)
                } else {
                    loss
                };
                let units = 8.0 * size / loss;
                assert_close(
                    &format!("{what} loss"),
                    &losses[r..=r],
                    &[loss],
                    units,
                    F32_UNIT,
                );
                let got = &gradients[row];
                on.close(&format!("gradient {what}"), got, &gradient, 64.0, 1.1);
            }
        }
    });
}

#[test]
fn one_sure_logit_costs_nothing() {
    everywhere!(cpus(), |on: &dyn Loss| {
        let mut logits = vec![-1e30_f32; on.width(100, 8)];
        logits[40] = 1e30;
        let (losses, gradients) = on.cross_entropy(&logits, &[40], &[1.0]);
        assert_eq!(losses, vec![0.0]);
        assert!(gradients.iter().all(|g| *g == 0.0));
    });
}

#[test]
fn logits_are_gathered() {
    let Some(gpu) = gpu() else {
        return;
    };
    let (rows, v) = (7, 336);
    let logits = numbers(1, rows * v, 5.0);
    for n in [1, 17, 130] {
        let of_rows: Vec<u32> = (0..n).map(|i| i * 5 % rows as u32).collect();
        let tokens: Vec<u32> = (0..n).map(|i| i * 101 % v as u32).collect();
        let out = Output::new(gpu, n as usize);
        gpu.gather_logits(
            upload(gpu, &logits).view(),
            v,
            upload(gpu, &of_rows).view(),
            upload(gpu, &tokens).view(),
            out.view(),
        )
        .expect(WORKS);
        let places = of_rows.iter().zip(&tokens);
        let want = places.map(|(r, t)| logits[*r as usize * v + *t as usize]);
        assert_eq!(out.read(gpu), want.collect::<Vec<_>>());
    }
}

/// The largest allowed logit, of equals the first, and the log of the sum of all exponentials.
fn chosen(row: &[f32], allowed: impl Fn(usize) -> bool) -> (u32, f32, f64) {
    let mut best = (u32::MAX, f32::NEG_INFINITY);
    for (token, logit) in row.iter().enumerate() {
        if allowed(token) && *logit > best.1 {
            best = (token as u32, *logit);
        }
    }
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponential = |l: &f32| f64::from(l - largest).exp();
    let sum: f64 = row.iter().map(exponential).sum();
    (best.0, best.1, f64::from(largest) + sum.ln())
}

#[test]
fn the_largest_allowed_logit_is_chosen() {
    let Some(gpu) = gpu() else {
        return;
    };
    // A block looks at 2,048 logits.
    let all = [(1, 4), (17, 336), (3, 2048), (65, 2052), (5, 49_152)];
    for &(rows, n) in shapes(&all, 3) {
        // Quarters, so that many are equal.
        let logits: Vec<f32> = numbers(1, rows * n, 40.0)
            .iter()
            .map(|l| l.round() / 4.0)
            .collect();
        // Of the masks, the first allows nothing, the others more and more; rows take them in turns.
        let words = n.div_ceil(32);
        let bit = |mask: usize, token: usize| token % 7 < 2 * mask;
        let word = |mask: usize, word: usize| {
            (0..32).fold(0_u32, |w, b| w | u32::from(bit(mask, word * 32 + b)) << b)
        };
        let masks: Vec<u32> = (0..3 * words).map(|i| word(i / words, i % words)).collect();
        let of_row = |r: usize| [u32::MAX, 2, 0, 1][r % 4];
        let of_rows: Vec<u32> = (0..rows).map(of_row).collect();
        let (masks, of_rows) = (upload(gpu, &masks), upload(gpu, &of_rows));
        for masked in [false, true] {
            let parts = Output::<ChoicePart>::new(gpu, choice_parts(rows, n));
            let tokens = Output::new(gpu, rows);
            let [best, log_sums] = [0, 1].map(|_| Output::new(gpu, rows));
            let to = Choices {
                tokens: tokens.view(),
                logits: best.view(),
                log_sums: log_sums.view(),
            };
            let masks = masked.then_some((masks.view(), of_rows.view()));
            let logits_view = upload(gpu, &logits);
            gpu.choose(logits_view.view(), rows, n, masks, parts.view(), to)
                .expect(WORKS);
            parts.read(gpu);
            let (tokens, best) = (tokens.read(gpu), best.read(gpu));
            let mut sums = Vec::new();
            for (r, row) in logits.chunks_exact(n).enumerate() {
                let mask = of_row(r);
                let all = !masked || mask == u32::MAX;
                let (token, logit, sum) = chosen(row, |t| all || bit(mask as usize, t));
                assert_eq!(
                    (tokens[r], best[r]),
                    (token, logit),
                    "row {r} of {rows}x{n}"
                );
                sums.push(sum);
            }
            assert_close("log sums", &log_sums.read(gpu), &sums, 16.0, F32_UNIT);
        }
    }
}

#[test]
fn unfinished_sequences_go_on() {
    let Some(gpu) = gpu() else {
        return;
    };
    for m in [1, 17, 65] {
        let all = |from: u32| (0..m).map(|i| from + i).collect::<Vec<u32>>();
        let finished: Vec<u32> = (0..m).map(|i| i % 3).collect();
        let [tokens, positions, lengths] = [100, 200, 300].map(|f| Output::holding(gpu, &all(f)));
        gpu.advance(
            upload(gpu, &all(900)).view(),
            upload(gpu, &finished).view(),
            tokens.view(),
            positions.view(),
            lengths.view(),
        )
        .expect(WORKS);
        let want = |on: u32, done: u32| -> Vec<u32> {
            let one = |(i, f): (u32, &u32)| if *f == 0 { on + i } else { done + i };
            (0..).zip(&finished).map(one).collect()
        };
        assert_eq!(tokens.read(gpu), want(900, 100));
        assert_eq!(positions.read(gpu), want(201, 200));
        assert_eq!(lengths.read(gpu), want(301, 300));
    }
}
