//! Integer products on every instruction set, bit for bit the reference's.

use verdict_testkit::numbers;

use super::reference;
use crate::cpu::{Cpu, Isa};
use crate::cuda::testing::isas;
use crate::linear::{FrozenLinear, Mode, Rows};
use crate::number_formats::{BaseQuantization, ComputeDtype};

/// Rows, inputs, outputs: whole and broken blocks of each, one row and several strips.
const SHAPES: [[usize; 3]; 6] = [
    [1, 32, 16],
    [1, 576, 960],
    [3, 40, 5],
    [13, 64, 48],
    [33, 97, 33],
    [70, 192, 130],
];

fn cpu(isa: Isa, threads: usize) -> Cpu {
    Cpu::new(threads, Some(ComputeDtype::Int16), isa).expect("cpu")
}

fn pack(cpu: &Cpu, w: &[f32], k: usize, bias: Option<Vec<f32>>) -> FrozenLinear {
    let read = |range: std::ops::Range<usize>, out: &mut [f32]| -> Result<(), ()> {
        out.copy_from_slice(&w[range.start * k..range.end * k]);
        Ok(())
    };
    FrozenLinear::pack(cpu, BaseQuantization::Int8, w.len() / k, k, bias, read).expect("reads")
}

fn forward(cpu: &Cpu, linear: &FrozenLinear, x: &[f32], before: Option<&[f32]>) -> Vec<f32> {
    let (n, k) = (linear.outputs(), linear.inputs());
    let mut rows = Rows::default();
    rows.set(cpu, x, k, k, None);
    let (mut y, mode) = match before {
        Some(before) => (before.to_vec(), Mode::Add),
        None => (vec![f32::NAN; x.len() / k * n], Mode::Assign),
    };
    linear.forward(cpu, &rows, &mut y, mode);
    y
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// The whole numbers of the weights, from the weights as they are held.
fn whole(linear: &FrozenLinear) -> Vec<i8> {
    let scales = linear.scale().expect("scales");
    let mut row = vec![0.0; linear.inputs()];
    let mut all = Vec::new();
    for (n, scale) in scales.iter().enumerate() {
        linear.row(n, &mut row);
        all.extend(row.iter().map(|w| (w / scale).round() as i8));
    }
    all
}

#[test]
fn products_are_the_references_on_every_instruction_set() {
    for [m, k, n] in SHAPES {
        let (x, w) = (numbers(1, m * k, 3.0), numbers(2, n * k, 1.0));
        let (bias, before) = (numbers(3, n, 1.0), numbers(4, m * n, 1.0));
        for isa in isas() {
            let cpu = cpu(isa, 2);
            let linear = pack(&cpu, &w, k, Some(bias.clone()));
            let scales = linear.scale().expect("scales");
            let whole = whole(&linear);
            let assigned = forward(&cpu, &linear, &x, None);
            let added = forward(&cpu, &linear, &x, Some(&before));
            for (i, x) in x.chunks_exact(k).enumerate() {
                let sums = reference::quantize(x)
                    .map(|(values, x_scales)| reference::product(&values, &x_scales, &whole));
                let want = |j: usize| (sums[0][j] + sums[1][j]) * scales[j];
                let assign: Vec<f32> = (0..n).map(|j| want(j) + bias[j]).collect();
                let add: Vec<f32> = (0..n)
                    .map(|j| (before[i * n + j] + want(j)) + bias[j])
                    .collect();
                let at = i * n..(i + 1) * n;
                assert_eq!(
                    bits(&assigned[at.clone()]),
                    bits(&assign),
                    "{isa} {m} {k} {n}"
                );
                assert_eq!(bits(&added[at]), bits(&add), "{isa} {m} {k} {n}");
            }
        }
    }
}

#[test]
fn a_row_has_the_same_bits_alone_and_on_one_thread() {
    let (m, k, n) = (70, 192, 130);
    let (x, w) = (numbers(5, m * k, 3.0), numbers(6, n * k, 1.0));
    for isa in isas() {
        let (two, one) = (cpu(isa, 2), cpu(isa, 1));
        let linear = pack(&two, &w, k, None);
        let together = forward(&two, &linear, &x, None);
        assert_eq!(
            bits(&together),
            bits(&forward(&one, &linear, &x, None)),
            "{isa}"
        );
        for (x, y) in x.chunks_exact(k).zip(together.chunks_exact(n)) {
            assert_eq!(bits(y), bits(&forward(&two, &linear, x, None)), "{isa}");
        }
    }
}

#[test]
fn the_largest_values_do_not_saturate() {
    let (k, n) = (64, 16);
    let x: Vec<f32> = (0..k).map(|p| [1.0, -1.0][p / 32]).collect();
    for sign in [1.0, -1.0] {
        let w = vec![sign; n * k];
        for isa in isas() {
            let cpu = cpu(isa, 1);
            let linear = pack(&cpu, &w, k, None);
            let y = forward(&cpu, &linear, &x[..32].repeat(2), None);
            let want = 64.0 * sign;
            assert!(y.iter().all(|y| (y - want).abs() <= 1e-4), "{isa}: {y:?}");
            let y = forward(&cpu, &linear, &x, None);
            // One fused multiply-add rounds 32, the other subtracts it: half a unit of 32 is 2e-6.
            assert!(y.iter().all(|y| y.abs() <= 2e-6), "{isa}: {y:?}");
        }
    }
}

#[test]
fn the_error_is_within_the_documented_bound() {
    let (m, k, n) = (5, 576, 64);
    let (x, w) = (numbers(7, m * k, 3.0), numbers(8, n * k, 1.0));
    let cpu = cpu(Isa::detect(), 2);
    let linear = pack(&cpu, &w, k, None);
    let (whole, scales) = (whole(&linear), linear.scale().expect("scales"));
    let y = forward(&cpu, &linear, &x, None);
    for (i, x) in x.chunks_exact(k).enumerate() {
        let [(_, x_scales), _] = reference::quantize(x);
        for j in 0..n {
            let w = &whole[j * k..][..k];
            let (mut exact, mut bound, mut size) = (0.0_f64, 0.0_f64, 0.0_f64);
            for ((x, w), s) in x.chunks(32).zip(w.chunks(32)).zip(&x_scales) {
                for (x, w) in x.iter().zip(w) {
                    exact += f64::from(*x) * f64::from(*w);
                    bound += f64::from(s / 508.0) * f64::from(*w).abs();
                    size += (f64::from(*x) * f64::from(*w)).abs();
                }
            }
            let t = f64::from(scales[j]);
            let off = (f64::from(y[i * n + j]) - t * exact).abs();
            // Rounded besides: the scale and what a value misses, a part in a thousand of the bound, and f32 sums, once
            // for each of the k / 32 blocks, for the sum of both rows and for t.
            let rounding = (k as f64 / 32.0 + 2.0) * f64::from(f32::EPSILON) / 2.0 * size;
            assert!(
                off <= t * (1.001 * bound + rounding),
                "row {i}, output {j}: {off} of {bound}"
            );
        }
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    let (k, n) = (64, 16);
    let w = numbers(9, n * k, 1.0);
    for isa in isas() {
        let cpu = cpu(isa, 1);
        let linear = pack(&cpu, &w, k, None);
        for bad in [f32::NAN, f32::INFINITY] {
            let mut x = numbers(10, k, 1.0);
            x[40] = bad;
            let y = forward(&cpu, &linear, &x, None);
            assert!(y.iter().all(|y| !y.is_finite()), "{isa} {bad}: {y:?}");
        }
    }
}
