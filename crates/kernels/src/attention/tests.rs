//! Attention against f64, numerical derivatives, and itself with a cache.

use verdict_testkit::{F32_UNIT, assert_close, numbers, numerical_gradient};

use crate::attention::{
    AttentionShape, attention_backward, attention_decode, attention_forward, reference,
};
use crate::cpu::{Compute, Cpu, Isa};

const SHAPE: AttentionShape = AttentionShape {
    heads: 4,
    kv_heads: 2,
    head_dim: 12,
};

fn head(rows: &[f64], ld: usize, column: usize, d: usize) -> Vec<f64> {
    rows.chunks_exact(ld)
        .flat_map(|r| r[column..column + d].to_vec())
        .collect()
}

fn wanted(shape: AttentionShape, spans: &[std::ops::Range<usize>], qkv: &[f64]) -> Vec<f64> {
    let (d, ld, width) = (shape.head_dim, shape.ld(), shape.heads * shape.head_dim);
    let mut out = vec![0.0; qkv.len() / ld * width];
    for span in spans {
        let rows = &qkv[span.start * ld..span.end * ld];
        for h in 0..shape.heads {
            let kv = h / shape.group();
            let parts = [shape.q(h), shape.k(kv), shape.v(kv)].map(|c| head(rows, ld, c, d));
            let o = reference::forward(&parts[0], &parts[1], &parts[2], span.len(), d);
            for (i, o) in o.chunks_exact(d).enumerate() {
                out[(span.start + i) * width + h * d..][..d].copy_from_slice(o);
            }
        }
    }
    out
}

#[test]
fn forward_and_backward() {
    let spans = [0..1, 1..8, 8..30];
    let t = 30;
    let qkv = numbers(1, t * SHAPE.ld(), 1.5);
    let wide: Vec<f64> = qkv.iter().map(|v| f64::from(*v)).collect();
    let d_out = numbers(2, t * SHAPE.heads * SHAPE.head_dim, 1.0);
    let want = wanted(SHAPE, &spans, &wide);
    let loss = |x: &[f64]| -> f64 {
        wanted(SHAPE, &spans, x)
            .iter()
            .zip(&d_out)
            .map(|(o, d)| o * f64::from(*d))
            .sum()
    };
    let gradient = numerical_gradient(&wide, loss);
    for isa in Isa::ALL.into_iter().filter(|i| *i <= Isa::hardware()) {
        let cpu = Cpu::new(2, Some(Compute::F32), isa).expect("cpu");
        let mut out = vec![9.0; want.len()];
        attention_forward(&cpu, SHAPE, &spans, &qkv, &mut out);
        assert_close("forward", &out, &want, 32.0, F32_UNIT);
        let mut d_qkv = vec![9.0; qkv.len()];
        attention_backward(&cpu, SHAPE, &spans, &qkv, &d_out, &mut d_qkv);
        assert_close("backward", &d_qkv, &gradient, 128.0, F32_UNIT);
    }
}

#[test]
fn a_cached_row_has_the_bits_of_the_packed_one() {
    let t = 37;
    let (d, ld) = (SHAPE.head_dim, SHAPE.ld());
    let qkv = numbers(1, t * ld, 1.5);
    let cpu = Cpu::best().expect("cpu");
    let mut packed = vec![0.0; t * SHAPE.heads * d];
    attention_forward(
        &cpu,
        SHAPE,
        std::slice::from_ref(&(0..t)),
        &qkv,
        &mut packed,
    );
    for kv in 0..SHAPE.kv_heads {
        let mut keys = vec![0.0; t.next_multiple_of(16) * d];
        let mut values = Vec::new();
        for i in 0..t {
            let row = &qkv[i * ld..][..ld];
            for c in 0..d {
                keys[i / 16 * d * 16 + c * 16 + i % 16] = row[SHAPE.k(kv) + c];
            }
            values.extend_from_slice(&row[SHAPE.v(kv)..][..d]);
            let q = kv * SHAPE.group() * d;
            let mut out = vec![0.0; SHAPE.group() * d];
            attention_decode(
                cpu.isa(),
                d,
                &row[q..][..SHAPE.group() * d],
                &keys,
                &values,
                i + 1,
                &mut out,
            );
            assert_eq!(
                out,
                packed[i * SHAPE.heads * d + q..][..SHAPE.group() * d],
                "row {i}"
            );
        }
    }
}
