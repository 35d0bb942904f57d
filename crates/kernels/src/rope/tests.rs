//! Head norms and rotation against f64; the rotation's inverse undoes it.

use verdict_testkit::{F32_UNIT, assert_close, numbers, numerical_gradient, wide};

use crate::attention::AttentionShape;
use crate::cpu::{Cpu, Isa};
use crate::cuda::testing::{Machine, Output, WORKS, cpus, everywhere, rows, shapes, upload};
use crate::cuda::{Buffer, Gpu};
use crate::norm::{self, rms_norm_backward, rms_norm_forward};
use crate::rope::{CacheShape, HeadTransform, RopeTable, reference};

const EPS: f32 = 1e-5;

/// How q and k of some rows are normed and rotated.
pub(crate) struct Heads {
    pub(crate) shape: AttentionShape,
    pub(crate) table: RopeTable,
    /// Of q and of k.
    pub(crate) norms: Option<[Vec<f32>; 2]>,
    /// One a row.
    pub(crate) positions: Vec<u32>,
}

impl Heads {
    pub(crate) fn new(
        shape: AttentionShape,
        theta: f32,
        normed: bool,
        positions: Vec<u32>,
    ) -> Self {
        let last = positions.iter().max().map_or(0, |p| *p as usize);
        Self {
            shape,
            table: RopeTable::new(shape.head_dim, last + 1, theta),
            norms: normed.then(|| [5, 6].map(|seed| numbers(seed, shape.head_dim, 1.5))),
            positions,
        }
    }

    /// Every head of q and of k in rows `ld` long: row, first number, and the norm's weights.
    fn each(&self) -> impl Iterator<Item = (usize, usize, Option<&[f32]>)> {
        let s = self.shape;
        let heads = s.heads + s.kv_heads;
        (0..self.positions.len() * heads).map(move |i| {
            let (row, head) = (i / heads, i % heads);
            let norms = self.norms.as_ref();
            let weight = norms.map(|n| n[usize::from(head >= s.heads)].as_slice());
            (row, row * s.ld() + head * s.head_dim, weight)
        })
    }
}

/// Rows are `[q heads | k heads | v heads]`; v stays as it is.
pub(crate) trait Rotation: Machine {
    fn rotate(&self, heads: &Heads, qkv: &[f32]) -> Vec<f32>;
    /// From gradients `dy` of rotated rows to those of `qkv`.
    fn rotate_back(&self, heads: &Heads, qkv: &[f32], dy: &[f32]) -> Vec<f32>;
}

impl Rotation for Cpu {
    fn rotate(&self, heads: &Heads, qkv: &[f32]) -> Vec<f32> {
        let (d, mut out) = (heads.shape.head_dim, qkv.to_vec());
        for (row, at, weight) in heads.each() {
            let out = &mut out[at..][..d];
            if let Some(weight) = weight {
                rms_norm_forward(self.isa(), &qkv[at..][..d], weight, EPS, out);
            }
            let position = heads.positions[row] as usize;
            heads.table.rotate(self.isa(), position, out);
        }
        out
    }

    fn rotate_back(&self, heads: &Heads, qkv: &[f32], dy: &[f32]) -> Vec<f32> {
        let (d, mut out) = (heads.shape.head_dim, dy.to_vec());
        for (row, at, weight) in heads.each() {
            let out = &mut out[at..][..d];
            let position = heads.positions[row] as usize;
            heads.table.rotate_back(self.isa(), position, out);
            if let Some(weight) = weight {
                let dy = out.to_vec();
                out.fill(0.0);
                rms_norm_backward(self.isa(), &qkv[at..][..d], weight, EPS, &dy, out);
            }
        }
        out
    }
}

/// [`Heads`] on the device.
pub(crate) struct HeadsOnGpu {
    table: Buffer<f32>,
    norms: Option<[Buffer<f32>; 2]>,
    positions: Buffer<u32>,
}

impl HeadsOnGpu {
    /// For rows at these positions.
    pub(crate) fn new(gpu: &Gpu, heads: &Heads, positions: &[u32]) -> Self {
        let norms = heads.norms.as_ref();
        Self {
            table: heads.table.upload(gpu).expect(WORKS),
            norms: norms.map(|n| [upload(gpu, &n[0]), upload(gpu, &n[1])]),
            positions: upload(gpu, positions),
        }
    }

    pub(crate) fn transform(&self, shape: AttentionShape) -> HeadTransform<'_> {
        HeadTransform {
            shape,
            table: self.table.view(),
            norms: self.norms.as_ref().map(|n| (n[0].view(), n[1].view())),
            eps: EPS,
            positions: self.positions.view(),
            rows: self.positions.len(),
        }
    }
}

impl Rotation for Gpu {
    fn rotate(&self, heads: &Heads, qkv: &[f32]) -> Vec<f32> {
        let (s, held) = (heads.shape, HeadsOnGpu::new(self, heads, &heads.positions));
        let from = rows(self, qkv);
        let narrow = (s.heads + s.kv_heads) * s.head_dim;
        let to = Output::new(self, heads.positions.len() * narrow);
        self.norm_and_rotate(held.transform(s), from.view(), to.view(), narrow)
            .expect(WORKS);
        let apart = to.wide(self);

        let bits = self.download(from.view()).expect(WORKS);
        let same = Output::holding(self, &bits);
        self.norm_and_rotate(held.transform(s), same.view(), same.view(), s.ld())
            .expect(WORKS);
        let same = same.wide(self);
        for (row, (apart, same)) in apart.chunks(narrow).zip(same.chunks(s.ld())).enumerate() {
            assert_eq!(apart, &same[..narrow], "row {row}: in place");
        }
        same
    }

    fn rotate_back(&self, heads: &Heads, qkv: &[f32], dy: &[f32]) -> Vec<f32> {
        let (s, held) = (heads.shape, HeadsOnGpu::new(self, heads, &heads.positions));
        let (x, dy) = (rows(self, qkv), rows(self, dy));
        let to = Output::holding(self, &self.download(dy.view()).expect(WORKS));
        self.norm_and_rotate_backward(held.transform(s), to.view(), x.view())
            .expect(WORKS);
        to.wide(self)
    }
}

/// One head of one row in f64.
fn wanted(x: &[f64], position: u32, theta: f32, weight: Option<&[f32]>) -> Vec<f64> {
    let theta = f64::from(theta);
    let rotate = |x: &[f64]| reference::rotate(x, position as usize, theta);
    match weight {
        Some(w) => rotate(&norm::reference::forward(x, &wide(w), f64::from(EPS))),
        None => rotate(x),
    }
}

fn check(on: &dyn Rotation, heads: &Heads, theta: f32) {
    let (s, count) = (heads.shape, heads.positions.len());
    let d = s.head_dim;
    let normed = heads.norms.is_some();
    let what = format!("{count} rows of heads of {d}, norms {normed}:");
    let x = on.seen(numbers(1, count * s.ld(), 1.0));
    let dy = on.seen(numbers(2, count * s.ld(), 1.0));
    let y = on.rotate(heads, &x);
    let dx = on.rotate_back(heads, &x, &dy);
    let (mut want, mut d_want) = (wide(&x), wide(&dy));
    for (row, at, weight) in heads.each() {
        let (x, position) = (wide(&x[at..][..d]), heads.positions[row]);
        want[at..][..d].copy_from_slice(&wanted(&x, position, theta, weight));
        let loss = |x: &[f64]| -> f64 {
            let y = wanted(x, position, theta, weight);
            y.iter()
                .zip(&dy[at..])
                .map(|(y, d)| y * f64::from(*d))
                .sum()
        };
        d_want[at..][..d].copy_from_slice(&numerical_gradient(&x, loss));
    }
    // The angle is position × frequency in f32, as transformers has it: off by up to that many half units
    // of the frequency.
    let last = heads.positions.iter().max().expect("rows");
    let units = 8.0 + 2.0 * f64::from(*last);
    on.close(&format!("{what} forward"), &y, &want, units, 1.1);
    on.close(&format!("{what} backward"), &dx, &d_want, units + 8.0, 1.1);
    for (row, v) in y.chunks(s.ld()).enumerate() {
        let at = row * s.ld() + s.v(0);
        let (v, d) = (&v[s.v(0)..], &dx[at..][..s.ld() - s.v(0)]);
        assert_eq!(v, &x[at..][..v.len()], "{what} v of row {row}");
        assert_eq!(d, &dy[at..][..d.len()], "{what} dv of row {row}");
    }
    if !normed {
        // On a GPU rounded twice, and the turn mixes two errors.
        let back = on.rotate_back(heads, &x, &y);
        on.close(&format!("{what} and back"), &back, &wide(&x), 8.0, 3.1);
    }
}

#[test]
fn rotates_as_the_formula_says() {
    // (rows, D, heads, key heads, theta)
    let all = [
        (1, 16, 2, 1, 1e4_f32),
        (17, 24, 3, 1, 1e6),
        (65, 16, 4, 2, 1e4),
        (3, 64, 9, 3, 1e5),
        (3, 80, 2, 2, 1e4),
        (2, 128, 4, 2, 1e6),
    ];
    everywhere!(cpus(), |on: &dyn Rotation| {
        for &(rows, head_dim, heads, kv_heads, theta) in shapes(&all, 3) {
            let shape = AttentionShape {
                heads,
                kv_heads,
                head_dim,
            };
            let positions: Vec<u32> = (0..rows).map(|i| (511 * i) % 512).collect();
            for normed in [false, true] {
                let heads = Heads::new(shape, theta, normed, positions.clone());
                check(on, &heads, theta);
            }
        }
    });
}

#[test]
fn a_head_turns_by_its_position_and_back() {
    let isa = Isa::detect();
    for (d, theta) in [(16, 1e4_f32), (24, 1e6), (64, 1e5), (128, 1e6)] {
        let table = RopeTable::new(d, 600, theta);
        for position in [0_usize, 1, 17, 511] {
            let x = numbers(position as u64, d, 1.0);
            let mut y = x.clone();
            table.rotate(isa, position, &mut y);
            let want = reference::rotate(&wide(&x), position, f64::from(theta));
            let units = 8.0 + 2.0 * position as f64;
            assert_close("rotated", &y, &want, units, F32_UNIT);
            table.rotate_back(isa, position, &mut y);
            assert_close("and back", &y, &wide(&x), 8.0, F32_UNIT);
        }
    }
}

#[test]
fn backward_is_the_transpose() {
    // <R x, y> = <x, Rᵀ y>
    let table = RopeTable::new(64, 100, 1e4);
    let (x, y) = (numbers(1, 64, 1.0), numbers(2, 64, 1.0));
    let (mut rx, mut ry) = (x.clone(), y.clone());
    table.rotate(Isa::detect(), 37, &mut rx);
    table.rotate_back(Isa::detect(), 37, &mut ry);
    let dot = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum::<f64>()
    };
    assert!((dot(&rx, &y) - dot(&x, &ry)).abs() < 64.0 * F32_UNIT * 8.0);
}

/// First number of a head's first position in a cache.
fn place(c: CacheShape, layer: usize, slot: usize, head: usize) -> usize {
    ((layer * c.slots + slot) * c.heads + head) * c.positions * c.head_dim
}

#[test]
fn slots_are_copied_between_caches() {
    let Some(gpu) = crate::cuda::testing::gpu() else {
        return;
    };
    let cache = |slots, positions| CacheShape {
        layers: 2,
        slots,
        heads: 3,
        positions,
        head_dim: 24,
    };
    let (from, to) = (cache(3, 5), cache(4, 7));
    let all = |c: CacheShape| place(c, c.layers, 0, 0);
    let bits: Vec<u16> = (0..all(from)).map(|i| i as u16).collect();
    let source = upload(gpu, &bits);
    for (first, to_first, slots, positions) in [(0, 0, 3, 5), (1, 2, 2, 3), (2, 3, 1, 1)] {
        let before = vec![1; all(to)];
        let target = Output::holding(gpu, &before);
        let size = (slots, positions);
        gpu.copy_slots(
            from,
            source.view(),
            first,
            to,
            target.view(),
            to_first,
            size,
        )
        .expect(WORKS);
        let mut want = before;
        for layer in 0..2 {
            for slot in 0..slots {
                for head in 0..3 {
                    let (f, t) = (
                        place(from, layer, first + slot, head),
                        place(to, layer, to_first + slot, head),
                    );
                    let count = positions * 24;
                    want[t..][..count].copy_from_slice(&bits[f..][..count]);
                }
            }
        }
        assert_eq!(target.read(gpu), want);
    }
}
