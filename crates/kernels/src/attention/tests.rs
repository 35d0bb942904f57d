//! Attention against f64, numerical derivatives, and itself with a cache.

use verdict_testkit::{numbers, numerical_gradient, wide};

use crate::attention::{
    AttentionInput, AttentionShape, AttentionTiles, Span, attention_backward, attention_decode,
    attention_forward, reference,
};
use crate::cpu::Cpu;
use crate::cuda::testing::{Machine, Output, WORKS, bits, cpus, everywhere, rows, shapes, upload};
use crate::cuda::{Buffer, Gpu};
use crate::rope::LayerCache;
use crate::rope::tests::{Heads, HeadsOnGpu, Rotation};

trait Attention: Rotation {
    /// `[T, heads · D]` from rotated rows.
    fn forward(&self, shape: AttentionShape, spans: &[Span], qkv: &[f32]) -> Vec<f32>;
    /// `[T, ld]`
    fn backward(
        &self,
        shape: AttentionShape,
        spans: &[Span],
        qkv: &[f32],
        d_out: &[f32],
    ) -> Vec<f32>;
    /// As forward, but from rows that are not rotated yet, a few of each sequence at a time, through a cache.
    fn cached(&self, heads: &Heads, spans: &[Span], qkv: &[f32]) -> Vec<f32>;
}

impl Attention for Cpu {
    fn forward(&self, shape: AttentionShape, spans: &[Span], qkv: &[f32]) -> Vec<f32> {
        let mut out = vec![f32::NAN; qkv.len() / shape.ld() * shape.heads * shape.head_dim];
        attention_forward(self, shape, spans, qkv, &mut out);
        out
    }

    fn backward(
        &self,
        shape: AttentionShape,
        spans: &[Span],
        qkv: &[f32],
        d_out: &[f32],
    ) -> Vec<f32> {
        let mut d_qkv = vec![f32::NAN; qkv.len()];
        attention_backward(self, shape, spans, qkv, d_out, &mut d_qkv);
        d_qkv
    }

    fn cached(&self, heads: &Heads, spans: &[Span], qkv: &[f32]) -> Vec<f32> {
        let shape = heads.shape;
        let (d, ld, group) = (shape.head_dim, shape.ld(), shape.group());
        let qkv = self.rotate(heads, qkv);
        let mut all = vec![f32::NAN; qkv.len() / ld * shape.heads * d];
        for span in spans {
            for kv in 0..shape.kv_heads {
                let mut keys = vec![0.0; span.len().next_multiple_of(16) * d];
                let mut values = Vec::new();
                for (i, t) in span.clone().enumerate() {
                    let row = &qkv[t * ld..][..ld];
                    for c in 0..d {
                        keys[i / 16 * d * 16 + c * 16 + i % 16] = row[shape.k(kv) + c];
                    }
                    values.extend_from_slice(&row[shape.v(kv)..][..d]);
                    let q = kv * group * d;
                    let out = &mut all[t * shape.heads * d + q..][..group * d];
                    let q = &row[q..][..group * d];
                    attention_decode(self.isa(), d, q, &keys, &values, i + 1, out);
                }
            }
        }
        all
    }
}

/// Rotated rows on the device as training has them: q and k in a matrix of their own, v beside what they
/// were made of.
struct OnGpu {
    shape: AttentionShape,
    tiles: AttentionTiles,
    rotated: Buffer<u16>,
    qkv: Buffer<u16>,
}

impl OnGpu {
    fn new(gpu: &Gpu, shape: AttentionShape, spans: &[Span], qkv: &[f32]) -> Self {
        let rotated = qkv.chunks(shape.ld()).flat_map(|row| &row[..shape.v(0)]);
        let rotated: Vec<f32> = rotated.copied().collect();
        let mut values = qkv.to_vec();
        for row in values.chunks_mut(shape.ld()) {
            row[..shape.v(0)].fill(f32::NAN);
        }
        Self {
            shape,
            tiles: AttentionTiles::new(gpu, spans).expect(WORKS),
            rotated: rows(gpu, &rotated),
            qkv: rows(gpu, &values),
        }
    }

    fn input(&self) -> AttentionInput<'_> {
        let s = self.shape;
        AttentionInput {
            shape: s,
            tiles: &self.tiles,
            q: (self.rotated.view(), s.v(0)),
            k: (self.rotated.from(s.k(0)), s.v(0)),
            v: (self.qkv.from(s.v(0)), s.ld()),
        }
    }

    /// The result, and what backward needs.
    fn forward(&self, gpu: &Gpu) -> (Output<u16>, Output<f32>) {
        let s = self.shape;
        let t = self.qkv.len() / s.ld();
        let (out, lse) = (
            Output::new(gpu, t * s.heads * s.head_dim),
            Output::new(gpu, t * s.heads),
        );
        gpu.attention_forward(self.input(), out.view(), lse.view())
            .expect(WORKS);
        (out, lse)
    }
}

impl Attention for Gpu {
    fn forward(&self, shape: AttentionShape, spans: &[Span], qkv: &[f32]) -> Vec<f32> {
        let (out, lse) = OnGpu::new(self, shape, spans, qkv).forward(self);
        assert!(lse.read(self).iter().all(|l| l.is_finite()));
        out.wide(self)
    }

    fn backward(
        &self,
        shape: AttentionShape,
        spans: &[Span],
        qkv: &[f32],
        d_out: &[f32],
    ) -> Vec<f32> {
        let held = OnGpu::new(self, shape, spans, qkv);
        let (out, lse) = held.forward(self);
        let (d_out, d_qkv) = (rows(self, d_out), Output::new(self, qkv.len()));
        let delta = Output::new(self, qkv.len() / shape.ld() * shape.heads);
        self.attention_backward(
            held.input(),
            out.view(),
            lse.view(),
            d_out.view(),
            delta.view(),
            d_qkv.view(),
        )
        .expect(WORKS);
        assert!(delta.read(self).iter().all(|d| d.is_finite()));
        lse.read(self);
        out.read(self);
        d_qkv.wide(self)
    }

    fn cached(&self, heads: &Heads, spans: &[Span], qkv: &[f32]) -> Vec<f32> {
        const AT_ONCE: usize = 3;
        let s = heads.shape;
        let (d, ld) = (s.head_dim, s.ld());
        let width = s.heads * d;
        let longest = spans.iter().map(Span::len).max().unwrap_or(0);
        // One slot and a few positions more than there are sequences and rows.
        let (slots, positions) = (spans.len() + 1, longest + 3);
        let len = slots * s.kv_heads * positions * d;
        let (keys, values) = (Output::new(self, len), Output::new(self, len));
        let mut all = vec![f32::NAN; qkv.len() / ld * width];
        for first in (0..longest).step_by(AT_ONCE) {
            // (row of the batch, slot, position); slots are taken from the last on.
            let mut step = Vec::new();
            for (i, span) in spans.iter().enumerate() {
                let behind = span.len().min(first + AT_ONCE);
                step.extend((first..behind).map(|p| (span.start + p, slots - 1 - i, p)));
            }
            let of = |part: fn(&(usize, usize, usize)) -> usize| -> Vec<u32> {
                step.iter().map(|row| part(row) as u32).collect()
            };
            let (of_slot, at) = (of(|r| r.1), of(|r| r.2));
            let lengths = upload(self, &of(|r| r.2 + 1));
            let new = step.iter().flat_map(|r| &qkv[r.0 * ld..][..ld]);
            let new = rows(self, &new.copied().collect::<Vec<f32>>());
            let moved = HeadsOnGpu::new(self, heads, &at);
            let of_slot = upload(self, &of_slot);
            let cache = LayerCache {
                keys: keys.view(),
                values: values.view(),
                positions,
                slots: of_slot.view(),
            };
            let (q, out) = (
                Output::new(self, step.len() * width),
                Output::new(self, step.len() * width),
            );
            self.rotate_into_cache(moved.transform(s), new.view(), q.view(), cache)
                .expect(WORKS);
            self.attention_decode(s, q.view(), cache, lengths.view(), out.view())
                .expect(WORKS);
            q.read(self);
            for (out, row) in out.wide(self).chunks(width).zip(&step) {
                all[row.0 * width..][..width].copy_from_slice(out);
            }
        }
        // A row without keys, whose slot is none.
        let (none, zero) = (upload(self, &[u32::MAX]), upload(self, &[0]));
        let cache = LayerCache {
            keys: keys.view(),
            values: values.view(),
            positions,
            slots: none.view(),
        };
        let (q, out) = (rows(self, &vec![1.0; width]), Output::new(self, width));
        self.attention_decode(s, q.view(), cache, zero.view(), out.view())
            .expect(WORKS);
        assert_eq!(out.wide(self), vec![0.0; width], "a row without keys");
        // What no row wrote is as it was: the slot and the positions that are left over.
        for cache in [&keys, &values] {
            let cache = cache.wide(self);
            for (slot, heads) in cache.chunks(s.kv_heads * positions * d).enumerate() {
                let taken = slots.checked_sub(1 + slot).and_then(|i| spans.get(i));
                let taken = taken.map_or(0, Span::len) * d;
                for head in heads.chunks(positions * d) {
                    assert!(head[..taken].iter().all(|v| v.is_finite()));
                    assert!(head[taken..].iter().all(|v| v.is_nan()));
                }
            }
        }
        all
    }
}

fn head(rows: &[f64], ld: usize, column: usize, d: usize) -> Vec<f64> {
    rows.chunks_exact(ld)
        .flat_map(|r| r[column..column + d].to_vec())
        .collect()
}

/// The result and the gradient of `qkv`, in f64.
fn wanted(
    shape: AttentionShape,
    spans: &[Span],
    qkv: &[f64],
    d_out: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let (d, ld, width) = (shape.head_dim, shape.ld(), shape.heads * shape.head_dim);
    let (mut out, mut d_qkv) = (vec![0.0; d_out.len()], vec![0.0; qkv.len()]);
    for span in spans {
        let rows = &qkv[span.start * ld..span.end * ld];
        let g = &d_out[span.start * width..span.end * width];
        for h in 0..shape.heads {
            let kv = h / shape.group();
            let columns = [shape.q(h), shape.k(kv), shape.v(kv)];
            let [q, k, v] = columns.map(|c| head(rows, ld, c, d));
            let g = head(g, width, h * d, d);
            let o = reference::forward(&q, &k, &v, span.len(), d);
            let gradients = reference::backward((&q, &k, &v), &g, span.len(), d);
            for i in 0..span.len() {
                let row = span.start + i;
                out[row * width + h * d..][..d].copy_from_slice(&o[i * d..][..d]);
                for (column, gradient) in columns.iter().zip(&gradients) {
                    let to = &mut d_qkv[row * ld + column..][..d];
                    to.iter_mut()
                        .zip(&gradient[i * d..])
                        .for_each(|(o, g)| *o += g);
                }
            }
        }
    }
    (out, d_qkv)
}

/// (heads, key heads, D, the sequences' rows)
type Case = (usize, usize, usize, &'static [usize]);

/// Groups of one to five heads. The CPU takes any width of a head.
const CASES: [Case; 8] = [
    (4, 2, 12, &[1, 7, 22]),
    (2, 1, 16, &[1, 17, 65]),
    (3, 1, 24, &[17, 1]),
    (5, 1, 16, &[16, 3, 1]),
    (9, 3, 64, &[17, 65, 1]),
    (3, 3, 80, &[33, 20]),
    (4, 2, 128, &[65, 15]),
    (8, 2, 64, &[130, 1, 64]),
];

fn parts(on: &dyn Attention, case: &Case) -> (AttentionShape, Vec<Span>, usize) {
    let &(heads, kv_heads, head_dim, lengths) = case;
    let shape = AttentionShape {
        heads,
        kv_heads,
        head_dim: on.width(head_dim, 8),
    };
    let mut end = 0;
    let next = |len: &usize| {
        end += len;
        end - len..end
    };
    let spans = lengths.iter().map(next).collect();
    (shape, spans, end)
}

#[test]
fn forward_and_backward() {
    everywhere!(cpus(), |on: &dyn Attention| {
        for case in shapes(&CASES, 4) {
            let (shape, spans, t) = parts(on, case);
            let (d, ld) = (shape.head_dim, shape.ld());
            let qkv = on.seen(numbers(1, t * ld, 1.5));
            let d_out = on.seen(numbers(2, t * shape.heads * d, 1.0));
            let (want, d_want) = wanted(shape, &spans, &wide(&qkv), &wide(&d_out));
            // On a GPU the weights are rounded to bf16 before they meet the values, which costs a unit of
            // the largest value; the result is rounded once more.
            let out = on.forward(shape, &spans, &qkv);
            on.close(&format!("forward {case:?}"), &out, &want, 32.0, 2.2);
            // Here weights, gradients of scores, and forward's result within delta are rounded, each sum's
            // terms independently of each other: what is left of them are a few units.
            let d_qkv = on.backward(shape, &spans, &qkv, &d_out);
            for (what, columns) in [
                ("dq", 0..shape.k(0)),
                ("dk", shape.k(0)..shape.v(0)),
                ("dv", shape.v(0)..ld),
            ] {
                let pick = |i: &usize| columns.contains(&(i % ld));
                let got: Vec<f32> = (0..t * ld).filter(pick).map(|i| d_qkv[i]).collect();
                let want: Vec<f64> = (0..t * ld).filter(pick).map(|i| d_want[i]).collect();
                on.close(&format!("{what} {case:?}"), &got, &want, 128.0, 3.0);
            }
        }
    });
}

#[test]
fn the_plain_gradient_is_the_derivative() {
    let (n, d) = (6, 4);
    let x = wide(&numbers(1, 3 * n * d, 1.5));
    let g = wide(&numbers(2, n * d, 1.0));
    let split = |x: &[f64]| [0, 1, 2].map(|i| x[i * n * d..][..n * d].to_vec());
    let loss = |x: &[f64]| -> f64 {
        let [q, k, v] = split(x);
        let out = reference::forward(&q, &k, &v, n, d);
        out.iter().zip(&g).map(|(o, g)| o * g).sum()
    };
    let [q, k, v] = split(&x);
    let got = reference::backward((&q, &k, &v), &g, n, d).concat();
    for (got, want) in got.iter().zip(numerical_gradient(&x, loss)) {
        assert!((got - want).abs() < 1e-8, "{got} for {want}");
    }
}

#[test]
fn a_cached_row_is_the_packed_one() {
    everywhere!(cpus(), |on: &dyn Attention| {
        for (i, case) in shapes(&CASES, 4).iter().enumerate() {
            let (shape, spans, t) = parts(on, case);
            let positions = spans.iter().flat_map(|s| 0..s.len() as u32);
            let heads = Heads::new(shape, 1e4, i % 2 == 1, positions.collect());
            let qkv = on.seen(numbers(1, t * shape.ld(), 1.5));
            let packed = on.forward(shape, &spans, &on.rotate(&heads, &qkv));
            let cached = on.cached(&heads, &spans, &qkv);
            // The same bits on a CPU. On a GPU a cached row's weights are not rounded: one unit for those
            // of the packed row, one for each result, and one where q or k was rounded the other way.
            on.close(
                &format!("cached {case:?}"),
                &cached,
                &wide(&packed),
                0.0,
                4.0,
            );
        }
    });
}

#[test]
fn rows_are_batch_invariant_on_a_gpu() {
    let Some(gpu) = crate::cuda::testing::gpu() else {
        return;
    };
    let (shape, spans, t) = parts(gpu, &(4, 2, 64, &[1, 65, 17]));
    let (ld, width) = (shape.ld(), shape.heads * shape.head_dim);
    let qkv = gpu.seen(numbers(1, t * ld, 1.5));
    let d_out = gpu.seen(numbers(2, t * width, 1.0));
    let together = (
        gpu.forward(shape, &spans, &qkv),
        gpu.backward(shape, &spans, &qkv, &d_out),
    );
    for span in &spans {
        let alone = std::slice::from_ref(&(0..span.len())).to_vec();
        let qkv = &qkv[span.start * ld..span.end * ld];
        let d_out = &d_out[span.start * width..span.end * width];
        let out = gpu.forward(shape, &alone, qkv);
        assert_eq!(
            bits(&out),
            bits(&together.0[span.start * width..span.end * width])
        );
        let d_qkv = gpu.backward(shape, &alone, qkv, d_out);
        assert_eq!(
            bits(&d_qkv),
            bits(&together.1[span.start * ld..span.end * ld])
        );
    }
}
