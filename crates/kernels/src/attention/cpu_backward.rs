//! Attention backward on the CPU. The weights are recomputed row by row: forward does not keep them.
//!
//! With `P` the weights, `S = q kᵀ / √D` and `g` the gradient of the output:
//! `dV = Pᵀ g`, `dS = P ∘ (g Vᵀ − rowsum(P ∘ g Vᵀ))`, `dq = dS k / √D`, `dk = dSᵀ q / √D`.

use crate::attention::cpu::{pack_keys, pack_values, scores, softmax};
use crate::attention::{AttentionShape, Span};
use crate::cpu::math::{LANES, axpy, dot};
use crate::cpu::{Cpu, SharedMut, multiversion};

/// qkv `[T, ld]` as in forward, d_out `[T, heads · D]`; writes every element of d_qkv `[T, ld]`.
pub fn attention_backward(
    cpu: &Cpu,
    shape: AttentionShape,
    spans: &[Span],
    qkv: &[f32],
    d_out: &[f32],
    d_qkv: &mut [f32],
) {
    let (d, ld, width) = (shape.head_dim, shape.ld(), shape.heads * shape.head_dim);
    let out = SharedMut::new(d_qkv);
    cpu.each(spans.len() * shape.kv_heads, |task| {
        let (span, kv_head) = (&spans[task / shape.kv_heads], task % shape.kv_heads);
        let rows = &qkv[span.start * ld..span.end * ld];
        let packed_keys = pack_keys(cpu.isa(), rows, ld, shape.k(kv_head), d);
        let packed_values = pack_keys(cpu.isa(), rows, ld, shape.v(kv_head), d);
        let keys = pack_values(rows, ld, shape.k(kv_head), d);
        let mut d_keys = vec![0.0; span.len() * d];
        let mut d_values = vec![0.0; span.len() * d];
        let padded = span.len().next_multiple_of(LANES);
        let (mut weights, mut d_weights) = (vec![0.0; padded], vec![0.0; padded]);
        for row in span.clone() {
            for head in kv_head * shape.group()..(kv_head + 1) * shape.group() {
                let q = &qkv[row * ld + shape.q(head)..][..d];
                let g = &d_out[row * width + head * d..][..d];
                let at = row * ld + shape.q(head);
                // SAFETY: this task alone writes these heads of these rows.
                let d_q = unsafe { out.slice(at..at + d) };
                one_row(
                    cpu.isa(),
                    q,
                    g,
                    row - span.start + 1,
                    &packed_keys,
                    &packed_values,
                    &keys,
                    &mut weights,
                    &mut d_weights,
                    d_q,
                    &mut d_keys,
                    &mut d_values,
                );
            }
        }
        for (i, row) in span.clone().enumerate() {
            for (column, from) in [(shape.k(kv_head), &d_keys), (shape.v(kv_head), &d_values)] {
                let at = row * ld + column;
                // SAFETY: as above.
                unsafe { out.slice(at..at + d) }.copy_from_slice(&from[i * d..][..d]);
            }
        }
    });
}

// Every slice is an argument of its own: in a struct the compiler cannot know that the written ones do not overlap, does
// not vectorize the loop over `axpy`, and the whole training step takes a quarter longer.
multiversion! {
    fn one_row(
        isa,
        q: &[f32], g: &[f32], count: usize,
        packed_keys: &[f32], packed_values: &[f32], keys: &[f32],
        weights: &mut [f32], d_weights: &mut [f32],
        d_q: &mut [f32], d_keys: &mut [f32], d_values: &mut [f32],
    ) {
        let d = q.len();
        let scale = 1.0 / (d as f32).sqrt();
        softmax(q, packed_keys, count, weights);
        scores(g, packed_values, count, 1.0, d_weights);
        let mean = dot(&weights[..count], &d_weights[..count]);
        d_q.fill(0.0);
        for j in 0..count {
            let ds = weights[j] * (d_weights[j] - mean) * scale;
            axpy(ds, &keys[j * d..][..d], d_q);
            axpy(ds, q, &mut d_keys[j * d..][..d]);
            axpy(weights[j], g, &mut d_values[j * d..][..d]);
        }
    }
}
