//! Attention forward: one row of queries against keys in blocks of sixteen.
//!
//! Keys lie transposed, `[block][D][16]`, values `[key][D]`, in a training pass and in the cache of
//! decoding alike, and [`attend`] is the only place that reads them: a row's result is the same bits
//! whether it was computed among its sequence or alone.

use crate::attention::{AttentionShape, Span};
use crate::cpu::math::{LANES, axpy, exp, sum_lanes};
use crate::cpu::{Cpu, Isa, SharedMut, multiversion};

/// qkv `[T, ld]` (rotated), out `[T, heads · D]`.
pub fn attention_forward(
    cpu: &Cpu,
    shape: AttentionShape,
    spans: &[Span],
    qkv: &[f32],
    out: &mut [f32],
) {
    let (d, ld, width) = (shape.head_dim, shape.ld(), shape.heads * shape.head_dim);
    let out = SharedMut::new(out);
    cpu.each(spans.len() * shape.kv_heads, |task| {
        let (span, kv_head) = (&spans[task / shape.kv_heads], task % shape.kv_heads);
        let keys = pack_keys(
            cpu.isa(),
            &qkv[span.start * ld..span.end * ld],
            ld,
            shape.k(kv_head),
            d,
        );
        let values = pack_values(
            &qkv[span.start * ld..span.end * ld],
            ld,
            shape.v(kv_head),
            d,
        );
        let mut weights = vec![0.0; span.len().next_multiple_of(LANES)];
        for row in span.clone() {
            for head in kv_head * shape.group()..(kv_head + 1) * shape.group() {
                let q = &qkv[row * ld + shape.q(head)..][..d];
                let at = row * width + head * d;
                // SAFETY: this task alone writes these heads of these rows.
                let o = unsafe { out.slice(at..at + d) };
                attend(
                    cpu.isa(),
                    q,
                    &keys,
                    &values,
                    row - span.start + 1,
                    &mut weights,
                    o,
                );
            }
        }
    });
}

/// One row's query heads of one key head against `count` cached keys. `q` and `out` are `[group · D]`,
/// `keys` `[block][D][16]`, `values` `[key][D]`.
pub fn attention_decode(
    isa: Isa,
    d: usize,
    q: &[f32],
    keys: &[f32],
    values: &[f32],
    count: usize,
    out: &mut [f32],
) {
    let mut weights = vec![0.0; count.next_multiple_of(LANES)];
    for (q, o) in q.chunks_exact(d).zip(out.chunks_exact_mut(d)) {
        attend(isa, q, keys, values, count, &mut weights, o);
    }
}

/// Rows of one head to `[block][D][16]`; keys beyond the last are zeros.
pub(super) fn pack_keys(isa: Isa, rows: &[f32], ld: usize, column: usize, d: usize) -> Vec<f32> {
    let count = rows.len() / ld;
    let mut keys = vec![0.0; count.next_multiple_of(LANES) * d];
    pack(isa, rows, ld, column, d, &mut keys);
    keys
}

multiversion! {
    fn pack(isa, rows: &[f32], ld: usize, column: usize, d: usize, keys: &mut [f32]) {
        for (j, row) in rows.chunks_exact(ld).enumerate() {
            let block = &mut keys[j / LANES * d * LANES..];
            for (o, x) in block[j % LANES..].iter_mut().step_by(LANES).zip(&row[column..column + d]) {
                *o = *x;
            }
        }
    }
}

pub(super) fn pack_values(rows: &[f32], ld: usize, column: usize, d: usize) -> Vec<f32> {
    rows.chunks_exact(ld)
        .flat_map(|row| &row[column..column + d])
        .copied()
        .collect()
}

multiversion! {
    /// q `[D]` against the first `count` keys; `weights` takes the softmax.
    pub(super) fn attend(isa, q: &[f32], keys: &[f32], values: &[f32], count: usize, weights: &mut [f32], out: &mut [f32]) {
        softmax(q, keys, count, weights);
        out.fill(0.0);
        for (p, v) in weights[..count].iter().zip(values.chunks_exact(q.len())) {
            axpy(*p, v, out);
        }
    }
}

/// The weights of one row: softmax of `q·k / √D` over the first `count` keys.
#[inline(always)]
pub(super) fn softmax(q: &[f32], keys: &[f32], count: usize, weights: &mut [f32]) {
    let scale = 1.0 / (q.len() as f32).sqrt();
    scores(q, keys, count, scale, weights);
    let padded = count.next_multiple_of(LANES);
    weights[count..padded].fill(f32::NEG_INFINITY);
    let (chunks, _) = weights[..padded].as_chunks_mut::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for c in chunks.iter() {
        for i in 0..LANES {
            lanes[i] = if c[i] > lanes[i] { c[i] } else { lanes[i] };
        }
    }
    let largest = lanes.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
    let mut sums = [0.0_f32; LANES];
    for c in chunks.iter_mut() {
        for i in 0..LANES {
            c[i] = exp(c[i] - largest);
            sums[i] += c[i];
        }
    }
    let inverse = 1.0 / sum_lanes(sums);
    for c in chunks.iter_mut() {
        for x in c {
            *x *= inverse;
        }
    }
}

/// `out[j] = scale · x·rows[j]` for the first `count` rows of a packed head: four chains over d, added
/// as a tree.
#[inline(always)]
pub(super) fn scores(x: &[f32], packed: &[f32], count: usize, scale: f32, out: &mut [f32]) {
    let d = x.len();
    let blocks = packed.chunks_exact(d * LANES).take(count.div_ceil(LANES));
    for (block, out) in blocks.zip(out.as_chunks_mut::<LANES>().0) {
        let mut sums = [[0.0_f32; LANES]; 4];
        let (fours, rest) = block.as_chunks::<{ 4 * LANES }>();
        let (xs, x_rest) = x.as_chunks::<4>();
        for (k, x) in fours.iter().zip(xs) {
            for c in 0..4 {
                for i in 0..LANES {
                    sums[c][i] = k[c * LANES + i].mul_add(x[c], sums[c][i]);
                }
            }
        }
        for (c, (k, x)) in rest.chunks_exact(LANES).zip(x_rest).enumerate() {
            for i in 0..LANES {
                sums[c][i] = k[i].mul_add(*x, sums[c][i]);
            }
        }
        for i in 0..LANES {
            out[i] = ((sums[0][i] + sums[1][i]) + (sums[2][i] + sums[3][i])) * scale;
        }
    }
}
