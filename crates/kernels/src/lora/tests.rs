//! The adapters' products, on a CPU through `matmul` and on a GPU through a plan, against sums in f64.

use std::ops::Range;

use verdict_testkit::{F32_UNIT, assert_close, numbers};

use crate::cpu::Cpu;
use crate::cuda::Gpu;
use crate::cuda::testing::{
    LAYER, Machine, Masks, Output, SITE, WORKS, bits, everywhere, gpu, machines, rows, shapes,
    upload,
};
use crate::linear::{Mode, RightOperand, Rows, SmallProduct, matmul, reference};
use crate::lora::{LoraList, LoraPlan, LoraProduct, Narrow, Wide};

/// Adapters of a batch at one site.
struct Shape {
    /// A rank and the rows of its group each.
    adapters: &'static [(usize, Range<usize>)],
    /// Rows of the batch, some of no adapter.
    rows: usize,
    inputs: usize,
    /// Outputs of each part of the site.
    parts: &'static [usize],
}

/// The products of one list, and the matrices they are between.
struct Site {
    products: Vec<LoraProduct>,
    rows: usize,
    /// Numbers from row to row on the narrow side and on the wide one.
    narrow: usize,
    wide: usize,
    /// Numbers of the bank.
    bank: usize,
}

impl Shape {
    /// The list of A, and the list of B.
    fn sites(&self) -> [Site; 2] {
        let (mut a, mut b, mut bank) = (Vec::new(), Vec::new(), 0);
        let (outputs, parts) = (self.parts.iter().sum::<usize>(), self.parts.len());
        for (i, (rank, rows)) in self.adapters.iter().enumerate() {
            let layer_stride = rank * (parts * self.inputs + outputs);
            let mut next = LoraProduct {
                weight: bank,
                layer_stride,
                rows: rows.clone(),
                narrow: 0,
                rank: parts * rank,
                wide: 0,
                columns: self.inputs,
                factor: 1.0,
            };
            a.push(next.clone());
            for columns in self.parts {
                next.weight += next.rank * next.columns;
                next.rank = *rank;
                next.columns = *columns;
                next.factor = [2.0, 0.5][i % 2];
                b.push(next.clone());
                next.narrow += rank;
                next.wide += columns;
            }
            bank += (LAYER as usize + 1) * layer_stride;
        }
        let largest = self.adapters.iter().map(|a| parts * a.0).max();
        [(a, self.inputs), (b, outputs)].map(|(products, wide)| Site {
            products,
            rows: self.rows,
            // A little more than the largest adapter needs.
            narrow: largest.unwrap_or(0) + 8,
            wide,
            bank,
        })
    }
}

impl Site {
    /// Where a product's matrix is.
    fn place(p: &LoraProduct) -> Range<usize> {
        let at = p.weight + LAYER as usize * p.layer_stride;
        at..at + p.rank * p.columns
    }

    /// A bank in which the other layers, and what is of no product, are not numbers.
    fn bank(&self, seed: u64, size: f32) -> Vec<f32> {
        let mut bank = vec![f32::NAN; self.bank];
        for p in &self.products {
            let place = Self::place(p);
            let values = numbers(seed + place.start as u64, place.len(), size);
            bank[place].copy_from_slice(&values);
        }
        bank
    }

    /// What each product writes on a side, row by row.
    fn areas(&self, wide: bool) -> Vec<Vec<Range<usize>>> {
        let of = |p: &LoraProduct| {
            let (ld, column, width) = match wide {
                true => (self.wide, p.wide, p.columns),
                false => (self.narrow, p.narrow, p.rank),
            };
            let row = |t: usize| t * ld + column..t * ld + column + width;
            p.rows.clone().map(row).collect()
        };
        self.products.iter().map(of).collect()
    }

    fn places(&self) -> Vec<Vec<Range<usize>>> {
        let one = |p: &LoraProduct| vec![Self::place(p)];
        self.products.iter().map(one).collect()
    }
}

fn pick<T: Copy>(values: &[T], area: &[Range<usize>]) -> Vec<T> {
    let rows = area.iter().flat_map(|r| &values[r.clone()]);
    rows.copied().collect()
}

/// Fails where something outside the areas is a number.
fn only_in(areas: &[Vec<Range<usize>>], values: &[f32], what: &str) {
    let mut rest = values.to_vec();
    for row in areas.iter().flatten() {
        rest[row.clone()].fill(f32::NAN);
    }
    assert!(rest.iter().all(|v| v.is_nan()), "{what}: written outside");
}

/// The layer is `LAYER` throughout. What no product writes is not a number in a result.
trait Lora: Machine {
    fn down(&self, site: &Site, weights: &[f32], wide: &[f32]) -> Vec<f32>;
    fn up(
        &self,
        site: &Site,
        weights: &[f32],
        narrow: &[f32],
        source: Option<&[f32]>,
        masks: Option<&Masks>,
    ) -> Vec<f32>;
    /// Added to `before`, a bank, where that is given.
    fn gradient(
        &self,
        site: &Site,
        before: Option<&[f32]>,
        narrow: &[f32],
        wide: &[f32],
    ) -> Vec<f32>;
}

fn all_rows(cpu: &Cpu, values: &[f32], ld: usize) -> Rows {
    let mut rows = Rows::default();
    rows.set(cpu, values, ld, ld, None);
    rows
}

impl Lora for Cpu {
    fn down(&self, site: &Site, weights: &[f32], wide: &[f32]) -> Vec<f32> {
        let left = all_rows(self, wide, site.wide);
        let product = |p: &LoraProduct| SmallProduct {
            left: &left,
            rows: p.rows.clone(),
            from: p.wide,
            right: RightOperand::Transposed {
                data: &weights[Site::place(p)],
                n: p.rank,
                k: p.columns,
                ld: p.columns,
            },
            out_row: p.rows.start,
            out_column: p.narrow,
            mode: Mode::Assign,
            factor: p.factor,
        };
        let products: Vec<_> = site.products.iter().map(product).collect();
        let mut narrow = vec![f32::NAN; site.rows * site.narrow];
        matmul(self, &products, &mut narrow, site.narrow);
        narrow
    }

    fn up(
        &self,
        site: &Site,
        weights: &[f32],
        narrow: &[f32],
        source: Option<&[f32]>,
        masks: Option<&Masks>,
    ) -> Vec<f32> {
        let left = all_rows(self, narrow, site.narrow);
        let product = |p: &LoraProduct| SmallProduct {
            left: &left,
            rows: p.rows.clone(),
            from: p.narrow,
            right: RightOperand::Plain {
                data: &weights[Site::place(p)],
                k: p.rank,
                n: p.columns,
                ld: p.columns,
            },
            out_row: p.rows.start,
            out_column: p.wide,
            mode: Mode::Assign,
            factor: p.factor,
        };
        let products: Vec<_> = site.products.iter().map(product).collect();
        let mut wide = vec![f32::NAN; site.rows * site.wide];
        matmul(self, &products, &mut wide, site.wide);
        if let Some(masks) = masks {
            masks.apply(self.isa(), site.wide, &mut wide);
        }
        for (w, s) in wide.iter_mut().zip(source.into_iter().flatten()) {
            *w += s;
        }
        wide
    }

    fn gradient(
        &self,
        site: &Site,
        before: Option<&[f32]>,
        narrow: &[f32],
        wide: &[f32],
    ) -> Vec<f32> {
        let right = all_rows(self, wide, site.wide);
        let mut bank = vec![f32::NAN; site.bank];
        for p in &site.products {
            let place = Site::place(p);
            match before {
                Some(before) => bank[place.clone()].copy_from_slice(&before[place.clone()]),
                None => bank[place.clone()].fill(0.0),
            }
            let mut left = Rows::default();
            let (columns, blocks) = (p.narrow..p.narrow + p.rank, [p.rows.clone()]);
            left.set_transposed(self, narrow, site.narrow, columns, &blocks, p.factor);
            let product = SmallProduct {
                left: &left,
                rows: 0..p.rank,
                from: 0,
                right: RightOperand::Batch {
                    rows: &right,
                    from: p.wide,
                    n: p.columns,
                    blocks: &blocks,
                },
                out_row: 0,
                out_column: 0,
                mode: Mode::Continue,
                factor: 1.0,
            };
            matmul(self, &[product], &mut bank[place], p.columns);
        }
        bank
    }
}

/// A plan whose second list is the site's.
fn plan(gpu: &Gpu, site: &Site) -> LoraPlan {
    let lists = [site.products[..1].to_vec(), site.products.clone()];
    LoraPlan::new(gpu, &lists).expect(WORKS)
}

const LIST: LoraList = LoraList(1);

impl Lora for Gpu {
    fn down(&self, site: &Site, weights: &[f32], wide: &[f32]) -> Vec<f32> {
        let plan = plan(self, site);
        let (weights, wide) = (rows(self, weights), rows(self, wide));
        let to = Output::new(self, site.rows * site.narrow);
        let wide = Wide(wide.view(), site.wide);
        let narrow = Narrow(to.view(), site.narrow);
        self.lora_down((&plan, LIST), weights.view(), LAYER as usize, wide, narrow)
            .expect(WORKS);
        to.wide(self)
    }

    fn up(
        &self,
        site: &Site,
        weights: &[f32],
        narrow: &[f32],
        source: Option<&[f32]>,
        masks: Option<&Masks>,
    ) -> Vec<f32> {
        let plan = plan(self, site);
        let (weights, narrow) = (rows(self, weights), rows(self, narrow));
        let keys = masks.map(|m| m.keys(self));
        let up = |source, to: &Output<u16>| {
            let masks = keys.as_ref().map(|k| (k.view(), SITE as usize));
            let narrow = Narrow(narrow.view(), site.narrow);
            let wide = Wide(to.view(), site.wide);
            let list = (&plan, LIST);
            self.lora_up(
                list,
                weights.view(),
                LAYER as usize,
                narrow,
                wide,
                source,
                masks,
            )
            .expect(WORKS);
        };
        let to = Output::new(self, site.rows * site.wide);
        let from = source.map(|s| rows(self, s));
        up(from.as_ref().map(|f| f.view()), &to);
        let apart = to.wide(self);
        if let Some(source) = source {
            let own = Output::holding(self, &bits(source));
            up(Some(own.view()), &own);
            let mut want = source.to_vec();
            for row in site.areas(true).iter().flatten() {
                want[row.clone()].copy_from_slice(&apart[row.clone()]);
            }
            assert_eq!(own.wide(self), want, "in place");
        }
        apart
    }

    fn gradient(
        &self,
        site: &Site,
        before: Option<&[f32]>,
        narrow: &[f32],
        wide: &[f32],
    ) -> Vec<f32> {
        let plan = plan(self, site);
        let (narrow, wide) = (rows(self, narrow), rows(self, wide));
        let to = match before {
            Some(before) => Output::holding(self, before),
            None => Output::new(self, site.bank),
        };
        let (list, add) = ((&plan, LIST), before.is_some());
        let narrow = Narrow(narrow.view(), site.narrow);
        let wide = Wide(wide.view(), site.wide);
        self.lora_gradient(list, to.view(), LAYER as usize, narrow, wide, add)
            .expect(WORKS);
        to.read(self)
    }
}

fn transposed(x: &[f32], columns: usize) -> Vec<f32> {
    let rows = x.len() / columns;
    let turned = (0..x.len()).map(|i| x[i % rows * columns + i / rows]);
    turned.collect()
}

/// One list down, up and for its gradient.
fn check(on: &dyn Lora, site: &Site, what: &str) {
    let weights = on.seen(site.bank(1, 0.3));
    let narrow = on.seen(numbers(2, site.rows * site.narrow, 1.0));
    let wide = on.seen(numbers(3, site.rows * site.wide, 1.0));
    let source = on.seen(numbers(4, site.rows * site.wide, 1.0));
    // Masks are over the columns of a matrix: those of A, which are all of the wide side.
    let masks = (site.products[0].columns == site.wide).then(|| Masks::of(site.rows));
    let factors = masks.as_ref().map(|m| m.factors(site.wide));
    let before = site.bank(5, 1.0);

    let down = on.down(site, &weights, &wide);
    let up = on.up(site, &weights, &narrow, None, None);
    let added = on.up(site, &weights, &narrow, Some(&source), None);
    let masked = on.up(site, &weights, &narrow, None, masks.as_ref());
    let gradient = on.gradient(site, None, &narrow, &wide);
    let sum = on.gradient(site, Some(&before), &narrow, &wide);

    let (narrow_areas, wide_areas, places) = (site.areas(false), site.areas(true), site.places());
    only_in(&narrow_areas, &down, what);
    for result in [&up, &added, &masked] {
        only_in(&wide_areas, result, what);
    }
    for result in [&gradient, &sum] {
        only_in(&places, result, what);
    }
    for (i, p) in site.products.iter().enumerate() {
        let what = format!("{what}, product {i}");
        let (m, r, n) = (p.rows.len(), p.rank, p.columns);
        let w = &weights[Site::place(p)];
        let (u, x) = (pick(&narrow, &narrow_areas[i]), pick(&wide, &wide_areas[i]));
        let times = |sums: Vec<f64>| -> Vec<f64> {
            let factor = f64::from(p.factor);
            sums.iter().map(|v| v * factor).collect()
        };

        // On a GPU sums are rounded once, where they are stored.
        let want = times(reference::times_transposed(&x, w, m, n, r));
        let got = pick(&down, &narrow_areas[i]);
        on.close(&format!("{what} down"), &got, &want, 24.0, 1.1);

        let want = times(reference::times(&u, w, m, r, n));
        let got = pick(&up, &wide_areas[i]);
        on.close(&format!("{what} up"), &got, &want, 24.0, 1.1);
        let source = pick(&source, &wide_areas[i]);
        let with = want.iter().zip(source).map(|(w, s)| w + f64::from(s));
        let got = pick(&added, &wide_areas[i]);
        on.close(
            &format!("{what} up to a source"),
            &got,
            &with.collect::<Vec<_>>(),
            24.0,
            1.1,
        );
        if let Some(factors) = &factors {
            let factors = pick(factors, &wide_areas[i]);
            let got = pick(&masked, &wide_areas[i]);
            let dropped = factors.iter().zip(&got).filter(|(f, _)| **f == 0.0);
            assert!(dropped.into_iter().all(|(_, g)| *g == 0.0), "{what} masks");
            let want = want.iter().zip(factors).map(|(w, f)| w * f64::from(f));
            on.close(
                &format!("{what} up, masked"),
                &got,
                &want.collect::<Vec<_>>(),
                24.0,
                1.1,
            );
        }

        // f32 everywhere.
        let what = format!("{} {what}", on.name());
        let want = times(reference::times(&transposed(&u, r), &x, r, m, n));
        let got = pick(&gradient, &places[i]);
        assert_close(&format!("{what} gradient"), &got, &want, 48.0, F32_UNIT);
        let before = pick(&before, &places[i]);
        let want: Vec<f64> = want
            .iter()
            .zip(before)
            .map(|(w, b)| w + f64::from(b))
            .collect();
        let got = pick(&sum, &places[i]);
        assert_close(
            &format!("{what} gradient, added"),
            &got,
            &want,
            48.0,
            F32_UNIT,
        );
    }
}

#[test]
fn all_adapters_at_once() {
    let all = [
        Shape {
            adapters: &[(16, 0..17), (48, 20..21)],
            rows: 23,
            inputs: 64,
            parts: &[64, 24],
        },
        Shape {
            adapters: &[(16, 0..1), (64, 3..68), (32, 68..85)],
            rows: 90,
            inputs: 96,
            parts: &[96, 32, 32],
        },
        Shape {
            adapters: &[(16, 1..66), (128, 66..67)],
            rows: 67,
            inputs: 576,
            parts: &[576],
        },
        Shape {
            adapters: &[(32, 0..17)],
            rows: 17,
            inputs: 2048,
            parts: &[1032, 136],
        },
    ];
    everywhere!(machines(), |on: &dyn Lora| {
        for (i, shape) in shapes(&all, 2).iter().enumerate() {
            let [inputs, outputs] = shape.sites();
            check(on, &inputs, &format!("A of shape {i}"));
            check(on, &outputs, &format!("B of shape {i}"));
        }
    });
}

#[test]
fn tiles_of_every_size_give_the_same_bits() {
    let Some(gpu) = gpu() else {
        return;
    };
    // Together they have tiles enough for the largest kernels on a GPU of 132 multiprocessors, one by one
    // only for smaller ones.
    let all = [
        Shape {
            adapters: &[(48, 0..65), (16, 65..82)],
            rows: 82,
            inputs: 64,
            parts: &[64, 24],
        },
        Shape {
            adapters: &[
                (128, 0..1500),
                (128, 1500..3001),
                (128, 3001..4500),
                (16, 4501..6001),
            ],
            rows: 6001,
            inputs: 1536,
            parts: &[2048, 512, 512],
        },
    ];
    for shape in shapes(&all, 1) {
        for site in shape.sites() {
            let weights = gpu.seen(site.bank(1, 0.3));
            let narrow = gpu.seen(numbers(2, site.rows * site.narrow, 1.0));
            let wide = gpu.seen(numbers(3, site.rows * site.wide, 1.0));
            let run = |site: &Site| {
                [
                    gpu.down(site, &weights, &wide),
                    gpu.up(site, &weights, &narrow, None, None),
                ]
            };
            let together = run(&site);
            let last = site.products.len() - 1;
            for i in [0, last] {
                let alone = run(&Site {
                    products: vec![site.products[i].clone()],
                    ..site
                });
                let areas = [site.areas(false), site.areas(true)];
                // Gradients are summed by teams where tiles are few: their last bits depend on the tile.
                for (what, ((together, alone), areas)) in ["down", "up"]
                    .iter()
                    .zip(together.iter().zip(&alone).zip(&areas))
                {
                    let same = pick(together, &areas[i]) == pick(alone, &areas[i]);
                    assert!(
                        same,
                        "{what} of product {i}, rank {}",
                        site.products[i].rank
                    );
                }
            }
        }
    }
}

#[test]
fn a_plan_may_have_no_products() {
    let Some(gpu) = gpu() else {
        return;
    };
    let plan = LoraPlan::new(gpu, &[Vec::new()]).expect(WORKS);
    let to = Output::<u16>::new(gpu, 64);
    let weights = upload(gpu, &[0_u16; 64]);
    let (wide, narrow) = (Wide(weights.view(), 8), Narrow(to.view(), 8));
    gpu.lora_down((&plan, LoraList(0)), weights.view(), 0, wide, narrow)
        .expect(WORKS);
    assert!(to.wide(gpu).iter().all(|v| v.is_nan()));
}
