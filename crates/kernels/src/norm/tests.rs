//! RMS norm against f64 and numerical derivatives.

use verdict_testkit::{numbers, numerical_gradient, wide};

use crate::cpu::Isa;
use crate::cuda::testing::{
    Machine, MaskedOutput, Masks, Output, WORKS, everywhere, isas, rows, shapes, upload,
};
use crate::cuda::{Buffer, Gpu};
use crate::norm::{NormInput, reference, rms_norm_backward, rms_norm_forward};

const EPS: f32 = 1e-5;

/// Rows of `h` through a norm and back.
struct Case {
    h: usize,
    rows: usize,
    /// Row of x and dx that each row is; none: its own.
    gather: Option<Vec<u32>>,
    x: Vec<f32>,
    weight: Vec<f32>,
    dy: Vec<f32>,
    /// Before backward.
    dx: Vec<f32>,
    masks: Option<Masks>,
}

impl Case {
    fn new(norm: &dyn Norm, rows: usize, h: usize, gathered: bool) -> Self {
        // Gathered, every second row of x has none, and they come last first.
        let held = if gathered { 2 * rows } else { rows };
        let last_first = || (0..rows).rev().map(|i| 2 * i as u32).collect();
        Self {
            h,
            rows,
            gather: gathered.then(last_first),
            x: norm.seen(numbers(1, held * h, 2.0)),
            weight: numbers(2, h, 1.5),
            dy: norm.seen(numbers(3, rows * h, 1.0)),
            dx: norm.seen(numbers(4, held * h, 1.0)),
            masks: gathered.then(|| Masks::of(rows)),
        }
    }

    /// First number of a row in x.
    fn at(&self, row: usize) -> usize {
        let row = self.gather.as_ref().map_or(row, |g| g[row] as usize);
        row * self.h
    }
}

trait Norm: Machine {
    /// `[rows, h]`, and the masked copy.
    fn forward(&self, case: &Case) -> (Vec<f32>, Option<Vec<f32>>);
    /// dx, and the masked copy again.
    fn backward(&self, case: &Case) -> (Vec<f32>, Option<Vec<f32>>);
}

impl Norm for Isa {
    fn forward(&self, c: &Case) -> (Vec<f32>, Option<Vec<f32>>) {
        let mut y = vec![f32::NAN; c.rows * c.h];
        for (row, y) in y.chunks_exact_mut(c.h).enumerate() {
            rms_norm_forward(*self, &c.x[c.at(row)..][..c.h], &c.weight, EPS, y);
        }
        let dropped = c.masks.as_ref().map(|masks| {
            let mut dropped = y.clone();
            masks.apply(*self, c.h, &mut dropped);
            dropped
        });
        (y, dropped)
    }

    fn backward(&self, c: &Case) -> (Vec<f32>, Option<Vec<f32>>) {
        let mut dx = c.dx.clone();
        for (row, dy) in c.dy.chunks_exact(c.h).enumerate() {
            let (x, dx) = (&c.x[c.at(row)..][..c.h], &mut dx[c.at(row)..][..c.h]);
            rms_norm_backward(*self, x, &c.weight, EPS, dy, dx);
        }
        (dx, self.forward(c).1)
    }
}

/// A case's input on the device.
struct OnGpu {
    x: Buffer<u16>,
    weight: Buffer<f32>,
    gather: Option<Buffer<u32>>,
}

impl OnGpu {
    fn new(gpu: &Gpu, c: &Case) -> Self {
        Self {
            x: rows(gpu, &c.x),
            weight: upload(gpu, &c.weight),
            gather: c.gather.as_ref().map(|g| upload(gpu, g)),
        }
    }

    fn input(&self, c: &Case) -> NormInput<'_> {
        NormInput {
            x: self.x.view(),
            gather: self.gather.as_ref().map(Buffer::view),
            weight: self.weight.view(),
            eps: EPS,
            rows: c.rows,
            h: c.h,
        }
    }
}

impl Norm for Gpu {
    fn forward(&self, c: &Case) -> (Vec<f32>, Option<Vec<f32>>) {
        let held = OnGpu::new(self, c);
        let masked = || MaskedOutput::new(self, c.masks.as_ref(), c.rows * c.h);
        let (y, dropped, alone) = (Output::new(self, c.rows * c.h), masked(), masked());
        let to = dropped.as_ref().map(MaskedOutput::view);
        self.rms_norm_forward(held.input(c), Some(y.view()), to)
            .expect(WORKS);
        let dropped = dropped.map(|d| d.wide(self));
        if let Some(alone) = alone {
            self.rms_norm_forward(held.input(c), None, Some(alone.view()))
                .expect(WORKS);
            assert_eq!(Some(alone.wide(self)), dropped, "without the plain result");
        }
        (y.wide(self), dropped)
    }

    fn backward(&self, c: &Case) -> (Vec<f32>, Option<Vec<f32>>) {
        let held = OnGpu::new(self, c);
        let (dy, before) = (rows(self, &c.dy), rows(self, &c.dx));
        let before = self.download(before.view()).expect(WORKS);
        let dx = Output::holding(self, &before);
        let dropped = MaskedOutput::new(self, c.masks.as_ref(), c.rows * c.h);
        let to = dropped.as_ref().map(MaskedOutput::view);
        self.rms_norm_backward(held.input(c), dy.view(), dx.view(), to)
            .expect(WORKS);
        (dx.wide(self), dropped.map(|d| d.wide(self)))
    }
}

fn check(norm: &dyn Norm, rows: usize, h: usize, gathered: bool) {
    let c = Case::new(norm, rows, h, gathered);
    let (x, weight) = (wide(&c.x), wide(&c.weight));
    let (y, dropped) = norm.forward(&c);
    let (dx, again) = norm.backward(&c);

    let eps = f64::from(EPS);
    let (mut want, mut d_want) = (Vec::new(), wide(&c.dx));
    for (row, dy) in c.dy.chunks_exact(h).enumerate() {
        let x = &x[c.at(row)..][..h];
        want.extend(reference::forward(x, &weight, eps));
        let loss = |x: &[f64]| -> f64 {
            let y = reference::forward(x, &weight, eps);
            y.iter().zip(dy).map(|(y, d)| y * f64::from(*d)).sum()
        };
        for (d, g) in d_want[c.at(row)..]
            .iter_mut()
            .zip(numerical_gradient(x, loss))
        {
            *d += g;
        }
    }
    norm.close(&format!("forward {rows}x{h}"), &y, &want, 8.0, 1.1);
    norm.close(&format!("backward {rows}x{h}"), &dx, &d_want, 16.0, 1.1);
    if let Some(masks) = &c.masks {
        for dropped in [dropped, again] {
            masks.check(norm, &dropped.expect("a masked copy"), &want);
        }
    }
}

#[test]
fn forward_and_backward() {
    // On a GPU a thread takes one, two or four pieces of a row, up to 2,048, 4,096 and 8,192 numbers.
    let all = [
        (1, 8),
        (17, 24),
        (65, 64),
        (3, 96),
        (3, 576),
        (2, 2048),
        (1, 2560),
        (1, 4104),
    ];
    everywhere!(isas(), |norm: &dyn Norm| {
        for &(rows, h) in shapes(&all, 4) {
            check(norm, rows, h, false);
            check(norm, rows, h, true);
        }
    });
}
