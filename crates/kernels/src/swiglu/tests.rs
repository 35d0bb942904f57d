//! SwiGLU against f64 and numerical derivatives.

use verdict_testkit::{numbers, numerical_gradient, wide};

use crate::cpu::Isa;
use crate::cuda::Gpu;
use crate::cuda::testing::{
    Machine, MaskedOutput, Masks, Output, WORKS, everywhere, isas, rows, shapes,
};
use crate::swiglu::{reference, swiglu_backward, swiglu_forward};

/// Rows of `[gate | up]`, `f` wide each, and what is wanted of them.
struct Case {
    f: usize,
    rows: usize,
    gate_up: Vec<f32>,
    dy: Vec<f32>,
    masks: Option<Masks>,
}

trait Swiglu: Machine {
    /// `[rows, f]`, and the masked copy.
    fn forward(&self, case: &Case) -> (Vec<f32>, Option<Vec<f32>>);
    /// `[rows, 2f]`, and the masked copy again.
    fn backward(&self, case: &Case) -> (Vec<f32>, Option<Vec<f32>>);
}

impl Swiglu for Isa {
    fn forward(&self, c: &Case) -> (Vec<f32>, Option<Vec<f32>>) {
        let mut y = vec![f32::NAN; c.rows * c.f];
        for (x, y) in c.gate_up.chunks_exact(2 * c.f).zip(y.chunks_exact_mut(c.f)) {
            swiglu_forward(*self, x, y);
        }
        let dropped = c.masks.as_ref().map(|masks| {
            let mut dropped = y.clone();
            masks.apply(*self, c.f, &mut dropped);
            dropped
        });
        (y, dropped)
    }

    fn backward(&self, c: &Case) -> (Vec<f32>, Option<Vec<f32>>) {
        let mut d = vec![f32::NAN; 2 * c.rows * c.f];
        let rows = c.gate_up.chunks_exact(2 * c.f).zip(c.dy.chunks_exact(c.f));
        for ((x, dy), d) in rows.zip(d.chunks_exact_mut(2 * c.f)) {
            swiglu_backward(*self, x, dy, d);
        }
        (d, self.forward(c).1)
    }
}

impl Swiglu for Gpu {
    fn forward(&self, c: &Case) -> (Vec<f32>, Option<Vec<f32>>) {
        let (x, y) = (rows(self, &c.gate_up), Output::new(self, c.rows * c.f));
        let dropped = MaskedOutput::new(self, c.masks.as_ref(), c.rows * c.f);
        let to = dropped.as_ref().map(MaskedOutput::view);
        self.swiglu_forward(x.view(), c.rows, c.f, y.view(), to)
            .expect(WORKS);
        (y.wide(self), dropped.map(|d| d.wide(self)))
    }

    fn backward(&self, c: &Case) -> (Vec<f32>, Option<Vec<f32>>) {
        let (x, dy) = (rows(self, &c.gate_up), rows(self, &c.dy));
        let d = Output::new(self, 2 * c.rows * c.f);
        let dropped = MaskedOutput::new(self, c.masks.as_ref(), c.rows * c.f);
        let to = dropped.as_ref().map(MaskedOutput::view);
        self.swiglu_backward(x.view(), c.rows, c.f, dy.view(), d.view(), to)
            .expect(WORKS);
        (d.wide(self), dropped.map(|d| d.wide(self)))
    }
}

fn check(swiglu: &dyn Swiglu, rows: usize, f: usize, masked: bool) {
    let c = Case {
        f,
        rows,
        gate_up: swiglu.seen(numbers(1, 2 * rows * f, 6.0)),
        dy: swiglu.seen(numbers(2, rows * f, 1.0)),
        masks: masked.then(|| Masks::of(rows)),
    };
    let (mut want, mut d_want) = (Vec::new(), Vec::new());
    for (x, dy) in c.gate_up.chunks_exact(2 * f).zip(c.dy.chunks_exact(f)) {
        let (x, dy) = (wide(x), wide(dy));
        want.extend((0..f).map(|i| reference::forward(x[i], x[f + i])));
        let pairs = (0..f).map(|i| {
            let loss = |x: &[f64]| reference::forward(x[0], x[1]) * dy[i];
            numerical_gradient(&[x[i], x[f + i]], loss)
        });
        let pairs: Vec<_> = pairs.collect();
        d_want.extend(pairs.iter().map(|p| p[0]));
        d_want.extend(pairs.iter().map(|p| p[1]));
    }
    let (y, dropped) = swiglu.forward(&c);
    swiglu.close(&format!("forward {rows}x{f}"), &y, &want, 8.0, 1.1);
    let (d, again) = swiglu.backward(&c);
    swiglu.close(&format!("backward {rows}x{f}"), &d, &d_want, 16.0, 1.1);
    if let Some(masks) = &c.masks {
        for dropped in [dropped, again] {
            masks.check(swiglu, &dropped.expect("a masked copy"), &want);
        }
    }
}

#[test]
fn forward_and_backward() {
    let all = [(1, 70), (17, 64), (65, 96), (3, 1536), (2, 2048), (1, 2056)];
    everywhere!(isas(), |swiglu: &dyn Swiglu| {
        for &(rows, f) in shapes(&all, 3) {
            check(swiglu, rows, swiglu.width(f, 8), false);
            check(swiglu, rows, swiglu.width(f, 8), true);
        }
    });
}
