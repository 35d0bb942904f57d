//! Cross-entropy, row by row, in place.

use crate::cpu::math::{LANES, exp, sum_lanes};
use crate::cpu::{Cpu, SharedMut, multiversion};

/// Rows of logits `[R, V]` become their gradients `weight · (softmax − onehot(target))`. Returns each
/// row's loss `−log softmax[target]`, without the weight.
pub fn cross_entropy(cpu: &Cpu, logits: &mut [f32], targets: &[u32], weights: &[f32]) -> Vec<f32> {
    let vocabulary = logits.len() / targets.len().max(1);
    let mut losses = vec![0.0; targets.len()];
    let (rows, out) = (SharedMut::new(logits), SharedMut::new(&mut losses));
    cpu.each_range(targets.len(), 1, |range| {
        for r in range {
            // SAFETY: one thread per row.
            let (row, loss) = unsafe {
                (
                    rows.slice(r * vocabulary..(r + 1) * vocabulary),
                    out.slice(r..r + 1),
                )
            };
            loss[0] = gradient(cpu.isa(), row, targets[r] as usize, weights[r]);
        }
    });
    losses
}

multiversion! {
    fn gradient(isa, row: &mut [f32], target: usize, weight: f32) -> f32 {
        let (largest, sum) = largest_and_sum(row);
        let loss = sum.ln() - (row[target] - largest);
        let factor = weight / sum;
        for x in row.iter_mut() {
            *x = exp(*x - largest) * factor;
        }
        row[target] -= weight;
        loss
    }
}

multiversion! {
    /// log softmax of one row `[V]` at one place.
    pub fn log_softmax_at(isa, row: &[f32], target: usize) -> f32 {
        let (largest, sum) = largest_and_sum(row);
        row[target] - largest - sum.ln()
    }
}

/// The largest logit and `Σ exp(x − largest)`.
#[inline(always)]
fn largest_and_sum(row: &[f32]) -> (f32, f32) {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for c in chunks {
        for i in 0..LANES {
            lanes[i] = if c[i] > lanes[i] { c[i] } else { lanes[i] };
        }
    }
    let largest = lanes
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |a, b| a.max(*b));
    let mut sums = [0.0_f32; LANES];
    for c in chunks {
        for i in 0..LANES {
            sums[i] += exp(c[i] - largest);
        }
    }
    for (s, x) in sums.iter_mut().zip(rest) {
        *s += exp(x - largest);
    }
    (largest, sum_lanes(sums))
}
